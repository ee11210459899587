//! The text of a statement, as both authorities sign it, and back.
//!
//! ```text
//! accord-read-statement v1
//! ledger: accord-sandbox
//! description: all accesses by first-bank in November
//! purpose: oversight
//! sensitivity: confidential
//! recipient: Head of Supervision, Central Bank
//! needed-by: 2026-12-31
//! case: 2026-0042
//! ```
//!
//! One line for each recipient; no line for a case where there is none. The ledger is named without
//! a month: at another broker with the same authorities the signatures mean nothing.

use std::fmt::Write as _;

use super::{JOINT_LEN_MAX, Sensitivity, Statement};
use crate::{
    c2sp::{NoteError, SignedNote},
    v1,
    wire::FieldError,
};

/// The first line.
const HEADER: &str = "accord-read-statement v1";

/// Why a text states nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StatementTextError {
    /// Beyond [`JOINT_LEN_MAX`].
    #[error("a joint statement has at most {JOINT_LEN_MAX} bytes")]
    TooLong,
    /// Not a note.
    #[error("a joint statement is a signed note")]
    Note(#[from] NoteError),
    /// The first line is another.
    #[error("line 1 is not `{HEADER}`")]
    Header,
    /// A line that a statement does not have there.
    #[error("line {line} does not belong to a statement, or not there")]
    Line {
        /// The line, from 1.
        line: usize,
    },
    /// What it states breaks a rule.
    #[error(transparent)]
    Field(#[from] FieldError),
}

impl Statement {
    /// The text that both authorities sign for a ledger, to the byte. It ends with a newline.
    #[must_use]
    pub fn text(&self, ledger: &str) -> String {
        let mut text = format!(
            "{HEADER}\nledger: {ledger}\ndescription: {}\npurpose: {}\nsensitivity: {}\n",
            self.description, self.purpose, self.sensitivity
        );
        // Writing into a text can't fail.
        for recipient in &self.recipients {
            let _ = writeln!(text, "recipient: {recipient}");
        }
        let _ = writeln!(text, "needed-by: {}", self.needed_by);
        if let Some(case) = &self.case {
            let _ = writeln!(text, "case: {case}");
        }
        text
    }

    /// The same statement with the signed note that makes it joint.
    #[must_use]
    pub fn with_joint(mut self, note: &SignedNote) -> Self {
        self.joint = Some(note.to_string());
        self
    }
}

/// A joint statement, as both authorities sign it.
#[derive(Clone, Debug)]
pub struct JointStatement {
    /// What it states, with the note in it.
    pub statement: Statement,
    /// The ledger that it is for, without a month.
    pub ledger: String,
    /// The note.
    pub note: SignedNote,
}

/// The statement of a joint note. Neither its signatures nor its day are looked at.
///
/// # Errors
/// [`StatementTextError`] names the line or the field.
pub fn parse_joint(note_text: &str) -> Result<JointStatement, StatementTextError> {
    if note_text.len() > JOINT_LEN_MAX {
        return Err(StatementTextError::TooLong);
    }
    let note = SignedNote::parse(note_text)?;
    let (statement, ledger) = parse_text(note.text())?;
    Ok(JointStatement {
        statement: statement.with_joint(&note),
        ledger,
        note,
    })
}

fn parse_text(text: &str) -> Result<(Statement, String), StatementTextError> {
    let mut lines = text.lines().zip(1..);
    if lines.next().is_none_or(|(header, _)| header != HEADER) {
        return Err(StatementTextError::Header);
    }
    let mut wire = v1::ReadStatement::default();
    let mut ledger = String::new();
    for (text, line) in lines {
        let wrong = StatementTextError::Line { line };
        let Some((key, value)) = text.split_once(": ") else {
            return Err(wrong);
        };
        let slot = match key {
            "ledger" => &mut ledger,
            "description" => &mut wire.description,
            "purpose" => &mut wire.purpose,
            "needed-by" => &mut wire.needed_by,
            "case" => &mut wire.case,
            "sensitivity" => {
                let word = Sensitivity::from_name(value).ok_or(wrong)?;
                wire.sensitivity = word.to_wire() as i32;
                continue;
            }
            "recipient" => {
                wire.recipients.push(value.to_owned());
                continue;
            }
            _ => return Err(wrong),
        };
        if !slot.is_empty() {
            return Err(wrong);
        }
        value.clone_into(slot);
    }
    let statement = Statement::of(&wire)?;
    // One statement has one text: another order, a line twice, or blanks at an end are not it.
    let differs = |(ours, theirs): &(&str, &str)| ours != theirs;
    let ours = statement.text(&ledger);
    match ours
        .lines()
        .zip(text.lines())
        .position(|pair| differs(&pair))
    {
        Some(at) => Err(StatementTextError::Line { line: at + 1 }),
        None if ledger.is_empty() => Err(StatementTextError::Line { line: 2 }),
        None if ours == text => Ok((statement, ledger)),
        None => Err(StatementTextError::Line {
            line: ours.lines().count() + 1,
        }),
    }
}
