//! Why a whole question is refused. A signal that can't be answered is not a refusal: it is an
//! answer with a reason.

use std::time::Duration;

use accord_proto::{
    party::{OrgName, Role},
    purpose::Purpose,
    signal::Signal,
    subject::Month,
    wire::FieldError,
};

use crate::{
    governance::{ActFault, ActRefusal},
    identity::IdentityError,
    ledger::LedgerError,
};

/// A refusal of a whole call. `Display` is safe for the caller and names the field or the fact.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Refusal {
    /// Certificate or token.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// A field of the question breaks a rule.
    #[error("{0}")]
    Field(#[from] FieldError),
    /// The message is longer than the broker reads.
    #[error("the message is longer than the broker's limit")]
    MessageTooLong,
    /// The bytes are no message of this method.
    #[error("the bytes sent are no message of this method")]
    MessageMalformed,
    /// The certificate's role may not call this method.
    #[error("a certificate of role `{role}` may not call this; it is for {allowed}")]
    Role {
        /// The caller's role.
        role: Role,
        /// Who may.
        allowed: &'static str,
    },
    /// The party is not in the signed list of parties.
    #[error("this party is not in the list of parties")]
    PartyUnknown,
    /// The party's licence is not in force (rule R01).
    #[error("this party's licence is not in force: {0}")]
    Licence(String),
    /// The agreement grants this party no whole copy of the ledger.
    #[error(
        "the agreement grants this party no mirror: its `mirrors` does not name it, so it gets \
         checkpoints and hash tiles, and no entries"
    )]
    NoMirror,
    /// The token does not cover the purpose.
    #[error("purpose: `{0}` is not among the purposes of the token")]
    PurposeNotInToken(Purpose),
    /// The token's scopes cover no operation about the signal.
    #[error("signals: no scope of the token covers `{0}`")]
    SignalNotInScope(Signal),
    /// The token's scopes do not cover the operation.
    #[error("no scope of the token covers this operation")]
    OperationNotInScope,
    /// The token is about one number already. They are not compared, since that would tell whose
    /// number the token is about (CAMARA Commonalities, identifier case 3).
    #[error("msisdn: the token says which number it is about, so the request names none")]
    UnnecessaryIdentifier,
    /// Neither request nor token names a number.
    #[error("msisdn: neither the request nor the token names a number")]
    MissingIdentifier,
    /// The token does not cover the principal (rule R03).
    #[error("on_behalf_of: `{0}` is not among the principals of the token")]
    PrincipalNotInToken(OrgName),
    /// No agreement is in force (rule R05).
    #[error("no agreement is in force: {0}")]
    NoAgreement(String),
    /// An authority suspended the bank, or the whole agreement (rule R05).
    #[error("suspended: {0}; only both authorities together lift that")]
    Suspended(String),
    /// An authority's act is not taken.
    #[error("{0}")]
    Act(Box<ActRefusal>),
    /// The request id was used for another question.
    #[error("request_id: already used for another question within ten minutes")]
    RequestIdReused,
    /// The bank's own rate.
    #[error("too many questions a second for this bank")]
    RateLimited {
        /// When a question is admitted again.
        retry_after: Duration,
    },
    /// Too many calls in flight.
    #[error("the broker is at its limit of calls in flight")]
    Overloaded,
    /// The broker can't put an access on the record now, so it answers nothing.
    #[error("the broker is not ready: {0}")]
    NotReady(&'static str),
    /// What has become of a month's key stands against it (rules R35, R39).
    #[error("month {month}: {why}")]
    KeyMonth {
        /// The key's month.
        month: Month,
        /// What stands against it.
        why: String,
    },
    /// Nobody knows since when the number has had its present holder (rule R45).
    #[error("msisdn: no report can be made, since it could show a former holder's accesses: {0}")]
    Tenure(String),
    /// What was asked for does not exist, or is not for this caller: the two look alike.
    #[error("{0}: no such thing, or not for this party")]
    NotFound(&'static str),
}

/// The gRPC status code of a refusal, kept free of tonic so that every door can use it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Repeated id with other content.
    AlreadyExists,
    /// The state of agreement or list of parties forbids it.
    FailedPrecondition,
    /// A malformed field.
    InvalidArgument,
    /// Nothing there, for this caller.
    NotFound,
    /// Known, but not allowed.
    PermissionDenied,
    /// A rate or a limit.
    ResourceExhausted,
    /// Not known.
    Unauthenticated,
    /// Not now.
    Unavailable,
}

