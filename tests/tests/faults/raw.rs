//! Questions that the client library would not send.

use std::{fs, sync::Arc};

use accord_proto::v1::{
    self, LookupRequest, signal_question, signal_service_client::SignalServiceClient,
};
use accord_tests::world::{WorldFiles, client_tls};
use aws_lc_rs::digest::{SHA256, digest};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use hyper_util::rt::TokioIo;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use rustls_pki_types::{CertificateDer, ServerName, pem::PemObject as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tonic::{
    Code, Request,
    transport::{Channel, Endpoint},
};

use super::rig::Rig;

/// The digits of the malformed numbers below, as far as they are some number's.
pub(crate) const MALFORMED_DIGITS: [&str; 4] = [
    "+447700900777",
    "+447700900778",
    "+33639980777",
    "+447700900779",
];

/// Malformed numbers, each in another way.
const MALFORMED: [&str; 9] = [
    "447700900777",
    "00447700900777",
    "07700900777",
    "+44 7700 900777",
    "+44-7700-900778",
    "tel:+447700900778",
    "+447700900779x",
    "+33639980777\n",
    "+44770090077944770090077944",
];

/// Asks about each of them, with a good token, a broken one and none.
pub(crate) async fn malformed(rig: &Rig) {
    let (channel, thumbprint) = channel(&rig.files);
    let good = token(&rig.files, &thumbprint);
    let broken = format!("{}AAAA", &good[..good.len() - 4]);
    for number in MALFORMED {
        for token in [Some(&good), Some(&broken), None] {
            let swap = v1::SwapQuestion::default();
            let mut request = Request::new(LookupRequest {
                msisdn: number.to_owned(),
                purpose: v1::Purpose::Payment as i32,
                request_id: number.to_owned(),
                customer_ref: number.to_owned(),
                signals: vec![v1::SignalQuestion {
                    signal: Some(signal_question::Signal::SimSwap(swap)),
                }],
                ..LookupRequest::default()
            });
            if let Some(token) = token {
                let value = format!("Bearer {token}").parse().unwrap();
                request.metadata_mut().insert("authorization", value);
            }
            let refused = SignalServiceClient::new(channel.clone())
                .lookup(request)
                .await;
            let refused = refused.map(drop).unwrap_err();
            let expected = if token == Some(&good) {
                Code::InvalidArgument
            } else {
                Code::Unauthenticated
            };
            assert_eq!(refused.code(), expected, "{refused:?}");
            assert!(!refused.message().contains("90077"), "{refused:?}");
        }
    }
}

fn token(files: &WorldFiles, thumbprint: &str) -> String {
    let key = fs::read(files.dir().join("pki/first-bank.token.key")).unwrap();
    let mut header = Header::new(Algorithm::ES256);
    header.kid = Some("first-bank-1".to_owned());
    let now = files.spec().clock.now().as_second();
    let claims = serde_json::json!({
        "iss": "spiffe://accord.test/bank/first-bank",
        "sub": "raw",
        "aud": "accord-sandbox",
        "iat": now,
        "exp": now + 240,
        "jti": "raw-1",
        "purposes": ["payment"],
        "cnf": { "x5t#S256": thumbprint },
    });
    jsonwebtoken::encode(&header, &claims, &EncodingKey::from_ec_pem(&key).unwrap()).unwrap()
}

/// A connection as first-bank, and the thumbprint of its certificate.
fn channel(files: &WorldFiles) -> (Channel, String) {
    let pki = files.dir().join("pki");
    let certificate = CertificateDer::from_pem_file(pki.join("first-bank.pem")).unwrap();
    let thumbprint = BASE64_URL_SAFE_NO_PAD.encode(digest(&SHA256, &certificate));
    let config = client_tls(&pki, Some("first-bank"), &[b"h2"]).unwrap();
    let (config, port) = (Arc::new(config), files.grpc_port());
    let connector = tower::service_fn(move |_| {
        let config = Arc::clone(&config);
        async move {
            let tcp = TcpStream::connect(("127.0.0.1", port)).await?;
            let name = ServerName::try_from("localhost").unwrap();
            TlsConnector::from(config)
                .connect(name, tcp)
                .await
                .map(TokioIo::new)
        }
    });
    (
        Endpoint::from_static("http://localhost").connect_with_connector_lazy(connector),
        thumbprint,
    )
}
