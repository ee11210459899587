//! Lines of which this and that was told, and what is said of them.

use accord_proto::observation::{AttackKind, SwapKind};

use super::*;
use crate::events::envelope::{Begun, Happened};

/// Watched since 1,000 s until 2,000 s.
fn known(events: &[(Happened, i64)]) -> Known {
    let mut line = Line::default();
    for (happened, at) in events {
        line.take(*happened, at * 1_000_000);
    }
    Known {
        line,
        watch: Watch {
            since: 1_000_000_000,
            newest: 2_000_000_000,
        },
        pace: Pace {
            lateness: 0,
            gap_max: 1,
        },
        now: 2_000_000_000,
    }
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(seconds).unwrap()
}

fn change(known: &Known, signal: Signal) -> Change {
    let observation = known.observation(signal).unwrap();
    let Observed::Change(change) = observation.what else {
        panic!("no change");
    };
    assert!(
        change
            .changed_in
            .is_none_or(|within| within.before() <= observation.observed_at)
    );
    change
}

#[test]
fn a_swap_since_the_watch_began_is_an_instant_and_an_older_one_an_interval() {
    let swap = |at| known(&[(Happened::SimSwap(Some(SwapKind::Esim)), at)]);
    let new = change(&swap(1_500), Signal::SimSwap);
    assert_eq!(new.changed_in, Some(ChangedIn::at(at(1_500))));
    assert_eq!(new.kind, Some(SwapKind::Esim));
    let old = change(&swap(500), Signal::SimSwap);
    let within = old.changed_in.unwrap();
    assert!(within.after() < at(500) && within.before() == at(1_000));
    assert_eq!(old.kind, None, "there may have been another one");
    let none = change(&known(&[]), Signal::SimSwap);
    assert_eq!(none.changed_in, None);
    assert_eq!(none.monitored_since, Some(at(1_000)));
}

#[test]
fn a_number_that_left_is_not_ours_until_it_comes_back() {
    let left = known(&[(Happened::PortOut, 1_500)]);
    assert_eq!(left.observation(Signal::SimSwap), Err(Reason::NotOurs));
    let ceased = known(&[(Happened::Cease, 1_500)]);
    assert_eq!(
        ceased.observation(Signal::Tenure),
        Err(Reason::UnknownNumber)
    );
    let back = known(&[(Happened::PortOut, 1_500), (Happened::PortIn, 1_600)]);
    assert_eq!(change(&back, Signal::SimSwap).kind, Some(SwapKind::PortIn));
    // A port is no recycling.
    let holder = change(&back, Signal::NumberRecycling);
    assert_eq!(holder.changed_in, None);
    assert_eq!(holder.monitored_since, Some(at(1_600)));
    let again = known(&[
        (Happened::Cease, 1_500),
        (Happened::Activate(Begun::NewLine), 1_700),
    ]);
    let holder = change(&again, Signal::NumberRecycling);
    assert_eq!(holder.changed_in, Some(ChangedIn::at(at(1_700))));
}

#[test]
fn no_forwarding_is_told_only_if_each_condition_was() {
    let forwarding = |events: &[(Happened, i64)]| {
        let observation = known(events).observation(Signal::CallForwarding)?;
        match observation.what {
            Observed::Forwarding(active) => Ok(active.len()),
            Observed::SomeForwarding(_) => Err(Reason::NotAvailable),
            Observed::Change(_) | Observed::Roaming(_) | Observed::Signalling(_) => {
                panic!("no forwarding")
            }
        }
    };
    let cleared = |condition| Happened::Forwarding(condition, Forward::Cleared);
    let busy = Some(ForwardingCondition::Busy);
    assert_eq!(forwarding(&[]), Err(Reason::NotWatched));
    assert_eq!(
        forwarding(&[(cleared(busy), 1_500)]),
        Err(Reason::NotWatched)
    );
    assert_eq!(forwarding(&[(cleared(None), 1_500)]), Ok(0));
    // Before the watch began is not since.
    assert_eq!(forwarding(&[(cleared(None), 500)]), Err(Reason::NotWatched));
    let set = Happened::Forwarding(busy, Forward::AnotherNumber);
    assert_eq!(
        forwarding(&[(set, 1_500)]),
        Err(Reason::NotAvailable),
        "one of some"
    );
    assert_eq!(forwarding(&[(cleared(None), 1_400), (set, 1_500)]), Ok(1));
    assert_eq!(forwarding(&[(set, 1_500), (cleared(None), 1_600)]), Ok(0));
    // The default of most subscribers: the condition that leads to a thief may be another one.
    let own = Happened::Forwarding(busy, Forward::OwnVoicemail);
    assert_eq!(forwarding(&[(own, 1_500)]), Err(Reason::NotWatched));
    // What was told just now is not all, as long as another event may come late.
    let of = |what: &[(Happened, i64)]| {
        let mut known = known(what);
        known.pace.lateness = 10_000_000;
        known.observation(Signal::CallForwarding)
    };
    let late = of(&[(cleared(None), 1_995)]);
    assert_eq!(late, Err(Reason::Undecided));
    let late = of(&[(cleared(None), 1_400), (set, 1_995)]).unwrap();
    assert!(matches!(late.what, Observed::SomeForwarding(_)));
    assert_eq!(late.observed_at, at(1_995));
}

