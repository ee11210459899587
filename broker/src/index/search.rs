//! Finds the places of one page: each block's bits of all terms, or the mentions of a subject.
//!
//! The work of one page is bounded: where the bound is met, the page ends early and says where to
//! go on.

mod cursor;

use cursor::Cursor;

use super::{
    bits::{BLOCK_ENTRIES, Bits},
    error::IndexError,
    state::{LogState, Place, State, block_key, block_of},
    store::{Key, Kind, Store},
    subjects::{BLOCKS_OF_LARGE, LARGE_BLOCK_ENTRIES, Short, mentions},
    times::Times,
};

/// The most rows that are looked at for one page.
const ROWS_MAX: usize = 20_000;

/// What is looked for: all of it must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Wanted {
    /// Terms, all of which an entry has.
    pub(crate) terms: Vec<String>,
    /// Tags, one of which an entry names; empty: whatever it names.
    pub(crate) tags: Vec<Vec<u8>>,
    /// Milliseconds since 1970: from is included, until is not.
    pub(crate) from_ms: Option<u64>,
    pub(crate) until_ms: Option<u64>,
}

/// What was found.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Found {
    /// Oldest first.
    pub(crate) places: Vec<Place>,
    /// Where to go on; `None`: there are no more at present.
    pub(crate) next: Option<Place>,
}

/// Looks from a place on.
pub(super) fn search(
    store: &Store,
    state: &State,
    wanted: &Wanted,
    from: Place,
    count_max: usize,
) -> Result<Found, IndexError> {
    let mut page = Page {
        store,
        places: Vec::new(),
        count_max: count_max.max(1),
        rows_left: ROWS_MAX,
        next: None,
    };
    let terms: Option<Vec<i64>> = wanted.terms.iter().map(|term| state.term(term)).collect();
    // A term that no entry has.
    let Some(terms) = terms else {
        return Ok(page.found());
    };
    for (number, log) in state.logs_from(from.log) {
        let first = if number == from.log { from.index } else { 0 };
        let mut range = page.range(number, log, wanted, first)?;
        if number as usize + 1 == state.logs.len() {
            range.open = Some(log.entries / LARGE_BLOCK_ENTRIES);
        }
        if range.first >= range.end {
            continue;
        }
        match (wanted.tags.as_slice(), terms.as_slice()) {
            ([], []) => page.all(&range),
            ([], terms) => page.with_terms(&range, terms)?,
            (tags, terms) => page.with_tags(&range, tags, terms)?,
        }
        if page.next.is_some() {
            break;
        }
    }
    Ok(page.found())
}

/// Entries of one log.
#[derive(Clone, Copy, Debug)]
struct Range {
    log: u32,
    first: u64,
    end: u64,
    /// The large block that is not full yet, in the newest log.
    open: Option<u64>,
}

impl Range {
    const fn holds(&self, index: u64) -> bool {
        self.first <= index && index < self.end
    }
}

struct Page<'s> {
    store: &'s Store,
    places: Vec<Place>,
    count_max: usize,
    rows_left: usize,
    next: Option<Place>,
}

