//! What a polling source remembers between two polls, durably: when a number's identity (its
//! IMSI, say) was last seen unchanged, and the interval in which it last changed.
//!
//! ```text
//!            sample        sample           gap > gap_max          sample
//!   ──────────●─────────────●──────────────────────────────────────●──────▶ time
//!             X             X                                      Y
//!             since         last_same = A                          B
//!                                          changed_in = (A, B], since = B
//! ```
//!
//! A sample was taken somewhere between the instant when it was asked for (`sent`) and the one
//! when it came (`received`). Every bound here uses the end that claims less.
//!
//! **What the journal says, and why it is true**
//!
//! - *First sample*: watched since `received`. Nothing is known about before.
//! - *Same identity, within `gap_max` of the last same sample*: no change. (A swap and back
//!   between two polls can't be seen; `gap_max` is what the agreement accepts of that.)
//! - *Other identity*: the last change lies in `(A, B]`, A the `sent` of the last same sample, B
//!   the `received` of this one. Within `gap_max` the watch goes on. After a longer gap the
//!   interval is still true, since at least one change lies in it and nothing after it, but the
//!   watch restarts at B.
//! - *Same identity after a longer gap*: the watch restarts at B, because a swap and back may have
//!   happened. A change known before, in `(A0, B0]`, is no longer surely the last: the last one
//!   lies in `(A0, B]`, so the interval grows to that. This loses nothing: a window that
//!   lies after A0 is still *yes*, and only a window that begins after B was ever *no*.
//! - *No subscriber* for a number seen before (in Osmocom a swap passes through that state):
//!   nothing moves. What was known stands, vouched for until the last same sample.
//! - *The clock went back* by more than a request may last: nothing earlier can be compared with
//!   now. The number starts anew, as on its first sample.
//! - *A sample that overlaps a newer one* in time says nothing about order, and is ignored.
//!
//! A restart of the program is no special case: what counts is the time between samples.
//!
//! On disk a number is sealed (AES-256-GCM-SIV) and an identity is a keyed digest, both under keys
//! derived from the key file, which belongs on another volume than the journal.

mod disk;
mod entry;
mod frame;
mod keys;
mod rules;
#[cfg(any(test, feature = "test-util"))]
pub mod testing;
mod track;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use accord_proto::msisdn::Msisdn;
use jiff::{SignedDuration, Timestamp};

pub use self::entry::{Known, Outcome};
pub(crate) use self::rules::Watching;
pub(crate) use self::track::{FlushError, Track};
use self::{
    disk::Disk,
    entry::{Entry, Micros},
    frame::Frame,
    keys::Keys,
};

/// The longest that one sample may take, from asking to reply. A sample that begins before the
/// last one ended by less than this overlaps it; by more, the clock went back.
pub const SAMPLE_MAX: SignedDuration = SignedDuration::from_secs(10);

/// Changes wait here for the next [`IntervalJournal::flush`]; a caller flushes when there are more.
pub const PENDING_FRAMES_MAX: usize = 1024;

/// What was journalled so long before the program ended, or before something failed, may have been told
/// to nobody: much longer than a sweep takes to come to an end.
const UNTOLD_MICROS: Micros = 600 * 1_000_000;

/// Where the journal lies, and what it accepts.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Directory of the journal; made if absent.
    pub directory: PathBuf,
    /// 32 random bytes as 64 hexadecimal digits; made if both it and the journal are absent.
    pub key_file: PathBuf,
    /// The longest time between two samples of one number that is not a gap.
    pub gap_max: SignedDuration,
    /// The most numbers watched.
    pub watched_max: usize,
}

/// Why the journal can't be used. It never names a number.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// Reading or writing failed.
    #[error("can't {doing} `{}`", path.display())]
    Io {
        /// What was tried.
        doing: &'static str,
        /// On which file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
    /// Another process has it open.
    #[error("another process uses the interval journal in `{}`", .0.display())]
    Locked(PathBuf),
    /// It is no journal, or of a version that this program does not know.
    #[error("`{}` is no interval journal of this version", .0.display())]
    Foreign(PathBuf),
    /// It was written under another key.
    #[error("the key in `{}` is not the one that the interval journal was written with", .0.display())]
    WrongKey(PathBuf),
    /// The key file does not hold a key.
    #[error("`{}` must hold 64 hexadecimal digits", .0.display())]
    BadKey(PathBuf),
    /// The journal is there and its key is not.
    #[error("the interval journal exists but its key file `{}` does not", .0.display())]
    KeyMissing(PathBuf),
    /// Cryptography failed: too little randomness, or a sealed number that does not open.
    #[error("sealing or opening a number of the interval journal failed")]
    Crypto,
    /// More numbers than the limit.
    #[error("the interval journal holds more numbers than `watched_max`")]
    TooMany,
}

