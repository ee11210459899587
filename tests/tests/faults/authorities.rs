//! Authorities whose keys the ledger does not pin: the broker does not start under them.

use std::{
    fs,
    process::{Command, Stdio},
};

use accord_proto::c2sp::SigningKey;
use accord_tests::world::WorldSpec;

use super::rig::{Rig, program};

#[test]
fn authorities_that_the_ledger_does_not_pin_are_refused() {
    let rig = Rig::new(&WorldSpec::default());
    let config = rig.files.broker_config_path();
    let text = fs::read_to_string(&config).unwrap();
    for role in ["telecom_regulator", "central_bank"] {
        let (_, rest) = text.split_once(&format!("{role} = \"")).unwrap();
        let (pinned, _) = rest.split_once('"').unwrap();
        let (name, _) = pinned.split_once('+').unwrap();
        let stranger = SigningKey::generate(name).unwrap().verifier().to_string();
        fs::write(&config, text.replacen(pinned, &stranger, 1)).unwrap();
        let output = Command::new(program("accord-broker"))
            .arg("serve")
            .arg("--config")
            .arg(&config)
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        assert_eq!(output.status.code(), Some(1), "{said}");
        let words = "authorities: not the keys that the first entry of the ledger pins";
        assert!(said.contains(words), "{role}: {said}");
    }
}
