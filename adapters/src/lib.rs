//! An operator's side of Accord: sources, and the runtime that attaches them to a broker.

pub mod interval_journal;
pub mod journal;
pub mod osmo_hlr;
pub mod runtime;
pub mod source;
pub mod virtual_operator;
