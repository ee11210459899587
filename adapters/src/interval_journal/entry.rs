//! What is known of one number, and how a sample changes it. The rules stand in the module above.

use accord_proto::observation::{Change, ChangedIn};
use jiff::{SignedDuration, Timestamp};

use super::SAMPLE_MAX;

/// A keyed digest of an identity.
pub(super) type IdentityDigest = [u8; 16];

/// Microseconds since 1970, UTC.
pub(super) type Micros = i64;

/// The microsecond that an instant lies in.
pub(super) fn floor(at: Timestamp) -> Micros {
    at.as_microsecond() - Micros::from(at.subsec_nanosecond() % 1000 < 0)
}

/// The first microsecond that is not before an instant.
pub(super) fn ceil(at: Timestamp) -> Micros {
    at.as_microsecond() + Micros::from(at.subsec_nanosecond() % 1000 > 0)
}

fn instant(at: Micros) -> Timestamp {
    Timestamp::from_microsecond(at).unwrap_or(Timestamp::MIN)
}

fn micros(length: SignedDuration) -> Micros {
    Micros::try_from(length.as_micros()).unwrap_or(Micros::MAX)
}

/// What a sample did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The first sample of this number.
    Began,
    /// As before.
    Same,
    /// Another identity than before.
    Changed,
    /// As before, after a gap: the watch restarted.
    Restarted,
    /// Seen again with the same identity after having been missing, within `gap_max`.
    Returned,
    /// It overlaps a newer sample and was ignored.
    Overtaken,
    /// The clock went back: the number starts anew.
    ClockWentBack,
}

impl Outcome {
    /// Whether the number needs a record of its own, rather than the sweep's.
    pub(super) const fn must_be_written(self) -> bool {
        match self {
            Self::Same | Self::Overtaken => false,
            Self::Began
            | Self::Changed
            | Self::Restarted
            | Self::Returned
            | Self::ClockWentBack => true,
        }
    }
}

/// What the journal vouches for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Known {
    /// The interval of the last change, if any was seen.
    pub changed_in: Option<ChangedIn>,
    /// Watched without a gap since then.
    pub monitored_since: Timestamp,
    /// Until when this holds.
    pub observed_at: Timestamp,
    /// The last poll found no subscriber with this number.
    pub missing: bool,
}

impl Known {
    /// `None` while it lies ahead of the clock, which was put back by less than shows in the samples:
    /// a broker would believe nothing of a reply that held it. What came just now may lie ahead by the
    /// part of a microsecond to which it was rounded up.
    #[must_use]
    pub fn by(self, now: Timestamp) -> Option<Self> {
        (self.observed_at <= instant(ceil(now))).then_some(self)
    }

    /// As a change of SIM or device, whose kind a poll can't tell.
    #[must_use]
    pub const fn change(&self) -> Change {
        Change {
            changed_in: self.changed_in,
            monitored_since: Some(self.monitored_since),
            kind: None,
        }
    }
}

/// The state of one number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) identity: IdentityDigest,
    /// Watched without a gap since then.
    pub(super) since: Micros,
    /// When the last sample that agreed was asked for.
    pub(super) last_same: Micros,
    /// When the newest sample came; not on disk.
    pub(super) received: Micros,
    /// The interval of the last change.
    pub(super) changed: Option<(Micros, Micros)>,
    /// The last poll found no such subscriber.
    pub(super) missing: bool,
    /// The next sample counts as after a gap, however soon it comes.
    pub(super) distrusted: bool,
}

impl Entry {
    pub(super) const fn first(identity: IdentityDigest, sent: Micros, received: Micros) -> Self {
        Self {
            identity,
            since: received,
            last_same: sent,
            received,
            changed: None,
            missing: false,
            distrusted: false,
        }
    }

