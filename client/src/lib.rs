//! What a bank or an authority imports to call Accord.

pub mod answer;
mod audit;
mod builder;
mod client;
#[cfg(feature = "command")]
pub mod command;
mod connect;
mod connected;
mod failover;
mod identity;
pub mod profile;
mod question;
mod random;
mod receipt;
mod refusal;
mod screen;
mod token;
pub mod words;

pub use answer::{Answer, Answered, Mistrust, Outcome, SignalOutcome, Value};
pub use audit::{AgreementInForce, Auditor, LedgerEntry, SignedCheckpoint, Tail, verify};
pub use builder::{BuildError, Builder, DEADLINE_MS, Missing};
pub use client::Client;
pub use connected::ConnectError;
pub use failover::ATTEMPTS_MAX;
pub use identity::{ENDPOINTS_MAX, Endpoints, Identity, IdentityError, Roots, TokenKey};
pub use profile::TokenAlg;
pub use question::Lookup;
pub use receipt::{Assurance, LogTrust, Receipt};
pub use refusal::{CallError, Refusal};
pub use screen::{LineError, Screened, Screening, WINDOW_MAX};
pub use token::{Scope, TOKEN_LIFE_S, TokenError};
