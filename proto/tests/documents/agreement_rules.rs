//! The rules between keys and between clauses.

use crate::sample::{GOOD, mistakes, one_mistake, with_line};

#[test]
fn a_forbidden_purpose_says_that_no_clause_can_allow_it() {
    for word in [
        "marketing",
        "credit_scoring",
        "employment",
        "debt_collection",
    ] {
        one_mistake(
            19,
            &format!(r#"purposes = ["payment", "{word}"]"#),
            &format!("line 19: `clause.purposes`: `{word}` is forbidden (rule R08)"),
        );
    }
    one_mistake(
        19,
        r#"purposes = ["pay"]"#,
        "line 19: `clause.purposes`: unknown purpose `pay`",
    );
}

#[test]
fn a_granularity_that_does_not_suit_a_signal_is_named() {
    one_mistake(
        20,
        r#"granularity = "state""#,
        "line 20: `clause.granularity`: `sim_swap` can't be answered as `state`",
    );
    one_mistake(
        44,
        r#"granularity = "band""#,
        "line 44: `clause.granularity`: `roaming` can't be answered as `band`",
    );
}

#[test]
fn thresholds_that_can_not_be_used_are_named() {
    let key = "`clause.thresholds_hours`";
    one_mistake(
        21,
        "thresholds_hours = [72, 24]",
        &format!("line 21: {key}: rises from"),
    );
    one_mistake(
        21,
        "thresholds_hours = [24, 24]",
        &format!("line 21: {key}: `24` stands"),
    );
    one_mistake(
        21,
        "thresholds_hours = [0]",
        &format!("line 21: {key}: lies from 1 to"),
    );
    one_mistake(
        21,
        "thresholds_hours = []",
        &format!("line 21: {key}: offers at least one"),
    );
    one_mistake(
        21,
        r#"thresholds_hours = "all""#,
        &format!("line 21: {key}: is a list of hours"),
    );
    one_mistake(
        44,
        "thresholds_hours = [24]",
        &format!("line 44: {key}: has no effect"),
    );
}

#[test]
fn a_threshold_beyond_the_look_back_is_named() {
    one_mistake(
        21,
        "thresholds_hours = [24, 721]",
        "line 21: `clause.thresholds_hours`: 721 h is more than the 30 days",
    );
    assert!(mistakes(&with_line(21, "thresholds_hours = [24, 720]")).is_empty());
}

#[test]
fn a_key_without_effect_is_named() {
    one_mistake(
        44,
        "threshold_window_hours = 24",
        "line 44: `clause.threshold_window_hours`: has no",
    );
    one_mistake(
        44,
        "look_back_days = 30",
        "line 44: `clause.look_back_days`: has no effect",
    );
    one_mistake(
        44,
        "swap_kind = true",
        "line 44: `clause.swap_kind`: has no effect",
    );
    one_mistake(
        44,
        "customer_lock = true",
        "line 44: `clause.customer_lock`: has no effect",
    );
}

#[test]
fn only_a_clause_that_tells_the_instant_itself_does_without_a_window() {
    let windowless = |granularity: &str| {
        let text = GOOD
            .replace("threshold_window_hours = 24\n", "")
            .replace(r#"granularity = "yes_no""#, granularity);
        mistakes(&text)
    };
    assert_eq!(windowless(r#"granularity = "instant""#), [""; 0]);
    for coarser in [r#"granularity = "yes_no""#, r#"granularity = "band""#] {
        let found = windowless(coarser);
        assert_eq!(found.len(), 1, "{found:#?}");
        assert!(found[0].contains("threshold_window_hours`: is required"));
    }
}

#[test]
fn attacks_by_signalling_are_asked_with_a_window_a_look_back_and_no_finer_than_yes_or_no() {
    let of = |granularity: &str, windows: &str| {
        let text = with_line(18, r#"signals = ["signalling_anomaly"]"#)
            .replace(r#"granularity = "yes_no""#, granularity)
            .replace(
                "thresholds_hours = [24, 72]\nthreshold_window_hours = 24\nlook_back_days = 30\n",
                windows,
            );
        mistakes(&text)
    };
    let windows = "threshold_window_hours = 24\nlook_back_days = 1\n";
    assert!(of("", windows).is_empty());
    assert!(of("attack_kind = true", windows).is_empty());
    let found = of("", "");
    assert_eq!(found.len(), 2, "{found:#?}");
    assert!(
        found[1].contains("threshold_window_hours`: is required"),
        "{found:#?}"
    );
    assert!(
        found[0].contains("look_back_days`: is required"),
        "{found:#?}"
    );
    for granularity in ["band", "instant", "state"] {
        let found = of(&format!("granularity = \"{granularity}\""), windows);
        let rule = format!("`signalling_anomaly` can't be answered as `{granularity}`");
        assert!(found.iter().any(|one| one.contains(&rule)), "{found:#?}");
    }
    one_mistake(
        44,
        "attack_kind = true",
        "line 44: `clause.attack_kind`: has no effect",
    );
}

#[test]
fn a_sleeping_account_is_asked_about_once_a_day() {
    let purposes = r#"purposes = ["dormant_account"]"#;
    one_mistake(
        19,
        purposes,
        "line 10: `clause.per_subject_per_day`: is 1 where `dormant_account`",
    );
    one_mistake(
        19,
        &format!("per_subject_per_day = 2\n{purposes}"),
        "line 19: `clause.per_subject_per_day`: is 1 where `dormant_account`",
    );
    let good = with_line(19, &format!("per_subject_per_day = 1\n{purposes}"));
    assert_eq!(mistakes(&good), Vec::<String>::new());
}

#[test]
fn a_legal_basis_is_required_and_consent_needs_a_reference() {
    one_mistake(
        14,
        r#"legal_basis = "consent""#,
        "line 26: `clause.consent`: is `reference_required` where the legal basis is `consent`",
    );
    one_mistake(
        29,
        r#"opt_out = "overridden""#,
        "line 29: `clause.opt_out`: may be `overridden` only",
    );
    let by_law = with_line(
        14,
        "legal_basis = \"legal_obligation\"\nopt_out = \"overridden\"",
    );
    assert_eq!(mistakes(&by_law), Vec::<String>::new());
}

#[test]
fn two_clauses_over_one_question_name_both_lines() {
    one_mistake(
        31,
        r#"id = "3.1""#,
        "line 30: `clause.id`: `3.1` is the number of the clause on line 10",
    );
    let roaming_twice = format!(
        "{GOOD}{}",
        GOOD.lines()
            .skip(29)
            .take(14)
            .collect::<Vec<_>>()
            .join("\n")
    )
    .replacen("id = \"3.2\"", "id = \"3.3\"", 1);
    assert_eq!(
        mistakes(&roaming_twice),
        [
            "line 48: `clause`: clause 3.2 covers what clause 3.3 on line 30 covers already: bank \
          first-bank, operator north-mobile, roaming, payment"
        ]
    );
    let for_all = roaming_twice.replacen(r#"banks = ["first-bank"]"#, r#"banks = ["*"]"#, 2);
    assert_eq!(mistakes(&for_all).len(), 1);
    let other_bank = roaming_twice
        .rsplit_once("first-bank")
        .map(|(before, after)| format!("{before}second-bank{after}"));
    assert_eq!(mistakes(&other_bank.unwrap()), Vec::<String>::new());
}
