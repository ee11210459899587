//! The files of the broker's TLS, read and parsed.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use aws_lc_rs::digest::{self, SHA256};
use aws_lc_rs::signature::{self, UnparsedPublicKey, VerificationAlgorithm};
use jiff::Timestamp;
use rustls::RootCertStore;
use rustls_pki_types::pem::{self, PemObject};
use rustls_pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer};
use x509_parser::oid_registry;
use x509_parser::prelude::{CertificateRevocationList, FromDer as _, X509Certificate};

use crate::stamp::Stamp;

/// Where the broker's certificates are.
#[derive(Clone, Debug)]
pub struct TlsFiles {
    /// The broker's chain, PEM, leaf first.
    pub certificate: PathBuf,
    /// Its key, PEM.
    pub key: PathBuf,
    /// The CAs that sign parties' certificates, PEM.
    pub client_roots: PathBuf,
    /// Their revocation lists, PEM: one for each CA at least, all in one file or in several.
    pub revocation_lists: Vec<PathBuf>,
}

/// Why certificates were not taken.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// The certificate and the key are not a pair, or not usable.
    #[error(
        "`{}` and `{}` are no usable pair of certificate and key",
        certificate.display(),
        key.display()
    )]
    KeyPair {
        /// The chain.
        certificate: PathBuf,
        /// The key.
        key: PathBuf,
        /// The cause.
        #[source]
        source: rustls::Error,
    },
    /// A list is past its `nextUpdate`. Only a reload says so: at start it is taken, and refuses
    /// the parties of its CA until it is replaced.
    #[error("a revocation list in `{}` has expired", path.display())]
    ListExpired {
        /// The file.
        path: PathBuf,
    },
    /// A list isn't signed by the CA that it names.
    #[error("a revocation list in `{}` is not signed by the CA that it names", path.display())]
    ListForged {
        /// The file.
        path: PathBuf,
    },
    /// A CA has no list, so none of its certificates could be checked.
    #[error("no revocation list covers the CA `{0}`")]
    ListMissing(String),
    /// The file holds nothing that it should.
    #[error("`{}` holds no {what}", path.display())]
    Nothing {
        /// The file.
        path: PathBuf,
        /// What it should hold.
        what: &'static str,
    },
    /// Not PEM, or not what the PEM says.
    #[error("`{}` holds a malformed {what}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is malformed.
        what: &'static str,
    },
    /// The file can't be read.
    #[error("cannot read `{}`", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// The TLS library wants none of it.
    #[error("cannot set up TLS")]
    Tls(#[source] rustls::Error),
    /// The verifier wants none of it.
    #[error("cannot set up the check of client certificates")]
    Verifier(#[source] rustls::server::VerifierBuilderError),
}

/// One of these files may have this many bytes at most.
const FILE_LEN_MAX: u64 = 16 << 20;

impl TlsFiles {
    fn all(&self) -> impl Iterator<Item = &PathBuf> {
        [&self.certificate, &self.key, &self.client_roots]
            .into_iter()
            .chain(&self.revocation_lists)
    }

    pub(super) fn stamps(&self) -> Vec<Stamp> {
        self.all().map(|path| Stamp::of(path)).collect()
    }

    pub(super) fn read(&self) -> Result<Material, TrustError> {
        let certificate = read(&self.certificate)?;
        let roots = read(&self.client_roots)?;
        let key = read(&self.key)?;
        let mut whole = digest::Context::new(&SHA256);
        for content in [&certificate, &roots, &key] {
            whole.update(digest::digest(&SHA256, content).as_ref());
        }
        let certificates = vec![
            LoadedFile::of("certificate".to_owned(), &certificate),
            LoadedFile::of("client_roots".to_owned(), &roots),
        ];
        let (mut lists, mut revocations) = (Vec::new(), Vec::new());
        for (at, path) in self.revocation_lists.iter().enumerate() {
            let content = read(path)?;
            let file = LoadedFile::of(format!("revocation_lists[{at}]"), &content);
            whole.update(&file.sha256);
            revocations.push(file);
            for list in
                parse::<CertificateRevocationListDer<'static>>(path, &content, "revocation list")?
            {
                lists.push((path.clone(), list));
            }
        }
        let key = PrivateKeyDer::from_pem_slice(&key).map_err(|_| TrustError::Malformed {
            path: self.key.clone(),
            what: "private key",
        })?;
        Ok(Material {
            chain: parse(&self.certificate, &certificate, "certificate")?,
            key,
            roots: Roots::parse(&self.client_roots, &roots)?,
            lists,
            digest: whole.finish().as_ref().to_vec(),
            certificates,
            revocations,
        })
    }
}

/// The content of the files.
pub(super) struct Material {
    pub(super) chain: Vec<CertificateDer<'static>>,
    pub(super) key: PrivateKeyDer<'static>,
    pub(super) roots: Roots,
    lists: Vec<(PathBuf, CertificateRevocationListDer<'static>)>,
    /// Of everything, to see whether a changed file says anything new.
    pub(super) digest: Vec<u8>,
    /// The files with certificates.
    pub(super) certificates: Vec<LoadedFile>,
    /// The files with revocation lists.
    pub(super) revocations: Vec<LoadedFile>,
}

/// A file that was loaded. The private key is never among them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoadedFile {
    /// Its key in the configuration.
    pub name: String,
    /// SHA-256 of its bytes.
    pub sha256: Vec<u8>,
}

impl LoadedFile {
    fn of(name: String, content: &[u8]) -> Self {
        let sha256 = digest::digest(&SHA256, content).as_ref().to_vec();
        Self { name, sha256 }
    }
}

impl Material {
    /// Checks the lists against the CAs, and says when the first one expires. Lists by intermediate
    /// CAs are checked when a chain needs them.
    ///
    /// # Errors
    /// [`TrustError`], where a list is forged or a CA has none.
    pub(super) fn check_lists(&self) -> Result<(PathBuf, Timestamp), TrustError> {
        let mut first: Option<(PathBuf, Timestamp)> = None;
        let mut covered = vec![false; self.roots.certificates.len()];
        for (path, list) in &self.lists {
            let malformed = || TrustError::Malformed {
                path: path.clone(),
                what: "revocation list",
            };
            let (_, parsed) = CertificateRevocationList::from_der(list).map_err(|_| malformed())?;
            let expires = parsed.next_update().ok_or_else(malformed)?.timestamp();
            let expires = Timestamp::from_second(expires).map_err(|_| malformed())?;
            if first.as_ref().is_none_or(|(_, soonest)| expires < *soonest) {
                first = Some((path.clone(), expires));
            }
            let mut named = false;
            let mut signed = false;
            for (root, covered) in self.roots.certificates.iter().zip(&mut covered) {
                let (_, root) = X509Certificate::from_der(root).map_err(|_| malformed())?;
                if root.subject().as_raw() == parsed.issuer().as_raw() {
                    named = true;
                    let good = is_signed_by(&parsed, &root);
                    signed |= good;
                    *covered |= good;
                }
            }
            if named && !signed {
                return Err(TrustError::ListForged { path: path.clone() });
            }
        }
        for (root, covered) in self.roots.certificates.iter().zip(covered) {
            if !covered {
                return Err(TrustError::ListMissing(name_of(root)));
            }
        }
        first.ok_or_else(|| TrustError::ListMissing("any".to_owned()))
    }

    pub(super) fn lists(&self) -> impl Iterator<Item = CertificateRevocationListDer<'static>> {
        self.lists.iter().map(|(_, list)| list.clone())
    }
}

