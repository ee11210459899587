//! Certificates and keys in PEM files, for every connection that the adapter makes or takes: read up
//! to a limit, and what is wrong with one told with its path and its cause.

use std::{
    fs::File,
    io::{self, Read as _},
    path::{Path, PathBuf},
    sync::Arc,
};

use rustls::{ClientConfig, RootCertStore, ServerConfig, crypto::aws_lc_rs::default_provider};
use rustls_pki_types::{
    CertificateDer, PrivateKeyDer,
    pem::{self, PemObject},
};

/// The most bytes of one file: a system's whole bundle of roots has a quarter of it.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// Why a certificate or a key can't be used. No text repeats what a file holds.
#[derive(Debug, thiserror::Error)]
pub enum TlsFileError {
    /// The file can't be read.
    #[error("can't read `{}`", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        error: io::Error,
    },
    /// It is no PEM, or not the right one.
    #[error("`{}` {what}", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: &'static str,
    },
    /// It is PEM, and the TLS library can't use what is in it.
    #[error("`{}` holds a {what} that can't be used", path.display())]
    Unusable {
        /// The file.
        path: PathBuf,
        /// What it holds.
        what: &'static str,
        /// Why not.
        #[source]
        error: Box<rustls::Error>,
    },
    /// A key, and the certificate of another one.
    #[error(
        "the key in `{}` is not that of the certificate in `{}`",
        key.display(),
        certificate.display()
    )]
    Pair {
        /// The certificate.
        certificate: PathBuf,
        /// The key.
        key: PathBuf,
    },
    /// The TLS library can't be set up at all.
    #[error("TLS can't be set up")]
    Tls(#[source] Box<rustls::Error>),
}

/// Reads a whole file.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, TlsFileError> {
    let failed = |error| TlsFileError::Read {
        path: path.to_owned(),
        error,
    };
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(failed)?;
    let mut file = file.take(FILE_BYTES_MAX + 1);
    file.read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err(content(path, "is larger than 1 MiB"));
    }
    Ok(bytes)
}

/// The certificates of a file that was read, one at least.
pub(crate) fn certificates_in(
    path: &Path,
    bytes: &[u8],
) -> Result<Vec<CertificateDer<'static>>, TlsFileError> {
    let found: Vec<CertificateDer<'static>> =
        found(path, CertificateDer::pem_slice_iter(bytes).collect())?;
    if found.is_empty() {
        let what = if bytes.is_empty() {
            "is empty"
        } else {
            "holds no certificate in PEM (`-----BEGIN CERTIFICATE-----`)"
        };
        return Err(content(path, what));
    }
    Ok(found)
}

/// The roots of a file, one at least.
pub(crate) fn roots_in(path: &Path, bytes: &[u8]) -> Result<RootCertStore, TlsFileError> {
    let mut store = RootCertStore::empty();
    for root in certificates_in(path, bytes)? {
        store.add(root).map_err(|error| TlsFileError::Unusable {
            path: path.to_owned(),
            what: "root certificate",
            error: error.into(),
        })?;
    }
    Ok(store)
}

/// The first key of a file that was read.
pub(crate) fn private_key_in(
    path: &Path,
    bytes: &[u8],
) -> Result<PrivateKeyDer<'static>, TlsFileError> {
    match PrivateKeyDer::from_pem_slice(bytes) {
        Err(pem::Error::NoItemsFound) => Err(content(path, no_key(bytes))),
        read => found(path, read),
    }
}

/// What stands in a file in place of a key: somebody took the wrong one, mostly.
fn no_key(bytes: &[u8]) -> &'static str {
    let holds = |words: &str| {
        bytes
            .windows(words.len())
            .any(|part| part == words.as_bytes())
    };
    if bytes.is_empty() {
        "is empty"
    } else if holds("-----BEGIN ENCRYPTED PRIVATE KEY-----") {
        "holds an encrypted key, and nobody is there to type its password: store it without one"
    } else if holds("-----BEGIN CERTIFICATE-----") {
        "holds a certificate and no private key"
    } else {
        "holds no private key in PEM (`-----BEGIN PRIVATE KEY-----`)"
    }
}

