//! Certificates that are about to end, have ended or have not begun.

use std::os::unix::fs::PermissionsExt as _;

use accord_certs::{LeafOptions, Pki};
use tempfile::TempDir;

use super::*;

const MADE: &str = "2026-11-21T12:00:00Z";

/// A certificate for `days` under a CA of ten years, both made at noon of one day.
fn files(days: i64) -> (TempDir, TlsFiles) {
    let made: Timestamp = MADE.parse().unwrap();
    let pki = Pki::new("accord.test", made).unwrap();
    let life = SignedDuration::from_hours(24 * days);
    let leaf = LeafOptions::at(made).lifetime(life);
    let leaf = pki.issue("operator", "north-mobile", &leaf).unwrap();
    let dir = TempDir::new().unwrap();
    leaf.write(dir.path(), "adapter").unwrap();
    std::fs::write(dir.path().join("ca.pem"), pki.certificate_pem()).unwrap();
    let files = TlsFiles {
        roots: dir.path().join("ca.pem"),
        certificate: dir.path().join("adapter.pem"),
        key: dir.path().join("adapter.key"),
        domain: None,
    };
    (dir, files)
}

fn found(files: &TlsFiles, at: &str) -> TlsFound {
    let operator = OrgName::parse("north-mobile").unwrap();
    TlsFound::of(files, &operator, at.parse().unwrap())
}

#[test]
fn what_ends_within_thirty_days_has_ended_or_not_begun_looks_wrong() {
    let (_dir, files) = files(90);
    for (at, said) in [
        (
            "2026-11-20T12:00:00Z",
            Some(
                "adapter.pem` is good only from 2026-11-21T11:00:00Z on; it is now 2026-11-20T12:00:00Z",
            ),
        ),
        ("2026-11-21T12:00:00Z", None),
        ("2027-01-20T11:59:59Z", None),
        (
            "2027-01-20T12:00:01Z",
            Some("adapter.pem` expires at 2027-02-19T12:00:00Z, in 29 days: renew it"),
        ),
        ("2027-02-19T11:59:59Z", Some("in 0 days")),
        (
            "2027-02-19T12:00:01Z",
            Some("adapter.pem` expired at 2027-02-19T12:00:00Z; it is now"),
        ),
    ] {
        let found = found(&files, at);
        // Before the leaf began the root had not begun either.
        let wrong = found.wrong.first();
        match said {
            None => assert_eq!(wrong, None, "{at}"),
            Some(said) => assert!(
                wrong.is_some_and(|wrong| wrong.contains(said)),
                "{at}: {wrong:?}"
            ),
        }
        assert_eq!(
            found.valid_until,
            Some("2027-02-19T12:00:00Z".parse().unwrap())
        );
        let name = "spiffe://accord.test/operator/north-mobile";
        assert_eq!(found.name.as_deref(), Some(name));
    }
}

#[test]
fn roots_look_wrong_only_if_none_of_them_is_good_for_long() {
    // A leaf that outlives its CA, for the CA's own end.
    let (dir, files) = files(20 * 365);
    let late = "2036-11-20T12:00:00Z";
    let wrong = found(&files, late).wrong;
    assert!(
        matches!(wrong.as_slice(), [one] if one.contains("ca.pem` holds no root that is good for long; the last expired at")),
        "{wrong:?}"
    );
    let newer = Pki::new("accord.test", "2030-01-01T00:00:00Z".parse().unwrap()).unwrap();
    let both = std::fs::read_to_string(&files.roots).unwrap() + newer.certificate_pem();
    std::fs::write(dir.path().join("ca.pem"), both).unwrap();
    assert_eq!(found(&files, late).wrong, Vec::<String>::new());
}

#[test]
fn a_key_that_everybody_can_read_looks_wrong_and_so_do_files_that_are_not_there() {
    let (dir, files) = files(90);
    let mode = std::fs::Permissions::from_mode(0o644);
    std::fs::set_permissions(&files.key, mode).unwrap();
    let wrong = found(&files, MADE).wrong;
    assert!(
        matches!(wrong.as_slice(), [one] if one.ends_with("chmod 600")),
        "{wrong:?}"
    );
    std::fs::remove_file(dir.path().join("adapter.pem")).unwrap();
    std::fs::remove_file(dir.path().join("adapter.key")).unwrap();
    let found = found(&files, MADE);
    assert_eq!((found.wrong.len(), found.name), (2, None));
}
