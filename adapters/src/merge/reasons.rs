//! What reasons mean beside other reasons, and beside observations.

use accord_proto::reason::Reason;

use super::Trust;

/// The reason that a bank is told where no source has an observation: first what concerns the
/// subscriber, then what may be otherwise in a moment. *Unknown number* comes last: it takes all
/// sources to say so.
pub(super) fn most_telling(reasons: &[(Reason, Trust)]) -> Reason {
    let rank = |reason: Reason| match reason {
        Reason::OptedOut => 0,
        Reason::NotOurs => 1,
        Reason::Suspended => 2,
        Reason::Contradicted => 3,
        Reason::Undecided => 4,
        Reason::Overloaded => 5,
        Reason::Timeout => 6,
        Reason::SourceDown => 7,
        Reason::Stale => 8,
        Reason::NotWatched => 9,
        Reason::UnknownNumber => 11,
        // Not a source's to say.
        Reason::NotAvailable
        | Reason::NotCovered
        | Reason::RouteUnknown
        | Reason::NotContracted
        | Reason::NotAuthorised
        | Reason::ConsentMissing
        | Reason::OutOfRange
        | Reason::Quota => 10,
    };
    let all = reasons.iter().map(|(reason, _)| *reason);
    all.min_by_key(|reason| rank(*reason))
        .unwrap_or(Reason::NotAvailable)
}

/// What reasons do to what others observed: `Ok(true)` if a change may be under way, `Ok(false)` if
/// they take nothing from it.
///
/// # Errors
/// A reason that stands against any observation.
pub(super) fn beside(reasons: &[(Reason, Trust)]) -> Result<bool, Reason> {
    let mut doubt = false;
    let mut against = Vec::new();
    for (reason, trust) in reasons {
        match reason {
            Reason::OptedOut | Reason::NotOurs | Reason::Suspended | Reason::Contradicted => {
                against.push((*reason, *trust));
            }
            // It should know the number, and does not: one of the two is wrong.
            Reason::UnknownNumber if trust.every_subscriber => {
                against.push((Reason::Contradicted, *trust));
            }
            Reason::Undecided => doubt = true,
            Reason::UnknownNumber
            | Reason::NotAvailable
            | Reason::NotWatched
            | Reason::Stale
            | Reason::Timeout
            | Reason::SourceDown
            | Reason::Overloaded
            | Reason::NotCovered
            | Reason::RouteUnknown
            | Reason::NotContracted
            | Reason::NotAuthorised
            | Reason::ConsentMissing
            | Reason::OutOfRange
            | Reason::Quota => {}
        }
    }
    if against.is_empty() {
        Ok(doubt)
    } else {
        Err(most_telling(&against))
    }
}