/// The CAs that sign parties' certificates.
pub(super) struct Roots {
    certificates: Vec<CertificateDer<'static>>,
    pub(super) store: RootCertStore,
}

impl Roots {
    fn parse(path: &Path, content: &[u8]) -> Result<Self, TrustError> {
        let certificates: Vec<CertificateDer<'static>> = parse(path, content, "certificate")?;
        let mut store = RootCertStore::empty();
        for certificate in &certificates {
            store
                .add(certificate.clone())
                .map_err(|_| TrustError::Malformed {
                    path: path.to_owned(),
                    what: "certificate",
                })?;
        }
        Ok(Self {
            certificates,
            store,
        })
    }
}

fn name_of(certificate: &CertificateDer<'_>) -> String {
    X509Certificate::from_der(certificate)
        .map(|(_, parsed)| parsed.subject().to_string())
        .unwrap_or_default()
}

fn read(path: &Path) -> Result<Vec<u8>, TrustError> {
    let cannot = |source| TrustError::Read {
        path: path.to_owned(),
        source,
    };
    let mut content = Vec::new();
    File::open(path)
        .and_then(|file| file.take(FILE_LEN_MAX + 1).read_to_end(&mut content))
        .map_err(cannot)?;
    if content.len() as u64 > FILE_LEN_MAX {
        return Err(cannot(io::ErrorKind::FileTooLarge.into()));
    }
    Ok(content)
}

fn parse<T: PemObject>(
    path: &Path,
    content: &[u8],
    what: &'static str,
) -> Result<Vec<T>, TrustError> {
    let parsed: Result<Vec<T>, pem::Error> = T::pem_slice_iter(content).collect();
    match parsed {
        Ok(parsed) if parsed.is_empty() => Err(TrustError::Nothing {
            path: path.to_owned(),
            what,
        }),
        Ok(parsed) => Ok(parsed),
        Err(_) => Err(TrustError::Malformed {
            path: path.to_owned(),
            what,
        }),
    }
}

/// Whether a CA's key signed a list. The TLS library would find out too, but only when a party
/// connects, and a forged list would then lock everybody out.
fn is_signed_by(list: &CertificateRevocationList<'_>, ca: &X509Certificate<'_>) -> bool {
    let oid = &list.signature_algorithm.algorithm;
    let candidates: &[&'static dyn VerificationAlgorithm] =
        if *oid == oid_registry::OID_SIG_ECDSA_WITH_SHA256 {
            &[
                &signature::ECDSA_P256_SHA256_ASN1,
                &signature::ECDSA_P384_SHA256_ASN1,
            ]
        } else if *oid == oid_registry::OID_SIG_ECDSA_WITH_SHA384 {
            &[
                &signature::ECDSA_P384_SHA384_ASN1,
                &signature::ECDSA_P256_SHA384_ASN1,
            ]
        } else if *oid == oid_registry::OID_SIG_ED25519 {
            &[&signature::ED25519]
        } else if *oid == oid_registry::OID_PKCS1_SHA256WITHRSA {
            &[&signature::RSA_PKCS1_2048_8192_SHA256]
        } else if *oid == oid_registry::OID_PKCS1_SHA384WITHRSA {
            &[&signature::RSA_PKCS1_2048_8192_SHA384]
        } else if *oid == oid_registry::OID_PKCS1_SHA512WITHRSA {
            &[&signature::RSA_PKCS1_2048_8192_SHA512]
        } else {
            &[]
        };
    let key = &ca.public_key().subject_public_key.data;
    candidates.iter().any(|algorithm| {
        UnparsedPublicKey::new(*algorithm, key)
            .verify(list.tbs_cert_list.as_ref(), &list.signature_value.data)
            .is_ok()
    })
}
