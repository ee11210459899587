//! The confidentiality footer of whatever leaves the ledger as a file (rule R38, after the template
//! of an in-country MoU of the ITU-T Focus Group DFS, 2017, section 3.3.8): whose it is, who may see
//! it, what for, and that it goes no further.

use accord_proto::{party::PartyId, v1};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// What nobody may do with the file.
pub const NO_ONWARD_DISCLOSURE: &str =
    "for the recipients named here alone; no onward disclosure without both authorities";

/// The names of its fields, in their order.
pub const NAMES: [&str; 9] = [
    "owner",
    "recipients",
    "description",
    "purpose",
    "sensitivity",
    "case",
    "needed_by",
    "made",
    "terms",
];

/// The footer of one file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Footer {
    /// Whose it is: the SPIFFE id of the party that read the ledger.
    pub owner: String,
    /// Who may see it.
    pub recipients: Vec<String>,
    /// What was asked for.
    pub description: String,
    /// What it is needed for.
    pub purpose: String,
    /// `internal`, `confidential` or `restricted`.
    pub sensitivity: String,
    /// The authorities' reference of the case; empty: none.
    pub case: String,
    /// The day by which it is needed.
    pub needed_by: String,
    /// When the file was made.
    pub made: String,
    /// Always [`NO_ONWARD_DISCLOSURE`].
    pub terms: String,
}

impl Footer {
    /// The footer of what a party read with this statement.
    #[must_use]
    pub fn of(owner: &PartyId, statement: &v1::ReadStatement, made: Timestamp) -> Self {
        let sensitivity = v1::Sensitivity::try_from(statement.sensitivity)
            .unwrap_or_default()
            .as_str_name();
        let sensitivity = sensitivity
            .strip_prefix("SENSITIVITY_")
            .unwrap_or(sensitivity);
        Self {
            owner: owner.to_string(),
            recipients: statement.recipients.clone(),
            description: statement.description.clone(),
            purpose: statement.purpose.clone(),
            sensitivity: sensitivity.to_ascii_lowercase(),
            case: statement.case.clone(),
            needed_by: statement.needed_by.clone(),
            made: made.to_string(),
            terms: NO_ONWARD_DISCLOSURE.to_owned(),
        }
    }

    /// Its fields as names and values, in a fixed order, for formats that carry pairs.
    #[must_use]
    pub fn pairs(&self) -> [(&'static str, String); 9] {
        let values = [
            self.owner.clone(),
            self.recipients.join("; "),
            self.description.clone(),
            self.purpose.clone(),
            self.sensitivity.clone(),
            self.case.clone(),
            self.needed_by.clone(),
            self.made.clone(),
            self.terms.clone(),
        ];
        let mut names = NAMES.into_iter();
        values.map(|value| (names.next().unwrap_or_default(), value))
    }
}
