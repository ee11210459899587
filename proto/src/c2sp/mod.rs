//! The C2SP formats (<https://c2sp.org>) that the ledger and the signed documents speak, byte for
//! byte, so that tools written by others can verify them.

pub mod bundle;
pub mod checkpoint;
pub mod cosignature;
pub mod key;
pub mod note;
pub mod policy;
pub mod proof;
pub mod signature;
pub mod tiles;
pub mod witness;

pub use bundle::{Bundle, BundleEntries, BundleError};
pub use checkpoint::{Checkpoint, CheckpointError};
pub use cosignature::{Cosigner, CosignerKey};
pub use key::{KeyError, SigningKey, VerifierKey};
pub use note::{NoteError, SignedNote};
pub use policy::{Policy, PolicyError};
pub use proof::{LogProof, LogProofError};
pub use signature::NoteSignature;
pub use tiles::Tile;
pub use witness::{AddCheckpoint, WitnessError};
