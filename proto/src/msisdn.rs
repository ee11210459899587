//! The phone number, which can't be printed.

mod guess;

use std::fmt;

pub use guess::could_be_a_number;

/// An MSISDN in E.164 form: 8 to 15 digits, no leading zero (ITU-T E.164 section 6.2.1; shorter
/// numbers are not international numbers of mobile subscribers).
///
/// It is personal data: `Debug` redacts it and there is no `Display`. `expose` gives the text to
/// those who must have it, an operator's source for example.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Msisdn {
    /// `+` and digits, padded with zero bytes.
    text: [u8; 16],
    len: u8,
}

/// Why a text is no MSISDN. It never repeats the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MsisdnError {
    /// No leading plus sign.
    #[error("a number begins with `+` and its country code")]
    NoPlus,
    /// Something other than a digit.
    #[error("after the `+` a number has digits only, without spaces or dashes")]
    NotDigits,
    /// Too short or too long.
    #[error("a number has 8 to 15 digits")]
    Length,
    /// A country code never begins with zero.
    #[error("a country code does not begin with 0")]
    LeadingZero,
}

impl Msisdn {
    /// The fewest digits accepted.
    pub const DIGITS_MIN: usize = 8;
    /// The most digits of E.164.
    pub const DIGITS_MAX: usize = 15;

    /// Parses `+447700900123`.
    ///
    /// # Errors
    /// [`MsisdnError`] names the rule that the text breaks.
    pub fn parse(text: &str) -> Result<Self, MsisdnError> {
        let digits = text.strip_prefix('+').ok_or(MsisdnError::NoPlus)?;
        if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(MsisdnError::NotDigits);
        }
        if !(Self::DIGITS_MIN..=Self::DIGITS_MAX).contains(&digits.len()) {
            return Err(MsisdnError::Length);
        }
        if digits.starts_with('0') {
            return Err(MsisdnError::LeadingZero);
        }
        let mut padded = [0; 16];
        for (to, from) in padded.iter_mut().zip(text.bytes()) {
            *to = from;
        }
        let len = u8::try_from(text.len()).map_err(|_| MsisdnError::Length)?;
        Ok(Self { text: padded, len })
    }

    /// The number with its plus sign.
    #[must_use]
    pub fn expose(&self) -> &str {
        let bytes = self.text.get(..usize::from(self.len)).unwrap_or_default();
        std::str::from_utf8(bytes).unwrap_or_default()
    }

    /// The digits without the plus sign.
    #[must_use]
    pub fn expose_digits(&self) -> &str {
        self.expose().trim_start_matches('+')
    }
}

impl fmt::Debug for Msisdn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[msisdn]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_e164() {
        let number = Msisdn::parse("+447700900123").unwrap();
        assert_eq!(number.expose(), "+447700900123");
        assert_eq!(number.expose_digits(), "447700900123");
        assert!(Msisdn::parse("+339980123").is_ok());
        assert!(Msisdn::parse("+123456789012345").is_ok());
    }

    #[test]
    fn refuses_what_is_no_number() {
        for (text, error) in [
            ("447700900123", MsisdnError::NoPlus),
            ("", MsisdnError::NoPlus),
            ("+44 7700 900123", MsisdnError::NotDigits),
            ("+44770090012٣", MsisdnError::NotDigits),
            ("+1234567", MsisdnError::Length),
            ("+1234567890123456", MsisdnError::Length),
            ("+07700900123", MsisdnError::LeadingZero),
        ] {
            assert_eq!(Msisdn::parse(text), Err(error), "{text}");
        }
    }

    #[test]
    fn a_number_is_redacted_in_debug() {
        let number = Msisdn::parse("+447700900123").unwrap();
        assert_eq!(
            format!("{number:?} {:?}", Some(number)),
            "[msisdn] Some([msisdn])"
        );
    }
}
