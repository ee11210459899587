//! For how long nothing new may be seen of a ledger before that is an alarm.

use accord_proto::c2sp::{Policy, witness::seen_path};
use jiff::SignedDuration;

use super::exit::{Exit, Failure};
use crate::mirror::{Stale, duration_words};

/// A broker has its newest checkpoint cosigned each minute; this leaves room for a restart.
pub(super) const STALE_AFTER: SignedDuration = SignedDuration::from_mins(10);
/// Below this, one round that failed would be an alarm.
const STALE_AFTER_MIN: SignedDuration = SignedDuration::from_mins(2);
/// Above this, nobody would be alarmed in time.
const STALE_AFTER_MAX: SignedDuration = SignedDuration::from_hours(31 * 24);

/// Parses a bound, such as `10m` or `2h`.
pub(super) fn parse_stale_after(text: &str) -> Result<SignedDuration, String> {
    let rule = || {
        format!(
            "a duration such as 10m or 2h, from {} to {}",
            duration_words(STALE_AFTER_MIN),
            duration_words(STALE_AFTER_MAX)
        )
    };
    let duration: SignedDuration = text.parse().map_err(|_| rule())?;
    let within = (STALE_AFTER_MIN..=STALE_AFTER_MAX).contains(&duration);
    within.then_some(duration).ok_or_else(rule)
}

/// The bound for what is shown under a policy; `None` where no cosignature is asked for, whose time
/// would show anything.
pub(super) fn bound(
    given: Option<SignedDuration>,
    policy: Option<&Policy>,
) -> Result<Option<SignedDuration>, Failure> {
    let cosigned = policy.is_some_and(|policy| policy.quorum().is_some());
    match (cosigned, given) {
        (true, given) => Ok(Some(given.unwrap_or(STALE_AFTER))),
        (false, None) => Ok(None),
        (false, Some(_)) => {
            let message = "--stale-after needs --policy with a quorum: a log's own signature has \
                           no time, cosignatures have";
            Err(Failure::new(Exit::Usage, message))
        }
    }
}

/// Why a command ends that was shown what may be old, and what to do.
pub(super) fn failure(stale: &Stale, policy: Option<&Policy>) -> Failure {
    let mut failure = Failure::new(Exit::Stale, format!("may be old: {stale}")).hint(
        "what is here is verified; ask the broker's operator whether its witnesses cosign, and \
         compare with another authority's copy",
    );
    let path = seen_path(stale.origin());
    let witnesses = policy.map(Policy::witnesses).unwrap_or_default();
    for url in witnesses.iter().filter_map(|one| one.url.as_deref()) {
        let seen = format!(
            "what a witness has seen: {}{path}",
            url.trim_end_matches('/')
        );
        failure = failure.hint(&seen);
    }
    failure
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_is_a_duration_within_its_range() {
        assert_eq!(parse_stale_after("10m"), Ok(STALE_AFTER));
        assert_eq!(parse_stale_after("PT2H"), Ok(SignedDuration::from_hours(2)));
        for wrong in ["", "10", "119s", "32d", "-10m", "a while"] {
            let error = parse_stale_after(wrong).unwrap_err();
            assert!(error.contains("from 2 min to 31 d 0 h"), "{wrong}: {error}");
        }
    }
}