    pub(super) fn seen(
        &mut self,
        identity: IdentityDigest,
        sent: Micros,
        received: Micros,
        gap_max: SignedDuration,
    ) -> Outcome {
        let overlap = self.received.saturating_sub(sent);
        if overlap > micros(SAMPLE_MAX) {
            *self = Self::first(identity, sent, received);
            return Outcome::ClockWentBack;
        }
        if overlap > 0 {
            return Outcome::Overtaken;
        }
        let gap = self.distrusted || sent.saturating_sub(self.last_same) > micros(gap_max);
        let missing = self.missing;
        let outcome = if self.identity != identity {
            self.changed = Some((self.last_same, received));
            Outcome::Changed
        } else if gap {
            self.changed = self.changed.map(|(after, _)| (after, received));
            Outcome::Restarted
        } else if missing {
            Outcome::Returned
        } else {
            Outcome::Same
        };
        if gap {
            self.since = received;
        }
        self.identity = identity;
        self.last_same = sent;
        self.received = received;
        self.missing = false;
        self.distrusted = false;
        outcome
    }

    /// A sweep that began at `at` found this number as it stands here, unless it was missing.
    pub(super) fn swept(&mut self, at: Micros) {
        if !self.missing {
            self.last_same = self.last_same.max(at);
            self.received = self.last_same;
        }
    }

    /// What followed this entry on disk was lost.
    pub(super) const fn distrust(&mut self) {
        self.distrusted = true;
    }

    /// Until when it is known, as far as the disk knows. `(since, since]` and `(before, before]` are empty,
    /// so vouching until their ends claims nothing, and no interval ends after the observation.
    pub(super) fn newest(&self) -> Micros {
        let before = self.changed.map_or(self.since, |(_, before)| before);
        self.last_same.max(self.since).max(before)
    }

    /// Whether it changed since then, or is missing since.
    pub(super) fn is_news(&self, since: Micros) -> bool {
        let changed = self.changed.is_some_and(|(_, before)| before >= since);
        changed || (self.missing && self.last_same >= since)
    }

