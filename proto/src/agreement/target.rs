//! What an authority suspends: the whole agreement, a bank, an operator or a signal.

use std::{fmt, str::FromStr};

use crate::{
    party::{OrgName, OrgNameError},
    signal::Signal,
};

/// What a suspension stops.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Target {
    /// The whole agreement.
    All,
    /// Whatever this bank asks.
    Bank(OrgName),
    /// Whatever is asked of this operator.
    Operator(OrgName),
    /// This signal, whoever asks about it.
    Signal(Signal),
}

/// Why a text is no target.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    /// None of the four forms.
    #[error("a target is `all`, `bank:NAME`, `operator:NAME` or `signal:NAME`")]
    Shape,
    /// The name of the bank or operator.
    #[error("{0}")]
    Name(#[from] OrgNameError),
    /// There is no such signal.
    #[error("{0}")]
    Signal(#[from] crate::named::UnknownWord),
}

impl FromStr for Target {
    type Err = TargetError;

    fn from_str(text: &str) -> Result<Self, TargetError> {
        if text == "all" {
            return Ok(Self::All);
        }
        let (kind, name) = text.split_once(':').ok_or(TargetError::Shape)?;
        match kind {
            "bank" => Ok(Self::Bank(OrgName::parse(name)?)),
            "operator" => Ok(Self::Operator(OrgName::parse(name)?)),
            "signal" => Ok(Self::Signal(name.parse()?)),
            _ => Err(TargetError::Shape),
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("all"),
            Self::Bank(name) => write!(f, "bank:{name}"),
            Self::Operator(name) => write!(f, "operator:{name}"),
            Self::Signal(signal) => write!(f, "signal:{signal}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_reads_as_it_is_written() {
        for text in [
            "all",
            "bank:first-bank",
            "operator:north-mobile",
            "signal:sim_swap",
        ] {
            assert_eq!(text.parse::<Target>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_is_no_target_says_what_one_is() {
        let wrong = |text: &str| text.parse::<Target>().unwrap_err().to_string();
        for text in ["", "first-bank", "ALL", "clause:3.1", "bank"] {
            assert!(wrong(text).contains("`bank:NAME`"), "{text}");
        }
        assert!(wrong("bank:First").contains("a-z"));
        assert!(wrong("signal:sim-swap").contains("sim_swap"));
    }
}
