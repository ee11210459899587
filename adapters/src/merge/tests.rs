//! What several say, made one: each rule of the module above, with times in minutes before noon.

use accord_proto::observation::{
    Change, ChangedIn, Forwarding, ForwardingCondition, ForwardingTarget, Roaming, SourceClass,
    SwapKind,
};

use super::*;

const NEVER: Option<i64> = None;

fn noon() -> Timestamp {
    "2026-11-21T12:00:00Z".parse().unwrap()
}

fn ago(minutes: i64) -> Timestamp {
    noon() - SignedDuration::from_mins(minutes)
}

fn trust(clock_error_s: i64) -> Trust {
    Trust {
        clock_error: SignedDuration::from_secs(clock_error_s),
        ..Trust::PLAIN
    }
}

fn change(
    changed: Option<(i64, i64)>,
    since: Option<i64>,
    observed: i64,
    kind: Option<SwapKind>,
) -> Observation {
    let change = Change {
        changed_in: changed.map(|(after, before)| ChangedIn::new(ago(after), ago(before)).unwrap()),
        monitored_since: since.map(ago),
        kind,
    };
    Observation {
        what: Observed::Change(change),
        observed_at: ago(observed),
        source: SourceClass::Network,
    }
}

fn none(since: Option<i64>, observed: i64) -> Said {
    said(0, change(None, since, observed, None))
}

fn changed(after: i64, before: i64, observed: i64) -> Said {
    said(0, change(Some((after, before)), NEVER, observed, None))
}

fn said(clock_error_s: i64, observation: Observation) -> Said {
    Said {
        trust: trust(clock_error_s),
        outcome: Ok(observation),
    }
}

fn reason(reason: Reason) -> Said {
    Said {
        trust: Trust::PLAIN,
        outcome: Err(reason),
    }
}

fn merged(said: &[Said]) -> Result<Observation, Reason> {
    let forwards = merge(Signal::SimSwap, said, noon());
    let mut reversed = said.to_vec();
    reversed.reverse();
    let backwards = merge(Signal::SimSwap, &reversed, noon());
    let what = |merged: &Result<Observation, Reason>| {
        merged
            .clone()
            .map(|merged| (merged.what, merged.observed_at))
    };
    assert_eq!(what(&forwards), what(&backwards), "the order counts");
    forwards
}

/// The interval of the last change in minutes ago, else since when there was none; and as of when.
fn told(said: &[Said]) -> (Option<(i64, i64)>, Option<i64>, i64) {
    let minutes = |at: Timestamp| noon().duration_since(at).as_secs() / 60;
    let observation = merged(said).unwrap();
    let Observed::Change(change) = observation.what else {
        panic!("no change: {observation:?}");
    };
    let interval = change
        .changed_in
        .map(|within| (minutes(within.after()), minutes(within.before())));
    let since = change.monitored_since.filter(|_| interval.is_none());
    (
        interval,
        since.map(minutes),
        minutes(observation.observed_at),
    )
}

#[test]
fn one_source_is_passed_on_as_it_is() {
    let observation = change(Some((90, 80)), Some(500), -60, Some(SwapKind::Esim));
    let alone = [said(0, observation.clone())];
    assert_eq!(merge(Signal::SimSwap, &alone, noon()), Ok(observation));
}

#[test]
fn quiet_times_that_touch_are_one() {
    // An export that knows the whole life, ten hours old, and a poll that began before it.
    let said = [none(NEVER, 600), none(Some(700), 1)];
    assert_eq!(told(&said), (None, None, 1));
    let said = [none(Some(9_000), 600), none(Some(700), 1)];
    assert_eq!(told(&said), (None, Some(9_000), 1));
    // They need not overlap.
    let said = [none(Some(9_000), 700), none(Some(700), 1)];
    assert_eq!(told(&said), (None, Some(9_000), 1));
}

#[test]
fn where_they_do_not_touch_the_longer_stands_as_of_its_own_time() {
    // The poll began five hours after the export, and knows nothing of what was between.
    let apart = [none(NEVER, 600), none(Some(300), 1)];
    assert_eq!(told(&apart), (None, None, 600));
    // An export of three days ago does not stand any more.
    let old = [none(NEVER, 3 * 1_440), none(Some(300), 1)];
    assert_eq!(told(&old), (None, Some(300), 1));
    // What it said of an earlier change stays true: the last one lies after that.
    let old = [changed(9_000, 9_000, 3 * 1_440), none(Some(300), 1)];
    assert_eq!(told(&old), (Some((9_000, 300)), None, 1));
}

#[test]
fn nothing_stands_as_of_a_time_before_a_change_that_somebody_saw() {
    let said = [none(NEVER, 600), changed(301, 300, 1)];
    assert_eq!(told(&said), (Some((301, 300)), None, 1));
    // The change straddles the export: it came after it.
    let said = [none(NEVER, 600), changed(700, 300, 1)];
    assert_eq!(told(&said), (Some((600, 300)), None, 1));
}

