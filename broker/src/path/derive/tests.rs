//! Derivations, one fact each. "Now" is noon of a day in November.

use accord_proto::{
    agreement::AgreementDocument,
    observation::{ForwardingCondition, ForwardingTarget, SourceClass},
    signal::Signal,
};

use super::*;

mod attacked;
mod looked;

fn now() -> Timestamp {
    "2026-11-21T12:00:00Z".parse().unwrap()
}

fn hours_ago(hours: i64) -> Timestamp {
    now() - SignedDuration::from_hours(hours)
}

/// A clause that allows one signal, parsed from a whole agreement so that it passed every check.
fn clause(signal: Signal, granularity: &str, more: &str) -> Clause {
    clause_if_any(signal, granularity, more).unwrap()
}

/// The same; `None` where no agreement can have it.
pub(crate) fn clause_if_any(signal: Signal, granularity: &str, more: &str) -> Option<Clause> {
    let agreement = include_str!("../../../../tests/samples/one-clause.toml");
    let text = agreement
        .replace("\"roaming\"", &format!("\"{signal}\""))
        .replace("\"state\"", &format!("\"{granularity}\""));
    let text = format!("{text}{more}");
    let document = AgreementDocument::parse(&text).ok()?;
    document.clauses().first().cloned()
}

fn swap_clause(granularity: &str, more: &str) -> Clause {
    let thresholds = "thresholds_hours = [24, 72]\nthreshold_window_hours = 24\n";
    let thresholds = if granularity == "yes_no" {
        thresholds
    } else {
        ""
    };
    clause(
        Signal::SimSwap,
        granularity,
        &format!("look_back_days = 365\n{thresholds}{more}"),
    )
}

fn observed(what: Observed, observed_at: Timestamp) -> Observation {
    Observation {
        what,
        observed_at,
        source: SourceClass::Network,
    }
}

fn changed(after_hours_ago: i64, before_hours_ago: i64) -> Observation {
    let changed_in = ChangedIn::new(hours_ago(after_hours_ago), hours_ago(before_hours_ago));
    let kind = Some(SwapKind::Replacement);
    observed(
        Observed::Change(Change {
            changed_in,
            monitored_since: None,
            kind,
        }),
        now(),
    )
}

fn unchanged_since(hours: i64) -> Observation {
    let monitored_since = Some(hours_ago(hours));
    let change = Change {
        changed_in: None,
        monitored_since,
        kind: None,
    };
    observed(Observed::Change(change), now())
}

fn within(hours: u32, observation: &Observation) -> Result<Value, Reason> {
    let clause = swap_clause("yes_no", "");
    let question = Question::SimSwap {
        threshold_hours: Some(hours),
    };
    derive(&question, Some(hours), &clause, observation, now()).map(|derived| derived.value)
}

#[test]
fn a_change_wholly_inside_the_window_is_yes() {
    assert_eq!(within(24, &changed(3, 2)), Ok(Value::YesNo(true)));
    assert_eq!(within(24, &changed(24, 20)), Ok(Value::YesNo(true)));
}

#[test]
fn a_change_wholly_before_the_window_is_no() {
    assert_eq!(within(24, &changed(90, 80)), Ok(Value::YesNo(false)));
    assert_eq!(within(24, &changed(30, 24)), Ok(Value::YesNo(false)));
}

#[test]
fn an_interval_across_the_edge_is_undecided_and_never_no() {
    assert_eq!(within(72, &changed(80, 60)), Err(Reason::Undecided));
    assert_eq!(within(24, &changed(25, 23)), Err(Reason::Undecided));
}

#[test]
fn no_change_counts_only_as_far_back_as_was_watched() {
    assert_eq!(within(24, &unchanged_since(72)), Ok(Value::YesNo(false)));
    assert_eq!(within(72, &unchanged_since(72)), Ok(Value::YesNo(false)));
    assert_eq!(within(72, &unchanged_since(71)), Err(Reason::NotWatched));
}

#[test]
fn an_instant_on_the_edge_lies_outside() {
    assert_eq!(within(24, &changed(24, 24)), Ok(Value::YesNo(false)));
    assert_eq!(within(24, &changed(23, 23)), Ok(Value::YesNo(true)));
}

#[test]
fn an_old_observation_is_stale_whatever_it_says() {
    let mut old = changed(3, 2);
    old.observed_at = now() - SignedDuration::from_mins(61);
    assert_eq!(within(24, &old), Err(Reason::Stale));
    old.observed_at = now() - SignedDuration::from_mins(60);
    assert_eq!(within(24, &old), Ok(Value::YesNo(true)));
}

fn band_of(observation: &Observation) -> (String, String, bool) {
    let question = Question::SimSwap {
        threshold_hours: None,
    };
    let derived = derive(
        &question,
        None,
        &swap_clause("band", ""),
        observation,
        now(),
    )
    .unwrap();
    let Value::Band {
        lowest,
        highest,
        at_least,
    } = derived.value
    else {
        panic!("no band: {derived:?}");
    };
    (
        lowest.words().to_owned(),
        highest.words().to_owned(),
        at_least,
    )
}

#[test]
fn an_interval_across_band_edges_gives_both_bands() {
    assert_eq!(
        band_of(&changed(2, 2)),
        ("0–4 h".to_owned(), "0–4 h".to_owned(), false)
    );
    assert_eq!(
        band_of(&changed(30, 3)),
        ("0–4 h".to_owned(), "1–2 days".to_owned(), false)
    );
}

