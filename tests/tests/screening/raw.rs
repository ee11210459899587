//! One `Screen` stream as the wire has it, without the help of the client library, and the tokens
//! that the library would make.

use std::{fmt, fs, path::Path};

use accord_client::TokenAlg;
use accord_proto::v1::{
    Answer, LookupRequest, LookupResponse, Purpose, RoamingQuestion, ScreenLine, ScreenRefusal,
    ScreenRequest, ScreenResponse, ScreenWelcome, SignalQuestion, TokenRefresh, screen_request,
    screen_response, signal_question, signal_service_client::SignalServiceClient,
};
use accord_tests::world::{WAIT_MAX, World};
use aws_lc_rs::digest::{SHA256, digest};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use prost::Message as _;
use rustls_pki_types::{CertificateDer, pem::PemObject as _};
use tokio::{sync::mpsc, time::timeout};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{
    Request, Status, Streaming,
    transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity},
};

/// The smallest window of HTTP/2: what a client may be sent and has not read.
const STREAM_WINDOW_BYTES: u32 = 65_535;

/// An open stream.
pub(crate) struct Raw {
    pub(crate) lines: mpsc::Sender<ScreenRequest>,
    pub(crate) answers: Streaming<ScreenResponse>,
    pub(crate) welcome: ScreenWelcome,
}

/// What came back for one line.
pub(crate) enum Told {
    Answer(String, LookupResponse),
    Refusal(ScreenRefusal),
    Expiring,
}

/// An answer shows itself to nobody, so it is left out.
impl fmt::Debug for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Answer(id, _) => write!(f, "answer to {id}"),
            Self::Refusal(refusal) => write!(f, "{refusal:?}"),
            Self::Expiring => f.write_str("token expiring"),
        }
    }
}

impl Told {
    pub(crate) fn id(&self) -> &str {
        match self {
            Self::Answer(id, _) => id,
            Self::Refusal(refusal) => &refusal.correlation_id,
            Self::Expiring => panic!("a notice has no id"),
        }
    }

    pub(crate) fn answer(&self) -> &LookupResponse {
        match self {
            Self::Answer(_, response) => response,
            Self::Refusal(_) | Self::Expiring => panic!("an answer was expected: {self:?}"),
        }
    }

    pub(crate) fn refusal(&self) -> &ScreenRefusal {
        match self {
            Self::Refusal(refusal) => refusal,
            Self::Answer(..) | Self::Expiring => panic!("a refusal was expected"),
        }
    }
}

impl Raw {
    /// Opens a stream as a party with a token.
    pub(crate) async fn open(world: &World, party: &str, token: &str) -> Result<Self, Status> {
        let mut client = SignalServiceClient::new(channel(world, party).await);
        let (lines, to_send) = mpsc::channel(1);
        let mut request = Request::new(ReceiverStream::new(to_send));
        let bearer = format!("Bearer {token}").parse().unwrap();
        request.metadata_mut().insert("authorization", bearer);
        let mut answers = client.screen(request).await?.into_inner();
        let first = timeout(WAIT_MAX, answers.message()).await.unwrap()?;
        let Some(screen_response::Message::Welcome(welcome)) = first.unwrap().message else {
            panic!("a stream begins with a welcome");
        };
        Ok(Self {
            lines,
            answers,
            welcome,
        })
    }

    pub(crate) async fn send(&self, line: ScreenLine) {
        self.lines.send(message(line)).await.unwrap();
    }

    pub(crate) async fn refresh(&self, token: String) {
        let message = Some(screen_request::Message::Token(TokenRefresh { token }));
        self.lines.send(ScreenRequest { message }).await.unwrap();
    }

    /// What comes next.
    pub(crate) async fn next(&mut self) -> Result<Told, Status> {
        let next = timeout(WAIT_MAX, self.answers.message()).await;
        let next = next.expect("the stream is silent")?;
        let ended = || Status::cancelled("the stream ended");
        Ok(match next.ok_or_else(ended)?.message.unwrap() {
            screen_response::Message::Answer(answer) => {
                Told::Answer(answer.correlation_id, answer.response.unwrap())
            }
            screen_response::Message::Refusal(refusal) => Told::Refusal(refusal),
            screen_response::Message::TokenExpiring(_) => Told::Expiring,
            screen_response::Message::Welcome(_) => panic!("a stream has one welcome"),
        })
    }

