//! What a bank or an authority imports to call Accord.

pub mod profile;
