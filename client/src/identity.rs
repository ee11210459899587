//! What a caller holds: roots, certificate and key, and endpoints.
//!
//! Each is parsed once, here, so that a client that was built has no half-right part.

use std::fmt;

use accord_proto::party::{PartyId, PartyIdError};
use aws_lc_rs::digest;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use http::Uri;
use rustls::RootCertStore;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject as _};
use x509_parser::{extensions::GeneralName, prelude::FromDer as _};

/// The most broker endpoints of one client.
pub const ENDPOINTS_MAX: usize = 16;

/// Why a part of the caller's identity can't be used. No text repeats a key.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IdentityError {
    /// No certificate in a PEM text, or one that can't be read.
    #[error("{what}: no certificate in PEM form")]
    NoCertificate {
        /// Which text.
        what: &'static str,
    },
    /// A certificate that isn't well formed.
    #[error("{what}: a certificate is malformed")]
    MalformedCertificate {
        /// Which text.
        what: &'static str,
    },
    /// No private key in a PEM text, or one that can't be read.
    #[error("{what}: no private key in PEM form (PKCS #8, not encrypted)")]
    NoKey {
        /// Which text.
        what: &'static str,
    },
    /// A private key in an older form.
    #[error(
        "{what}: a private key, yet not in PKCS #8 form: `openssl pkcs8 -topk8 -nocrypt` makes it so"
    )]
    KeyForm {
        /// Which text.
        what: &'static str,
    },
    /// A private key that does not sign as it must.
    #[error("{what}: a private key, yet not {needed}: of another kind or curve")]
    KeyKind {
        /// Which text.
        what: &'static str,
        /// The kind that is needed, in words.
        needed: &'static str,
    },
    /// None, or several.
    #[error("the certificate has {found} URI names where exactly one is required")]
    UriNames {
        /// How many.
        found: usize,
    },
    /// The URI is no party's id.
    #[error("the URI name of the certificate is not a party's id")]
    PartyId(#[from] PartyIdError),
    /// An endpoint that is no `https` address.
    #[error("a broker's endpoint reads `https://host:port`, not `{found}`")]
    Endpoint {
        /// As given.
        found: String,
    },
    /// None, or too many.
    #[error("1 to {ENDPOINTS_MAX} broker endpoints are required")]
    Endpoints,
    /// Not a DNS name or an address.
    #[error("`{found}` is not a DNS name or an IP address")]
    ServerName {
        /// As given.
        found: String,
    },
}

/// Where the brokers are, tried in this order, and the name that their certificates carry.
#[derive(Clone, Debug)]
pub struct Endpoints {
    pub(crate) uris: Vec<Uri>,
    pub(crate) server_name: ServerName<'static>,
}

impl Endpoints {
    /// Endpoints such as `https://broker-a.example:7443`. `server_name` is the DNS name that the
    /// certificate of each of them carries, whatever address it is reached at.
    ///
    /// # Errors
    /// [`IdentityError`] names the endpoint that is malformed.
    pub fn new<I>(server_name: &str, endpoints: I) -> Result<Self, IdentityError>
    where
        I: IntoIterator,
        I::Item: AsRef<str>,
    {
        let server_name = ServerName::try_from(server_name.to_owned()).map_err(|_| {
            IdentityError::ServerName {
                found: server_name.chars().take(64).collect(),
            }
        })?;
        let uris: Vec<Uri> = endpoints
            .into_iter()
            .map(|endpoint| parse_endpoint(endpoint.as_ref()))
            .collect::<Result<_, _>>()?;
        if uris.is_empty() || uris.len() > ENDPOINTS_MAX {
            return Err(IdentityError::Endpoints);
        }
        Ok(Self { uris, server_name })
    }
}

fn parse_endpoint(text: &str) -> Result<Uri, IdentityError> {
    let malformed = || IdentityError::Endpoint {
        found: text.chars().take(64).collect(),
    };
    let uri: Uri = text.parse().map_err(|_| malformed())?;
    let bare = matches!(uri.path(), "" | "/") && uri.query().is_none();
    let odd = uri.authority().is_none_or(|authority| {
        // The library takes any text for a port, and gives none then.
        let port = authority.as_str() == authority.host() || authority.port_u16().is_some();
        !port || authority.as_str().contains('@')
    });
    if uri.scheme_str() != Some("https") || !bare || odd {
        return Err(malformed());
    }
    Ok(uri)
}

