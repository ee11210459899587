//! Who takes part: the signed `parties.toml`.
//!
//! Banks are believed if the central bank signed the list, operators if the telecom regulator did
//! (rules R01 and R02). The list says of each its licence, its token keys, and of an operator the
//! ranges of numbers that it serves.

mod key;
mod licence;
mod parse;
mod range;
mod signed;

pub use key::{KeyAlgorithm, TokenKey, TokenKeyError};
pub use licence::{Licence, LicenceStatus, NotLicensed};
pub use parse::Party;
pub use range::{NumberRange, NumberRangeError};
pub use signed::{Parties, PartiesError};
