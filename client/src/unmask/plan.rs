//! A block of a numbering plan: a prefix, and how many digits follow.

/// The most digits that are tried: 10^10 numbers, some hours' work.
const DIGITS_MAX: u8 = 10;
/// A number's digits, as ITU-T E.164 and [`accord_proto::msisdn`] have it.
const LEN_MIN: usize = 8;
const LEN_MAX: usize = 15;

/// Why a text is no plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// Not `PREFIX:DIGITS`.
    #[error("a plan is PREFIX:DIGITS, such as +4477009:5 for the 100000 numbers +447700900000 on")]
    Form,
    /// Too many.
    #[error("at most {DIGITS_MAX} digits are tried: give a longer prefix")]
    Digits,
    /// No such numbers.
    #[error("prefix and digits together make {0} digits, and a number has {LEN_MIN} to {LEN_MAX}")]
    Length(usize),
}

/// A block of numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    prefix: String,
    digits: u8,
}

impl Plan {
    /// Parses `PREFIX:DIGITS`; the prefix begins with a plus sign.
    ///
    /// # Errors
    /// [`PlanError`].
    pub fn parse(text: &str) -> Result<Self, PlanError> {
        let (prefix, digits) = text.split_once(':').ok_or(PlanError::Form)?;
        let rest = prefix.strip_prefix('+').ok_or(PlanError::Form)?;
        let all_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        if rest.is_empty() || rest.starts_with('0') || !all_digits(rest) || !all_digits(digits) {
            return Err(PlanError::Form);
        }
        let digits: u8 = digits.parse().map_err(|_| PlanError::Form)?;
        if digits > DIGITS_MAX {
            return Err(PlanError::Digits);
        }
        let len = rest.len() + usize::from(digits);
        if !(LEN_MIN..=LEN_MAX).contains(&len) {
            return Err(PlanError::Length(len));
        }
        Ok(Self {
            prefix: prefix.to_owned(),
            digits,
        })
    }

    /// How many numbers it has.
    #[must_use]
    pub const fn len(&self) -> u64 {
        10_u64.pow(self.digits as u32)
    }

    /// Never: without digits it is the prefix alone.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        false
    }

    /// Shows the numbers from one place to another, as text. The text is counted up in place, since
    /// making each anew would cost as much as its tag.
    pub(super) fn each(&self, first: u64, last: u64, mut show: impl FnMut(&str)) {
        let width = usize::from(self.digits);
        let prefix = &self.prefix;
        let start = match width {
            0 => prefix.clone(),
            _ => format!("{prefix}{first:0width$}"),
        };
        let mut text = start.into_bytes();
        for _ in first..last {
            if let Ok(text) = std::str::from_utf8(&text) {
                show(text);
            }
            for digit in text.iter_mut().skip(prefix.len()).rev() {
                if *digit == b'9' {
                    *digit = b'0';
                } else {
                    *digit += 1;
                    break;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_counts_up_over_carries() {
        let plan = Plan::parse("+4477009:5").unwrap();
        assert_eq!(plan.len(), 100_000);
        let mut seen = Vec::new();
        plan.each(98, 102, |number| seen.push(number.to_owned()));
        let expected = [98, 99, 100, 101].map(|at| format!("+4477009{at:05}"));
        assert_eq!(seen, expected);
    }

    #[test]
    fn one_number_is_a_plan() {
        let plan = Plan::parse("+447700900001:0").unwrap();
        let mut seen = Vec::new();
        plan.each(0, plan.len(), |number| seen.push(number.to_owned()));
        assert_eq!(seen, ["+447700900001"]);
    }

    #[test]
    fn what_is_no_plan_is_named() {
        for text in [
            "", "+44", "44:8", "+:8", "+044:8", "+44:x", "+44:-1", "+4 4:8", "+44:8:1",
        ] {
            assert_eq!(Plan::parse(text), Err(PlanError::Form), "{text}");
        }
        assert_eq!(Plan::parse("+44:11"), Err(PlanError::Digits));
        assert_eq!(Plan::parse("+44:5"), Err(PlanError::Length(7)));
        assert_eq!(Plan::parse("+4477009000:8"), Err(PlanError::Length(18)));
    }
}