/// For connections to a server whose certificate leads to `roots`, with a certificate and its key where
/// the server wants one.
pub(crate) fn client_config(
    roots: &Path,
    identity: Option<(&Path, &Path)>,
) -> Result<ClientConfig, TlsFileError> {
    let roots = roots_in(roots, &read(roots)?)?;
    let config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| TlsFileError::Tls(error.into()))?
        .with_root_certificates(roots);
    let Some((certificate, key)) = identity else {
        return Ok(config.with_no_client_auth());
    };
    let (chain, private) = identity_of(certificate, key)?;
    config
        .with_client_auth_cert(chain, private)
        .map_err(|error| not_a_pair(certificate, key, error))
}

/// For connections from who asks for no more than our certificate.
pub(crate) fn server_config(certificate: &Path, key: &Path) -> Result<ServerConfig, TlsFileError> {
    let (chain, private) = identity_of(certificate, key)?;
    ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| TlsFileError::Tls(error.into()))?
        .with_no_client_auth()
        .with_single_cert(chain, private)
        .map_err(|error| not_a_pair(certificate, key, error))
}

type Identity = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

fn identity_of(certificate: &Path, key: &Path) -> Result<Identity, TlsFileError> {
    Ok((
        certificates_in(certificate, &read(certificate)?)?,
        private_key_in(key, &read(key)?)?,
    ))
}

/// Which of the two it is, where the TLS library refuses a certificate with a key.
pub(crate) fn not_a_pair(certificate: &Path, key: &Path, error: rustls::Error) -> TlsFileError {
    if matches!(error, rustls::Error::InconsistentKeys(_)) {
        return TlsFileError::Pair {
            certificate: certificate.to_owned(),
            key: key.to_owned(),
        };
    }
    let (path, what) = if matches!(error, rustls::Error::InvalidCertificate(_)) {
        (certificate, "certificate")
    } else {
        (key, "private key")
    };
    TlsFileError::Unusable {
        path: path.to_owned(),
        what,
        error: error.into(),
    }
}

/// In words of our own: those of the library repeat lines of the file, which may be a key's.
fn found<T>(path: &Path, read: Result<T, pem::Error>) -> Result<T, TlsFileError> {
    read.map_err(|error| {
        let what = match error {
            pem::Error::MissingSectionEnd { .. } => "is cut off: an `-----END` line is missing",
            pem::Error::IllegalSectionStart { .. } => "has a malformed `-----BEGIN` line",
            pem::Error::Base64Decode(_) => "is damaged: what it holds is no Base64",
            pem::Error::NoItemsFound => "holds nothing in PEM",
            pem::Error::Io(_) | pem::Error::SectionTooLarge | _ => "can't be read as PEM",
        };
        content(path, what)
    })
}

fn content(path: &Path, what: &'static str) -> TlsFileError {
    TlsFileError::Content {
        path: path.to_owned(),
        what,
    }
}

#[cfg(test)]
mod tests {
    use accord_certs::{LeafOptions, Pki};
    use accord_proto::clock::{Clock as _, SystemClock};

    use super::*;
    use crate::source::words;

    struct Desk(tempfile::TempDir);

    impl Desk {
        /// `ca.pem`, and `a` and `b`, each with its key.
        fn new() -> Self {
            let dir = tempfile::TempDir::new().unwrap();
            let now = SystemClock.now();
            let pki = Pki::new("accord.test", now).unwrap();
            std::fs::write(dir.path().join("ca.pem"), pki.certificate_pem()).unwrap();
            for name in ["a", "b"] {
                let leaf = pki.issue("operator", name, &LeafOptions::at(now)).unwrap();
                leaf.write(dir.path(), name).unwrap();
            }
            Self(dir)
        }

        fn path(&self, name: &str) -> PathBuf {
            self.0.path().join(name)
        }

        fn fails(&self, roots: &str, certificate: &str, key: &str) -> String {
            let (certificate, key) = (self.path(certificate), self.path(key));
            let made = client_config(&self.path(roots), Some((&certificate, &key)));
            let error = words(&made.expect_err("it was taken"));
            error.replace(&format!("{}/", self.0.path().display()), "")
        }

