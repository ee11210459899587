//! The certificate of one party.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use jiff::{SignedDuration, Timestamp};
use rcgen::{
    Certificate, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, KeyPair,
    KeyUsagePurpose, SanType, date_time_ymd,
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

use crate::{CertsError, disk};

/// Certificates begin an hour before they were made, for clocks that differ.
pub(crate) const BACKDATE: SignedDuration = SignedDuration::from_hours(1);

/// How a leaf is to be made. [`at`](Self::at) gives a good one; the rest makes odd ones for tests.
#[derive(Clone, Debug)]
pub struct LeafOptions {
    now: Timestamp,
    lifetime: SignedDuration,
    identity: bool,
    second_identity: Option<String>,
}

impl LeafOptions {
    /// 90 days; certificates of parties must live less than 825 days (rule R04).
    pub const LIFETIME: SignedDuration = SignedDuration::from_hours(90 * 24);

    /// A good leaf, valid for [`LIFETIME`](Self::LIFETIME) from `now`.
    #[must_use]
    pub const fn at(now: Timestamp) -> Self {
        Self {
            now,
            lifetime: Self::LIFETIME,
            identity: true,
            second_identity: None,
        }
    }

    /// Valid until `lifetime` after `now`. A negative one gives a leaf that has expired.
    #[must_use]
    pub const fn lifetime(mut self, lifetime: SignedDuration) -> Self {
        self.lifetime = lifetime;
        self
    }

    /// Without a URI in the subject alternative name.
    #[must_use]
    pub const fn without_identity(mut self) -> Self {
        self.identity = false;
        self
    }

    /// With a second URI in the subject alternative name.
    #[must_use]
    pub fn with_second_identity(mut self, uri: &str) -> Self {
        self.second_identity = Some(uri.to_owned());
        self
    }

    pub(crate) fn params(
        &self,
        role: &str,
        org: &str,
        uri: &str,
    ) -> Result<CertificateParams, CertsError> {
        let not_after = self.now + self.lifetime;
        let mut name = DistinguishedName::new();
        name.push(DnType::OrganizationName, org);
        name.push(DnType::OrganizationalUnitName, role);
        let mut params = CertificateParams::default();
        params.distinguished_name = name;
        params.not_before = date(self.now.min(not_after) - BACKDATE);
        params.not_after = date(not_after);
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ClientAuth,
            ExtendedKeyUsagePurpose::ServerAuth,
        ];
        params.use_authority_key_identifier_extension = true;
        let own = self.identity.then_some(uri);
        for uri in own.into_iter().chain(self.second_identity.as_deref()) {
            let uri = uri.try_into().map_err(CertsError::make("SPIFFE id"))?;
            params.subject_alt_names.push(SanType::URI(uri));
        }
        if role == "broker" {
            let host = "localhost"
                .try_into()
                .map_err(CertsError::make("host name"))?;
            params.subject_alt_names.extend([
                SanType::DnsName(host),
                SanType::IpAddress(IpAddr::V4(Ipv4Addr::LOCALHOST)),
                SanType::IpAddress(IpAddr::V6(Ipv6Addr::LOCALHOST)),
            ]);
        }
        Ok(params)
    }
}

/// A party's certificate and key.
pub struct Leaf {
    uri: String,
    serial: Vec<u8>,
    certificate: CertificateDer<'static>,
    certificate_pem: String,
    key: Vec<u8>,
    key_pem: String,
}

impl Leaf {
    pub(crate) fn new(
        uri: String,
        serial: Vec<u8>,
        certificate: &Certificate,
        key: &KeyPair,
    ) -> Self {
        Self {
            uri,
            serial,
            certificate: certificate.der().clone(),
            certificate_pem: certificate.pem(),
            key: key.serialize_der(),
            key_pem: key.serialize_pem(),
        }
    }

    /// The SPIFFE id that the leaf was issued for, also where odd options left it out.
    #[must_use]
    pub fn uri(&self) -> &str {
        &self.uri
    }

    /// The serial number, big-endian: what a revocation list names.
    #[must_use]
    pub fn serial(&self) -> &[u8] {
        &self.serial
    }

    /// The certificate chain, PEM: the leaf alone, for the CA signs it directly.
    #[must_use]
    pub fn certificate_pem(&self) -> &str {
        &self.certificate_pem
    }

    /// The certificate, DER.
    #[must_use]
    pub const fn certificate_der(&self) -> &CertificateDer<'static> {
        &self.certificate
    }

    /// The key, PKCS#8 PEM. A secret.
    #[must_use]
    pub fn key_pem(&self) -> &str {
        &self.key_pem
    }

    /// The key, PKCS#8 DER. A secret.
    #[must_use]
    pub fn key_der(&self) -> PrivateKeyDer<'static> {
        PrivatePkcs8KeyDer::from(self.key.clone()).into()
    }

    /// `x5t#S256`: the base64url SHA-256 of the certificate, to which tokens are bound (RFC 8705
    /// section 3.1).
    #[must_use]
    pub fn thumbprint(&self) -> String {
        BASE64_URL_SAFE_NO_PAD.encode(digest(&SHA256, &self.certificate))
    }

    /// Writes `<stem>.pem` and `<stem>.key` (mode 0600) into `dir`, replacing what was there.
    ///
    /// # Errors
    /// Names the file that can't be written.
    pub fn write(&self, dir: &Path, stem: &str) -> Result<(), CertsError> {
        disk::write_private(&dir.join(format!("{stem}.key")), &self.key_pem)?;
        disk::write_public(&dir.join(format!("{stem}.pem")), &self.certificate_pem)
    }
}

impl fmt::Debug for Leaf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Leaf")
            .field("uri", &self.uri)
            .finish_non_exhaustive()
    }
}

/// The date type of the certificate library, to the second; dates before 1970 become 1970.
pub(crate) fn date(at: Timestamp) -> time::OffsetDateTime {
    let seconds = u64::try_from(at.as_second()).unwrap_or_default();
    date_time_ymd(1970, 1, 1) + Duration::from_secs(seconds)
}
