//! Whether what a ledger shows is of now, or an old checkpoint that is shown again and again.
//!
//! A log's own signature has no time, so a broker that shows yesterday's checkpoint looks idle.
//! Cosignatures have one, and a broker has an unchanged checkpoint cosigned again each minute: a
//! fresh one says that the witness knew of nothing newer.

use accord_proto::subject::Month;
use jiff::{SignedDuration, Timestamp};

use super::follow::HeldLog;

/// Why it can't be believed that what is shown is of now.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Stale {
    /// The cosignatures are from after now.
    #[error(
        "`{origin}`: its {size} entries were cosigned at {cosigned_at}, {} ahead of this machine's \
         clock: one of the clocks is wrong, and nothing shows that this is the newest checkpoint",
        words(*.ahead)
    )]
    Ahead {
        /// The log.
        origin: String,
        /// How many entries are shown.
        size: u64,
        /// Since when a quorum has cosigned that.
        cosigned_at: Timestamp,
        /// By how much.
        ahead: SignedDuration,
    },
    /// The newest log is of a month that is over.
    #[error("`{origin}` is the newest log that is shown, and there must be one of {current}")]
    Month {
        /// The log.
        origin: String,
        /// The month that it is.
        current: Month,
    },
    /// The cosignatures are old.
    #[error(
        "`{origin}`: its {size} entries were cosigned last at {cosigned_at}, {} ago, and a broker \
         has its newest checkpoint cosigned each minute: there may be newer entries that are not \
         shown",
        words(*.age)
    )]
    Old {
        /// The log.
        origin: String,
        /// How many entries are shown.
        size: u64,
        /// Since when a quorum has cosigned that.
        cosigned_at: Timestamp,
        /// How old that is.
        age: SignedDuration,
    },
}

impl Stale {
    /// The log that is shown.
    #[must_use]
    pub fn origin(&self) -> &str {
        match self {
            Self::Ahead { origin, .. } | Self::Month { origin, .. } | Self::Old { origin, .. } => {
                origin
            }
        }
    }
}

/// Looks at the newest log that is shown. Nothing is said of a log whose cosignatures show no
/// time, since no policy asks for them.
pub(super) fn judge(held: &HeldLog, now: Timestamp, bound: SignedDuration) -> Result<(), Stale> {
    let Some(cosigned_at) = held.cosigned_at else {
        return Ok(());
    };
    let origin = held.checkpoint.origin.clone();
    let size = held.checkpoint.size;
    let age = now.duration_since(cosigned_at);
    if age > bound {
        return Err(Stale::Old {
            origin,
            size,
            cosigned_at,
            age,
        });
    }
    if -age > bound {
        return Err(Stale::Ahead {
            origin,
            size,
            cosigned_at,
            ahead: -age,
        });
    }
    let month = origin.rsplit_once('/');
    let month = month.and_then(|(_, month)| Month::parse(month));
    // A broker begins a month's log within seconds.
    let current = Month::of(now.checked_sub(bound).unwrap_or(now));
    match month.is_some_and(|month| month < current) {
        true => Err(Stale::Month { origin, current }),
        false => Ok(()),
    }
}

/// A duration for a person, whose largest two units say enough.
#[must_use]
pub fn words(duration: SignedDuration) -> String {
    let minutes = duration.as_mins();
    match (minutes / (24 * 60), minutes / 60, minutes) {
        (0, 0, 0) => format!("{} s", duration.as_secs()),
        (0, 0, minutes) => format!("{minutes} min"),
        (0, hours, minutes) => format!("{hours} h {} min", minutes % 60),
        (days, hours, _) => format!("{days} d {} h", hours % 24),
    }
}

#[cfg(test)]
mod tests {
    use accord_proto::c2sp::Checkpoint;

    use super::*;

    const BOUND: SignedDuration = SignedDuration::from_mins(10);

    fn held(cosigned_at: Option<&str>) -> HeldLog {
        let checkpoint = Checkpoint {
            origin: "log/2026-11".into(),
            size: 7,
            root: [1; 32],
        };
        HeldLog {
            checkpoint,
            cosigned_at: cosigned_at.map(|at| at.parse().unwrap()),
            last_ms: 0,
            authorities: None,
            previous: None,
        }
    }

    fn judged(cosigned_at: Option<&str>, now: &str) -> Option<String> {
        let judged = judge(&held(cosigned_at), now.parse().unwrap(), BOUND);
        judged.err().map(|stale| stale.to_string())
    }

    #[test]
    fn what_was_cosigned_within_the_bound_is_fresh_and_what_was_not_is_named_with_its_age() {
        let at = Some("2026-11-07T12:00:00Z");
        assert_eq!(judged(at, "2026-11-07T12:00:00Z"), None);
        assert_eq!(judged(at, "2026-11-07T12:10:00Z"), None);
        let old = judged(at, "2026-11-08T13:00:01Z").unwrap();
        assert!(
            old.contains("its 7 entries were cosigned last at 2026-11-07T12:00:00Z, 1 d 1 h ago")
        );
        assert_eq!(judged(at, "2026-11-07T11:50:00Z"), None);
        let ahead = judged(at, "2026-11-07T11:49:00Z").unwrap();
        assert!(ahead.contains("11 min ahead"), "{ahead}");
        assert_eq!(judged(None, "2026-11-08T13:00:01Z"), None);
    }

    #[test]
    fn a_month_that_is_over_is_not_the_newest_one_however_fresh_its_cosignatures_are() {
        let at = |time: &str| judged(Some(time), time);
        assert_eq!(at("2026-11-30T23:59:59Z"), None);
        assert_eq!(at("2026-12-01T00:09:59Z"), None);
        let over = at("2026-12-01T01:10:01Z").unwrap();
        assert!(over.contains("there must be one of 2026-12"), "{over}");
    }
}
