//! Names of clients.

use std::fmt;

use crate::msisdn::could_be_a_number;

/// The name of a bank's application as an OAuth client (`client_id`, RFC 6749 section 2.2): 1 to 64
/// of `0-9 a-z A-Z . _ -`, and nothing that could be a phone number, since it stands in the record
/// for good.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ClientId(String);

/// Why a text is no name of a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a client's name is 1 to 64 of 0-9, a-z, A-Z, `.`, `_` and `-`, with fewer than seven digits in a \
     row, which could be a phone number"
)]
pub struct ClientIdError;

impl ClientId {
    /// The most bytes of a name.
    pub const LEN_MAX: usize = 64;

    /// Parses a name.
    ///
    /// # Errors
    /// Says the rule.
    pub fn parse(name: &str) -> Result<Self, ClientIdError> {
        let well_formed = (1..=Self::LEN_MAX).contains(&name.len())
            && name
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
            && !could_be_a_number(name);
        well_formed
            .then(|| Self(name.to_owned()))
            .ok_or(ClientIdError)
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ClientId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_is_named_by_no_phone_number() {
        for name in ["payments", "first-bank.web_2", "A"] {
            assert_eq!(ClientId::parse(name).unwrap().as_str(), name);
        }
        let long = "a".repeat(65);
        for name in [
            "",
            "with space",
            "ümlaut",
            "app-447700900001",
            long.as_str(),
        ] {
            assert!(ClientId::parse(name).is_err(), "{name}");
        }
    }
}
