//! Attacks by signalling: what was seen, what was not, and what nobody listened to.

use super::*;

/// An attack between these minutes ago, or none; watched and observed since and until so many ago.
fn attack(minutes: Option<(i64, i64)>, watched: i64, observed_ago: i64) -> Observation {
    let ago = |minutes| now() - SignedDuration::from_mins(minutes);
    let signalling = Signalling {
        passed_in: minutes.and_then(|(after, before)| ChangedIn::new(ago(after), ago(before))),
        kind: minutes.map(|_| AttackKind::LocationHijack),
        monitored_since: ago(watched),
    };
    observed(Observed::Signalling(signalling), ago(observed_ago))
}

fn attacked_since(minutes: i64, more: &str, seen: &Observation) -> Result<Derived, Reason> {
    let windows = "threshold_window_hours = 24\nlook_back_days = 1\n";
    let clause = clause(
        Signal::SignallingAnomaly,
        "yes_no",
        &format!("{windows}{more}"),
    );
    let since = now() - SignedDuration::from_mins(minutes);
    derive(
        &Question::SignallingAnomaly { since },
        None,
        &clause,
        seen,
        now(),
    )
}

fn attacked(minutes: i64, seen: &Observation) -> Result<Value, Reason> {
    attacked_since(minutes, "", seen).map(|derived| derived.value)
}

#[test]
fn an_attack_inside_the_time_asked_is_yes_and_one_before_it_no() {
    let seen = attack(Some((10, 9)), 600, 0);
    assert_eq!(attacked(30, &seen), Ok(Value::YesNo(true)));
    assert_eq!(attacked(10, &seen), Ok(Value::YesNo(true)));
    assert_eq!(attacked(9, &seen), Ok(Value::YesNo(false)));
    // The instant at which the time begins lies outside it.
    let instant = attack(Some((10, 10)), 600, 0);
    assert_eq!(attacked(10, &instant), Ok(Value::YesNo(false)));
    assert_eq!(attacked(11, &instant), Ok(Value::YesNo(true)));
    assert_eq!(
        attacked(20, &attack(Some((30, 10)), 600, 0)),
        Err(Reason::Undecided)
    );
}

#[test]
fn no_attack_counts_only_where_the_firewall_was_heard_for_the_whole_time() {
    assert_eq!(attacked(30, &attack(None, 30, 0)), Ok(Value::YesNo(false)));
    assert_eq!(attacked(30, &attack(None, 29, 0)), Err(Reason::NotWatched));
    // A gap after an attack that is older than the moment: of the gap nothing is known.
    let before_the_gap = attack(Some((50, 50)), 20, 0);
    assert_eq!(attacked(30, &before_the_gap), Err(Reason::NotWatched));
    assert_eq!(attacked(15, &before_the_gap), Ok(Value::YesNo(false)));
    // What was seen before the gap stays seen.
    assert_eq!(attacked(60, &before_the_gap), Ok(Value::YesNo(true)));
    // It was last heard when the time asked had not begun.
    for minutes in [5, 4] {
        assert_eq!(attacked(minutes, &attack(None, 600, 5)), Err(Reason::Stale));
    }
    assert_eq!(attacked(6, &attack(None, 600, 5)), Ok(Value::YesNo(false)));
}

#[test]
fn the_kind_of_an_attack_is_told_only_with_a_yes_and_a_clause_that_permits_it() {
    let seen = attack(Some((10, 9)), 600, 0);
    let kind = |minutes, more| attacked_since(minutes, more, &seen).unwrap().attack_kind;
    let permits = "attack_kind = true\n";
    assert_eq!(kind(30, permits), Some(AttackKind::LocationHijack));
    assert_eq!(kind(5, permits), None, "a no reveals no older attack");
    assert_eq!(kind(30, ""), None);
}
