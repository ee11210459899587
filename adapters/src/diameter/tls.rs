//! TLS to a peer, from the first byte (RFC 6733 section 13: the port of its own, usually 5658).

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::crypto::aws_lc_rs::default_provider;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::{self, PemObject};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

/// The section `source.tls`: PEM files, read for each dial, so that they can be replaced. Unknown
/// keys are refused.
#[derive(Clone, Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsConfig {
    /// Roots that a peer's certificate must lead to.
    pub roots: PathBuf,
    /// The adapter's certificate chain, if peers ask for one.
    pub certificate: Option<PathBuf>,
    /// Its key.
    pub key: Option<PathBuf>,
}

/// Why TLS can't be set up.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A PEM file.
    #[error("`{}` holds no usable PEM", .0.display())]
    Pem(PathBuf, #[source] pem::Error),
    /// A root or the certificate and its key.
    #[error("the certificates can't be used")]
    Rustls(#[from] rustls::Error),
    /// One of the two without the other.
    #[error("`tls.certificate` and `tls.key` are given together or not at all")]
    Half,
}

impl TlsConfig {
    /// The files, to be resolved.
    pub(crate) fn paths(&mut self) -> impl Iterator<Item = &mut PathBuf> {
        std::iter::once(&mut self.roots)
            .chain(&mut self.certificate)
            .chain(&mut self.key)
    }

    /// Reads the files.
    ///
    /// # Errors
    /// [`TlsError`] names the file.
    pub fn load(&self) -> Result<Arc<ClientConfig>, TlsError> {
        let mut roots = RootCertStore::empty();
        for root in certificates(&self.roots)? {
            roots.add(root)?;
        }
        let config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots);
        let config = match (&self.certificate, &self.key) {
            (None, None) => config.with_no_client_auth(),
            (Some(certificate), Some(key)) => {
                let failed = |error| TlsError::Pem(key.clone(), error);
                let key = PrivateKeyDer::from_pem_file(key).map_err(failed)?;
                config.with_client_auth_cert(certificates(certificate)?, key)?
            }
            (None, Some(_)) | (Some(_), None) => return Err(TlsError::Half),
        };
        Ok(Arc::new(config))
    }
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let failed = |error| TlsError::Pem(path.to_owned(), error);
    let certificates = CertificateDer::pem_file_iter(path).map_err(failed)?;
    let certificates: Result<Vec<_>, _> = certificates.collect();
    let certificates = certificates.map_err(failed)?;
    if certificates.is_empty() {
        return Err(failed(pem::Error::NoItemsFound));
    }
    Ok(certificates)
}
