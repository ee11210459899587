//! Who takes part: roles, organisations and their SPIFFE ids.

use std::fmt;

use crate::named::UnknownWord;

/// What a party does with Accord.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Role {
    /// Audits, signs the agreement, witnesses the ledger.
    Authority,
    /// Asks.
    Bank,
    /// The broker's own certificate.
    Broker,
    /// Answers.
    Operator,
}

impl Role {
    const ALL: [Self; 4] = [Self::Authority, Self::Bank, Self::Broker, Self::Operator];

    /// As it stands in a SPIFFE id.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Authority => "authority",
            Self::Bank => "bank",
            Self::Broker => "broker",
            Self::Operator => "operator",
        }
    }

    fn from_name(name: &str) -> Result<Self, UnknownWord> {
        Self::ALL
            .into_iter()
            .find(|role| role.name() == name)
            .ok_or_else(|| UnknownWord::new("role", name, Self::ALL.into_iter().map(Self::name)))
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// The name of an organisation: 1 to 64 of `a-z 0-9 -`, beginning with a letter.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Deserialize)]
#[serde(try_from = "String")]
pub struct OrgName(String);

/// Why a text is no organisation's name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("an organisation's name is 1 to 64 of a-z, 0-9 and `-`, beginning with a letter")]
pub struct OrgNameError;

impl OrgName {
    /// The most bytes of a name.
    pub const LEN_MAX: usize = 64;

    /// Parses a name.
    ///
    /// # Errors
    /// Says the rule.
    pub fn parse(name: &str) -> Result<Self, OrgNameError> {
        let first = name.bytes().next().ok_or(OrgNameError)?;
        let well_formed = name.len() <= Self::LEN_MAX
            && first.is_ascii_lowercase()
            && name
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        if well_formed {
            Ok(Self(name.to_owned()))
        } else {
            Err(OrgNameError)
        }
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for OrgName {
    type Error = OrgNameError;

    fn try_from(name: String) -> Result<Self, OrgNameError> {
        Self::parse(&name)
    }
}

impl fmt::Display for OrgName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// A party: `spiffe://<trust-domain>/<role>/<organisation>`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Deserialize)]
#[serde(try_from = "String")]
pub struct PartyId {
    trust_domain: String,
    role: Role,
    org: OrgName,
}

/// Why a text is no party's id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PartyIdError {
    /// Not a SPIFFE id of three parts.
    #[error("a party's id reads `spiffe://<trust-domain>/<role>/<organisation>`")]
    Shape,
    /// A trust domain is a lower-case DNS-like name (SPIFFE-ID section 2.1).
    #[error("a trust domain is 1 to 255 of a-z, 0-9, `.`, `-` and `_`")]
    TrustDomain,
    /// The role is not one of ours.
    #[error(transparent)]
    Role(#[from] UnknownWord),
    /// The organisation's name is malformed.
    #[error(transparent)]
    Org(#[from] OrgNameError),
}

impl PartyId {
    /// Makes an id.
    ///
    /// # Errors
    /// If the trust domain is malformed.
    pub fn new(trust_domain: &str, role: Role, org: OrgName) -> Result<Self, PartyIdError> {
        let well_formed = (1..=255).contains(&trust_domain.len())
            && trust_domain.bytes().all(|b| {
                b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'-' | b'_')
            });
        if !well_formed {
            return Err(PartyIdError::TrustDomain);
        }
        Ok(Self {
            trust_domain: trust_domain.to_owned(),
            role,
            org,
        })
    }

    /// Parses an id.
    ///
    /// # Errors
    /// [`PartyIdError`] names the rule that the text breaks.
    pub fn parse(uri: &str) -> Result<Self, PartyIdError> {
        let rest = uri.strip_prefix("spiffe://").ok_or(PartyIdError::Shape)?;
        let mut parts = rest.split('/');
        let (Some(domain), Some(role), Some(org), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(PartyIdError::Shape);
        };
        Self::new(domain, Role::from_name(role)?, OrgName::parse(org)?)
    }

    /// The trust domain.
    #[must_use]
    pub fn trust_domain(&self) -> &str {
        &self.trust_domain
    }

    /// The role.
    #[must_use]
    pub const fn role(&self) -> Role {
        self.role
    }

    /// The organisation.
    #[must_use]
    pub const fn org(&self) -> &OrgName {
        &self.org
    }
}

impl TryFrom<String> for PartyId {
    type Error = PartyIdError;

    fn try_from(uri: String) -> Result<Self, PartyIdError> {
        Self::parse(&uri)
    }
}

impl fmt::Display for PartyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "spiffe://{}/{}/{}",
            self.trust_domain, self.role, self.org
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_and_prints_an_id() {
        let text = "spiffe://accord.test/bank/first-bank";
        let id = PartyId::parse(text).unwrap();
        assert_eq!((id.role(), id.org().as_str()), (Role::Bank, "first-bank"));
        assert_eq!(id.to_string(), text);
    }

    #[test]
    fn refuses_what_is_no_id() {
        for text in [
            "",
            "https://accord.test/bank/first-bank",
            "spiffe://accord.test/bank",
            "spiffe://accord.test/bank/first-bank/more",
            "spiffe://Accord.test/bank/first-bank",
            "spiffe:///bank/first-bank",
            "spiffe://accord.test/banker/first-bank",
            "spiffe://accord.test/bank/First",
            "spiffe://accord.test/bank/",
            "spiffe://accord.test/bank/9lives",
        ] {
            assert!(PartyId::parse(text).is_err(), "{text}");
        }
    }
}
