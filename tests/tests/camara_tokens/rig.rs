//! A world with the CAMARA door, and a client of first-bank that asks for tokens.

use std::{fs, ops::Deref, path::PathBuf, process::Command};

use accord_proto::{
    clock::{Clock as _, SystemClock},
    hex,
};
use accord_tests::world::{World, WorldFiles, WorldSpec};
use jiff::Timestamp;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::door::{Caller, Told};

/// The client that the tests ask as, and its purpose.
pub(crate) const CLIENT: &str = "first-app";
pub(crate) const PURPOSE: &str = "dpv:FraudPreventionAndDetection";
/// What it asks for, where nothing else is said.
pub(crate) const SCOPE: &str = "dpv:FraudPreventionAndDetection sim-swap:check";
pub(crate) const FIRST_BANK: &str = "spiffe://accord.test/bank/first-bank";
pub(crate) const NUMBER: &str = "+447700900001";
const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
pub(crate) const JWT_BEARER: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";

/// A world in a directory that goes when the test ends.
pub(crate) struct Rig {
    // Dropped in this order: first what runs, then where it ran.
    pub(crate) world: World,
    pub(crate) url: String,
    pub(crate) dir: TempDir,
}

impl Deref for Rig {
    type Target = World;

    fn deref(&self) -> &World {
        &self.world
    }
}

pub(crate) fn now() -> Timestamp {
    SystemClock.now()
}

/// A fresh id.
pub(crate) fn id() -> String {
    let mut random = [0; 16];
    aws_lc_rs::rand::fill(&mut random).unwrap();
    hex::encode(&random)
}

impl Rig {
    /// Clients need a certificate.
    pub(crate) async fn new() -> Self {
        Self::with("").await
    }

    /// With further keys of `[camara]`, one a line.
    pub(crate) async fn with(keys: &str) -> Self {
        Self::of(WorldSpec::default(), keys).await
    }

    pub(crate) async fn of(spec: WorldSpec, keys: &str) -> Self {
        let mut spec = spec.limit("refusals_per_second", 1_000);
        spec.camara_port = Some(0);
        let dir = TempDir::new().unwrap();
        let files = WorldFiles::write(dir.path(), &spec).unwrap();
        let url = open_door(&files, keys);
        let rig = Draft { dir, files };
        rig.accord(&[
            "add",
            "client",
            "LIST",
            "--party",
            "first-bank",
            "--id",
            CLIENT,
            "--purpose",
            &format!("{PURPOSE}=payment"),
            "--purpose",
            "dpv:IdentityVerification=login",
            "--scope",
            "sim-swap",
            "--scope",
            "call-forwarding-signal:unconditional-forwarding:check",
        ]);
        rig.accord(&[
            "add",
            "client",
            "LIST",
            "--party",
            "second-bank",
            "--id",
            "second-app",
            "--purpose",
            &format!("{PURPOSE}=dormant_account"),
            "--scope",
            "number-recycling:check",
            "--scope",
            "sim-swap",
        ]);
        rig.sign();
        let Draft { dir, files } = rig;
        let world = World::start(files, spec.clock).await.unwrap();
        Self { world, url, dir }
    }

    pub(crate) fn token_endpoint(&self) -> String {
        format!("{}/oauth2/token", self.url)
    }

    pub(crate) fn caller(&self, party: Option<&str>) -> Caller {
        let address = self.broker.camara_address().unwrap();
        Caller::new(&self.dir.path().join("pki"), address, party)
    }

    /// first-bank's.
    pub(crate) fn bank(&self) -> Caller {
        self.caller(Some("first-bank"))
    }

    /// The claims of a good client assertion.
    pub(crate) fn claims(&self) -> Value {
        let now = now().as_second();
        json!({
            "iss": CLIENT, "sub": CLIENT, "aud": self.token_endpoint(),
            "iat": now, "exp": now + 60, "jti": id(),
        })
    }

    /// The claims of a good grant for a token about a number.
    pub(crate) fn grant(&self, number: &str) -> Value {
        let mut claims = self.claims();
        claims["sub"] = format!("tel:{number}").into();
        claims["scope"] = SCOPE.into();
        claims
    }

    pub(crate) fn sign(&self, claims: &Value) -> String {
        self.sign_as("first-bank", Some("first-bank-1"), claims)
    }

    /// Signs with a bank's key, under a `kid` or none.
    pub(crate) fn sign_as(&self, bank: &str, kid: Option<&str>, claims: &Value) -> String {
        let pem = fs::read(self.dir.path().join(format!("pki/{bank}.token.key"))).unwrap();
        let (key, alg) = EncodingKey::from_ec_pem(&pem)
            .map(|key| (key, Algorithm::ES256))
            .or_else(|_| EncodingKey::from_ed_pem(&pem).map(|key| (key, Algorithm::EdDSA)))
            .unwrap();
        let mut header = Header::new(alg);
        header.kid = kid.map(str::to_owned);
        jsonwebtoken::encode(&header, claims, &key).unwrap()
    }

