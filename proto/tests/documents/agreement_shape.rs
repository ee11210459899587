//! Each key that is missing, unknown or malformed is named with its line, its key and its rule.

use accord_proto::agreement::AgreementDocument;

use crate::sample::{GOOD, mistakes, one_mistake, with_line};

#[test]
fn the_good_text_has_no_mistakes() {
    assert_eq!(mistakes(GOOD), Vec::<String>::new());
}

#[test]
fn each_missing_key_is_named_at_the_head_of_its_table() {
    for (number, line) in (1..).zip(GOOD.lines()) {
        let Some((key, _)) = line.split_once(" = ") else {
            continue;
        };
        let optional = ["granularity", "caching_minutes"].contains(&key);
        let found = mistakes(&with_line(number, ""));
        if optional {
            assert!(found.is_empty(), "{key}: {found:?}");
            continue;
        }
        let (head, table) = match number {
            1..10 => (1, "agreement"),
            10..30 => (10, "clause"),
            30..45 => (30, "clause"),
            _ => (45, "share_keys"),
        };
        let expected = format!("line {head}: `{table}.{key}`: is required");
        assert!(
            found.len() == 1 && found[0].starts_with(&expected),
            "{key}: {found:?}"
        );
    }
}

#[test]
fn an_unknown_key_is_named_with_its_line() {
    one_mistake(
        9,
        "quota = 3",
        "line 9: `agreement.quota`: unknown key; here stand id, version",
    );
    one_mistake(
        29,
        "per_hour = 3",
        "line 29: `clause.per_hour`: unknown key",
    );
    one_mistake(
        9,
        "[schedule]",
        "line 9: `schedule`: unknown key; at the top stand agreement",
    );
    one_mistake(
        29,
        "[clause.quota]\nx = 1",
        "line 29: `clause.quota`: unknown key",
    );
}

