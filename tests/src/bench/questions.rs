//! What the load generator sends: the same questions, headers and tokens as a real client.

use std::{
    fs,
    path::Path,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use accord_client::DEADLINE_MS;
use accord_proto::{
    clock::{SharedClock, SystemClock},
    purpose::Purpose,
    v1,
};
use aws_lc_rs::digest::{SHA256, digest};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::json;
use tonic::{
    Request,
    metadata::{Ascii, MetadataValue},
};

use super::{BenchError, tls::certificate};

/// The bank that asks.
pub(super) const BANK: &str = "bench-bank";
/// What every number begins with: a country code that ITU-T E.164 leaves unassigned.
pub(super) const PREFIX: &str = "+99900";
/// Numbers under the prefix.
pub(super) const NUMBERS_MAX: u64 = 10_000_000;
/// The one threshold of the benchmark's agreement.
const THRESHOLD_HOURS: u32 = 72;
/// The broker takes no older token.
const TOKEN_LIFE_S: i64 = 300;

/// Makes the bank's tokens.
pub(super) struct Tokens {
    key: EncodingKey,
    kid: String,
    issuer: String,
    audience: String,
    thumbprint: String,
    clock: SharedClock,
}

impl Tokens {
    /// From the bank's certificate and token key in a folder.
    pub(super) fn new(pki: &Path, trust_domain: &str, audience: &str) -> Result<Self, BenchError> {
        let path = pki.join(format!("{BANK}.token.key"));
        let pem = fs::read(&path).map_err(BenchError::io("read", &path))?;
        let leaf = certificate(&pki.join(format!("{BANK}.pem")))?;
        Ok(Self {
            key: EncodingKey::from_ec_pem(&pem)?,
            kid: format!("{BANK}-1"),
            issuer: format!("spiffe://{trust_domain}/bank/{BANK}"),
            audience: audience.to_owned(),
            thumbprint: URL_SAFE_NO_PAD.encode(digest(&SHA256, &leaf)),
            clock: SystemClock::shared(),
        })
    }

    /// The key that signs.
    pub(super) const fn key(&self) -> &EncodingKey {
        &self.key
    }

    /// Its name.
    pub(super) fn kid(&self) -> &str {
        &self.kid
    }

    /// Now, in seconds since 1970.
    pub(super) fn now(&self) -> i64 {
        self.clock.now().as_second()
    }

    /// A token for one purpose, as the header that carries it. It is good for as long as a round.
    pub(super) fn bearer(&self, purpose: Purpose) -> Result<MetadataValue<Ascii>, BenchError> {
        let mut header = Header::new(Algorithm::ES256);
        header.kid = Some(self.kid.clone());
        let iat = self.clock.now().as_second();
        let claims = json!({
            "iss": self.issuer,
            "sub": "accord-bench",
            "aud": self.audience,
            "iat": iat,
            "exp": iat + TOKEN_LIFE_S,
            "jti": format!("{:032x}", fresh_id()),
            "purposes": [purpose.name()],
            "cnf": { "x5t#S256": self.thumbprint },
        });
        let token = encode(&header, &claims, &self.key)?;
        let mut bearer: MetadataValue<Ascii> =
            format!("Bearer {token}").try_into().map_err(|_| {
                jsonwebtoken::errors::Error::from(jsonwebtoken::errors::ErrorKind::InvalidToken)
            })?;
        bearer.set_sensitive(true);
        Ok(bearer)
    }
}

/// A number that this process has not used before, of which two processes hardly have the same.
pub(super) fn fresh_id() -> u128 {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    (u128::from(std::process::id()) << 64) | u128::from(NEXT.fetch_add(1, Ordering::Relaxed))
}

/// One question about one number, with a request id of its own.
pub(super) fn question(
    number: u64,
    purpose: Purpose,
    bearer: &MetadataValue<Ascii>,
) -> Request<v1::LookupRequest> {
    let threshold_hours = THRESHOLD_HOURS;
    let swap = v1::signal_question::Signal::SimSwap(v1::SwapQuestion { threshold_hours });
    let number = number % NUMBERS_MAX;
    let mut request = Request::new(v1::LookupRequest {
        msisdn: format!("{PREFIX}{number:07}"),
        purpose: purpose.to_wire() as i32,
        signals: vec![v1::SignalQuestion { signal: Some(swap) }],
        customer_ref: format!("customer-{number:07}"),
        // As long as those of the client library.
        request_id: format!("{:032x}", fresh_id()),
        receipt: v1::ReceiptKind::Short as i32,
        ..v1::LookupRequest::default()
    });
    request.set_timeout(Duration::from_millis(DEADLINE_MS));
    request
        .metadata_mut()
        .insert("authorization", bearer.clone());
    request
}

/// Length of a question and of its answer, without headers.
pub(super) fn message_bytes(
    tokens: &Tokens,
    response: &v1::LookupResponse,
) -> Result<[usize; 2], BenchError> {
    use prost::Message as _;
    let bearer = tokens.bearer(Purpose::Payment)?;
    let request = question(0, Purpose::Payment, &bearer).into_inner();
    Ok([request.encoded_len(), response.encoded_len()])
}
