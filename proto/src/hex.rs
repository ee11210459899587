//! Hexadecimal digits: two for each byte, lower-case when written, of either case when read.

/// The digits of bytes.
#[must_use]
pub fn encode(bytes: &[u8]) -> String {
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 0xf]);
    let digits = digits.filter_map(|digit| char::from_digit(digit.into(), 16));
    digits.collect()
}

/// The bytes of exactly `2 * N` digits; `None` for any other text.
#[must_use]
pub fn decode<const N: usize>(text: &str) -> Option<[u8; N]> {
    if text.len() != 2 * N {
        return None;
    }
    let mut digits = text.chars().map(|digit| digit.to_digit(16));
    let mut bytes = [0; N];
    for byte in &mut bytes {
        let (high, low) = (digits.next()??, digits.next()??);
        *byte = u8::try_from(high << 4 | low).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_is_read_as_it_was_written() {
        let all: [u8; 256] = std::array::from_fn(|at| at as u8);
        let text = encode(&all);
        assert!(
            text.starts_with("000102") && text.ends_with("fdfeff"),
            "{text}"
        );
        assert_eq!(decode(&text), Some(all));
        assert_eq!(decode(&text.to_uppercase()), Some(all));
        assert_eq!((encode(&[]), decode("")), (String::new(), Some([])));
    }

    #[test]
    fn what_is_not_so_many_digits_is_not_read() {
        for wrong in [
            "", "0", "00", "00000", "0x00", "+f+f", "00 0", "éé", "0000\n",
        ] {
            assert_eq!(decode::<2>(wrong), None, "{wrong:?}");
        }
    }
}
