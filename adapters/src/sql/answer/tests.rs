//! Subscriptions, and what follows from them.

use super::*;

const NOW: &str = "2026-11-20T12:00:00Z";

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn day(text: &str) -> When {
    let at = at(&format!("{text}T12:00:00Z"));
    Ok(Some((at, at)))
}

fn period(activated: &str, ceased: Option<&str>, begin: Begin) -> Period {
    Period {
        activated: day(activated),
        ceased: ceased.map_or(Ok(None), day),
        begin,
        sim: Ok(None),
        sim_kind: None,
        device: Ok(None),
    }
}

fn line(periods: &[Period]) -> Result<Line<'_>, NoLine> {
    Line::of(periods, at(NOW), SignedDuration::from_secs(5))
}

/// The day on which the holder changed last, or since when there was no change.
fn holder(periods: &[Period]) -> Result<(&'static str, String), Reason> {
    let change = line(periods).unwrap().holder().unwrap()?;
    Ok(words(&change))
}

fn sim(periods: &[Period]) -> Result<(&'static str, String), Reason> {
    let change = line(periods).unwrap().sim(History::NotStated).unwrap()?;
    Ok(words(&change))
}

fn words(change: &Change) -> (&'static str, String) {
    let day = |at: Timestamp| at.to_string().split('T').next().unwrap().to_owned();
    match change.changed_in {
        Some(within) => (
            change.kind.map_or("changed", SwapKind::name),
            day(within.before()),
        ),
        None => ("none since", day(change.monitored_since.unwrap())),
    }
}

fn told(what: &'static str, day: &str) -> Result<(&'static str, String), Reason> {
    Ok((what, day.to_owned()))
}

#[test]
fn a_new_holder_after_an_old_one_is_a_change_of_holder() {
    let old = period("2020-01-01", Some("2026-01-01"), Begin::NewLine);
    let new = period("2026-06-01", None, Begin::NewLine);
    assert_eq!(
        holder(&[old.clone(), new.clone()]),
        told("changed", "2026-06-01")
    );
    assert_eq!(holder(&[new, old]), told("changed", "2026-06-01"));
}

#[test]
fn a_port_is_no_change_of_holder_and_says_nothing_of_before() {
    let ported = period("2026-06-01", None, Begin::PortIn);
    assert_eq!(
        holder(std::slice::from_ref(&ported)),
        told("none since", "2026-06-01")
    );
    // Nor does what was here before the number left and came back.
    let before = period("2020-01-01", Some("2025-01-01"), Begin::NewLine);
    assert_eq!(
        holder(&[before, ported.clone()]),
        told("none since", "2026-06-01")
    );
    // But it is a swap.
    assert_eq!(sim(&[ported]), told("port_in", "2026-06-01"));
}

#[test]
fn who_stays_the_holder_has_held_the_number_since_the_first_subscription() {
    let first = period("2020-01-01", Some("2024-01-01"), Begin::NewLine);
    let second = period("2024-01-01", Some("2026-01-01"), Begin::SameHolder);
    let third = period("2026-01-01", None, Begin::SameHolder);
    let all = [third.clone(), first, second.clone()];
    assert_eq!(holder(&all), told("changed", "2020-01-01"));
    assert_eq!(sim(&all), told("new_line", "2020-01-01"));
    // Where the first is not known, neither is a beginning.
    assert_eq!(
        holder(&[third.clone(), second]),
        told("none since", "2024-01-01")
    );
    assert_eq!(holder(&[third]), told("none since", "2026-01-01"));
}

#[test]
fn a_new_holder_of_an_old_line_keeps_its_card() {
    let first = period("2020-01-01", Some("2024-01-01"), Begin::NewLine);
    let second = period("2024-01-01", None, Begin::NewHolder);
    let all = [second, first];
    assert_eq!(holder(&all), told("changed", "2024-01-01"));
    assert_eq!(sim(&all), told("new_line", "2020-01-01"));
}

