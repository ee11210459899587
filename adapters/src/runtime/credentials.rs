//! Who the adapter is to brokers: its certificate, its key and the roots that it trusts, read from
//! their files and held against each other and against the operator of the configuration.
//!
//! They are read for each dial, so that they can be replaced while the adapter runs. Files that can't
//! be used keep it from starting; where such ones replace good ones, the good ones stay in use.

use std::{
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use accord_proto::party::{OrgName, PartyId, Role};
use jiff::Timestamp;
use rustls::{crypto::aws_lc_rs::default_provider, sign::CertifiedKey};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tonic::transport::{Certificate, ClientTlsConfig, Identity};
use x509_parser::prelude::{FromDer as _, GeneralName, X509Certificate};

use crate::tls_files::{self, TlsFileError};

/// The most characters of a certificate's name that a message repeats.
const NAME_CHARS_MAX: usize = 120;

/// Where the PEM files are.
#[derive(Clone, Debug)]
pub struct TlsFiles {
    /// Roots that the broker's certificate must lead to.
    pub roots: PathBuf,
    /// The adapter's certificate chain, leaf first.
    pub certificate: PathBuf,
    /// Its key.
    pub key: PathBuf,
    /// The name in the broker's certificate, if it isn't the host of its address.
    pub domain: Option<String>,
}

/// Why the files can't be used, or not any more. No text repeats a key.
#[derive(Debug, thiserror::Error)]
pub enum CredentialsError {
    /// One can't be used, or two don't belong together.
    #[error("`tls.{key}` can't be used")]
    File {
        /// The key of the configuration.
        key: &'static str,
        /// Why not.
        #[source]
        error: TlsFileError,
    },
    /// A certificate is PEM, and not well formed.
    #[error("`tls.{key}` can't be used: `{}` holds a malformed certificate", path.display())]
    Malformed {
        /// The key of the configuration.
        key: &'static str,
        /// The file.
        path: PathBuf,
    },
    /// The certificate is of somebody else, or of nobody (X509-SVID section 2: one URI).
    #[error(
        "`tls.certificate` can't be used: `{}` has {found}, and must have exactly one URI name, \
         `spiffe://<trust domain>/operator/{operator}`: have it issued so, or mend `operator`",
        path.display()
    )]
    Name {
        /// The file.
        path: PathBuf,
        /// What stands there.
        found: String,
        /// The operator of the configuration.
        operator: OrgName,
    },
    /// The former certificate is good now, and the one that replaced it is not.
    #[error(
        "`tls.certificate`: `{}` is good from {} to {} only",
        path.display(),
        validity.from,
        validity.until
    )]
    NotNow {
        /// The file.
        path: PathBuf,
        /// When it is good.
        validity: Validity,
    },
}

/// From when to when a certificate is good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validity {
    /// Its first moment.
    pub from: Timestamp,
    /// Its last.
    pub until: Timestamp,
}

impl Validity {
    /// Whether it is good at this moment.
    #[must_use]
    pub fn holds(self, now: Timestamp) -> bool {
        (self.from..=self.until).contains(&now)
    }
}

/// What the files hold, good or expired.
#[derive(Clone, Debug)]
pub struct Credentials {
    tls: ClientTlsConfig,
    own: Own,
    roots: Vec<Validity>,
}

/// The adapter's own certificate.
#[derive(Clone, Debug)]
struct Own {
    party: PartyId,
    validity: Validity,
    is_of_client: bool,
}

impl Credentials {
    /// For a dial.
    pub(super) fn tls(&self) -> ClientTlsConfig {
        self.tls.clone()
    }

    /// As whom brokers will know the adapter.
    #[must_use]
    pub const fn party(&self) -> &PartyId {
        &self.own.party
    }

    /// When every certificate of the adapter's chain is good.
    #[must_use]
    pub const fn validity(&self) -> Validity {
        self.own.validity
    }

    /// Whether a server takes it as a client's: it lists no uses, or this one (RFC 5280 section
    /// 4.2.1.12).
    #[must_use]
    pub const fn is_of_client(&self) -> bool {
        self.own.is_of_client
    }

    /// When each root is good. The TLS library does not look, and believes an old one.
    #[must_use]
    pub fn roots(&self) -> &[Validity] {
        &self.roots
    }
}

impl TlsFiles {
    /// Reads the three files.
    ///
    /// # Errors
    /// The first thing that keeps them from being used.
    pub fn load(&self, operator: &OrgName) -> Result<Credentials, CredentialsError> {
        let (roots_pem, roots) = self.roots()?;
        let (chain_pem, chain, own) = self.own(operator)?;
        let (key_pem, key) = self.private_key()?;
        let failed = |error| CredentialsError::File { key: "key", error };
        CertifiedKey::from_der(chain, key, &default_provider())
            .map_err(|error| tls_files::not_a_pair(&self.certificate, &self.key, error))
            .map_err(failed)?;
        let tls = ClientTlsConfig::new()
            .ca_certificate(Certificate::from_pem(roots_pem))
            .identity(Identity::from_pem(chain_pem, key_pem));
        let tls = match &self.domain {
            Some(domain) => tls.domain_name(domain),
            None => tls,
        };
        Ok(Credentials { tls, own, roots })
    }

    /// All that keeps them from being used, file by file.
    #[must_use]
    pub fn faults(&self, operator: &OrgName) -> Vec<CredentialsError> {
        let each = [
            self.roots().err(),
            self.own(operator).err(),
            self.private_key().err(),
        ];
        let each: Vec<_> = each.into_iter().flatten().collect();
        if each.is_empty() {
            // What is left is whether they belong together.
            return self.load(operator).err().into_iter().collect();
        }
        each
    }

