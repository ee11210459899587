use accord_proto::observation::{Change, ChangedIn, Forwarding, SourceClass, SwapKind};

use super::*;

const NOW: &str = "2026-11-21T12:00:00Z";

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn number(last: usize) -> Msisdn {
    Msisdn::parse(&format!("+4477009{last:05}")).unwrap()
}

fn sorted(told: &Told<usize>, now: Timestamp) -> Vec<Msisdn> {
    let mut numbers = told.numbers(now);
    numbers.sort();
    numbers
}

#[test]
fn the_numbers_told_of_last_are_known_each_once_and_those_before_go() {
    let told = Told::default();
    for last in [1, 2, 1, 3] {
        told.note_in(number(last), last, 2);
    }
    assert_eq!(sorted(&told, at(NOW)), [1, 2, 3].map(number));
    told.note_in(number(2), 20, 2);
    // Two fill a generation: with the next one what is only in the one before goes.
    told.note_in(number(4), 4, 2);
    assert_eq!(sorted(&told, at(NOW)), [2, 3, 4].map(number));
    assert_eq!(told.of(&number(2)), Some(20));
    assert_eq!(told.of(&number(1)), None);
    told.forget(&number(2));
    assert_eq!(told.of(&number(2)), None);
}

#[test]
fn what_no_broker_can_hold_any_more_is_forgotten() {
    let told = Told::default();
    told.note(number(1), 1);
    assert_eq!(sorted(&told, at("2026-01-01T00:00:00Z")), [number(1)]);
    told.note(number(2), 2);
    // It may have been asked a moment ago, and once more a generation later it was not.
    for (now, known) in [
        ("2026-01-31T23:00:00Z", &[1, 2][..]),
        ("2026-02-01T00:00:00Z", &[1, 2]),
        ("2026-03-04T00:00:00Z", &[1, 2]),
        ("2026-03-04T01:00:00Z", &[]),
    ] {
        let known: Vec<_> = known.iter().copied().map(number).collect();
        assert_eq!(sorted(&told, at(now)), known, "{now}");
    }
}

fn change(changed: Option<(&str, &str)>, since: &str, observed: &str) -> Observation {
    let within = |(after, before)| ChangedIn::new(at(after), at(before)).unwrap();
    Observation {
        what: Observed::Change(Change {
            changed_in: changed.map(within),
            monitored_since: Some(at(since)),
            kind: None,
        }),
        observed_at: at(observed),
        source: SourceClass::Export,
    }
}

fn says(signal: Signal, said: Result<Observation, Reason>) -> Observations {
    Observations {
        signals: vec![(signal, said), (Signal::Roaming, Err(Reason::NotAvailable))],
        ..Observations::default()
    }
}

#[test]
fn what_is_still_true_is_not_taken_back_and_what_is_not_is() {
    const THEN: (&str, &str) = ("2026-05-01T00:00:00Z", "2026-05-02T00:00:00Z");
    const LATER: (&str, &str) = ("2026-11-20T00:00:00Z", "2026-11-21T00:00:00Z");
    let none = |since, observed| Ok(change(None, since, observed));
    let then = |observed| Ok(change(Some(THEN), "2020-01-01T00:00:00Z", observed));
    let before = none("2020-01-01T00:00:00Z", "2026-11-20T02:30:00Z");
    let mut esim = then("2026-11-20T02:30:00Z");
    if let Ok(Observation {
        what: Observed::Change(change),
        ..
    }) = &mut esim
    {
        change.kind = Some(SwapKind::Esim);
    }
    for (was, now, differs) in [
        // The same as of a day later, and of a watch that begins later.
        (
            &before,
            none("2021-01-01T00:00:00Z", "2026-11-21T02:30:00Z"),
            false,
        ),
        (
            &then("2026-11-20T02:30:00Z"),
            then("2026-11-21T02:30:00Z"),
            false,
        ),
        (
            &before,
            Ok(change(Some(LATER), "2020-01-01T00:00:00Z", NOW)),
            true,
        ),
        (
            &then("2026-11-20T02:30:00Z"),
            none("2026-06-01T00:00:00Z", NOW),
            true,
        ),
        (&esim, then("2026-11-21T02:30:00Z"), true),
        (&before, Err(Reason::Contradicted), true),
        // What another source said then was said without this one.
        (&Err(Reason::NotAvailable), then(NOW), true),
        (&Err(Reason::NotWatched), Err(Reason::NotAvailable), false),
    ] {
        for (signal, taken) in [
            (Signal::SimSwap, &[Signal::SimSwap][..]),
            // Another holder: nothing that was said of the line before holds.
            (Signal::Tenure, Signal::ALL),
        ] {
            let expected = if differs { taken } else { &[] };
            let found = differing(&says(signal, was.clone()), &says(signal, now.clone()));
            assert_eq!(found, expected, "{was:?} {now:?}");
        }
    }
    // Nobody's, or another operator's: of no signal anything holds, and so where it came back.
    for nobody in [Reason::UnknownNumber, Reason::NotOurs] {
        let nobody = says(Signal::SimSwap, Err(nobody));
        let known = says(Signal::SimSwap, before.clone());
        let quiet = says(Signal::SimSwap, Err(Reason::NotAvailable));
        for (one, other) in [(&known, &nobody), (&nobody, &known), (&quiet, &nobody)] {
            assert_eq!(differing(one, other), Signal::ALL);
        }
        assert_eq!(differing(&nobody, &nobody), []);
    }
    let forwarding = |active: Vec<Forwarding>| Observation {
        what: Observed::Forwarding(active),
        ..change(None, NOW, NOW)
    };
    let cleared = says(Signal::CallForwarding, Ok(forwarding(Vec::new())));
    assert_eq!(differing(&cleared, &cleared), []);
    let some = Observation {
        what: Observed::SomeForwarding(Vec::new()),
        ..forwarding(Vec::new())
    };
    let some = says(Signal::CallForwarding, Ok(some));
    assert_eq!(differing(&cleared, &some), [Signal::CallForwarding]);
}

#[test]
fn so_many_are_taken_back_at_once_and_the_rest_is_counted() {
    let mut found = Withdrawals::default();
    let lines = WITHDRAWALS_MAX / Signal::ALL.len();
    for last in 0..=lines {
        found.add(number(last), Signal::ALL);
    }
    assert_eq!(found.left_out(), Signal::ALL.len());
    let count = lines * Signal::ALL.len();
    assert_eq!(found.len(), count);
    let changes: Vec<_> = found.into_changes().collect();
    assert_eq!(changes.len(), count);
    let first = changes.iter().take(Signal::ALL.len());
    let signals: Vec<_> = first.map(|change| change.signal).collect();
    assert_eq!(signals, Signal::ALL);
    assert!(changes.iter().all(|change| change.observation.is_none()));
}