#[test]
fn an_unlisted_beginning_leaves_the_holder_unknown_and_not_the_card() {
    let mut present = period("2026-06-01", None, Begin::Unlisted);
    present.sim = day("2026-07-01");
    present.sim_kind = Some(SwapKind::Esim);
    let all = [present];
    assert_eq!(holder(&all), Err(Reason::NotAvailable));
    assert_eq!(sim(&all), told("esim", "2026-07-01"));
}

#[test]
fn the_later_of_a_replacement_and_the_beginning_is_the_last_swap() {
    let mut present = period("2026-06-01", None, Begin::NewLine);
    present.sim_kind = Some(SwapKind::Replacement);
    present.sim = day("2026-07-01");
    assert_eq!(
        sim(std::slice::from_ref(&present)),
        told("replacement", "2026-07-01")
    );
    // The date of a card of before this line.
    present.sim = day("2026-05-01");
    assert_eq!(
        sim(std::slice::from_ref(&present)),
        told("new_line", "2026-06-01")
    );
    // A day that holds both: the later one lies between the beginning and the end of the day.
    present.sim = Ok(Some((
        at("2026-06-01T00:00:00Z"),
        at("2026-06-02T00:00:00Z"),
    )));
    let all = [present];
    let change = line(&all)
        .unwrap()
        .sim(History::NotStated)
        .unwrap()
        .unwrap();
    let within = change.changed_in.unwrap();
    assert_eq!(within.after(), at("2026-06-01T12:00:00Z"));
    assert_eq!(within.before(), at("2026-06-02T00:00:00Z"));
    assert_eq!(change.kind, None);
}

#[test]
fn a_number_whose_subscription_ended_is_unknown_and_one_that_will_end_is_not() {
    let ended = period("2020-01-01", Some("2026-11-19"), Begin::NewLine);
    let error = line(&[ended]).unwrap_err();
    assert_eq!(error, NoLine::Reason(Reason::UnknownNumber));
    assert_eq!(
        line(&[]).unwrap_err(),
        NoLine::Reason(Reason::UnknownNumber)
    );
    let ending = period("2020-01-01", Some("2026-11-21"), Begin::NewLine);
    assert_eq!(holder(&[ending]), told("changed", "2020-01-01"));
}

#[test]
fn two_present_subscriptions_contradict_each_other() {
    let one = period("2020-01-01", None, Begin::NewLine);
    let other = period("2024-01-01", None, Begin::NewLine);
    let error = line(&[one, other]).unwrap_err();
    assert_eq!(error, NoLine::Reason(Reason::Contradicted));
}

#[test]
fn a_subscription_of_tomorrow_is_nobodys_yet() {
    let tomorrow = period("2026-11-21", None, Begin::NewLine);
    let error = line(std::slice::from_ref(&tomorrow)).unwrap_err();
    assert_eq!(error, NoLine::Doubt(("activated_at", Absurd::Future)));
    let present = period("2020-01-01", Some("2026-11-21"), Begin::NewLine);
    assert_eq!(holder(&[present, tomorrow]), told("changed", "2020-01-01"));
}

#[test]
fn an_absurd_date_spoils_its_signal_and_no_other() {
    let mut present = period("2020-01-01", None, Begin::NewLine);
    present.sim = Err(Absurd::Infinite);
    present.device = day("2026-12-24");
    let all = [present];
    let line = line(&all).unwrap();
    assert_eq!(
        line.sim(History::WholeLife),
        Err(("sim_changed_at", Absurd::Infinite))
    );
    assert_eq!(
        line.device(History::WholeLife, true),
        Err(("device_changed_at", Absurd::Future))
    );
    assert!(line.holder().unwrap().is_ok());
}

