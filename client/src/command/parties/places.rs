//! Where what a list of parties says stands in its text, so that it can be changed there.

use std::ops::Range;

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::edits::{line_end, line_start};

/// Where everything stands.
#[derive(Debug)]
pub(super) struct Places<'t> {
    text: &'t str,
    /// The number behind `version =`.
    pub(super) version: Range<usize>,
    /// Each party, in the order of the text.
    pub(super) parties: Vec<PartyPlace>,
}

/// A party.
#[derive(Debug)]
pub(super) struct PartyPlace {
    /// Where one may put another table of it: behind all that it has.
    pub(super) end: usize,
    /// Its keys.
    pub(super) keys: Vec<KeyPlace>,
    /// Its clients that name keys.
    pub(super) key_lists: Vec<KeyList>,
}

/// A token key.
#[derive(Debug)]
pub(super) struct KeyPlace {
    pub(super) kid: String,
    /// The table with the comment above it and the blank lines behind it; `None` where it stands
    /// within a line, which nobody edits but by hand.
    pub(super) table: Option<Range<usize>>,
    /// Where one may put the next key.
    pub(super) end: usize,
}

/// The `keys` of a client.
#[derive(Debug)]
pub(super) struct KeyList {
    pub(super) client: String,
    kids: Vec<(String, Range<usize>)>,
}

/// A table's heading, and how deep it is: 0 for `[parties]` and `[[party]]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Heading {
    at: usize,
    depth: u8,
}

impl<'t> Places<'t> {
    /// Finds them in a text that [`Parties::check`](accord_proto::parties::Parties::check) found
    /// good; `None` if it did not.
    pub(super) fn find(text: &'t str) -> Option<Self> {
        let document = DeTable::parse(text).ok()?;
        let document = document.get_ref();
        let head = document.get("parties")?;
        let version = head.get_ref().as_table()?.get("version")?.span();
        let found: Vec<_> = tables(document, "party").collect();
        let mut headings = Headings { text, all: vec![] };
        headings.add(head, 0);
        for party in &found {
            headings.add(party, 0);
            let party = party.get_ref().as_table()?;
            for name in ["keys", "client"] {
                for table in tables(party, name) {
                    headings.add(table, 1);
                    let purposes = table.get_ref().as_table()?.get("purposes");
                    purposes.into_iter().for_each(|one| headings.add(one, 2));
                }
            }
            let licence = party.get("licence");
            licence.into_iter().for_each(|one| headings.add(one, 1));
        }
        headings.all.sort_unstable();
        let parties = found.into_iter().map(|party| headings.party(party));
        Some(Self {
            text,
            version,
            parties: parties.collect::<Option<_>>()?,
        })
    }

    /// Where one may put another party: behind all.
    pub(super) const fn end(&self) -> usize {
        self.text.len()
    }
}

impl KeyList {
    /// Whether a client signs with a key.
    pub(super) fn names(&self, kid: &str) -> bool {
        self.kids.iter().any(|(known, _)| known == kid)
    }

    /// Where a key stands in it, if it is the only one.
    pub(super) fn only(&self, kid: &str) -> Option<Range<usize>> {
        match self.kids.as_slice() {
            [(only, place)] if only == kid => Some(place.clone()),
            _ => None,
        }
    }

    /// Where one may put `, "another"`.
    pub(super) fn end(&self) -> Option<usize> {
        self.kids.last().map(|(_, place)| place.end)
    }

    /// What goes when a key goes that is not the only one, with its comma.
    pub(super) fn part_of(&self, kid: &str) -> Option<Range<usize>> {
        let at = self.kids.iter().position(|(known, _)| known == kid)?;
        let (_, place) = self.kids.get(at)?;
        if let Some((_, next)) = self.kids.get(at + 1) {
            return Some(place.start..next.start);
        }
        let (_, before) = self.kids.get(at.checked_sub(1)?)?;
        Some(before.end..place.end)
    }
}

struct Headings<'t> {
    text: &'t str,
    all: Vec<Heading>,
}

impl Headings<'_> {
    /// A table that has a heading, and does not stand within a line.
    fn add(&mut self, table: &Spanned<DeValue<'_>>, depth: u8) {
        if let Some(at) = self.heading_of(table) {
            self.all.push(Heading { at, depth });
        }
    }

    fn heading_of(&self, table: &Spanned<DeValue<'_>>) -> Option<usize> {
        let at = line_start(self.text, table.span().start);
        let line = self.text.get(at..)?.trim_start();
        line.starts_with('[').then_some(at)
    }

    fn party(&self, party: &Spanned<DeValue<'_>>) -> Option<PartyPlace> {
        let at = self.heading_of(party)?;
        let party = party.get_ref().as_table()?;
        let (keys, clients) = (tables(party, "keys"), tables(party, "client"));
        Some(PartyPlace {
            end: self.last_line(self.next(at, 0)),
            keys: keys.map(|key| self.key(key)).collect::<Option<_>>()?,
            key_lists: clients.filter_map(key_list).collect(),
        })
    }

    fn key(&self, key: &Spanned<DeValue<'_>>) -> Option<KeyPlace> {
        let kid = key.get_ref().as_table()?.get("kid")?.get_ref().as_str()?;
        let heading = self.heading_of(key);
        let behind = self.next(heading.unwrap_or_else(|| key.span().end), 2);
        Some(KeyPlace {
            kid: kid.to_owned(),
            table: heading.map(|at| self.with_comment(at)..behind),
            end: self.last_line(behind),
        })
    }

    /// Where the next heading begins that is at most so deep, its comment included.
    fn next(&self, after: usize, depth: u8) -> usize {
        let mut later = self.all.iter().filter(|heading| heading.at > after);
        let next = later.find(|heading| heading.depth <= depth);
        next.map_or(self.text.len(), |heading| self.with_comment(heading.at))
    }

    /// Where the comment begins that stands right above a line.
    fn with_comment(&self, at: usize) -> usize {
        let mut start = at;
        while let Some(above) = start.checked_sub(1).map(|end| line_start(self.text, end)) {
            let line = self.text.get(above..start).unwrap_or_default();
            if !line.trim_start().starts_with('#') {
                break;
            }
            start = above;
        }
        start
    }

    /// Behind the last line before a place that is not blank.
    fn last_line(&self, before: usize) -> usize {
        let part = self.text.get(..before).unwrap_or_default();
        line_end(self.text, part.trim_end().len())
    }
}

/// The tables of an array of tables.
fn tables<'a, 'i>(
    table: &'a DeTable<'i>,
    name: &str,
) -> impl Iterator<Item = &'a Spanned<DeValue<'i>>> + use<'a, 'i> {
    let array = table.get(name).and_then(|value| value.get_ref().as_array());
    array.into_iter().flat_map(|array| array.iter())
}

fn key_list(client: &Spanned<DeValue<'_>>) -> Option<KeyList> {
    let client = client.get_ref().as_table()?;
    let kids = client.get("keys")?.get_ref().as_array()?;
    let kids = kids.iter().map(|kid| {
        let name = kid.get_ref().as_str()?;
        Some((name.to_owned(), kid.span()))
    });
    Some(KeyList {
        client: client.get("id")?.get_ref().as_str()?.to_owned(),
        kids: kids.collect::<Option<_>>()?,
    })
}
