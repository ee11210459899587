//! One vector for each test number: its digits, and what the source says of the seven signals.

use std::sync::Arc;

use accord_proto::{
    clock::{Clock as _, ManualClock},
    observation::ForwardingTarget,
};

use super::*;

const NOW: &str = "2026-11-21T12:00:00Z";

fn operator(prefix: &str) -> (VirtualOperator, Arc<ManualClock>) {
    let clock = ManualClock::at(NOW.parse().unwrap());
    (VirtualOperator::new(prefix, clock.clone()).unwrap(), clock)
}

fn number(text: &str) -> Msisdn {
    Msisdn::parse(text).unwrap()
}

async fn ask(operator: &VirtualOperator, msisdn: &str, deadline_ms: u64) -> Observations {
    let deadline = Instant::now() + Duration::from_millis(deadline_ms);
    operator
        .observe(number(msisdn), Signal::ALL, deadline)
        .await
}

fn age(now: Timestamp, at: Timestamp) -> String {
    let seconds = now.duration_since(at).as_secs();
    match seconds {
        s if s != 0 && s % 86_400 == 0 => format!("{}d", s / 86_400),
        s if s % 3_600 == 0 => format!("{}h", s / 3_600),
        s => format!("{}m", s / 60),
    }
}

/// What was observed, in the notation of the vectors: ages before now; `at` an instant, `in` an
/// interval, `since` a bound; a forwarding is its condition, `>` and its target.
fn notation(observed: &Result<Observation, Reason>, now: Timestamp) -> String {
    let observation = match observed {
        Ok(observation) => observation,
        Err(reason) => return reason.to_string(),
    };
    let what = match &observation.what {
        Observed::Change(change) => {
            let kind = change
                .kind
                .map(|kind| format!(" {kind}"))
                .unwrap_or_default();
            match (change.changed_in, change.monitored_since) {
                (Some(within), None) if within.after() == within.before() => {
                    format!("at {}{kind}", age(now, within.before()))
                }
                (Some(within), None) => {
                    let (after, before) = (age(now, within.after()), age(now, within.before()));
                    format!("in {after}-{before}{kind}")
                }
                (None, Some(since)) => format!("since {}{kind}", age(now, since)),
                other => panic!("a shape without notation: {other:?}"),
            }
        }
        Observed::Forwarding(active) if active.is_empty() => "none".to_owned(),
        Observed::Forwarding(active) | Observed::SomeForwarding(active) => {
            let one = |forwarding: &accord_proto::observation::Forwarding| {
                let target = match forwarding.target {
                    ForwardingTarget::AnotherNumber => "other",
                    ForwardingTarget::OwnVoicemail => "voicemail",
                    ForwardingTarget::Unknown => "unknown",
                };
                format!("{}>{target}", forwarding.condition)
            };
            active.iter().map(one).collect::<Vec<_>>().join("+")
        }
        Observed::Signalling(seen) => {
            let watched = age(now, seen.monitored_since);
            match seen.passed_in {
                None => format!("none in {watched}"),
                Some(within) => {
                    let (after, before) = (age(now, within.after()), age(now, within.before()));
                    let kind = seen.kind.unwrap();
                    format!("{kind} {after}-{before} in {watched}")
                }
            }
        }
        Observed::Roaming(roaming) => roaming
            .visited_mcc
            .map_or_else(|| "home".to_owned(), |mcc| mcc.to_string()),
    };
    match now.duration_since(observation.observed_at).as_secs() {
        0 => what,
        _ => format!("{what}, seen {}", age(now, observation.observed_at)),
    }
}