#[test]
fn an_interval_is_cut_by_the_quiet_times_of_others() {
    let both_ends = [
        changed(1_000, 100, 1),
        none(Some(2_000), 800),
        none(Some(400), 1),
    ];
    assert_eq!(told(&both_ends), (Some((800, 400)), None, 1));
    // Two polls that saw the same change.
    let polls = [changed(1_000, 500, 2), changed(700, 300, 1)];
    assert_eq!(told(&polls), (Some((700, 500)), None, 1));
    // A quiet time in the middle decides nothing.
    let middle = [changed(1_000, 100, 1), none(Some(800), 400)];
    assert_eq!(told(&middle), (Some((1_000, 100)), None, 1));
}

#[test]
fn an_instant_within_an_interval_is_the_change() {
    let said = [changed(600, 600, 1), changed(700, 500, 1)];
    assert_eq!(told(&said), (Some((600, 600)), None, 1));
    // The export's instant is of an earlier change than the poll's.
    let said = [changed(9_000, 9_000, 800), changed(700, 500, 1)];
    assert_eq!(told(&said), (Some((700, 500)), None, 1));
}

#[test]
fn sources_that_exclude_each_other_are_not_believed() {
    for said in [
        // One saw a change where the other saw none.
        [changed(600, 500, 1), none(Some(700), 1)],
        [changed(600, 600, 1), none(NEVER, 1)],
        // Each saw another last change, and nothing after it.
        [changed(600, 600, 1), changed(400, 300, 1)],
    ] {
        assert_eq!(merged(&said), Err(Reason::Contradicted), "{said:?}");
    }
}

#[test]
fn an_order_and_the_networks_own_change_seconds_later_are_one_change() {
    let order = change(Some((60, 60)), NEVER, 1, Some(SwapKind::Replacement));
    let seven_s = SignedDuration::from_secs(7);
    let network = Change {
        changed_in: ChangedIn::new(ago(60) + seven_s - seven_s / 2, ago(60) + seven_s),
        monitored_since: Some(ago(900)),
        kind: None,
    };
    let network = said(
        0,
        Observation {
            what: Observed::Change(network),
            ..order
        },
    );
    let strict = [said(0, order.clone()), network.clone()];
    assert_eq!(merged(&strict), Err(Reason::Contradicted));
    let tolerant = merged(&[said(60, order), network.clone()]).unwrap();
    let Observed::Change(change) = tolerant.what else {
        panic!()
    };
    let Observed::Change(expected) = network.outcome.unwrap().what else {
        panic!()
    };
    assert_eq!(change.changed_in, expected.changed_in, "the narrower one");
    assert_eq!(change.kind, Some(SwapKind::Replacement), "and its kind");
}

#[test]
fn a_wrong_clock_moves_each_bound_to_where_it_claims_less() {
    let alone = [said(120, change(Some((60, 50)), Some(900), 10, None))];
    assert_eq!(told(&alone), (Some((62, 48)), None, 12));
    let alone = [said(120, change(None, Some(900), 10, None))];
    assert_eq!(told(&alone), (None, Some(898), 12));
    // A change just heard of lies not in the future, whatever its clock says.
    let alone = [said(120, change(Some((0, 0)), NEVER, 0, None))];
    assert_eq!(told(&alone), (Some((2, 0)), None, 0));
}

#[test]
fn kinds_that_differ_are_not_told() {
    let with = |kind| said(0, change(Some((60, 50)), NEVER, 1, kind));
    let kind = |said: &[Said]| {
        let Observed::Change(change) = merged(said).unwrap().what else {
            panic!()
        };
        change.kind
    };
    let (esim, port_in) = (Some(SwapKind::Esim), Some(SwapKind::PortIn));
    assert_eq!(kind(&[with(esim), with(None)]), esim);
    assert_eq!(kind(&[with(esim), with(esim)]), esim);
    assert_eq!(kind(&[with(esim), with(port_in)]), None);
    // The kind of an earlier change is not that of the last one.
    let earlier = said(0, change(Some((900, 900)), NEVER, 600, esim));
    assert_eq!(kind(&[earlier, with(None)]), None);
}

#[test]
fn a_source_that_is_down_takes_nothing_from_the_others() {
    for silent in [
        Reason::Timeout,
        Reason::SourceDown,
        Reason::Overloaded,
        Reason::NotAvailable,
        Reason::NotWatched,
        Reason::Stale,
        Reason::UnknownNumber,
    ] {
        let said = [none(Some(700), 1), reason(silent)];
        assert_eq!(told(&said), (None, Some(700), 1), "{silent}");
    }
}

#[test]
fn what_concerns_the_subscriber_stands_against_any_observation() {
    for against in [
        Reason::OptedOut,
        Reason::NotOurs,
        Reason::Suspended,
        Reason::Contradicted,
    ] {
        let said = [none(Some(700), 1), reason(against)];
        assert_eq!(merged(&said), Err(against));
    }
}

