//! Rows as they are collected from a file: packed, sorted, and held against each other.

use std::collections::HashMap;

use super::{
    BLOCK_ROWS,
    read::Row,
    row::{NumberRow, RECIPIENTS_MAX, RangeRow, When},
};

/// Rows as they come, and then sorted.
#[derive(Default)]
pub(super) struct Rows {
    pub(super) numbers: Vec<NumberRow>,
    pub(super) ranges: Vec<RangeRow>,
    pub(super) recipients: Vec<Box<str>>,
    known: HashMap<Box<str>, u16>,
    pub(super) count: u64,
}

/// Two rows that can't both be true, by their numbers.
pub(super) struct Doubt {
    pub(super) of: [(u64, Option<u32>, When); 2],
    pub(super) what: &'static str,
}

impl Rows {
    /// Adds a row; `None` if it has one recipient too many.
    pub(super) fn push(&mut self, row: &Row<'_>) -> Option<()> {
        let operator = match self.known.get(row.recipient) {
            Some(operator) => *operator,
            None => {
                let fresh = self.recipients.len();
                if fresh >= RECIPIENTS_MAX {
                    return None;
                }
                let fresh = u16::try_from(fresh).ok()?;
                self.recipients.push(row.recipient.into());
                self.known.insert(row.recipient.into(), fresh);
                fresh
            }
        };
        match row.more {
            None => self
                .numbers
                .push(NumberRow::new(row.first, operator, row.when)),
            Some(more) => {
                let row = RangeRow::new(row.first, more, operator, row.when);
                self.ranges.push(row);
            }
        }
        self.count += 1;
        Some(())
    }

    /// Sorts, drops rows that stand twice, and looks for those that contradict each other.
    pub(super) fn sort(&mut self) -> Option<Doubt> {
        self.numbers
            .sort_unstable_by_key(|row| (row.key(), row.operator()));
        self.numbers.dedup();
        self.numbers.shrink_to_fit();
        self.ranges
            .sort_unstable_by_key(|row| (row.key(), row.last(), row.operator()));
        self.ranges.dedup();
        self.ranges.shrink_to_fit();
        let same = |pair: &&[NumberRow]| matches!(pair, [one, other] if one.key() == other.key());
        if let Some([one, other]) = self.numbers.windows(2).find(same) {
            let of = [one, other].map(|row| (row.number(), None, row.when()));
            let what = "one number, ported to two at the same time";
            return Some(Doubt { of, what });
        }
        let clash = |pair: &&[RangeRow]| {
            matches!(pair, [one, other] if other.first() <= one.last()
                && (one.first() != other.first() || one.last() != other.last()
                    || one.key() == other.key()))
        };
        let [one, other] = self.ranges.windows(2).find(clash)? else {
            return None;
        };
        let of = [one, other].map(|row| (row.first(), Some(row.more()), row.when()));
        let what = "ranges that overlap, or one that was ported to two at the same time";
        Some(Doubt { of, what })
    }

    /// The first number of each block of rows.
    pub(super) fn blocks(&self) -> Vec<u64> {
        let blocks = self.numbers.chunks(BLOCK_ROWS);
        blocks
            .filter_map(|block| block.first())
            .map(|row| row.number())
            .collect()
    }
}
