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
use crate::{
    c2sp::NoteError,
    document::{Authorities, Authority, open, text_sha256},
    msisdn::could_be_a_number,
    named::UnknownWord,
    statement::CASE_LEN_MAX,
    subject::Month,
};

const HEADING: &str = "accord-key-act v1";
const MONTH: &str = "month YYYY-MM";
const AT: &str = "at INSTANT";
/// The most bytes of a note with its signature.
const NOTE_LEN_MAX: usize = 4_096;
/// How far a note's time may lie from the broker's: an old note must not be used again.
pub const ACT_AGE_MAX: SignedDuration = SignedDuration::from_mins(10);

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
    /// Beyond the most bytes.
    #[error("the note is longer than {NOTE_LEN_MAX} bytes: it is none")]
    TooLong,
    /// Not a signed note, or a signature does not match.
    #[error("the note can't be believed: {0}")]
    Note(#[from] NoteError),
    /// Neither authority signed it.
    #[error("the note is signed by neither authority's key, but by {0}")]
    Stranger(String),
    /// Both signed it.
    #[error("the note is signed by both authorities; each asks by itself")]
    Both,
}

/// A request that one authority signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedRequest {
    /// What is asked.
    pub request: KeyRequest,
    /// Who asks.
    pub by: Authority,
    /// SHA-256 of the signed text: no request counts twice.
    pub sha256: [u8; 32],
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
    if could_be_a_number(case) {
        let rule = "holds what could be a phone number: seven digits or more in a row, whatever \
                    stands between them but letters (2026-0042 may stand)";
        return Err(rule.to_owned());
    }
    Ok(case.to_owned())
}

impl KeyRequest {
    /// Opens a note: exactly one authority signed it.
    ///
    /// # Errors
    /// [`ActMistake`]; the signature is checked before the text is read.
    pub fn open(note: &str, authorities: &Authorities) -> Result<SignedRequest, ActMistake> {
        if note.len() > NOTE_LEN_MAX {
            return Err(ActMistake::TooLong);
        }
        let opened = open(note, authorities)?;
        let by = match (opened.by_telecom_regulator, opened.by_central_bank) {
            (true, false) => Authority::TelecomRegulator,
            (false, true) => Authority::CentralBank,
            (true, true) => return Err(ActMistake::Both),
            (false, false) => return Err(ActMistake::Stranger(opened.strangers.join(", "))),
        };
        Ok(SignedRequest {
            request: Self::parse(&opened.text)?,
            by,
            sha256: text_sha256(&opened.text),
        })
    }

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
    fn a_number_is_no_case_however_it_is_cut() {
        for case in [
            "447700900001",
            "4477009-00001",
            "4477-0090/0001",
            "44:7700:900001",
            "44#7700#900001",
            "C/44770/0900",
        ] {
            let rule = case_reference(case).unwrap_err();
            assert!(rule.contains("phone number"), "{case}: {rule}");
        }
        for case in [
            "2026-0042",
            "CASE-2026-17",
            "FRAUD/2026-000042",
            "B-0042-26",
        ] {
            assert!(case_reference(case).is_ok(), "{case}");
        }
    }

    #[test]
    fn an_old_or_early_note_is_not_fresh() {
        let request = request();
        let at = |minutes| request.at + SignedDuration::from_mins(minutes);
        assert!(request.is_fresh(at(0)) && request.is_fresh(at(10)) && request.is_fresh(at(-10)));
        assert!(!request.is_fresh(at(11)) && !request.is_fresh(at(-11)));
    }
}
