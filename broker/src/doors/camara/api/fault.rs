//! What goes wrong at the door: what the client is told, and what goes on the record.

use accord_proto::wire::FieldError;

use super::problem::{Code, Problem};
use crate::path::Refusal;

/// An error that this door found itself.
#[derive(Clone, Debug)]
pub(super) struct Fault {
    /// What the client is told.
    pub(super) problem: Problem,
    /// What goes on the record; `None` where the path has recorded it, or nothing was refused.
    pub(super) refusal: Option<Box<Refusal>>,
    /// `WWW-Authenticate`, beyond what a 401 always has.
    pub(super) challenge: Option<String>,
}

impl Fault {
    /// A refusal that is told with another code than its class has.
    pub(super) fn coded(code: Code, refusal: Refusal) -> Self {
        let problem = Problem::new(code, refusal.to_string()).because(refusal.reason());
        Self {
            problem,
            refusal: Some(Box::new(refusal)),
            challenge: None,
        }
    }

    /// A part of the request that breaks a rule.
    pub(super) fn field(code: Code, field: &str, rule: &str) -> Self {
        Self::coded(code, FieldError::new(field, rule).into())
    }

    /// A body or header that breaks its schema, in the words of the error.
    pub(super) fn invalid(field: &str, message: &impl std::fmt::Display) -> Self {
        let mut fault = Self::field(Code::InvalidArgument, field, "breaks its schema");
        fault.problem.message = Problem::new(Code::InvalidArgument, message.to_string()).message;
        fault
    }

    /// The same with a challenge.
    pub(super) fn challenging(mut self, challenge: String) -> Self {
        self.challenge = Some(challenge);
        self
    }

    /// An error of an answer that is on the record already.
    pub(super) const fn answered(problem: Problem) -> Self {
        Self {
            problem,
            refusal: None,
            challenge: None,
        }
    }
}

/// A refusal that is not on the record yet.
impl From<Refusal> for Fault {
    fn from(refusal: Refusal) -> Self {
        Self {
            problem: Problem::from(&refusal),
            refusal: Some(Box::new(refusal)),
            challenge: None,
        }
    }
}
