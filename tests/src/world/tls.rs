//! TLS as a party's own program has it, for those who want no client library between.

use std::{path::Path, sync::Arc};

use rustls::{ClientConfig, RootCertStore, crypto::aws_lc_rs, version::TLS13};
use rustls_pki_types::{
    CertificateDer, PrivateKeyDer,
    pem::{self, PemObject as _},
};

use super::WorldError;

/// TLS 1.3 with the world's CA in the folder `pki`, and a party's certificate or none. `protocols` are
/// names of RFC 7301, the best first.
///
/// # Errors
/// If a file is missing, or not what it should be.
pub fn client_tls(
    pki: &Path,
    party: Option<&str>,
    protocols: &[&[u8]],
) -> Result<ClientConfig, WorldError> {
    let bad = |path: &Path| {
        let path = path.to_owned();
        move |error: pem::Error| WorldError::malformed(&path, error.to_string())
    };
    let certificate = |path: &Path| CertificateDer::from_pem_file(path).map_err(bad(path));
    let mut roots = RootCertStore::empty();
    roots.add(certificate(&pki.join("ca.pem"))?)?;
    let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_protocol_versions(&[&TLS13])?
        .with_root_certificates(roots);
    let mut config = match party {
        Some(party) => {
            let chain = vec![certificate(&pki.join(format!("{party}.pem")))?];
            let path = pki.join(format!("{party}.key"));
            let key = PrivateKeyDer::from_pem_file(&path).map_err(bad(&path))?;
            builder.with_client_auth_cert(chain, key)?
        }
        None => builder.with_no_client_auth(),
    };
    config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
    Ok(config)
}
