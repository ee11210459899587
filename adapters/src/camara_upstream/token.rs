//! Access tokens: OAuth 2.0 client credentials (RFC 6749 section 4.4), with `private_key_jwt` (RFC
//! 7523, as CAMARA asks) or a shared secret. One is kept until shortly before it ends.

mod kept;

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use accord_proto::clock::SharedClock;
use aws_lc_rs::rand;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::HeaderValue;
use hyper::body::Bytes;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};
use tokio::time::Instant;

use self::kept::{Fetching, Kept, Teller, Want, wait};

use super::{
    config::{CamaraError, TokenSection, refuse},
    fault::Fault,
    http::{Http, Place, Post},
};

/// How long an assertion holds; CAMARA allows 300 s.
const ASSERTION_S: i64 = 60;
/// After a refusal the token endpoint is left alone for so long.
const PAUSE: Duration = Duration::from_secs(5);
const TOKEN_LEN_MAX: usize = 16 * 1024;

/// The algorithm of the key that signs assertions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
pub enum KeyAlg {
    /// ECDSA on P-256.
    #[default]
    #[serde(rename = "ES256")]
    Es256,
    /// Ed25519.
    #[serde(rename = "EdDSA")]
    EdDsa,
    /// RSA, PKCS #1.
    #[serde(rename = "RS256")]
    Rs256,
}

enum Proof {
    Secret(String),
    Key(Box<Header>, EncodingKey),
}

/// Gets and keeps tokens.
pub(super) struct Tokens {
    place: Place,
    url: String,
    client_id: String,
    scope: String,
    proof: Proof,
    clock: SharedClock,
    kept: Mutex<Kept>,
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tokens")
            .field("url", &self.url)
            .finish_non_exhaustive()
    }
}

impl Tokens {
    pub(super) fn new(section: &TokenSection, clock: SharedClock) -> Result<Self, CamaraError> {
        let place = Place::parse(&section.url).map_err(|rule| refuse("token.url", rule))?;
        Ok(Self {
            place,
            url: section.url.clone(),
            client_id: section.client_id.clone(),
            scope: section.scope.clone(),
            proof: proof(section)?,
            clock,
            kept: Mutex::default(),
        })
    }

    /// A token: the one that is kept, or a new one. It is fetched beside the questions, which may have less
    /// time than the token endpoint takes, and once for all that wait for it; while the one before it
    /// still holds, nobody waits.
    pub(super) async fn get(
        self: &Arc<Self>,
        http: &Arc<Http>,
        deadline: Instant,
    ) -> Result<HeaderValue, Fault> {
        let wanted = self.kept().want(Instant::now());
        let (kept, fetching) = match wanted {
            Want::Told(told) => return told,
            Want::Fetch { kept, told } => (kept, self.fetch_aside(http, told)),
            Want::Wait(fetching) => (None, fetching),
        };
        if let Some(kept) = kept {
            return Ok(kept);
        }
        wait(fetching, deadline).await
    }

    /// The upstream did not take it: the next question gets another one.
    pub(super) fn refused(&self, refused: &HeaderValue) {
        self.kept().refused(refused);
    }

