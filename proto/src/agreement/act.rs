//! An act of one authority in the life of the agreement: a short text that only that authority can
//! have signed, so that nobody else can have suspended or lifted anything (rules R05, R40).
//!
//! ```text
//! accord act v1
//! act suspend
//! target bank:first-bank
//! agreement SANDBOX-2026-1
//! version 1
//! sha256 5f0c…
//! log accord-sandbox
//! time 2026-11-26T12:00:00Z
//! nonce 0d7e…
//! reason Breach reported on 25 November, case 17
//!
//! — central-bank base64…
//! ```
//!
//! The form is ours; the envelope is a C2SP `signed-note`. The first line keeps the key's other
//! signatures apart: no agreement and no list of parties begins so.

use std::fmt::Write as _;

use jiff::{SignedDuration, Timestamp};

use super::Target;
use crate::{
    c2sp::{NoteError, SignedNote, SigningKey},
    document::{Authorities, Authority, Opened, open},
    msisdn::could_be_a_number,
};

/// The first line of each act.
const HEAD: &str = "accord act v1";
/// What stands where an act has no target or no reason.
const NONE: &str = "-";
/// The most bytes of an act with its signature.
pub const ACT_BYTES_MAX: usize = 4_096;
/// The most bytes of a reason.
pub const REASON_BYTES_MAX: usize = 500;
/// How far the time in an act may be from the broker's: an older one could have been kept back to
/// be used against its author.
pub const ACT_AGE_MAX: SignedDuration = SignedDuration::from_mins(10);

/// What an authority does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verb {
    /// Proposes a document, signed by itself.
    Propose,
    /// Signs what the other proposed.
    Sign,
    /// Activates what both signed.
    Activate,
    /// Suspends a target.
    Suspend,
    /// Lifts a suspension; takes both authorities.
    Lift,
    /// Ends the agreement; takes both authorities.
    End,
}

impl Verb {
    const ALL: [Self; 6] = [
        Self::Propose,
        Self::Sign,
        Self::Activate,
        Self::Suspend,
        Self::Lift,
        Self::End,
    ];

    /// The word, as it stands in an act.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Propose => "propose",
            Self::Sign => "sign",
            Self::Activate => "activate",
            Self::Suspend => "suspend",
            Self::Lift => "lift",
            Self::End => "end",
        }
    }

    /// Whether it is done to a target.
    #[must_use]
    pub const fn has_target(self) -> bool {
        matches!(self, Self::Suspend | Self::Lift)
    }
}

/// An act, not yet signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Act {
    /// What is done.
    pub verb: Verb,
    /// To what; with [`Verb::Suspend`] and [`Verb::Lift`], and with them only.
    pub target: Option<Target>,
    /// Id of the agreement concerned.
    pub agreement: String,
    /// Its version.
    pub version: u64,
    /// SHA-256 of its text, without the signatures.
    pub sha256: [u8; 32],
    /// The ledger that the act is for, without the month: at another broker it means nothing.
    pub log: String,
    /// When.
    pub time: Timestamp,
    /// Random, so that no two acts are the same.
    pub nonce: [u8; 16],
    /// Why, in words; empty where none is given. A suspension has one.
    pub reason: String,
}

