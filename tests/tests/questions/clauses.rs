//! What the clauses make of a question.

use accord_client::Lookup;
use accord_client::answer::RoutingBasis;
use accord_proto::purpose::Purpose;

use crate::{
    record,
    said::{Stage, ask, days_ago, detail, north, now, one, sud, word, words},
};

#[tokio::test]
async fn a_question_is_answered_in_part() {
    let stage = Stage::sandbox().await;
    let lookup = Lookup::about(north(1), Purpose::Payment)
        .sim_swap_within(72)
        .device_swap_within(5)
        .tenure(days_ago(10))
        .roaming();
    let answered = ask(&stage.bank("first-bank"), lookup).await;
    assert_eq!(
        words(&answered),
        ["yes", "out_of_range", "not_authorised", "home"]
    );
}

#[tokio::test]
async fn a_clause_answers_at_its_own_granularity_or_coarser() {
    let stage = Stage::sandbox().await;
    let bank = stage.bank("first-bank");
    // Clause 3.1 allows a band: with a threshold it is yes or no.
    let payment = |digits| Lookup::about(north(digits), Purpose::Payment);
    assert_eq!(word(&one(&bank, payment(1).sim_swap()).await), "0–4 h");
    assert_eq!(
        word(&one(&bank, payment(30).sim_swap_within(72)).await),
        "yes"
    );
    assert_eq!(
        word(&one(&bank, payment(31).sim_swap_within(72)).await),
        "no"
    );
    // Clause 2.1 allows yes or no: without a threshold it is nothing.
    let login = Lookup::about(north(1), Purpose::Login).sim_swap();
    let answer = one(&bank, login).await;
    assert_eq!(word(&answer), "out_of_range");
    assert_eq!(
        detail(&answer),
        "clause 2.1 answers yes or no: ask with a threshold (24, 72, 240 h)"
    );
    // Clause 2.3 allows yes or no about forwarding, and never to which kind of number.
    for (digits, expected) in [(0, "no"), (4, "yes"), (5, "no"), (25, "yes"), (26, "yes")] {
        let code = Lookup::about(north(digits), Purpose::OtpSend).call_forwarding();
        assert_eq!(word(&one(&bank, code).await), expected, "{digits:03}");
    }
    // Clause 5.1 allows the instant.
    let complaint = Lookup::about(north(1), Purpose::Complaint).sim_swap();
    assert_eq!(word(&one(&bank, complaint).await), "interval true true");
}

#[tokio::test]
async fn a_clause_with_one_threshold_needs_none_in_the_question() {
    let stage = Stage::sandbox().await;
    let bank = stage.bank("second-bank");
    let lookup = |digits| Lookup::about(north(digits), Purpose::Payment).sim_swap();
    assert_eq!(word(&one(&bank, lookup(30)).await), "yes");
    assert_eq!(word(&one(&bank, lookup(31)).await), "no");
}

#[tokio::test]
async fn what_the_source_can_not_decide_is_unknown_and_never_no() {
    let stage = Stage::sandbox().await;
    let bank = stage.bank("first-bank");
    let sim = |digits| Lookup::about(north(digits), Purpose::Payment).sim_swap_within(72);
    let device = |digits| Lookup::about(north(digits), Purpose::AddPayee).device_swap_within(240);
    assert_eq!(word(&one(&bank, sim(17)).await), "undecided");
    assert_eq!(word(&one(&bank, device(18)).await), "not_watched");
    assert_eq!(word(&one(&bank, sim(19)).await), "stale");
    assert_eq!(word(&one(&bank, sim(20)).await), "contradicted");
    let code = Lookup::about(north(28), Purpose::OtpSend).sim_swap_within(24);
    // Observed 12 hours ago, and clause 2.2 accepts one hour.
    assert_eq!(word(&one(&bank, code).await), "stale");
}

#[tokio::test]
async fn a_threshold_that_is_not_offered_is_answered_with_those_that_are() {
    let stage = Stage::sandbox().await;
    let bank = stage.bank("first-bank");
    let lookup = Lookup::about(north(1), Purpose::Payment).sim_swap_within(5);
    let answer = one(&bank, lookup).await;
    assert_eq!(word(&answer), "out_of_range");
    assert_eq!(detail(&answer), "clause 3.1 offers the thresholds 24, 72 h");
    // Clause 5.1 takes any, within its look-back.
    let complaint = Lookup::about(north(1), Purpose::Complaint).sim_swap_within(9_000);
    let answer = one(&bank, complaint).await;
    assert_eq!(word(&answer), "out_of_range");
    assert_eq!(detail(&answer), "clause 5.1 looks back 365 days");
}

#[tokio::test]
async fn no_answer_reaches_further_back_than_the_clause() {
    let stage = Stage::sandbox().await;
    let bank = stage.bank("first-bank");
    let since = |days| Lookup::about(north(0), Purpose::Payment).number_recycling(days_ago(days));
    let answer = one(&bank, since(1_827)).await;
    assert_eq!(
        (word(&answer).as_str(), detail(&answer)),
        ("out_of_range", "clause 3.5 looks back 1825 days")
    );
    assert_eq!(word(&one(&bank, since(1_800)).await), "yes");
    // Clause 5.1 looks back a year: of a SIM of four years it says "none since", and no more.
    let complaint = Lookup::about(north(0), Purpose::Complaint).sim_swap();
    assert_eq!(word(&one(&bank, complaint).await), "interval true false");
}

