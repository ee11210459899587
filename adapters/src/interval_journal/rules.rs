//! The rules of the keys that every source has which watches numbers by asking for them again.

use accord_proto::msisdn::Msisdn;

use super::SAMPLE_MAX;

/// The longest time between two polls, in milliseconds: a day.
const POLL_MS_MAX: u64 = 86_400_000;
/// The longest time in which a change and back may go unseen, in milliseconds: a week.
const GAP_MS_MAX: u64 = 604_800_000;

/// Those keys, as the configuration has them.
pub(crate) struct Watching<'a> {
    pub(crate) request_timeout_ms: u64,
    pub(crate) poll_ms: u64,
    pub(crate) gap_max_ms: u64,
    pub(crate) watched_max: usize,
    pub(crate) asks_max: usize,
    pub(crate) watch: &'a [String],
}

impl Watching<'_> {
    /// The numbers to watch, if every rule holds.
    ///
    /// # Errors
    /// The key and its rule; a number is named by its place only.
    pub(crate) fn check(&self) -> Result<Vec<Msisdn>, (&'static str, String)> {
        let broken = |key, rule: &str| Err((key, rule.to_owned()));
        let sample_max_ms = u64::try_from(SAMPLE_MAX.as_millis()).unwrap_or(u64::MAX);
        if !(1..=sample_max_ms).contains(&self.request_timeout_ms) {
            return broken("request_timeout_ms", "lies in 1 to 10000");
        }
        if !(10..=POLL_MS_MAX).contains(&self.poll_ms) {
            return broken("poll_ms", "lies in 10 to 86400000");
        }
        if self.gap_max_ms < self.poll_ms.saturating_mul(2) || self.gap_max_ms > GAP_MS_MAX {
            let rule = "is at least twice `poll_ms` and at most a week";
            return broken("gap_max_ms", rule);
        }
        if !(1..=10_000_000).contains(&self.watched_max) || self.watch.len() > self.watched_max {
            let rule = "is at most 10000000, and not below what is in `watch`";
            return broken("watched_max", rule);
        }
        if !(1..=65_536).contains(&self.asks_max) {
            return broken("asks_max", "lies in 1 to 65536");
        }
        let parse = |(place, text): (usize, &String)| {
            Msisdn::parse(text).map_err(|error| ("watch", format!("number {place}: {error}")))
        };
        (1..).zip(self.watch).map(parse).collect()
    }
}