impl Page<'_> {
    fn found(self) -> Found {
        Found {
            places: self.places,
            next: self.next,
        }
    }

    /// Adds a place, or remembers it as the first of the next page; `false`: the page is full.
    fn take(&mut self, log: u32, index: u64) -> bool {
        let place = Place { log, index };
        if self.places.len() < self.count_max {
            self.places.push(place);
            true
        } else {
            self.next = Some(place);
            false
        }
    }

    /// Counts a row; `false`: as many as may be were looked at, and the next page begins at a place.
    fn spend(&mut self, log: u32, index: u64) -> bool {
        match self.rows_left.checked_sub(1) {
            Some(left) => {
                self.rows_left = left;
                true
            }
            None => {
                self.next = Some(Place { log, index });
                false
            }
        }
    }

    /// The entries of a log that lie in the wanted time.
    fn range(
        &self,
        log: u32,
        state: &LogState,
        wanted: &Wanted,
        first: u64,
    ) -> Result<Range, IndexError> {
        let before = |time: Option<u64>, else_: u64| match time {
            Some(time) => self.before(log, state.entries, time),
            None => Ok(else_),
        };
        let from = before(wanted.from_ms, 0)?;
        Ok(Range {
            log,
            first: first.max(from),
            end: before(wanted.until_ms, state.entries)?.min(state.entries),
            open: None,
        })
    }

    /// How many entries of a log are before a time.
    fn before(&self, log: u32, entries: u64, unix_ms: u64) -> Result<u64, IndexError> {
        let (mut low, mut high) = (0, entries.div_ceil(BLOCK_ENTRIES));
        // Blocks below `low` begin before the time, blocks from `high` on do not.
        while low < high {
            let middle = low.midpoint(high);
            let begins = self.times(log, middle)?.first();
            if begins.is_some_and(|first| first < unix_ms) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        let Some(block) = low.checked_sub(1) else {
            return Ok(0);
        };
        let within = self.times(log, block)?.before(unix_ms);
        Ok(block * BLOCK_ENTRIES + u64::try_from(within).unwrap_or(0))
    }

    fn times(&self, log: u32, block: u64) -> Result<Times, IndexError> {
        let key = Key {
            kind: Kind::Times,
            a: 0,
            b: block_key(log, block),
        };
        let payload = self.store.row(key)?;
        payload
            .and_then(|payload| Times::decode(&payload))
            .ok_or(IndexError::Damaged("the times of a block are missing"))
    }

    fn all(&mut self, range: &Range) {
        for index in range.first..range.end {
            if !self.take(range.log, index) {
                return;
            }
        }
    }

    /// Blocks in which all terms have bits.
    fn with_terms(&mut self, range: &Range, terms: &[i64]) -> Result<(), IndexError> {
        let mut statements = terms
            .iter()
            .map(|_| Cursor::statement(self.store))
            .collect::<Result<Vec<_>, _>>()?;
        let mut cursors = statements
            .iter_mut()
            .zip(terms)
            .map(|(statement, term)| Cursor::open(statement, *term, range))
            .collect::<Result<Vec<_>, _>>()?;
        loop {
            let Some(target) = cursors.iter().map(|cursor| cursor.block).max() else {
                return Ok(());
            };
            for cursor in &mut cursors {
                while cursor.block < target {
                    if !self.spend(range.log, start_of(target, range)) {
                        return Ok(());
                    }
                    cursor.step()?;
                }
            }
            if target == i64::MAX {
                return Ok(());
            }
            if cursors.iter().any(|cursor| cursor.block != target) {
                continue;
            }
            let mut common: Option<Bits> = None;
            for cursor in &mut cursors {
                match &mut common {
                    Some(common) => common.keep(&cursor.bits),
                    None => common = Some(cursor.bits.clone()),
                }
                if !self.spend(range.log, start_of(target, range)) {
                    return Ok(());
                }
                cursor.step()?;
            }
            let base = block_of(target) * BLOCK_ENTRIES;
            for offset in common.iter().flat_map(Bits::offsets) {
                let index = base + u64::from(offset);
                if range.holds(index) && !self.take(range.log, index) {
                    return Ok(());
                }
            }
        }
    }

    /// The mentions of the subjects, each held against the terms' bits.
    fn with_tags(
        &mut self,
        range: &Range,
        tags: &[Vec<u8>],
        terms: &[i64],
    ) -> Result<(), IndexError> {
        let shorts: Vec<Short> = tags.iter().filter_map(|tag| Short::of(tag)).collect();
        let (first, last) = (range.first, range.end - 1);
        for large in first / LARGE_BLOCK_ENTRIES..=last / LARGE_BLOCK_ENTRIES {
            let base = large * LARGE_BLOCK_ENTRIES;
            let mut indexes = Vec::new();
            for row in self.rows_of(range, large, &shorts)? {
                if !self.spend(range.log, base.max(first)) {
                    return Ok(());
                }
                for short in &shorts {
                    indexes.extend(mentions(&row, *short).map(|offset| base + u64::from(offset)));
                }
            }
            indexes.sort_unstable();
            indexes.dedup();
            indexes.retain(|index| range.holds(*index));
            let mut block: Option<(u64, Option<Bits>)> = None;
            for index in indexes {
                let number = index / BLOCK_ENTRIES;
                if block.as_ref().is_none_or(|(known, _)| *known != number) {
                    for _ in terms {
                        if !self.spend(range.log, index) {
                            return Ok(());
                        }
                    }
                    block = Some((number, self.common(range.log, number, terms)?));
                }
                let offset = u16::try_from(index % BLOCK_ENTRIES).unwrap_or(0);
                let bits = block.as_ref().and_then(|(_, bits)| bits.as_ref());
                let holds = terms.is_empty() || bits.is_some_and(|bits| bits.holds(offset));
                if holds && !self.take(range.log, index) {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// The rows in which the subjects can be mentioned: those of their buckets, or, while the large
    /// block is not full, those of its blocks.
    fn rows_of(
        &self,
        range: &Range,
        large: u64,
        shorts: &[Short],
    ) -> Result<Vec<Vec<u8>>, IndexError> {
        let mut keys = Vec::new();
        if range.open.is_some_and(|open| open == large) {
            let blocks = large * BLOCKS_OF_LARGE..(large + 1) * BLOCKS_OF_LARGE;
            keys.extend(blocks.map(|block| (Kind::Mentions, 0, block)));
        } else {
            let mut buckets: Vec<i64> = shorts.iter().map(|short| short.bucket.into()).collect();
            buckets.sort_unstable();
            buckets.dedup();
            keys.extend(
                buckets
                    .into_iter()
                    .map(|bucket| (Kind::Subjects, bucket, large)),
            );
        }
        let mut rows = Vec::new();
        for (kind, a, block) in keys {
            let b = block_key(range.log, block);
            rows.extend(self.store.row(Key { kind, a, b })?);
        }
        Ok(rows)
    }

    /// What all terms have in one block.
    fn common(&self, log: u32, block: u64, terms: &[i64]) -> Result<Option<Bits>, IndexError> {
        let mut common: Option<Bits> = None;
        for term in terms {
            let key = Key {
                kind: Kind::Term,
                a: *term,
                b: block_key(log, block),
            };
            let Some(payload) = self.store.row(key)? else {
                return Ok(None);
            };
            let bits = Bits::decode(&payload).ok_or(IndexError::Damaged("a row is no set"))?;
            match &mut common {
                Some(common) => common.keep(&bits),
                None => common = Some(bits),
            }
        }
        Ok(common)
    }
}

/// Where a search that stops at a block goes on.
fn start_of(block: i64, range: &Range) -> u64 {
    let start = if block == i64::MAX {
        range.end
    } else {
        block_of(block) * BLOCK_ENTRIES
    };
    start.clamp(range.first, range.end)
}
