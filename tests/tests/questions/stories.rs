//! Every test number, asked as the sandbox asks it.

use accord_client::{Lookup, Outcome};
use accord_proto::{observation::SwapKind, purpose::Purpose, reason::Reason};

use crate::said::{Stage, ask, days_ago, detail, north, one, reason, sud, word, words};

/// What `first-bank` is told before a payment: SIM, forwarding, roaming, recycled within the last
/// 300 days, device within 72 h.
const TOLD: [(u16, [&str; 5]); 38] = [
    (0, ["over 3 years", "none", "home", "no", "no"]),
    (1, ["0–4 h", "none", "home", "no", "no"]),
    (2, ["1–2 days", "none", "home", "no", "no"]),
    (3, ["90–180 days", "none", "home", "no", "no"]),
    (
        4,
        [
            "≥ 1 year",
            "unconditional→AnotherNumber",
            "home",
            "no",
            "no",
        ],
    ),
    (
        5,
        [
            "over 3 years",
            "busy→OwnVoicemail no_reply→OwnVoicemail",
            "home",
            "no",
            "no",
        ],
    ),
    (6, ["over 3 years", "none", "abroad 208", "no", "no"]),
    (7, ["30–60 days", "none", "home", "yes", "no"]),
    (8, ["over 3 years", "none", "home", "no", "yes"]),
    (9, ["0–4 h", "none", "home", "no", "yes"]),
    (10, ["over 3 years", "none", "home", "no", "no"]),
    (11, ["timeout", "timeout", "timeout", "timeout", "timeout"]),
    (
        12,
        [
            "source_down",
            "source_down",
            "source_down",
            "source_down",
            "source_down",
        ],
    ),
    (
        13,
        [
            "opted_out",
            "opted_out",
            "opted_out",
            "opted_out",
            "opted_out",
        ],
    ),
    (14, ["over 3 years", "none", "home", "no", "no"]),
    (
        15,
        [
            "unknown_number",
            "unknown_number",
            "unknown_number",
            "unknown_number",
            "unknown_number",
        ],
    ),
    (
        16,
        ["not_ours", "not_ours", "not_ours", "not_ours", "not_ours"],
    ),
    (17, ["2–3 days…3–4 days", "none", "home", "no", "undecided"]),
    (18, ["≥ 3 days", "none", "home", "not_watched", "no"]),
    (19, ["stale", "stale", "stale", "stale", "stale"]),
    (20, ["contradicted", "none", "home", "contradicted", "no"]),
    (
        21,
        [
            "overloaded",
            "overloaded",
            "overloaded",
            "overloaded",
            "overloaded",
        ],
    ),
    (
        22,
        ["over 3 years", "not_available", "not_available", "no", "no"],
    ),
    (23, ["2–3 years", "none", "home", "no", "no"]),
    (24, ["1–2 days", "none", "home", "yes", "yes"]),
    (
        25,
        [
            "over 3 years",
            "unconditional→AnotherNumber busy→AnotherNumber no_reply→OwnVoicemail \
             not_reachable→AnotherNumber",
            "home",
            "no",
            "no",
        ],
    ),
    (
        26,
        ["over 3 years", "not_reachable→Unknown", "home", "no", "no"],
    ),
    (27, ["7–14 days", "none", "home", "no", "no"]),
    (28, ["12–24 h…1–2 days", "none", "home", "no", "no"]),
    (
        29,
        [
            "0–4 h",
            "unconditional→AnotherNumber",
            "abroad 208",
            "no",
            "yes",
        ],
    ),
    (30, ["2–3 days", "none", "home", "no", "no"]),
    (31, ["3–4 days", "none", "home", "no", "no"]),
    (
        32,
        [
            "source_down",
            "source_down",
            "source_down",
            "source_down",
            "source_down",
        ],
    ),
    (33, ["0–4 h", "none", "home", "no", "no"]),
    (
        34,
        [
            "suspended",
            "suspended",
            "suspended",
            "suspended",
            "suspended",
        ],
    ),
    (35, ["over 3 years", "none", "home", "no", "no"]),
    (36, ["over 3 years", "none", "home", "no", "no"]),
    (37, ["over 3 years", "none", "home", "no", "no"]),
];

fn everything(number: &str) -> Lookup {
    Lookup::about(number, Purpose::Payment)
        .sim_swap()
        .call_forwarding()
        .roaming()
        .number_recycling(days_ago(300))
        .device_swap_within(72)
}

#[tokio::test]
async fn every_test_number_is_answered_as_its_story_says() {
    assert_eq!(
        TOLD.len(),
        accord_adapters::virtual_operator::TEST_NUMBERS.len()
    );
    let stage = Stage::sandbox().await;
    let bank = stage.bank("first-bank");
    for (digits, expected) in TOLD {
        let answered = ask(&bank, everything(&north(digits))).await;
        assert_eq!(words(&answered), expected, "test number {digits:03}");
        let clauses: Vec<_> = answered
            .signals()
            .iter()
            .map(|s| s.clause.as_deref())
            .collect();
        assert_eq!(
            clauses,
            ["3.1", "3.4", "3.4", "3.5", "3.5"].map(Some),
            "{digits:03}"
        );
    }
}

#[tokio::test]
async fn the_second_operator_tells_the_same_stories() {
    let stage = Stage::sandbox().await;
    let bank = stage.bank("first-bank");
    for digits in [0, 1, 7, 17, 25] {
        let (_, expected) = TOLD[usize::from(digits)];
        assert_eq!(
            words(&ask(&bank, everything(&sud(digits))).await),
            expected,
            "{digits:03}"
        );
    }
    let abroad = ask(&bank, everything(&sud(6))).await;
    assert_eq!(words(&abroad)[2], "abroad 234");
}

