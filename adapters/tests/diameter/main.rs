//! Diameter Sh: against a scripted peer for what a real one can't be made to do, and against
//! python-diameter and freeDiameterd (ignored by default) for what it does.
#![expect(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "the helpers of a test fail by panicking"
)]

mod bad_input;
mod fake;
mod golden;
mod peers;
mod real;
mod relayed;
mod support;
mod traps;
