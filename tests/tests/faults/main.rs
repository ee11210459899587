//! Faults: what is left of every promise when processes are killed, disks fill up, files are
//! damaged and clients hang up; and what must not be found in any file afterwards.
//!
//! The broker that is killed is a process of its own, `accord-broker` as it was built. The adapters
//! run in this process, where they lose the broker as they would lose it over a network.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "a test stops at the first thing that is not as it should be"
)]

mod adapter;
mod authorities;
mod check_config;
mod damage;
mod disk;
mod drain;
mod hang_up;
mod kill;
mod privacy;
mod programs;
mod raw;
mod record;
mod rig;
mod spellings;
mod table;
mod trace;
mod view;
