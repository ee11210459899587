//! A caller without manners: any certificate, any token, any message.

use std::{fs, sync::Arc};

use accord_certs::Leaf;
use accord_proto::v1::{
    self, LookupRequest, LookupResponse, signal_service_client::SignalServiceClient,
};
use accord_tests::world::World;
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use hyper_util::rt::TokioIo;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use rustls::{ClientConfig, RootCertStore, crypto::aws_lc_rs};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject as _};
use serde_json::{Value, json};
use tokio::{
    io::AsyncReadExt as _,
    net::TcpStream,
    time::{Duration, sleep, timeout},
};
use tokio_rustls::{TlsConnector, client::TlsStream};
use tonic::{
    Request, Status,
    transport::{Channel, Endpoint},
};
use tonic_types::StatusExt as _;

use crate::said::now;

const PATIENCE: Duration = Duration::from_secs(20);
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// A certificate, its key and the connection that shows them.
pub(crate) struct Caller {
    config: Arc<ClientConfig>,
    address: std::net::SocketAddr,
    pub(crate) channel: Channel,
    thumbprint: String,
}

impl Caller {
    /// As a party of the world, by its own certificate.
    pub(crate) fn party(world: &World, name: &str) -> Self {
        let pem = |suffix: &str| {
            let path = world.files.dir().join(format!("pki/{name}.{suffix}"));
            fs::read_to_string(path).unwrap()
        };
        let certificate = CertificateDer::from_pem_slice(pem("pem").as_bytes()).unwrap();
        let key = PrivateKeyDer::from_pem_slice(pem("key").as_bytes()).unwrap();
        Self::new(world, Some((certificate, key)))
    }

    /// With any certificate.
    pub(crate) fn with_leaf(world: &World, leaf: &Leaf) -> Self {
        let certificate = leaf.certificate_der().clone();
        Self::new(world, Some((certificate, leaf.key_der())))
    }

    /// With none.
    pub(crate) fn nobody(world: &World) -> Self {
        Self::new(world, None)
    }

    fn new(
        world: &World,
        identity: Option<(CertificateDer<'static>, PrivateKeyDer<'static>)>,
    ) -> Self {
        let mut roots = RootCertStore::empty();
        let ca = fs::read(world.files.dir().join("pki/ca.pem")).unwrap();
        roots
            .add(CertificateDer::from_pem_slice(&ca).unwrap())
            .unwrap();
        let provider = Arc::new(aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots);
        let thumbprint = identity
            .as_ref()
            .map_or_else(String::new, |(certificate, _)| {
                let digest = ::aws_lc_rs::digest::digest(&::aws_lc_rs::digest::SHA256, certificate);
                BASE64_URL_SAFE_NO_PAD.encode(digest)
            });
        let mut config = match identity {
            Some((certificate, key)) => builder
                .with_client_auth_cert(vec![certificate], key)
                .unwrap(),
            None => builder.with_no_client_auth(),
        };
        config.alpn_protocols = vec![b"h2".to_vec()];
        let config = Arc::new(config);
        let address = world.broker.grpc_address();
        Self {
            channel: channel(&config, address),
            config,
            address,
            thumbprint,
        }
    }

    /// How the broker hangs up: in TLS 1.3 a client learns of it with its first read.
    pub(crate) async fn hung_up(&self) -> String {
        let mut tls = connect(&self.config, self.address).await.unwrap();
        let mut first = [0; 1];
        let read = timeout(PATIENCE, tls.read(&mut first)).await.unwrap();
        read.map_or_else(
            |error| error.to_string(),
            |bytes| format!("read {bytes} bytes"),
        )
    }