        fn put(&self, name: &str, bytes: &[u8]) {
            std::fs::write(self.path(name), bytes).unwrap();
        }
    }

    #[test]
    fn a_pair_under_its_roots_is_taken_on_either_side() {
        let desk = Desk::new();
        let (certificate, key) = (desk.path("a.pem"), desk.path("a.key"));
        client_config(&desk.path("ca.pem"), Some((&certificate, &key))).unwrap();
        client_config(&desk.path("ca.pem"), None).unwrap();
        server_config(&certificate, &key).unwrap();
    }

    #[test]
    fn each_fault_of_roots_and_certificates_is_told_with_its_path_and_cause() {
        let desk = Desk::new();
        let pem = std::fs::read_to_string(desk.path("a.pem")).unwrap();
        desk.put("empty", b"");
        desk.put("garbage", b"\x30\x82\x01\x0a not PEM at all");
        let large = usize::try_from(FILE_BYTES_MAX + 1).unwrap();
        desk.put("large", &vec![b'\n'; large]);
        desk.put("cut-off", pem.split("-----END").next().unwrap().as_bytes());
        desk.put("no-base64", pem.replace("MII", "!!!").as_bytes());
        desk.put("no-x509", pem.replace("MII", "AAA").as_bytes());
        for (bad, of_roots, of_certificate) in [
            ("none", "can't read `none`: No such", ""),
            (".", "can't read `.`: Is a directory", ""),
            ("a.key", "`a.key` holds no certificate in PEM", ""),
            ("garbage", "`garbage` holds no certificate in PEM", ""),
            ("empty", "`empty` is empty", ""),
            ("large", "`large` is larger than 1 MiB", ""),
            ("cut-off", "`cut-off` is cut off", ""),
            ("no-base64", "`no-base64` is damaged", ""),
            (
                "no-x509",
                "`no-x509` holds a root certificate that can't be used: ",
                "`no-x509` holds a certificate that can't be used: ",
            ),
        ] {
            let error = desk.fails(bad, "a.pem", "a.key");
            assert!(error.starts_with(of_roots), "{error}");
            let error = desk.fails("ca.pem", bad, "a.key");
            let said = if of_certificate.is_empty() {
                of_roots
            } else {
                of_certificate
            };
            assert!(error.starts_with(said), "{error}");
        }
    }

    #[test]
    fn each_fault_of_a_key_is_told_with_its_path_and_never_with_a_line_of_it() {
        let desk = Desk::new();
        let key = std::fs::read_to_string(desk.path("a.key")).unwrap();
        let line = key.lines().nth(1).unwrap();
        let no_key = line.replace("MIG", "AAA");
        desk.put("no-key", key.replace(line, &no_key).as_bytes());
        desk.put(
            "no-base64",
            key.replace(line, &format!("!{line}")).as_bytes(),
        );
        desk.put("begin", format!("-----BEGIN {line}\n{key}").as_bytes());
        desk.put("cut-off", key.split("-----END").next().unwrap().as_bytes());
        desk.put("empty", b"");
        let encrypted = key.replace("PRIVATE KEY", "ENCRYPTED PRIVATE KEY");
        desk.put("encrypted", encrypted.as_bytes());
        for (bad, said) in [
            ("none", "can't read `none`: No such"),
            ("empty", "`empty` is empty"),
            ("cut-off", "`cut-off` is cut off"),
            ("begin", "`begin` has a malformed `-----BEGIN` line"),
            ("no-base64", "`no-base64` is damaged"),
            (
                "no-key",
                "`no-key` holds a private key that can't be used: ",
            ),
            ("a.pem", "`a.pem` holds a certificate and no private key"),
            ("encrypted", "`encrypted` holds an encrypted key"),
            (
                "b.key",
                "the key in `b.key` is not that of the certificate in `a.pem`",
            ),
        ] {
            let error = desk.fails("ca.pem", "a.pem", bad);
            assert!(error.starts_with(said), "{error}");
            assert!(!error.contains(line) && !error.contains(&no_key), "a key");
        }
    }
}
