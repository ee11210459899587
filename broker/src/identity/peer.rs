//! The other end of a connection.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use accord_proto::party::PartyId;
use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use jiff::Timestamp;
use rustls_pki_types::CertificateDer;
use x509_parser::prelude::{FromDer as _, GeneralName, X509Certificate};

use super::error::IdentityError;
use super::trust::TrustStore;

/// The other end of a connection: its certificate, parsed once, and whether it is still trusted.
///
/// Handlers find an `Arc<Peer>` in the request's extensions.
#[derive(Debug)]
pub struct Peer {
    identity: Result<PartyId, IdentityError>,
    remote: SocketAddr,
    chain: Vec<CertificateDer<'static>>,
    thumbprint: String,
    serial: String,
    issuer: String,
    not_after: Timestamp,
    /// When the first certificate of the chain expires.
    chain_expires: Timestamp,
    /// The generation of the trust store under which the chain was last found good.
    good_under: AtomicU64,
    /// By its certificate, or by a token or an assertion which was good.
    known: AtomicBool,
}

impl Peer {
    /// What a chain, leaf first, that a handshake under `generation` found good says.
    pub(super) fn new(
        chain: Vec<CertificateDer<'static>>,
        remote: SocketAddr,
        trust_domain: &str,
        generation: u64,
    ) -> Result<Self, IdentityError> {
        let leaf = chain.first().ok_or(IdentityError::CertificateMissing)?;
        let (_, parsed) =
            X509Certificate::from_der(leaf).map_err(|_| IdentityError::CertificateInvalid)?;
        let not_after = not_after(&parsed)?;
        let mut chain_expires = not_after;
        for certificate in chain.iter().skip(1) {
            let (_, parsed) = X509Certificate::from_der(certificate)
                .map_err(|_| IdentityError::CertificateInvalid)?;
            chain_expires = chain_expires.min(self::not_after(&parsed)?);
        }
        let identity = identity_in(&parsed).and_then(|party| {
            if party.trust_domain() == trust_domain {
                Ok(party)
            } else {
                Err(IdentityError::CertificateWrongDomain)
            }
        });
        let known = AtomicBool::new(identity.is_ok());
        Ok(Self {
            identity,
            remote,
            thumbprint: BASE64_URL_SAFE_NO_PAD.encode(digest(&SHA256, leaf)),
            serial: accord_proto::hex::encode(parsed.raw_serial()),
            issuer: parsed.issuer().to_string(),
            not_after,
            chain_expires,
            good_under: AtomicU64::new(generation),
            known,
            chain,
        })
    }

    /// The other end of a connection on a door that only asks for certificates, and got none.
    pub(super) fn without_certificate(remote: SocketAddr) -> Self {
        Self {
            identity: Err(IdentityError::CertificateMissing),
            remote,
            chain: Vec::new(),
            thumbprint: String::new(),
            serial: String::new(),
            issuer: String::new(),
            not_after: Timestamp::MAX,
            chain_expires: Timestamp::MAX,
            good_under: AtomicU64::new(0),
            known: AtomicBool::new(false),
        }
    }

    /// Notes that who showed no certificate showed a token or an assertion which was good.
    pub(crate) fn note_known(&self) {
        // Read first: it is written once, and looked at with each request.
        if !self.is_known() {
            self.known.store(true, Ordering::Relaxed);
        }
    }

    /// Whether it showed anything by which it is known.
    pub(super) fn is_known(&self) -> bool {
        self.known.load(Ordering::Relaxed)
    }

    /// Whether it showed a certificate.
    #[must_use]
    pub const fn has_certificate(&self) -> bool {
        !self.chain.is_empty()
    }

    /// The one identity in a certificate.
    pub(super) fn identity_of(certificate: &CertificateDer<'_>) -> Result<PartyId, IdentityError> {
        let (_, parsed) = X509Certificate::from_der(certificate)
            .map_err(|_| IdentityError::CertificateInvalid)?;
        identity_in(&parsed)
    }

