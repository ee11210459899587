//! The event stream against a real nats-server (Debian package `nats-server`), and its webhook as
//! a producer meets it. Run with `--ignored --test-threads 1`.
#![expect(
    clippy::panic,
    clippy::unwrap_used,
    reason = "the helpers of a test fail by panicking"
)]

mod lost;
mod rig;
mod shared;
mod stream;
mod webhook;
