//! What may be said of a time that nobody looked into.

use super::*;

#[test]
fn a_window_that_nobody_looked_into_is_never_no() {
    let as_of = |mut seen: Observation, hours| {
        seen.observed_at = hours_ago(hours);
        let more =
            "look_back_days = 3650\nthresholds_hours = [1, 24, 72]\nthreshold_window_hours = 24\n";
        let mut clause = clause(Signal::SimSwap, "yes_no", more);
        clause.age_max_minutes = 2_880;
        (clause, seen)
    };
    let ask = |seen: Observation, looked, hours| {
        let (clause, seen) = as_of(seen, looked);
        let question = Question::SimSwap {
            threshold_hours: Some(hours),
        };
        derive(&question, Some(hours), &clause, &seen, now()).map(|derived| derived.value)
    };
    // Last night's export, and a window of this afternoon.
    for seen in [changed(900, 890), unchanged_since(9_000)] {
        assert_eq!(ask(seen.clone(), 10, 24), Ok(Value::YesNo(false)));
        assert_eq!(ask(seen.clone(), 25, 24), Err(Reason::Stale));
        assert_eq!(ask(seen.clone(), 24, 24), Err(Reason::Stale));
        assert_eq!(ask(seen, 2, 1), Err(Reason::Stale));
    }
    // What was seen stays seen.
    assert_eq!(ask(changed(20, 18), 17, 24), Ok(Value::YesNo(true)));
}

#[test]
fn a_day_that_nobody_looked_after_is_neither_held_nor_kept() {
    let more = "look_back_days = 3650\nthreshold_window_hours = 24\n";
    let ask = |signal, since: &str, looked: &str| {
        let mut clause = clause(signal, "yes_no", more);
        clause.age_max_minutes = 2_880;
        let since = since.parse().unwrap();
        let question = match signal == Signal::Tenure {
            true => Question::Tenure { since },
            false => Question::NumberRecycling { since },
        };
        let mut seen = changed(9_000, 9_000);
        seen.observed_at = looked.parse().unwrap();
        derive(&question, None, &clause, &seen, now()).map(|derived| derived.value)
    };
    let export = "2026-11-20T02:30:00Z";
    for signal in [Signal::Tenure, Signal::NumberRecycling] {
        let held = Ok(Value::YesNo(signal == Signal::Tenure));
        assert_eq!(ask(signal, "2026-11-19", export), held);
        assert_eq!(ask(signal, "2026-11-20", export), Err(Reason::Stale));
        // That day is not over: nothing can have come after it.
        assert_eq!(ask(signal, "2026-11-21", export), held);
    }
}

#[test]
fn none_since_a_moment_is_told_of_moments_that_somebody_looked_after() {
    let ask = |seen: &Observation, granularity| {
        let mut clause = clause(Signal::SimSwap, granularity, "look_back_days = 1\n");
        clause.age_max_minutes = 2_880;
        let question = Question::SimSwap {
            threshold_hours: None,
        };
        derive(&question, None, &clause, seen, now()).map(|derived| derived.value)
    };
    for granularity in ["band", "instant"] {
        let mut quiet = unchanged_since(9_000);
        assert!(ask(&quiet, granularity).is_ok());
        quiet.observed_at = hours_ago(30);
        assert_eq!(ask(&quiet, granularity), Err(Reason::Stale));
        // Between two looks, of which the first lies beyond the look-back.
        let straddling = changed(30, 0);
        assert_eq!(ask(&straddling, granularity), Err(Reason::Undecided));
    }
}
