//! The CAMARA door end to end: the sandbox's open-gateway bank, over HTTP/1.1 and HTTP/2.

#![expect(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests end where they fail"
)]

mod bad_input;
mod client;
mod documents;
mod errors;
mod expected;
mod headers;
mod identifiers;
mod record;
mod schema;
mod stage;
mod two_doors;
