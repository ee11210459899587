//! Scopes: what a token lets its holder call, and for what purpose.

use std::fmt;

use super::Operation;

/// The most bytes of a `scope`.
const SCOPE_LEN_MAX: usize = 1_024;

/// Every scope of the door, in the order in which they are written. A scope's place is its bit.
const WORDS: [&str; 14] = [
    "sim-swap",
    "sim-swap:check",
    "sim-swap:retrieve-date",
    "sim-swap:retrieve-age-band",
    "device-swap",
    "device-swap:check",
    "device-swap:retrieve-date",
    "call-forwarding-signal:unconditional-call-forwardings:read",
    "call-forwarding-signal:unconditional-forwarding:check",
    "call-forwarding-signal:call-forwardings:read",
    "call-forwarding-signal:forwardings:retrieve",
    "device-roaming-status:read",
    "number-recycling:check",
    "kyc-tenure:check-tenure",
];

/// Why a `scope` is refused. Nothing of it is repeated but words of the closed list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ScopeError {
    /// Too long to be read.
    #[error("the scope is longer than {SCOPE_LEN_MAX} bytes")]
    TooLong,
    /// A word that no operation asks for.
    #[error(
        "the scope has a word that is no scope of this door; they stand in its discovery document"
    )]
    Unknown,
    /// No `dpv:` (CAMARA Security and Interoperability Profile, "Purpose").
    #[error("the scope names no purpose: exactly one `dpv:<purpose>` is required")]
    NoPurpose,
    /// Two or more.
    #[error("the scope names more than one purpose: exactly one `dpv:<purpose>` is required")]
    SeveralPurposes,
    /// The purpose is no word of the Data Privacy Vocabulary.
    #[error("the scope's purpose is malformed: {0}")]
    MalformedPurpose(#[from] DpvPurposeError),
    /// A purpose alone.
    #[error("the scope names a purpose and nothing to call")]
    Nothing,
}

/// A set of scopes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Scopes(u16);

impl Scopes {
    /// All that there are.
    pub fn all() -> impl Iterator<Item = &'static str> {
        WORDS.into_iter()
    }

    /// The set of one scope; `None` if there is no such scope.
    #[must_use]
    pub fn of(word: &str) -> Option<Self> {
        let at = WORDS.iter().position(|known| *known == word)?;
        Some(Self(1 << at))
    }

    /// What is in either.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether none is in it.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether it lets an operation be called.
    #[must_use]
    pub fn allows(self, operation: Operation) -> bool {
        operation.scopes().iter().any(|word| self.holds(word))
    }

    /// Whether every operation that it lets be called, `other` lets be called too: `sim-swap` covers
    /// `sim-swap:check`.
    #[must_use]
    pub fn is_within(self, other: Self) -> bool {
        let mut operations = Operation::ALL.into_iter();
        operations.all(|operation| !self.allows(operation) || other.allows(operation))
    }

    /// The scopes in it, in one order.
    pub fn iter(self) -> impl Iterator<Item = &'static str> {
        let bits = self.0;
        WORDS
            .into_iter()
            .enumerate()
            .filter(move |(at, _)| bits & (1 << at) != 0)
            .map(|(_, word)| word)
    }

    fn holds(self, word: &str) -> bool {
        Self::of(word).is_some_and(|one| self.0 & one.0 != 0)
    }
}

impl fmt::Display for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, word) in self.iter().enumerate() {
            let gap = if at == 0 { "" } else { " " };
            write!(f, "{gap}{word}")?;
        }
        Ok(())
    }
}

/// A purpose of the W3C Data Privacy Vocabulary, as CAMARA writes it in a scope:
/// `dpv:FraudPreventionAndDetection`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DpvPurpose(String);

/// Why a text is no purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a purpose is `dpv:` and 1 to 64 letters, such as `dpv:FraudPreventionAndDetection`")]
pub struct DpvPurposeError;

impl DpvPurpose {
    /// What it begins with.
    pub const PREFIX: &str = "dpv:";

