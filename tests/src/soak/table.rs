//! The fault table: a row for each fault and place, and what became of it.

use std::{collections::BTreeMap, fmt::Write as _};

/// What a row may come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// The disk holds all that was synced, so it must go on with all that was acknowledged.
    Kept,
    /// What was acknowledged is no longer there as it was, so it must be refused.
    Refused,
    /// Either: what is derived is made anew, and what is evidence is refused.
    Either,
}

/// What became of one round.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Everything that was acknowledged is there, as it was, and the ledger goes on.
    Kept,
    /// It does not go on, or does not serve what was changed, and says why.
    Refused(String),
    /// Something acknowledged is lost or changed, and nobody says so.
    Bad(String),
}

/// The name of a row and what it must come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Name {
    /// What is done.
    pub fault: &'static str,
    /// To what.
    pub place: &'static str,
    /// What it must come to.
    pub expected: Expected,
}

impl Name {
    pub(super) const fn kept(fault: &'static str, place: &'static str) -> Self {
        Self {
            fault,
            place,
            expected: Expected::Kept,
        }
    }

    pub(super) const fn refused(fault: &'static str, place: &'static str) -> Self {
        Self {
            fault,
            place,
            expected: Expected::Refused,
        }
    }

    pub(super) const fn either(fault: &'static str, place: &'static str) -> Self {
        Self {
            fault,
            place,
            expected: Expected::Either,
        }
    }
}

/// A row with what was counted.
#[derive(Clone, Debug)]
pub struct Row {
    /// Its name.
    pub name: Name,
    /// Rounds, by the kind of fault where a row stands for several.
    pub rounds: BTreeMap<&'static str, u64>,
    /// Rounds after which all that was acknowledged is there.
    pub kept: u64,
    /// Rounds that ended in a refusal.
    pub refused: u64,
    /// One of the reasons given.
    pub reason: Option<String>,
    /// What must not be.
    pub bad: Vec<String>,
    /// Why it was not tried here.
    pub skipped: Option<String>,
    /// Kinds of fault each of which must be met.
    wanted: &'static [&'static str],
}

/// The longest reason that a row shows, in characters.
const REASON_CHARS_MAX: usize = 110;

impl Row {
    fn new(name: Name, wanted: &'static [&'static str]) -> Self {
        Self {
            name,
            rounds: BTreeMap::new(),
            kept: 0,
            refused: 0,
            reason: None,
            bad: Vec::new(),
            skipped: None,
            wanted,
        }
    }

    fn count(&mut self, kind: &'static str, outcome: Outcome) {
        *self.rounds.entry(kind).or_default() += 1;
        match outcome {
            Outcome::Kept if self.name.expected == Expected::Refused => {
                self.bad.push("it was not noticed".to_owned());
            }
            Outcome::Kept => self.kept += 1,
            Outcome::Refused(reason) if self.name.expected == Expected::Kept => {
                self.bad.push(format!("refused: {reason}"));
            }
            Outcome::Refused(reason) => {
                self.refused += 1;
                self.reason.get_or_insert(reason);
            }
            Outcome::Bad(what) => self.bad.push(what),
        }
    }

    /// What is wrong with the row, if anything is.
    #[must_use]
    pub fn wrong(&self) -> Option<String> {
        if let Some(first) = self.bad.first() {
            return Some(format!("{} of its rounds are bad: {first}", self.bad.len()));
        }
        if self.skipped.is_some() {
            return None;
        }
        if self.rounds.is_empty() {
            return Some("it was never tried".to_owned());
        }
        let mut wanted = self.wanted.iter();
        let missing = wanted.find(|kind| !self.rounds.contains_key(**kind));
        missing.map(|kind| format!("{kind} was never tried"))
    }

    fn rounds_text(&self) -> String {
        let kinds: Vec<String> = self
            .rounds
            .iter()
            .map(|(kind, count)| match kind.is_empty() {
                true => count.to_string(),
                false => format!("{kind} {count}"),
            })
            .collect();
        kinds.join(", ")
    }

    fn outcome_text(&self) -> String {
        if let Some(wrong) = self.wrong() {
            return format!("**BAD**: {}", cut(&wrong));
        }
        if let Some(why) = &self.skipped {
            return format!("not tried here: {why}");
        }
        let mut parts = Vec::new();
        if self.kept > 0 {
            let times = match self.refused {
                0 => String::new(),
                _ => format!(" ({})", self.kept),
            };
            parts.push(format!("nothing acknowledged is lost{times}"));
        }
        if self.refused > 0 {
            let times = match self.kept {
                0 => String::new(),
                _ => format!(" ({})", self.refused),
            };
            let reason = cut(self.reason.as_deref().unwrap_or_default());
            parts.push(format!("refuses{times}: *{reason}*"));
        }
        parts.join("; ")
    }
}

/// On one line, without what a table takes for its own, and not too long.
fn cut(text: &str) -> String {
    let flat: String = text
        .chars()
        .map(|sign| match sign {
            '|' => '/',
            '\n' | '\r' => ' ',
            other => other,
        })
        .collect();
    match flat.char_indices().nth(REASON_CHARS_MAX) {
        Some((at, _)) => format!("{} …", flat.get(..at).unwrap_or_default().trim_end()),
        None => flat,
    }
}

/// All rows.
#[derive(Clone, Debug, Default)]
pub struct Table {
    /// In the order in which they are printed.
    pub rows: Vec<Row>,
    /// The directory of this run, which says nothing to a reader.
    pub(super) dir: String,
}

