//! What an authority asks to be done with a closed month's key, as the text of a C2SP signed note,
//! so that nobody else can have asked it.
//!
//! ```text
//! accord-key-act v1
//! ledger accord-sandbox
//! act shred
//! month 2026-09
//! case CASE-2026-17
//! at 2026-11-26T20:40:00Z
//! ```

use std::fmt;

use jiff::{SignedDuration, Timestamp};

use super::lines::{Lines, NotLine};
use crate::{named::UnknownWord, subject::Month};

const HEADING: &str = "accord-key-act v1";
const MONTH: &str = "month YYYY-MM";
const AT: &str = "at INSTANT";
/// How far a note's time may lie from the broker's: an old note must not be used again.
pub const ACT_AGE_MAX: SignedDuration = SignedDuration::from_mins(10);
/// Longest reference of a case.
const CASE_LEN_MAX: usize = 64;
/// A number has 8 digits at least (see [`crate::msisdn`]), so no run of digits is that long.
const CASE_DIGITS_MAX: usize = 7;

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RequestKind {
    /// A legal hold: the month's shares must not be destroyed.
    Hold,
    /// The hold is to end, which takes both authorities.
    Lift,
    /// The month's shares are to be destroyed, which takes both authorities.
    Shred,
}

impl RequestKind {
    const ALL: [Self; 3] = [Self::Hold, Self::Lift, Self::Shred];

    /// The word in the note.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Hold => "hold",
            Self::Lift => "lift",
            Self::Shred => "shred",
        }
    }

    fn parse(name: &str) -> Result<Self, UnknownWord> {
        let known = Self::ALL.into_iter().find(|kind| kind.name() == name);
        let words = || UnknownWord::new("act", name, Self::ALL.into_iter().map(Self::name));
        known.ok_or_else(words)
    }
}

/// A request, as it is signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyRequest {
    /// The ledger's name, without a month.
    pub ledger: String,
    /// What is asked.
    pub kind: RequestKind,
    /// The key's month.
    pub month: Month,
    /// The authorities' reference of the case.
    pub case: String,
    /// When it was signed.
    pub at: Timestamp,
}

/// What is wrong with the text of a request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ActMistake {
    /// A line is missing, stands in the wrong place, or is malformed.
    #[error("line {line} of the note is not `{expected}`")]
    Line {
        /// The line, from 1.
        line: usize,
        /// What should stand there.
        expected: &'static str,
    },
    /// An act that is none.
    #[error(transparent)]
    Kind(#[from] UnknownWord),
    /// The case.
    #[error("case: {0}")]
    Case(String),
}

impl From<NotLine> for ActMistake {
    fn from(NotLine { line, expected }: NotLine) -> Self {
        Self::Line { line, expected }
    }
}

/// A reference of a case, which stands in the ledger and must not be a phone number.
///
/// # Errors
/// The rule that it breaks.
pub fn case_reference(case: &str) -> Result<String, String> {
    let known = |byte: u8| byte.is_ascii_alphanumeric() || b"-._/:#".contains(&byte);
    if !(1..=CASE_LEN_MAX).contains(&case.len()) || !case.bytes().all(known) {
        return Err(format!(
            "is 1 to {CASE_LEN_MAX} of 0-9, a-z, A-Z and `-._/:#`"
        ));
    }
    let digits = case.split(|c: char| !c.is_ascii_digit()).map(str::len);
    if digits.max().unwrap_or(0) > CASE_DIGITS_MAX {
        return Err(format!(
            "holds more than {CASE_DIGITS_MAX} digits in a row, which could be a phone number"
        ));
    }
    Ok(case.to_owned())
}

impl KeyRequest {
    /// Reads the text of a note.
    ///
    /// # Errors
    /// [`ActMistake`] names the line.
    pub fn parse(text: &str) -> Result<Self, ActMistake> {
        let mut lines = Lines::of(text);
        lines.exactly(HEADING)?;
        let ledger = lines.field("ledger NAME")?.to_owned();
        let kind = RequestKind::parse(lines.field("act hold, lift or shred")?)?;
        let month = Month::parse(lines.field(MONTH)?);
        let month = month.ok_or_else(|| lines.not(MONTH))?;
        let case = case_reference(lines.field("case REFERENCE")?).map_err(ActMistake::Case)?;
        let at = lines.field(AT)?.parse();
        let at = at.map_err(|_| lines.not(AT))?;
        lines.end()?;
        Ok(Self {
            ledger,
            kind,
            month,
            case,
            at,
        })
    }

    /// Whether it was signed just now, as far as a clock can tell.
    #[must_use]
    pub fn is_fresh(&self, now: Timestamp) -> bool {
        now.duration_since(self.at).abs() <= ACT_AGE_MAX
    }
}

/// The text of the note, which ends with a newline.
impl fmt::Display for KeyRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            ledger,
            kind,
            month,
            case,
            at,
        } = self;
        let kind = kind.name();
        write!(
            f,
            "{HEADING}\nledger {ledger}\nact {kind}\nmonth {month}\ncase {case}\nat {at}\n"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request() -> KeyRequest {
        KeyRequest {
            ledger: "accord.test".into(),
            kind: RequestKind::Shred,
            month: Month::parse("2026-09").unwrap(),
            case: "CASE-2026-17".into(),
            at: "2026-11-26T20:40:00Z".parse().unwrap(),
        }
    }

    #[test]
    fn a_request_survives_its_text() {
        let text = request().to_string();
        assert_eq!(KeyRequest::parse(&text).unwrap(), request());
    }

    #[test]
    fn each_broken_line_is_named() {
        let text = request().to_string();
        for line in 1..=6 {
            let with = |new: &str| -> String {
                let lines = (1..).zip(text.lines());
                let lines = lines.map(|(at, old)| if at == line { new } else { old });
                lines.map(|line| format!("{line}\n")).collect()
            };
            let error = KeyRequest::parse(&with("x")).unwrap_err();
            let named = matches!(error, ActMistake::Line { line: named, .. } if named == line);
            assert!(named, "{line}: {error}");
        }
        let wrong = |from: &str, to: &str| {
            let error = KeyRequest::parse(&text.replace(from, to)).unwrap_err();
            error.to_string()
        };
        assert!(wrong("act shred", "act burn").contains("burn"));
        assert!(wrong("2026-09", "2026-19").contains("line 4"));
        assert!(wrong("2026-11-26T20:40:00Z", "today").contains("line 6"));
        assert!(wrong("CASE-2026-17", "447700900001").contains("phone number"));
        assert!(KeyRequest::parse(&format!("{text}more\n")).is_err());
    }

    #[test]
    fn an_old_or_early_note_is_not_fresh() {
        let request = request();
        let at = |minutes| request.at + SignedDuration::from_mins(minutes);
        assert!(request.is_fresh(at(0)) && request.is_fresh(at(10)) && request.is_fresh(at(-10)));
        assert!(!request.is_fresh(at(11)) && !request.is_fresh(at(-11)));
    }
}
