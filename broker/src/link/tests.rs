//! Links of one operator, without a stream: the tests play the adapter.

use accord_proto::{
    clock::{SharedClock, SystemClock},
    msisdn::Msisdn,
    party::OrgName,
    purpose::Purpose,
    reason::Reason,
    signal::Signal,
    v1,
};
use prost::Message as _;
use tokio::time::{Duration, Instant, advance};

use super::{
    Adapter, Arrival, AskDraft, AttachInfo, INSTANCES_GONE_MAX, INSTANCES_MAX, Operator, Outgoing,
    Patience,
    restrictions::{KillSwitch, NumberDigest, SUBJECTS_MAX, Subject},
};

/// An operator's own time in these tests.
const OWN: Duration = Duration::from_millis(800);
const NUMBER: NumberDigest = [1; 16];

type Attached = (std::sync::Arc<Adapter>, Outgoing);

fn attach(operator: &Operator, instance: &str) -> Attached {
    let info = AttachInfo {
        instance: instance.to_owned(),
        signals: vec![Signal::SimSwap],
        credit: 64,
    };
    operator.attach(info).unwrap()
}

fn settled(operator: &Operator, instance: &str) -> Attached {
    let attached = attach(operator, instance);
    operator.settle(&attached.0);
    attached
}

fn bank() -> OrgName {
    OrgName::parse("first-bank").unwrap()
}

fn clock() -> SharedClock {
    SystemClock::shared()
}

fn kill(signal: Signal) -> KillSwitch {
    KillSwitch {
        bank: Some(bank()),
        signal: Some(signal),
    }
}

fn opt_out() -> Subject {
    Subject::OptedOut(Msisdn::parse("+447700900013").unwrap())
}

fn draft() -> AskDraft {
    AskDraft {
        msisdn: Msisdn::parse("+447700900001").unwrap(),
        signals: vec![Signal::SimSwap],
        bases: vec![v1::Basis::default()],
        bank: bank(),
        on_behalf_of: None,
        purpose: Purpose::Payment,
        consent_ref: None,
        bulk: false,
    }
}

fn within(time: Duration) -> Patience {
    Patience {
        by: Instant::now() + time,
        own: OWN,
    }
}

async fn reason(operator: &Operator, time: Duration) -> Option<Reason> {
    let asked = operator.ask(&draft(), within(time), &clock()).await;
    asked.signals[0].outcome.clone().err()
}

/// The id of the next ask that went out, if there is one.
fn sent(outgoing: &mut Outgoing) -> Option<u64> {
    match outgoing.asks.try_recv().ok()?.message {
        Some(v1::broker_message::Message::Ask(ask)) => Some(ask.id),
        _ => None,
    }
}

fn reply(id: u64) -> v1::Reply {
    let outcome = v1::signal_reply::Outcome::Reason(v1::Reason::UnknownNumber as i32);
    let body = v1::ReplyBody {
        signals: vec![v1::SignalReply {
            signal: Signal::SimSwap.to_wire() as i32,
            outcome: Some(outcome),
        }],
        customer_lock: false,
    };
    v1::Reply {
        id,
        body: body.encode_to_vec().into(),
        nonce: vec![7; 32],
        journal_index: 1,
    }
}

#[tokio::test]
async fn restrictions_outlive_the_link_until_the_instance_has_said_all_again() {
    let operator = Operator::default();
    let (adapter, _out) = settled(&operator, "a");
    operator
        .kill(&adapter, &kill(Signal::SimSwap), false)
        .unwrap();
    operator
        .restrict(&adapter, opt_out(), NUMBER, false)
        .unwrap();
    operator.detach(&adapter);
    assert!(operator.kills(&bank(), Signal::SimSwap) && operator.opted_out(&NUMBER));
    // Another instance changes nothing.
    let (_other, _other_out) = settled(&operator, "b");
    assert!(operator.kills(&bank(), Signal::SimSwap) && operator.opted_out(&NUMBER));

    let (again, _out) = attach(&operator, "a");
    operator
        .kill(&again, &kill(Signal::Roaming), false)
        .unwrap();
    assert!(
        operator.kills(&bank(), Signal::SimSwap),
        "until it has said all"
    );
    assert!(
        operator.kills(&bank(), Signal::Roaming),
        "what is new is at once"
    );
    assert_eq!(operator.kills_to_lift(&again), [kill(Signal::SimSwap)]);
    operator.settle(&again);
    assert!(!operator.kills(&bank(), Signal::SimSwap) && !operator.opted_out(&NUMBER));
    assert!(operator.kills(&bank(), Signal::Roaming));
}

#[tokio::test]
async fn a_lift_before_all_is_said_reaches_what_was_set_before() {
    let operator = Operator::default();
    let (adapter, _out) = settled(&operator, "a");
    operator
        .restrict(&adapter, opt_out(), NUMBER, false)
        .unwrap();
    operator
        .kill(&adapter, &kill(Signal::SimSwap), false)
        .unwrap();
    let (again, _out) = attach(&operator, "a");
    assert!(operator.has_kill(&again, &kill(Signal::SimSwap)));
    operator.restrict(&again, opt_out(), NUMBER, true).unwrap();
    operator.kill(&again, &kill(Signal::SimSwap), true).unwrap();
    assert!(!operator.opted_out(&NUMBER) && !operator.kills(&bank(), Signal::SimSwap));
}

#[tokio::test]
async fn a_link_that_breaks_before_all_is_said_adds_to_what_was_in_force() {
    let operator = Operator::default();
    let (adapter, _out) = settled(&operator, "a");
    operator
        .restrict(&adapter, opt_out(), NUMBER, false)
        .unwrap();
    let (again, _out) = attach(&operator, "a");
    operator
        .restrict(&again, opt_out(), [2; 16], false)
        .unwrap();
    operator.detach(&again);
    assert!(operator.opted_out(&NUMBER) && operator.opted_out(&[2; 16]));
}

