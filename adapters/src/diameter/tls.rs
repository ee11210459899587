//! TLS to a peer, from the first byte (RFC 6733 section 13: the port of its own, usually 5658).

use std::path::PathBuf;
use std::sync::Arc;

use rustls::ClientConfig;

use crate::tls_files::{self, TlsFileError};

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
    /// A file, or two that don't belong together.
    #[error(transparent)]
    File(#[from] TlsFileError),
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
        let identity = match (&self.certificate, &self.key) {
            (None, None) => None,
            (Some(certificate), Some(key)) => Some((certificate.as_path(), key.as_path())),
            (None, Some(_)) | (Some(_), None) => return Err(TlsError::Half),
        };
        Ok(Arc::new(tls_files::client_config(&self.roots, identity)?))
    }
}
