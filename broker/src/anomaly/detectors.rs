//! What is unusual, from one question after the other. No file, no clock, no ledger.

use accord_proto::{
    party::OrgName,
    subject::Month,
    v1::{self, anomaly::Kind},
};
use jiff::{SignedDuration, Timestamp};

use super::bounded::Bounded;
use crate::config::AnomaliesSection;

/// Numbers of a block: neighbours that differ in their last two digits alone.
const BLOCK: u64 = 100;
/// The most blocks that are watched at once.
const BLOCKS_MAX: usize = 50_000;
/// The most banks.
const BANKS_MAX: usize = 2_000;
/// The most subjects, and pairs of bank and subject.
const SUBJECTS_MAX: usize = 200_000;
/// The most applications.
const APPLICATIONS_MAX: usize = 10_000;
/// A bank's usual rate is that of windows of so many seconds,
const SPIKE_SECONDS: u32 = 600;
/// so many of which must have been seen.
const SPIKE_WINDOWS_MIN: u32 = 6;
/// A window counts a fifth, all those before it the rest.
const SPIKE_WEIGHT: f64 = 0.2;
/// The most windows without a question that are counted one by one.
const SPIKE_IDLE_MAX: i64 = 144;
/// Askers and repeats are counted over a day.
const DAY_SECONDS: u32 = 86_400;
/// An application's hours are known after so many questions.
const HOURS_QUESTIONS_MIN: u64 = 1_000;

/// One question, as far as a detector looks at it.
#[derive(Debug)]
pub(super) struct Sight<'a> {
    pub(super) bank: &'a OrgName,
    pub(super) application: &'a str,
    /// The number's digits. Only the last two of them are kept, one bit for each, with the others as
    /// the name of the block, until the window ends. `None` of a question that only the ledger tells.
    pub(super) digits: Option<u64>,
    pub(super) tag: [u8; 16],
    pub(super) tag_month: Month,
    pub(super) at: Timestamp,
}

#[derive(Debug, Default)]
struct Block {
    asked: u128,
    told: bool,
}

#[derive(Debug, Default)]
struct Rate {
    window: i64,
    asked: u64,
    usual: f64,
    windows: u32,
    told: bool,
}

#[derive(Debug, Default)]
struct Askers {
    banks: Vec<OrgName>,
    told: bool,
}

#[derive(Debug, Default)]
struct Repeats {
    asked: u64,
    told: bool,
}

#[derive(Debug, Default)]
struct Hours {
    /// One bit for each hour of the day, UTC, at which it asked.
    seen: u32,
    since: Option<Timestamp>,
    asked: u64,
}

/// The five detectors.
#[derive(Debug)]
pub(super) struct Detectors {
    limits: AnomaliesSection,
    blocks: Bounded<(OrgName, u64), Block>,
    rates: Bounded<OrgName, Rate>,
    askers: Bounded<[u8; 16], Askers>,
    repeats: Bounded<(OrgName, [u8; 16]), Repeats>,
    hours: Bounded<(OrgName, String), Hours>,
}

impl Detectors {
    pub(super) fn new(limits: AnomaliesSection) -> Self {
        Self {
            limits,
            blocks: Bounded::new(BLOCKS_MAX),
            rates: Bounded::new(BANKS_MAX),
            askers: Bounded::new(SUBJECTS_MAX),
            repeats: Bounded::new(SUBJECTS_MAX),
            hours: Bounded::new(APPLICATIONS_MAX),
        }
    }

    /// How far back questions matter that were asked before: twice as long as an application's hours
    /// are learned, so that what was known stays known.
    pub(super) fn memory(&self) -> SignedDuration {
        SignedDuration::from_hours(2 * 24 * i64::from(self.limits.learning_days))
    }

    /// Looks at one question. Each kind is told once in its window about the same thing.
    pub(super) fn see(&mut self, sight: &Sight<'_>) -> Vec<v1::Anomaly> {
        let found = [
            self.enumeration(sight),
            self.spike(sight),
            self.many_askers(sight),
            self.surveillance(sight),
            self.off_hours(sight),
        ];
        found.into_iter().flatten().collect()
    }

    /// One bank asks about nearly all of a hundred neighbours. Customers are spread thinner, even
    /// those of a bank with most of a country.
    fn enumeration(&mut self, sight: &Sight<'_>) -> Option<v1::Anomaly> {
        let seconds = self.limits.block_seconds;
        let digits = sight.digits?;
        let key = (sight.bank.clone(), digits / BLOCK);
        let block = self.blocks.within(window(sight.at, seconds), &key);
        block.asked |= 1 << (digits % BLOCK);
        let asked = u64::from(block.asked.count_ones());
        if block.told || asked < u64::from(self.limits.block_numbers_min) {
            return None;
        }
        block.told = true;
        Some(v1::Anomaly {
            kind: Kind::Enumeration as i32,
            bank: sight.bank.to_string(),
            application: sight.application.to_owned(),
            counted: asked,
            window_s: seconds,
            ..v1::Anomaly::default()
        })
    }

