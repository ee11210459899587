//! Several sources in one process, each scripted, in paused time.

mod pushed;

use std::{
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use accord_proto::{
    clock::ManualClock,
    observation::{Change, ChangedIn, Observation, Observed, Roaming, SourceClass},
    reason::Reason,
};
use jiff::{SignedDuration, Timestamp};
use tokio::{sync::watch, time::sleep_until};

use super::*;
use crate::{
    source::{Condition, Observations, SourceRestrictions, SourceState},
    sources::{SourceConfig, SourceSection, VirtualConfig},
};

/// What a scripted source does when it is asked.
#[derive(Debug, Clone, Copy)]
enum Does {
    Says(Result<i64, Reason>),
    Hangs,
}

#[derive(Debug)]
struct Scripted {
    does: Mutex<Does>,
    asked: AtomicUsize,
    clock: SharedClock,
    pushed: Mutex<Option<mpsc::Receiver<SourceChange>>>,
    restricts: Option<RestrictionsWatch>,
    /// It only knows whose the number is, but for roaming.
    vetoes: bool,
}

impl Source for Scripted {
    fn signals(&self) -> &[Signal] {
        &[Signal::SimSwap, Signal::Roaming]
    }

    fn answers(&self) -> &[Signal] {
        if self.vetoes {
            &[Signal::Roaming]
        } else {
            self.signals()
        }
    }

    fn observe<'a>(
        &'a self,
        _: Msisdn,
        signals: &'a [Signal],
        deadline: Instant,
    ) -> SourceFuture<'a> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        let does = *self.does.lock().unwrap();
        let now = self.clock.now();
        Box::pin(async move {
            match does {
                Does::Says(said) => Observations {
                    signals: signals
                        .iter()
                        .map(|signal| (*signal, said.map(|hours| observation(*signal, hours, now))))
                        .collect(),
                    ..Observations::default()
                },
                // Beyond its deadline too: nobody may wait for it.
                Does::Hangs => {
                    sleep_until(deadline + Duration::from_secs(3_600)).await;
                    Observations::default()
                }
            }
        })
    }

    fn state(&self) -> SourceState {
        SourceState {
            condition: Condition::Up,
            ..SourceState::default()
        }
    }

    fn changes(&self) -> Option<mpsc::Receiver<SourceChange>> {
        self.pushed.lock().unwrap().take()
    }

    fn restrictions(&self) -> Option<RestrictionsWatch> {
        self.restricts.clone()
    }
}

/// A swap so many hours ago; roaming where they are not even.
fn observation(signal: Signal, hours: i64, now: Timestamp) -> Observation {
    let what = if signal == Signal::Roaming {
        Observed::Roaming(Roaming {
            roaming: hours % 2 == 1,
            visited_mcc: None,
        })
    } else {
        Observed::Change(Change {
            changed_in: Some(ChangedIn::at(now - SignedDuration::from_hours(hours))),
            monitored_since: None,
            kind: None,
        })
    };
    Observation {
        what,
        observed_at: now,
        source: SourceClass::Network,
    }
}

struct Stage {
    clock: SharedClock,
    sources: Vec<Arc<Scripted>>,
    several: Several,
}

/// Several sources, each with keys of its section.
fn stage(sources: &[(Does, &str)]) -> Stage {
    let clock: SharedClock = ManualClock::at("2026-11-21T12:00:00Z".parse().unwrap());
    let scripted = |does: &Does| {
        Arc::new(Scripted {
            does: Mutex::new(*does),
            asked: AtomicUsize::new(0),
            clock: clock.clone(),
            pushed: Mutex::default(),
            restricts: None,
            vetoes: false,
        })
    };
    let made: Vec<_> = sources.iter().map(|(does, _)| scripted(does)).collect();
    let part = |(source, (_, keys)): (&Arc<Scripted>, &(Does, &str))| {
        Part::new(&section(keys), Arc::clone(source) as Arc<dyn Source>)
    };
    let parts = made.iter().zip(sources).map(part).collect();
    Stage {
        several: Several::new(parts, clock.clone()),
        sources: made,
        clock,
    }
}

fn section(keys: &str) -> SourceSection {
    toml::from_str(&format!(
        "kind = \"virtual\"\nprefix = \"+447700900\"\n{keys}"
    ))
    .unwrap()
}

fn number() -> Msisdn {
    Msisdn::parse("+447700900001").unwrap()
}

const BOTH: &[Signal] = &[Signal::SimSwap, Signal::Roaming];

