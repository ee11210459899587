//! A proof in hand, and the witness that is run from the command line.

use std::fs;
use std::path::Path;

use accord_proto::{
    c2sp::{Checkpoint, Cosigner, LogProof, SigningKey},
    merkle::leaf_hash,
    v1,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use prost::Message as _;
use serde_json::{Value, json};

use crate::{
    command::{accord, beside, told},
    ledger::log_key,
    parties::Parties,
    stub::Stub,
};

/// A log of one entry that commits to an answer, its proof, and all that is needed to check it.
struct Case {
    dir: tempfile::TempDir,
    witness: Cosigner,
    log: SigningKey,
}

const ANSWER: &[u8] = b"the exact bytes of an answer";
const NONCE: [u8; 32] = [7; 32];
const ORIGIN: &str = "accord-test/2026-11";

impl Case {
    fn new() -> Self {
        let case = Self {
            dir: tempfile::tempdir().unwrap(),
            witness: Cosigner::generate("regulator.example/w").unwrap(),
            log: SigningKey::generate(ORIGIN).unwrap(),
        };
        let policy = case.policy(&case.log, "quorum regulator");
        fs::write(case.path("policy"), policy).unwrap();
        fs::write(case.path("none"), case.policy(&case.log, "quorum none")).unwrap();
        case.proof("proof", &entry(&digest(&NONCE, ANSWER)), true);
        case.told("told", ANSWER);
        case
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.dir.path().join(name)
    }

    fn policy(&self, log: &SigningKey, quorum: &str) -> String {
        let witness = self.witness.key();
        format!(
            "log {}\nwitness regulator {witness}\n{quorum}\n",
            log.verifier()
        )
    }

    fn proof(&self, name: &str, entry: &[u8], cosigned: bool) {
        let checkpoint = Checkpoint {
            origin: ORIGIN.into(),
            size: 1,
            root: leaf_hash(entry),
        };
        let mut checkpoint = checkpoint.sign(&self.log).unwrap();
        if cosigned {
            let line = self.witness.cosign(checkpoint.text(), 1_790_000_000);
            checkpoint.add_signature(line).unwrap();
        }
        let proof = LogProof {
            extra: Some(entry.to_vec()),
            index: 0,
            hashes: Vec::new(),
            checkpoint,
        };
        fs::write(self.path(name), proof.to_string()).unwrap();
    }

    fn told(&self, name: &str, answer: &[u8]) {
        let evidence = json!({
            "answer": STANDARD.encode(answer),
            "nonce": STANDARD.encode(NONCE),
        });
        let text = json!({"evidence": evidence}).to_string();
        fs::write(self.path(name), text).unwrap();
    }

    fn verify(&self, proof: &str, policy: &str, rest: &[&str]) -> (i32, String, String) {
        let (proof, policy) = (self.path(proof), self.path(policy));
        let args = [
            "audit",
            "verify-proof",
            proof.to_str().unwrap(),
            "--policy",
            policy.to_str().unwrap(),
        ];
        told(&accord(None, &[&args, rest].concat()))
    }
}

fn digest(nonce: &[u8], answer: &[u8]) -> Vec<u8> {
    let bytes = [nonce, answer].concat();
    aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &bytes)
        .as_ref()
        .to_vec()
}

fn entry(answer_digest: &[u8]) -> Vec<u8> {
    let access = v1::Access {
        bank: "first-bank".to_owned(),
        operator: "north-mobile".to_owned(),
        purpose: v1::Purpose::Payment as i32,
        answer_digest: answer_digest.to_vec(),
        ..v1::Access::default()
    };
    let entry = v1::Entry {
        salt: vec![1; 32],
        event: Some(v1::entry::Event::Access(access)),
        time_unix_ms: 1_790_000_000_000,
    };
    entry.encode_to_vec()
}

#[test]
fn a_proof_and_the_answer_that_it_commits_to_are_verified_with_no_broker() {
    let case = Case::new();
    let (code, out, error) = case.verify("proof", "policy", &[]);
    assert_eq!((code, error.as_str()), (0, ""));
    assert!(
        out.starts_with("ok: entry 0 of accord-test/2026-11"),
        "{out}"
    );
    assert!(out.contains("cosigned by regulator"), "{out}");
    let answer = case.path("told");
    let rest = ["--told", answer.to_str().unwrap(), "--json"];
    let (code, out, _) = case.verify("proof", "policy", &rest);
    assert_eq!(code, 0);
    let json: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(json["ok"], true);
    assert_eq!(json["told"], true);
    assert_eq!(json["cosigned"][0]["witness"], "regulator");
    let (code, out, _) = case.verify("proof", "none", &[]);
    assert_eq!(code, 0, "{out}");
}

