//! What a request for information must state: description, purpose, sensitivity, recipients, and
//! the day by which it is needed (rule R37, after the template of an in-country MoU of the ITU-T
//! Focus Group DFS, 2017, section 3.3).
//!
//! Who reads the ledger states this first, and the ledger keeps it with the read. A statement of
//! both authorities is *joint*: a C2SP signed note over [`Statement::text`] with both signatures,
//! which reads all entries (rule R36). It ends with the day that it names.

mod joint;
mod text;

use jiff::{ToSpan as _, civil::Date};

use crate::{msisdn::could_be_a_number, named::named_enum, v1, wire::FieldError};

pub use text::{JointStatement, StatementTextError, parse_joint};

/// The most bytes of a description.
pub const DESCRIPTION_LEN_MAX: usize = 500;
/// The most bytes of a purpose.
pub const PURPOSE_LEN_MAX: usize = 200;
/// The most recipients.
pub const RECIPIENTS_MAX: usize = 16;
/// The most bytes of a recipient's name.
pub const RECIPIENT_LEN_MAX: usize = 100;
/// The most bytes of a case's reference.
pub const CASE_LEN_MAX: usize = 64;
/// The most bytes of a joint note: the longest text, and two signatures.
pub const JOINT_LEN_MAX: usize = 8 * 1024;
/// The day lies at most so many days ahead: nobody states once and for ever.
pub const NEEDED_WITHIN_DAYS_MAX: i32 = 366;

named_enum! {
    /// How sensitive what is read is, as its owner marks it.
    pub enum Sensitivity: v1::Sensitivity, "sensitivity" {
        /// For those who work on it.
        Internal = "internal",
        /// For those who are named.
        Confidential = "confidential",
        /// For those who are named, and never copied on.
        Restricted = "restricted",
    }
}

/// A statement that keeps to the rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    description: String,
    purpose: String,
    sensitivity: Sensitivity,
    recipients: Vec<String>,
    needed_by: Date,
    case: Option<String>,
    joint: Option<String>,
}

impl Statement {
    /// Parses what a reader states. `today` is the day, UTC, on which it is read: a statement ends
    /// with the day that it names. Signatures of a joint note are not looked at.
    ///
    /// # Errors
    /// The first field that is missing, overlong or odd, such as `statement.recipients[2]`.
    pub fn parse(wire: &v1::ReadStatement, today: Date) -> Result<Self, FieldError> {
        let statement = Self::of(wire)?;
        statement.check_day(today)?;
        Ok(statement)
    }

    /// As [`parse`](Self::parse), on whatever day.
    fn of(wire: &v1::ReadStatement) -> Result<Self, FieldError> {
        if *wire == v1::ReadStatement::default() {
            return Err(missing());
        }
        let description = line("description", &wire.description, DESCRIPTION_LEN_MAX)?;
        let purpose = line("purpose", &wire.purpose, PURPOSE_LEN_MAX)?;
        let sensitivity = Sensitivity::from_wire(wire.sensitivity).ok_or_else(|| {
            let known: Vec<_> = Sensitivity::ALL.iter().map(|word| word.name()).collect();
            field("sensitivity", format!("is one of {}", known.join(", ")))
        })?;
        if wire.recipients.is_empty() || wire.recipients.len() > RECIPIENTS_MAX {
            let rule = format!("names 1 to {RECIPIENTS_MAX} recipients: who will see what is read");
            return Err(field("recipients", rule));
        }
        let recipients = (0..)
            .zip(&wire.recipients)
            .map(|(at, name): (usize, _)| {
                line(&format!("recipients[{at}]"), name, RECIPIENT_LEN_MAX)
            })
            .collect::<Result<Vec<_>, _>>()?;
        let needed_by = parse_day(&wire.needed_by)
            .ok_or_else(|| field("needed_by", "is a day such as 2026-01-31"))?;
        let case = match wire.case.as_str() {
            "" => None,
            case => Some(line("case", case, CASE_LEN_MAX)?),
        };
        let joint = match wire.joint.as_str() {
            "" => None,
            note if note.len() > JOINT_LEN_MAX => {
                return Err(field("joint", format!("has at most {JOINT_LEN_MAX} bytes")));
            }
            note => Some(note.to_owned()),
        };
        Ok(Self {
            description,
            purpose,
            sensitivity,
            recipients,
            needed_by,
            case,
            joint,
        })
    }

