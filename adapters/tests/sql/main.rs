//! The SQL source against a real PostgreSQL (Debian package `postgresql-15`). Run with
//! `--ignored --test-threads 1`.
#![expect(
    clippy::panic,
    clippy::unwrap_used,
    reason = "the helpers of a test fail by panicking"
)]

mod answers;
mod bad;
mod changes;
mod cut;
mod rig;
mod servers;
mod standby;
