//! Files of every sort, and such as replace good ones.

use accord_certs::{LeafOptions, Pki};
use jiff::SignedDuration;
use tempfile::TempDir;

use super::*;
use crate::source::words;

/// Noon of some day: certificates are good for 90 days from there, and the CA's for ten years.
fn noon() -> Timestamp {
    "2026-11-21T12:00:00Z".parse().unwrap()
}

fn operator() -> OrgName {
    OrgName::parse("north-mobile").unwrap()
}

struct Desk {
    dir: TempDir,
    pki: Pki,
}

impl Desk {
    fn new() -> Self {
        let pki = Pki::new("accord.test", noon()).unwrap();
        let dir = TempDir::new().unwrap();
        std::fs::write(dir.path().join("ca.pem"), pki.certificate_pem()).unwrap();
        let desk = Self { dir, pki };
        desk.issue("operator", "north-mobile", &LeafOptions::at(noon()));
        desk
    }

    /// Puts another certificate, with its key, in the place of the adapter's.
    fn issue(&self, role: &str, org: &str, options: &LeafOptions) {
        let leaf = self.pki.issue(role, org, options).unwrap();
        leaf.write(self.dir.path(), "adapter").unwrap();
    }

    fn put(&self, name: &str, text: &str) {
        std::fs::write(self.dir.path().join(name), text).unwrap();
    }

    fn text(&self, name: &str) -> String {
        std::fs::read_to_string(self.dir.path().join(name)).unwrap()
    }

    fn files(&self) -> TlsFiles {
        TlsFiles {
            roots: self.dir.path().join("ca.pem"),
            certificate: self.dir.path().join("adapter.pem"),
            key: self.dir.path().join("adapter.key"),
            domain: None,
        }
    }

    fn fault(&self) -> String {
        words(&self.files().load(&operator()).expect_err("it was taken"))
    }
}

#[test]
fn good_files_say_who_the_adapter_is_and_until_when() {
    let desk = Desk::new();
    let read = desk.files().load(&operator()).unwrap();
    let name = "spiffe://accord.test/operator/north-mobile";
    assert_eq!(read.party().to_string(), name);
    let days = SignedDuration::from_hours(24);
    let validity = read.validity();
    assert!(validity.holds(noon()) && validity.holds(noon() + days * 89));
    assert!(!validity.holds(noon() - days) && !validity.holds(noon() + days * 91));
    assert!(read.is_of_client());
    assert!(matches!(read.roots(), [root] if root.holds(noon() + days * 3_000)));
    assert!(desk.files().faults(&operator()).is_empty());
    assert!(!desk.files().key_is_exposed());
}

#[test]
fn a_chain_is_good_for_as_long_as_each_of_its_certificates() {
    let desk = Desk::new();
    let short = LeafOptions::at(noon()).lifetime(SignedDuration::from_hours(24));
    let above = desk.pki.issue("broker", "accord", &short).unwrap();
    let chain = desk.text("adapter.pem") + above.certificate_pem();
    desk.put("adapter.pem", &chain);
    let read = desk.files().load(&operator()).unwrap();
    assert_eq!(
        read.validity().until,
        noon() + SignedDuration::from_hours(24)
    );
}

#[test]
fn a_certificate_of_anybody_else_or_of_nobody_is_refused_by_name() {
    let desk = Desk::new();
    let at = LeafOptions::at(noon());
    for (role, org, options, found) in [
        (
            "operator",
            "south-mobile",
            at.clone(),
            "URI name `spiffe://accord.test/operator/south-mobile`",
        ),
        (
            "bank",
            "north-mobile",
            at.clone(),
            "URI name `spiffe://accord.test/bank/north-mobile`",
        ),
        (
            "operator",
            "north-mobile",
            at.clone().without_identity(),
            "has no URI name",
        ),
        (
            "operator",
            "north-mobile",
            at.with_second_identity("spiffe://accord.test/operator/south-mobile"),
            "has 2 URI names",
        ),
    ] {
        desk.issue(role, org, &options);
        let said = desk.fault();
        assert!(said.contains(found), "{said}");
        assert!(
            said.contains("spiffe://<trust domain>/operator/north-mobile"),
            "{said}"
        );
    }
}

