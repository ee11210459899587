//! A question, in the making.

use std::fmt;

use accord_proto::{
    clock::SharedClock,
    purpose::Purpose,
    signal::{Question, whole_minute},
    v1,
    wire::{self, FieldError},
};
use jiff::{Timestamp, civil::Date};

use crate::{random, token::Scope};

/// A question about one number: who is asked about, why, and what.
///
/// `Debug` does not show the number. Nothing is checked until it is sent; then a mistake comes back
/// as [`CallError::Malformed`](crate::CallError::Malformed), which names the field, and nothing is
/// sent.
#[derive(Clone)]
#[must_use = "a question does nothing until it is asked"]
pub struct Lookup {
    request: v1::LookupRequest,
    purpose: Purpose,
}

impl Lookup {
    /// Begins a question about a number in E.164 form (`+447700900123`).
    pub fn about(msisdn: impl Into<String>, purpose: Purpose) -> Self {
        Self {
            request: v1::LookupRequest {
                msisdn: msisdn.into(),
                purpose: purpose.to_wire() as i32,
                request_id: random::id(),
                ..v1::LookupRequest::default()
            },
            purpose,
        }
    }

    /// Adds a signal with its parameters.
    pub fn question(mut self, question: Question) -> Self {
        self.request.signals.push(wire::question(&question));
        self
    }

    /// Did the number move to another SIM, as precisely as the clause allows?
    pub fn sim_swap(self) -> Self {
        self.question(Question::SimSwap {
            threshold_hours: None,
        })
    }

    /// Did the number move to another SIM within so many hours? Yes or no.
    pub fn sim_swap_within(self, hours: u32) -> Self {
        self.question(Question::SimSwap {
            threshold_hours: Some(hours),
        })
    }

    /// Did the SIM move to another device, as precisely as the clause allows?
    pub fn device_swap(self) -> Self {
        self.question(Question::DeviceSwap {
            threshold_hours: None,
        })
    }

    /// Did the SIM move to another device within so many hours? Yes or no.
    pub fn device_swap_within(self, hours: u32) -> Self {
        self.question(Question::DeviceSwap {
            threshold_hours: Some(hours),
        })
    }

    /// Are calls forwarded? With a clause of yes or no: may calls end with somebody else? Forwarding
    /// to the subscriber's own voicemail does not count, one to a target that the operator can't tell
    /// does; so *no* does not say that no forwarding is active.
    pub fn call_forwarding(self) -> Self {
        self.question(Question::CallForwarding)
    }

    /// Is the subscriber abroad, registered in a visited network?
    pub fn roaming(self) -> Self {
        self.question(Question::Roaming)
    }

    /// Did the number change its holder since this day (on which the bank knew the holder)?
    pub fn number_recycling(self, since: Date) -> Self {
        self.question(Question::NumberRecycling { since })
    }

    /// Has the same holder held the number without a break since this day?
    pub fn tenure(self, since: Date) -> Self {
        self.question(Question::Tenure { since })
    }

    /// Did an attack by signalling pass the operator's firewall since this moment, at which a code
    /// was sent for example? The moment is rounded down to its minute.
    pub fn signalling_anomaly(self, since: Timestamp) -> Self {
        self.question(Question::SignallingAnomaly {
            since: whole_minute(since),
        })
    }

    /// Asks for a named principal, and not for the bank itself.
    pub fn on_behalf_of(mut self, principal: impl Into<String>) -> Self {
        self.request.on_behalf_of = principal.into();
        self
    }

    /// The bank's own opaque reference for the customer. Never a phone number.
    pub fn customer_ref(mut self, reference: impl Into<String>) -> Self {
        self.request.customer_ref = reference.into();
        self
    }

    /// Reference to the consent on file, where the clause requires one.
    pub fn consent_ref(mut self, reference: impl Into<String>) -> Self {
        self.request.consent_ref = reference.into();
        self
    }

    /// The bank's own id of this question, 1 to 64 bytes, unique for each. Without it a random one
    /// is used, so that every question can be repeated safely.
    pub fn request_id(mut self, id: impl Into<String>) -> Self {
        self.request.request_id = id.into();
        self
    }

    /// Asks for a whole proof with the receipt.
    pub const fn with_proof(mut self) -> Self {
        self.request.receipt = v1::ReceiptKind::Proof as i32;
        self
    }

    /// Checks everything that can be checked here.
    pub(crate) fn check(self, clock: &SharedClock) -> Result<Asked, FieldError> {
        if self.request.request_id.is_empty() {
            return Err(FieldError::new("request_id", "1 to 64 bytes"));
        }
        let parsed = wire::Lookup::parse(self.request.clone(), clock.now())?;
        let scope = Scope::new([self.purpose]);
        let scope = match &parsed.on_behalf_of {
            Some(principal) => scope.on_behalf_of(principal.as_str()),
            None => scope,
        };
        Ok(Asked {
            request: self.request,
            questions: parsed.questions,
            proof: parsed.proof,
            scope,
        })
    }
}

impl fmt::Debug for Lookup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lookup")
            .field("purpose", &self.purpose)
            .finish_non_exhaustive()
    }
}

/// A question that is in order, and what its answer will be held against.
#[derive(Clone)]
pub(crate) struct Asked {
    pub(crate) request: v1::LookupRequest,
    pub(crate) questions: Vec<Question>,
    pub(crate) proof: bool,
    pub(crate) scope: Scope,
}

#[cfg(test)]
mod tests {
    use accord_proto::clock::ManualClock;

    use super::*;

    fn clock() -> SharedClock {
        ManualClock::at("2026-11-21T12:00:00Z".parse().unwrap())
    }

    #[test]
    fn every_question_has_a_request_id_of_its_own() {
        let ask = || {
            let lookup = Lookup::about("+447700900001", Purpose::Payment).sim_swap();
            lookup.check(&clock()).ok().unwrap().request.request_id
        };
        assert_ne!(ask(), ask());
        assert!(!ask().is_empty());
    }

    #[test]
    fn a_malformed_question_names_its_field_and_not_the_number() {
        let about = |number: &str| Lookup::about(number, Purpose::Payment);
        for (lookup, field) in [
            (about("447700900001").roaming(), "msisdn"),
            (about("+447700900001"), "signals"),
            (about("+447700900001").roaming().roaming(), "signals[1]"),
            (
                about("+447700900001").tenure("2026-11-22".parse().unwrap()),
                "signals[0].tenure.since",
            ),
            (
                about("+447700900001").signalling_anomaly("2026-11-21T12:01:00Z".parse().unwrap()),
                "signals[0].signalling_anomaly.since",
            ),
            (
                about("+447700900001").roaming().request_id(""),
                "request_id",
            ),
            (
                about("+447700900001").roaming().on_behalf_of("No Such"),
                "on_behalf_of",
            ),
        ] {
            let error = lookup.check(&clock()).err().unwrap();
            assert_eq!(error.field, field);
            assert!(!error.to_string().contains("7700900001"));
        }
    }
}