#[tokio::test]
async fn a_clause_that_needs_a_consent_gets_its_reference_or_does_not_answer() {
    let stage = Stage::sandbox().await;
    let bank = stage.bank("first-bank");
    let tenure = || Lookup::about(north(23), Purpose::LimitChange).tenure(days_ago(700));
    let answer = one(&bank, tenure()).await;
    assert_eq!(word(&answer), "consent_missing");
    assert_eq!(detail(&answer), "clause 3.6 requires a consent reference");
    assert_eq!(
        word(&one(&bank, tenure().consent_ref("file 12/7")).await),
        "2–3 years"
    );
}

#[tokio::test]
async fn a_bank_asks_for_itself_and_for_the_named_principal_only() {
    let stage = Stage::sandbox().await;
    let bank = stage.bank("second-bank");
    let code = || Lookup::about(north(1), Purpose::OtpSend).sim_swap_within(24);
    assert_eq!(word(&one(&bank, code()).await), "yes");
    assert_eq!(
        word(&one(&bank, code().on_behalf_of("shop-a")).await),
        "yes"
    );
    let answer = one(&bank, code().on_behalf_of("shop-b")).await;
    assert_eq!(word(&answer), "not_authorised");
    assert_eq!(answer.clause.as_deref(), Some("4.4"));
    assert_eq!(detail(&answer), "the clause does not name this principal");
}

#[tokio::test]
async fn without_a_clause_or_an_operator_nobody_is_asked() {
    let stage = Stage::sandbox().await;
    // No clause stands between second-bank and sud-mobile.
    let lookup = Lookup::about(sud(1), Purpose::Payment).sim_swap();
    let answered = ask(&stage.bank("second-bank"), lookup).await;
    assert_eq!(words(&answered), ["not_contracted"]);
    assert_eq!(answered.signals()[0].clause, None);
    // It learns nothing of the route, not even from the entry, which it may read.
    assert_eq!(answered.answer.routing_basis, None);
    let access = record::access(&stage, answered.receipt.index);
    assert_eq!((access.operator.as_str(), access.routing_basis), ("", 0));
    // No operator of this world serves the number.
    let lookup = Lookup::about("+99907001001", Purpose::Payment).sim_swap();
    let answered = ask(&stage.bank("first-bank"), lookup).await;
    assert_eq!(words(&answered), ["not_covered"]);
    assert_eq!(answered.answer.routing_basis, None);
    let lookup = Lookup::about(north(1), Purpose::Payment).sim_swap();
    let answered = ask(&stage.bank("first-bank"), lookup).await;
    assert_eq!(answered.answer.routing_basis, Some(RoutingBasis::Prefix));
}

#[tokio::test]
async fn an_answer_says_by_what_right_and_as_of_when() {
    let stage = Stage::sandbox().await;
    let lookup = Lookup::about(north(28), Purpose::Payment)
        .sim_swap()
        .request_id("mine");
    let answered = ask(&stage.bank("first-bank"), lookup).await;
    let answer = &answered.answer;
    assert_eq!(
        (answer.agreement.as_str(), answer.agreement_version),
        ("SANDBOX-2026-1", 1)
    );
    assert_eq!(answer.request_id, "mine");
    let age = now().duration_since(answered.signals()[0].observed_at.unwrap());
    assert_eq!(age.as_hours(), 12, "{age}");
}

#[tokio::test]
async fn a_ported_number_is_routed_to_its_new_operator() {
    use accord_tests::world::{World, WorldFiles, WorldSpec};
    use tempfile::TempDir;

    let dir = TempDir::new().unwrap();
    let spec = WorldSpec::default();
    let mut files = WorldFiles::write(dir.path(), &spec).unwrap();
    files.fix_ports().unwrap();
    let config = files.broker_config_path();
    let text = std::fs::read_to_string(&config).unwrap();
    let text = text.replace("[authorities]", "ported = \"ported.csv\"\n\n[authorities]");
    std::fs::write(&config, text).unwrap();
    let ported = format!("# number,operator\n{},sud-mobile\n", north(1));
    std::fs::write(dir.path().join("ported.csv"), ported).unwrap();
    let world = World::start(files, spec.clock).await.unwrap();
    let bank = world.client("first-bank").unwrap();
    let answered = ask(&bank, Lookup::about(north(1), Purpose::Payment).sim_swap()).await;
    // Its new operator is asked, which here knows only its own range.
    assert_eq!(answered.answer.routing_basis, Some(RoutingBasis::Ported));
    assert_eq!(words(&answered), ["not_ours"]);
}

#[tokio::test]
async fn an_opt_out_holds_unless_a_law_overrides_it() {
    use accord_adapters::runtime::Restriction;
    use accord_proto::msisdn::Msisdn;
    use accord_tests::world::wait_until;

    let stage = Stage::sandbox().await;
    let bank = stage.bank("first-bank");
    let number = Msisdn::parse(&north(1)).unwrap();
    let operator = stage.adapter("north-mobile").unwrap();
    operator
        .restrictions()
        .impose(Restriction::OptedOut(number))
        .unwrap();
    wait_until("the opt-out to hold", || async {
        word(&one(&bank, Lookup::about(north(1), Purpose::Payment).sim_swap()).await) == "opted_out"
    })
    .await
    .unwrap();
    let complaint = Lookup::about(north(1), Purpose::Complaint).sim_swap();
    assert_eq!(word(&one(&bank, complaint).await), "interval true true");
}