#[test]
fn each_file_that_cannot_be_used_is_named_with_its_key_of_the_configuration() {
    let desk = Desk::new();
    for (key, name) in [
        ("roots", "ca.pem"),
        ("certificate", "adapter.pem"),
        ("key", "adapter.key"),
    ] {
        let good = desk.text(name);
        desk.put(name, "garbage");
        let said = desk.fault();
        assert!(
            said.starts_with(&format!("`tls.{key}` can't be used: `")),
            "{said}"
        );
        assert!(said.contains(&format!("{name}` holds no ")), "{said}");
        desk.put(name, &good);
    }
    let other = desk
        .pki
        .issue("operator", "north-mobile", &LeafOptions::at(noon()));
    desk.put("adapter.key", other.unwrap().key_pem());
    let said = desk.fault();
    assert!(said.contains("is not that of the certificate in"), "{said}");
    assert_eq!(desk.files().faults(&operator()).len(), 1);
}

#[test]
fn all_faults_are_told_together() {
    let desk = Desk::new();
    for name in ["ca.pem", "adapter.pem", "adapter.key"] {
        std::fs::remove_file(desk.dir.path().join(name)).unwrap();
    }
    let faults = desk.files().faults(&operator());
    let keys = ["`tls.roots`", "`tls.certificate`", "`tls.key`"];
    assert_eq!(faults.len(), 3);
    for (fault, key) in faults.iter().zip(keys) {
        let said = words(fault);
        assert!(said.starts_with(key), "{said}");
        assert!(
            said.ends_with("No such file or directory (os error 2)"),
            "{said}"
        );
    }
}

#[test]
fn files_that_replace_good_ones_are_used_only_if_they_are_better() {
    let desk = Desk::new();
    let mut kept = Kept::new(desk.files(), operator());
    let expires = |kept: &Kept| kept.last.as_ref().unwrap().validity().until;
    kept.newest(noon()).unwrap();
    let first = expires(&kept);
    // Cut short, of another operator, expired, or the key of the former: the first stay in use.
    let hours = |hours| LeafOptions::at(noon()).lifetime(SignedDuration::from_hours(hours));
    let key = desk.text("adapter.key");
    desk.put("adapter.key", "garbage");
    kept.newest(noon()).unwrap();
    assert_eq!(expires(&kept), first);
    desk.issue("operator", "south-mobile", &hours(1));
    kept.newest(noon()).unwrap();
    assert_eq!(expires(&kept), first);
    desk.issue("operator", "north-mobile", &hours(-1));
    kept.newest(noon()).unwrap();
    assert_eq!(expires(&kept), first);
    desk.issue("operator", "north-mobile", &hours(1));
    desk.put("adapter.key", &key);
    kept.newest(noon()).unwrap();
    assert_eq!(expires(&kept), first);
    // A good one is.
    desk.issue("operator", "north-mobile", &hours(1));
    kept.newest(noon()).unwrap();
    assert_eq!(expires(&kept), noon() + SignedDuration::from_hours(1));
    // Once that has expired, anything that is well-formed may be what the broker takes.
    desk.issue("operator", "north-mobile", &hours(2));
    kept.newest(noon() + SignedDuration::from_hours(3)).unwrap();
    assert_eq!(expires(&kept), noon() + SignedDuration::from_hours(2));
}

#[test]
fn files_that_never_could_be_used_give_nothing() {
    let desk = Desk::new();
    desk.put("adapter.key", "garbage");
    let mut kept = Kept::new(desk.files(), operator());
    assert!(kept.newest(noon()).is_err());
}
