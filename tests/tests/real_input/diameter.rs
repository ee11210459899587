//! A bank asks an HSS over Diameter Sh (python-diameter, from PyPI). Run with `--ignored
//! --nocapture` to see what it is told.

use accord_adapters::diameter::testing::RealHss;
use accord_client::{
    Lookup, Outcome, SignalOutcome, Value,
    words::{Place, outcome_words, question_words},
};
use accord_proto::{
    clock::SystemClock,
    observation::{Forwarding, ForwardingCondition, ForwardingTarget, Roaming},
    purpose::Purpose,
    reason::Reason,
};
use accord_tests::world::{NORTH_PREFIX, World, WorldFiles};
use serde_json::{Value as Json, json};
use tempfile::TempDir;

use super::spec;

const OLD: &str = "901700000000001";
const NEW: &str = "901700000000002";
const NUMBER: &str = "+447700900001";

fn subscriber(imsi: &str, plmn: &str, target: &str) -> Json {
    let rule = format!(
        "<rule id='a'><conditions/><actions><forward-to><target>{target}</target></forward-to></actions></rule>"
    );
    json!({ NUMBER.trim_start_matches('+'): {
        "imsi": imsi,
        "ps": format!("<Extension><VisitedPLMNID>{plmn}</VisitedPLMNID></Extension>"),
        "repository": { "MMTEL-Services": format!(
            "<simservs><communication-diversion active='true'><ruleset>{rule}</ruleset></communication-diversion></simservs>"
        )},
    }})
}

fn source(hss: &RealHss) -> String {
    format!(
        r#"kind = "diameter_sh"
origin_host = "as.example"
origin_realm = "example"
journal_dir = "north-mobile/sh"
journal_key_file = "north-mobile/sh.key"
home_plmns = ["90170"]

[[source.peer]]
address = "{}"

[source.forwarding]
service_indications = ["MMTEL-Services"]
voicemail = ["tel:121"]
"#,
        hss.address()
    )
}

async fn ask(world: &World, lookup: Lookup) -> SignalOutcome {
    let client = world.client("first-bank").unwrap();
    let answered = client.lookup(lookup).await.unwrap();
    let [signal] = answered.signals() else {
        panic!("one signal was asked");
    };
    println!(
        "  {:<26} {}",
        question_words(&signal.question),
        outcome_words(signal, Place::Line)
    );
    signal.clone()
}

fn about() -> Lookup {
    Lookup::about(NUMBER, Purpose::Payment)
}

fn reason(signal: &SignalOutcome) -> Option<Reason> {
    match &signal.outcome {
        Outcome::Unanswered { reason, .. } => Some(*reason),
        Outcome::Value { .. } => None,
    }
}

#[tokio::test]
#[ignore = "needs python3 and python-diameter"]
async fn a_bank_learns_from_an_hss_of_a_new_sim_a_diversion_and_a_visited_network() {
    let dir = TempDir::new().unwrap();
    let mut hss = RealHss::start(&dir.path().join("hss")).await.unwrap();
    hss.know(&subscriber(OLD, "90170", "tel:121")).unwrap();
    let spec = spec("north-mobile", "North Mobile", NORTH_PREFIX, source(&hss));
    let files = WorldFiles::write(&dir.path().join("world"), &spec).unwrap();
    let world = World::start(files, SystemClock::shared()).await.unwrap();

    println!("a subscriber with {NUMBER}, at home, who forwards to voicemail");
    let first = ask(&world, about().sim_swap_within(72)).await;
    assert_eq!(reason(&first), Some(Reason::NotWatched));
    let always = |target| {
        let condition = ForwardingCondition::Unconditional;
        Value::Forwarding(vec![Forwarding { condition, target }])
    };
    let told = ask(&world, about().call_forwarding()).await;
    assert_eq!(told.value(), Some(&always(ForwardingTarget::OwnVoicemail)));
    let told = ask(&world, about().roaming()).await;
    let at = |roaming, visited_mcc| {
        Value::Roaming(Roaming {
            roaming,
            visited_mcc,
        })
    };
    assert_eq!(told.value(), Some(&at(false, None)));

    println!("\na new IMSI, another number as target, and a network in France");
    hss.know(&subscriber(NEW, "20801", "tel:+447700900100"))
        .unwrap();
    let told = ask(&world, about().sim_swap_within(72)).await;
    assert_eq!(told.value(), Some(&Value::YesNo(true)));
    let told = ask(&world, about().call_forwarding()).await;
    assert_eq!(told.value(), Some(&always(ForwardingTarget::AnotherNumber)));
    let told = ask(&world, about().roaming()).await;
    assert_eq!(told.value(), Some(&at(true, Some(208))));

    println!("\nthe HSS is gone");
    hss.stop().unwrap();
    let told = ask(&world, about().roaming()).await;
    let down = reason(&told);
    assert!(
        matches!(down, Some(Reason::SourceDown | Reason::Timeout)),
        "{down:?}"
    );
}
