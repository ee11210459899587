use serde::Deserialize as _;

use super::*;

const LEAST: &str = "origin_host = \"as.example\"\norigin_realm = \"example\"\njournal_dir = \"j\"\n\
    journal_key_file = \"k\"\n";
const PEER: &str = "[[peer]]\naddress = \"127.0.0.1:3868\"\n";

fn config(more: &str, sections: &str) -> Result<DiameterConfig, toml::de::Error> {
    toml::from_str(&format!("{LEAST}{more}\n{sections}"))
}

fn refused(more: &str, sections: &str) -> String {
    let checked = config(more, sections).unwrap().check();
    checked.err().unwrap().to_string()
}

#[test]
fn what_is_not_given_has_a_default_that_holds() {
    let checked = config("", PEER).unwrap().check().unwrap();
    assert_eq!(checked.manner.destination_realm, "example");
    assert_eq!(checked.peers[0].watchdog, Duration::from_secs(30));
    assert!(checked.peers[0].tls.is_none() && checked.forwarding.is_none());
}

#[test]
fn each_rule_names_its_key() {
    for (more, key) in [
        ("request_timeout_ms = 10001", "request_timeout_ms"),
        ("poll_ms = 1", "poll_ms"),
        ("poll_in_flight = 0", "poll_in_flight"),
        ("gap_max_ms = 300000", "gap_max_ms"),
        ("watched_max = 0", "watched_max"),
        ("asks_max = 0", "asks_max"),
        ("unanswered_max = 0", "unanswered_max"),
        ("message_bytes_max = 1000", "message_bytes_max"),
        ("connect_timeout_ms = 1", "connect_timeout_ms"),
        ("watchdog_ms = 5999", "watchdog_ms"),
        ("reconnect_ms_max = 1", "reconnect_ms_max"),
        ("destination_realm = \"a b\"", "destination_realm"),
        ("destination_host = \"\"", "destination_host"),
        ("watch = [\"07700900001\"]", "watch"),
        ("serving = [{ home = true }]", "serving"),
        ("home_plmns = [\"9\"]", "home_plmns"),
        ("sim_swap = false", "sim_swap"),
    ] {
        let error = refused(more, PEER);
        assert!(error.contains(&format!("`{key}`")), "{error}");
        assert!(!error.contains("7700900001"), "{error}");
    }
    let forwarding = format!("{PEER}[forwarding]\nservice_indications = []");
    assert!(refused("", &forwarding).contains("`forwarding.service_indications`"));
}

#[test]
fn a_peer_has_an_address_and_its_certificate_a_name() {
    for (section, key) in [
        ("peer = []", "peer"),
        ("[[peer]]\naddress = \"hss.example\"", "peer.address"),
        ("[[peer]]\naddress = \"hss.example:0\"", "peer.address"),
        ("[[peer]]\naddress = \":3868\"", "peer.address"),
        ("[[peer]]\naddress = \"a:1\"\nhost = \"a b\"", "peer.host"),
    ] {
        assert!(
            refused("", section).contains(&format!("`{key}`")),
            "{section}"
        );
    }
    let many = PEER.repeat(PEERS_MAX + 1);
    assert!(refused("", &many).contains("`peer`"));
    let absent = format!("{PEER}[tls]\nroots = \"/nowhere/roots.pem\"");
    assert!(refused("", &absent).contains("/nowhere/roots.pem"));
}

#[test]
fn unknown_keys_are_refused_in_every_section() {
    assert!(config("pol_ms = 1", PEER).is_err());
    assert!(config("", "[[peer]]\naddress = \"a:1\"\nhots = \"b\"").is_err());
    assert!(config("", &format!("{PEER}[tls]\nrotos = \"r\"")).is_err());
}

#[test]
fn the_section_on_the_operators_page_is_one_that_holds() {
    let page = include_str!("../../../../docs/operators/diameter-sh.md");
    let text = page
        .split("```toml")
        .nth(1)
        .unwrap()
        .split("```")
        .next()
        .unwrap();
    let mut table: toml::Table = text.parse().unwrap();
    let mut source = table["source"].as_array_mut().unwrap().remove(0);
    source.as_table_mut().unwrap().remove("kind").unwrap();
    let mut config = DiameterConfig::deserialize(source).unwrap();
    config.tls.take().unwrap();
    let checked = config.check().unwrap();
    assert_eq!(checked.peers[0].address, "192.0.2.1:5658");
    assert!(checked.forwarding.is_some() && !checked.places.is_empty());
}
