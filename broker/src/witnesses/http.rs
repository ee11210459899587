//! The little HTTP that witnesses speak: one request, one short answer, over TCP or TLS.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use accord_proto::c2sp::Policy;
use accord_proto::c2sp::witness::REQUEST_BYTES_MAX;
use http::header::{CONTENT_LENGTH, HOST};
use http::{Method, Request, StatusCode, Uri};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::names::Name;
use super::with_url;

/// Why a witness could not be asked. No variant holds what it said.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// A URL of the policy.
    #[error("the witness `{witness}` has a URL that can't be called: {rule}")]
    Url {
        /// The witness's name in the policy.
        witness: String,
        /// What is wrong with it.
        rule: &'static str,
    },
    /// The certificates that witnesses' certificates come from.
    #[error("the roots of the witnesses' certificates can't be used")]
    Roots,
    /// No connection.
    #[error("no connection")]
    Connect(#[source] std::io::Error),
    /// The connection broke, or spoke no HTTP.
    #[error("the connection broke")]
    Broken(#[source] hyper::Error),
    /// Beyond the limit, or no text.
    #[error("the answer is too long, or no text")]
    Body,
}

/// Whom witnesses' certificates come from.
#[derive(Clone, Debug)]
pub struct Roots(Arc<RootCertStore>);

impl Roots {
    /// Reads certificates in PEM.
    ///
    /// # Errors
    /// [`HttpError::Roots`].
    pub fn read(path: &Path) -> Result<Self, HttpError> {
        let mut store = RootCertStore::empty();
        let certificates = CertificateDer::pem_file_iter(path).map_err(|_| HttpError::Roots)?;
        for certificate in certificates {
            let certificate = certificate.map_err(|_| HttpError::Roots)?;
            store.add(certificate).map_err(|_| HttpError::Roots)?;
        }
        if store.is_empty() {
            return Err(HttpError::Roots);
        }
        Ok(Self(Arc::new(store)))
    }
}

/// An answer.
#[derive(Debug)]
pub(super) struct Said {
    pub(super) status: StatusCode,
    pub(super) body: String,
}

/// Calls witnesses.
pub(super) struct Http {
    places: BTreeMap<String, Place>,
    tls: Option<TlsConnector>,
}

/// Where a witness is.
#[derive(Clone, Debug)]
struct Place {
    tls: bool,
    host: String,
    port: u16,
    name: Name,
    /// Without a slash at its end.
    prefix: String,
}

impl std::fmt::Debug for Http {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Http")
            .field("places", &self.places)
            .finish_non_exhaustive()
    }
}

impl Http {
    pub(super) fn new(policy: &Policy, roots: Option<Roots>) -> Result<Self, HttpError> {
        let mut places = BTreeMap::new();
        for (witness, url) in with_url(policy) {
            let place = Place::parse(url).and_then(|place| match (place.tls, &roots) {
                (true, None) => Err("`https` needs the roots of its certificate"),
                (true, Some(_)) | (false, _) => Ok(place),
            });
            let wrong = |rule| HttpError::Url {
                witness: witness.name.clone(),
                rule,
            };
            places.insert(witness.name.clone(), place.map_err(wrong)?);
        }
        let tls = roots.map(|roots| connector(roots.0)).transpose()?;
        Ok(Self { places, tls })
    }

    /// One request below a witness's prefix.
    pub(super) async fn call(
        &self,
        witness: &str,
        method: Method,
        path: &str,
        body: String,
    ) -> Result<Said, HttpError> {
        let place = self.places.get(witness).ok_or_else(|| HttpError::Url {
            witness: witness.to_owned(),
            rule: "the policy gives none",
        })?;
        let request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", place.prefix))
            .header(HOST, format!("{}:{}", place.host, place.port))
            .header(CONTENT_LENGTH, body.len())
            .body(Full::new(Bytes::from(body)))
            .map_err(|_| HttpError::Body)?;
        let addresses = place.name.addresses().await.map_err(HttpError::Connect)?;
        let tcp = TcpStream::connect(addresses.as_slice())
            .await
            .map_err(HttpError::Connect)?;
        match (place.tls, &self.tls) {
            (true, Some(tls)) => {
                let name =
                    ServerName::try_from(place.host.clone()).map_err(|_| HttpError::Roots)?;
                let stream = tls.connect(name, tcp).await.map_err(HttpError::Connect)?;
                exchange(stream, request).await
            }
            (true, None) => Err(HttpError::Roots),
            (false, _) => exchange(tcp, request).await,
        }
    }
}

impl Place {
    fn parse(url: &str) -> Result<Self, &'static str> {
        let uri: Uri = url.parse().map_err(|_| "it is no URL")?;
        let tls = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            Some(_) | None => return Err("it begins with `https://` or `http://`"),
        };
        let host = uri.host().ok_or("it names no host")?;
        if uri.query().is_some() {
            return Err("it has a query");
        }
        let host = host.trim_matches(['[', ']']);
        let port = uri.port_u16().unwrap_or(if tls { 443 } else { 80 });
        Ok(Self {
            tls,
            host: host.to_owned(),
            port,
            name: Name::new(host, port),
            prefix: uri.path().trim_end_matches('/').to_owned(),
        })
    }
}

fn connector(roots: Arc<RootCertStore>) -> Result<TlsConnector, HttpError> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(|_| HttpError::Roots)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}

async fn exchange(
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    request: Request<Full<Bytes>>,
) -> Result<Said, HttpError> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
        .await
        .map_err(HttpError::Broken)?;
    let driving = tokio::spawn(connection);
    let response = sender
        .send_request(request)
        .await
        .map_err(HttpError::Broken)?;
    let status = response.status();
    let body = Limited::new(response.into_body(), REQUEST_BYTES_MAX).collect();
    let body = body.await.map_err(|_| HttpError::Body)?.to_bytes();
    // One exchange, and the connection is of no more use.
    driving.abort();
    let body = String::from_utf8(body.to_vec()).map_err(|_| HttpError::Body)?;
    Ok(Said { status, body })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_taken_apart_and_odd_ones_refused() {
        let place = Place::parse("https://w.example/prefix/").unwrap();
        assert_eq!((place.tls, place.port), (true, 443));
        assert_eq!(
            (place.host.as_str(), place.prefix.as_str()),
            ("w.example", "/prefix")
        );
        let place = Place::parse("http://[::1]:7455").unwrap();
        assert_eq!((place.tls, place.port), (false, 7455));
        assert_eq!((place.host.as_str(), place.prefix.as_str()), ("::1", ""));
        for (odd, rule) in [
            ("ftp://w", "begins with"),
            ("w.example/x", "no URL"),
            ("http://w/?x=y", "query"),
            ("http:// w", "no URL"),
        ] {
            let said = Place::parse(odd).unwrap_err();
            assert!(said.contains(rule), "{odd}: {said}");
        }
    }
}
