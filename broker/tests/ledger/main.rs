//! The file ledger from outside: what survives, what is refused, what can be proved.

#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test stops at the first thing that is not as it should be"
)]

mod appends;
mod bench;
mod damage;
mod months;
mod refusals;
