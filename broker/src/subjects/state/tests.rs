//! Quotas and thresholds, one fact each.

use super::*;

const NOW: &str = "2026-11-21T12:00:00Z";

fn bank() -> OrgName {
    OrgName::parse("first-bank").unwrap()
}

fn threshold(bank: &OrgName) -> Use<'_> {
    let scope = Scope::Parameter(Signal::SimSwap);
    Use {
        bank,
        scope,
        uses_max: 1,
        window: SignedDuration::from_hours(24),
    }
}

fn daily(bank: &OrgName) -> Use<'_> {
    let scope = Scope::Purpose(Purpose::DormantAccount);
    Use {
        bank,
        scope,
        uses_max: 1,
        window: SignedDuration::from_hours(24),
    }
}

fn subject(tag: u8, parameter: u32) -> Subject {
    Subject {
        tag: SubjectTag([tag; 16]),
        parameter,
    }
}

#[test]
fn a_second_threshold_inside_the_window_does_not_fit() {
    let (state, bank, now) = (SubjectState::new(100), bank(), NOW.parse().unwrap());
    let (day, three_days) = ([subject(1, 24)], [subject(1, 72)]);
    assert_eq!(state.take(&day, threshold(&bank), now), Ok(()));
    assert_eq!(state.take(&day, threshold(&bank), now), Ok(()));
    assert_eq!(
        state.take(&three_days, threshold(&bank), now),
        Err(NoRoom::Used)
    );
    let later = now + SignedDuration::from_hours(25);
    assert_eq!(state.take(&three_days, threshold(&bank), later), Ok(()));
}

#[test]
fn another_moment_is_not_earlier_than_the_last_question() {
    let (state, bank, now) = (SubjectState::new(100), bank(), NOW.parse().unwrap());
    let use_ = Use {
        scope: Scope::Moment,
        ..threshold(&bank)
    };
    let (minutes, first) = (SignedDuration::from_mins, minute(now));
    let ask = |since: u32, asked: Timestamp| state.take(&[subject(1, since)], use_, asked);
    assert_eq!(ask(first - 30, now), Ok(()));
    let later = now + minutes(10);
    assert_eq!(ask(first - 30, later), Ok(()), "the same again");
    for since in [first - 60, first - 15, first, first + 9] {
        assert_eq!(ask(since, later), Err(NoRoom::Used), "{since}");
    }
    // As of the last question, of whichever moment.
    assert_eq!(ask(first + 10, now + minutes(11)), Ok(()));
    assert_eq!(ask(first - 30, now + minutes(11)), Err(NoRoom::Used));
    assert_eq!(ask(first + 10, now + minutes(12)), Ok(()));
    assert_eq!(ask(first + 11, now + minutes(13)), Err(NoRoom::Used));
    // A window after the last of them, all is forgotten.
    assert_eq!(ask(first, now + minutes(24 * 60 + 14)), Ok(()));
}

#[test]
fn a_moment_asked_last_month_and_one_from_the_ledger_bind_too() {
    let (state, bank, now) = (SubjectState::new(100), bank(), NOW.parse().unwrap());
    let use_ = Use {
        scope: Scope::Moment,
        ..threshold(&bank)
    };
    let first = minute(now);
    assert!(state.restore(subject(2, first - 30), use_, now));
    let both = |since| [subject(1, since), subject(2, since)];
    assert_eq!(state.take(&both(first - 20), use_, now), Err(NoRoom::Used));
    assert_eq!(state.take(&both(first - 30), use_, now), Ok(()));
    assert_eq!(state.take(&both(first), use_, now), Ok(()));
    assert_eq!(state.take(&both(first - 30), use_, now), Err(NoRoom::Used));
}

#[test]
fn one_question_a_day_is_one_question_a_day() {
    let (state, bank, now) = (SubjectState::new(100), bank(), NOW.parse().unwrap());
    assert_eq!(state.take(&[subject(1, 0)], daily(&bank), now), Ok(()));
    assert_eq!(
        state.take(&[subject(1, 0)], daily(&bank), now),
        Err(NoRoom::Used)
    );
    assert_eq!(state.take(&[subject(2, 0)], daily(&bank), now), Ok(()));
}

