//! The authorities' acts as the ledger has them, and a small file that says where they lie.
//!
//! The ledger is the truth: a broker that starts lets each act happen again, under the signature of
//! its author. The file beside the keys only spares it reading the whole ledger for them. Without
//! it, or where it is not what was written, the whole ledger is read.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use accord_proto::{
    agreement::{ActError, NotNow},
    document::text_sha256,
    v1::{self, Entry, entry::Event},
};
use jiff::Timestamp;
use prost::Message as _;

use super::store::hex;
use crate::{
    durable,
    ledger::{Ledger, LedgerError, StoredEntry},
};

/// Its name, beside the broker's keys.
const NAME: &str = "agreement-acts";
const HEAD: &str = "accord agreement acts v1";
/// The first bytes of an entry: its salt, 32 bytes long. Then comes the event's tag.
const EVENT_TAG_AT: usize = 34;
const AGREEMENT_ACT_TAG: u8 = (13 << 3) | 2;

/// Where an entry lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct At {
    /// The log's origin.
    pub origin: String,
    /// The index in it.
    pub index: u64,
}

/// An act on the record.
#[derive(Clone, Debug)]
pub struct RecordedAct {
    /// Where.
    pub at: At,
    /// When the ledger stamped it.
    pub time: Timestamp,
    /// What.
    pub act: v1::AgreementAct,
}

/// Why the acts on the record do not become a state.
#[derive(Debug, thiserror::Error)]
pub enum LifeError {
    /// The ledger.
    #[error("{0}")]
    Ledger(#[from] LedgerError),
    /// An act that its author did not sign.
    #[error("entry {index} of {origin} is no act of an authority: {error}")]
    Act {
        /// Where.
        origin: String,
        /// Which entry.
        index: u64,
        /// Why.
        error: ActError,
    },
    /// An act that can't have happened then.
    #[error("entry {index} of {origin} can't have happened there: {error}")]
    Order {
        /// Where.
        origin: String,
        /// Which entry.
        index: u64,
        /// Why.
        error: NotNow,
    },
}

/// The file that says where the acts lie.
#[derive(Clone, Debug)]
pub(super) struct ActsFile {
    path: PathBuf,
}

/// What it says.
#[derive(Debug, PartialEq, Eq)]
struct Pointers {
    /// No act lies after the last one up to here.
    through: At,
    acts: Vec<At>,
}

impl ActsFile {
    /// In the directory of the broker's keys.
    #[must_use]
    pub(super) fn beside_keys(keys: &Path) -> Self {
        Self {
            path: keys.join(NAME),
        }
    }

    /// Every act on the record, oldest first.
    ///
    /// # Errors
    /// If the ledger can't be read.
    pub(super) fn recall(&self, ledger: &Ledger) -> Result<Vec<RecordedAct>, LedgerError> {
        if let Some(pointers) = self.read() {
            if let Some(acts) = pointed_at(ledger, &pointers)? {
                return Ok(acts);
            }
            tracing::warn!("the list of acts is not the ledger's; the whole ledger is read");
        }
        let mut acts = Vec::new();
        ledger.scan_since(Timestamp::MIN, |stored| acts.extend(act(stored)))?;
        Ok(acts)
    }

    /// Writes down where the acts lie, and that none lies between the last one and `through`.
    pub(super) fn write(&self, through: &At, acts: &[At]) -> io::Result<()> {
        let line = |at: &At| format!("{} {}\n", at.origin, at.index);
        let acts: String = acts.iter().map(line).collect();
        let text = format!("{HEAD}\n{}{acts}", line(through));
        let sum = hex(&text_sha256(&text));
        let text = format!("{text}sha256 {sum}\n");
        durable::replace(&self.path, text.as_bytes()).map_err(|failed| failed.source)
    }

    fn read(&self) -> Option<Pointers> {
        let file = fs::read_to_string(&self.path).ok()?;
        let (text, sum) = file.trim_end().rsplit_once('\n')?;
        let text = format!("{text}\n");
        if sum != format!("sha256 {}", hex(&text_sha256(&text))) {
            return None;
        }
        let mut lines = text.lines();
        if lines.next()? != HEAD {
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
}

/// The acts where the file says, and those after it; `None` if it says something wrong.
fn pointed_at(
    ledger: &Ledger,
    pointers: &Pointers,
) -> Result<Option<Vec<RecordedAct>>, LedgerError> {
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
        match read_act(ledger, at)? {
            Some(act) => found.push(act),
            None => return Ok(None),
        }
    }
    let month = through.origin.rsplit('/').next().unwrap_or_default();
    let Ok(since) = format!("{month}-01T00:00:00Z").parse::<Timestamp>() else {
        return Ok(None);
    };
    ledger.scan_since(since, |stored| {
        if stored.origin != through.origin || stored.index > through.index {
            found.extend(act(stored));
        }
    })?;
    Ok(Some(found))
}

/// The act in one entry; `None` if it holds something else.
pub(super) fn read_act(ledger: &Ledger, at: &At) -> Result<Option<RecordedAct>, LedgerError> {
    let bytes = ledger.entry(Some(&at.origin), at.index)?;
    let Ok(entry) = Entry::decode(bytes.as_slice()) else {
        return Ok(None);
    };
    let ms = i64::try_from(entry.time_unix_ms).unwrap_or(i64::MAX);
    Ok(match entry.event {
        Some(Event::AgreementAct(act)) => Some(RecordedAct {
            at: at.clone(),
            time: Timestamp::from_millisecond(ms).unwrap_or(Timestamp::MAX),
            act,
        }),
        Some(_) | None => None,
    })
}

fn act(stored: &StoredEntry<'_>) -> Option<RecordedAct> {
    // Decoding costs more than reading, so other events are passed over undecoded.
    if stored.bytes.get(EVENT_TAG_AT) != Some(&AGREEMENT_ACT_TAG) {
        return None;
    }
    let Some(Event::AgreementAct(act)) = Entry::decode(stored.bytes).ok()?.event else {
        return None;
    };
    Some(RecordedAct {
        at: At {
            origin: stored.origin.to_owned(),
            index: stored.index,
        },
        time: stored.time,
        act,
    })
}
