//! Builds a client. What is missing is missing at compile time.

use std::{sync::Arc, time::Duration};

use accord_proto::clock::{SharedClock, SystemClock};

use crate::{
    audit::Auditor,
    client::{Client, Inner},
    identity::{Endpoints, Identity, Roots},
    receipt::LogTrust,
    session::Connections,
    token::TokenMaker,
    token_key::TokenKey,
};

/// How long a call may take where the caller does not say.
pub const DEADLINE_MS: u64 = 5_000;
/// The longest that a call may take; a longer deadline is cut to this. A broker takes at most a
/// minute for one question, so the rest is for repetitions.
pub const DEADLINE_MAX: Duration = Duration::from_secs(3_600);

/// Stands for a part that was not given yet.
#[derive(Clone, Copy, Debug, Default)]
pub struct Missing;

/// Collects the parts of a client. `build` exists only once endpoints, roots, identity and token
/// key were given, and `build_auditor` once the first three were:
///
/// ```compile_fail
/// // No endpoints, no roots, no identity, no key: this does not compile.
/// let client = accord_client::Client::builder().build();
/// ```
#[derive(Debug)]
#[must_use = "a builder does nothing until it is built"]
pub struct Builder<E = Missing, R = Missing, I = Missing, K = Missing> {
    endpoints: E,
    roots: R,
    identity: I,
    token_key: K,
    options: Options,
}

/// What has a default.
#[derive(Debug)]
struct Options {
    application: String,
    deadline: Duration,
    log: LogTrust,
    clock: SharedClock,
}

/// Why a client can't be built, or its certificate renewed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// The certificate and the key are not a pair, or of a kind that TLS 1.3 doesn't know.
    #[error("the certificate and its key can't be used for TLS")]
    Identity(#[source] rustls::Error),
    /// Connections need a tokio runtime.
    #[error("a client is built inside a tokio runtime")]
    NoRuntime,
    /// A client asks as one party as long as it lives.
    #[error("the certificate is that of `{found}`, and the client was built as `{expected}`")]
    OtherParty {
        /// Whose the certificate is.
        found: String,
        /// As whom the client asks.
        expected: String,
    },
}

impl Builder {
    pub(crate) fn new() -> Self {
        Self {
            endpoints: Missing,
            roots: Missing,
            identity: Missing,
            token_key: Missing,
            options: Options {
                application: "accord-client".to_owned(),
                deadline: Duration::from_millis(DEADLINE_MS),
                log: LogTrust::default(),
                clock: SystemClock::shared(),
            },
        }
    }
}

impl<R, I, K> Builder<Missing, R, I, K> {
    /// Where the brokers are.
    pub fn endpoints(self, endpoints: Endpoints) -> Builder<Endpoints, R, I, K> {
        Builder {
            endpoints,
            roots: self.roots,
            identity: self.identity,
            token_key: self.token_key,
            options: self.options,
        }
    }
}

impl<E, I, K> Builder<E, Missing, I, K> {
    /// Which CAs a broker's certificate may come from.
    pub fn roots(self, roots: Roots) -> Builder<E, Roots, I, K> {
        Builder {
            endpoints: self.endpoints,
            roots,
            identity: self.identity,
            token_key: self.token_key,
            options: self.options,
        }
    }
}

impl<E, R, K> Builder<E, R, Missing, K> {
    /// The caller's certificate and key. [`Client::renew`] and [`Auditor::renew`] put others in their
    /// place before the certificate ends.
    pub fn identity(self, identity: Identity) -> Builder<E, R, Identity, K> {
        Builder {
            endpoints: self.endpoints,
            roots: self.roots,
            identity,
            token_key: self.token_key,
            options: self.options,
        }
    }
}

impl<E, R, I> Builder<E, R, I, Missing> {
    /// The key that signs the caller's tokens.
    pub fn token_key(self, token_key: TokenKey) -> Builder<E, R, I, TokenKey> {
        Builder {
            endpoints: self.endpoints,
            roots: self.roots,
            identity: self.identity,
            token_key,
            options: self.options,
        }
    }
}

impl<E, R, I, K> Builder<E, R, I, K> {
    /// The name of the calling application, `sub` of its tokens; else `accord-client`.
    pub fn application(mut self, name: impl Into<String>) -> Self {
        self.options.application = name.into();
        self
    }

    /// How long a call may take, with all its repetitions; else 5 s, and never longer than
    /// [`DEADLINE_MAX`].
    pub const fn deadline(mut self, deadline: Duration) -> Self {
        self.options.deadline = deadline;
        self
    }

    /// The ledger that receipts must come from, and the keys that their proofs are held against.
    pub fn log(mut self, log: LogTrust) -> Self {
        self.options.log = log;
        self
    }

    /// Another clock, for tests.
    pub fn clock(mut self, clock: SharedClock) -> Self {
        self.options.clock = clock;
        self
    }
}

impl<K> Builder<Endpoints, Roots, Identity, K> {
    /// A client that reads the ledger and the agreement, and asks about no number. Authorities
    /// and operators need no token.
    ///
    /// # Errors
    /// [`BuildError`]; no connection is made yet.
    pub fn build_auditor(self) -> Result<Auditor, BuildError> {
        let connections = Connections::new(self.endpoints, self.roots, self.identity)?;
        Ok(Auditor {
            connections: Arc::new(connections),
            deadline: self.options.deadline,
            log: self.options.log,
            statement: None,
        })
    }
}

impl Builder<Endpoints, Roots, Identity, TokenKey> {
    /// The client.
    ///
    /// # Errors
    /// [`BuildError`]; no connection is made yet.
    pub fn build(self) -> Result<Client, BuildError> {
        let Options {
            application,
            deadline,
            log,
            clock,
        } = self.options;
        let party = self.identity.party().clone();
        let tokens = TokenMaker::new(self.token_key, party, application, Arc::clone(&clock));
        let connections = Connections::new(self.endpoints, self.roots, self.identity)?;
        Ok(Client {
            inner: Arc::new(Inner {
                tokens,
                clock,
                auditor: Auditor {
                    connections: Arc::new(connections),
                    deadline,
                    log,
                    statement: None,
                },
            }),
        })
    }
}