#[test]
fn a_bound_gives_at_least() {
    let (lowest, _, at_least) = band_of(&unchanged_since(100 * 24));
    assert_eq!((lowest.as_str(), at_least), ("90–180 days", true));
}

#[test]
fn nothing_is_told_from_beyond_the_look_back() {
    let (lowest, _, at_least) = band_of(&changed(900 * 24, 899 * 24));
    assert_eq!(
        (lowest.as_str(), at_least),
        ("1–2 years", true),
        "a look-back of 365 days"
    );
    let question = Question::SimSwap {
        threshold_hours: None,
    };
    let clause = swap_clause("instant", "");
    let far = derive(
        &question,
        None,
        &clause,
        &changed(900 * 24, 899 * 24),
        now(),
    )
    .unwrap();
    let horizon = Some(hours_ago(365 * 24));
    assert_eq!(
        far.value,
        Value::Interval {
            after: horizon,
            before: None
        }
    );
    let near = derive(&question, None, &clause, &changed(3, 2), now()).unwrap();
    let (after, before) = (Some(hours_ago(3)), Some(hours_ago(2)));
    assert_eq!(near.value, Value::Interval { after, before });
}

#[test]
fn the_kind_of_a_swap_is_told_only_with_a_change_and_a_clause_that_permits_it() {
    let question = Question::SimSwap {
        threshold_hours: Some(24),
    };
    let kind = |clause: &Clause, seen: &Observation| {
        derive(&question, Some(24), clause, seen, now())
            .unwrap()
            .swap_kind
    };
    let permits = swap_clause("yes_no", "swap_kind = true");
    assert_eq!(kind(&permits, &changed(3, 2)), Some(SwapKind::Replacement));
    assert_eq!(
        kind(&permits, &changed(90, 80)),
        None,
        "a no reveals no older change"
    );
    assert_eq!(kind(&swap_clause("yes_no", ""), &changed(3, 2)), None);
}

fn holder(signal: Signal, since: &str, observation: &Observation) -> Result<Value, Reason> {
    let more = "look_back_days = 3650\nthreshold_window_hours = 24\n";
    let clause = clause(signal, "yes_no", more);
    let since = since.parse().unwrap();
    let question = if signal == Signal::Tenure {
        Question::Tenure { since }
    } else {
        Question::NumberRecycling { since }
    };
    derive(&question, None, &clause, observation, now()).map(|derived| derived.value)
}

#[test]
fn the_day_a_contract_begins_is_not_recycled_and_the_day_before_is() {
    let began: Timestamp = "2026-10-10T09:00:00Z".parse().unwrap();
    let change = Change {
        changed_in: Some(ChangedIn::at(began)),
        monitored_since: None,
        kind: None,
    };
    let seen = observed(Observed::Change(change), now());
    assert_eq!(
        holder(Signal::NumberRecycling, "2026-10-10", &seen),
        Ok(Value::YesNo(false))
    );
    assert_eq!(
        holder(Signal::NumberRecycling, "2026-10-09", &seen),
        Ok(Value::YesNo(true))
    );
    assert_eq!(
        holder(Signal::Tenure, "2026-10-10", &seen),
        Ok(Value::YesNo(true))
    );
    assert_eq!(
        holder(Signal::Tenure, "2026-10-09", &seen),
        Ok(Value::YesNo(false))
    );
}

#[test]
fn forwarding_to_ones_own_voicemail_is_no_and_to_an_unknown_target_is_yes() {
    let to = |target| {
        let forwarding = Forwarding {
            condition: ForwardingCondition::Busy,
            target,
        };
        let seen = observed(Observed::Forwarding(vec![forwarding]), now());
        let clause = clause(Signal::CallForwarding, "yes_no", "");
        derive(&Question::CallForwarding, None, &clause, &seen, now())
            .unwrap()
            .value
    };
    assert_eq!(to(ForwardingTarget::OwnVoicemail), Value::YesNo(false));
    assert_eq!(to(ForwardingTarget::AnotherNumber), Value::YesNo(true));
    assert_eq!(to(ForwardingTarget::Unknown), Value::YesNo(true));
}

#[test]
fn where_some_conditions_only_are_known_the_answer_is_yes_or_none() {
    let value = |target, granularity| {
        let forwarding = Forwarding {
            condition: ForwardingCondition::Busy,
            target,
        };
        let seen = observed(Observed::SomeForwarding(vec![forwarding]), now());
        let clause = clause(Signal::CallForwarding, granularity, "");
        derive(&Question::CallForwarding, None, &clause, &seen, now()).map(|derived| derived.value)
    };
    let unknown = Err(Reason::NotAvailable);
    for target in [ForwardingTarget::AnotherNumber, ForwardingTarget::Unknown] {
        assert_eq!(value(target, "yes_no"), Ok(Value::YesNo(true)));
        assert_eq!(value(target, "state"), unknown, "no list that is not whole");
    }
    assert_eq!(value(ForwardingTarget::OwnVoicemail, "yes_no"), unknown);
}

#[test]
fn the_visited_country_needs_a_clause_for_the_state() {
    let roaming = Roaming {
        roaming: true,
        visited_mcc: Some(208),
    };
    let seen = observed(Observed::Roaming(roaming), now());
    let value = |granularity| {
        let clause = clause(Signal::Roaming, granularity, "");
        derive(&Question::Roaming, None, &clause, &seen, now())
            .unwrap()
            .value
    };
    assert_eq!(value("yes_no"), Value::YesNo(true));
    assert_eq!(value("state"), Value::Roaming(roaming));
}
