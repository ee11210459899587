//! What can go wrong with a world.

use std::{io, path::Path, path::PathBuf};

use accord_adapters::{
    config::ConfigError as AdapterConfigError, runtime::RuntimeError, sources::OpenError,
};
use accord_broker::{config::ConfigError, ledger::LedgerError, serve::StartError};
use accord_certs::CertsError;
use accord_client::{
    ConnectError,
    profile::{ProfileError, StatementError},
    witness::StoreError,
};
use accord_proto::{
    c2sp::{KeyError, NoteError},
    document::{AuthoritiesError, Mistakes},
    msisdn::MsisdnError,
    shares::ShareKeyError,
};

/// Why there is no world.
#[derive(Debug, thiserror::Error)]
pub enum WorldError {
    /// An adapter's configuration.
    #[error(transparent)]
    AdapterConfig(#[from] AdapterConfigError),
    /// The authorities' keys.
    #[error(transparent)]
    Authorities(#[from] AuthoritiesError),
    /// The broker's configuration.
    #[error(transparent)]
    BrokerConfig(#[from] ConfigError),
    /// The broker's child process ended.
    #[error("the broker ended before it was ready, see `{log}`")]
    BrokerEnded {
        /// Where it says why.
        log: PathBuf,
    },
    /// The broker can't start.
    #[error(transparent)]
    BrokerStart(#[from] Box<StartError>),
    /// Certificates and keys.
    #[error(transparent)]
    Certs(#[from] CertsError),
    /// A client.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// A file.
    #[error("can't {act} `{path}`")]
    Io {
        /// What was tried.
        act: &'static str,
        /// Which file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// A number to be asked about.
    #[error(transparent)]
    Number(#[from] MsisdnError),
    /// A note key.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// A share key.
    #[error(transparent)]
    ShareKey(#[from] ShareKeyError),
    /// The ledger.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// A file with something else in it.
    #[error("`{path}`: {rule}")]
    Malformed {
        /// Which file.
        path: PathBuf,
        /// What it should be.
        rule: String,
    },
    /// The agreement or the list of parties.
    #[error(transparent)]
    Mistakes(#[from] Mistakes),
    /// No randomness.
    #[error("the system gave no random bytes")]
    NoRandom,
    /// Nobody of that name.
    #[error("there is no {what} `{name}`")]
    NoSuch {
        /// What was looked for.
        what: &'static str,
        /// Its name.
        name: String,
    },
    /// A note can't be signed.
    #[error(transparent)]
    Note(#[from] NoteError),
    /// The profile.
    #[error(transparent)]
    Profile(#[from] ProfileError),
    /// An adapter can't run.
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
    /// An adapter's source.
    #[error(transparent)]
    Source(#[from] OpenError),
    /// What a reader of the ledger states.
    #[error(transparent)]
    Statement(#[from] StatementError),
    /// The TLS library.
    #[error(transparent)]
    Tls(#[from] rustls::Error),
    /// A witness.
    #[error(transparent)]
    Witness(#[from] StoreError),
    /// A condition did not come true in time.
    #[error("waited in vain for {what}")]
    TimedOut {
        /// For what.
        what: String,
    },
}

impl From<StartError> for WorldError {
    fn from(error: StartError) -> Self {
        Self::BrokerStart(Box::new(error))
    }
}

impl WorldError {
    pub(crate) fn io(act: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { act, path, source }
    }

    pub(crate) fn malformed(path: &Path, rule: impl Into<String>) -> Self {
        Self::Malformed {
            path: path.to_owned(),
            rule: rule.into(),
        }
    }

    pub(crate) fn no_such(what: &'static str, name: &str) -> Self {
        Self::NoSuch {
            what,
            name: name.to_owned(),
        }
    }

    /// The error and its causes, on one line.
    #[must_use]
    pub fn chain(&self) -> String {
        let mut text = self.to_string();
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            let said = error.to_string();
            if !text.ends_with(&said) {
                text.push_str(": ");
                text.push_str(&said);
            }
            cause = error.source();
        }
        text
    }
}
