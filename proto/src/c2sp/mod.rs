//! The C2SP formats (<https://c2sp.org>) that the ledger and the signed documents speak, byte for
//! byte, so that tools written by others can verify them.

pub mod key;
pub mod note;

pub use key::{KeyError, NoteSignature, SigningKey, VerifierKey};
pub use note::{NoteError, SignedNote};
