//! True histories of one number, and the random numbers that make them.

use jiff::Timestamp;

/// The first second of every history.
const EPOCH: i64 = 1_790_000_000;
/// A history lasts so long, in seconds.
pub(super) const HORIZON: i64 = 40 * DAY;
pub(super) const DAY: i64 = 86_400;
pub(super) const HOUR: i64 = 3_600;

/// A small generator of random numbers (xorshift64*), the same on every machine.
pub(super) struct Random(u64);

impl Random {
    pub(super) const fn new(seed: u64) -> Self {
        Self(seed | 1)
    }

    pub(super) const fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    /// From `low` up to and without `high`.
    pub(super) fn between(&mut self, low: i64, high: i64) -> i64 {
        let span = u64::try_from(high - low).unwrap().max(1);
        low + i64::try_from(self.next() % span).unwrap()
    }

    /// True so often in a hundred.
    pub(super) const fn percent(&mut self, hundredths: u64) -> bool {
        self.next() % 100 < hundredths
    }

    pub(super) fn one_of<const N: usize>(&mut self, choices: [i64; N]) -> i64 {
        choices[usize::try_from(self.next() % N as u64).unwrap()]
    }
}

/// One change: until `gone` the old SIM has the number, from `at` the new one, between them none.
#[derive(Clone, Copy, Debug)]
pub(super) struct Changed {
    pub(super) gone: i64,
    pub(super) at: i64,
    pub(super) identity: u8,
}

/// What truly happened, in seconds since the history began.
#[derive(Debug)]
pub(super) struct History {
    pub(super) changes: Vec<Changed>,
}

impl History {
    /// Up to five changes; some are undone soon, some happened just now.
    pub(super) fn new(random: &mut Random) -> Self {
        let mut changes: Vec<Changed> = Vec::new();
        let mut at = random.between(0, HORIZON);
        let mut identity = 0;
        while changes.len() < 5 && random.percent(70) {
            if random.percent(20) {
                at = at.max(HORIZON - random.between(1, 2 * HOUR));
            }
            if at >= HORIZON {
                break;
            }
            let before = changes.last().map_or(i64::MIN, |last| last.at);
            let undone = random.percent(40);
            let other = if undone {
                changes
                    .len()
                    .checked_sub(2)
                    .map_or(0, |earlier| changes[earlier].identity)
            } else {
                u8::try_from(random.between(0, 4)).unwrap()
            };
            let next = if other == identity {
                identity + 1
            } else {
                other
            };
            changes.push(Changed {
                gone: (at - random.one_of([0, 0, 1, 30, 600])).max(before + 1),
                at,
                identity: next,
            });
            identity = next;
            at += if random.percent(50) {
                random.between(1, 3 * HOUR)
            } else {
                random.between(HOUR, HORIZON / 2)
            };
        }
        Self { changes }
    }

    /// Who has the number at an instant; `None`: nobody.
    pub(super) fn identity(&self, at: i64) -> Option<u8> {
        let happened = self.changes.partition_point(|change| change.at <= at);
        if self
            .changes
            .get(happened)
            .is_some_and(|next| next.gone < at)
        {
            return None;
        }
        let last = happened.checked_sub(1).map(|last| self.changes[last]);
        Some(last.map_or(0, |last| last.identity))
    }

    /// The true changes in `(after, until]`.
    pub(super) fn within(&self, after: Timestamp, until: Timestamp) -> impl Iterator<Item = i64> {
        self.changes
            .iter()
            .map(|change| change.at)
            .filter(move |at| after < instant(*at) && instant(*at) <= until)
    }

    pub(super) fn now(&self) -> Timestamp {
        instant(HORIZON)
    }
}

/// The instant so many seconds after a history began.
pub(super) fn instant(second: i64) -> Timestamp {
    Timestamp::from_second(EPOCH + second).unwrap()
}
