//! The broker's side of TLS: version 1.3 alone, with a client certificate, and no way round a
//! fresh check of it.

use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use accord_proto::clock::SharedClock;
use accord_proto::party::PartyId;
use jiff::Timestamp;
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{NoServerSessionStorage, ResolvesServerCert, WebPkiClientVerifier};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::time_provider::TimeProvider;
use rustls::version::TLS13;
use rustls::{DigitallySignedStruct, DistinguishedName, ServerConfig, SignatureScheme};
use rustls_pki_types::{CertificateDer, UnixTime};

use super::error::IdentityError;
use super::material::{Material, TlsFiles, TrustError};
use super::peer::Peer;

/// HTTP/2.
const H2: &[u8] = b"h2";
/// HTTP/1.1.
const HTTP1: &[u8] = b"http/1.1";

/// What a listener speaks above TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Speaks {
    /// gRPC: HTTP/2 alone.
    Grpc,
    /// HTTPS: HTTP/2, or HTTP/1.1 with those who don't know it.
    Https,
}

impl Speaks {
    /// The names to choose from (RFC 7301), the best first.
    fn protocols(self) -> Vec<Vec<u8>> {
        match self {
            Self::Grpc => vec![H2.to_vec()],
            Self::Https => vec![H2.to_vec(), HTTP1.to_vec()],
        }
    }
}

/// Whether a client needs a certificate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Certificates {
    /// Without one there is no connection.
    #[default]
    Required,
    /// One that is shown is checked; a client without one is known by its token alone, which must
    /// be bound to a key.
    Asked,
}

/// Whether HTTP/2 was chosen. gRPC is never anything else.
pub(super) fn chose_http2(chosen: Option<&[u8]>) -> bool {
    chosen == Some(H2)
}

/// What one load of the files gives the TLS library.
pub(super) struct Tls {
    provider: Arc<CryptoProvider>,
    verifier: Arc<dyn ClientCertVerifier>,
    resolver: Arc<dyn ResolvesServerCert>,
    time: Arc<SharedTime>,
}

impl Tls {
    pub(super) fn new(
        files: &TlsFiles,
        material: Material,
        clock: SharedClock,
    ) -> Result<Self, TrustError> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let lists: Vec<_> = material.lists().collect();
        let verifier = WebPkiClientVerifier::builder_with_provider(
            Arc::new(material.roots.store),
            Arc::clone(&provider),
        )
        .with_crls(lists)
        .enforce_revocation_expiration()
        .build()
        .map_err(TrustError::Verifier)?;
        let pair =
            CertifiedKey::from_der(material.chain, material.key, &provider).map_err(|source| {
                TrustError::KeyPair {
                    certificate: files.certificate.clone(),
                    key: files.key.clone(),
                    source,
                }
            })?;
        Ok(Self {
            provider,
            verifier,
            resolver: Arc::new(SingleCertAndKey::from(pair)),
            time: Arc::new(SharedTime(clock)),
        })
    }

    /// The configuration of one handshake.
    ///
    /// A resumed session would skip the check of the certificate and so escape a new revocation
    /// list: hence no session storage, no tickets and no early data.
    pub(super) fn config(
        &self,
        verifier: Arc<Watched>,
        speaks: Speaks,
    ) -> Result<ServerConfig, TrustError> {
        let provider = Arc::clone(&self.provider);
        let time = Arc::clone(&self.time);
        let mut config = ServerConfig::builder_with_details(provider, time)
            .with_protocol_versions(&[&TLS13])
            .map_err(TrustError::Tls)?
            .with_client_cert_verifier(verifier)
            .with_cert_resolver(Arc::clone(&self.resolver));
        config.alpn_protocols = speaks.protocols();
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        config.max_early_data_size = 0;
        Ok(config)
    }

    /// The check of client certificates, which also remembers what it refused.
    pub(super) fn watched(&self, certificates: Certificates) -> Arc<Watched> {
        Arc::new(Watched {
            inner: Arc::clone(&self.verifier),
            certificates,
            refused: OnceLock::new(),
        })
    }

    /// Checks a chain, leaf first, as a handshake does.
    pub(super) fn verify(
        &self,
        chain: &[CertificateDer<'static>],
        now: Timestamp,
    ) -> Result<(), IdentityError> {
        let (leaf, rest) = chain
            .split_first()
            .ok_or(IdentityError::CertificateMissing)?;
        self.verifier
            .verify_client_cert(leaf, rest, unix_time(now))
            .map(|_| ())
            .map_err(|error| IdentityError::of_chain(&error))
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").finish_non_exhaustive()
    }
}

fn unix_time(at: Timestamp) -> UnixTime {
    UnixTime::since_unix_epoch(Duration::from_secs(
        u64::try_from(at.as_second()).unwrap_or_default(),
    ))
}

/// The broker's clock, for the TLS library.
#[derive(Debug)]
struct SharedTime(SharedClock);

impl TimeProvider for SharedTime {
    fn current_time(&self) -> Option<UnixTime> {
        Some(unix_time(self.0.now()))
    }
}

/// Why a handshake's certificate was refused, and whose it says it is. That it is theirs is not
/// proven: the check of the chain comes before that of the handshake's signature.
#[derive(Clone, Debug)]
pub(super) struct RefusedChain {
    pub(super) error: IdentityError,
    pub(super) claimed: Option<PartyId>,
    /// Whether a trusted CA issued it: it has expired or was revoked.
    pub(super) issued: bool,
}

/// The check of client certificates for one handshake.
#[derive(Debug)]
pub(super) struct Watched {
    inner: Arc<dyn ClientCertVerifier>,
    certificates: Certificates,
    refused: OnceLock<RefusedChain>,
}

impl Watched {
    pub(super) fn refused(&self) -> Option<&RefusedChain> {
        self.refused.get()
    }

    /// Revocation is looked at after the signatures, but expiry before them: so a chain that has
    /// expired is checked again as of its last moment.
    fn is_issued(
        &self,
        error: &IdentityError,
        leaf: &CertificateDer<'_>,
        rest: &[CertificateDer<'_>],
    ) -> bool {
        if *error == IdentityError::CertificateRevoked {
            return true;
        }
        *error == IdentityError::CertificateExpired
            && Peer::expiry_of(leaf).is_ok_and(|last| {
                let then = unix_time(last);
                self.inner.verify_client_cert(leaf, rest, then).is_ok()
            })
    }
}

impl ClientCertVerifier for Watched {
    fn offer_client_auth(&self) -> bool {
        self.inner.offer_client_auth()
    }

    fn client_auth_mandatory(&self) -> bool {
        self.certificates == Certificates::Required
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.inner.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        leaf: &CertificateDer<'_>,
        rest: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        self.inner
            .verify_client_cert(leaf, rest, now)
            .inspect_err(|error| {
                let error = IdentityError::of_chain(error);
                let issued = self.is_issued(&error, leaf, rest);
                self.refused.get_or_init(|| RefusedChain {
                    error,
                    claimed: Peer::identity_of(leaf).ok(),
                    issued,
                });
            })
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.inner.verify_tls12_signature(message, leaf, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.inner.verify_tls13_signature(message, leaf, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}
