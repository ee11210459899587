//! A certificate authority.

use std::fmt;

use aws_lc_rs::rand;
use jiff::{SignedDuration, Timestamp};
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DistinguishedName,
    DnType, IsCa, Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256,
    RevocationReason, RevokedCertParams, SerialNumber,
};

use crate::leaf::{Leaf, LeafOptions};
use crate::{CertsError, leaf};

/// A certificate authority (ECDSA P-256) for one trust domain.
///
/// Two of them for the same trust domain have the same name and different keys: what a stranger's
/// CA looks like.
pub struct Pki {
    trust_domain: String,
    issuer: Issuer<'static, KeyPair>,
    certificate_pem: String,
}

impl Pki {
    const LIFETIME: SignedDuration = SignedDuration::from_hours(10 * 365 * 24);

    /// Makes a CA, valid for ten years from an hour before `now`.
    ///
    /// # Errors
    /// If the trust domain fits in no certificate.
    pub fn new(trust_domain: &str, now: Timestamp) -> Result<Self, CertsError> {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)
            .map_err(CertsError::make("key of the CA"))?;
        let mut params = ca_params(trust_domain);
        params.not_before = leaf::date(now - leaf::BACKDATE);
        params.not_after = leaf::date(now + Self::LIFETIME);
        params.serial_number = Some(SerialNumber::from_slice(&random_serial()?));
        let certificate = params
            .self_signed(&key)
            .map_err(CertsError::make("certificate of the CA"))?;
        Ok(Self {
            trust_domain: trust_domain.to_owned(),
            certificate_pem: certificate.pem(),
            issuer: Issuer::new(params, key),
        })
    }

    /// Takes up a CA that [`new`](Self::new) made for the same trust domain.
    ///
    /// # Errors
    /// If the key can't be read.
    pub fn load(
        trust_domain: &str,
        certificate_pem: &str,
        key_pem: &str,
    ) -> Result<Self, CertsError> {
        let key = KeyPair::from_pem(key_pem).map_err(CertsError::make("key of the CA"))?;
        Ok(Self {
            trust_domain: trust_domain.to_owned(),
            certificate_pem: certificate_pem.to_owned(),
            issuer: Issuer::new(ca_params(trust_domain), key),
        })
    }

    /// The trust domain, the host part of each SPIFFE id.
    #[must_use]
    pub fn trust_domain(&self) -> &str {
        &self.trust_domain
    }

    /// The CA's certificate: the root to trust, PEM.
    #[must_use]
    pub fn certificate_pem(&self) -> &str {
        &self.certificate_pem
    }

    /// The CA's key, PKCS#8 PEM. A secret.
    #[must_use]
    pub fn key_pem(&self) -> String {
        self.issuer.key().serialize_pem()
    }

    /// Issues a certificate for `spiffe://<trust-domain>/<role>/<org>`, for client and server use.
    /// The role `broker` also gets the names `localhost`, `127.0.0.1` and `::1`.
    ///
    /// # Errors
    /// If a name or a date fits in no certificate.
    pub fn issue(&self, role: &str, org: &str, options: &LeafOptions) -> Result<Leaf, CertsError> {
        let uri = format!("spiffe://{}/{role}/{org}", self.trust_domain);
        let mut params = options.params(role, org, &uri)?;
        let serial = random_serial()?;
        params.serial_number = Some(SerialNumber::from_slice(&serial));
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)
            .map_err(CertsError::make("key of a party"))?;
        let certificate = params
            .signed_by(&key, &self.issuer)
            .map_err(CertsError::make("certificate of a party"))?;
        Ok(Leaf::new(uri, serial, &certificate, &key))
    }

    /// A certificate revocation list (RFC 5280 section 5), PEM, that names `revoked` (the serial
    /// numbers of leaves). Pass a `next_update` in the past for a list that has expired.
    ///
    /// # Errors
    /// If `next_update` isn't after `this_update`.
    pub fn crl(
        &self,
        revoked: &[&[u8]],
        this_update: Timestamp,
        next_update: Timestamp,
    ) -> Result<String, CertsError> {
        let number = u64::try_from(this_update.as_millisecond()).unwrap_or_default();
        let params = CertificateRevocationListParams {
            this_update: leaf::date(this_update),
            next_update: leaf::date(next_update),
            crl_number: SerialNumber::from(number),
            issuing_distribution_point: None,
            revoked_certs: revoked
                .iter()
                .map(|serial| RevokedCertParams {
                    serial_number: SerialNumber::from_slice(serial),
                    revocation_time: leaf::date(this_update),
                    reason_code: Some(RevocationReason::KeyCompromise),
                    invalidity_date: None,
                })
                .collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        params
            .signed_by(&self.issuer)
            .and_then(|crl| crl.pem())
            .map_err(CertsError::make("revocation list"))
    }
}

