//! A newer word and an older one, of each kind, weighed both ways.

use accord_proto::observation::{
    Change, ForwardingCondition, ForwardingTarget, Roaming, Signalling, SourceClass,
};

use super::*;

/// A moment of one day, `11:54:00`.
fn at(time: &str) -> Timestamp {
    format!("2026-11-27T{time}Z").parse().unwrap()
}

fn observation(what: Observed, observed_at: &str) -> Observation {
    Observation {
        what,
        observed_at: at(observed_at),
        source: SourceClass::Network,
    }
}

fn within(after: &str, before: &str) -> Option<ChangedIn> {
    Some(ChangedIn::new(at(after), at(before)).unwrap())
}

/// The last change lies in an interval.
fn swapped(after: &str, before: &str, observed_at: &str) -> Observation {
    let change = Change {
        changed_in: within(after, before),
        monitored_since: None,
        kind: None,
    };
    observation(Observed::Change(change), observed_at)
}

fn of_kind(mut swapped: Observation, kind: SwapKind) -> Observation {
    if let Observed::Change(change) = &mut swapped.what {
        change.kind = Some(kind);
    }
    swapped
}

/// There was none since; `None`: ever.
fn none(since: Option<&str>, observed_at: &str) -> Observation {
    let change = Change {
        changed_in: None,
        monitored_since: since.map(at),
        kind: None,
    };
    observation(Observed::Change(change), observed_at)
}

fn attacked(passed_in: Option<ChangedIn>, since: &str, observed_at: &str) -> Observation {
    let signalling = Signalling {
        passed_in,
        kind: None,
        monitored_since: at(since),
    };
    observation(Observed::Signalling(signalling), observed_at)
}

fn abroad(visited_mcc: Option<u16>, observed_at: &str) -> Observation {
    let roaming = Roaming {
        roaming: visited_mcc.is_some(),
        visited_mcc,
    };
    observation(Observed::Roaming(roaming), observed_at)
}

fn forwarded() -> Vec<Forwarding> {
    vec![Forwarding {
        condition: ForwardingCondition::Busy,
        target: ForwardingTarget::AnotherNumber,
    }]
}

/// What becomes of a held observation and one that is told; each has to be so.
fn all(cases: Vec<(Observation, Observation, Verdict)>) {
    for (held, said, expected) in cases {
        assert_eq!(verdict(&held, &said), expected, "{held:?}\n{said:?}");
    }
}

#[test]
fn a_change_that_may_have_been_until_now_is_the_same_a_moment_later() {
    use Verdict::{Neither, Stays, Yields};
    let until = |before| swapped("11:49:00", before, before);
    all(vec![
        // What was answered, and what was pushed a moment before and comes later.
        (until("11:59:01"), until("11:59:00"), Stays),
        (until("12:00:00"), until("11:59:00"), Stays),
        (until("12:00:01"), until("11:59:00"), Neither),
        (until("11:59:00"), until("11:59:01"), Yields),
    ]);
}

#[test]
fn an_older_word_of_a_change_that_the_newer_one_does_not_know_of_leaves_neither() {
    use Verdict::Neither;
    let card = swapped("11:49:00", "11:59:00", "11:59:00");
    all(vec![
        // The HLR sees no replacement of a card; the row of it is five minutes younger.
        (none(Some("00:00:00"), "12:00:00"), card.clone(), Neither),
        (none(None, "12:00:00"), card.clone(), Neither),
        // It says nothing of the time of the swap. Who asks is to hear of it all the same.
        (none(Some("11:59:30"), "12:00:00"), card.clone(), Neither),
        // Of an earlier one.
        (
            swapped("10:00:00", "10:00:00", "12:00:00"),
            card.clone(),
            Neither,
        ),
        // So long that it says little, and without the kind.
        (
            swapped("09:00:00", "11:59:00", "12:00:00"),
            card.clone(),
            Neither,
        ),
        (
            swapped("11:49:00", "11:59:00", "12:00:00"),
            of_kind(card, SwapKind::Esim),
            Neither,
        ),
    ]);
}

#[test]
fn an_older_word_that_the_newer_one_tells_as_well_costs_nothing() {
    use Verdict::Stays;
    let card = swapped("11:49:00", "11:59:00", "11:59:00");
    let now = "12:00:00";
    all(vec![
        // The same change, as of later: as long, narrower, or a few seconds aside.
        (swapped("11:49:00", "11:59:00", now), card.clone(), Stays),
        (swapped("11:54:00", "11:54:00", now), card.clone(), Stays),
        (
            of_kind(swapped("11:54:00", "11:55:00", now), SwapKind::Esim),
            card.clone(),
            Stays,
        ),
        (
            swapped("11:54:02", "11:54:12", now),
            swapped("11:54:00", "11:54:09", "11:54:09"),
            Stays,
        ),
        (
            swapped("11:54:40", "11:54:40", now),
            swapped("11:54:00", "11:54:00", "11:59:00"),
            Stays,
        ),
        // Of an older word that there was none, or none so late, the newer one counts.
        (
            swapped("11:30:00", "11:30:00", now),
            none(Some("11:00:00"), "11:59:00"),
            Stays,
        ),
        (
            swapped("11:30:00", "11:30:00", now),
            swapped("10:00:00", "10:00:00", "11:59:00"),
            Stays,
        ),
        (
            none(Some("11:30:00"), now),
            none(Some("11:00:00"), "11:59:00"),
            Stays,
        ),
        // One that came later, which is told of another batch that comes late.
        (swapped("11:59:30", "11:59:30", now), card.clone(), Stays),
        (swapped("11:58:59", "11:59:59", now), card, Stays),
        // None, for as long or longer; and a change from before.
        (none(None, now), none(Some("11:00:00"), "11:59:00"), Stays),
        (
            none(Some("11:00:00"), now),
            none(Some("11:00:00"), "11:59:00"),
            Stays,
        ),
        (
            swapped("10:00:00", "10:00:00", now),
            none(Some("11:00:00"), "11:59:00"),
            Stays,
        ),
        (
            swapped("11:59:30", "11:59:40", now),
            none(Some("11:00:00"), "11:59:00"),
            Stays,
        ),
    ]);
}