    /// Parses a purpose.
    ///
    /// # Errors
    /// Says the rule.
    pub fn parse(text: &str) -> Result<Self, DpvPurposeError> {
        let word = text.strip_prefix(Self::PREFIX).ok_or(DpvPurposeError)?;
        let well_formed =
            (1..=64).contains(&word.len()) && word.bytes().all(|byte| byte.is_ascii_alphabetic());
        well_formed
            .then(|| Self(text.to_owned()))
            .ok_or(DpvPurposeError)
    }

    /// With its prefix.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for DpvPurpose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// What a client asks a token for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Requested {
    /// Why.
    pub purpose: DpvPurpose,
    /// What.
    pub scopes: Scopes,
}

impl Requested {
    /// Parses a `scope` (RFC 6749 section 3.3). `openid` is passed over: nobody logs in here.
    ///
    /// # Errors
    /// [`ScopeError`].
    pub fn parse(scope: &str) -> Result<Self, ScopeError> {
        if scope.len() > SCOPE_LEN_MAX {
            return Err(ScopeError::TooLong);
        }
        let mut purpose = None;
        let mut scopes = Scopes::default();
        for word in scope.split(' ').filter(|word| !word.is_empty()) {
            if word.starts_with(DpvPurpose::PREFIX) {
                if purpose.replace(DpvPurpose::parse(word)?).is_some() {
                    return Err(ScopeError::SeveralPurposes);
                }
            } else if word != "openid" {
                scopes = scopes.union(Scopes::of(word).ok_or(ScopeError::Unknown)?);
            }
        }
        let purpose = purpose.ok_or(ScopeError::NoPurpose)?;
        if scopes.is_empty() {
            return Err(ScopeError::Nothing);
        }
        Ok(Self { purpose, scopes })
    }
}

impl fmt::Display for Requested {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.purpose, self.scopes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scopes(words: &[&str]) -> Scopes {
        words.iter().fold(Scopes::default(), |all, word| {
            all.union(Scopes::of(word).unwrap())
        })
    }

    #[test]
    fn every_scope_of_every_operation_is_known_and_no_other() {
        for operation in Operation::ALL {
            for word in operation.scopes() {
                assert!(scopes(&[word]).allows(operation), "{word}");
            }
        }
        for word in Scopes::all() {
            let asked = |operation: &Operation| operation.scopes().contains(&word);
            assert!(Operation::ALL.iter().any(asked), "{word} is for nothing");
        }
    }

    #[test]
    fn a_wildcard_covers_the_operations_of_its_api_and_no_others() {
        let all = scopes(&["sim-swap"]);
        assert!(scopes(&["sim-swap:check", "sim-swap:retrieve-date"]).is_within(all));
        assert!(!all.is_within(scopes(&["sim-swap:check"])));
        assert!(!all.allows(Operation::DeviceSwapCheck));
        assert!(!scopes(&["device-swap:check"]).is_within(all));
        assert!(all.allows(Operation::SimSwapCheck) && !all.allows(Operation::TenureCheck));
    }

    #[test]
    fn a_scope_states_exactly_one_purpose() {
        let fraud = "dpv:FraudPreventionAndDetection";
        let asked = Requested::parse(&format!("openid sim-swap:check {fraud} sim-swap:check"));
        assert_eq!(
            asked.unwrap().to_string(),
            format!("{fraud} sim-swap:check")
        );
        let refused = |text: &str| Requested::parse(text).unwrap_err();
        assert_eq!(refused("sim-swap:check"), ScopeError::NoPurpose);
        assert_eq!(
            refused(&format!("{fraud} dpv:Marketing sim-swap:check")),
            ScopeError::SeveralPurposes
        );
        assert_eq!(
            refused(&format!("{fraud} {fraud} sim-swap")),
            ScopeError::SeveralPurposes
        );
        assert_eq!(refused(fraud), ScopeError::Nothing);
        assert_eq!(
            refused(&format!("{fraud} quality-on-demand")),
            ScopeError::Unknown
        );
        assert!(matches!(
            refused("dpv: sim-swap"),
            ScopeError::MalformedPurpose(_)
        ));
        assert_eq!(refused(&"a".repeat(2_000)), ScopeError::TooLong);
    }
}