#[test]
fn each_purpose_has_its_own_questions_of_the_day() {
    let (state, bank, now) = (SubjectState::new(100), bank(), NOW.parse().unwrap());
    let complaint = Use {
        scope: Scope::Purpose(Purpose::Complaint),
        ..daily(&bank)
    };
    for use_ in [daily(&bank), complaint] {
        assert_eq!(state.take(&[subject(1, 0)], use_, now), Ok(()));
        assert_eq!(state.take(&[subject(1, 0)], use_, now), Err(NoRoom::Used));
    }
}

#[test]
fn a_question_that_is_counted_is_within_what_it_was_counted_for() {
    let (state, bank, now) = (SubjectState::new(100), bank(), NOW.parse().unwrap());
    let both = [subject(1, 0), subject(2, 0)];
    let two = Use {
        uses_max: 2,
        ..daily(&bank)
    };
    state.restore(both[1], two, now);
    state.take(&both, two, now).unwrap();
    assert!(state.is_within(&both, two, now));
    assert!(!state.is_within(&both, daily(&bank), now));
}

#[test]
fn what_was_not_told_was_not_used() {
    let (state, bank, now) = (SubjectState::new(100), bank(), NOW.parse().unwrap());
    state.take(&[subject(1, 0)], daily(&bank), now).unwrap();
    state.give_back(subject(1, 0).tag, daily(&bank));
    assert_eq!(state.take(&[subject(1, 0)], daily(&bank), now), Ok(()));
}

#[test]
fn last_months_tag_still_counts() {
    let (state, bank, now) = (SubjectState::new(100), bank(), NOW.parse().unwrap());
    let both = [subject(1, 0), subject(2, 0)];
    state.restore(both[1], daily(&bank), now - SignedDuration::from_hours(2));
    assert_eq!(state.take(&both, daily(&bank), now), Err(NoRoom::Used));
}

#[test]
fn a_threshold_binds_from_its_last_use() {
    let (state, bank, now) = (SubjectState::new(100), bank(), NOW.parse().unwrap());
    let almost = now + SignedDuration::from_mins(24 * 60 - 1);
    let after = now + SignedDuration::from_mins(24 * 60 + 2);
    assert_eq!(state.take(&[subject(1, 24)], threshold(&bank), now), Ok(()));
    assert_eq!(
        state.take(&[subject(1, 24)], threshold(&bank), almost),
        Ok(())
    );
    let other = state.take(&[subject(1, 72)], threshold(&bank), after);
    assert_eq!(other, Err(NoRoom::Used));
}

#[test]
fn uses_of_two_months_count_together() {
    let (state, bank, now) = (SubjectState::new(100), bank(), NOW.parse().unwrap());
    let three_a_day = Use {
        uses_max: 3,
        ..daily(&bank)
    };
    let both = [subject(1, 0), subject(2, 0)];
    for hours in [2, 3] {
        assert!(state.restore(
            both[1],
            three_a_day,
            now - SignedDuration::from_hours(hours)
        ));
    }
    assert_eq!(state.take(&both, three_a_day, now), Ok(()));
    assert_eq!(state.take(&both, three_a_day, now), Err(NoRoom::Used));
}

#[test]
fn one_bank_holds_no_more_than_half_and_the_other_is_still_served() {
    let (state, bank, now) = (SubjectState::new(10_000), bank(), NOW.parse().unwrap());
    let many = |bank: &OrgName| {
        let ask = |n: u16| {
            let mut tag = [0; 16];
            tag[..2].copy_from_slice(&n.to_be_bytes());
            let subject = Subject {
                tag: SubjectTag(tag),
                parameter: 0,
            };
            state.take(&[subject], daily(bank), now).is_ok()
        };
        (0..6_000).filter(|n| ask(*n)).count()
    };
    assert_eq!(many(&bank), 5_000);
    let second = OrgName::parse("second-bank").unwrap();
    assert!(many(&second) > 4_000);
}

#[test]
fn a_full_table_refuses_until_slots_are_void() {
    let (state, bank, now) = (SubjectState::new(64), bank(), NOW.parse().unwrap());
    let full = (0..=255)
        .filter(|tag| state.take(&[subject(*tag, 0)], daily(&bank), now) == Err(NoRoom::Full))
        .count();
    assert!(full > 0 && state.len() <= 64, "{full} {}", state.len());
    let later = now + SignedDuration::from_hours(25);
    assert_eq!(state.take(&[subject(255, 0)], daily(&bank), later), Ok(()));
}
