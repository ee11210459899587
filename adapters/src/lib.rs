//! An operator's side of Accord: sources, and the runtime that attaches them to a broker.

pub mod source;
pub mod virtual_operator;
