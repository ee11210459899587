//! Why a broker does not start.

use std::path::PathBuf;

use accord_proto::c2sp::{KeyError, PolicyError};

use crate::{
    governance::{DocumentError, LifeError},
    identity::TrustError,
    index::IndexError,
    ledger::LedgerError,
    oauth::{JwksError, NoKey},
    replay::SpoolError,
    routing::{DatabaseError, OpenError},
    subjects::{closed::ClosedError, tag_keys::TagKeyError},
    views::ViewError,
    witnesses::HttpError,
};

/// Why a broker does not start. Each names its file or its key.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Certificates.
    #[error("certificates: {0}")]
    Trust(#[from] TrustError),
    /// The index.
    #[error("the index: {0}")]
    Index(#[from] IndexError),
    /// A signed document.
    #[error("{0}")]
    Document(#[from] Box<DocumentError>),
    /// What the authorities did, as the ledger has it.
    #[error("the authorities' acts: {0}")]
    Life(#[from] LifeError),
    /// The authorities' keys.
    #[error("configuration: {0}: {1}")]
    Config(&'static str, String),
    /// The configured keys are not those that the ledger's first entry pins.
    #[error("configuration: authorities: not the keys that the first entry of the ledger pins")]
    OtherAuthorities,
    /// The ledger.
    #[error("ledger: {0}")]
    Ledger(#[from] LedgerError),
    /// The ledger's key.
    #[error("`{path}`: {error}")]
    SigningKey {
        /// Which file.
        path: PathBuf,
        /// Why.
        error: KeyError,
    },
    /// A file can't be read.
    #[error("can't read `{path}`: {source}")]
    Read {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The months' keys.
    #[error("keys: {0}")]
    TagKeys(#[from] TagKeyError),
    /// The keys of closed months.
    #[error("keys: {0}")]
    Closed(#[from] ClosedError),
    /// The portability database.
    #[error("portability: {0}")]
    Portability(#[from] DatabaseError),
    /// A supplier of portability data.
    #[error("{0}")]
    Supplier(#[from] OpenError),
    /// The keys of another authorisation server.
    #[error("camara.authorization_server.jwks: {0}")]
    Jwks(#[from] JwksError),
    /// A key to sign tokens with.
    #[error("camara: {0}")]
    TokenKey(#[from] NoKey),
    /// A part of the start ended by itself.
    #[error("the start broke off: {0}")]
    Broken(#[source] tokio::task::JoinError),
    /// The view.
    #[error("view: {0}")]
    Views(#[from] ViewError),
    /// Kept answers.
    #[error("replay: {0}")]
    Replay(#[from] SpoolError),
    /// The witnesses' policy.
    #[error("`{path}`: {error}")]
    Policy {
        /// Which file.
        path: PathBuf,
        /// Why.
        error: PolicyError,
    },
    /// The witnesses.
    #[error("witnesses: {0}")]
    Witnesses(#[from] HttpError),
    /// Nobody says how far the ledger had come, so nothing is signed.
    #[error(
        "witnesses: no quorum has said within {seconds} s how far the ledger had come; without \
         that a disk that was rolled back would go on as if it were the newest"
    )]
    NoQuorum {
        /// How long the start waited.
        seconds: u32,
    },
    /// A port.
    #[error("can't listen on {address} ({key}): {source}")]
    Listen {
        /// Which address.
        address: std::net::SocketAddr,
        /// Which key of the configuration.
        key: &'static str,
        /// What the system said.
        source: std::io::Error,
    },
    /// Server reflection.
    #[error("server reflection: {0}")]
    Reflection(#[from] tonic_reflection::server::Error),
}
