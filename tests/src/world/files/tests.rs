use accord_proto::{agreement::SignedAgreement, clock::ManualClock};
use jiff::SignedDuration;

use super::*;

const KEPT: [&str; 8] = [
    "agreement.toml",
    "parties.toml",
    "pki/ca.pem",
    "pki/broker.key",
    "pki/first-bank.pem",
    "pki/first-bank.token.key",
    "authorities/central-bank.key",
    "ledger.key",
];

fn contents(dir: &Path) -> Vec<String> {
    let content = |name| fs::read_to_string(dir.join(name)).unwrap();
    KEPT.into_iter().map(content).collect()
}

fn version(files: &WorldFiles) -> u64 {
    let note = fs::read_to_string(files.agreement_path()).unwrap();
    let agreement = SignedAgreement::open(&note, &files.authorities().unwrap(), None).unwrap();
    let term = agreement.document().term();
    term.check_in_force(files.now()).unwrap();
    agreement.document().version()
}

#[test]
fn what_is_still_good_is_kept_and_what_expires_is_made_anew() {
    let dir = tempfile::tempdir().unwrap();
    let clock = ManualClock::at("2026-11-22T12:00:00Z".parse().unwrap());
    let spec = WorldSpec {
        clock: clock.clone(),
        ..WorldSpec::default()
    };
    let files = WorldFiles::write(dir.path(), &spec).unwrap();
    assert_eq!(version(&files), 1);
    let first = contents(dir.path());
    clock.step(SignedDuration::from_hours(24));
    WorldFiles::write(dir.path(), &spec).unwrap();
    assert_eq!(contents(dir.path()), first);

    clock.step(SignedDuration::from_hours(380 * 24));
    let files = WorldFiles::write(dir.path(), &spec).unwrap();
    assert_eq!(version(&files), 2);
    let changed: Vec<&str> = KEPT
        .into_iter()
        .zip(first.iter().zip(&contents(dir.path())))
        .filter(|(_, (old, new))| old != new)
        .map(|(name, _)| name)
        .collect();
    let expected = ["agreement.toml", "pki/broker.key", "pki/first-bank.pem"];
    assert_eq!(changed, expected);
}

#[test]
fn another_text_becomes_the_next_version() {
    let dir = tempfile::tempdir().unwrap();
    let spec = WorldSpec::default();
    WorldFiles::write(dir.path(), &spec).unwrap();
    let spec = WorldSpec {
        agreement: spec
            .agreement
            .replace("per_second = 200", "per_second = 100"),
        ..spec
    };
    let files = WorldFiles::write(dir.path(), &spec).unwrap();
    assert_eq!(version(&files), 2);
    let next = files.next_agreement_text().unwrap();
    files.resign_agreement(&next).unwrap();
    assert_eq!(version(&files), 3);
}

#[test]
fn a_revocation_survives_the_next_start() {
    let dir = tempfile::tempdir().unwrap();
    let spec = WorldSpec::default();
    let files = WorldFiles::write(dir.path(), &spec).unwrap();
    files.revoke("first-bank").unwrap();
    let revoked = || fs::read_to_string(dir.path().join("pki/revoked")).unwrap();
    let before = revoked();
    assert_eq!(before.lines().count(), 1);
    WorldFiles::write(dir.path(), &spec).unwrap();
    assert_eq!(revoked(), before);
    assert!(files.revoke("nobody").is_err());
}