impl From<ActRefusal> for Refusal {
    fn from(refusal: ActRefusal) -> Self {
        Self::Act(Box::new(refusal))
    }
}

/// The ledger takes nothing, or has no such thing.
impl From<LedgerError> for Refusal {
    fn from(error: LedgerError) -> Self {
        match error {
            LedgerError::UnknownLog { .. } => Self::NotFound("origin"),
            LedgerError::Range { .. } => Self::NotFound("index"),
            LedgerError::ClockStepped | LedgerError::ClockBehind { .. } => {
                Self::NotReady("its clock stepped")
            }
            LedgerError::DiskLow => Self::NotReady("its ledger is low on space"),
            LedgerError::Unwitnessed => Self::NotReady("no quorum of witnesses cosigns its ledger"),
            LedgerError::Full => Self::NotReady("its ledger's queue is full"),
            LedgerError::Stopped => Self::NotReady("it is shutting down"),
            LedgerError::EntryTooLong
            | LedgerError::Exists { .. }
            | LedgerError::Missing { .. }
            | LedgerError::Locked { .. }
            | LedgerError::Io { .. }
            | LedgerError::Damaged { .. }
            | LedgerError::Published { .. }
            | LedgerError::Unpublished { .. }
            | LedgerError::Shorter { .. }
            | LedgerError::Forked { .. }
            | LedgerError::WitnessedMore { .. }
            | LedgerError::WitnessedOther { .. }
            | LedgerError::WrongKey { .. }
            | LedgerError::Key(_)
            | LedgerError::Setting(_)
            | LedgerError::Proof(_)
            | LedgerError::Random => {
                tracing::error!(%error, "the ledger can't do its work");
                Self::NotReady("its ledger can't take an entry")
            }
        }
    }
}

impl Refusal {
    /// The class, from which each door takes its status code.
    #[must_use]
    pub const fn class(&self) -> Class {
        match self {
            Self::Identity(error) => match error.is_permission() {
                true => Class::PermissionDenied,
                false => Class::Unauthenticated,
            },
            Self::Act(act) => act_class(act.fault()),
            Self::Field(_)
            | Self::MessageMalformed
            | Self::UnnecessaryIdentifier
            | Self::MissingIdentifier => Class::InvalidArgument,
            Self::Role { .. }
            | Self::PartyUnknown
            | Self::Licence(_)
            | Self::NoMirror
            | Self::PurposeNotInToken(_)
            | Self::SignalNotInScope(_)
            | Self::OperationNotInScope
            | Self::PrincipalNotInToken(_) => Class::PermissionDenied,
            Self::NoAgreement(_) | Self::Suspended(_) | Self::KeyMonth { .. } | Self::Tenure(_) => {
                Class::FailedPrecondition
            }
            Self::RequestIdReused => Class::AlreadyExists,
            Self::RateLimited { .. } | Self::Overloaded | Self::MessageTooLong => {
                Class::ResourceExhausted
            }
            Self::NotReady(_) => Class::Unavailable,
            Self::NotFound(_) => Class::NotFound,
        }
    }