#[tokio::test]
async fn a_sleeping_account_may_ask_for_recycling_and_for_nothing_else() {
    let stage = Stage::sandbox().await;
    let bank = stage.bank("second-bank");
    for (digits, recycled) in [(0, "no"), (7, "yes"), (24, "yes"), (18, "not_watched")] {
        let lookup = Lookup::about(north(digits), Purpose::DormantAccount)
            .sim_swap_within(72)
            .number_recycling(days_ago(300));
        let answered = ask(&bank, lookup).await;
        assert_eq!(
            words(&answered),
            ["not_authorised", recycled],
            "{digits:03}"
        );
        let refused = &answered.signals()[0];
        assert_eq!(detail(refused), "clause 4.2 allows number_recycling only");
        assert_eq!(refused.clause.as_deref(), Some("4.2"));
        assert_eq!(answered.signals()[1].clause.as_deref(), Some("4.2"));
    }
}

#[tokio::test]
async fn a_lock_against_swaps_is_told_with_the_answer() {
    let stage = Stage::sandbox().await;
    let first = stage.bank("first-bank");
    let before_payment = |digits| Lookup::about(north(digits), Purpose::Payment).sim_swap();
    assert!(one(&first, before_payment(14)).await.customer_lock);
    assert!(one(&first, before_payment(33)).await.customer_lock);
    assert!(!one(&first, before_payment(1)).await.customer_lock);
    // Clause 4.4 says `customer_lock = false`.
    let second = stage.bank("second-bank");
    let code = Lookup::about(north(14), Purpose::OtpSend).sim_swap_within(24);
    let answer = one(&second, code).await;
    assert_eq!(
        (word(&answer).as_str(), answer.customer_lock),
        ("no", false)
    );
}

#[tokio::test]
async fn the_kind_of_a_swap_is_told_only_where_the_clause_permits_it() {
    let stage = Stage::sandbox().await;
    let bank = stage.bank("first-bank");
    let kind = |outcome: &Outcome| match outcome {
        Outcome::Value { swap_kind, .. } => *swap_kind,
        Outcome::Unanswered { .. } => None,
    };
    for (digits, expected) in [
        (1, Some(SwapKind::Replacement)),
        (2, Some(SwapKind::Esim)),
        (3, Some(SwapKind::PortIn)),
        (27, Some(SwapKind::NumberChange)),
        (4, None),
    ] {
        let lookup = Lookup::about(north(digits), Purpose::Payment).sim_swap();
        assert_eq!(
            kind(&one(&bank, lookup).await.outcome),
            expected,
            "{digits:03}"
        );
    }
    // Clause 2.1 does not.
    let login = Lookup::about(north(1), Purpose::Login).sim_swap_within(24);
    let answer = one(&bank, login).await;
    assert_eq!(
        (word(&answer).as_str(), kind(&answer.outcome)),
        ("yes", None)
    );
}

#[tokio::test]
async fn an_answer_from_the_future_is_not_believed_and_the_operator_is_on_the_record() {
    use accord_proto::v1::{adapter_link::Kind, entry::Event};

    use crate::record;

    let stage = Stage::sandbox().await;
    let before = record::size(&stage);
    let lookup = Lookup::about(north(32), Purpose::Payment).roaming();
    let answer = one(&stage.bank("first-bank"), lookup).await;
    assert_eq!(reason(&answer), Some(Reason::SourceDown));
    assert_eq!(answer.observed_at, None);
    record::wait_for(&stage, before, "the disbelief on the record", |event| {
        matches!(event, Event::AdapterLink(link)
            if link.kind == Kind::NotBelieved as i32
                && link.operator == "north-mobile"
                && link.detail == "signals.roaming.observed_at breaks a rule: lies in the future")
    })
    .await;
}

#[tokio::test]
async fn an_operator_without_an_adapter_is_a_source_that_is_down() {
    let mut stage = Stage::sandbox().await;
    stage.world.kill_adapter("north-mobile").await.unwrap();
    let bank = stage.bank("first-bank");
    let answered = ask(&bank, everything(&north(0))).await;
    assert_eq!(words(&answered), ["source_down"; 5]);
    // The other operator goes on.
    assert_eq!(
        word(&one(&bank, Lookup::about(sud(0), Purpose::Payment).roaming()).await),
        "home"
    );
    stage.world.start_adapter("north-mobile").await.unwrap();
    assert_eq!(words(&ask(&bank, everything(&north(0))).await), TOLD[0].1);
}

#[tokio::test]
async fn a_silent_operator_is_a_timeout_within_the_callers_deadline() {
    use accord_tests::world::WorldSpec;
    use tokio::time::Duration;

    // What the caller's deadline leaves is ample, for a machine that does much else.
    let stage = Stage::of(&WorldSpec::default().limit("release_margin_ms", 300)).await;
    let bank = stage.bank("first-bank");
    // The connection is made before the time runs.
    ask(&bank, Lookup::about(north(0), Purpose::Payment).roaming()).await;
    let lookup = Lookup::about(north(11), Purpose::Payment).roaming();
    // Shorter than the operator's own deadline of 800 ms.
    let deadline = Duration::from_millis(600);
    let answered = bank.lookup_within(lookup, deadline).await.unwrap();
    assert_eq!(words(&answered), ["timeout"]);
}
