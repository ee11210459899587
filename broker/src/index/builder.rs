//! From entries to rows. The blocks at the end are kept in memory, and their rows written again
//! with each batch until they are full.

use std::collections::HashMap;

use accord_proto::{merkle::Hash, segment::time_of, v1::Entry};
use prost::Message as _;

use super::{
    bits::{BLOCK_ENTRIES, Bits},
    error::IndexError,
    state::{LogState, State, TERMS_MAX, block_key},
    store::{Key, Kind, Row, Store},
    subjects::{LARGE_BLOCK_ENTRIES, Short, by_bucket, mention},
    terms::{each_term, tags},
    times::Times,
};

/// The rows to be, from the entries in their order.
#[derive(Debug)]
pub(super) struct Builder {
    state: State,
    /// The numbers of the terms.
    numbers: HashMap<String, u32>,
    /// Of the block at the end.
    bits: HashMap<u32, Slot<Bits>>,
    times: Slot<Times>,
    mentions: Slot<Vec<u8>>,
    /// The mentions of the full blocks of the large block at the end.
    large: Vec<Full>,
    /// Rows of blocks that are full.
    full: Vec<Row>,
    buffer: String,
}

/// The mentions of a full block, as they stand in its row.
#[derive(Debug)]
struct Full {
    key: Key,
    mentions: Vec<u8>,
    crc: u32,
}

/// What becomes a row.
#[derive(Debug, Default)]
struct Slot<T> {
    value: T,
    /// The check sum of the row as it was last made.
    crc: Option<u32>,
    changed: bool,
}

impl<T> Slot<T> {
    /// As it stands in a row.
    const fn stored(value: T, crc: u32) -> Self {
        Self {
            value,
            crc: Some(crc),
            changed: false,
        }
    }

    fn change(&mut self) -> &mut T {
        self.changed = true;
        &mut self.value
    }
}

impl Builder {
    /// Goes on where the rows end.
    pub(super) fn resume(state: State, store: &Store) -> Result<Self, IndexError> {
        let numbers = (0..).zip(&state.terms);
        let numbers = numbers
            .map(|(number, name)| (name.clone(), number))
            .collect();
        let mut builder = Self {
            state,
            numbers,
            bits: HashMap::new(),
            times: Slot::default(),
            mentions: Slot::default(),
            large: Vec::new(),
            full: Vec::new(),
            buffer: String::new(),
        };
        if let Some((log, entries)) = builder.end() {
            builder.load(log, entries, store)?;
        }
        Ok(builder)
    }

    /// The blocks at the end, as their rows have them.
    fn load(&mut self, log: u32, entries: u64, store: &Store) -> Result<(), IndexError> {
        let damaged = || IndexError::Damaged("the rows at the end can't be read");
        let b = block_key(log, entries / BLOCK_ENTRIES);
        if !entries.is_multiple_of(BLOCK_ENTRIES) {
            for number in self.numbers.values() {
                let key = key(Kind::Term, (*number).into(), b);
                if let Some(payload) = store.row(key)? {
                    let bits = Bits::decode(&payload).ok_or_else(damaged)?;
                    let (_, crc) = Row::sealed(key, payload);
                    self.bits.insert(*number, Slot::stored(bits, crc));
                }
            }
            let key = key(Kind::Times, 0, b);
            let payload = store.row(key)?.ok_or_else(damaged)?;
            let times = Times::decode(&payload).ok_or_else(damaged)?;
            self.times = Slot::stored(times, Row::sealed(key, payload).1);
        }
        let last = entries / BLOCK_ENTRIES;
        let large = entries / LARGE_BLOCK_ENTRIES * (LARGE_BLOCK_ENTRIES / BLOCK_ENTRIES);
        for block in large..=last {
            let key = key(Kind::Mentions, 0, block_key(log, block));
            let Some(mentions) = store.row(key)? else {
                continue;
            };
            let (_, crc) = Row::sealed(key, mentions.clone());
            if block == last {
                self.mentions = Slot::stored(mentions, crc);
            } else {
                self.large.push(Full { key, mentions, crc });
            }
        }
        Ok(())
    }

    /// The newest log, and how many of its entries were taken.
    pub(super) fn end(&self) -> Option<(u32, u64)> {
        let (log, state) = (0_u32..).zip(&self.state.logs).last()?;
        Some((log, state.entries))
    }

    pub(super) const fn state(&self) -> &State {
        &self.state
    }

    /// A log begins, behind all others.
    pub(super) fn begin_log(&mut self, origin: &str) {
        if let Some((log, entries)) = self.end() {
            self.close_block(log, entries / BLOCK_ENTRIES);
            self.close_large_block(log, entries / LARGE_BLOCK_ENTRIES);
        }
        self.state.logs.push(LogState {
            origin: origin.to_owned(),
            entries: 0,
            last_leaf: Hash::default(),
        });
    }

