use super::*;

const FULL: &str = include_str!("../../broker.full.toml");

#[test]
fn the_full_sample_shows_every_key_with_its_default() {
    let config = Config::parse(FULL).unwrap();
    config.check().unwrap();
    let defaults = format!("{:?}", Limits::default());
    assert_eq!(format!("{:?}", config.limits), defaults);
    assert_eq!(config.ledger.segment_mib, default_segment_mib());
    assert_eq!(config.ledger.free_mib_min, default_free_mib_min());
    assert_eq!(
        config.ledger.clock_step_seconds_max,
        default_clock_step_seconds_max()
    );
    assert_eq!(config.views.cache_mib, default_cache_mib());
    assert_eq!(config.replay.mib_max, replay::mib_max());
    assert_eq!(config.index.dir, IndexSection::default().dir);
    let witnesses = format!("{:?}", WitnessesSection::default());
    assert_eq!(format!("{:?}", config.witnesses), witnesses);
    assert_eq!(config.anomalies, AnomaliesSection::default());
    assert_eq!(config.portability, PortabilitySection::default());
    assert_eq!(config.enums, EnumSection::default());
}

#[test]
fn an_unknown_key_is_named_with_its_line() {
    let text = FULL.replace("[listen]", "[listen]\nadmim = 1");
    let error = Config::parse(&text).unwrap_err().to_string();
    assert!(error.contains("admim") && error.contains("line"), "{error}");
}

#[test]
fn an_admin_port_on_the_network_is_refused() {
    let text = FULL.replace("127.0.0.1:7490", "0.0.0.0:7490");
    let (key, _) = Config::parse(&text).unwrap().check().unwrap_err();
    assert_eq!(key, "listen.admin");
}

#[test]
fn each_limit_has_a_least_and_a_most() {
    let (_, limits) = FULL.split_once("\n[limits]\n").unwrap();
    let lines = limits.lines().filter(|line| !line.starts_with('#'));
    let mut checked = 0;
    for line in lines {
        let (key, _) = line.split_once(" = ").unwrap();
        let with = |value: u32| {
            let text = FULL.replace(line, &format!("{key} = {value}"));
            Config::parse(&text).unwrap().limits.check()
        };
        let (named, rule) = with(u32::MAX).unwrap_err();
        assert_eq!(named, format!("limits.{key}"));
        let (least, most) = rule.split_once(" to ").unwrap();
        let (least, most): (u32, u32) = (least.parse().unwrap(), most.parse().unwrap());
        assert!(with(least).is_ok() && with(most).is_ok(), "{key}");
        assert!(with(most + 1).is_err(), "{key}");
        if least > 1 {
            assert!(with(least - 1).is_err(), "{key}");
        }
        checked += 1;
    }
    assert_eq!(checked, 18);
}

#[test]
fn each_other_number_has_a_least_and_a_most() {
    for (section, line, least, most) in [
        ("ledger", "segment_mib = 64", 1, 1_024),
        ("ledger", "free_mib_min = 512", 0, 16_777_216),
        ("ledger", "clock_step_seconds_max = 5", 1, 3_600),
        ("views", "cache_mib = 16", 1, 65_536),
        ("replay", "mib_max = 2048", 1, 1_048_576),
        ("witnesses", "deadline_ms = 1000", 1, 60_000),
        ("witnesses", "start_seconds_max = 10", 1, 3_600),
    ] {
        let (key, _) = line.split_once(" = ").unwrap();
        assert!(FULL.contains(&format!("\n{line}\n")), "{line}");
        let with = |value: u64| {
            let text = FULL.replace(&format!("\n{line}\n"), &format!("\n{key} = {value}\n"));
            Config::parse(&text).unwrap().check()
        };
        with(least).unwrap();
        with(most).unwrap();
        let refused = (format!("{section}.{key}"), format!("{least} to {most}"));
        for value in [
            least.checked_sub(1),
            Some(most + 1),
            Some(u64::from(u32::MAX)),
        ] {
            let Some(value) = value else { continue };
            let (named, rule) = with(value).unwrap_err();
            assert_eq!((named.to_owned(), rule), refused);
        }
    }
}

#[test]
fn keys_inside_the_ledger_are_refused() {
    let text = FULL.replace("dir = \"keys\"", "dir = \"ledger/keys\"");
    let (key, _) = Config::parse(&text).unwrap().check().unwrap_err();
    assert_eq!(key, "keys.dir");
}

#[test]
fn directories_are_compared_where_they_are_however_their_paths_are_written() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("broker.toml");
    let read = |key: &str, value: &str| {
        let line = format!("\n{key} = \"{value}\"");
        let from = match key {
            "sealed_dir" => "\nsealed_dir = \"sealed\"",
            _ => "\ndir = \"keys\"",
        };
        assert!(FULL.contains(from));
        fs::write(&path, FULL.replace(from, &line)).unwrap();
        Config::read(&path).map(drop)
    };
    let at = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    for (key, value, named) in [
        ("dir", "./ledger/keys".to_owned(), "keys.dir"),
        ("dir", "other/../ledger".to_owned(), "keys.dir"),
        ("dir", at("ledger/keys"), "keys.dir"),
        ("dir", at("sealed/keys"), "keys.sealed_dir"),
        ("sealed_dir", at("ledger"), "keys.sealed_dir"),
        ("sealed_dir", at("keys/sealed"), "keys.sealed_dir"),
    ] {
        match read(key, &value) {
            Err(ConfigError::Rule { key, .. }) => assert_eq!(key, named, "{value}"),
            other => panic!("{value}: {other:?}"),
        }
    }
    for apart in ["keys".to_owned(), "ledger/../keys".to_owned(), at("keys")] {
        read("dir", &apart).unwrap();
    }
}

