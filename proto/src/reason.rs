//! Why a signal has no value, and what follows from each reason.

use crate::{named::named_enum, v1};

named_enum! {
    /// The reasons, the same on every door.
    pub enum Reason: v1::Reason, "reason" {
        /// No operator reached serves this range.
        NotCovered = "not_covered",
        /// The resolver failed.
        RouteUnknown = "route_unknown",
        /// The operator lost the number to another.
        NotOurs = "not_ours",
        /// No clause between the two.
        NotContracted = "not_contracted",
        /// A clause, which does not allow this.
        NotAuthorised = "not_authorised",
        /// The clause requires a consent reference.
        ConsentMissing = "consent_missing",
        /// The subscriber opted out.
        OptedOut = "opted_out",
        /// Suspended by an authority or by the operator.
        Suspended = "suspended",
        /// No such subscriber.
        UnknownNumber = "unknown_number",
        /// The source never knows this.
        NotAvailable = "not_available",
        /// Not watched for as long as the window.
        NotWatched = "not_watched",
        /// The interval straddles the window.
        Undecided = "undecided",
        /// Sources disagree.
        Contradicted = "contradicted",
        /// Older than the clause accepts.
        Stale = "stale",
        /// Outside what the clause offers.
        OutOfRange = "out_of_range",
        /// No answer in time.
        Timeout = "timeout",
        /// The source or its adapter is down.
        SourceDown = "source_down",
        /// The source is at its ceiling.
        Overloaded = "overloaded",
        /// A quota is used up.
        Quota = "quota",
    }
}

/// Who could have made it otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The agreement, or the law behind it, does not allow it.
    Agreement,
    /// The bank asked for what it can't have, or too much.
    Bank,
    /// The operator or its systems.
    Operator,
    /// The broker or what it depends on.
    Broker,
    /// The subscriber decided so.
    Subscriber,
    /// Nobody: this is what is known.
    Nobody,
}

/// What follows from a reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Consequence {
    /// Who could have made it otherwise.
    pub fault: Fault,
    /// Whether the same question may be answered a little later.
    pub retry: bool,
    /// One sentence for people.
    pub meaning: &'static str,
}

impl Reason {
    /// The table: whose fault, whether to retry, and what it means.
    #[must_use]
    pub const fn consequence(self) -> Consequence {
        use Fault::{Agreement, Bank, Broker, Nobody, Operator, Subscriber};
        let (fault, retry, meaning) = match self {
            Self::NotCovered => (
                Nobody,
                false,
                "no operator that Accord reaches serves this number",
            ),
            Self::RouteUnknown => (
                Broker,
                true,
                "the operator of this number could not be found out now",
            ),
            Self::NotOurs => (
                Broker,
                false,
                "the operator has lost this number to another one",
            ),
            Self::NotContracted => (
                Agreement,
                false,
                "no clause stands between this bank and this operator",
            ),
            Self::NotAuthorised => (
                Agreement,
                false,
                "no clause allows this signal for this purpose",
            ),
            Self::ConsentMissing => (Bank, false, "the clause requires a consent reference"),
            Self::OptedOut => (Subscriber, false, "the subscriber has opted out"),
            Self::Suspended => (
                Agreement,
                false,
                "suspended by an authority or by the operator",
            ),
            Self::UnknownNumber => (Nobody, false, "the operator has no such subscriber"),
            Self::NotAvailable => (Operator, false, "the operator's source never knows this"),
            Self::NotWatched => (
                Operator,
                false,
                "the operator has not watched for as long as the window",
            ),
            Self::Undecided => (
                Nobody,
                false,
                "what is known straddles the edge of the window",
            ),
            Self::Contradicted => (Operator, false, "the operator's sources disagree"),
            Self::Stale => (
                Operator,
                true,
                "the newest observation is older than the clause accepts",
            ),
            Self::OutOfRange => (
                Bank,
                false,
                "the parameter lies outside what the clause offers",
            ),
            Self::Timeout => (Operator, true, "the operator did not answer in time"),
            Self::SourceDown => (Operator, true, "the operator's source can't be reached"),
            Self::Overloaded => (Operator, true, "the operator's source is at its ceiling"),
            Self::Quota => (Bank, false, "a quota of the clause is used up"),
        };
        Consequence {
            fault,
            retry,
            meaning,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_its_wire_number_and_back() {
        for reason in Reason::ALL {
            assert_eq!(Reason::from_wire(reason.to_wire() as i32), Some(*reason));
            assert_eq!(Reason::from_name(reason.name()), Some(*reason));
        }
        assert_eq!(Reason::ALL.len(), 19);
        assert_eq!(Reason::from_wire(0), None);
        assert_eq!(Reason::from_wire(99), None);
    }

    #[test]
    fn retrying_never_helps_against_the_agreement_or_the_subscriber() {
        for reason in Reason::ALL {
            let consequence = reason.consequence();
            if matches!(consequence.fault, Fault::Agreement | Fault::Subscriber) {
                assert!(!consequence.retry, "{reason}");
            }
        }
    }
}