#[test]
fn an_attack_that_passed_is_told_and_one_that_was_blocked_is_not() {
    let alarm = |passed| Happened::SignallingAlarm {
        kind: AttackKind::Interception,
        passed,
    };
    let signalling = |events: &[(Happened, i64)]| {
        let told = known(events).observation(Signal::SignallingAnomaly);
        let Observed::Signalling(signalling) = told.unwrap().what else {
            panic!("another signal");
        };
        signalling
    };
    assert_eq!(signalling(&[(alarm(false), 1_500)]).passed_in, None);
    for seconds in [500, 1_500] {
        let told = signalling(&[(alarm(true), seconds), (alarm(false), 1_600)]);
        assert_eq!(told.passed_in, Some(ChangedIn::at(at(seconds))));
        assert_eq!(told.kind, Some(AttackKind::Interception));
        assert_eq!(told.monitored_since, at(1_000));
    }
}

#[test]
fn without_a_watch_nothing_is_told() {
    let mut lost = known(&[(Happened::SimSwap(None), 1_500)]);
    lost.watch = Watch::default();
    assert_eq!(lost.observation(Signal::SimSwap), Err(Reason::NotWatched));
    assert_eq!(lost.fact(Signal::DeviceSwap), Err(Reason::NotWatched));
    let fact = lost.fact(Signal::SimSwap).unwrap();
    assert_eq!(fact.observed_at, at(1_500), "as of then, and no later");
    let Observed::Change(fact) = fact.what else {
        panic!("no change");
    };
    assert_eq!(fact.changed_in, Some(ChangedIn::at(at(1_500))));
    assert_eq!(fact.monitored_since, Some(at(1_500)));
}

#[test]
fn nothing_is_told_to_lie_ahead_of_the_adapters_clock() {
    let mut known = known(&[(Happened::SimSwap(None), 1_500)]);
    known.now = 1_490_000_000;
    let told = known.observation(Signal::SimSwap).unwrap();
    assert_eq!(told.observed_at, at(1_490));
    assert_eq!(
        change(&known, Signal::SimSwap).changed_in,
        Some(ChangedIn::at(at(1_490)))
    );
    // Nor is a watch told of that begins a moment from now.
    known.now = 999_000_000;
    assert_eq!(known.observation(Signal::SimSwap), Err(Reason::NotWatched));
}

/// What is said of the device, in seconds: when the last change was, and since when it was watched.
fn device(known: &Known) -> (Option<i64>, i64) {
    let told = change(known, Signal::DeviceSwap);
    let last = told.changed_in.map(|within| within.before().as_second());
    (last, told.monitored_since.unwrap().as_second())
}

const ATTACK: Happened = Happened::SignallingAlarm {
    kind: AttackKind::Interception,
    passed: true,
};

#[test]
fn what_was_another_lines_is_not_told_of_the_present_one() {
    let elsewhere = Happened::Forwarding(None, Forward::AnotherNumber);
    let before = [
        (Happened::DeviceChange, 1_100),
        (elsewhere, 1_100),
        (ATTACK, 1_100),
    ];
    for (ends, begins) in [
        (Happened::Cease, Happened::Activate(Begun::NewLine)),
        (Happened::Cease, Happened::Activate(Begun::NumberChange)),
        (Happened::PortOut, Happened::PortIn),
    ] {
        let mut events = before.to_vec();
        events.extend([(ends, 1_400), (begins, 1_600)]);
        let back = known(&events);
        assert_eq!(
            device(&back),
            (None, 1_600),
            "{begins:?}: nobody watched before"
        );
        let signalling = back.observation(Signal::SignallingAnomaly).unwrap();
        let Observed::Signalling(told) = signalling.what else {
            panic!("another signal");
        };
        assert_eq!((told.passed_in, told.kind), (None, None), "{begins:?}");
        assert_eq!(told.monitored_since, at(1_600), "{begins:?}");
        let forwarding = |known: &Known| known.observation(Signal::CallForwarding);
        assert_eq!(forwarding(&back), Err(Reason::NotWatched), "{begins:?}");
        // What an event says by itself is of the line that it was about, too.
        let mut lost = back;
        lost.watch = Watch::default();
        for signal in [
            Signal::DeviceSwap,
            Signal::CallForwarding,
            Signal::SignallingAnomaly,
        ] {
            assert_eq!(lost.fact(signal), Err(Reason::NotWatched), "{signal}");
        }
        // And what is told of the present line is told, be it at the moment at which it began.
        for since in [1_600, 1_700] {
            let mut now = events.clone();
            now.extend(before.map(|(happened, _)| (happened, since)));
            let now = known(&now);
            assert_eq!(device(&now), (Some(since), 1_600), "{begins:?}");
            let Observed::Forwarding(active) = forwarding(&now).unwrap().what else {
                panic!("not all are known");
            };
            assert_eq!(active.len(), 4, "{begins:?}");
            let signalling = now.observation(Signal::SignallingAnomaly).unwrap();
            let Observed::Signalling(told) = signalling.what else {
                panic!("another signal");
            };
            assert_eq!(told.passed_in, Some(ChangedIn::at(at(since))));
        }
    }
}

#[test]
fn a_line_that_begins_a_moment_from_now_has_been_watched_for_no_time() {
    let mut known = known(&[(Happened::Activate(Begun::NewLine), 1_500)]);
    known.now = 1_499_000_000;
    for signal in [Signal::DeviceSwap, Signal::SignallingAnomaly] {
        let told = known.observation(signal);
        assert_eq!(told, Err(Reason::NotWatched), "{signal}");
    }
    assert!(known.observation(Signal::SimSwap).is_ok());
}

#[test]
fn a_change_of_this_line_from_before_the_watch_began_again_is_an_interval_still() {
    let events = [
        (Happened::Activate(Begun::NewLine), 400),
        (Happened::DeviceChange, 500),
    ];
    assert_eq!(device(&known(&events)), (Some(1_000), 1_000));
}
