//! What two Accord parties must agree on to the byte.
//!
//! ```text
//!   wire      v1 (generated from accord/v1/*.proto)
//!   nouns     msisdn · party · purpose · signal · granularity · observation · reason · band
//!   documents agreement · parties · statement
//!   CAMARA    operations · scopes · clients
//!   OAuth     forms · assertions · keys and headers of tokens
//!   ledger    entry · subject · shares · merkle · c2sp (note, checkpoint, tiles, proof)
//! ```
//!
//! No socket, no file and no runtime here: the other crates depend on this one and it depends on
//! none of them. Wire messages become nouns once, at the edge, and travel no further.

pub mod agreement;
pub mod band;
pub mod c2sp;
pub mod camara;
pub mod clock;
pub mod digest;
pub mod document;
pub mod entry;
pub mod granularity;
pub mod hex;
mod key_text;
pub mod merkle;
pub mod msisdn;
mod named;
pub mod naptr;
pub mod oauth;
pub mod observation;
pub mod parties;
pub mod party;
pub mod portability;
pub mod purpose;
pub mod reason;
pub mod secret;
pub mod segment;
pub mod shares;
pub mod signal;
pub mod statement;
pub mod subject;
pub mod wire;

pub use named::UnknownWord;

/// The messages, generated from `accord/v1/*.proto`, whose comments are the reference.
#[allow(
    missing_docs,
    missing_debug_implementations,
    unreachable_pub,
    unused_qualifications,
    clippy::all,
    clippy::allow_attributes,
    clippy::allow_attributes_without_reason,
    clippy::or_fun_call,
    clippy::too_many_lines,
    clippy::use_self,
    clippy::wildcard_enum_match_arm,
    reason = "generated code"
)]
pub mod v1 {
    tonic::include_proto!("accord.v1");

    /// The compiled descriptors, for gRPC server reflection.
    pub const FILE_DESCRIPTOR_SET: &[u8] =
        include_bytes!(concat!(env!("OUT_DIR"), "/accord_descriptor.bin"));
}