#[tokio::test]
async fn instances_are_limited_and_a_known_one_is_replaced() {
    let operator = Operator::default();
    let attached: Vec<_> = (0..INSTANCES_MAX)
        .map(|n| settled(&operator, &n.to_string()))
        .collect();
    let refused = operator.check_room("one-more").unwrap_err();
    assert!(
        refused.to_string().contains("at most 16 instances"),
        "{refused}"
    );
    settled(&operator, "0");
    assert_eq!(operator.attached(), INSTANCES_MAX);
    // Who restricts nothing is forgotten when it goes.
    for (adapter, _) in &attached {
        operator.detach(adapter);
    }
    for n in 0..INSTANCES_GONE_MAX {
        let (adapter, _out) = settled(&operator, &format!("gone-{n}"));
        operator
            .restrict(&adapter, opt_out(), NUMBER, false)
            .unwrap();
        operator.detach(&adapter);
    }
    assert!(operator.check_room("one-more").is_err());
    operator.check_room("gone-0").unwrap();
}

#[tokio::test(start_paused = true)]
async fn banks_in_a_hurry_do_not_open_the_breaker_for_everybody() {
    let operator = Operator::default();
    let (_adapter, mut out) = settled(&operator, "a");
    for _ in 0..20 {
        let hurried = reason(&operator, Duration::from_millis(50)).await;
        assert_eq!(hurried, Some(Reason::Timeout));
        assert!(sent(&mut out).is_some());
    }
    for _ in 0..5 {
        assert_eq!(reason(&operator, OWN).await, Some(Reason::Timeout));
        assert!(sent(&mut out).is_some(), "the breaker is closed");
    }
    assert_eq!(reason(&operator, OWN).await, Some(Reason::SourceDown));
    assert_eq!(sent(&mut out), None, "five fair failures open it");
}

#[tokio::test(start_paused = true)]
async fn an_ask_without_time_is_not_sent() {
    let operator = Operator::default();
    let (_adapter, mut out) = settled(&operator, "a");
    for time in [Duration::ZERO, Duration::from_millis(4)] {
        assert_eq!(reason(&operator, time).await, Some(Reason::Timeout));
        assert_eq!(sent(&mut out), None);
    }
}

#[tokio::test(start_paused = true)]
async fn only_a_reply_after_the_operators_own_time_is_late() {
    let operator = Operator::default();
    let (adapter, mut out) = settled(&operator, "a");
    let mut ask = async |time| {
        assert_eq!(reason(&operator, time).await, Some(Reason::Timeout));
        sent(&mut out).unwrap()
    };
    let hurried = ask(Duration::from_millis(50)).await;
    assert_eq!(adapter.replied(reply(hurried)), Arrival::Unneeded);
    assert_eq!(adapter.replied(reply(hurried)), Arrival::Unasked, "twice");
    let on_its_way = ask(OWN).await;
    advance(Duration::from_millis(100)).await;
    assert_eq!(adapter.replied(reply(on_its_way)), Arrival::Unneeded);
    let late = ask(OWN).await;
    advance(Duration::from_secs(1)).await;
    assert_eq!(adapter.replied(reply(late)), Arrival::Late);
    assert_eq!(adapter.replied(reply(77)), Arrival::Unasked);
}

#[tokio::test(start_paused = true)]
async fn the_slower_of_two_that_were_asked_breaks_no_rule() {
    let operator = Operator::default();
    let (first, mut first_out) = settled(&operator, "a");
    let (second, mut second_out) = settled(&operator, "b");
    let (asking, clock) = (draft(), clock());
    let ask = operator.ask(&asking, within(OWN), &clock);
    let answer = async {
        let Some(_) = second_out.asks.recv().await else {
            panic!("the second is asked")
        };
        assert_eq!(second.replied(reply(1)), Arrival::Expected);
    };
    let (asked, ()) = tokio::join!(ask, answer);
    assert_eq!(asked.evidence.unwrap().said.instance, "b");
    let loser = sent(&mut first_out).unwrap();
    assert_eq!(first.replied(reply(loser)), Arrival::Unneeded);
}

#[tokio::test]
async fn what_the_view_served_waits_for_the_next_adapter() {
    let operator = Operator::default();
    assert!(operator.reserve_report().is_none(), "nobody is attached");
    let (adapter, out) = attach(&operator, "a");
    assert!(operator.reserve_report().is_none(), "not all is said");
    operator.settle(&adapter);
    let permit = operator.reserve_report().unwrap();
    operator.detach(&adapter);
    drop(out);
    let served = v1::ServedFromView {
        index: 7,
        ..v1::ServedFromView::default()
    };
    permit.report(served);
    let (_next, out) = settled(&operator, "b");
    assert_eq!(out.reports.next().await.index, 7);
}

#[tokio::test]
async fn the_view_serves_nothing_while_reports_find_no_room() {
    let operator = Operator::default();
    let (_adapter, out) = settled(&operator, "a");
    while let Some(permit) = operator.reserve_report() {
        permit.report(v1::ServedFromView::default());
    }
    out.reports.next().await;
    assert!(operator.reserve_report().is_some(), "one went out");
}

#[tokio::test]
async fn the_view_serves_nothing_after_more_opt_outs_than_can_be_held() {
    let operator = Operator::default();
    let (adapter, _out) = settled(&operator, "a");
    operator.budget_for_test(SUBJECTS_MAX);
    assert!(
        operator
            .restrict(&adapter, opt_out(), NUMBER, false)
            .is_err()
    );
    assert!(operator.reserve_report().is_none());
}
