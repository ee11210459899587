//! What a client of the CAMARA door and the broker must agree on: operations, scopes, purposes and
//! the names of clients.
//!
//! CAMARA (GSMA Open Gateway) names operations and scopes; Accord names the signal and the purpose
//! behind each.

mod client;
mod operation;
mod scope;

pub use client::{ClientId, ClientIdError};
pub use operation::{MAX_AGE_HOURS_MAX, Operation};
pub use scope::{DpvPurpose, DpvPurposeError, Requested, ScopeError, Scopes};
