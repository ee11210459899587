//! What the kit makes of sources that say what the test wants.

use accord_proto::{clock::ManualClock, observation::*, reason::Reason};

use super::*;
use crate::source::{Observations, SourceFuture, SourceState, StateCell};

/// A source in a state that changes with the questions.
#[derive(Debug)]
struct Scripted {
    state: StateCell,
    /// What it vouches for, in seconds before noon; by question.
    ages: std::sync::Mutex<Vec<Result<i64, Reason>>>,
}

const NOON: &str = "2026-11-21T12:00:00Z";

impl Source for Scripted {
    fn signals(&self) -> &[Signal] {
        &[Signal::Roaming]
    }

    fn state(&self) -> SourceState {
        self.state.get()
    }

    fn observe<'a>(&'a self, _: Msisdn, _: &'a [Signal], _: Instant) -> SourceFuture<'a> {
        let noon: Timestamp = NOON.parse().unwrap();
        let said = self.ages.lock().unwrap().remove(0).map(|age| Observation {
            what: Observed::Roaming(Roaming {
                roaming: false,
                visited_mcc: None,
            }),
            observed_at: noon - jiff::SignedDuration::from_secs(age),
            source: SourceClass::Network,
        });
        Box::pin(std::future::ready(Observations {
            signals: vec![(Signal::Roaming, said)],
            ..Observations::default()
        }))
    }
}

fn asked(source: &dyn Source) -> Asked<'_> {
    Asked {
        name: "x",
        kind: "scripted",
        signals: source.signals(),
        source,
        asks_per_second: None,
    }
}

async fn found(condition: Condition, why: &'static str, ages: &[Result<i64, Reason>]) -> Found {
    let clock = ManualClock::at(NOON.parse().unwrap());
    let source = Scripted {
        state: StateCell::default(),
        ages: std::sync::Mutex::new(ages.to_vec()),
    };
    source.state.set(condition, why, clock.now());
    let plan = Plan {
        rounds: u32::try_from(ages.len()).unwrap(),
        time: Duration::from_secs(1),
        budget: Duration::from_secs(10),
    };
    let numbers = [Msisdn::parse("+447700900001").unwrap()];
    examine_source(asked(&source), None, &numbers, plan, &*clock).await
}

#[tokio::test]
async fn a_source_that_refuses_its_credentials_is_named_by_that() {
    let refused = Err(Reason::SourceDown);
    let found = found(Condition::Refused, "password refused", &[refused, refused]).await;
    assert_eq!(found.state, "refused_credentials");
    assert_eq!(
        found.wrong,
        [
            "it is refused_credentials: password refused",
            "roaming: no answer to 2 of 2 questions"
        ]
    );
}

#[tokio::test]
async fn freshness_is_the_age_of_what_was_told() {
    let found = found(
        Condition::Up,
        "",
        &[Ok(600), Ok(60), Err(Reason::NotAvailable)],
    )
    .await;
    let [roaming] = found.signals.as_slice() else {
        panic!("one signal");
    };
    assert_eq!((roaming.answered, roaming.asked), (2, 3));
    assert_eq!(
        (roaming.freshest_s, roaming.oldest_s),
        (Some(60), Some(600))
    );
    assert_eq!(found.wrong, Vec::<String>::new(), "it may not know");
}

#[tokio::test]
async fn a_source_that_vouches_for_less_than_before_is_remarked_on() {
    let found = found(Condition::Up, "", &[Ok(60), Ok(600)]).await;
    assert_eq!(
        found.wrong,
        ["number 1: roaming: vouches for less than it did a round before"]
    );
}

#[tokio::test(start_paused = true)]
async fn a_source_that_hangs_is_asked_no_longer_than_the_budget() {
    #[derive(Debug)]
    struct Hung;
    impl Source for Hung {
        fn signals(&self) -> &[Signal] {
            &[Signal::Roaming]
        }
        fn observe<'a>(&'a self, _: Msisdn, _: &'a [Signal], _: Instant) -> SourceFuture<'a> {
            Box::pin(std::future::pending())
        }
    }
    let clock = ManualClock::at(NOON.parse().unwrap());
    let plan = Plan {
        rounds: 1_000,
        time: Duration::from_secs(1),
        budget: Duration::from_secs(3),
    };
    let numbers = [
        "+447700900001",
        "+447700900002",
        "+447700900003",
        "+447700900004",
    ];
    let numbers = numbers.map(|number| Msisdn::parse(number).unwrap());
    let found = examine_source(asked(&Hung), None, &numbers, plan, &*clock).await;
    assert_eq!(found.questions, 3);
    let wrong = found.wrong.join("\n");
    assert!(
        wrong.contains("only 3 of 4 numbers could be asked about in time"),
        "{wrong}"
    );
    assert!(wrong.contains("no answer at its deadline"), "{wrong}");
}

/// Knows forwarding and roaming, and remembers what it was asked, and when.
#[derive(Debug, Default)]
struct Remembering(std::sync::Mutex<Vec<(Vec<Signal>, Instant)>>);

impl Source for Remembering {
    fn signals(&self) -> &[Signal] {
        &[Signal::CallForwarding, Signal::Roaming]
    }

    fn observe<'a>(&'a self, _: Msisdn, signals: &'a [Signal], _: Instant) -> SourceFuture<'a> {
        let asked = (signals.to_vec(), Instant::now());
        self.0.lock().unwrap().push(asked);
        let told = Observations::all(signals, Reason::NotAvailable);
        Box::pin(std::future::ready(told))
    }
}

#[tokio::test(start_paused = true)]
async fn signals_that_the_section_leaves_out_are_not_asked_and_a_ceiling_holds() {
    let source = Remembering::default();
    let clock = ManualClock::at(NOON.parse().unwrap());
    let plan = Plan {
        rounds: 1_000,
        time: Duration::from_secs(1),
        budget: Duration::from_secs(2),
    };
    let of = Asked {
        signals: &[Signal::Roaming],
        asks_per_second: Some(4),
        ..asked(&source)
    };
    let numbers = [Msisdn::parse("+447700900001").unwrap()];
    let found = examine_source(of, None, &numbers, plan, &*clock).await;
    let asked = source.0.into_inner().unwrap();
    assert_eq!(asked.len(), 8, "four a second, for two seconds");
    for two in asked.windows(2) {
        assert!(two[1].1 - two[0].1 >= Duration::from_millis(250));
    }
    assert!(
        asked
            .iter()
            .all(|(signals, _)| signals == &[Signal::Roaming])
    );
    assert_eq!(found.left_out, ["call_forwarding"]);
    let listed: Vec<&str> = found.signals.iter().map(|found| found.signal).collect();
    assert_eq!(listed, ["roaming"]);
}
