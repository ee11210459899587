//! What the broker knows about subjects, under pseudonyms only: the month's tag keys, and how often
//! each subject was asked about.

mod key_check;
pub mod state;
pub mod tag_keys;