    /// Takes the next entry of the newest log. One that does not decode is found by its time alone.
    pub(super) fn add(&mut self, bytes: &[u8]) -> Result<(), IndexError> {
        let Some((log, index)) = self.end() else {
            return Err(IndexError::Damaged("an entry before its log"));
        };
        let offset = u16::try_from(index % BLOCK_ENTRIES).unwrap_or(0);
        let large = u32::try_from(index % LARGE_BLOCK_ENTRIES).unwrap_or(0);
        self.times.change().push(time_of(bytes).unwrap_or(0));
        let event = Entry::decode(bytes).ok().and_then(|entry| entry.event);
        if let Some(event) = &event {
            let mut buffer = std::mem::take(&mut self.buffer);
            let mut full = false;
            each_term(event, &mut buffer, |term| match self.number(term) {
                Some(number) => self.bits.entry(number).or_default().change().add(offset),
                None => full = true,
            });
            self.buffer = buffer;
            if full {
                return Err(IndexError::TooManyTerms);
            }
            for short in tags(event).into_iter().filter_map(Short::of) {
                mention(self.mentions.change(), short, large);
            }
        }
        if let Some(state) = self.state.logs.last_mut() {
            state.entries = index + 1;
        }
        if (index + 1).is_multiple_of(BLOCK_ENTRIES) {
            self.close_block(log, index / BLOCK_ENTRIES);
        }
        if (index + 1).is_multiple_of(LARGE_BLOCK_ENTRIES) {
            self.close_large_block(log, index / LARGE_BLOCK_ENTRIES);
        }
        Ok(())
    }

    /// Says which entry was the last one taken.
    pub(super) fn last_leaf(&mut self, leaf: Hash) {
        if let Some(state) = self.state.logs.last_mut() {
            state.last_leaf = leaf;
        }
    }

    fn number(&mut self, term: &str) -> Option<u32> {
        if let Some(number) = self.numbers.get(term) {
            return Some(*number);
        }
        if self.state.terms.len() >= TERMS_MAX {
            return None;
        }
        let number = u32::try_from(self.state.terms.len()).ok()?;
        self.state.terms.push(term.to_owned());
        self.numbers.insert(term.to_owned(), number);
        Some(number)
    }

    /// What has changed since the last time, as rows.
    pub(super) fn rows(&mut self) -> Vec<Row> {
        if let Some((log, entries)) = self.end() {
            self.write_block(log, entries / BLOCK_ENTRIES);
        }
        std::mem::take(&mut self.full)
    }

    fn close_block(&mut self, log: u32, block: u64) {
        self.write_block(log, block);
        self.bits.clear();
        self.times = Slot::default();
        let mentions = std::mem::take(&mut self.mentions);
        if let Some(crc) = mentions.crc {
            self.large.push(Full {
                key: key(Kind::Mentions, 0, block_key(log, block)),
                mentions: mentions.value,
                crc,
            });
        }
    }

    /// The mentions of all its blocks go into rows of their buckets.
    fn close_large_block(&mut self, log: u32, block: u64) {
        let blocks = std::mem::take(&mut self.large);
        let b = block_key(log, block);
        for (bucket, row) in by_bucket(blocks.iter().map(|full| full.mentions.as_slice())) {
            let (row, crc) = Row::sealed(key(Kind::Subjects, bucket.into(), b), row);
            self.state.sum.put(None, crc);
            self.full.push(row);
        }
        for full in blocks {
            self.state.sum.remove(full.crc);
            self.full.push(Row::gone(full.key));
        }
    }

    fn write_block(&mut self, log: u32, block: u64) {
        let b = block_key(log, block);
        let mut bits = std::mem::take(&mut self.bits);
        for (number, slot) in &mut bits {
            self.write(key(Kind::Term, (*number).into(), b), slot, Bits::encode);
        }
        self.bits = bits;
        let mut times = std::mem::take(&mut self.times);
        self.write(key(Kind::Times, 0, b), &mut times, Times::encode);
        self.times = times;
        let mut mentions = std::mem::take(&mut self.mentions);
        self.write(key(Kind::Mentions, 0, b), &mut mentions, Vec::clone);
        self.mentions = mentions;
    }

    fn write<T>(&mut self, key: Key, slot: &mut Slot<T>, encode: impl FnOnce(&T) -> Vec<u8>) {
        if !slot.changed {
            return;
        }
        let (row, crc) = Row::sealed(key, encode(&slot.value));
        self.state.sum.put(slot.crc, crc);
        slot.crc = Some(crc);
        slot.changed = false;
        self.full.push(row);
    }
}

const fn key(kind: Kind, a: i64, b: i64) -> Key {
    Key { kind, a, b }
}