#[test]
fn whatever_does_not_hold_is_named() {
    let case = Case::new();
    case.proof("uncosigned", &entry(&digest(&NONCE, ANSWER)), false);
    case.told("other-answer", b"another answer");
    let stranger = SigningKey::generate(ORIGIN).unwrap();
    let strange = case.policy(&stranger, "quorum none");
    fs::write(case.path("stranger"), strange).unwrap();
    fs::write(
        case.path("no-quorum"),
        format!("log {}\n", case.log.verifier()),
    )
    .unwrap();
    let text = fs::read_to_string(case.path("proof")).unwrap();
    let bare: Vec<_> = text
        .lines()
        .filter(|line| !line.starts_with("extra"))
        .collect();
    fs::write(case.path("bare"), bare.join("\n") + "\n").unwrap();
    let changed = STANDARD.encode(entry(&digest(&NONCE, b"changed")));
    let changed: Vec<_> = text
        .lines()
        .map(|line| match line.strip_prefix("extra ") {
            Some(_) => format!("extra {changed}"),
            None => line.to_owned(),
        })
        .collect();
    fs::write(case.path("changed"), changed.join("\n") + "\n").unwrap();
    let other = case.path("other-answer");
    let other = ["--told", other.to_str().unwrap()];
    let none: [&str; 0] = [];
    for (proof, policy, rest, code, said) in [
        (
            "uncosigned",
            "policy",
            none.as_slice(),
            1,
            "lacks cosignatures",
        ),
        ("proof", "stranger", &none, 1, "not believed"),
        ("proof", "no-quorum", &none, 2, "has no `quorum` line"),
        ("bare", "policy", &none, 2, "holds no entry"),
        ("changed", "policy", &none, 1, "does not lead to the root"),
        ("policy", "policy", &none, 1, "line 1 of the proof"),
        ("absent", "policy", &none, 2, "can't read"),
        (
            "proof",
            "policy",
            &other,
            1,
            "not the one that this entry commits to",
        ),
    ] {
        let (got, _, error) = case.verify(proof, policy, rest);
        assert_eq!(got, code, "{proof} {policy}: {error}");
        assert!(error.contains(said), "{proof} {policy}: {error}");
    }
}

#[tokio::test]
async fn a_proof_is_fetched_into_a_file_and_replaces_no_other_file() {
    let parties = Parties::new();
    let stub = Stub::start(&parties).await;
    let dir = tempfile::tempdir().unwrap();
    parties.write_profile(dir.path(), stub.address);
    let file = dir.path().join("payment.tlog-proof");
    let path = file.to_str().unwrap();
    for _ in 0..2 {
        let (code, out, error) = beside(dir.path(), &["audit", "prove", "1", "-o", path]).await;
        assert_eq!(code, 0, "{error}");
        assert!(out.contains("payment.tlog-proof: "), "{out}");
    }
    let policy = dir.path().join("policy");
    fs::write(
        &policy,
        format!("log {}\nquorum none\n", log_key().verifier()),
    )
    .unwrap();
    let args = [
        "audit",
        "verify-proof",
        path,
        "--policy",
        policy.to_str().unwrap(),
    ];
    let (code, out, error) = told(&accord(None, &args));
    assert_eq!(code, 0, "{error}");
    assert!(out.contains("no witness cosigned"), "{out}");
    fs::write(
        &file,
        "somebody's diary, which is longer than the heading of a proof",
    )
    .unwrap();
    let (code, _, error) = beside(dir.path(), &["audit", "prove", "1", "-o", path]).await;
    assert_eq!(code, 2);
    assert!(error.contains("is no proof"), "{error}");
    assert!(fs::read_to_string(&file).unwrap().contains("diary"));
}

#[test]
fn a_witness_is_made_once_and_names_its_line_of_a_policy() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("witness");
    let path = dir.to_str().unwrap();
    let init = |name: &str| told(&accord(None, &["audit", "witness", path, "--init", name]));
    let (code, out, error) = init("regulator.example/w");
    assert_eq!(code, 0, "{error}");
    assert!(
        out.starts_with("witness regulator.example/w regulator.example/w+"),
        "{out}"
    );
    assert!(mode(&dir.join("witness.key")) == 0o600);
    let (code, _, error) = init("regulator.example/w");
    assert_eq!(code, 1);
    assert!(
        error.contains("is a witness's directory already"),
        "{error}"
    );
    let empty = root.path().join("none");
    let key = log_key().verifier().to_string();
    let args = ["audit", "witness", empty.to_str().unwrap(), "--log", &key];
    let (code, _, error) = told(&accord(None, &args));
    assert_eq!(code, 1);
    assert!(error.contains("--init NAME"), "{error}");
    let (code, _, error) = told(&accord(None, &["audit", "witness", path, "--log", "x"]));
    assert_eq!(code, 2);
    assert!(error.contains("--log"), "{error}");
}

fn mode(path: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt as _;
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}
