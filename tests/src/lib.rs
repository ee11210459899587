//! Accord put together.
//!
//! ```text
//!   world ──▶ certificates, keys, signed documents, configurations (a directory)
//!         ──▶ broker, ledger and virtual operators (running), clients of every party
//! ```
//!
//! [`world`] makes one whole small Accord. The sandbox shows it to a person, the end-to-end tests
//! ask it and break it, and the benchmark measures it.

pub mod bench;
pub mod python;
pub mod sandbox;
pub mod soak;
pub mod world;