    /// One bank asks far more than it used to.
    fn spike(&mut self, sight: &Sight<'_>) -> Option<v1::Anomaly> {
        let now = window(sight.at, SPIKE_SECONDS);
        let rate = self.rates.at(sight.bank);
        if rate.window != now {
            // The first window of all began before we looked.
            let idle = if rate.asked == 0 {
                0
            } else {
                now - rate.window
            };
            for passed in 0..idle.clamp(0, SPIKE_IDLE_MAX) {
                let asked = if passed == 0 { rate.asked } else { 0 };
                // Precise to 2^53 questions in ten minutes.
                let asked = asked as f64;
                rate.usual = match rate.windows {
                    0 => asked,
                    _ => rate.usual + SPIKE_WEIGHT * (asked - rate.usual),
                };
                rate.windows = rate.windows.saturating_add(1);
            }
            (rate.window, rate.asked, rate.told) = (now, 0, false);
        }
        rate.asked += 1;
        let limit = rate.usual * f64::from(self.limits.spike_factor);
        let many = rate.asked >= u64::from(self.limits.spike_questions_min)
            && rate.asked as f64 >= limit
            && rate.windows >= SPIKE_WINDOWS_MIN;
        if rate.told || !many {
            return None;
        }
        rate.told = true;
        Some(v1::Anomaly {
            kind: Kind::Spike as i32,
            bank: sight.bank.to_string(),
            counted: rate.asked,
            usual: rate.usual.round() as u64,
            window_s: SPIKE_SECONDS,
            ..v1::Anomaly::default()
        })
    }

    /// Many banks ask about one number.
    fn many_askers(&mut self, sight: &Sight<'_>) -> Option<v1::Anomaly> {
        let min = self.limits.askers_min as usize;
        let now = window(sight.at, DAY_SECONDS);
        let askers = self.askers.within(now, &sight.tag);
        if askers.told || askers.banks.contains(sight.bank) {
            return None;
        }
        askers.banks.push(sight.bank.clone());
        if askers.banks.len() < min {
            return None;
        }
        askers.told = true;
        let counted = askers.banks.len() as u64;
        askers.banks = Vec::new();
        Some(v1::Anomaly {
            kind: Kind::ManyAskers as i32,
            subject_tag: sight.tag.to_vec(),
            tag_month: sight.tag_month.to_string(),
            counted,
            window_s: DAY_SECONDS,
            ..v1::Anomaly::default()
        })
    }

    /// One bank asks about one number again and again.
    fn surveillance(&mut self, sight: &Sight<'_>) -> Option<v1::Anomaly> {
        let now = window(sight.at, DAY_SECONDS);
        let key = (sight.bank.clone(), sight.tag);
        let repeats = self.repeats.within(now, &key);
        repeats.asked += 1;
        if repeats.told || repeats.asked < u64::from(self.limits.repeats_min) {
            return None;
        }
        repeats.told = true;
        Some(v1::Anomaly {
            kind: Kind::Surveillance as i32,
            bank: sight.bank.to_string(),
            application: sight.application.to_owned(),
            subject_tag: sight.tag.to_vec(),
            tag_month: sight.tag_month.to_string(),
            counted: repeats.asked,
            window_s: DAY_SECONDS,
            ..v1::Anomaly::default()
        })
    }

    /// An application asks at an hour at which it never did since it is known. That hour is then one
    /// of its hours.
    fn off_hours(&mut self, sight: &Sight<'_>) -> Option<v1::Anomaly> {
        let key = (sight.bank.clone(), sight.application.to_owned());
        let hours = self.hours.at(&key);
        let since = *hours.since.get_or_insert(sight.at);
        let hour = sight.at.as_second().rem_euclid(i64::from(DAY_SECONDS)) / 3_600;
        let bit = 1 << hour;
        let is_new = hours.seen & bit == 0;
        hours.seen |= bit;
        hours.asked += 1;
        let days = sight.at.duration_since(since).as_hours() / 24;
        let is_known =
            days >= i64::from(self.limits.learning_days) && hours.asked >= HOURS_QUESTIONS_MIN;
        (is_new && is_known).then(|| v1::Anomaly {
            kind: Kind::OffHours as i32,
            bank: sight.bank.to_string(),
            application: sight.application.to_owned(),
            counted: 1,
            window_s: 3_600,
            ..v1::Anomaly::default()
        })
    }
}

/// The window of time that an instant is in, counted from 1970.
fn window(at: Timestamp, seconds: u32) -> i64 {
    at.as_second().div_euclid(i64::from(seconds.max(1)))
}

#[cfg(test)]
mod tests;