    fn fetch_aside(self: &Arc<Self>, http: &Arc<Http>, tell: Teller) -> Fetching {
        let fetching = tell.subscribe();
        let (tokens, http) = (Arc::clone(self), Arc::clone(http));
        tokio::spawn(async move {
            let fetched = tokens.fetch(&http, Instant::now() + http.timeout()).await;
            let fetched = fetched.map_err(|(fault, pause)| (fault.at_token(), pause));
            let told = tokens.kept().fetched(fetched, Instant::now());
            tell.send_replace(Some(told));
        });
        fetching
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn fetch(
        &self,
        http: &Http,
        deadline: Instant,
    ) -> Result<(HeaderValue, Duration), (Fault, Duration)> {
        let mut form = format!(
            "grant_type=client_credentials&scope={}",
            encoded(&self.scope)
        );
        let mut authorization = None;
        match &self.proof {
            Proof::Secret(secret) => {
                let both = format!("{}:{}", encoded(&self.client_id), encoded(secret));
                let basic = header(format!("Basic {}", STANDARD.encode(both)));
                authorization = Some(basic.ok_or((Fault::KEY, PAUSE))?);
            }
            Proof::Key(header, key) => {
                let assertion = self.assertion(header, key).ok_or((Fault::KEY, PAUSE))?;
                form.push_str(&format!(
                    "&client_id={}&client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3A\
                     client-assertion-type%3Ajwt-bearer&client_assertion={assertion}",
                    encoded(&self.client_id)
                ));
            }
        }
        let post = Post {
            place: &self.place,
            content_type: "application/x-www-form-urlencoded",
            authorization,
            body: Bytes::from(form),
        };
        let said = http.post(&post, deadline).await;
        // A connection that failed says nothing of the next one; time is short enough a limit.
        let said = said.map_err(|error| (Fault::of_http(error), Duration::ZERO))?;
        if !said.status.is_success() {
            let pause = said.retry_after.unwrap_or(PAUSE);
            return Err((Fault::of_token(said.status), pause));
        }
        parse(&said.body).ok_or((Fault::UNUSABLE_TOKEN, PAUSE))
    }

    fn assertion(&self, header: &Header, key: &EncodingKey) -> Option<String> {
        let now = self.clock.now().as_second();
        let mut id = [0; 16];
        rand::fill(&mut id).ok()?;
        let claims = json!({
            "iss": self.client_id,
            "sub": self.client_id,
            "aud": self.url,
            "iat": now,
            "exp": now + ASSERTION_S,
            "jti": STANDARD.encode(id),
        });
        jsonwebtoken::encode(header, &claims, key).ok()
    }
}

fn proof(section: &TokenSection) -> Result<Proof, CamaraError> {
    match (&section.client_secret_file, &section.assertion_key_file) {
        (Some(path), None) => {
            let read = std::fs::read_to_string(path);
            let secret = read.map_err(|error| CamaraError::Read {
                key: "token.client_secret_file",
                path: path.clone(),
                error,
            })?;
            let secret = secret.trim_end_matches(['\r', '\n']);
            if secret.is_empty() {
                return Err(refuse("token.client_secret_file", "is not empty"));
            }
            Ok(Proof::Secret(secret.to_owned()))
        }
        (None, Some(path)) => {
            const KEY: &str = "token.assertion_key_file";
            let pem = std::fs::read(path).map_err(|error| CamaraError::Read {
                key: KEY,
                path: path.clone(),
                error,
            })?;
            let (alg, key) = match section.assertion_alg {
                KeyAlg::Es256 => (Algorithm::ES256, EncodingKey::from_ec_pem(&pem)),
                KeyAlg::EdDsa => (Algorithm::EdDSA, EncodingKey::from_ed_pem(&pem)),
                KeyAlg::Rs256 => (Algorithm::RS256, EncodingKey::from_rsa_pem(&pem)),
            };
            let key = key.map_err(|_| refuse(KEY, "is a key in PEM for `assertion_alg`"))?;
            let mut header = Header::new(alg);
            header.kid.clone_from(&section.assertion_key_id);
            Ok(Proof::Key(Box::new(header), key))
        }
        (Some(_), Some(_)) | (None, None) => Err(refuse(
            "token",
            "needs either `client_secret_file` or `assertion_key_file`",
        )),
    }
}

fn parse(body: &[u8]) -> Option<(HeaderValue, Duration)> {
    let body: Value = serde_json::from_slice(body).ok()?;
    let token = body.get("access_token")?.as_str()?;
    let bearer = body.get("token_type")?.as_str()?;
    let visible = |text: &str| text.bytes().all(|byte| byte.is_ascii_graphic());
    let sound = (1..=TOKEN_LEN_MAX).contains(&token.len()) && visible(token);
    if !sound || !bearer.eq_ignore_ascii_case("bearer") {
        return None;
    }
    // Not required by RFC 6749; without it a token serves one question.
    let lives = body.get("expires_in").and_then(Value::as_u64).unwrap_or(0);
    let header = header(format!("Bearer {token}"))?;
    Some((header, Duration::from_secs(lives)))
}

/// A header that nothing shows.
fn header(text: String) -> Option<HeaderValue> {
    let mut header = HeaderValue::from_maybe_shared(Bytes::from(text)).ok()?;
    header.set_sensitive(true);
    Some(header)
}

/// As `application/x-www-form-urlencoded` has it.
fn encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                encoded.push(char::from(byte));
            }
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_without_its_type_or_with_odd_bytes_is_not_taken() {
        let good = br#"{"access_token":"t0","token_type":"Bearer","expires_in":300}"#;
        let (token, lives) = parse(good).unwrap();
        assert!(token.is_sensitive());
        assert_eq!(
            (token.as_bytes(), lives.as_secs()),
            (&b"Bearer t0"[..], 300)
        );
        for bad in [
            r#"{"access_token":"t0"}"#,
            r#"{"access_token":"t0","token_type":"mac"}"#,
            r#"{"access_token":"","token_type":"bearer"}"#,
            r#"{"access_token":"a\r\nb","token_type":"bearer"}"#,
            r#"{"access_token":7,"token_type":"bearer"}"#,
            "no JSON",
        ] {
            assert!(parse(bad.as_bytes()).is_none(), "{bad}");
        }
    }

    #[test]
    fn a_form_holds_no_bare_separator() {
        assert_eq!(encoded("a b&c=d:ä"), "a%20b%26c%3Dd%3A%C3%A4");
    }
}