impl fmt::Debug for Pki {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pki")
            .field("trust_domain", &self.trust_domain)
            .finish_non_exhaustive()
    }
}

/// Everything of the CA's certificate that what it signs depends on: the same for each CA of one
/// trust domain, so that a CA can be taken up again from its key alone.
fn ca_params(trust_domain: &str) -> CertificateParams {
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, format!("{trust_domain} CA"));
    let mut params = CertificateParams::default();
    params.distinguished_name = name;
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

/// 16 random bytes, positive and of full length (RFC 5280 section 4.1.2.2).
fn random_serial() -> Result<Vec<u8>, CertsError> {
    let mut serial = vec![0; 16];
    rand::fill(&mut serial).map_err(|_| CertsError::Random)?;
    if let Some(first) = serial.first_mut() {
        *first = (*first & 0x7f) | 0x40;
    }
    Ok(serial)
}

#[cfg(test)]
mod tests {
    use rustls_pki_types::CertificateDer;
    use rustls_pki_types::pem::PemObject as _;
    use x509_parser::prelude::*;

    use super::*;

    fn now() -> Timestamp {
        "2026-11-03T10:00:00Z".parse().unwrap()
    }

    fn uris(leaf: &Leaf) -> Vec<String> {
        let (_, parsed) = X509Certificate::from_der(leaf.certificate_der()).unwrap();
        let Some(names) = parsed.subject_alternative_name().unwrap() else {
            return Vec::new();
        };
        names
            .value
            .general_names
            .iter()
            .filter_map(|name| {
                let GeneralName::URI(uri) = name else {
                    return None;
                };
                Some((*uri).to_owned())
            })
            .collect()
    }

    #[test]
    fn a_leaf_has_exactly_one_uri_and_the_serial_that_it_says() {
        let pki = Pki::new("accord.test", now()).unwrap();
        let leaf = pki
            .issue("bank", "first-bank", &LeafOptions::at(now()))
            .unwrap();
        assert_eq!(uris(&leaf), ["spiffe://accord.test/bank/first-bank"]);
        let (_, parsed) = X509Certificate::from_der(leaf.certificate_der()).unwrap();
        assert_eq!(parsed.raw_serial(), leaf.serial());
        let days = (parsed.validity().not_after.timestamp() - now().as_second()) / 86_400;
        assert_eq!(days, 90);
    }

    #[test]
    fn odd_leaves_are_odd_as_asked() {
        let pki = Pki::new("accord.test", now()).unwrap();
        let options = LeafOptions::at(now());
        let none = pki
            .issue("bank", "first-bank", &options.clone().without_identity())
            .unwrap();
        assert!(uris(&none).is_empty());
        let second = "spiffe://accord.test/bank/second-bank";
        let two = pki
            .issue("bank", "first-bank", &options.with_second_identity(second))
            .unwrap();
        assert_eq!(uris(&two).len(), 2);
    }

    #[test]
    fn a_loaded_ca_signs_like_the_one_that_was_stored() {
        let made = Pki::new("accord.test", now()).unwrap();
        let loaded = Pki::load("accord.test", made.certificate_pem(), &made.key_pem()).unwrap();
        let leaf = loaded
            .issue("operator", "red-mobile", &LeafOptions::at(now()))
            .unwrap();
        let ca = CertificateDer::from_pem_slice(made.certificate_pem().as_bytes()).unwrap();
        let (_, ca) = X509Certificate::from_der(&ca).unwrap();
        let (_, leaf) = X509Certificate::from_der(leaf.certificate_der()).unwrap();
        assert_eq!(leaf.issuer(), ca.subject());
    }

    #[test]
    fn a_list_names_what_was_revoked() {
        let pki = Pki::new("accord.test", now()).unwrap();
        let leaf = pki
            .issue("bank", "first-bank", &LeafOptions::at(now()))
            .unwrap();
        let crl = pki
            .crl(
                &[leaf.serial()],
                now(),
                now() + SignedDuration::from_hours(1),
            )
            .unwrap();
        let (_, pem) = parse_x509_pem(crl.as_bytes()).unwrap();
        let (_, crl) = CertificateRevocationList::from_der(&pem.contents).unwrap();
        let serials: Vec<_> = crl
            .iter_revoked_certificates()
            .map(|revoked| revoked.raw_serial().to_vec())
            .collect();
        assert_eq!(serials, [leaf.serial()]);
    }
}