    /// Asks for a token for any number with this assertion and scope.
    pub(crate) async fn ask(&self, caller: &Caller, assertion: &str, scope: &str) -> Told {
        caller.post(&credentials(assertion, scope), &[]).await
    }

    /// Asks for a token about one number with these claims.
    pub(crate) async fn ask_about(&self, caller: &Caller, claims: &Value) -> Told {
        let assertion = self.sign(claims);
        let form = [("grant_type", JWT_BEARER), ("assertion", &*assertion)];
        caller.post(&form, &[]).await
    }

    /// A token for any number, of first-bank.
    pub(crate) async fn token(&self) -> String {
        let assertion = self.sign(&self.claims());
        self.ask(&self.bank(), &assertion, SCOPE).await.token()
    }

    /// The list of parties as it lies there, to be changed by `accord parties` and signed.
    pub(crate) fn parties(&self, args: &[&str]) {
        Draft::run(self.dir.path(), args);
    }

    /// An authority suspends something; from then on the broker is told.
    pub(crate) async fn suspend(&self, target: &str) {
        let dir = self.dir.path().to_owned();
        let key = dir.join("authorities/central-bank.key");
        let words = ["suspend", target, "--reason", "drill", "--key"];
        let mut args: Vec<_> = words.iter().map(PathBuf::from).collect();
        args.push(key);
        // The broker is in this process, so nobody may wait for the command here.
        let run = tokio::task::spawn_blocking(move || accord(&dir, "agreement", &args));
        run.await.unwrap();
    }

    pub(crate) fn sign_parties(&self) {
        Draft::sign_in(self.dir.path());
    }
}

/// The form of a request for a token for any number.
pub(crate) fn credentials<'a>(assertion: &'a str, scope: &'a str) -> [(&'a str, &'a str); 4] {
    [
        ("grant_type", "client_credentials"),
        ("client_assertion_type", ASSERTION_TYPE),
        ("client_assertion", assertion),
        ("scope", scope),
    ]
}

/// A world that does not run yet.
struct Draft {
    dir: TempDir,
    files: WorldFiles,
}

impl Draft {
    fn accord(&self, args: &[&str]) {
        Self::run(self.files.dir(), args);
    }

    fn sign(&self) {
        Self::sign_in(self.files.dir());
    }

    /// `accord parties`, into `draft.toml`: the broker's list stays until both authorities signed.
    fn run(dir: &std::path::Path, args: &[&str]) {
        let draft = dir.join("draft.toml");
        if !draft.exists() {
            fs::copy(dir.join("parties.toml"), &draft).unwrap();
        }
        let file = |arg: &&str| match *arg {
            "LIST" => draft.clone(),
            other => PathBuf::from(other),
        };
        accord(dir, "parties", &args.iter().map(file).collect::<Vec<_>>());
    }

    fn sign_in(dir: &std::path::Path) {
        let [draft, list] = ["draft.toml", "parties.toml"].map(|name| dir.join(name));
        for (authority, to) in [("central-bank", &draft), ("telecom-regulator", &list)] {
            let key = dir.join(format!("authorities/{authority}.key"));
            let args = [
                "sign".into(),
                draft.clone(),
                "--key".into(),
                key,
                "--output".into(),
                to.clone(),
            ];
            accord(dir, "parties", &args);
        }
        fs::remove_file(draft).unwrap();
    }
}

/// Runs `accord`; gives what it wrote.
pub(crate) fn accord(dir: &std::path::Path, command: &str, args: &[PathBuf]) -> String {
    // Beside the tests' own folder, where `cargo test --workspace` puts it.
    let tests = std::env::current_exe().unwrap();
    let program = tests.ancestors().nth(2).unwrap().join("accord");
    let output = Command::new(program)
        .arg(command)
        .args(args)
        .env("ACCORD_PROFILE", dir)
        .output()
        .unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command} {args:?}: {error}");
    String::from_utf8(output.stdout).unwrap()
}

/// Puts further keys into `[camara]`, and gives where clients reach the door.
fn open_door(files: &WorldFiles, keys: &str) -> String {
    let path = files.broker_config_path();
    let text = fs::read_to_string(&path).unwrap();
    let section = format!("[camara]\n{keys}\n");
    fs::write(path, text.replacen("[camara]\n", &section, 1)).unwrap();
    files.camara_url().unwrap()
}
