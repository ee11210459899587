//! What a client and an authorisation server must agree on: the form of a token request, the
//! assertion in it, keys as JSON, and what is read of a token or a proof before its signature is
//! checked.
//!
//! All of it reads what a stranger may have sent, so it stands here, where a fuzzer reaches it without
//! a broker around it.

mod assertion;
mod form;
mod jwk;
mod jws;
mod proof;
mod token_header;

pub use assertion::{Assertion, AssertionError, Checked, Expected, Use};
pub use form::{Form, FormError, encode_form};
pub use jwk::PublicJwk;
pub use jws::{Jws, JwsError};
pub use proof::{ProofHeaderError, proof_key};
pub use token_header::{TokenHeader, TokenHeaderError};
