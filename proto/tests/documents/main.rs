//! The documents that people write and authorities sign: agreement, list of parties, and the page
//! of rules.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests stand outside test functions"
)]

mod agreement_rules;
mod agreement_shape;
mod clause;
mod parties_list;
mod permission_matrix;
mod rules_page;
mod sample;
mod seeds;
mod signed_agreement;
mod signers;
