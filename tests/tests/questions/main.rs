//! Questions and refusals, end to end: banks ask a broker that runs, over mTLS, and the ledger says
//! what became of it.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::wildcard_enum_match_arm,
    reason = "a test stops at the first thing that is not as it should be"
)]

mod agreement;
mod audit;
mod bad_questions;
mod bad_tokens;
mod caller;
mod clauses;
mod denied;
mod disbelieved;
mod doors;
mod guesses;
mod house;
mod limits;
mod links;
mod nsd;
mod opted_out;
mod own_control;
mod played;
mod portability;
mod ported;
mod pushed;
mod record;
mod register;
mod repeats;
mod restrictions;
mod revoked;
mod roles;
mod said;
mod signalling;
mod stories;
mod strangers;
mod suppliers;
mod withdrawn;
