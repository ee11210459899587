//! Another's authorisation server in place of ours.

use std::{
    fs,
    path::{Path, PathBuf},
};

use accord_certs::TokenKey;
use accord_tests::world::{WorldSpec, wait_until};
use jsonwebtoken::{Algorithm, EncodingKey, Header, jwk::Jwk};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    grpc, record,
    rig::{CLIENT, NUMBER, Rig, SCOPE, id, now},
};

const ISSUER: &str = "https://login.example/realms/banks";

/// The other server: its key.
struct Server {
    key: TokenKey,
    kid: String,
}

impl Server {
    fn new(kid: &str) -> Self {
        Self {
            key: TokenKey::es256().unwrap(),
            kid: kid.to_owned(),
        }
    }

    fn jwk(&self) -> Value {
        let pem = self.key.private_pem();
        let key = EncodingKey::from_ec_pem(pem.as_bytes()).unwrap();
        let jwk = Jwk::from_encoding_key(&key, Algorithm::ES256).unwrap();
        let mut jwk = serde_json::to_value(jwk).unwrap();
        jwk["kid"] = self.kid.clone().into();
        jwk
    }

    fn sign(&self, claims: &Value) -> String {
        let mut header = Header::new(Algorithm::ES256);
        header.typ = Some("at+jwt".to_owned());
        header.kid = Some(self.kid.clone());
        let pem = self.key.private_pem();
        let key = EncodingKey::from_ec_pem(pem.as_bytes()).unwrap();
        jsonwebtoken::encode(&header, claims, &key).unwrap()
    }
}

/// A world that takes the tokens of these servers.
async fn world(servers: &[&Server]) -> (Rig, TempDir) {
    let dir = TempDir::new().unwrap();
    let path = jwks(&dir);
    write(&path, servers);
    let keys = format!(
        "authorization_server = {{ issuer = \"{ISSUER}\", jwks = \"{}\" }}",
        path.display()
    );
    (Rig::of(WorldSpec::default(), &keys).await, dir)
}

fn jwks(dir: &TempDir) -> PathBuf {
    dir.path().join("jwks.json")
}

fn write(path: &Path, servers: &[&Server]) {
    let keys: Vec<_> = servers.iter().map(|server| server.jwk()).collect();
    fs::write(path, json!({ "keys": keys }).to_string()).unwrap();
}

fn claims(rig: &Rig) -> Value {
    let pki = rig.dir.path().join("pki");
    let read = |name: &str| fs::read(pki.join(name)).unwrap();
    let identity =
        accord_client::Identity::from_pem(&read("first-bank.pem"), &read("first-bank.key"));
    let now = now().as_second();
    json!({
        "iss": ISSUER, "aud": "accord-sandbox", "sub": CLIENT, "client_id": CLIENT,
        "scope": SCOPE, "iat": now, "exp": now + 60, "jti": id(),
        "cnf": {"x5t#S256": identity.unwrap().thumbprint()},
    })
}

#[tokio::test]
async fn anothers_tokens_are_taken_under_the_same_rules() {
    let server = Server::new("login-1");
    let (rig, _dir) = world(&[&server]).await;
    let channel = grpc::channel(&rig, "first-bank");
    grpc::ask(&channel, &server.sign(&claims(&rig)), NUMBER)
        .await
        .unwrap();
    // A number in it makes it about that number.
    let mut about = claims(&rig);
    about["sub"] = format!("tel:{NUMBER}").into();
    grpc::ask(&channel, &server.sign(&about), "").await.unwrap();
    // Older servers name the client otherwise.
    let mut older = claims(&rig);
    older.as_object_mut().unwrap().remove("client_id");
    older["azp"] = CLIENT.into();
    grpc::ask(&channel, &server.sign(&older), NUMBER)
        .await
        .unwrap();
    for (claim, value, reason) in [
        ("cnf", Value::Null, "TOKEN_CLAIM_MISSING"),
        ("aud", json!("another-broker"), "TOKEN_WRONG_AUDIENCE"),
        ("client_id", json!("no-app"), "TOKEN_UNKNOWN_CLIENT"),
        ("client_id", json!("second-app"), "TOKEN_WRONG_PARTY"),
        ("sub", json!("tel:077"), "TOKEN_CLAIM"),
        ("sub", json!("a-pseudonym"), "TOKEN_CLAIM"),
        ("cnf", json!({"x5t#S256": ""}), "TOKEN_CLAIM"),
        ("iss", json!("https://other.example"), "TOKEN_UNKNOWN_KEY"),
    ] {
        let mut wrong = claims(&rig);
        wrong[claim] = value;
        let refused = grpc::ask(&channel, &server.sign(&wrong), NUMBER)
            .await
            .unwrap_err();
        assert_eq!(grpc::reason(&refused), reason, "{claim}");
    }
}

#[tokio::test]
async fn in_its_place_ours_is_not_served_and_the_resource_names_the_other() {
    let server = Server::new("login-1");
    let (rig, _dir) = world(&[&server]).await;
    let bank = rig.bank();
    for path in [
        "/oauth2/jwks",
        "/.well-known/oauth-authorization-server",
        "/.well-known/openid-configuration",
    ] {
        assert_eq!(bank.get(path).await.status, 404, "{path}");
    }
    let token = rig.ask(&bank, &rig.sign(&rig.claims()), SCOPE).await;
    assert_eq!(token.status, 404);
    let resource = bank.get("/.well-known/oauth-protected-resource").await.body;
    assert_eq!(resource["authorization_servers"], json!([ISSUER]));
}

#[tokio::test]
async fn new_keys_are_on_the_record_and_in_force_and_bad_ones_keep_the_old() {
    let (old, new) = (Server::new("login-1"), Server::new("login-2"));
    let (rig, dir) = world(&[&old]).await;
    let path = jwks(&dir);
    let channel = grpc::channel(&rig, "first-bank");
    let first = record::wait_loaded(&rig, 0, "issuer_keys").await;
    assert_eq!((first.id.as_str(), first.refused.as_str()), (ISSUER, ""));
    let cached = old.sign(&claims(&rig));
    grpc::ask(&channel, &cached, NUMBER).await.unwrap();
    let since = record::size(&rig);
    fs::write(&path, "{\"keys\": []}").unwrap();
    let refused = record::wait_loaded(&rig, since, "issuer_keys").await;
    assert!(refused.refused.contains("has no key"), "{refused:?}");
    grpc::ask(&channel, &cached, NUMBER).await.unwrap();
    let since = record::size(&rig);
    write(&path, &[&new]);
    let loaded = record::wait_loaded(&rig, since, "issuer_keys").await;
    assert_eq!(loaded.refused, "");
    wait_until("the old key to be gone", || async {
        let refused = grpc::ask(&channel, &cached, NUMBER).await.err();
        refused.is_some_and(|refused| grpc::reason(&refused) == "TOKEN_UNKNOWN_KEY")
    })
    .await
    .unwrap();
    grpc::ask(&channel, &new.sign(&claims(&rig)), NUMBER)
        .await
        .unwrap();
}
