//! From a cell to an MSISDN, by the rules of the configuration.

use accord_proto::msisdn::Msisdn;

use super::config::{Bare, NumberConfig};

/// Reads one cell. The error does not repeat it.
pub(crate) fn parse(cell: &str, rules: &NumberConfig) -> Result<Msisdn, &'static str> {
    let text: String = cell
        .chars()
        .filter(|char| !rules.separators.contains(*char))
        .collect();
    let (prefix, code) = (&rules.international_prefix, &rules.country_code);
    let strip = |prefix: &str| {
        let text = text.strip_prefix(prefix);
        text.filter(|_| !prefix.is_empty())
    };
    let e164 = if text.starts_with('+') {
        text
    } else if let Some(rest) = strip(prefix) {
        format!("+{rest}")
    } else if let Some(rest) = strip(&rules.national_prefix) {
        format!("+{code}{rest}")
    } else {
        match rules.bare {
            Some(Bare::International) => format!("+{text}"),
            Some(Bare::National) => format!("+{code}{text}"),
            None => return Err("has no prefix, and `number.bare` is not given"),
        }
    };
    Msisdn::parse(&e164).map_err(|_| "is no number of 8 to 15 digits")
}

/// A number as an integer, which is smaller. Country codes never begin with zero, so it is unique.
pub(crate) fn packed(msisdn: &Msisdn) -> u64 {
    msisdn
        .expose_digits()
        .bytes()
        .fold(0, |number, digit| number * 10 + u64::from(digit - b'0'))
}

/// The number that an integer stands for.
pub(super) fn unpacked(number: u64) -> Option<Msisdn> {
    Msisdn::parse(&format!("+{number}")).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules() -> NumberConfig {
        NumberConfig {
            country_code: "44".to_owned(),
            national_prefix: "0".to_owned(),
            international_prefix: "00".to_owned(),
            bare: None,
            separators: " -".to_owned(),
        }
    }

    #[test]
    fn each_way_of_writing_gives_the_same_number() {
        let number = Msisdn::parse("+447700900123").unwrap();
        for cell in [
            "+447700900123",
            "00447700900123",
            "07700900123",
            "07700 900-123",
        ] {
            assert!(parse(cell, &rules()) == Ok(number), "{cell}");
        }
        let mut bare = rules();
        bare.bare = Some(Bare::International);
        assert!(parse("447700900123", &bare) == Ok(number));
        bare.bare = Some(Bare::National);
        assert!(parse("7700900123", &bare) == Ok(number));
        assert_eq!(packed(&number), 447_700_900_123);
        assert!(unpacked(447_700_900_123) == Some(number));
    }

    #[test]
    fn what_is_not_stated_is_not_guessed() {
        for cell in [
            "447700900123",
            "7700900123",
            "4.47701E+11",
            "'07700900123",
            "",
            "+",
            "0",
        ] {
            assert!(parse(cell, &rules()).is_err(), "{cell}");
        }
    }
}
