//! Tokens of the authorisation server, from end to end: who gets one, who does not and what they are
//! told, what a token opens, and how it ends.

#![expect(
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    clippy::indexing_slicing,
    reason = "tests end where they fail"
)]

mod assertions;
mod authlib;
mod behind;
mod bound;
mod by_hand;
mod door;
mod external;
mod granted;
mod grpc;
mod issued;
mod onboarding;
mod proofs;
mod record;
mod rig;
mod upstream;
