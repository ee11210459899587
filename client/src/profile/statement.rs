//! What is stated with each read of the ledger where nothing else is said: `statement.toml`, beside
//! `profile.toml`.
//!
//! ```toml
//! description = "accesses by first-bank in November"   # exactly what is asked for
//! purpose = "half-yearly oversight"                    # what it is needed for
//! sensitivity = "confidential"                         # or `internal`, `restricted`
//! recipients = ["Head of Supervision, Central Bank"]   # 1 to 16: who will see it
//! needed_within_days = 30                              # or needed_by = 2026-12-31
//! case = "2026-0042"                                   # the authorities' reference, if any
//! ```
//!
//! A statement of both authorities stands in a file that `accord audit statement` makes, and the
//! one line here is `joint = "joint.note"`.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use accord_proto::{
    statement::{
        JOINT_LEN_MAX, NEEDED_WITHIN_DAYS_MAX, Sensitivity, Statement, StatementTextError,
        parse_joint,
    },
    v1,
    wire::FieldError,
};
use jiff::{ToSpan as _, civil::Date};
use serde::{Deserialize, Serialize};

use super::{LoadedProfile, ProfileError};

/// Name of the file in a profile's directory.
pub const STATEMENT_FILE_NAME: &str = "statement.toml";
/// The most bytes of the file.
const FILE_BYTES_MAX: u64 = 64 * 1024;

/// `statement.toml`: each key may be missing here and be given elsewhere.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct StatementFile {
    /// Exactly what is asked for, in words.
    pub description: Option<String>,
    /// What it is needed for.
    pub purpose: Option<String>,
    /// How sensitive it is.
    pub sensitivity: Option<Sensitivity>,
    /// Who will see it, each by name.
    pub recipients: Vec<String>,
    /// The day by which it is needed.
    pub needed_by: Option<toml::value::Datetime>,
    /// Else: so many days from the day on which it is stated.
    pub needed_within_days: Option<u16>,
    /// The authorities' reference of the case.
    pub case: Option<String>,
    /// File of a joint statement, which then says all.
    pub joint: Option<PathBuf>,
}

impl StatementFile {
    /// Makes the statement.
    ///
    /// # Errors
    /// The first field that is missing or breaks a rule, as `statement.purpose`.
    pub fn state(&self, today: Date) -> Result<Statement, FieldError> {
        let needed_by = match (&self.needed_by, self.needed_within_days) {
            (Some(_), Some(_)) => {
                let rule = "stands there twice: either needed_by or needed_within_days";
                return Err(FieldError::new("statement.needed_by", rule));
            }
            (Some(day), None) => day.to_string(),
            (None, Some(days)) => {
                // Beyond the limit the day would be refused; in between it can't overflow.
                let days = i32::from(days).min(NEEDED_WITHIN_DAYS_MAX + 1);
                today.saturating_add(days.days()).to_string()
            }
            (None, None) => String::new(),
        };
        let wire = v1::ReadStatement {
            description: self.description.clone().unwrap_or_default(),
            purpose: self.purpose.clone().unwrap_or_default(),
            sensitivity: self.sensitivity.map_or(0, |word| word.to_wire() as i32),
            recipients: self.recipients.clone(),
            needed_by,
            case: self.case.clone().unwrap_or_default(),
            joint: String::new(),
        };
        Statement::parse(&wire, today)
    }
}

/// Why there is no statement.
#[derive(Debug, thiserror::Error)]
pub enum StatementError {
    /// The file of a joint statement can't be read.
    #[error("can't read the joint statement `{}`", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is none.
    #[error("`{}` is no joint statement", .path.display())]
    Joint {
        /// The file.
        path: PathBuf,
        /// Why.
        source: StatementTextError,
    },
    /// A field is missing, or breaks a rule.
    #[error(transparent)]
    Field(#[from] FieldError),
    /// `statement.toml` has a mistake.
    #[error(transparent)]
    File(#[from] ProfileError),
}

/// Reads a joint statement, and whether its day has passed. The broker looks at its signatures.
///
/// # Errors
/// [`StatementError`] names the file and what is wrong with it.
pub fn read_joint(path: &Path, today: Date) -> Result<Statement, StatementError> {
    let read = || {
        if fs::metadata(path)?.len() > JOINT_LEN_MAX as u64 {
            return Err(io::Error::other("it is too long to be one"));
        }
        fs::read_to_string(path)
    };
    let text = read().map_err(|source| StatementError::Read {
        path: path.to_owned(),
        source,
    })?;
    let joint = parse_joint(&text).map_err(|source| StatementError::Joint {
        path: path.to_owned(),
        source,
    })?;
    let statement = joint.statement;
    statement.check_day(today)?;
    Ok(statement)
}

impl LoadedProfile {
    /// What `statement.toml` says; nothing where there is no such file.
    ///
    /// # Errors
    /// [`ProfileError`] names the file, and the line of a mistake.
    pub fn statement_file(&self) -> Result<StatementFile, ProfileError> {
        let path = self.dir.join(STATEMENT_FILE_NAME);
        let read = || {
            if fs::metadata(&path)?.len() > FILE_BYTES_MAX {
                return Err(io::Error::other("it is too long"));
            }
            fs::read_to_string(&path)
        };
        let text = match read() {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(StatementFile::default());
            }
            Err(source) => return Err(ProfileError::Read { path, source }),
        };
        toml::from_str(&text).map_err(|error| ProfileError::Malformed {
            path,
            message: error.to_string().trim_end().to_owned(),
        })
    }

    /// What is stated where nothing else is said.
    ///
    /// # Errors
    /// [`StatementError`]: a mistake in a file, or the first field that is missing.
    pub fn statement(&self, today: Date) -> Result<Statement, StatementError> {
        let file = self.statement_file()?;
        match &file.joint {
            Some(joint) => read_joint(&self.path(joint), today),
            None => Ok(file.state(today)?),
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    const TODAY: Date = date(2026, 11, 26);
    const WHOLE: &str = "description = \"accesses\"\npurpose = \"oversight\"\n\
        sensitivity = \"restricted\"\nrecipients = [\"Head of Supervision\"]\n";

    fn state(more: &str) -> Result<Statement, FieldError> {
        let file: StatementFile = toml::from_str(&format!("{WHOLE}{more}")).unwrap();
        file.state(TODAY)
    }

    #[test]
    fn a_day_is_named_or_counted_from_today() {
        let named = state("needed_by = 2026-12-31").unwrap();
        assert_eq!(named.needed_by(), date(2026, 12, 31));
        let counted = state("needed_within_days = 30").unwrap();
        assert_eq!(counted.needed_by(), date(2026, 12, 26));
        for wrong in [
            "",
            "needed_by = 2026-12-31\nneeded_within_days = 3",
            "needed_by = 2026-12-31T10:00:00Z",
            "needed_by = 2026-01-01",
            "needed_within_days = 65535",
        ] {
            assert_eq!(
                state(wrong).unwrap_err().field,
                "statement.needed_by",
                "{wrong}"
            );
        }
    }

    #[test]
    fn an_unknown_key_is_refused() {
        let read: Result<StatementFile, _> = toml::from_str("reason = \"x\"");
        assert!(read.unwrap_err().to_string().contains("reason"));
    }
}
