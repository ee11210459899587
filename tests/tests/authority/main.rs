//! What authorities do with Accord, end to end: real banks, operators and a broker, and the ledger
//! that they leave.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::wildcard_enum_match_arm,
    reason = "a test stops at the first thing that is not as it should be"
)]

mod agreement_life;
mod anomalies;
mod closed;
mod desk;
mod following;
mod index;
mod kept;
mod keys;
mod latency;
mod mirror;
mod mirror_lies;
mod mirror_stale;
mod offline;
mod online;
mod proved_export;
mod queries;
mod reading;
mod remits;
mod rig;
mod stage;
mod static_tiles;
mod subjects;
mod suspension;
mod tiles;