/// digits | sim_swap | device_swap | call_forwarding | roaming | number_recycling = tenure |
/// signalling_anomaly
const VECTORS: &str = "\
000 | at 1460d new_line | at 1460d | none | home | at 1460d | none in 365d
001 | at 2h replacement | at 1460d | none | home | at 1460d | none in 365d
002 | at 30h esim | at 1460d | none | home | at 1460d | none in 365d
003 | at 90d port_in | at 1460d | none | home | at 1460d | none in 365d
004 | since 400d | at 1460d | unconditional>other | home | at 1460d | none in 365d
005 | at 1460d new_line | at 1460d | busy>voicemail+no_reply>voicemail | home | at 1460d | none in 365d
006 | at 1460d new_line | at 1460d | none | 208 | at 1460d | none in 365d
007 | at 40d new_line | at 40d | none | home | at 40d | none in 365d
008 | at 1460d new_line | at 5h | none | home | at 1460d | none in 365d
009 | at 1h replacement | at 1h | none | home | at 1460d | none in 365d
010 | at 1460d new_line | at 1460d | none | home | at 1460d | none in 365d
011 | timeout | timeout | timeout | timeout | timeout | timeout
012 | source_down | source_down | source_down | source_down | source_down | source_down
013 | opted_out | opted_out | opted_out | opted_out | opted_out | opted_out
014 | at 1460d new_line | at 1460d | none | home | at 1460d | none in 365d | locked
015 | unknown_number | unknown_number | unknown_number | unknown_number | unknown_number | unknown_number
016 | not_ours | not_ours | not_ours | not_ours | not_ours | not_ours
017 | in 80h-60h | in 80h-60h | none | home | at 1460d | none in 365d
018 | since 3d | since 3d | none | home | since 3d | none in 3d
019 | at 1460d new_line, seen 45d | at 1460d, seen 45d | none, seen 45d | home, seen 45d | at 1460d, seen 45d | none in 365d, seen 45d
020 | contradicted | at 1460d | none | home | contradicted | none in 365d
021 | overloaded | overloaded | overloaded | overloaded | overloaded | overloaded
022 | at 1460d new_line | at 1460d | not_available | not_available | at 1460d | none in 365d
023 | at 730d new_line | at 730d | none | home | at 730d | none in 365d
024 | at 1d new_line | at 1d | none | home | at 1d | none in 365d
025 | at 1460d new_line | at 1460d | unconditional>other+busy>other+no_reply>voicemail+not_reachable>other | home | at 1460d | none in 365d
026 | at 1460d new_line | at 1460d | not_reachable>unknown | home | at 1460d | none in 365d
027 | at 10d number_change | at 1460d | none | home | at 1460d | none in 365d
028 | in 36h-12h, seen 12h | at 1460d, seen 12h | none, seen 12h | home, seen 12h | at 1460d, seen 12h | none in 365d, seen 12h
029 | at 20m replacement | at 20m | unconditional>other | 208 | at 1460d | location_hijack 20m-20m in 365d
030 | at 71h replacement | at 1460d | none | home | at 1460d | none in 365d
031 | at 73h replacement | at 1460d | none | home | at 1460d | none in 365d
032 | at 1460d new_line, seen -1h | at 1460d, seen -1h | none, seen -1h | home, seen -1h | at 1460d, seen -1h | none in 365d, seen -1h
033 | at 3h replacement | at 1460d | none | home | at 1460d | none in 365d | locked
034 | suspended | suspended | suspended | suspended | suspended | suspended
035 | at 1460d new_line | at 1460d | none | home | at 1460d | location_hijack 10m-10m in 365d
036 | at 1460d new_line | at 1460d | none | home | at 1460d | tracking 40m-20m in 365d
037 | at 1460d new_line | at 1460d | none | home | at 1460d | none in 5m
";

#[tokio::test(start_paused = true)]
async fn every_test_number_says_what_its_vector_says() {
    let (operator, clock) = operator("+447700900");
    let mut said = String::new();
    for test_number in TEST_NUMBERS {
        let msisdn = test_number.msisdn("+447700900").unwrap();
        let told = ask(&operator, msisdn.expose(), 800).await;
        let of = |signal: Signal| {
            let (_, observed) = told.signals.iter().find(|(of, _)| *of == signal).unwrap();
            notation(observed, clock.now())
        };
        assert_eq!(of(Signal::NumberRecycling), of(Signal::Tenure));
        let columns = Signal::ALL
            .iter()
            .filter(|signal| **signal != Signal::Tenure)
            .map(|signal| of(*signal))
            .collect::<Vec<_>>();
        said.push_str(&format!(
            "{:03} | {}",
            test_number.digits,
            columns.join(" | ")
        ));
        said.push_str(if told.customer_lock {
            " | locked\n"
        } else {
            "\n"
        });
    }
    for (said, vector) in said.lines().zip(VECTORS.lines()) {
        assert_eq!(said, vector);
    }
    assert_eq!(said.lines().count(), VECTORS.lines().count());
}

#[test]
fn the_table_is_indexed_by_its_digits() {
    for (at, number) in TEST_NUMBERS.iter().enumerate() {
        assert_eq!(usize::from(number.digits), at);
    }
}