/// The sample of a supplier, as whoever removes the `#` has it.
fn with_supplier(replace: &str, by: &str) -> Result<Config, String> {
    with_changed_supplier(&[(replace, by)])
}

fn with_changed_supplier(changes: &[(&str, &str)]) -> Result<Config, String> {
    let (head, rest) = FULL.split_once("# [[enum.suppliers]]").unwrap();
    let (sample, rest) = rest.split_once("\n\n").unwrap();
    let sample = sample.replace("\n# ", "\n");
    let keys = sample.lines().filter(|line| !line.starts_with("# "));
    let mut keys: String = keys.map(|line| format!("{line}\n")).collect();
    for (replace, by) in changes {
        assert!(keys.contains(replace), "{keys}");
        keys = keys.replace(replace, by);
    }
    let text = format!("{head}[[enum.suppliers]]{keys}\n{rest}");
    let config = Config::parse(&text).map_err(|error| error.to_string())?;
    let checked = config
        .enums
        .check()
        .map_err(|(key, rule)| format!("{key}: {rule}"));
    checked.map(|()| config)
}

#[test]
fn the_sample_of_a_supplier_is_a_good_one_and_shows_the_defaults() {
    let config = with_supplier("name =", "name =").unwrap();
    let [supplier] = config.enums.suppliers.as_slice() else {
        panic!("one supplier is in the sample");
    };
    let bare = with_supplier("timeout_ms = 300\nin_flight_max = 256\n", "").unwrap();
    assert_eq!(bare.enums.suppliers[0], *supplier);
    let bare = with_supplier("ttl_seconds_min = 0\nttl_seconds_max = 3600\n", "").unwrap();
    assert_eq!(bare.enums.suppliers[0], *supplier);
}

#[test]
fn each_rule_of_a_supplier_is_named_by_its_key() {
    for (replace, by, said) in [
        (
            "name = \"north\"",
            "name = \"no rth\"",
            "enum.suppliers.name",
        ),
        ("e164.example", "e164..example", "enum.suppliers.zone"),
        ("\"127.0.0.1:53\"", "", "enum.suppliers.servers"),
        ("covers = [\"+44\"]", "covers = []", "enum.suppliers.covers"),
        (
            "covers = [\"+44\"]",
            "covers = [\"44\"]",
            "enum.suppliers.covers",
        ),
        ("= 300", "= 0", "enum.suppliers.timeout_ms"),
        ("= 256", "= 0", "enum.suppliers.in_flight_max"),
        ("= 3600", "= 700000", "enum.suppliers.ttl_seconds_max"),
        (
            "seconds_min = 0",
            "seconds_min = 3601",
            "enum.suppliers.ttl_seconds_max",
        ),
        ("234-15", "234-5", "enum.suppliers.operators"),
        ("234-15", "447700", "enum.suppliers.operators"),
        ("key_value", "rfc4694", "enum.suppliers.operators"),
        ("key_value", "horisen", "unknown variant"),
        ("not_ported", "perhaps", "unknown variant"),
        ("zone =", "zones =", "unknown field"),
    ] {
        let error = with_supplier(replace, by).unwrap_err();
        assert!(error.contains(said), "{by}: {error}");
    }
    let twice = with_supplier("\"234-15\" =", "\"234-015\" = \"other\", \"234-15\" =");
    assert!(twice.unwrap_err().contains("each once"));
}

#[test]
fn suppliers_name_operators_by_network_or_by_the_longest_routing_number() {
    use accord_proto::naptr::Told;

    let supplier = |replace, by| {
        let config = with_supplier(replace, by).unwrap();
        config.enums.suppliers[0].names()
    };
    let networks = supplier("name =", "name =");
    let named = |mcc, mnc| {
        let operator = networks.operator(&Told::Network { mcc, mnc });
        operator.map(|operator| operator.to_string())
    };
    assert_eq!(named(234, 15).as_deref(), Some("north-mobile"));
    assert_eq!(named(234, 16), None);
    let config = with_changed_supplier(&[
        ("key_value", "rfc4694"),
        (
            "\"234-15\" = \"north-mobile\"",
            "\"4477\" = \"wide\", \"447700999\" = \"narrow\"",
        ),
    ]);
    let routing = config.unwrap().enums.suppliers[0].names();
    for (digits, operator) in [
        ("447700999123", Some("narrow")),
        ("44771", Some("wide")),
        ("49", None),
    ] {
        let told = Told::RoutingNumber(digits.to_owned());
        let found = routing.operator(&told).map(|operator| operator.to_string());
        assert_eq!(found.as_deref(), operator, "{digits}");
    }
}
