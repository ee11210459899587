//! Entries of one kind of event, and a small file that says where they lie.
//!
//! The ledger is the truth: a broker that starts lets each act happen again, under the signature of
//! its author. The file beside the keys only spares it reading the whole ledger for them. Without
//! it, or where it is not what was written, the whole ledger is read.

use std::path::PathBuf;

use accord_proto::{
    document::text_sha256,
    v1::{Entry, entry::Event},
};
use jiff::Timestamp;
use prost::Message as _;

use crate::{
    durable,
    entry::is_event,
    ledger::{Ledger, LedgerError, StoredEntry},
};

/// Where an entry lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct At {
    /// The log's origin.
    pub origin: String,
    /// The index in it.
    pub index: u64,
}

/// One of these entries.
#[derive(Clone, Debug)]
pub(crate) struct Recorded {
    /// Where.
    pub(crate) at: At,
    /// When the ledger stamped it.
    pub(crate) time: Timestamp,
    /// What.
    pub(crate) event: Event,
}

/// The file that says where they lie.
#[derive(Clone, Debug)]
pub(crate) struct ActsFile {
    path: PathBuf,
    heading: &'static str,
    /// Of the event, in an entry's bytes.
    tag: u8,
}

/// What it says.
#[derive(Debug, PartialEq, Eq)]
struct Pointers {
    /// No act lies after the last one up to here.
    through: At,
    acts: Vec<At>,
}

impl ActsFile {
    /// A file with this first line, for the events of this tag.
    pub(crate) const fn new(path: PathBuf, heading: &'static str, tag: u8) -> Self {
        Self { path, heading, tag }
    }

    /// Every act on the record, oldest first. Acts that [`Self::write`] was not told of may be
    /// missing.
    ///
    /// # Errors
    /// If the ledger can't be read.
    pub(crate) fn recall(&self, ledger: &Ledger) -> Result<Vec<Recorded>, LedgerError> {
        if let Some(pointers) = self.read() {
            if let Some(acts) = self.pointed_at(ledger, &pointers)? {
                return Ok(acts);
            }
            let path = self.path.display();
            tracing::warn!(%path, "the list of acts is not the ledger's; the whole ledger is read");
        }
        scan(ledger, Timestamp::MIN, self.tag)
    }

    /// Writes down where the acts lie, and that none lies between the last one and `through`.
    pub(crate) fn write(&self, through: &At, acts: &[At]) -> Result<(), durable::Failed> {
        let line = |at: &At| format!("{} {}\n", at.origin, at.index);
        let acts: String = acts.iter().map(line).collect();
        let text = format!("{}\n{}{acts}", self.heading, line(through));
        let sum = sum(&text);
        durable::replace(&self.path, format!("{text}sha256 {sum}\n").as_bytes())
    }

    fn read(&self) -> Option<Pointers> {
        let file = String::from_utf8(durable::read_if_present(&self.path).ok()??).ok()?;
        let (text, found) = file.trim_end().rsplit_once('\n')?;
        let text = format!("{text}\n");
        if found != format!("sha256 {}", sum(&text)) {
            return None;
        }
        let mut lines = text.lines();
        if lines.next()? != self.heading {
            return None;
        }
        let at = |line: &str| {
            let (origin, index) = line.rsplit_once(' ')?;
            Some(At {
                origin: origin.to_owned(),
                index: index.parse().ok()?,
            })
        };
        let through = at(lines.next()?)?;
        let acts: Option<Vec<At>> = lines.map(at).collect();
        Some(Pointers {
            through,
            acts: acts?,
        })
    }

    /// The acts where the file says, and those after it; `None` if it says something wrong.
    fn pointed_at(
        &self,
        ledger: &Ledger,
        pointers: &Pointers,
    ) -> Result<Option<Vec<Recorded>>, LedgerError> {
        let Pointers { through, acts } = pointers;
        // A ledger from an older copy has not come so far: then nothing here is to be believed.
        let origins = ledger.origins()?;
        let known = |at: &At| origins.contains(&at.origin);
        if !acts.iter().chain([through]).all(known)
            || ledger.size_of(Some(&through.origin))? <= through.index
        {
            return Ok(None);
        }
        let mut found = Vec::with_capacity(acts.len());
        for at in acts {
            match read_at(ledger, at, self.tag)? {
                Some(act) => found.push(act),
                None => return Ok(None),
            }
        }
        let month = through.origin.rsplit('/').next().unwrap_or_default();
        let Ok(since) = format!("{month}-01T00:00:00Z").parse::<Timestamp>() else {
            return Ok(None);
        };
        let mut later = scan(ledger, since, self.tag)?;
        later.retain(|act| act.at.origin != through.origin || act.at.index > through.index);
        found.extend(later);
        Ok(Some(found))
    }
}

fn sum(text: &str) -> String {
    accord_proto::hex::encode(&text_sha256(text))
}

/// The entries of an event from a moment on, oldest first, over all months. Reads files, so it
/// blocks.
///
/// # Errors
/// If the ledger can't be read.
pub(crate) fn scan(
    ledger: &Ledger,
    since: Timestamp,
    tag: u8,
) -> Result<Vec<Recorded>, LedgerError> {
    let mut found = Vec::new();
    ledger.scan_since(since, |stored| found.extend(recorded(stored, tag)))?;
    Ok(found)
}

/// What one entry holds; `None` if it is another event.
///
/// # Errors
/// If the ledger can't be read.
pub(crate) fn read_at(ledger: &Ledger, at: &At, tag: u8) -> Result<Option<Recorded>, LedgerError> {
    let bytes = ledger.entry(Some(&at.origin), at.index)?;
    let time = Entry::decode(bytes.as_slice()).map_or(0, |entry| entry.time_unix_ms);
    let ms = i64::try_from(time).unwrap_or(i64::MAX);
    let stored = StoredEntry {
        origin: &at.origin,
        index: at.index,
        time: Timestamp::from_millisecond(ms).unwrap_or(Timestamp::MAX),
        bytes: &bytes,
    };
    Ok(recorded(&stored, tag))
}

fn recorded(stored: &StoredEntry<'_>, tag: u8) -> Option<Recorded> {
    // Decoding costs more than reading, so other events are passed over undecoded.
    if !is_event(stored.bytes, tag) {
        return None;
    }
    Some(Recorded {
        at: At {
            origin: stored.origin.to_owned(),
            index: stored.index,
        },
        time: stored.time,
        event: Entry::decode(stored.bytes).ok()?.event?,
    })
}