    /// Whether the statement still holds on a day.
    ///
    /// # Errors
    /// `statement.needed_by` is past, or too far ahead.
    pub fn check_day(&self, today: Date) -> Result<(), FieldError> {
        if self.needed_by < today {
            let rule = "has passed: state anew what is needed, and by which day";
            return Err(field("needed_by", rule));
        }
        let last = today.saturating_add(NEEDED_WITHIN_DAYS_MAX.days());
        if self.needed_by > last {
            let rule = format!("lies at most {NEEDED_WITHIN_DAYS_MAX} days ahead");
            return Err(field("needed_by", rule));
        }
        Ok(())
    }

    /// The message that states this.
    #[must_use]
    pub fn to_wire(&self) -> v1::ReadStatement {
        v1::ReadStatement {
            description: self.description.clone(),
            purpose: self.purpose.clone(),
            sensitivity: self.sensitivity.to_wire() as i32,
            recipients: self.recipients.clone(),
            needed_by: self.needed_by.to_string(),
            case: self.case.clone().unwrap_or_default(),
            joint: self.joint.clone().unwrap_or_default(),
        }
    }

    /// Exactly what is asked for, in words.
    #[must_use]
    pub fn description(&self) -> &str {
        &self.description
    }

    /// What it is needed for.
    #[must_use]
    pub fn purpose(&self) -> &str {
        &self.purpose
    }

    /// How sensitive it is.
    #[must_use]
    pub const fn sensitivity(&self) -> Sensitivity {
        self.sensitivity
    }

    /// Who will see it.
    #[must_use]
    pub fn recipients(&self) -> &[String] {
        &self.recipients
    }

    /// The day by which it is needed, after which the statement no longer holds.
    #[must_use]
    pub const fn needed_by(&self) -> Date {
        self.needed_by
    }

    /// The authorities' reference of the case.
    #[must_use]
    pub fn case(&self) -> Option<&str> {
        self.case.as_deref()
    }

    /// The signed note of both authorities, not checked here.
    #[must_use]
    pub fn joint(&self) -> Option<&str> {
        self.joint.as_deref()
    }
}

/// What a reader is told who states nothing.
#[must_use]
pub fn missing() -> FieldError {
    FieldError::new(
        "statement",
        "each read states its description, purpose, sensitivity, recipients and the day by which \
         it is needed",
    )
}

fn field(name: &str, rule: impl Into<String>) -> FieldError {
    FieldError::new(format!("statement.{name}"), rule)
}

/// A day as ISO 8601 writes it, and in no other way.
fn parse_day(text: &str) -> Option<Date> {
    let day: Date = text.parse().ok()?;
    (day.to_string() == text).then_some(day)
}

/// One line of text, without what could be a phone number: it will stand in the ledger for good.
fn line(name: &str, text: &str, len_max: usize) -> Result<String, FieldError> {
    let text = text.trim();
    if text.is_empty() {
        return Err(field(name, "is missing"));
    }
    if text.len() > len_max {
        return Err(field(name, format!("has at most {len_max} bytes")));
    }
    if text.chars().any(|c| c.is_control() || is_invisible(c)) {
        return Err(field(name, "is one line of visible text"));
    }
    if could_be_a_number(text) {
        return Err(field(
            name,
            "holds what could be a phone number, which must not stand in the record: seven digits \
             or more in a row, whatever stands between them but letters (a day such as 2026-01-31, a \
             case such as 2026-0042 and a count such as 250,000 may stand)",
        ));
    }
    Ok(text.to_owned())
}

/// Line and paragraph separators, marks of direction and other characters that change how a line
/// looks without being seen.
const fn is_invisible(c: char) -> bool {
    matches!(
        c,
        '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
    )
}

#[cfg(test)]
mod tests;