    /// The last moment of a certificate.
    pub(super) fn expiry_of(certificate: &CertificateDer<'_>) -> Result<Timestamp, IdentityError> {
        let (_, parsed) = X509Certificate::from_der(certificate)
            .map_err(|_| IdentityError::CertificateInvalid)?;
        not_after(&parsed)
    }

    /// Says who this is, if its certificate is trusted now. Costs a few nanoseconds, until the
    /// trust store changes.
    ///
    /// # Errors
    /// [`IdentityError`]: revoked, expired, no longer trusted, or without exactly one identity.
    pub fn check(&self, trust: &TrustStore, now: Timestamp) -> Result<&PartyId, IdentityError> {
        self.check_chain(trust, now)?;
        self.identity.as_ref().map_err(Clone::clone)
    }

    pub(super) fn check_chain(
        &self,
        trust: &TrustStore,
        now: Timestamp,
    ) -> Result<(), IdentityError> {
        if !self.has_certificate() {
            return Ok(());
        }
        let current = trust.current();
        let known_good = self.good_under.load(Ordering::Relaxed) == current.generation
            && now < self.chain_expires
            && now < current.lists_expire;
        if known_good {
            return Ok(());
        }
        current.tls.verify(&self.chain, now)?;
        // Invariant: only a good verdict is remembered, and for this load of the files alone.
        self.good_under.store(current.generation, Ordering::Relaxed);
        Ok(())
    }

    /// Waits until this is no longer trusted, and says why: for streams on which nothing may happen
    /// for long. The connection is closed a moment later.
    pub async fn untrusted(&self, trust: &TrustStore) -> IdentityError {
        let mut changed = trust.changed();
        loop {
            if let Err(error) = self.check(trust, trust.now()) {
                return error;
            }
            if changed.changed().await.is_err() {
                // Nothing changes any more; the store lives as long as its broker.
                std::future::pending::<()>().await;
            }
        }
    }

    /// Who this says it is: a fact about the certificate, not a verdict. For that see
    /// [`check`](Self::check).
    #[must_use]
    pub fn party(&self) -> Option<&PartyId> {
        self.identity.as_ref().ok()
    }

    pub(super) const fn identity(&self) -> &Result<PartyId, IdentityError> {
        &self.identity
    }

    /// Where it connects from.
    #[must_use]
    pub const fn remote(&self) -> SocketAddr {
        self.remote
    }

    /// `x5t#S256`: the base64url SHA-256 of the certificate (RFC 8705 section 3.1).
    #[must_use]
    pub fn thumbprint(&self) -> &str {
        &self.thumbprint
    }

    /// The certificate's serial number, hexadecimal.
    #[must_use]
    pub fn serial(&self) -> &str {
        &self.serial
    }

    /// The certificate's issuer, as text.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// When the certificate expires.
    #[must_use]
    pub const fn not_after(&self) -> Timestamp {
        self.not_after
    }
}

/// Exactly one URI in the subject alternative name, and that the id of a party (X509-SVID section
/// 2: "an X.509 SVID MUST contain exactly one URI SAN").
fn identity_in(certificate: &X509Certificate<'_>) -> Result<PartyId, IdentityError> {
    let names = certificate
        .subject_alternative_name()
        .map_err(|_| IdentityError::CertificateInvalid)?
        .ok_or(IdentityError::CertificateNoIdentity)?;
    let mut uris = names.value.general_names.iter().filter_map(|name| {
        let GeneralName::URI(uri) = name else {
            return None;
        };
        Some(*uri)
    });
    let uri = uris.next().ok_or(IdentityError::CertificateNoIdentity)?;
    if uris.next().is_some() {
        return Err(IdentityError::CertificateTwoIdentities);
    }
    PartyId::parse(uri).map_err(|_| IdentityError::CertificateMalformedIdentity)
}

fn not_after(certificate: &X509Certificate<'_>) -> Result<Timestamp, IdentityError> {
    Timestamp::from_second(certificate.validity().not_after.timestamp())
        .map_err(|_| IdentityError::CertificateInvalid)
}
