//! Files from a real OpenSSH server (Debian package `openssh-server`), and servers that misbehave.

#![expect(
    clippy::unwrap_used,
    reason = "a test stops at the first thing that is not as it should be"
)]

mod fetched;
mod lists;
mod trouble;
