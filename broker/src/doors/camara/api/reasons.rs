//! Why a signal has no value, as CAMARA's operations say it.
//!
//! CAMARA has no word for *unknown*: a `check` answers true or false, and anything else is an error.
//! So what is not known is 422 `SERVICE_NOT_APPLICABLE`, or 400 `OUT_OF_RANGE` where another window
//! or date would be answered, and never `false`. Beside it stands our own word, the same on every
//! door.

use accord_proto::{camara::Operation, reason::Reason};

use super::problem::{Code, Problem};

/// When to try again after a failure of the operator or of what routes to it, seconds.
const RETRY_SECONDS: u64 = 5;

/// The error of a reason.
pub(super) fn problem(operation: Operation, reason: Reason, detail: &str) -> Problem {
    let code = code(operation, reason);
    let problem = Problem::new(code, format!("{reason}: {detail}")).because(reason.name());
    match code.status().is_server_error() {
        true => problem.retry_after(RETRY_SECONDS),
        false => problem,
    }
}

pub(super) const fn code(operation: Operation, reason: Reason) -> Code {
    match reason {
        // To whoever asks, a number that no operator here serves is a number of nobody (case 2 of the
        // guide's section 3.2.2): CAMARA expects one operator behind a door, which knows its own only.
        Reason::NotCovered | Reason::UnknownNumber => Code::IdentifierNotFound,
        Reason::NotContracted
        | Reason::NotAuthorised
        | Reason::ConsentMissing
        | Reason::Suspended => Code::PermissionDenied,
        Reason::OptedOut
        | Reason::NotOurs
        | Reason::NotAvailable
        | Reason::Undecided
        | Reason::Contradicted
        | Reason::Stale => Code::ServiceNotApplicable,
        Reason::NotWatched if asks_a_window(operation) => Code::OutOfRange,
        Reason::NotWatched => Code::ServiceNotApplicable,
        Reason::OutOfRange if asks_a_window(operation) => Code::OutOfRange,
        // Nothing that the bank could have put otherwise lies out of range: the clause answers more
        // coarsely than the operation does.
        Reason::OutOfRange => Code::PermissionDenied,
        // 504 TIMEOUT is in the guide's catalogue and in none of the API files; 503 is in some.
        Reason::RouteUnknown | Reason::Timeout | Reason::SourceDown | Reason::Overloaded => {
            Code::Unavailable
        }
        Reason::Quota => Code::QuotaExceeded,
    }
}

/// Whether a body of the operation names a window or a date.
const fn asks_a_window(operation: Operation) -> bool {
    match operation {
        Operation::SimSwapCheck
        | Operation::DeviceSwapCheck
        | Operation::RecyclingCheck
        | Operation::TenureCheck => true,
        Operation::SimSwapRetrieveDate
        | Operation::SimSwapRetrieveAgeBand
        | Operation::DeviceSwapRetrieveDate
        | Operation::ForwardingUnconditional
        | Operation::ForwardingAll
        | Operation::RoamingRetrieve => false,
    }
}

#[cfg(test)]
mod tests {
    use accord_proto::{reason::Fault, signal::Signal};

    use super::*;

    #[test]
    fn every_reason_has_its_code_in_every_operation() {
        use Code::{
            IdentifierNotFound, OutOfRange, PermissionDenied, QuotaExceeded, ServiceNotApplicable,
            Unavailable,
        };
        let of_a_check = [
            (Reason::NotCovered, IdentifierNotFound),
            (Reason::RouteUnknown, Unavailable),
            (Reason::NotOurs, ServiceNotApplicable),
            (Reason::NotContracted, PermissionDenied),
            (Reason::NotAuthorised, PermissionDenied),
            (Reason::ConsentMissing, PermissionDenied),
            (Reason::OptedOut, ServiceNotApplicable),
            (Reason::Suspended, PermissionDenied),
            (Reason::UnknownNumber, IdentifierNotFound),
            (Reason::NotAvailable, ServiceNotApplicable),
            (Reason::NotWatched, OutOfRange),
            (Reason::Undecided, ServiceNotApplicable),
            (Reason::Contradicted, ServiceNotApplicable),
            (Reason::Stale, ServiceNotApplicable),
            (Reason::OutOfRange, OutOfRange),
            (Reason::Timeout, Unavailable),
            (Reason::SourceDown, Unavailable),
            (Reason::Overloaded, Unavailable),
            (Reason::Quota, QuotaExceeded),
        ];
        assert_eq!(of_a_check.len(), Reason::ALL.len());
        for (reason, expected) in of_a_check {
            for operation in Operation::ALL {
                let windowless = if reason == Reason::NotWatched {
                    ServiceNotApplicable
                } else if reason == Reason::OutOfRange {
                    PermissionDenied
                } else {
                    expected
                };
                let windowed = matches!(
                    (operation.signal(), operation),
                    (Signal::NumberRecycling | Signal::Tenure, _)
                        | (_, Operation::SimSwapCheck | Operation::DeviceSwapCheck)
                );
                let expected = if windowed { expected } else { windowless };
                assert_eq!(code(operation, reason), expected, "{operation:?} {reason}");
            }
        }
    }

    #[test]
    fn every_error_says_the_word_and_the_detail_of_the_other_doors() {
        for reason in Reason::ALL {
            let detail = reason.consequence().meaning;
            let problem = problem(Operation::SimSwapCheck, *reason, detail);
            assert_eq!(problem.message, format!("{reason}: {detail}"));
            assert_eq!(problem.reason, Some(reason.name()));
        }
    }

    #[test]
    fn whoever_may_try_again_is_told_when_and_nobody_else() {
        for reason in Reason::ALL {
            let consequence = reason.consequence();
            let problem = problem(Operation::SimSwapCheck, *reason, consequence.meaning);
            // What is stale may be fresh later, but nobody can say when.
            let soon = consequence.retry && *reason != Reason::Stale;
            assert_eq!(problem.retry_after.is_some(), soon, "{reason}");
            if consequence.fault == Fault::Agreement {
                assert_eq!(problem.code, Code::PermissionDenied, "{reason}");
            }
        }
    }
}