impl Table {
    /// Adds rows with nothing counted yet; `wanted` are kinds each of which must be met in each.
    pub(super) fn expect(&mut self, names: &[Name], wanted: &'static [&'static str]) {
        let rows = names.iter().map(|name| Row::new(*name, wanted));
        self.rows.extend(rows);
    }

    fn row(&mut self, fault: &str, place: &str) -> Option<&mut Row> {
        let is_it = |row: &&mut Row| row.name.fault == fault && row.name.place == place;
        self.rows.iter_mut().find(is_it)
    }

    /// Counts a round. A place that no row names is bad in itself.
    pub(super) fn count(
        &mut self,
        fault: &'static str,
        place: &'static str,
        kind: &'static str,
        outcome: Outcome,
    ) {
        let outcome = match outcome {
            Outcome::Refused(reason) if !self.dir.is_empty() => {
                Outcome::Refused(reason.replace(&self.dir, "…"))
            }
            other @ (Outcome::Kept | Outcome::Refused(_) | Outcome::Bad(_)) => other,
        };
        if let Some(row) = self.row(fault, place) {
            row.count(kind, outcome);
            return;
        }
        let mut row = Row::new(Name::either(fault, place), &[]);
        row.bad.push("no row names this place".to_owned());
        self.rows.push(row);
    }

    /// What of these rows was not met by each of the kinds that it must be.
    pub(super) fn unmet(&self, names: &[Name]) -> Vec<(&'static str, &'static str, &'static str)> {
        let rows = self.rows.iter().filter(|row| names.contains(&row.name));
        let missing = rows.flat_map(|row| {
            let kinds = row.wanted.iter();
            let missing = kinds.filter(|kind| !row.rounds.contains_key(**kind));
            missing.map(|kind| (row.name.fault, row.name.place, *kind))
        });
        missing.collect()
    }

    /// Whether a row was met by a kind of fault.
    pub(super) fn is_met(&self, fault: &str, place: &str, kind: &str) -> bool {
        let mut rows = self.rows.iter();
        let row = rows.find(|row| row.name.fault == fault && row.name.place == place);
        row.is_some_and(|row| row.rounds.contains_key(kind))
    }

    /// Says of every row of a fault why it was not tried.
    pub(super) fn skip(&mut self, fault: &str, why: &str) {
        for row in self.rows.iter_mut().filter(|row| row.name.fault == fault) {
            row.skipped = Some(why.to_owned());
        }
    }

    /// What is wrong, row by row; nothing where every fault ended as it must.
    #[must_use]
    pub fn wrong(&self) -> Vec<String> {
        let wrong = |row: &Row| {
            let Name { fault, place, .. } = row.name;
            Some(format!("{fault}, {place}: {}", row.wrong()?))
        };
        self.rows.iter().filter_map(wrong).collect()
    }

    /// The table, as Markdown.
    #[must_use]
    pub fn to_markdown(&self) -> String {
        let mut text = "| Fault | Where | Rounds | Outcome |\n|---|---|---:|---|\n".to_owned();
        for row in &self.rows {
            let Name { fault, place, .. } = row.name;
            // Writing into a text can't fail.
            let _ = writeln!(
                text,
                "| {fault} | {place} | {} | {} |",
                row.rounds_text(),
                row.outcome_text()
            );
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEPT: Name = Name::kept("cut", "here");
    const SEEN: Name = Name::refused("flip", "there");

    fn table() -> Table {
        let mut table = Table::default();
        table.expect(&[KEPT], &["EIO", "SIGKILL"]);
        table.expect(&[SEEN], &[]);
        table
    }

    #[test]
    fn a_row_is_good_only_after_each_of_its_faults_ended_as_it_must() {
        let mut table = table();
        assert_eq!(table.wrong().len(), 2, "nothing was tried");
        table.count("cut", "here", "EIO", Outcome::Kept);
        table.count(
            "flip",
            "there",
            "",
            Outcome::Refused("entry 7 | is damaged".into()),
        );
        assert_eq!(table.wrong(), ["cut, here: SIGKILL was never tried"]);
        table.count("cut", "here", "SIGKILL", Outcome::Kept);
        assert_eq!(table.wrong(), Vec::<String>::new());
        let text = table.to_markdown();
        assert!(text.contains("| cut | here | EIO 1, SIGKILL 1 | nothing acknowledged is lost |"));
        assert!(text.contains("| flip | there | 1 | refuses: *entry 7 / is damaged* |"));
    }

    #[test]
    fn a_loss_a_refusal_of_what_is_whole_and_damage_that_nobody_sees_are_bad() {
        for (fault, place, outcome) in [
            ("cut", "here", Outcome::Bad("entry 3 is lost".into())),
            ("cut", "here", Outcome::Refused("it can not start".into())),
            ("flip", "there", Outcome::Kept),
        ] {
            let mut table = table();
            table.count(fault, place, "", outcome.clone());
            let wrong = table.wrong().join("\n");
            assert!(
                wrong.contains("1 of its rounds are bad"),
                "{outcome:?}: {wrong}"
            );
            assert!(table.to_markdown().contains("**BAD**"));
        }
    }

    #[test]
    fn a_place_without_a_row_is_bad_and_what_was_skipped_is_not() {
        let mut table = table();
        table.skip("cut", "no root");
        table.skip("flip", "no root");
        assert!(table.wrong().is_empty());
        table.count("cut", "elsewhere", "", Outcome::Kept);
        assert_eq!(table.wrong().len(), 1);
    }
}