impl Stage {
    async fn ask(&self, bulk: bool) -> Vec<Result<Observation, Reason>> {
        let deadline = Instant::now() + Duration::from_millis(800);
        let told = if bulk {
            self.several.observe_bulk(number(), BOTH, deadline).await
        } else {
            self.several.observe(number(), BOTH, deadline).await
        };
        assert!(Instant::now() <= deadline, "later than the deadline");
        let of = |signal: &Signal| {
            let mut said = told.signals.iter().filter(|(of, _)| of == signal);
            let one = said.next().unwrap().1.clone();
            assert!(said.next().is_none(), "{signal} twice");
            one
        };
        BOTH.iter().map(of).collect()
    }

    fn part(&self, at: usize) -> &Part {
        self.several.parts().nth(at).unwrap()
    }
}

#[tokio::test(start_paused = true)]
async fn a_source_that_hangs_costs_the_others_its_time_and_soon_nothing() {
    let stage = stage(&[
        (Does::Says(Ok(4)), "name = \"good\""),
        (Does::Hangs, "name = \"bad\"\ntimeout_ms = 300"),
    ]);
    let whole = observation(Signal::SimSwap, 4, stage.clock.now());
    for _ in 0..5 {
        let begun = Instant::now();
        assert_eq!(stage.ask(false).await[0].as_ref(), Ok(&whole));
        assert_eq!(begun.elapsed(), Duration::from_millis(300));
    }
    assert_eq!(stage.part(1).state().condition, Condition::Down);
    for _ in 0..100 {
        let begun = Instant::now();
        assert_eq!(stage.ask(false).await[0].as_ref(), Ok(&whole));
        assert_eq!(begun.elapsed(), Duration::ZERO);
    }
    assert_eq!(stage.sources[1].asked.load(Ordering::Relaxed), 5);
    // Later one question tries it again: aside, with the source's time and nearly none of its own.
    tokio::time::advance(Duration::from_secs(1)).await;
    let begun = Instant::now();
    assert_eq!(stage.ask(false).await[0].as_ref(), Ok(&whole));
    assert_eq!(begun.elapsed(), Duration::from_millis(20));
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(stage.part(1).state().condition, Condition::Down);
    // Once it answers again it is asked again, and that question hears it.
    *stage.sources[1].does.lock().unwrap() = Does::Says(Ok(4));
    tokio::time::advance(Duration::from_secs(2)).await;
    stage.ask(false).await;
    assert_eq!(stage.part(1).state().condition, Condition::Up);
    assert_eq!(stage.sources[1].asked.load(Ordering::Relaxed), 7);
    let reasons = stage.part(1).counted().reasons;
    assert_eq!(reasons, [(Reason::Timeout, 12), (Reason::SourceDown, 202)]);
}

#[tokio::test(start_paused = true)]
async fn alone_a_source_that_hangs_is_a_timeout_then_down() {
    let stage = stage(&[(Does::Hangs, "timeout_ms = 300")]);
    for _ in 0..5 {
        assert_eq!(stage.ask(false).await[0], Err(Reason::Timeout));
    }
    assert_eq!(stage.ask(false).await[0], Err(Reason::SourceDown));
}

#[tokio::test(start_paused = true)]
async fn what_sources_contradict_is_told_as_such_and_counted() {
    let stage = stage(&[
        (Does::Says(Ok(4)), "name = \"one\""),
        (Does::Says(Ok(9)), "name = \"two\""),
    ]);
    let told = stage.ask(false).await;
    assert_eq!(told, [Err(Reason::Contradicted), Err(Reason::Contradicted)]);
    stage.ask(false).await;
    let counted = stage.several.contradictions();
    assert_eq!(counted, [(Signal::SimSwap, 2), (Signal::Roaming, 2)]);
}

#[tokio::test(start_paused = true)]
async fn a_source_is_believed_only_for_the_signals_of_its_section() {
    let stage = stage(&[
        (
            Does::Says(Ok(4)),
            "name = \"one\"\nsignals = [\"sim_swap\"]",
        ),
        (Does::Says(Ok(9)), "name = \"two\"\nsignals = [\"roaming\"]"),
    ]);
    let now = stage.clock.now();
    let told = stage.ask(false).await;
    assert_eq!(told[0], Ok(observation(Signal::SimSwap, 4, now)));
    assert_eq!(told[1], Ok(observation(Signal::Roaming, 9, now)));
    assert_eq!(stage.several.signals(), BOTH);
}