#[test]
fn an_empty_date_is_never_no_unless_the_operator_says_since_when() {
    let mut present = period("2020-01-01", None, Begin::NewLine);
    present.activated = Ok(None);
    let all = [present];
    let line = line(&all).unwrap();
    assert_eq!(line.holder(), Ok(Err(Reason::NotAvailable)));
    assert_eq!(line.sim(History::NotStated), Ok(Err(Reason::NotWatched)));
    let whole = line.sim(History::WholeLife).unwrap().unwrap();
    assert_eq!((whole.changed_in, whole.monitored_since), (None, None));
    let since = at("2022-01-01T00:00:00Z");
    let since = line.device(History::Since(since), false).unwrap().unwrap();
    assert_eq!(words(&since), ("none since", "2022-01-01".to_owned()));
    let future = History::Since(at("2027-01-01T00:00:00Z"));
    assert_eq!(line.device(future, false), Ok(Err(Reason::NotWatched)));
}

/// What is said of the device, of a database that has kept devices since 2022.
fn device(periods: &[Period]) -> Result<(&'static str, String), Reason> {
    let since = History::Since(at("2022-01-01T12:00:00Z"));
    let change = line(periods).unwrap().device(since, true).unwrap()?;
    Ok(words(&change))
}

fn with_device(mut period: Period, when: When) -> Period {
    period.device = when;
    period
}

#[test]
fn a_device_is_known_from_the_beginning_of_its_line_and_not_from_before() {
    let before = period("2010-01-01", Some("2026-06-01"), Begin::NewLine);
    let before = with_device(before, day("2026-05-01"));
    for begin in [
        Begin::NewLine,
        Begin::NumberChange,
        Begin::NewHolder,
        Begin::PortIn,
        Begin::Unlisted,
    ] {
        let present = period("2026-11-19", None, begin);
        let never = [present.clone(), before.clone()];
        assert_eq!(
            device(&never),
            told("none since", "2026-11-19"),
            "{begin:?}"
        );
        // A date that was another line's, or was taken over with the number.
        let old = [with_device(present.clone(), day("2026-05-01"))];
        assert_eq!(device(&old), told("none since", "2026-11-19"), "{begin:?}");
        let own = [with_device(present.clone(), day("2026-11-20"))];
        assert_eq!(device(&own), told("changed", "2026-11-20"), "{begin:?}");
        let whole_life = line(&never).unwrap();
        let whole_life = whole_life.device(History::WholeLife, true).unwrap();
        assert_eq!(
            words(&whole_life.unwrap()),
            ("none since", "2026-11-19".to_owned())
        );
    }
    // Of before the database kept devices nothing is known.
    let old = period("2010-01-01", None, Begin::NewLine);
    assert_eq!(device(&[old]), told("none since", "2022-01-01"));
}

#[test]
fn who_stays_the_holder_keeps_the_device_of_before() {
    let first = period("2010-01-01", Some("2026-11-01"), Begin::NewLine);
    let second = period("2026-11-01", None, Begin::SameHolder);
    let all = [second.clone(), first.clone()];
    assert_eq!(device(&all), told("none since", "2022-01-01"));
    let all = [second.clone(), with_device(first, day("2026-10-31"))];
    assert_eq!(device(&all), told("changed", "2026-10-31"));
    // Where the first is not known, neither is what was before.
    assert_eq!(device(&[second]), told("none since", "2026-11-01"));
}

#[test]
fn of_a_line_that_may_have_begun_today_no_device_is_known() {
    let mut present = period("2020-01-01", None, Begin::NewLine);
    present.activated = Ok(None);
    assert_eq!(device(&[present.clone()]), Err(Reason::NotAvailable));
    let own = with_device(present, day("2026-05-01"));
    assert_eq!(device(&[own]), told("changed", "2026-05-01"));
}

#[test]
fn a_device_of_the_day_on_which_the_line_began_is_of_that_day() {
    let mut present = period("2026-11-19", None, Begin::PortIn);
    let whole_day = (at("2026-11-19T00:00:00Z"), at("2026-11-20T00:00:00Z"));
    present.device = Ok(Some(whole_day));
    let all = [present];
    let told = line(&all).unwrap().device(History::NotStated, true);
    let within = told.unwrap().unwrap().changed_in.unwrap();
    assert_eq!(within.after(), at("2026-11-19T12:00:00Z"));
    assert_eq!(within.before(), at("2026-11-20T00:00:00Z"));
}