/// What was found when the journal was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Opened {
    /// Numbers watched.
    pub watched: usize,
    /// Bytes of an unfinished write, dropped from the end.
    pub torn_bytes: u64,
    /// Damage before the end: what followed was set aside and every watch restarts.
    pub damaged: bool,
}

/// A number that was seen before, and that nobody has now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Missed {
    /// At the sample before somebody had it.
    pub newly: bool,
}

/// The journal.
pub struct IntervalJournal {
    settings: Settings,
    keys: Keys,
    opened: Opened,
    table: Mutex<Table>,
    disk: Mutex<Disk>,
}

struct Table {
    entries: HashMap<Msisdn, Entry>,
    /// Not yet written, in the order of their making.
    pending: Vec<Frame>,
    /// What was found since then may have been told to nobody.
    untold_since: Option<Micros>,
}

impl Table {
    fn doubt_told(&mut self) {
        let newest = self.entries.values().map(Entry::newest).max();
        let since = newest.map(|at| at.saturating_sub(UNTOLD_MICROS));
        self.untold_since = [self.untold_since, since].into_iter().flatten().min();
    }
}

impl IntervalJournal {
    /// Opens the journal, or begins one.
    ///
    /// # Errors
    /// [`JournalError`]. Nothing is believed of a journal of another version or key.
    pub fn open(settings: Settings) -> Result<Self, JournalError> {
        let exists = Disk::exists(&settings.directory);
        let keys = Keys::load(&settings.key_file, exists)?;
        let (disk, loaded) = Disk::open(&settings.directory, &settings.key_file, &keys)?;
        let mut entries = HashMap::new();
        for frame in loaded.frames {
            match frame {
                Frame::State { sealed, entry } => {
                    let msisdn = keys.unseal(sealed)?;
                    entries.insert(msisdn, entry);
                }
                Frame::Sweep { at } => {
                    entries.values_mut().for_each(|entry| entry.swept(at));
                }
            }
        }
        if entries.len() > settings.watched_max {
            return Err(JournalError::TooMany);
        }
        if loaded.damaged {
            entries.values_mut().for_each(Entry::distrust);
        }
        let opened = Opened {
            watched: entries.len(),
            torn_bytes: loaded.torn_bytes,
            damaged: loaded.damaged,
        };
        let mut table = Table {
            entries,
            pending: Vec::new(),
            untold_since: None,
        };
        table.doubt_told();
        Ok(Self {
            settings,
            keys,
            opened,
            table: Mutex::new(table),
            disk: Mutex::new(disk),
        })
    }

    /// What was found at opening.
    #[must_use]
    pub const fn opened(&self) -> Opened {
        self.opened
    }

    /// Records that a number had an identity at some time in `[sent, received]`.
    ///
    /// `None` if the number is new and `watched_max` is reached. A change is durable only after
    /// the next [`flush`](Self::flush): flush before telling anybody.
    ///
    /// # Errors
    /// [`JournalError::Crypto`]; nothing was recorded then.
    pub fn seen(
        &self,
        msisdn: Msisdn,
        identity: &str,
        sent: Timestamp,
        received: Timestamp,
    ) -> Result<Option<(Outcome, Known)>, JournalError> {
        let identity = self.keys.identity(identity);
        let (sent, received) = (entry::floor(sent), entry::ceil(received));
        let mut table = self.table();
        let (outcome, entry) = match table.entries.get(&msisdn) {
            None if table.entries.len() >= self.settings.watched_max => return Ok(None),
            None => (Outcome::Began, Entry::first(identity, sent, received)),
            Some(entry) => {
                let mut entry = *entry;
                let outcome = entry.seen(identity, sent, received, self.settings.gap_max);
                (outcome, entry)
            }
        };
        if outcome.must_be_written() {
            let sealed = self.keys.seal(&msisdn)?;
            table.pending.push(Frame::State { sealed, entry });
        }
        table.entries.insert(msisdn, entry);
        Ok(Some((outcome, entry.known())))
    }