/// The certificate authorities that a broker's certificate may come from. The system's own roots
/// are never used: a public CA has no say in who is the broker.
#[derive(Clone, Debug)]
pub struct Roots(pub(crate) RootCertStore);

impl Roots {
    /// Reads PEM text with one or more CA certificates.
    ///
    /// # Errors
    /// If there is none, or one is malformed.
    pub fn from_pem(pem: &[u8]) -> Result<Self, IdentityError> {
        let mut store = RootCertStore::empty();
        for certificate in certificates(pem, "roots")? {
            store
                .add(certificate)
                .map_err(|_| IdentityError::MalformedCertificate { what: "roots" })?;
        }
        Ok(Self(store))
    }
}

/// The caller's certificate and its key.
pub struct Identity {
    pub(crate) chain: Vec<CertificateDer<'static>>,
    pub(crate) key: PrivateKeyDer<'static>,
    party: PartyId,
    thumbprint: String,
}

impl Identity {
    /// Reads the certificate (with the intermediates above it, if any) and its PKCS #8 key.
    ///
    /// # Errors
    /// If one of them can't be read, or the certificate has not exactly one URI name that is a
    /// party's id.
    pub fn from_pem(certificate: &[u8], key: &[u8]) -> Result<Self, IdentityError> {
        let chain = certificates(certificate, "certificate")?;
        let leaf = chain.first().ok_or(IdentityError::NoCertificate {
            what: "certificate",
        })?;
        let party = party_of(leaf)?;
        let thumbprint = URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, leaf));
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|_| IdentityError::NoKey {
            what: "certificate's key",
        })?;
        Ok(Self {
            chain,
            key,
            party,
            thumbprint,
        })
    }

    /// As whom the broker will know the caller.
    #[must_use]
    pub const fn party(&self) -> &PartyId {
        &self.party
    }

    /// SHA-256 of the certificate, base64url: the `x5t#S256` of RFC 8705 section 3.1.
    #[must_use]
    pub fn thumbprint(&self) -> &str {
        &self.thumbprint
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity")
            .field("party", &self.party)
            .field("key", &"[secret]")
            .finish_non_exhaustive()
    }
}

fn certificates(
    pem: &[u8],
    what: &'static str,
) -> Result<Vec<CertificateDer<'static>>, IdentityError> {
    let found: Vec<_> = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<_, _>>()
        .map_err(|_| IdentityError::MalformedCertificate { what })?;
    if found.is_empty() {
        return Err(IdentityError::NoCertificate { what });
    }
    Ok(found)
}

/// The party that a certificate names: its one URI SAN.
fn party_of(leaf: &CertificateDer<'_>) -> Result<PartyId, IdentityError> {
    let malformed = || IdentityError::MalformedCertificate {
        what: "certificate",
    };
    let (_, parsed) =
        x509_parser::certificate::X509Certificate::from_der(leaf).map_err(|_| malformed())?;
    let names = parsed
        .subject_alternative_name()
        .map_err(|_| malformed())?
        .map(|extension| extension.value.general_names.as_slice())
        .unwrap_or_default();
    let mut uris = names.iter().filter_map(|name| {
        if let GeneralName::URI(uri) = name {
            Some(*uri)
        } else {
            None
        }
    });
    match (uris.next(), uris.count()) {
        (Some(uri), 0) => Ok(PartyId::parse(uri)?),
        (Some(_), more) => Err(IdentityError::UriNames { found: more + 1 }),
        (None, _) => Err(IdentityError::UriNames { found: 0 }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_is_a_bare_https_address() {
        assert!(Endpoints::new("broker.accord.test", ["https://127.0.0.1:7443"]).is_ok());
        for text in [
            "",
            "127.0.0.1:7443",
            "http://127.0.0.1:7443",
            "https://a/path",
            "https://user@a:1",
            "https://a?q=1",
            "https://a:port",
            "https://a:65536",
        ] {
            let error = Endpoints::new("broker.accord.test", [text]).unwrap_err();
            assert!(matches!(error, IdentityError::Endpoint { .. }), "{text}");
        }
        let none: [&str; 0] = [];
        assert!(Endpoints::new("broker.accord.test", none).is_err());
        assert!(Endpoints::new("not a name", ["https://a"]).is_err());
    }

    #[test]
    fn text_that_is_no_pem_is_refused_by_name() {
        let error = Roots::from_pem(b"nothing").unwrap_err().to_string();
        assert!(error.starts_with("roots:"), "{error}");
    }
}
