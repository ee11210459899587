//! The CSV source, each trap of an export with a file of its own.
#![expect(
    clippy::unwrap_used,
    reason = "the helpers of a test fail by panicking"
)]

mod again;
mod begun;
mod changing;
mod common;
mod content;
mod files;
mod fixture;
mod holder;
mod news;
