//! Ranges of numbers that an operator serves.

use std::{borrow::Borrow, fmt};

use crate::msisdn::Msisdn;

/// A range of numbers, by the digits with which they begin: `+447700900`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NumberRange(String);

/// Why a text is no range.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a range is `+` and the 1 to 15 digits with which its numbers begin, the first not 0")]
pub struct NumberRangeError;

impl NumberRange {
    /// Parses a range.
    ///
    /// # Errors
    /// Says the rule.
    pub fn parse(text: &str) -> Result<Self, NumberRangeError> {
        let digits = text.strip_prefix('+').ok_or(NumberRangeError)?;
        let well_formed = (1..=Msisdn::DIGITS_MAX).contains(&digits.len())
            && digits.bytes().all(|byte| byte.is_ascii_digit())
            && !digits.starts_with('0');
        well_formed
            .then(|| Self(text.to_owned()))
            .ok_or(NumberRangeError)
    }

    /// The range with its plus sign. A range is no personal data unless it is as long as a number.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// So that a map of ranges is searched with the beginning of a number, without a copy.
impl Borrow<str> for NumberRange {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for NumberRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}
