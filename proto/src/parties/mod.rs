//! Who takes part: the signed `parties.toml`.
//!
//! Banks are believed if the central bank signed the list, operators if the telecom regulator did
//! (rules R01 and R02). The list says of each its licence and its token keys, of a bank also its
//! applications that ask for tokens, and of an operator the ranges of numbers that it serves.

mod client;
mod key;
mod licence;
mod parse;
mod range;
mod signed;

pub use client::Client;
pub use key::{KeyAlgorithm, TokenKey, TokenKeyError};
pub use licence::{Licence, LicenceStatus, NotLicensed};
pub use parse::Party;
pub use range::{NumberRange, NumberRangeError};
pub use signed::{Parties, PartiesError};
