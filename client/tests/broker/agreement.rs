//! The agreement, as the command checks, signs and shows it.

use std::{fs, path::Path};

use accord_client::profile::{AgreementSection, LoadedProfile};
use accord_proto::{agreement::with_dates, c2sp::SigningKey, clock::SystemClock};
use jiff::ToSpan as _;
use serde_json::Value;

use crate::{
    command::{accord, told},
    parties::Parties,
};

pub(crate) const SAMPLE: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../tests/samples/agreement.toml"
);

/// The sample, in force today.
fn sample(days_left: i64) -> String {
    let now = SystemClock::shared().now();
    let today = now.to_zoned(jiff::tz::TimeZone::UTC).date();
    let text = fs::read_to_string(SAMPLE).unwrap();
    let (from, to) = (today - 10.days(), today + days_left.days());
    with_dates(&text, from, to).unwrap()
}

fn write(dir: &Path, name: &str, text: &str) -> String {
    let path = dir.join(name);
    fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn a_sound_agreement_is_explained_as_a_table() {
    let (code, out, error) = told(&accord(None, &["agreement", "check", SAMPLE]));
    assert_eq!(code, 0, "{error}");
    assert!(out.contains("how precisely"), "{out}");
    assert!(out.contains("whatever is not listed is refused"), "{out}");
    let (code, out, _) = told(&accord(None, &["agreement", "check", SAMPLE, "--json"]));
    let json: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(code, 0);
    assert!(!json["permissions"].as_array().unwrap().is_empty());
}

#[test]
fn a_mistake_is_named_with_file_and_line() {
    let dir = tempfile::tempdir().unwrap();
    let sample = fs::read_to_string(SAMPLE).unwrap();
    let bad = sample.replacen("purposes", "porpoises", 1);
    let line = 1 + bad
        .lines()
        .position(|line| line.contains("porpoises"))
        .unwrap();
    let file = write(dir.path(), "bad.toml", &bad);
    let (code, out, _) = told(&accord(None, &["agreement", "check", &file]));
    assert_eq!(code, 1);
    let said = out.lines().any(|said| {
        said.starts_with(&file) && said.contains(&line.to_string()) && said.contains("porpoises")
    });
    assert!(said, "line {line}: {out}");
}

#[test]
fn both_authorities_sign_and_the_status_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let text = sample(20);
    let file = write(dir.path(), "agreement.note", &text);
    let parties = Parties::new();
    parties.write_profile(dir.path(), "127.0.0.1:1".parse().unwrap());
    let mut profile = LoadedProfile::load(dir.path()).unwrap().profile;
    let mut vkeys = Vec::new();
    for authority in ["telecom-regulator", "central-bank"] {
        let key = SigningKey::generate(authority).unwrap();
        vkeys.push(key.verifier().to_string());
        let key = write(dir.path(), authority, key.to_secret_text().expose());
        let (code, _, error) = told(&accord(None, &["agreement", "sign", &file, "--key", &key]));
        assert_eq!(code, 0, "{error}");
    }
    profile.agreement = Some(AgreementSection {
        file: "agreement.note".into(),
        authority_vkeys: vkeys,
    });
    profile.write(dir.path()).unwrap();
    let args = ["agreement", "status", "--file", &file];
    let (code, out, error) = told(&accord(Some(dir.path()), &args));
    assert_eq!(code, 0, "{error}");
    assert!(
        out.contains("verified") && out.contains("in force"),
        "{out}"
    );
    assert!(error.contains("ends within 30 days"), "{error}");

    let note = fs::read_to_string(&file).unwrap();
    let forged = write(
        dir.path(),
        "forged.note",
        &note.replacen("payment", "login", 1),
    );
    let args = ["agreement", "status", "--file", &forged];
    assert_eq!(told(&accord(Some(dir.path()), &args)).0, 1);
}

#[test]
fn a_stranger_can_not_sign_and_no_key_is_repeated() {
    let dir = tempfile::tempdir().unwrap();
    let file = write(dir.path(), "agreement.toml", &sample(90));
    let stranger = SigningKey::generate("stranger").unwrap();
    let key = write(dir.path(), "stranger", stranger.to_secret_text().expose());
    let (code, _, error) = told(&accord(None, &["agreement", "sign", &file, "--key", &key]));
    assert_eq!(code, 1);
    assert!(error.contains("neither of the two authorities"), "{error}");
    let broken = write(dir.path(), "broken", "PRIVATE+KEY+oops+12345678+c2VjcmV0");
    let (code, _, error) = told(&accord(
        None,
        &["agreement", "sign", &file, "--key", &broken],
    ));
    assert_eq!(code, 1);
    assert!(!error.contains("c2VjcmV0"), "{error}");
}

#[test]
fn a_key_is_made_once_and_only_its_owner_reads_it() {
    use std::os::unix::fs::PermissionsExt as _;

    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("central-bank.key");
    let file = path.to_str().unwrap();
    let args = ["new-key", "central-bank", "--output", file];
    let (code, out, error) = told(&accord(None, &args));
    assert_eq!(code, 0, "{error}");
    let text = fs::read_to_string(&path).unwrap();
    let key = SigningKey::parse(text.trim()).unwrap();
    assert_eq!(out.trim(), key.verifier().to_string());
    assert_eq!(
        fs::metadata(&path).unwrap().permissions().mode() & 0o777,
        0o600
    );
    // The last of five fields; base64 may hold a `+` of its own.
    let secret = text.trim().splitn(5, '+').nth(4).unwrap();
    assert_eq!(secret.len(), 44, "33 bytes in base64");
    assert!(!out.contains(secret) && !error.contains(secret));

    assert_eq!(told(&accord(None, &args)).0, 1, "it is there already");
    assert_eq!(fs::read_to_string(&path).unwrap(), text);
    let other = dir.path().join("other.key");
    let args = ["new-key", "a name", "--output", other.to_str().unwrap()];
    assert_eq!(told(&accord(None, &args)).0, 2);
    assert!(!other.exists());
}

#[test]
fn a_list_of_parties_with_a_mistake_is_not_signed() {
    let dir = tempfile::tempdir().unwrap();
    let text = "[parties]\nid = \"P\"\nversion = 1\n\n[[party]]\nname = \"First Bank\"\n";
    let file = write(dir.path(), "parties.toml", text);
    let key = SigningKey::generate("central-bank").unwrap();
    let key = write(dir.path(), "key", key.to_secret_text().expose());
    for args in [
        ["parties", "check", &file].as_slice(),
        &["parties", "sign", &file, "--key", &key],
    ] {
        let (code, out, _) = told(&accord(None, args));
        assert_eq!(code, 1);
        assert!(out.contains(&file) && out.contains("line 5"), "{out}");
    }
    assert_eq!(fs::read_to_string(&file).unwrap(), text);
}
