//! Replies that nobody used.

use super::*;

fn ended(access: &mut v1::Access, reason: v1::Reason) {
    access.signals[0].reason = reason as i32;
}

fn timeout(access: &mut v1::Access) {
    ended(access, v1::Reason::Timeout);
}

#[test]
fn a_reply_that_came_too_late_is_counted_where_its_question_is_on_the_record() {
    let mut stage = stage();
    let late = |stage: &mut Stage| {
        stage.pass_minutes(5);
        stage.reply(70, &[]);
    };
    late(&mut stage);
    stage.access(None, timeout);
    stage.pass_minutes(5);
    stage.access(None, |access| {
        access.bank = "second-bank".to_owned();
        timeout(access);
    });
    let reconciled = stage.reconcile().unwrap();
    assert_eq!(reconciled.differences, []);
    assert_eq!(reconciled.unused, 1);

    // One entry accounts for one reply, and another bank's for none.
    let mut stage = self::stage();
    late(&mut stage);
    stage.reply(71, &[]);
    stage.access(None, timeout);
    stage.access(None, |access| {
        access.bank = "second-bank".to_owned();
        timeout(access);
    });
    stage.pass_minutes(5);
    stage.access(None, |access| {
        access.bank = "second-bank".to_owned();
        timeout(access);
    });
    let reconciled = stage.reconcile().unwrap();
    assert_eq!((reconciled.unused, reconciled.differences.len()), (1, 1));
}

#[test]
fn a_question_of_which_nobody_was_asked_excuses_no_reply() {
    use v1::Reason;
    for reason in [
        Reason::Unspecified,
        Reason::Quota,
        Reason::Suspended,
        Reason::ConsentMissing,
        Reason::NotAuthorised,
        Reason::OptedOut,
        Reason::NotCovered,
    ] {
        let mut stage = stage();
        stage.pass_minutes(5);
        stage.reply(70, &[]);
        stage.access(None, |access| ended(access, reason));
        stage.pass_minutes(5);
        stage.access(None, |access| ended(access, Reason::Quota));
        let differences = stage.differences();
        assert_eq!(differences.len(), 1, "{reason:?}: {differences:?}");
        assert!(differences[0].starts_with("asked, and not on the record: journal 11,"));
    }
    for reason in [Reason::Timeout, Reason::SourceDown, Reason::Overloaded] {
        let mut stage = stage();
        stage.pass_minutes(5);
        stage.reply(70, &[]);
        stage.access(None, |access| ended(access, reason));
        assert_eq!(stage.differences(), [""; 0], "{reason:?}");
    }
}

#[test]
fn a_reply_beside_that_of_another_instance_is_counted() {
    let mut stage = stage();
    stage.pass_minutes(5);
    stage.reply(70, &[]);
    stage.access(Some((3, 70)), |access| {
        access.replies[0].instance = "b".to_owned();
    });
    let reconciled = stage.reconcile().unwrap();
    assert_eq!(reconciled.differences, []);
    assert_eq!(reconciled.unused, 1);
}

#[test]
fn what_the_view_served_beside_a_signal_that_timed_out_excuses_only_that_signal() {
    let view_and_timeout = |signal: v1::Signal| {
        let mut stage = stage();
        stage.pass_minutes(5);
        stage.reply(70, &[]);
        stage.access(None, |access| {
            access.signals[0].signal = signal as i32;
            timeout(access);
            access.signals.push(v1::SignalRecord {
                signal: v1::Signal::SimSwap as i32,
                from_view: true,
                rests_on: Some(rests_on(3, 2)),
                ..v1::SignalRecord::default()
            });
        });
        stage.record(&Event::ServedFromView {
            asked: asked(&[]),
            origin: ORIGIN,
            entry: 11,
        });
        stage.pass_minutes(5);
        stage.access(None, |access| access.bank = "second-bank".to_owned());
        stage.differences().len()
    };
    assert_eq!(view_and_timeout(v1::Signal::SimSwap), 0);
    assert_eq!(view_and_timeout(v1::Signal::Roaming), 1);
}