#[test]
fn a_broken_header_is_named() {
    one_mistake(2, r#"id = "A B""#, "line 2: `agreement.id`: is 1 to 64 of");
    one_mistake(
        3,
        "version = 0",
        "line 3: `agreement.version`: lies from 1 to",
    );
    one_mistake(
        3,
        r#"version = "1""#,
        "line 3: `agreement.version`: is a whole number, not string",
    );
    one_mistake(
        4,
        r#"title = " ""#,
        "line 4: `agreement.title`: is not empty",
    );
    one_mistake(
        5,
        r#"effective = "2026-01-01""#,
        "line 5: `agreement.effective`: is a calendar day",
    );
    one_mistake(
        5,
        "effective = 2026-01-01T00:00:00Z",
        "line 5: `agreement.effective`: is a calendar",
    );
    one_mistake(
        6,
        "expires = 2026-01-01",
        "line 6: `agreement.expires`: lies after `effective`",
    );
    one_mistake(
        6,
        "expires = 2126-01-01",
        "line 6: `agreement.expires`: lies at most 10 years",
    );
    one_mistake(
        7,
        r#"telecom_regulator = "spiffe://accord.test/bank/first-bank""#,
        "line 7: `agreement.telecom_regulator`: is an authority",
    );
    one_mistake(
        8,
        r#"central_bank = "spiffe://accord.test/authority/telecom-regulator""#,
        "line 8: `agreement.central_bank`: is another authority",
    );
    one_mistake(
        8,
        r#"central_bank = "spiffe://other.test/authority/central-bank""#,
        "line 8: `agreement.central_bank`: has the same trust domain",
    );
    one_mistake(
        8,
        r#"central_bank = "central-bank""#,
        "line 8: `agreement.central_bank`: a party's id",
    );
}

#[test]
fn whoever_may_mirror_the_ledger_is_an_authority_of_this_agreement() {
    let regulator = "spiffe://accord.test/authority/telecom-regulator";
    let text = with_line(9, &format!("mirrors = [\"{regulator}\"]"));
    let document = AgreementDocument::parse(&text).unwrap();
    let mirrors: Vec<_> = document.mirrors().iter().map(ToString::to_string).collect();
    assert_eq!(mirrors, [regulator]);
    assert!(AgreementDocument::parse(GOOD).unwrap().mirrors().is_empty());
    for (mistake, named) in [
        (r#"mirrors = "all""#, "is a list"),
        (r#"mirrors = ["central-bank"]"#, "a party's id"),
        (
            r#"mirrors = ["spiffe://accord.test/bank/first-bank"]"#,
            "is an authority",
        ),
        (
            r#"mirrors = ["spiffe://accord.test/authority/tax-office"]"#,
            "names `telecom_regulator` or `central_bank`, and `spiffe://accord.test/authority/tax",
        ),
        (
            r#"mirrors = ["spiffe://accord.test/authority/central-bank", "spiffe://accord.test/authority/central-bank"]"#,
            "`spiffe://accord.test/authority/central-b` stands there twice",
        ),
    ] {
        one_mistake(9, mistake, &format!("line 9: `agreement.mirrors`: {named}"));
    }
}

#[test]
fn a_broken_name_or_word_is_named() {
    one_mistake(
        11,
        r#"id = "§3""#,
        "line 11: `clause.id`: a clause's number",
    );
    one_mistake(
        14,
        r#"legal_basis = "habit""#,
        "line 14: `clause.legal_basis`: unknown legal basis",
    );
    one_mistake(
        16,
        r#"banks = ["First Bank"]"#,
        "line 16: `clause.banks`: an organisation's name",
    );
    one_mistake(
        16,
        "banks = []",
        "line 16: `clause.banks`: names at least one",
    );
    one_mistake(
        16,
        r#"banks = "first-bank""#,
        "line 16: `clause.banks`: is a list",
    );
    one_mistake(
        17,
        r#"operators = ["*", "a"]"#,
        "line 17: `clause.operators`: `*` means all",
    );
    one_mistake(
        17,
        r#"operators = ["a", "a"]"#,
        "line 17: `clause.operators`: `a` stands there twice",
    );
    one_mistake(
        38,
        r#"signals = ["imsi"]"#,
        "line 38: `clause.signals`: unknown signal `imsi`",
    );
    one_mistake(
        20,
        r#"granularity = "exact""#,
        "line 20: `clause.granularity`: unknown granularity",
    );
    one_mistake(
        26,
        r#"consent = "assumed""#,
        "line 26: `clause.consent`: unknown consent rule",
    );
    one_mistake(
        29,
        r#"opt_out = "ignored""#,
        "line 29: `clause.opt_out`: is `honoured` or",
    );
    one_mistake(
        29,
        r#"swap_kind = "no""#,
        "line 29: `clause.swap_kind`: is true or false",
    );
    one_mistake(
        29,
        r#"on_behalf_of = ["Shop A"]"#,
        "line 29: `clause.on_behalf_of`: an organisation",
    );
}

#[test]
fn an_element_of_a_list_over_many_lines_is_named_with_its_own_line() {
    one_mistake(
        16,
        "banks = [\n  \"first-bank\",\n  \"Second\",\n]",
        "line 18: `clause.banks`: an organisation's name",
    );
}

#[test]
fn figures_out_of_their_range_are_named() {
    one_mistake(
        22,
        "threshold_window_hours = 0",
        "line 22: `clause.threshold_window_hours`: lies",
    );
    one_mistake(
        23,
        "look_back_days = 1_000_000",
        "line 23: `clause.look_back_days`: lies from 1",
    );
    one_mistake(
        24,
        "age_max_minutes = 0",
        "line 24: `clause.age_max_minutes`: lies from 1",
    );
    one_mistake(
        25,
        "caching_minutes = 61",
        "line 25: `clause.caching_minutes`: is not more than",
    );
    one_mistake(
        25,
        "caching_minutes = -1",
        "line 25: `clause.caching_minutes`: lies from 0",
    );
    one_mistake(
        27,
        "per_second = 1e3",
        "line 27: `clause.per_second`: is a whole number, not float",
    );
    one_mistake(
        28,
        "retention_days = 0",
        "line 28: `clause.retention_days`: lies from 1",
    );
    one_mistake(
        29,
        "per_subject_per_day = 0",
        "line 29: `clause.per_subject_per_day`: lies from 1",
    );
}

#[test]
fn all_mistakes_are_told_at_once_in_the_order_of_their_lines() {
    let text = GOOD
        .replace("version = 1", "version = 0")
        .replace("\"sim_swap\"", "\"imsi\"")
        .replace("per_second = 10", "per_second = 0\nper_hour = 1");
    let found = mistakes(&text);
    let lines: Vec<&str> = found.iter().filter_map(|m| m.split(':').next()).collect();
    assert_eq!(
        lines,
        [
            "line 3", "line 18", "line 27", "line 28", "line 43", "line 44"
        ],
        "{found:#?}"
    );
}

#[test]
fn invisible_characters_are_named_with_their_line() {
    one_mistake(9, "\t# indented", "line 9: a tab stands here");
    one_mistake(
        13,
        "text = \"What was\u{200b} agreed.\"",
        "line 13: an invisible character",
    );
    one_mistake(
        13,
        "text = \"What was \u{202e}agreed.\"",
        "line 13: an invisible character",
    );
    let found = mistakes(&with_line(9, "# from another system\r"));
    assert!(
        found[0].starts_with("line 9: a carriage return stands here"),
        "{found:?}"
    );
}

#[test]
fn what_is_no_toml_is_named_with_its_line() {
    let found = mistakes(&with_line(13, "text = What was agreed."));
    assert!(
        found.iter().any(|mistake| mistake.starts_with("line 13: ")),
        "{found:?}"
    );
    let found = mistakes(&with_line(9, "version = 2"));
    assert!(
        found
            .iter()
            .any(|mistake| mistake.starts_with("line 9: duplicate key")),
        "{found:?}"
    );
    assert!(!mistakes("").is_empty());
    assert!(!mistakes("clause = 3\nagreement = []").is_empty());
    assert!(!mistakes(&format!("x = {}", "[".repeat(100_000))).is_empty());
    let long = mistakes(&"#\n".repeat(600_000));
    assert_eq!(long, ["line 1: at most 1048576 bytes are read"]);
}

#[test]
fn a_text_cut_anywhere_is_read_without_panic() {
    let day = "2030-01-01".parse().unwrap();
    for at in 0..GOOD.len() {
        let (head, tail) = GOOD.split_at(at);
        let _ = mistakes(head);
        let _ = mistakes(tail);
        let _ = mistakes(&format!("{head}\"é{tail}"));
        let _ = accord_proto::agreement::with_dates(&format!("{head}\"é{tail}"), day, day);
    }
}

#[test]
fn share_keys_are_checked() {
    let key = |name: &str| {
        let secret = accord_proto::shares::ShareSecret::generate(name).unwrap();
        secret.key().to_string()
    };
    let line = |name: &str, key: &str| format!("{name} = \"{key}\"");
    one_mistake(
        47,
        &line("central_bank", &key("central-bank-2")),
        "line 47: `share_keys.central_bank`: is named `central-bank`, as the authority",
    );
    one_mistake(
        46,
        &line("telecom_regulator", "telecom-regulator"),
        "line 46: `share_keys.telecom_regulator`: a share key is `name+8 hex digits+base64`",
    );
    let signing = accord_proto::c2sp::SigningKey::generate("central-bank").unwrap();
    one_mistake(
        47,
        &line("central_bank", &signing.verifier().to_string()),
        "line 47: `share_keys.central_bank`: key `central-bank` is not a share key",
    );
    one_mistake(
        47,
        &format!("{}\nlawyer = 1", line("central_bank", &key("central-bank"))),
        "line 48: `share_keys.lawyer`: unknown key",
    );
    let without: String = GOOD
        .lines()
        .take(44)
        .map(|line| format!("{line}\n"))
        .collect();
    assert_eq!(mistakes(&without), ["line 1: `share_keys`: is required"]);
}
