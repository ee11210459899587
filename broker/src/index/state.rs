//! How far the index has come, and what it must still hold: one small record, written with each
//! batch of rows.

use serde::{Deserialize, Serialize};

/// Counts up with each change of what the rows say.
pub(super) const VERSION: u32 = 1;
/// The most different terms: banks, operators and clauses of many years.
pub(super) const TERMS_MAX: usize = 100_000;
/// Bits of a place that are a log's blocks.
const BLOCK_BITS: u32 = 32;

/// A place in the ledger: which log, and which entry of it. Places grow with time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    /// The log's number, from 0, oldest first.
    pub(crate) log: u32,
    /// The entry's index in it.
    pub(crate) index: u64,
}

/// Where the block of an entry lies among the rows: the log's number, then the block's.
pub(super) fn block_key(log: u32, block: u64) -> i64 {
    let block = i64::try_from(block).unwrap_or(i64::MAX);
    (i64::from(log) << BLOCK_BITS) | block
}

/// The block's number in its log.
pub(super) fn block_of(key: i64) -> u64 {
    u64::try_from(key & ((1 << BLOCK_BITS) - 1)).unwrap_or(0)
}

/// How far the index has come.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub(super) struct State {
    pub(super) version: u32,
    /// The logs, oldest first.
    pub(super) logs: Vec<LogState>,
    /// The terms; a term's number is its place in here.
    pub(super) terms: Vec<String>,
    /// Over all rows.
    pub(super) sum: Sum,
}

/// One month's log.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub(super) struct LogState {
    pub(super) origin: String,
    /// Entries that were looked at.
    pub(super) entries: u64,
    /// Leaf hash of the last of them: another ledger has another.
    pub(super) last_leaf: [u8; 32],
}

/// How many rows there are, and what their check sums come to: a row that is lost or changed shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub(super) struct Sum {
    pub(super) rows: u64,
    pub(super) check: u32,
}

impl Sum {
    /// A row is written, perhaps in the place of one.
    pub(super) const fn put(&mut self, old: Option<u32>, new: u32) {
        match old {
            Some(old) => self.check ^= old,
            None => self.rows += 1,
        }
        self.check ^= new;
    }

    /// A row is removed.
    pub(super) const fn remove(&mut self, old: u32) {
        self.rows = self.rows.saturating_sub(1);
        self.check ^= old;
    }
}

impl State {
    pub(super) const fn new() -> Self {
        Self {
            version: VERSION,
            logs: Vec::new(),
            terms: Vec::new(),
            sum: Sum { rows: 0, check: 0 },
        }
    }

    /// The number of a log.
    pub(super) fn log(&self, origin: &str) -> Option<u32> {
        let at = self.logs.iter().position(|log| log.origin == origin)?;
        u32::try_from(at).ok()
    }

    /// The logs with their numbers, from one on.
    pub(super) fn logs_from(&self, first: u32) -> impl Iterator<Item = (u32, &LogState)> {
        (0..).zip(&self.logs).skip(first as usize)
    }

    /// The number of a term.
    pub(super) fn term(&self, name: &str) -> Option<i64> {
        let at = self.terms.iter().position(|term| term == name)?;
        i64::try_from(at).ok()
    }

    /// The newest log's origin and how many of its entries were looked at.
    pub(super) fn extent(&self) -> Option<(String, u64)> {
        self.logs
            .last()
            .map(|log| (log.origin.clone(), log.entries))
    }
}