    pub(super) fn known(&self) -> Known {
        let interval = |(after, before)| ChangedIn::new(instant(after), instant(before));
        Known {
            changed_in: self.changed.and_then(interval),
            monitored_since: instant(self.since),
            observed_at: instant(self.newest()),
            missing: self.missing,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const X: IdentityDigest = [1; 16];
    const Y: IdentityDigest = [2; 16];
    const GAP: SignedDuration = SignedDuration::from_secs(100);

    /// A sample that was asked for at `sec` and came a tenth of a second later.
    fn sample(entry: &mut Entry, identity: IdentityDigest, sec: i64) -> Outcome {
        entry.seen(identity, at(sec), at(sec) + 100_000, GAP)
    }

    fn at(sec: i64) -> Micros {
        sec * 1_000_000
    }

    #[test]
    fn a_first_sample_that_came_within_this_microsecond_is_told() {
        let now = instant(at(5)) + SignedDuration::from_nanos(300);
        let entry = Entry::first(X, floor(now), ceil(now));
        let known = entry.known();
        assert_eq!(known.by(now), Some(known));
        let put_back = now - SignedDuration::from_micros(1);
        assert_eq!(known.by(put_back), None);
    }

    fn begun(sec: i64) -> Entry {
        Entry::first(X, at(sec), at(sec) + 100_000)
    }

    fn changed(entry: &Entry) -> Option<(Timestamp, Timestamp)> {
        let interval = entry.known().changed_in?;
        Some((interval.after(), interval.before()))
    }

    #[test]
    fn a_first_sample_claims_nothing_about_before() {
        let known = begun(10).known();
        assert_eq!(known.changed_in, None);
        assert_eq!(known.monitored_since, instant(at(10) + 100_000));
        assert_eq!(known.observed_at, known.monitored_since);
    }

    #[test]
    fn the_same_identity_extends_the_watch() {
        let mut entry = begun(10);
        assert_eq!(sample(&mut entry, X, 70), Outcome::Same);
        let known = entry.known();
        assert_eq!(known.monitored_since, instant(at(10) + 100_000));
        assert_eq!(
            known.observed_at,
            instant(at(70)),
            "asked for, not received"
        );
    }

    #[test]
    fn another_identity_gives_the_interval_between_the_two_samples() {
        let mut entry = begun(10);
        assert_eq!(sample(&mut entry, X, 70), Outcome::Same);
        assert_eq!(sample(&mut entry, Y, 130), Outcome::Changed);
        let bounds = (instant(at(70)), instant(at(130) + 100_000));
        assert_eq!(changed(&entry), Some(bounds));
        let known = entry.known();
        assert_eq!(known.monitored_since, instant(at(10) + 100_000), "no gap");
        assert!(known.observed_at >= bounds.1);
    }

    #[test]
    fn another_identity_after_a_gap_keeps_the_interval_and_restarts_the_watch() {
        let mut entry = begun(10);
        assert_eq!(sample(&mut entry, Y, 500), Outcome::Changed);
        let received = instant(at(500) + 100_000);
        assert_eq!(changed(&entry), Some((instant(at(10)), received)));
        assert_eq!(entry.known().monitored_since, received);
    }

    #[test]
    fn the_same_identity_after_a_gap_restarts_the_watch() {
        let mut entry = begun(10);
        assert_eq!(sample(&mut entry, X, 500), Outcome::Restarted);
        assert_eq!(entry.known().monitored_since, instant(at(500) + 100_000));
        assert_eq!(changed(&entry), None);
        assert_eq!(sample(&mut entry, X, 600), Outcome::Same, "100 s is no gap");
    }

    #[test]
    fn a_gap_after_a_change_widens_its_interval() {
        let mut entry = begun(10);
        assert_eq!(sample(&mut entry, Y, 60), Outcome::Changed);
        assert_eq!(sample(&mut entry, Y, 500), Outcome::Restarted);
        let received = instant(at(500) + 100_000);
        assert_eq!(changed(&entry), Some((instant(at(10)), received)));
    }

    #[test]
    fn a_missing_number_keeps_what_was_known() {
        let mut entry = begun(10);
        entry.missing = true;
        entry.swept(at(60));
        assert_eq!(entry.known().observed_at, instant(at(10) + 100_000));
        assert_eq!(sample(&mut entry, Y, 70), Outcome::Changed);
        assert_eq!(
            changed(&entry),
            Some((instant(at(10)), instant(at(70) + 100_000)))
        );
    }

    #[test]
    fn a_missing_number_that_returns_with_its_identity_has_not_changed() {
        let mut entry = begun(10);
        entry.missing = true;
        assert_eq!(sample(&mut entry, X, 70), Outcome::Returned);
        assert!(!entry.known().missing);
        assert_eq!(changed(&entry), None);
    }

    #[test]
    fn a_sample_overtaken_by_a_newer_one_is_ignored() {
        let mut entry = begun(10);
        assert_eq!(entry.seen(Y, at(20), at(21), GAP), Outcome::Changed);
        let before = entry;
        assert_eq!(entry.seen(X, at(20), at(22), GAP), Outcome::Overtaken);
        assert_eq!(entry, before);
    }

    #[test]
    fn a_clock_that_goes_back_starts_the_number_anew() {
        let mut entry = begun(1000);
        assert_eq!(sample(&mut entry, Y, 900), Outcome::ClockWentBack);
        assert_eq!(entry, Entry::first(Y, at(900), at(900) + 100_000));
    }

    #[test]
    fn what_lies_ahead_of_a_clock_that_was_put_back_is_not_told() {
        let mut entry = begun(1_000);
        assert_eq!(sample(&mut entry, X, 995), Outcome::Overtaken);
        let known = entry.known();
        assert_eq!(known.by(instant(at(995))), None);
        assert_eq!(known.by(instant(at(1_001))), Some(known));
    }

    #[test]
    fn a_distrusted_entry_restarts_however_soon_it_is_seen() {
        let mut entry = begun(10);
        entry.distrust();
        assert_eq!(sample(&mut entry, X, 11), Outcome::Restarted);
        assert_eq!(sample(&mut entry, X, 12), Outcome::Same);
    }

    #[test]
    fn bounds_are_rounded_to_the_side_that_claims_less() {
        let odd: Timestamp = "2026-11-21T00:00:00.000000500Z".parse().unwrap();
        assert_eq!(ceil(odd) - floor(odd), 1);
        let old: Timestamp = "1969-11-21T00:00:00.000000500Z".parse().unwrap();
        assert_eq!(ceil(old) - floor(old), 1);
    }
}