    /// The stable word for programs (`google.rpc.ErrorInfo.reason`).
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Identity(error) => error.reason(),
            Self::Field(_) => "MALFORMED_FIELD",
            Self::MessageTooLong => "MESSAGE_TOO_LONG",
            Self::MessageMalformed => "MALFORMED_MESSAGE",
            Self::Role { .. } => "ROLE_NOT_ALLOWED",
            Self::PartyUnknown => "PARTY_UNKNOWN",
            Self::Licence(_) => "LICENCE_NOT_IN_FORCE",
            Self::NoMirror => "NO_MIRROR",
            Self::PurposeNotInToken(_) => "PURPOSE_NOT_IN_TOKEN",
            Self::SignalNotInScope(_) | Self::OperationNotInScope => "SCOPE_NOT_IN_TOKEN",
            Self::UnnecessaryIdentifier => "UNNECESSARY_IDENTIFIER",
            Self::MissingIdentifier => "MISSING_IDENTIFIER",
            Self::PrincipalNotInToken(_) => "PRINCIPAL_NOT_IN_TOKEN",
            Self::NoAgreement(_) => "NO_AGREEMENT_IN_FORCE",
            Self::Suspended(_) => "SUSPENDED",
            Self::Act(act) => act_reason(act.fault()),
            Self::RequestIdReused => "REQUEST_ID_REUSED",
            Self::RateLimited { .. } => "RATE_LIMITED",
            Self::Overloaded => "OVERLOADED",
            Self::NotReady(_) => "NOT_READY",
            Self::KeyMonth { .. } => "KEY_MONTH",
            Self::Tenure(_) => "TENURE_UNKNOWN",
            Self::NotFound(_) => "NOT_FOUND",
        }
    }

    /// The field at fault.
    #[must_use]
    pub fn field(&self) -> Option<&str> {
        match self {
            Self::Field(error) => Some(&error.field),
            Self::PurposeNotInToken(_) => Some("purpose"),
            Self::PrincipalNotInToken(_) => Some("on_behalf_of"),
            Self::RequestIdReused => Some("request_id"),
            Self::KeyMonth { .. } => Some("month"),
            Self::Tenure(_) | Self::UnnecessaryIdentifier | Self::MissingIdentifier => {
                Some("msisdn")
            }
            Self::SignalNotInScope(_) => Some("signals"),
            Self::NotFound(field) => Some(field),
            Self::Act(act) => match act.fault() {
                ActFault::Document => Some("document"),
                ActFault::Malformed
                | ActFault::Signer
                | ActFault::Stale
                | ActFault::Replayed
                | ActFault::NotNow => Some("act"),
            },
            Self::Identity(_)
            | Self::MessageTooLong
            | Self::MessageMalformed
            | Self::Role { .. }
            | Self::PartyUnknown
            | Self::Licence(_)
            | Self::NoMirror
            | Self::OperationNotInScope
            | Self::NoAgreement(_)
            | Self::Suspended(_)
            | Self::RateLimited { .. }
            | Self::Overloaded
            | Self::NotReady(_) => None,
        }
    }

    /// When to try again; `None` where that does not help.
    #[must_use]
    pub const fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::RateLimited { retry_after } => Some(*retry_after),
            Self::Overloaded => Some(Duration::from_millis(100)),
            Self::NotReady(_) => Some(Duration::from_secs(1)),
            Self::Identity(_)
            | Self::Field(_)
            | Self::MessageTooLong
            | Self::MessageMalformed
            | Self::Role { .. }
            | Self::PartyUnknown
            | Self::Licence(_)
            | Self::NoMirror
            | Self::PurposeNotInToken(_)
            | Self::SignalNotInScope(_)
            | Self::OperationNotInScope
            | Self::UnnecessaryIdentifier
            | Self::MissingIdentifier
            | Self::PrincipalNotInToken(_)
            | Self::NoAgreement(_)
            | Self::Suspended(_)
            | Self::Act(_)
            | Self::RequestIdReused
            | Self::KeyMonth { .. }
            | Self::Tenure(_)
            | Self::NotFound(_) => None,
        }
    }
}

const fn act_class(fault: ActFault) -> Class {
    match fault {
        ActFault::Malformed | ActFault::Document => Class::InvalidArgument,
        ActFault::Signer => Class::PermissionDenied,
        ActFault::Stale | ActFault::NotNow => Class::FailedPrecondition,
        ActFault::Replayed => Class::AlreadyExists,
    }
}

const fn act_reason(fault: ActFault) -> &'static str {
    match fault {
        ActFault::Malformed => "ACT_MALFORMED",
        ActFault::Document => "ACT_DOCUMENT",
        ActFault::Signer => "ACT_SIGNER",
        ActFault::Stale => "ACT_STALE",
        ActFault::Replayed => "ACT_REPLAYED",
        ActFault::NotNow => "ACT_NOT_NOW",
    }
}
