//! Sections with one mistake each.

use super::*;

fn check(more: &str) -> Result<(), EventsConfigError> {
    let text = format!(
        "producers = {{ crm = [\"swaps\"] }}\njournal_dir = \"j\"\njournal_key_file = \"k\"\n{more}"
    );
    toml::from_str::<EventsConfig>(&text).unwrap().check()
}

#[test]
fn each_rule_names_its_key() {
    let nats = "nats = { servers = [\"nats://127.0.0.1:4222\"], stream = \"S\" }";
    assert_eq!(check(nats), Ok(()));
    let hook = "webhook = { listen = \"127.0.0.1:0\", secret_file = \"s\" }";
    assert_eq!(check(hook), Ok(()));
    for (more, key) in [
        ("", "nats"),
        (&format!("{nats}\n{hook}"), "webhook"),
        (&format!("{hook}\nearliest = \"1970-01-01\""), "earliest"),
        (&format!("{hook}\nearliest = \"long ago\""), "earliest"),
        ("heartbeat_max_ms = 0", "heartbeat_max_ms"),
        ("gap_max_ms = 10", "gap_max_ms"),
        ("lateness_ms = 400000", "lateness_ms"),
        ("clock_tolerance_ms = 1", "clock_tolerance_ms"),
        ("subscribers_max = 0", "subscribers_max"),
        ("nats = { servers = [], stream = \"S\" }", "nats.servers"),
        (
            "nats = { servers = [\"http://127.0.0.1:4222\"], stream = \"S\" }",
            "nats.servers",
        ),
        (
            "nats = { servers = [\"127.0.0.1:4222\"], stream = \"S\" }",
            "nats.servers",
        ),
        (
            "nats = { servers = [\"nats://127.0.0.1:port\"], stream = \"S\" }",
            "nats.servers",
        ),
        (
            "nats = { servers = [\"nats://127.0.0.1:1\"], stream = \"S\", user = \"u\", \
             password_file = \"p\", credentials_file = \"c\" }",
            "nats.user",
        ),
        (
            "nats = { servers = [\"nats://192.0.2.1:4222\"], stream = \"S\" }",
            "nats.roots",
        ),
        (
            "nats = { servers = [\"nats://127.0.0.1:1\"], stream = \"a.b\" }",
            "nats.stream",
        ),
        (
            "nats = { servers = [\"nats://127.0.0.1:1\"], stream = \"S\", user = \"u\" }",
            "nats.user",
        ),
        (
            "webhook = { listen = \"0.0.0.0:1\", secret_file = \"s\" }",
            "webhook.certificate",
        ),
        (
            "webhook = { listen = \"127.0.0.1:1\", secret_file = \"s\", replay_window_s = 1 }",
            "webhook.replay_window_s",
        ),
    ] {
        assert_eq!(check(more).unwrap_err().key, key, "{more}");
    }
}

#[test]
fn each_producer_has_a_name_and_carries_something() {
    for (producers, rule) in [
        ("{}", "1 to 16"),
        ("{ crm = [] }", "what it carries"),
        ("{ \"\" = [\"swaps\"] }", "1 to 128"),
    ] {
        let hook = "webhook = { listen = \"127.0.0.1:0\", secret_file = \"s\" }";
        let dirs = "journal_dir = \"j\"\njournal_key_file = \"k\"";
        let text = format!("producers = {producers}\n{dirs}\n{hook}");
        let refused = toml::from_str::<EventsConfig>(&text).unwrap().check();
        let refused = refused.unwrap_err();
        assert_eq!(refused.key, "producers");
        assert!(refused.rule.contains(rule), "{producers}: {refused}");
    }
}
