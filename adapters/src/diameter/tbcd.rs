//! TBCD strings (3GPP TS 29.002, `TBCD-STRING`): two digits a byte, the first in the low half,
//! `1111` as filler of the last. In the MSISDN AVP (TS 29.329 section 6.3.2) the number is
//! international and nothing stands before it: no byte for its nature, unlike in MAP.

use std::fmt::Write;

const FILLER: u8 = 0xf;

/// Packs digits; `None` if there is something else.
#[must_use]
pub fn encode(digits: &str) -> Option<Vec<u8>> {
    let digit = |byte: &u8| byte.is_ascii_digit().then(|| byte - b'0');
    let pack = |pair: &[u8]| {
        let mut pair = pair.iter();
        let low = digit(pair.next()?)?;
        let high = pair.next().map_or(Some(FILLER), digit)?;
        Some(high << 4 | low)
    };
    digits.as_bytes().chunks(2).map(pack).collect()
}

/// Unpacks digits; `None` for anything but digits, or a filler that isn't the last.
#[must_use]
pub fn decode(bytes: &[u8]) -> Option<String> {
    let mut digits = String::with_capacity(bytes.len() * 2);
    let mut ended = false;
    for byte in bytes {
        for half in [byte & 0xf, byte >> 4] {
            match half {
                0..=9 if !ended => write!(digits, "{half}").ok()?,
                FILLER if !ended && !digits.len().is_multiple_of(2) => ended = true,
                _ => return None,
            }
        }
    }
    Some(digits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_swapped_and_filled() {
        let even = [0x44, 0x77, 0x00, 0x09, 0x00, 0x10];
        assert_eq!(encode("447700900001").as_deref(), Some(&even[..]));
        assert_eq!(decode(&even).as_deref(), Some("447700900001"));
        let odd = [0x33, 0x36, 0x99, 0x08, 0x00, 0xf1];
        assert_eq!(encode("33639980001").as_deref(), Some(&odd[..]));
        assert_eq!(decode(&odd).as_deref(), Some("33639980001"));
    }

    #[test]
    fn only_digits_are_packed() {
        assert_eq!(encode("+44"), None);
        assert_eq!(encode("44a"), None);
    }

    #[test]
    fn a_filler_stands_at_the_end_only() {
        for bad in [&[0xf4, 0x77][..], &[0x4f], &[0xff], &[0xa4], &[0x4b]] {
            assert_eq!(decode(bad), None, "{bad:?}");
        }
        assert_eq!(decode(&[]).as_deref(), Some(""));
    }
}
