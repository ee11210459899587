//! What a reader of entries states, on the command line and in the profile.

use std::{fs, path::Path};

use accord_client::profile::{AgreementSection, LoadedProfile, STATEMENT_FILE_NAME};
use accord_proto::{
    c2sp::{SigningKey, VerifierKey},
    statement::parse_joint,
};

use crate::command::{beside, set_up};

/// A whole statement, one option a time.
const WHOLE: [&str; 10] = [
    "--for",
    "accesses by first-bank",
    "--because",
    "complaint",
    "--sensitivity",
    "restricted",
    "--recipient",
    "Head of Supervision",
    "--needed-by",
    "DAY",
];

/// The options, with a day that is near.
fn whole() -> Vec<String> {
    let now = accord_proto::clock::SystemClock::shared().now();
    let day = now.to_zoned(jiff::tz::TimeZone::UTC).date().to_string();
    WHOLE.map(|word| word.replace("DAY", &day)).to_vec()
}

async fn show(dir: &Path, options: &[String]) -> (i32, String, String) {
    let mut args = vec!["audit", "show", "1"];
    args.extend(options.iter().map(String::as_str));
    beside(dir, &args).await
}

#[tokio::test]
async fn the_profile_states_what_the_command_line_does_not() {
    let (stub, dir) = set_up([]).await;
    let (code, _, error) = show(dir.path(), &["--because".to_owned(), "a case".to_owned()]).await;
    assert_eq!(code, 0, "{error}");
    assert!(error.contains("stating: the test's two entries; because: a case"));
    let stated = stub.seen.statements.lock().unwrap().clone();
    assert_eq!(stated.len(), 1);
    assert_eq!(stated[0].description, "the test's two entries");
    assert_eq!(stated[0].purpose, "a case");
}

#[tokio::test]
async fn who_states_nothing_is_told_what_to_write() {
    let (stub, dir) = set_up([]).await;
    fs::remove_file(dir.path().join(STATEMENT_FILE_NAME)).unwrap();
    let (code, _, error) = show(dir.path(), &[]).await;
    assert_eq!(code, 2, "{error}");
    for word in ["--for", "--because", "--needed-by", STATEMENT_FILE_NAME] {
        assert!(error.contains(word), "{word}: {error}");
    }
    for at in (0..WHOLE.len()).step_by(2) {
        let mut options = whole();
        let left_out: Vec<_> = options.drain(at..at + 2).collect();
        let (code, _, error) = show(dir.path(), &options).await;
        assert_eq!(code, 2, "{error}");
        assert!(error.contains(&format!("({})", left_out[0])), "{error}");
    }
    assert!(stub.seen.statements.lock().unwrap().is_empty());
    let (code, _, error) = show(dir.path(), &whole()).await;
    assert_eq!(code, 0, "{error}");
}