    /// Sends one line and takes what is told next.
    pub(crate) async fn ask(&mut self, line: ScreenLine) -> Told {
        self.send(line).await;
        self.next().await.unwrap()
    }

    /// Says that there are no more lines, and takes what is still told.
    pub(crate) async fn finish(mut self) -> Vec<Told> {
        // Dropping the sender ends the request.
        self.lines = mpsc::channel(1).0;
        let mut told = Vec::new();
        while let Ok(next) = self.next().await {
            told.push(next);
        }
        told
    }
}

/// A question about the roaming of `+447700900xxx`.
pub(crate) fn question(number: u32, request_id: &str) -> LookupRequest {
    LookupRequest {
        msisdn: format!("+447700900{number:03}"),
        purpose: Purpose::Payment as i32,
        signals: vec![SignalQuestion {
            signal: Some(signal_question::Signal::Roaming(RoamingQuestion {})),
        }],
        request_id: request_id.to_owned(),
        ..LookupRequest::default()
    }
}

pub(crate) fn line(id: &str, number: u32) -> ScreenLine {
    ScreenLine {
        correlation_id: id.to_owned(),
        question: Some(question(number, id)),
    }
}

/// A line as it goes out.
pub(crate) fn message(line: ScreenLine) -> ScreenRequest {
    let message = Some(screen_request::Message::Line(line));
    ScreenRequest { message }
}

/// The answer that a response carries.
pub(crate) fn answer(response: &LookupResponse) -> Answer {
    Answer::decode(response.answer.clone()).unwrap()
}

async fn channel(world: &World, party: &str) -> Channel {
    let pki = world.files.dir().join("pki");
    let read = |name: String| fs::read(pki.join(name)).unwrap();
    let identity = Identity::from_pem(read(format!("{party}.pem")), read(format!("{party}.key")));
    let tls = ClientTlsConfig::new()
        .ca_certificate(Certificate::from_pem(read("ca.pem".to_owned())))
        .identity(identity)
        .domain_name("localhost");
    let uri = format!("https://127.0.0.1:{}", world.files.grpc_port());
    let endpoint = Endpoint::from_shared(uri).unwrap().tls_config(tls).unwrap();
    endpoint
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(STREAM_WINDOW_BYTES)
        .connect()
        .await
        .unwrap()
}

/// A token for payments, good for so many seconds, bound to the party's present certificate.
pub(crate) fn token(world: &World, party: &str, life_s: i64) -> String {
    let profile = world.profile();
    let section = profile.profile.party(party).unwrap();
    let key = fs::read(profile.path(section.token_key.as_ref().unwrap())).unwrap();
    let (alg, key) = match section.alg {
        TokenAlg::Es256 => (Algorithm::ES256, EncodingKey::from_ec_pem(&key)),
        TokenAlg::EdDsa => (Algorithm::EdDSA, EncodingKey::from_ed_pem(&key)),
    };
    let now = world.files.spec().clock.now().as_second();
    let claims = serde_json::json!({
        "iss": section.spiffe_id,
        "sub": "screening",
        "aud": profile.profile.broker.audience,
        "iat": now,
        "exp": now + life_s,
        "jti": format!("{party}-{life_s}-{}", unique()),
        "purposes": ["payment"],
        "cnf": { "x5t#S256": thumbprint(&profile.path(&section.certificate)) },
    });
    let mut header = Header::new(alg);
    header.kid.clone_from(&section.kid);
    jsonwebtoken::encode(&header, &claims, &key.unwrap()).unwrap()
}

fn unique() -> String {
    let mut bytes = [0; 12];
    aws_lc_rs::rand::fill(&mut bytes).unwrap();
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

fn thumbprint(certificate: &Path) -> String {
    let der = CertificateDer::from_pem_file(certificate).unwrap();
    BASE64_URL_SAFE_NO_PAD.encode(digest(&SHA256, &der))
}