#[tokio::test(start_paused = true)]
async fn beyond_its_ceiling_a_source_is_overloaded_and_the_others_stand() {
    let stage = stage(&[
        (Does::Says(Ok(4)), "name = \"one\"\nasks_per_second = 4"),
        (
            Does::Says(Ok(4)),
            "name = \"two\"\nsignals = [\"sim_swap\"]",
        ),
    ]);
    // The bucket holds two: a screening may take one of them, single questions both.
    assert!(stage.ask(true).await[1].is_ok());
    assert_eq!(stage.ask(true).await[1], Err(Reason::Overloaded));
    assert!(stage.ask(false).await[1].is_ok());
    let told = stage.ask(false).await;
    assert!(told[0].is_ok(), "the other source stands");
    assert_eq!(told[1], Err(Reason::Overloaded));
    let ceiling = stage.part(0).ceiling().unwrap();
    assert_eq!(ceiling.per_second, 4);
    tokio::time::advance(Duration::from_secs(1)).await;
    assert_eq!(stage.part(0).ceiling().unwrap().last_second, 2);
    assert!(stage.ask(false).await[1].is_ok());
}

#[tokio::test(start_paused = true)]
async fn no_more_than_its_asks_are_in_flight_at_a_source() {
    let stage = stage(&[(Does::Hangs, "in_flight_max = 2\ntimeout_ms = 300")]);
    let told = tokio::join!(stage.ask(false), stage.ask(false), stage.ask(false));
    let mut told = [&told.0[0], &told.1[0], &told.2[0]];
    told.sort_by_key(|said| **said == Err(Reason::Overloaded));
    assert_eq!(told[1], &Err(Reason::Timeout));
    assert_eq!(told[2], &Err(Reason::Overloaded));
    assert_eq!(stage.sources[0].asked.load(Ordering::Relaxed), 2);
}

#[tokio::test(start_paused = true)]
async fn a_question_with_little_time_says_nothing_about_a_source() {
    let stage = stage(&[(Does::Hangs, "")]);
    for _ in 0..20 {
        let deadline = Instant::now() + Duration::from_millis(10);
        stage.several.observe(number(), BOTH, deadline).await;
    }
    assert_eq!(stage.part(0).state().condition, Condition::Up);
}

#[tokio::test(start_paused = true)]
async fn restrictions_of_all_sources_are_joined_and_wait_for_each() {
    let clock: SharedClock = ManualClock::at("2026-11-21T12:00:00Z".parse().unwrap());
    let mut parts = Vec::new();
    let mut told = Vec::new();
    for name in ["one", "two"] {
        let (tell, restricts) = watch::channel(None);
        let source = Scripted {
            does: Mutex::new(Does::Hangs),
            asked: AtomicUsize::new(0),
            clock: clock.clone(),
            pushed: Mutex::default(),
            restricts: Some(restricts),
            vetoes: false,
        };
        let section = section(&format!("name = \"{name}\""));
        parts.push(Part::new(&section, Arc::new(source)));
        told.push(tell);
    }
    let several = Several::new(parts, clock);
    let mut joined = several.restrictions().unwrap();
    let opted_out = |numbers: &[&str]| {
        let numbers = numbers.iter().map(|text| Msisdn::parse(text).unwrap());
        Some(Arc::new(SourceRestrictions {
            opted_out: numbers.collect(),
            ..SourceRestrictions::default()
        }))
    };
    told[0].send_replace(opted_out(&["+447700900001"]));
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(*joined.borrow(), None, "one has not said anything yet");
    told[1].send_replace(opted_out(&["+447700900002"]));
    joined.wait_for(Option::is_some).await.unwrap();
    assert_eq!(joined.borrow().as_ref().unwrap().opted_out.len(), 2);
    joined.mark_unchanged();
    told[0].send_replace(opted_out(&[]));
    joined.changed().await.unwrap();
    assert_eq!(joined.borrow().as_ref().unwrap().opted_out.len(), 1);
}

#[test]
fn each_rule_of_a_section_names_its_key() {
    let parse = |keys: &str| {
        let text = format!("kind = \"virtual\"\nprefix = \"+447700900\"\n{keys}");
        toml::from_str::<SourceSection>(&text).map_err(|error| error.message().to_owned())
    };
    assert!(parse("").is_ok());
    for (keys, said) in [
        ("name = \"a b\"", "`name`: "),
        ("name = \"\"", "`name`: "),
        ("signals = []", "`signals`: "),
        ("signals = [\"sim\"]", "signal"),
        ("asks_per_second = 0", "`asks_per_second`: "),
        ("timeout_ms = 0", "`timeout_ms`: "),
        ("in_flight_max = 0", "`in_flight_max`: "),
        ("clock_error_ms = 3600001", "`clock_error_ms`: "),
        ("stands_for_hours = 745", "`stands_for_hours`: "),
        ("timeout = 3", "unknown field `timeout`"),
    ] {
        let error = parse(keys).unwrap_err();
        assert!(error.contains(said), "{error}");
    }
    let virtual_operator = VirtualConfig {
        prefix: "+447700900".to_owned(),
    };
    let section = SourceSection::of(SourceConfig::Virtual(virtual_operator));
    assert_eq!(format!("{section:?}"), format!("{:?}", parse("").unwrap()));
}
