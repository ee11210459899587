//! `check-config` finds before the start what the start would find.

use std::fs;

use accord_tests::world::WorldSpec;

use crate::{
    programs::{CONFIG, FAILED, ends, says, with},
    rig::Rig,
};

#[test]
fn a_certificate_or_a_key_that_is_of_no_use_is_named_before_the_start() {
    let rig = Rig::new(&WorldSpec::default());
    let config = rig.files.broker_config_path();
    let keys = rig.files.dir().join("keys");
    fs::create_dir_all(&keys).unwrap();
    let checked = |config: &str, words: &[&str]| {
        for (command, code) in [("serve", FAILED), ("check-config", CONFIG)] {
            says(
                &ends("accord-broker", &[command, "--config", config], code),
                words,
            );
        }
    };
    // The key of another certificate, and a list that is none.
    for (from, to) in [
        ("pki/broker.key", "pki/first-bank.key"),
        ("pki/ca.crl", "pki/ca.pem"),
    ] {
        checked(&with(&config, from, to), &[to]);
    }
    let month = rig.files.spec().clock.now().strftime("%Y-%m");
    for name in [&format!("tag-{month}.key"), "view.key"] {
        fs::write(keys.join(name), b"short").unwrap();
        checked(config.to_str().unwrap(), &[name, "32 bytes"]);
        fs::remove_file(keys.join(name)).unwrap();
    }
    fs::remove_dir_all(&keys).unwrap();
    let config = config.to_str().unwrap();
    let said = ends("accord-broker", &["check-config", "--config", config], 0);
    says(&said, &["good", "certificate valid until"]);
    assert!(!keys.exists(), "a check makes no keys");
}