#[test]
fn a_source_that_has_every_subscriber_contradicts_one_that_knows_the_number() {
    let mut unknown = reason(Reason::UnknownNumber);
    unknown.trust.every_subscriber = true;
    let said = [none(NEVER, 600), unknown.clone()];
    assert_eq!(merged(&said), Err(Reason::Contradicted));
    assert_eq!(merged(&[unknown]), Err(Reason::UnknownNumber));
}

#[test]
fn while_a_change_is_under_way_the_answer_is_never_no() {
    let said = [none(NEVER, 600), reason(Reason::Undecided)];
    assert_eq!(merged(&said), Err(Reason::Undecided));
    // It can be yes: there was a change already, and perhaps another one since.
    let said = [changed(90, 80, 60), reason(Reason::Undecided)];
    assert_eq!(told(&said), (Some((90, 0)), None, 0));
}

#[test]
fn without_observations_the_most_telling_reason_is_given() {
    let of = |reasons: &[Reason]| {
        let said = reasons.iter().map(|one| reason(*one)).collect::<Vec<_>>();
        merged(&said).unwrap_err()
    };
    use Reason::{
        NotAvailable, NotOurs, NotWatched, Overloaded, SourceDown, Timeout, Undecided,
        UnknownNumber,
    };
    assert_eq!(of(&[UnknownNumber, UnknownNumber]), UnknownNumber);
    assert_eq!(of(&[UnknownNumber, SourceDown]), SourceDown);
    assert_eq!(of(&[UnknownNumber, NotAvailable]), NotAvailable);
    assert_eq!(of(&[UnknownNumber, NotWatched]), NotWatched);
    assert_eq!(of(&[Overloaded, NotWatched]), Overloaded);
    assert_eq!(of(&[Timeout, Undecided]), Undecided);
    assert_eq!(of(&[NotOurs, Timeout]), NotOurs);
    assert_eq!(merge(Signal::SimSwap, &[], noon()), Err(NotAvailable));
}

#[test]
fn what_can_not_be_is_not_believed_beside_others() {
    let ahead = none(NEVER, -60);
    assert_eq!(
        told(&[ahead.clone(), none(Some(700), 1)]),
        (None, Some(700), 1)
    );
    assert_eq!(
        merged(&[ahead, reason(Reason::NotWatched)]),
        Err(Reason::SourceDown)
    );
}

fn state(what: Observed, observed: i64) -> Said {
    said(
        0,
        Observation {
            what,
            observed_at: ago(observed),
            source: SourceClass::Network,
        },
    )
}

fn roaming(visited_mcc: Option<u16>, roaming: bool, observed: i64) -> Said {
    let what = Observed::Roaming(Roaming {
        roaming,
        visited_mcc,
    });
    state(what, observed)
}

#[test]
fn of_states_the_newest_stands_and_two_of_one_time_must_agree() {
    let at = |said: &[Said]| merge(Signal::Roaming, said, noon());
    let newest = at(&[roaming(None, true, 600), roaming(None, false, 1)]);
    assert_eq!(newest, roaming(None, false, 1).outcome);
    let differ = at(&[roaming(None, true, 1), roaming(None, false, 1)]);
    assert_eq!(differ, Err(Reason::Contradicted));
    let countries = at(&[roaming(Some(208), true, 1), roaming(Some(262), true, 1)]);
    assert_eq!(countries, Err(Reason::Contradicted));
    let more = at(&[roaming(None, true, 1), roaming(Some(208), true, 1)]);
    assert_eq!(more, roaming(Some(208), true, 1).outcome);
    // A clock that may be ten minutes wrong makes both of one time.
    let mut wrong = roaming(None, true, 8);
    wrong.trust = trust(600);
    assert_eq!(
        at(&[wrong, roaming(None, false, 1)]),
        Err(Reason::Contradicted)
    );
}

#[test]
fn forwardings_are_the_same_where_each_condition_is() {
    let forwarding = |condition, target| Forwarding { condition, target };
    let of = |active: &[Forwarding]| state(Observed::Forwarding(active.to_vec()), 1);
    let at = |said: &[Said]| merge(Signal::CallForwarding, said, noon());
    use ForwardingCondition::{Busy, Unconditional};
    use ForwardingTarget::{AnotherNumber, OwnVoicemail, Unknown};
    let known = [
        forwarding(Busy, OwnVoicemail),
        forwarding(Unconditional, AnotherNumber),
    ];
    let vague = [
        forwarding(Unconditional, Unknown),
        forwarding(Busy, OwnVoicemail),
    ];
    let Observed::Forwarding(merged) = at(&[of(&known), of(&vague)]).unwrap().what else {
        panic!()
    };
    assert!(known.iter().all(|one| merged.contains(one)), "{merged:?}");
    for differs in [&known[..1], &[]] {
        assert_eq!(at(&[of(&known), of(differs)]), Err(Reason::Contradicted));
    }
    let elsewhere = [
        forwarding(Busy, AnotherNumber),
        forwarding(Unconditional, AnotherNumber),
    ];
    assert_eq!(at(&[of(&known), of(&elsewhere)]), Err(Reason::Contradicted));
}
