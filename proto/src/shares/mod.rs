//! The key of a closed month, in the hands of two: neither authority can use it without the other.
//!
//! ```text
//!   month's key ──split──▶ half A ──HPKE──▶ sealed to the telecom regulator ─┐
//!                └───────▶ half B ──HPKE──▶ sealed to the central bank ──────┤ kept by the broker,
//!                                                                            ┘ the key is erased
//!   half A, opened and sealed again to the other authority ──┐
//!   half B, opened ──────────────────────────────────────────┴─combine──▶ the month's key
//! ```
//!
//! Half A is random and half B is the key XOR A, so one half says nothing about the key (rule R35).
//! The HPKE of RFC 9180 seals each half: DHKEM(X25519, HKDF-SHA256), HKDF-SHA256,
//! ChaCha20-Poly1305, in the base mode.

mod act;
mod key;
mod life;
mod lines;
mod sealed;

pub use act::{ACT_AGE_MAX, ActMistake, KeyRequest, RequestKind, SignedRequest, case_reference};
pub use key::{ShareKey, ShareKeyError, ShareSecret};
pub use life::{KeyActError, KeyLife, KeyNotNow, KeyPlace, MonthKey, RECORDED_WITHIN_MAX};
pub use sealed::{OpenedShare, SealedShare, ShareError, ShareFacts, combine, split};
