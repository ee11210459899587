//! The adapter's own certificate, and what else only a run needs: told before any source is asked.

use std::os::unix::fs::PermissionsExt as _;

use accord_certs::LeafOptions;
use accord_proto::clock::{Clock as _, SystemClock};
use jiff::SignedDuration;
use serde_json::Value;

use crate::{CONFIG, Desk, VIRTUAL};

const NAME: &str = "spiffe://accord.test/operator/north-mobile";

#[test]
fn a_good_certificate_is_named_with_its_end_in_the_table_and_in_json() {
    let desk = Desk::with(VIRTUAL);
    let json = desk.path("report.json");
    let said = desk.check(&["--report", json.to_str().unwrap()]);
    assert_eq!(said.code, Some(0), "{}{}", said.out, said.err);
    let line = format!("\nto brokers the adapter is {NAME}, good until 2");
    assert!(said.out.contains(&line), "{}", said.out);
    let report: Value = serde_json::from_slice(&std::fs::read(&json).unwrap()).unwrap();
    assert_eq!(report["tls"]["name"], NAME);
    assert_eq!(report["tls"]["wrong"], Value::Array(Vec::new()));
}

#[test]
fn files_that_are_not_there_yet_are_all_named_first_and_the_sources_are_asked_all_the_same() {
    let desk = Desk::with(VIRTUAL);
    for file in ["ca.pem", "adapter.pem", "adapter.key"] {
        std::fs::remove_file(desk.path(file)).unwrap();
    }
    let said = desk.check(&["--number", "+447700900001", "--rounds", "1"]);
    assert_eq!(said.code, Some(1), "{}", said.out);
    let (first, sources) = said.out.split_once("source virtual (virtual)").unwrap();
    for key in ["roots", "certificate", "key"] {
        let line = format!("wrong: `tls.{key}` can't be used: can't read `");
        assert!(first.contains(&line), "{first}");
    }
    assert!(sources.contains("1 questions"), "{sources}");
    assert!(
        sources.contains("result: 3 thing(s) look wrong"),
        "{sources}"
    );
}

#[test]
fn a_certificate_that_ends_soon_or_names_somebody_else_does_not_conform() {
    let desk = Desk::with(VIRTUAL);
    let days = |days: i64| {
        LeafOptions::at(SystemClock.now()).lifetime(SignedDuration::from_hours(24 * days))
    };
    for (operator, options, wrong) in [
        ("north-mobile", days(29), ", in 28 days: renew it"),
        ("north-mobile", days(-1), "adapter.pem` expired at "),
        (
            "south-mobile",
            days(90),
            "must have exactly one URI name, `spiffe://<trust domain>/operator/north-mobile`",
        ),
    ] {
        desk.issue(operator, &options);
        let said = desk.check(&[]);
        assert_eq!(said.code, Some(1), "{}", said.out);
        assert!(said.out.contains(wrong), "{}", said.out);
        assert!(
            said.out.contains("result: 1 thing(s) look wrong"),
            "{}",
            said.out
        );
    }
}

#[test]
fn what_only_a_run_reads_is_a_mistake_of_the_configuration_here_too() {
    let fails = |desk: &Desk, expected: &str| {
        let said = desk.check(&[]);
        assert_eq!(said.code, Some(64), "{}", said.err);
        assert!(said.err.contains(expected), "{}", said.err);
        assert!(!desk.path("journal").exists() && !desk.path("keys/checkpoint.key").exists());
    };
    let mistaken = |from: &str, to: &str, expected: &str| {
        let desk = Desk::with(VIRTUAL);
        let text = format!("{CONFIG}{VIRTUAL}");
        assert!(text.contains(from));
        std::fs::write(&desk.config, text.replace(from, to)).unwrap();
        fails(&desk, expected);
    };
    mistaken(
        "instance = \"a\"",
        "instance = \"a b\"",
        "`: instance: 1 to 64 printable",
    );
    mistaken(
        "instance =",
        "credit = 0\ninstance =",
        "`: credit: 1 to 65536",
    );
    mistaken(
        ":7444\"",
        ":port\"",
        "`: broker.endpoint: reads `https://host:port`",
    );
    mistaken(
        ":7444\"",
        ":7444\"\ndomain = \"a b\"",
        "`: broker.domain: is the DNS name",
    );
    mistaken(
        "[tls]",
        "[log]\nfilter = \"accord=loud\"\n[tls]",
        "`: log.filter: ",
    );
    mistaken(
        "[tls]",
        "[[broker]]\nendpoint = \"https://broker.example:7444\"\n[tls]",
        "`: broker.endpoint: two brokers have one",
    );

    let desk = Desk::with(&format!("[restrictions]\nfile = \"r.toml\"\n{VIRTUAL}"));
    fails(&desk, "r.toml`: No such file");
    std::fs::write(desk.path("r.toml"), "[[kil]]\n").unwrap();
    fails(&desk, "r.toml`: line 1: unknown field `kil`");

    let desk = Desk::with(VIRTUAL);
    let key = desk.path("keys/subject.key");
    std::fs::create_dir(desk.path("keys")).unwrap();
    std::fs::write(&key, "x").unwrap();
    let mode =
        |mode| std::fs::set_permissions(&key, std::fs::Permissions::from_mode(mode)).unwrap();
    mode(0o644);
    fails(
        &desk,
        "subject.key` can be read by others than its owner: chmod 600",
    );
    mode(0o600);
    fails(&desk, "subject.key` does not hold 64 hexadecimal digits");
}
