//! What the broker knows about subjects, under pseudonyms only: the months' tag keys, how often each
//! subject was asked about, and what of it is reported to the subject.

pub mod closed;
mod key_check;
pub mod report;
pub mod state;
pub mod tag_keys;
