//! Certificates on disk, taken up again while they are good.

use std::{fs, io, path::Path, path::PathBuf};

use accord_certs::{Leaf, LeafOptions, Pki, disk};
use jiff::{SignedDuration, Timestamp};
use rustls_pki_types::{CertificateDer, pem::PemObject as _};
use x509_parser::prelude::FromDer as _;

use super::{WorldError, files::read};

/// A certificate is made anew when it has less than this before it.
const LEFT_MIN: SignedDuration = SignedDuration::from_hours(7 * 24);
/// A revocation list is good for 30 days, and made anew at each start.
const CRL_LIFETIME: SignedDuration = SignedDuration::from_hours(30 * 24);

/// The folder of certificates.
pub(super) struct PkiDir<'a> {
    dir: PathBuf,
    trust_domain: &'a str,
    now: Timestamp,
}

impl<'a> PkiDir<'a> {
    pub(super) fn new(dir: PathBuf, trust_domain: &'a str, now: Timestamp) -> Self {
        Self {
            dir,
            trust_domain,
            now,
        }
    }

    /// Makes whatever is missing or no longer good, for each `(role, organisation)`.
    pub(super) fn write(&self, holders: &[(&str, &str)]) -> Result<(), WorldError> {
        disk::private_dir(&self.dir)?;
        let (pki, new) = match self.load()? {
            Some(pki) => (pki, false),
            None => (self.make()?, true),
        };
        for (role, org) in holders {
            if new || !self.is_good(role, org)? {
                self.issue(&pki, role, org)?;
            }
        }
        self.write_crl(&pki)
    }

    /// The CA, if it is there and good.
    pub(super) fn load(&self) -> Result<Option<Pki>, WorldError> {
        let certificate = read(&self.dir.join("ca.pem"))?;
        let key = read(&self.dir.join("ca.key"))?;
        let (Some(certificate), Some(key)) = (certificate, key) else {
            return Ok(None);
        };
        if !self.covers(&self.dir.join("ca.pem"), &certificate)? {
            return Ok(None);
        }
        Ok(Some(Pki::load(self.trust_domain, &certificate, &key)?))
    }

    fn make(&self) -> Result<Pki, WorldError> {
        let pki = Pki::new(self.trust_domain, self.now)?;
        disk::write_private(&self.dir.join("ca.key"), &pki.key_pem())?;
        disk::write_public(&self.dir.join("ca.pem"), pki.certificate_pem())?;
        // Serial numbers of another CA mean nothing to this one.
        match fs::remove_file(self.dir.join("revoked")) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(WorldError::io("remove", &self.dir.join("revoked"))(error))
            }
            Ok(()) | Err(_) => Ok(pki),
        }
    }

    /// Issues a new certificate and key to a party.
    pub(super) fn issue(&self, pki: &Pki, role: &str, org: &str) -> Result<Leaf, WorldError> {
        let leaf = pki.issue(role, org, &LeafOptions::at(self.now))?;
        leaf.write(&self.dir, org)?;
        Ok(leaf)
    }

    fn is_good(&self, role: &str, org: &str) -> Result<bool, WorldError> {
        let path = self.dir.join(format!("{org}.pem"));
        let (Some(pem), Some(_)) = (read(&path)?, read(&self.dir.join(format!("{org}.key")))?)
        else {
            return Ok(false);
        };
        let uri = format!("spiffe://{}/{role}/{org}", self.trust_domain);
        let names_it = with_certificate(&path, &pem, |certificate| {
            certificate
                .as_raw()
                .windows(uri.len())
                .any(|part| part == uri.as_bytes())
        })?;
        Ok(names_it && self.covers(&path, &pem)?)
    }

    fn covers(&self, path: &Path, pem: &str) -> Result<bool, WorldError> {
        with_certificate(path, pem, |certificate| {
            let validity = certificate.validity();
            let until = (self.now + LEFT_MIN).as_second();
            validity.not_before.timestamp() <= self.now.as_second()
                && validity.not_after.timestamp() >= until
        })
    }

    /// Puts a party's certificate on the revocation list.
    pub(super) fn revoke(&self, org: &str) -> Result<(), WorldError> {
        let path = self.dir.join(format!("{org}.pem"));
        let pem = read(&path)?.ok_or_else(|| WorldError::no_such("certificate of", org))?;
        let serial = with_certificate(&path, &pem, |certificate| {
            certificate.raw_serial_as_string().replace(':', "")
        })?;
        let list = self.dir.join("revoked");
        let mut revoked = read(&list)?.unwrap_or_default();
        revoked.push_str(&serial);
        revoked.push('\n');
        disk::write_public(&list, &revoked)?;
        let ca = self.dir.join("ca.pem");
        let pki = self
            .load()?
            .ok_or_else(|| WorldError::malformed(&ca, "no CA"))?;
        self.write_crl(&pki)
    }

    fn write_crl(&self, pki: &Pki) -> Result<(), WorldError> {
        let path = self.dir.join("revoked");
        let list = read(&path)?.unwrap_or_default();
        let serials: Vec<Vec<u8>> = list
            .lines()
            .map(|line| parse_hex(line).ok_or_else(|| WorldError::malformed(&path, "hex digits")))
            .collect::<Result<_, _>>()?;
        let serials: Vec<&[u8]> = serials.iter().map(Vec::as_slice).collect();
        let crl = pki.crl(&serials, self.now, self.now + CRL_LIFETIME)?;
        Ok(disk::write_public(&self.dir.join("ca.crl"), &crl)?)
    }
}

fn with_certificate<T>(
    path: &Path,
    pem: &str,
    read: impl FnOnce(&x509_parser::certificate::X509Certificate<'_>) -> T,
) -> Result<T, WorldError> {
    let malformed = || WorldError::malformed(path, "a certificate in PEM form");
    let der = CertificateDer::from_pem_slice(pem.as_bytes()).map_err(|_| malformed())?;
    let parsed = x509_parser::certificate::X509Certificate::from_der(&der);
    let (_, certificate) = parsed.map_err(|_| malformed())?;
    Ok(read(&certificate))
}

fn parse_hex(line: &str) -> Option<Vec<u8>> {
    let digits: Vec<u8> = line
        .chars()
        .map(|digit| u8::try_from(digit.to_digit(16)?).ok())
        .collect::<Option<_>>()?;
    let pairs = digits.chunks_exact(2);
    pairs.remainder().is_empty().then(|| {
        pairs
            .map(|pair| pair.iter().fold(0, |byte, digit| byte << 4 | digit))
            .collect()
    })
}