    fn private_key(&self) -> Result<(Vec<u8>, PrivateKeyDer<'static>), CredentialsError> {
        let failed = |error| CredentialsError::File { key: "key", error };
        let pem = tls_files::read(&self.key).map_err(failed)?;
        let key = tls_files::private_key_in(&self.key, &pem).map_err(failed)?;
        Ok((pem, key))
    }

    /// Whether everybody on this machine can read the key.
    #[must_use]
    pub fn key_is_exposed(&self) -> bool {
        let metadata = std::fs::metadata(&self.key);
        metadata.is_ok_and(|metadata| metadata.permissions().mode() & 0o007 != 0)
    }

    fn roots(&self) -> Result<(Vec<u8>, Vec<Validity>), CredentialsError> {
        let failed = |error| CredentialsError::File {
            key: "roots",
            error,
        };
        let pem = tls_files::read(&self.roots).map_err(failed)?;
        tls_files::roots_in(&self.roots, &pem).map_err(failed)?;
        let all = tls_files::certificates_in(&self.roots, &pem).map_err(failed)?;
        let malformed = || CredentialsError::Malformed {
            key: "roots",
            path: self.roots.clone(),
        };
        let each = all.iter().map(|root| validity_of(&parsed(root)?));
        let each: Option<Vec<_>> = each.collect();
        Ok((pem, each.ok_or_else(malformed)?))
    }

    fn own(&self, operator: &OrgName) -> Result<OwnFile, CredentialsError> {
        let failed = |error| CredentialsError::File {
            key: "certificate",
            error,
        };
        let path = &self.certificate;
        let pem = tls_files::read(path).map_err(failed)?;
        let chain = tls_files::certificates_in(path, &pem).map_err(failed)?;
        let malformed = || CredentialsError::Malformed {
            key: "certificate",
            path: path.clone(),
        };
        let each: Option<Vec<_>> = chain.iter().map(parsed).collect();
        let each = each.ok_or_else(malformed)?;
        let leaf = each.first().ok_or_else(malformed)?;
        let uses = leaf.extended_key_usage().map_err(|_| malformed())?;
        let party = party_of(leaf, path, operator)?;
        let mut validity = validity_of(leaf).ok_or_else(malformed)?;
        for above in &each {
            let above = validity_of(above).ok_or_else(malformed)?;
            validity.from = validity.from.max(above.from);
            validity.until = validity.until.min(above.until);
        }
        let own = Own {
            party,
            validity,
            is_of_client: uses.is_none_or(|uses| uses.value.client_auth || uses.value.any),
        };
        drop(each);
        Ok((pem, chain, own))
    }
}

/// The text of the file, its certificates, and what the first one says.
type OwnFile = (Vec<u8>, Vec<CertificateDer<'static>>, Own);

fn parsed<'a>(certificate: &'a CertificateDer<'_>) -> Option<X509Certificate<'a>> {
    X509Certificate::from_der(certificate)
        .ok()
        .map(|(_, parsed)| parsed)
}

fn validity_of(certificate: &X509Certificate<'_>) -> Option<Validity> {
    let validity = certificate.validity();
    let at = |seconds| Timestamp::from_second(seconds).ok();
    Some(Validity {
        from: at(validity.not_before.timestamp())?,
        until: at(validity.not_after.timestamp())?,
    })
}

/// The operator that a certificate names by its one URI.
fn party_of(
    leaf: &X509Certificate<'_>,
    path: &Path,
    operator: &OrgName,
) -> Result<PartyId, CredentialsError> {
    let names = leaf.subject_alternative_name().ok().flatten();
    let names = names.map_or(&[][..], |names| &names.value.general_names);
    let uris = names.iter().filter_map(|name| {
        let GeneralName::URI(uri) = name else {
            return None;
        };
        Some(*uri)
    });
    let uris: Vec<&str> = uris.collect();
    let party = match uris.as_slice() {
        [uri] => PartyId::parse(uri).ok(),
        _ => None,
    };
    let ours = |party: &PartyId| party.role() == Role::Operator && party.org() == operator;
    party.filter(ours).ok_or_else(|| CredentialsError::Name {
        path: path.to_owned(),
        found: match uris.as_slice() {
            [] => "no URI name".to_owned(),
            [uri] => format!(
                "the URI name `{}`",
                uri.chars().take(NAME_CHARS_MAX).collect::<String>()
            ),
            several => format!("{} URI names", several.len()),
        },
        operator: operator.clone(),
    })
}

/// The credentials of the newest files that could be used.
#[derive(Debug)]
pub(super) struct Kept {
    files: TlsFiles,
    operator: OrgName,
    last: Option<Credentials>,
}

impl Kept {
    pub(super) const fn new(files: TlsFiles, operator: OrgName) -> Self {
        Self {
            files,
            operator,
            last: None,
        }
    }

    /// What the files hold, or held when they last could be used: then the log says why.
    ///
    /// # Errors
    /// [`CredentialsError`], where they never could.
    pub(super) fn newest(&mut self, now: Timestamp) -> Result<ClientTlsConfig, CredentialsError> {
        let read = self.files.load(&self.operator);
        let former = self.last.as_ref().map(Credentials::validity);
        let read = match read {
            Ok(read)
                if !read.validity().holds(now)
                    && former.is_some_and(|former| former.holds(now)) =>
            {
                Err(CredentialsError::NotNow {
                    path: self.files.certificate.clone(),
                    validity: read.validity(),
                })
            }
            read => read,
        };
        match (read, &self.last) {
            (Ok(read), _) => {
                let tls = read.tls();
                self.last = Some(read);
                Ok(tls)
            }
            (Err(error), Some(last)) => {
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    "the files of `tls` were replaced by such as can't be used; the former stay in use"
                );
                Ok(last.tls())
            }
            (Err(error), None) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests;
