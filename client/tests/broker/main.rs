//! The client and the command against a broker in this process: real TLS, real gRPC, and answers
//! as each test wants them.
#![expect(
    clippy::unwrap_used,
    reason = "the helpers of tests may panic as tests do"
)]

mod agreement;
mod audit;
mod command;
mod granted;
mod ledger;
mod lookup;
mod parties;
mod proofs;
mod readme;
mod register;
mod renewal;
mod screening;
mod stating;
mod stub;
mod whole_program;
