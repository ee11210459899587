//! A mirror: an authority's own copy of the ledger, complete and verified, in its own directory.
//!
//! ```text
//! broker ──HTTPS──▶ checkpoint: signed, cosigned?  ──▶ does it continue what is here?
//!                   hash tiles: held against its root, from above
//!                   entries: held against the hashes ──▶ written, synced ──▶ the checkpoint last
//! ```
//!
//! What lies in the directory is C2SP `tlog-tiles`, so that tools written by others can read it. A
//! log that forks, shrinks or lies in one byte is refused, and what is here stays as it was.

mod entries;
mod hashes;
mod layout;
mod read;
mod verify;

#[cfg(feature = "command")]
mod copy;
#[cfg(feature = "command")]
mod error;
#[cfg(feature = "command")]
mod follow;
#[cfg(feature = "command")]
mod fresh;
#[cfg(feature = "command")]
mod https;
#[cfg(feature = "command")]
mod prove;
#[cfg(feature = "command")]
mod store;

pub use entries::EntryFault;
#[cfg(feature = "command")]
pub use error::MirrorError;
#[cfg(feature = "command")]
use follow::Parts;
#[cfg(feature = "command")]
pub use follow::{HeldLog, Mirror, MirrorConfig};
#[cfg(feature = "command")]
pub use fresh::{Stale, words as duration_words};
pub use layout::{Holds, LayoutError, is_mirror};
#[cfg(feature = "command")]
pub use prove::TileProofs;
pub use read::mirrored_entries;
#[cfg(feature = "command")]
pub use store::StoreError;
pub use verify::{MirrorFault, MirroredLog, VerifiedMirror, prove_from_mirror, verify_mirror};