#[tokio::test]
async fn other_numbers_of_the_range_are_quiet_and_always_the_same() {
    let (operator, clock) = operator("+33639980");
    for digits in 38..1_000 {
        let msisdn = format!("+33639980{digits:03}");
        let told = ask(&operator, &msisdn, 100).await;
        assert_eq!(told, ask(&operator, &msisdn, 100).await);
        for (signal, observed) in &told.signals {
            let Ok(observation) = observed else {
                panic!("{digits}: {signal} has no value");
            };
            assert!(observation.what.suits(*signal));
            if let Observed::Change(change) = &observation.what {
                let ago = clock
                    .now()
                    .duration_since(change.changed_in.unwrap().before());
                assert!(
                    ago >= SignedDuration::from_hours(100 * 24),
                    "{digits}: {signal}"
                );
            }
        }
    }
}

#[tokio::test]
async fn a_number_outside_the_prefix_is_not_ours() {
    let (operator, _) = operator("+447700900");
    for msisdn in [
        "+33639980001",
        "+4477009001",
        "+4477009000001",
        "+99907001000",
    ] {
        let told = ask(&operator, msisdn, 100).await;
        assert_eq!(
            told,
            Observations::all(Signal::ALL, Reason::NotOurs),
            "{msisdn}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn the_slow_number_takes_its_time_and_honours_the_deadline() {
    let (operator, _) = operator("+447700900");
    let begun = Instant::now();
    let told = ask(&operator, "+447700900010", 800).await;
    assert!(told.signals.iter().all(|(_, observed)| observed.is_ok()));
    assert_eq!(begun.elapsed().as_millis(), 600);
    let begun = Instant::now();
    let told = ask(&operator, "+447700900010", 400).await;
    assert_eq!(told, Observations::all(Signal::ALL, Reason::Timeout));
    assert!(begun.elapsed().as_millis() <= 401);
}

#[tokio::test]
async fn the_french_operator_roams_in_the_uk() {
    let (operator, _) = operator("+33639980");
    let told = ask(&operator, "+33639980006", 100).await;
    let roaming = told
        .signals
        .iter()
        .find(|(of, _)| *of == Signal::Roaming)
        .unwrap();
    assert_eq!(notation(&roaming.1, NOW.parse().unwrap()), "234");
}

#[tokio::test]
async fn a_swap_made_at_run_time_is_pushed_and_answered() {
    let (operator, clock) = operator("+447700900");
    let mut changes = operator.changes().unwrap();
    assert!(operator.changes().is_none(), "changes are asked for once");
    assert!(operator.swap_sim(number("+447700900500"), SwapKind::Esim));
    assert!(!operator.swap_sim(number("+33639980500"), SwapKind::Esim));
    let pushed = changes.recv().await.unwrap();
    assert_eq!(
        (pushed.msisdn, pushed.signal),
        (number("+447700900500"), Signal::SimSwap)
    );
    clock.step(SignedDuration::from_hours(1));
    let told = ask(&operator, "+447700900500", 100).await;
    assert_eq!(
        notation(&told.signals[0].1, "2026-11-21T13:00:00Z".parse().unwrap()),
        "at 1h esim"
    );
}

#[tokio::test]
async fn an_attack_made_at_run_time_is_pushed_and_answered() {
    let (operator, clock) = operator("+447700900");
    let mut changes = operator.changes().unwrap();
    let now = clock.now();
    assert!(operator.attack(number("+447700900036"), AttackKind::Interception));
    assert!(!operator.attack(number("+33639980036"), AttackKind::Interception));
    let pushed = changes.recv().await.unwrap();
    assert_eq!(pushed.signal, Signal::SignallingAnomaly);
    let told = notation(&Ok(pushed.observation.unwrap()), now);
    assert_eq!(told, "interception 0h-0h in 365d");
    clock.step(SignedDuration::from_mins(1));
    let told = ask(&operator, "+447700900036", 100).await;
    let (_, told) = told.signals.last().unwrap();
    let told = notation(told, clock.now());
    assert_eq!(told, "interception 1m-1m in 365d");
}

#[test]
fn a_prefix_that_makes_no_number_is_refused() {
    for prefix in ["", "+", "447700900", "+44 7700", "+4", "+4477009000000"] {
        let made = VirtualOperator::new(prefix, accord_proto::clock::SystemClock::shared());
        assert_eq!(made.err(), Some(PrefixError), "{prefix}");
    }
}