/// Why a text is no act to believe.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ActError {
    /// Beyond [`ACT_BYTES_MAX`].
    #[error("an act is at most {ACT_BYTES_MAX} bytes long")]
    TooLong,
    /// Not a signed note, or a signature does not match.
    #[error("the act is not a signed note that can be believed: {0}")]
    Note(#[from] NoteError),
    /// A line that is not what it should be.
    #[error("line {line} of the act: {rule}")]
    Line {
        /// Which, from 1.
        line: usize,
        /// What it should be.
        rule: String,
    },
    /// Neither authority signed it.
    #[error("the act is signed by neither authority's key, but by {0}")]
    Stranger(String),
    /// Both signed it.
    #[error("the act is signed by both authorities; each acts by itself")]
    Both,
    /// A reason that is none.
    #[error("reason: {0}")]
    Reason(&'static str),
}

/// An act that one authority signed.
#[derive(Clone, Debug)]
pub struct SignedAct {
    /// What.
    pub act: Act,
    /// Who.
    pub by: Authority,
    /// The note, to the byte.
    pub note: String,
}

impl Act {
    /// The text that is signed.
    #[must_use]
    pub fn to_text(&self) -> String {
        let or_none = |text: &str| if text.is_empty() { NONE } else { text }.to_owned();
        let target = self.target.as_ref().map(Target::to_string);
        let mut text = format!("{HEAD}\n");
        for (key, value) in [
            ("act", self.verb.name().to_owned()),
            ("target", target.unwrap_or_else(|| NONE.to_owned())),
            ("agreement", self.agreement.clone()),
            ("version", self.version.to_string()),
            ("sha256", crate::hex::encode(&self.sha256)),
            ("log", self.log.clone()),
            ("time", self.time.to_string()),
            ("nonce", crate::hex::encode(&self.nonce)),
            ("reason", or_none(&self.reason)),
        ] {
            // Writing into a text can't fail.
            let _ = writeln!(text, "{key} {value}");
        }
        text
    }

    /// Signs it; what comes out is what [`Self::open`] takes.
    ///
    /// # Errors
    /// If its own rules are broken: see [`ActError`].
    pub fn sign(&self, key: &SigningKey) -> Result<String, ActError> {
        let text = self.to_text();
        Self::parse(&text)?;
        let mut note = SignedNote::unsigned(text)?;
        note.sign(key)?;
        Ok(note.to_string())
    }

    /// Opens a note: exactly one authority signed it.
    ///
    /// # Errors
    /// [`ActError`]; the signature is checked before the text is read.
    pub fn open(note: &str, authorities: &Authorities) -> Result<SignedAct, ActError> {
        if note.len() > ACT_BYTES_MAX {
            return Err(ActError::TooLong);
        }
        let Opened {
            text,
            by_telecom_regulator,
            by_central_bank,
            strangers,
            ..
        } = open(note, authorities)?;
        let by = match (by_telecom_regulator, by_central_bank) {
            (true, false) => Authority::TelecomRegulator,
            (false, true) => Authority::CentralBank,
            (true, true) => return Err(ActError::Both),
            (false, false) => return Err(ActError::Stranger(strangers.join(", "))),
        };
        Ok(SignedAct {
            act: Self::parse(&text)?,
            by,
            note: note.to_owned(),
        })
    }

    /// Parses the text.
    ///
    /// # Errors
    /// [`ActError::Line`] names the first line that is not as it should be.
    pub fn parse(text: &str) -> Result<Self, ActError> {
        let mut lines = Lines {
            lines: text.lines().collect(),
            at: 0,
        };
        if lines.next() != HEAD {
            return Err(lines.wrong(format!("an act begins with `{HEAD}`")));
        }
        let verb = lines.value("act")?;
        let verb = Verb::ALL.into_iter().find(|known| known.name() == verb);
        let verb = verb.ok_or_else(|| {
            lines.wrong("one of propose, sign, activate, suspend, lift and end".to_owned())
        })?;
        let target = match (lines.value("target")?, verb.has_target()) {
            (NONE, false) => None,
            (_, false) => return Err(lines.wrong(format!("`{}` has no target", verb.name()))),
            (target, true) => {
                let target = target.parse::<Target>();
                Some(target.map_err(|error| lines.wrong(error.to_string()))?)
            }
        };
        let agreement = lines.value("agreement")?.to_owned();
        let version = lines.parsed("version", "a whole number", |text| text.parse().ok())?;
        let sha256 = lines.parsed("sha256", "64 hexadecimal digits", crate::hex::decode)?;
        let log = lines.value("log")?.to_owned();
        let time = lines.parsed("time", "an instant such as 2026-01-31T12:00:00Z", |text| {
            text.parse().ok()
        })?;
        let nonce = lines.parsed("nonce", "32 hexadecimal digits", crate::hex::decode)?;
        let reason = match lines.value("reason")? {
            NONE => "",
            reason => reason,
        };
        check_reason(reason, verb)?;
        let act = Self {
            verb,
            target,
            agreement,
            version,
            sha256,
            log,
            time,
            nonce,
            reason: reason.to_owned(),
        };
        // One act, one text: what follows, and any other spelling of a value, is refused.
        if act.to_text() != text {
            return Err(lines.wrong("nothing else stands in an act".to_owned()));
        }
        Ok(act)
    }
}

/// A reason stands on one line in an entry and before whom it concerns; it names no number.
fn check_reason(reason: &str, verb: Verb) -> Result<(), ActError> {
    if reason.trim().is_empty() && verb == Verb::Suspend {
        return Err(ActError::Reason("a suspension says why"));
    }
    if reason.len() > REASON_BYTES_MAX {
        return Err(ActError::Reason("at most 500 bytes"));
    }
    if reason.chars().any(char::is_control) {
        return Err(ActError::Reason("one line without control characters"));
    }
    if could_be_a_number(reason) {
        return Err(ActError::Reason(
            "no phone number, nor anything that could be one: seven digits or more in a row, whatever \
             stands between them but letters",
        ));
    }
    Ok(())
}

/// The lines of an act, each with its key.
struct Lines<'a> {
    lines: Vec<&'a str>,
    at: usize,
}

impl<'a> Lines<'a> {
    fn next(&mut self) -> &'a str {
        let line = self.lines.get(self.at).copied().unwrap_or_default();
        self.at += 1;
        line
    }

    fn value(&mut self, key: &str) -> Result<&'a str, ActError> {
        let value = self
            .next()
            .strip_prefix(key)
            .and_then(|rest| rest.strip_prefix(' '))
            .filter(|value| !value.is_empty());
        value.ok_or_else(|| self.wrong(format!("it reads `{key} …`")))
    }

    fn parsed<T>(
        &mut self,
        key: &str,
        rule: &str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Result<T, ActError> {
        let value = self.value(key)?;
        parse(value).ok_or_else(|| self.wrong(rule.to_owned()))
    }

    const fn wrong(&self, rule: String) -> ActError {
        ActError::Line {
            line: self.at,
            rule,
        }
    }
}

#[cfg(test)]
mod tests;
