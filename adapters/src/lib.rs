//! An operator's side of Accord: sources, and the runtime that attaches them to a broker.

pub mod camara_upstream;
pub mod config;
pub mod conformance;
pub mod csv_export;
pub mod diameter;
mod disk;
pub mod events;
pub mod file_drop;
pub mod interval_journal;
pub mod journal;
pub mod merge;
pub mod number_list;
pub mod osmo_hlr;
pub mod portability;
#[cfg(any(test, feature = "test-util"))]
pub mod python;
pub mod reconcile;
pub mod runtime;
pub mod several;
pub mod source;
pub mod sources;
pub mod sql;
pub mod status;
pub mod tls_files;
pub mod unreached;
pub mod virtual_operator;
#[cfg(any(test, feature = "test-util"))]
pub mod way;