    /// The claims of a good token: first-bank's, for payments.
    pub(crate) fn claims(&self) -> Value {
        let now = now().as_second();
        json!({
            "iss": "spiffe://accord.test/bank/first-bank",
            "sub": "raw",
            "aud": "accord-sandbox",
            "iat": now,
            "exp": now + 240,
            "jti": format!("raw-{}", NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed)),
            "purposes": ["payment", "login", "otp_send"],
            "cnf": { "x5t#S256": self.thumbprint },
        })
    }

    /// A token of first-bank with these claims, signed as it should be.
    pub(crate) fn token(&self, world: &World, claims: &Value) -> String {
        signed(world, "first-bank-1", claims)
    }

    /// Asks with this `authorization` header, or without one.
    pub(crate) async fn lookup(
        &self,
        authorization: Option<&str>,
        question: LookupRequest,
    ) -> Result<LookupResponse, Status> {
        let mut request = Request::new(question);
        if let Some(authorization) = authorization {
            let value = authorization.parse().unwrap();
            request.metadata_mut().insert("authorization", value);
        }
        let mut client =
            SignalServiceClient::new(self.channel.clone()).max_encoding_message_size(usize::MAX);
        let answered = timeout(PATIENCE, client.lookup(request)).await.unwrap();
        answered.map(tonic::Response::into_inner)
    }

    /// Asks as first-bank with a good token.
    pub(crate) async fn ask(
        &self,
        world: &World,
        question: LookupRequest,
    ) -> Result<LookupResponse, Status> {
        let bearer = format!("Bearer {}", self.token(world, &self.claims()));
        self.lookup(Some(&bearer), question).await
    }
}

static NEXT: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);

/// Signs claims with first-bank's key under a `kid`.
pub(crate) fn signed(world: &World, kid: &str, claims: &Value) -> String {
    let pem = fs::read(world.files.dir().join("pki/first-bank.token.key")).unwrap();
    let mut header = Header::new(Algorithm::ES256);
    header.kid = Some(kid.to_owned());
    jsonwebtoken::encode(&header, claims, &EncodingKey::from_ec_pem(&pem).unwrap()).unwrap()
}

/// A token without a signature, `alg` none.
pub(crate) fn unsigned(claims: &Value) -> String {
    let part = |value: &Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
    format!(
        "{}.{}.",
        part(&json!({ "alg": "none", "kid": "first-bank-1" })),
        part(claims)
    )
}

async fn connect(
    config: &Arc<ClientConfig>,
    address: std::net::SocketAddr,
) -> std::io::Result<TlsStream<TcpStream>> {
    let tcp = TcpStream::connect(address).await?;
    let name = ServerName::try_from("localhost").unwrap();
    TlsConnector::from(Arc::clone(config))
        .connect(name, tcp)
        .await
}

fn channel(config: &Arc<ClientConfig>, address: std::net::SocketAddr) -> Channel {
    let config = Arc::clone(config);
    let connector = tower::service_fn(move |_| {
        let config = Arc::clone(&config);
        async move { connect(&config, address).await.map(TokioIo::new) }
    });
    Endpoint::from_static("http://localhost").connect_with_connector_lazy(connector)
}

/// A good question: the age of a SIM before a payment.
pub(crate) fn question(number: &str) -> LookupRequest {
    LookupRequest {
        msisdn: number.to_owned(),
        purpose: v1::Purpose::Payment as i32,
        signals: vec![sim_swap(0)],
        ..LookupRequest::default()
    }
}

pub(crate) const fn sim_swap(threshold_hours: u32) -> v1::SignalQuestion {
    let swap = v1::SwapQuestion { threshold_hours };
    v1::SignalQuestion {
        signal: Some(v1::signal_question::Signal::SimSwap(swap)),
    }
}

/// Code, `ErrorInfo.reason` and `BadRequest` field of a refusal.
pub(crate) fn told(status: &Status) -> (tonic::Code, String, Option<String>) {
    let details = status.get_error_details();
    let info = details.error_info();
    if let Some(info) = info {
        assert_eq!(info.domain, "accord.v1");
    }
    let field = details
        .bad_request()
        .map(|bad| bad.field_violations[0].field.clone());
    (
        status.code(),
        info.map_or_else(String::new, |info| info.reason.clone()),
        field,
    )
}

/// Calls until it is refused.
pub(crate) async fn refused_at_last<T>(call: impl AsyncFn() -> Result<T, Status>) -> Status {
    let refused = async {
        loop {
            if let Err(refused) = call().await {
                break refused;
            }
            sleep(LOOK_EVERY).await;
        }
    };
    timeout(PATIENCE, refused).await.unwrap()
}