#[test]
fn a_newer_word_takes_the_place_of_an_older_one_unless_it_leaves_no_room_for_its_change() {
    use Verdict::{Neither, Yields};
    let card = swapped("11:49:00", "11:59:00", "11:59:00");
    let now = "12:00:00";
    all(vec![
        (card.clone(), swapped("11:54:00", "11:54:00", now), Yields),
        (card.clone(), swapped("11:59:30", "11:59:30", now), Yields),
        (card.clone(), swapped("09:00:00", "11:50:00", now), Yields),
        (
            swapped("11:54:40", "11:54:40", "11:59:00"),
            swapped("11:54:00", "11:54:00", now),
            Yields,
        ),
        // A watch that began since denies nothing.
        (card.clone(), none(Some("11:59:00"), now), Yields),
        (
            none(None, "11:59:00"),
            swapped("11:54:00", "11:54:00", now),
            Yields,
        ),
        (none(None, "11:59:00"), none(None, now), Yields),
        // What was on its way when the change was pushed.
        (card.clone(), none(Some("11:58:59"), now), Neither),
        (card.clone(), none(None, now), Neither),
        (card.clone(), swapped("11:00:00", "11:47:00", now), Neither),
        // As of the same moment the word that came last counts, and denies as little.
        (none(None, "11:59:00"), card.clone(), Yields),
        (card, none(None, "11:59:00"), Neither),
    ]);
}

#[test]
fn an_attack_that_was_told_is_not_denied_by_alarms_that_do_not_have_it() {
    use Verdict::{Neither, Stays, Yields};
    let early = "00:00:00";
    let alarm = attacked(within("11:50:00", "11:50:00"), "11:50:00", "11:50:00");
    all(vec![
        (attacked(None, early, "11:59:55"), alarm.clone(), Neither),
        (
            attacked(within("11:50:00", "11:50:00"), early, "11:59:55"),
            alarm.clone(),
            Stays,
        ),
        (
            attacked(within("11:55:00", "11:55:00"), early, "11:59:55"),
            alarm.clone(),
            Stays,
        ),
        (alarm.clone(), attacked(None, early, "11:59:55"), Neither),
        (alarm, attacked(None, "11:51:00", "11:59:55"), Yields),
        // Two attacks of one minute are two.
        (
            attacked(within("11:49:30", "11:49:30"), early, "11:59:55"),
            attacked(within("11:50:00", "11:50:00"), early, "11:50:00"),
            Neither,
        ),
        (
            attacked(within("09:00:00", "09:00:00"), early, "12:00:00"),
            attacked(None, "08:00:00", "11:50:00"),
            Stays,
        ),
    ]);
}

#[test]
fn of_states_the_newer_one_counts_unless_an_older_one_would_be_a_yes_that_it_denies() {
    use Verdict::{Neither, Stays, Yields};
    let (before, now) = ("11:59:00", "12:00:00");
    let whole = |active, at| observation(Observed::Forwarding(active), at);
    let some = |active, at| observation(Observed::SomeForwarding(active), at);
    all(vec![
        (whole(Vec::new(), now), whole(forwarded(), before), Neither),
        (whole(Vec::new(), now), some(forwarded(), before), Neither),
        (whole(forwarded(), now), whole(Vec::new(), before), Stays),
        (some(forwarded(), now), whole(forwarded(), before), Neither),
        (whole(forwarded(), now), whole(forwarded(), before), Stays),
        (whole(forwarded(), now), some(forwarded(), before), Stays),
        (some(forwarded(), now), some(forwarded(), before), Stays),
        (whole(forwarded(), before), whole(Vec::new(), now), Yields),
        (abroad(None, now), abroad(Some(208), before), Neither),
        (abroad(Some(262), now), abroad(Some(208), before), Neither),
        (abroad(Some(208), now), abroad(Some(208), before), Stays),
        (abroad(Some(208), now), abroad(None, before), Stays),
        (abroad(Some(208), before), abroad(None, now), Yields),
    ]);
}

#[test]
fn what_may_have_changed_since_is_not_told_by_what_was_seen_before() {
    let held = swapped("10:00:00", "10:00:00", "11:50:00");
    assert!(tells(&held, &swapped("10:00:00", "10:00:00", "12:00:00")));
    assert!(tells(&held, &swapped("09:00:00", "11:50:00", "12:00:00")));
    assert!(!tells(&held, &swapped("09:00:00", "11:50:01", "12:00:00")));
    assert!(!tells(&held, &swapped("11:55:00", "11:55:00", "12:00:00")));
    assert!(tells(&held, &none(Some("10:00:00"), "12:00:00")));
    assert!(!tells(&held, &none(Some("09:59:59"), "12:00:00")));
    assert!(!tells(&held, &none(None, "12:00:00")));
}