    /// Records that a poll found no subscriber with this number, or could not tell. `None`: never seen,
    /// so there is nothing to protect.
    ///
    /// # Errors
    /// [`JournalError::Crypto`]; nothing was recorded then.
    pub fn missed(&self, msisdn: &Msisdn) -> Result<Option<Missed>, JournalError> {
        let mut table = self.table();
        let Some(entry) = table.entries.get_mut(msisdn) else {
            return Ok(None);
        };
        let newly = !std::mem::replace(&mut entry.missing, true);
        let entry = *entry;
        if newly {
            // A sweep vouches for every number that is not missing, so this must be on disk
            // before the next sweep is.
            let sealed = self.keys.seal(msisdn)?;
            table.pending.push(Frame::State { sealed, entry });
        }
        Ok(Some(Missed { newly }))
    }

    /// Records that every watched number that is not missing was sampled at `began` or later and
    /// was then as it stands here. Saves writing each of them.
    pub fn swept(&self, began: Timestamp) {
        let at = entry::floor(began);
        self.table().pending.push(Frame::Sweep { at });
    }

    /// What is known of a number.
    #[must_use]
    pub fn known(&self, msisdn: &Msisdn) -> Option<Known> {
        self.table().entries.get(msisdn).map(Entry::known)
    }

    /// The numbers watched.
    #[must_use]
    pub fn watched(&self) -> Vec<Msisdn> {
        self.table().entries.keys().copied().collect()
    }

    /// How many numbers are watched.
    #[must_use]
    pub fn watched_count(&self) -> usize {
        self.table().entries.len()
    }

    /// How many records wait to be written.
    #[must_use]
    pub fn pending_count(&self) -> usize {
        self.table().pending.len()
    }

    /// Writes and syncs what is pending; blocks. After a failure the next flush writes the whole
    /// journal anew into another file: a failed sync is never repeated on the same one.
    ///
    /// # Errors
    /// [`JournalError::Io`]; the records are still known in memory, and [`untold`](Self::untold).
    pub fn flush(&self) -> Result<(), JournalError> {
        let flushed = self.write();
        if flushed.is_err() {
            self.doubt_told();
        }
        flushed
    }

    /// Who is to be told of the newest changes did not come to it.
    pub fn doubt_told(&self) {
        self.table().doubt_told();
    }

    /// Changes, and numbers newly missing, that may have been told to nobody: once after opening, after a
    /// flush that failed, and after [`doubt_told`](Self::doubt_told). Flush before telling anybody.
    #[must_use]
    pub fn untold(&self) -> Vec<(Msisdn, Known)> {
        let mut table = self.table();
        let Some(since) = table.untold_since.take() else {
            return Vec::new();
        };
        let recent = table.entries.iter().filter(|(_, of)| of.is_news(since));
        recent.map(|(msisdn, of)| (*msisdn, of.known())).collect()
    }

    fn write(&self) -> Result<(), JournalError> {
        let mut disk = self.disk.lock().unwrap_or_else(PoisonError::into_inner);
        let (pending, watched) = {
            let mut table = self.table();
            (std::mem::take(&mut table.pending), table.entries.len())
        };
        if disk.must_rewrite(watched, pending.len()) {
            disk.distrust();
            let frames = self.snapshot()?;
            return disk.rewrite(&self.keys, &frames);
        }
        disk.append(&pending)
    }

    fn snapshot(&self) -> Result<Vec<Frame>, JournalError> {
        let entries: Vec<(Msisdn, Entry)> = {
            let mut table = self.table();
            // What is in the entries need not be written again after them.
            table.pending.clear();
            table
                .entries
                .iter()
                .map(|(key, entry)| (*key, *entry))
                .collect()
        };
        let seal = |(msisdn, entry): (Msisdn, Entry)| {
            let sealed = self.keys.seal(&msisdn)?;
            Ok(Frame::State { sealed, entry })
        };
        entries.into_iter().map(seal).collect()
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The directory of the journal.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.settings.directory
    }
}

impl std::fmt::Debug for IntervalJournal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("IntervalJournal")
            .field("directory", &self.settings.directory)
            .field("opened", &self.opened)
            .finish_non_exhaustive()
    }
}
