//! What has become of each closed month, folded from the ledger's `KeyAct` entries. The ledger is
//! the truth; the file of this book only saves reading it from its beginning at each start.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use accord_proto::{
    subject::Month,
    v1::{Entry, KeyAct, entry::Event, key_act::Kind},
};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::ClosedError;
use crate::{
    durable,
    entry::{KEY_ACT_TAG, scan_events},
    ledger::Ledger,
};

/// Its name, beside the keys.
const NAME: &str = "closed-months.toml";

/// All months of which the ledger says anything.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Book {
    /// Entries before this are folded in: milliseconds since 1970.
    seen_ms: i64,
    #[serde(default)]
    months: BTreeMap<String, Page>,
    #[serde(skip)]
    path: PathBuf,
}

/// What the ledger says of one month.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Page {
    /// `name sha256` of what the key was split into.
    pub(super) split: Vec<String>,
    /// Who set the legal hold in force.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) hold_by: Option<String>,
    pub(super) lift_asked_by: BTreeSet<String>,
    pub(super) shred_asked_by: BTreeSet<String>,
    pub(super) shredded: bool,
}

impl Page {
    fn fold(&mut self, act: &KeyAct, kind: Kind) {
        let party = || act.party.clone();
        match kind {
            Kind::Split => self.split = split_of(act),
            Kind::HoldSet => {
                self.hold_by.get_or_insert_with(party);
                // Whoever asked before knew of no such hold, and asks again.
                self.lift_asked_by.clear();
                self.shred_asked_by.clear();
            }
            Kind::HoldLiftAsked => drop(self.lift_asked_by.insert(party())),
            Kind::HoldLifted => {
                self.hold_by = None;
                self.lift_asked_by.clear();
            }
            Kind::ShredAsked => drop(self.shred_asked_by.insert(party())),
            Kind::Shredded => {
                self.shredded = true;
                self.shred_asked_by.insert(party());
            }
            Kind::Unspecified | Kind::ShareGiven | Kind::SubjectReported => {}
        }
    }
}

/// What a split left, as the book and the record compare it.
pub(super) fn split_of(act: &KeyAct) -> Vec<String> {
    let hex = |bytes: &[u8]| -> String { bytes.iter().map(|byte| format!("{byte:02x}")).collect() };
    let digests = act.digests.iter();
    let texts = digests.map(|digest| format!("{} {}", digest.name, hex(&digest.sha256)));
    texts.collect()
}

impl Book {
    /// Reads the book and what the ledger said since. `until`: the last entry's time.
    pub(super) fn open(dir: &Path, ledger: &Ledger, until: Timestamp) -> Result<Self, ClosedError> {
        let path = dir.join(NAME);
        let kept = durable::read_if_present(&path)?.map(|bytes| {
            let text = String::from_utf8_lossy(&bytes);
            toml::from_str::<Self>(&text)
        });
        let mut book = match kept {
            Some(Ok(book)) => book,
            Some(Err(error)) => {
                tracing::warn!(%error, "the book of closed months is made anew from the ledger");
                Self::default()
            }
            None => Self::default(),
        };
        book.path = path;
        let since = Timestamp::from_millisecond(book.seen_ms).unwrap_or(Timestamp::MIN);
        scan_events(ledger, since, KEY_ACT_TAG, |entry: Entry, _| {
            if let Some(Event::KeyAct(act)) = entry.event {
                book.fold(&act);
            }
        })?;
        book.save(until)?;
        Ok(book)
    }

    /// Takes an act in. Acts that were taken in before change nothing when they come again in the
    /// same order.
    pub(super) fn fold(&mut self, act: &KeyAct) {
        let Some(month) = Month::parse(&act.month) else {
            return;
        };
        let kind = act.kind();
        if matches!(
            kind,
            Kind::Unspecified | Kind::ShareGiven | Kind::SubjectReported
        ) {
            return;
        }
        self.months
            .entry(month.to_string())
            .or_default()
            .fold(act, kind);
    }

    /// Keeps the book; `until` is a time up to which every entry is in it. Entries of the last
    /// minute are read again at the next start: others may have come between.
    pub(super) fn save(&mut self, until: Timestamp) -> Result<(), ClosedError> {
        let until = until.saturating_sub(SignedDuration::from_mins(1));
        let until = until.unwrap_or(Timestamp::MIN).as_millisecond();
        self.seen_ms = self.seen_ms.max(until);
        let text = toml::to_string(self).map_err(|_| ClosedError::Book)?;
        Ok(durable::replace(&self.path, text.as_bytes())?)
    }

    pub(super) fn page(&self, month: Month) -> Page {
        let page = self.months.get(&month.to_string());
        page.cloned().unwrap_or_default()
    }

    pub(super) fn months(&self) -> impl Iterator<Item = Month> {
        self.months.keys().filter_map(|month| Month::parse(month))
    }
}
