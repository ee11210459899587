//! What is counted of one operator.

use accord_proto::reason::{Fault, Reason};

use super::{Operator, waits::Waits};

/// What is counted of one operator.
#[derive(Clone, Debug, Default)]
pub(super) struct Counted {
    answered: u64,
    timeout: u64,
    source_down: u64,
    overloaded: u64,
    not_known: u64,
    pub(super) not_believed: u64,
    pub(super) replies: Waits,
}

impl Counted {
    /// What became of a signal that was routed to this operator. What agreement, bank or subscriber
    /// ruled out was not the operator's to answer.
    pub(super) fn signal(&mut self, reason: Option<Reason>) {
        let counter = match reason {
            None => &mut self.answered,
            Some(Reason::Timeout) => &mut self.timeout,
            Some(Reason::SourceDown) => &mut self.source_down,
            Some(Reason::Overloaded) => &mut self.overloaded,
            Some(other) => match other.consequence().fault {
                Fault::Operator | Fault::Nobody => &mut self.not_known,
                Fault::Agreement | Fault::Bank | Fault::Broker | Fault::Subscriber => return,
            },
        };
        *counter += 1;
    }

    pub(super) fn row(&self, operator: &str, attached_ms: Option<u64>, ran_ms: u64) -> Operator {
        let failed = self.timeout + self.source_down + self.overloaded;
        let all = failed + self.answered + self.not_known;
        Operator {
            operator: operator.to_owned(),
            answered: Some(self.answered),
            timeout: Some(self.timeout),
            source_down: Some(self.source_down),
            overloaded: Some(self.overloaded),
            not_known: Some(self.not_known),
            replies: Some(self.replies.len()),
            p50_us: self.replies.percentile(50),
            p95_us: self.replies.percentile(95),
            attached: (ran_ms > 0).then(|| attached_ms.unwrap_or(0) as f64 / ran_ms as f64),
            failed_share: (all > 0).then(|| failed as f64 / all as f64),
            not_believed: Some(self.not_believed),
        }
    }
}
