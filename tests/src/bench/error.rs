//! What can go wrong with a measurement.

use std::{io, path::Path, path::PathBuf};

use accord_adapters::{config::ConfigError as AdapterConfigError, runtime::RuntimeError};
use accord_broker::{
    config::ConfigError, index::IndexError, ledger::LedgerError, serve::StartError,
};
use accord_proto::c2sp::KeyError;

use crate::world::WorldError;

/// Why there are no figures.
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    /// A number whose tag was sought, and not found.
    #[error("the plan's last number was not found by its tag")]
    NotFound,
    /// An adapter's configuration.
    #[error(transparent)]
    AdapterConfig(#[from] AdapterConfigError),
    /// The answer to a question was not the one that is measured.
    #[error("{what} got another answer than the one that is measured: {why}")]
    Answer {
        /// What was measured.
        what: &'static str,
        /// What came instead.
        why: String,
    },
    /// The broker's configuration.
    #[error(transparent)]
    BrokerConfig(#[from] ConfigError),
    /// The broker can't start.
    #[error(transparent)]
    BrokerStart(#[from] Box<StartError>),
    /// A process that was started ended at once, or said nothing.
    #[error("the {what} did not start")]
    Child {
        /// Which one.
        what: &'static str,
    },
    /// Connections to a server.
    #[error("can't connect")]
    Connect(#[from] tonic::transport::Error),
    /// Somebody had no patience.
    #[error("interrupted")]
    Interrupted,
    /// The index.
    #[error(transparent)]
    Index(#[from] IndexError),
    /// A file or a system call.
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
    /// The ledger's key.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The ledger.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// A PEM file.
    #[error("`{path}` is not in PEM form")]
    Pem {
        /// Which file.
        path: PathBuf,
    },
    /// An adapter can't run.
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
    /// The TLS library.
    #[error(transparent)]
    Tls(#[from] rustls::Error),
    /// A token can't be made.
    #[error("can't make a token")]
    Token(#[from] jsonwebtoken::errors::Error),
    /// The check of client certificates can't be made.
    #[error(transparent)]
    Verifier(#[from] rustls::server::VerifierBuilderError),
    /// The world.
    #[error(transparent)]
    World(#[from] WorldError),
}

impl From<StartError> for BenchError {
    fn from(error: StartError) -> Self {
        Self::BrokerStart(Box::new(error))
    }
}

impl BenchError {
    pub(super) fn io(act: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { act, path, source }
    }

    /// The error and its causes, on one line.
    #[must_use]
    pub fn chain(&self) -> String {
        let mut text = self.to_string();
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            text.push_str(": ");
            text.push_str(&error.to_string());
            cause = error.source();
        }
        text
    }
}