#[tokio::test]
async fn a_phone_number_is_not_stated() {
    let (stub, dir) = set_up([]).await;
    let options = ["--for", "who asked about 07700 900001"].map(str::to_owned);
    let (code, _, error) = show(dir.path(), &options).await;
    assert_eq!(code, 2, "{error}");
    assert!(
        error.contains("phone number") && !error.contains("900001"),
        "{error}"
    );
    assert!(stub.seen.statements.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_joint_statement_is_signed_by_each_and_read_with() {
    let (stub, dir) = set_up([]).await;
    let mut keys: Vec<VerifierKey> = Vec::new();
    let note = dir.path().join("joint.note").display().to_string();
    let make = async |key: &str, more: &[String]| {
        let mut args = vec!["audit", "statement", note.as_str(), "--key", key];
        args.extend(more.iter().map(String::as_str));
        beside(dir.path(), &args).await
    };
    for name in ["telecom-regulator", "central-bank"] {
        let key = SigningKey::generate(name).unwrap();
        let file = dir.path().join(format!("{name}.key")).display().to_string();
        fs::write(&file, key.to_secret_text().expose()).unwrap();
        keys.push(key.verifier().clone());
        let options = if keys.len() == 1 { whole() } else { Vec::new() };
        let (code, out, error) = make(&file, &options).await;
        assert_eq!(code, 0, "{error}");
        assert!(out.contains("recipient: Head of Supervision"), "{out}");
        // What is there is signed as it is, or not at all.
        let (code, _, error) = make(&file, &whole()).await;
        assert_eq!(code, 2, "{error}");
    }
    let signed = parse_joint(&fs::read_to_string(&note).unwrap()).unwrap();
    assert_eq!(signed.ledger, "accord-test");
    assert_eq!(signed.note.verify(&keys).unwrap().len(), 2);
    let joint = ["--joint", note.as_str()].map(str::to_owned);
    let (code, _, error) = show(dir.path(), &joint).await;
    assert_eq!(code, 0, "{error}");
    assert!(
        error.contains("jointly stating: accesses by first-bank"),
        "{error}"
    );
    let stated = stub.seen.statements.lock().unwrap().clone();
    assert_eq!(stated, [signed.statement.to_wire()]);
    let (code, _, error) = show(dir.path(), &[joint.as_slice(), &whole()].concat()).await;
    assert_eq!(code, 2, "{error}");
    fs::write(&note, "no note\n").unwrap();
    let (code, _, error) = show(dir.path(), &joint).await;
    assert_eq!(code, 2, "{error}");
    assert!(error.contains("joint.note"), "{error}");
}

#[tokio::test]
async fn a_joint_statement_is_for_one_ledger_and_signed_by_authorities_only() {
    let (_stub, dir) = set_up([]).await;
    let mut profile = LoadedProfile::load(dir.path()).unwrap().profile;
    let mut vkeys = Vec::new();
    let mut file = |name: &str, file: &str| {
        let key = SigningKey::generate(name).unwrap();
        let path = dir.path().join(file).display().to_string();
        fs::write(&path, key.to_secret_text().expose()).unwrap();
        vkeys.push(key.verifier().to_string());
        path
    };
    let bank = file("central-bank", "bank.sign");
    let regulator = file("telecom-regulator", "regulator.sign");
    // The right name with another key, and another name.
    let strangers = [
        file("central-bank", "false.sign"),
        file("other", "other.sign"),
    ];
    vkeys.truncate(2);
    profile.agreement = Some(AgreementSection {
        file: "agreement.note".into(),
        authority_vkeys: vkeys,
    });
    profile.write(dir.path()).unwrap();
    let note = dir.path().join("joint.note").display().to_string();
    let sign = async |key: &str, more: &[String]| {
        let mut args = vec!["audit", "statement", note.as_str(), "--key", key];
        args.extend(more.iter().map(String::as_str));
        beside(dir.path(), &args).await
    };
    for stranger in &strangers {
        let (code, out, error) = sign(stranger, &whole()).await;
        assert!(
            code == 2 && error.contains("is neither authority's"),
            "{out}{error}"
        );
        assert!(!Path::new(&note).exists());
    }
    let (code, out, error) = sign(&bank, &whole()).await;
    assert_eq!(code, 0, "{error}");
    assert!(out.contains("ledger: accord-test"), "{out}");
    let before = fs::read(&note).unwrap();
    let (code, _, error) = sign(&strangers[1], &[]).await;
    assert!(
        code == 2 && error.contains("is neither authority's"),
        "{error}"
    );
    // Nor is what is there signed for a ledger that is not one's own.
    let elsewhere = ["--ledger", "accord.elsewhere"].map(str::to_owned);
    let (code, _, error) = sign(&regulator, &elsewhere).await;
    assert!(
        code == 2 && error.contains("for the ledger `accord-test`"),
        "{error}"
    );
    assert_eq!(fs::read(&note).unwrap(), before);
    let (code, out, error) = sign(&regulator, &[]).await;
    assert_eq!(code, 0, "{error}");
    assert!(
        out.contains("signed by central-bank and telecom-regulator"),
        "{out}"
    );
}
