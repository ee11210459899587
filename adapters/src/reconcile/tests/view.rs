//! What answers from the view rest on: alike, and with one difference each.

use super::{pushed::TOLD, *};
use crate::journal::Told;

impl Stage {
    /// An answer from the view, which is reported to be about a number; returns its entry's index.
    fn serve(&mut self, rests_on: Option<v1::ReplyDigest>, subject: u8) -> u64 {
        let entry = u64::try_from(self.entries.len()).unwrap();
        self.access(None, |access| {
            access.signals[0].from_view = true;
            access.signals[0].rests_on = rests_on;
        });
        let asked = Asked {
            subject: Hex([subject; 16]),
            ..asked(&[])
        };
        self.record(&Event::ServedFromView {
            asked,
            origin: ORIGIN,
            entry,
        });
        entry
    }
}

#[test]
fn an_answer_from_the_view_may_rest_on_a_reply_and_on_a_batch() {
    let mut stage = stage();
    let batch = stage.send_told(7, 40, true, TOLD);
    stage.pushed(7, batch, &[40; 32]);
    stage.serve(Some(rests_on(3, 2)), 3);
    stage.serve(Some(rests_on(batch, 40)), 3);
    stage.serve(
        Some(v1::ReplyDigest {
            instance: "b".to_owned(),
            ..rests_on(900, 1)
        }),
        3,
    );
    let reconciled = stage.reconcile().unwrap();
    assert_eq!(reconciled.differences, []);
    assert_eq!((reconciled.grounded, reconciled.grounded_elsewhere), (2, 1));
}

#[test]
fn an_answer_from_the_view_on_what_was_never_said_is_named() {
    let mut stage = stage();
    let told = Told {
        withdrawn: true,
        ..TOLD
    };
    let withdrawal = stage.send_told(7, 40, false, told);
    let other = Told {
        signal: "roaming",
        ..TOLD
    };
    let roaming = stage.send_told(8, 41, false, other);
    let other = Told {
        subject: Hex([4; 16]),
        ..TOLD
    };
    let neighbour = stage.send_told(9, 42, false, other);
    for named in [
        None,
        Some(rests_on(900, 2)),
        Some(rests_on(0, 2)),
        Some(rests_on(3, 99)),
        Some(rests_on(withdrawal, 40)),
        Some(rests_on(roaming, 41)),
        Some(rests_on(neighbour, 42)),
    ] {
        stage.serve(named, 3);
    }
    // A reply about one number, and the answer about another.
    stage.serve(Some(rests_on(3, 2)), 4);
    let on = "answered from the view, on what was never said: accord-test/2026-11";
    assert_eq!(
        stage.differences(),
        [
            "answered from the view, on nothing that is named: accord-test/2026-11#11".to_owned(),
            format!("{on}#12 names journal 900, which is beyond its end"),
            format!(
                "{on}#13 names journal 0, which is neither a reply to a bank nor a batch, to this broker"
            ),
            format!("{on}#14 names journal 3, which has another digest"),
            format!("{on}#15 names journal 11, which says nothing of that signal"),
            format!("{on}#16 names journal 12, which says nothing of that signal"),
            format!("{on}#17 names journal 13, which is about another number than was reported"),
            format!("{on}#18 names journal 3, which is about another number than was reported"),
        ]
    );
}

#[test]
fn an_answer_from_the_view_on_what_is_said_only_later_is_named() {
    let mut stage = stage();
    stage.serve(Some(rests_on(12, 70)), 3);
    stage.pass_minutes(5);
    let later = stage.reply(70, &[]);
    stage.access(Some((later, 70)), |_| {});
    assert_eq!(
        stage.differences(),
        [
            "answered from the view, on what was never said: accord-test/2026-11#11 names journal 12, which is later"
        ]
    );
}

#[test]
fn an_answer_from_the_view_on_what_the_broker_knew_to_be_taken_back_is_named() {
    let taken_back = Told {
        withdrawn: true,
        ..TOLD
    };
    for (accepted, told, differences) in [
        (true, taken_back, 1),
        // The broker need not have heard of it.
        (false, taken_back, 0),
        (
            true,
            Told {
                subject: Hex([4; 16]),
                ..taken_back
            },
            0,
        ),
        (
            true,
            Told {
                signal: "roaming",
                ..taken_back
            },
            0,
        ),
    ] {
        let mut stage = stage();
        let batch = stage.send_told(7, 40, accepted, told);
        stage.pushed(7, batch, &[40; 32]);
        // As long as clocks may be apart, nobody can tell which was first.
        stage.serve(Some(rests_on(3, 2)), 3);
        stage.pass_minutes(1);
        stage.serve(Some(rests_on(3, 2)), 3);
        // What was said afterwards holds.
        let since = stage.reply(70, &[]);
        stage.access(Some((since, 70)), |_| {});
        stage.serve(Some(rests_on(since, 70)), 3);
        let reconciled = stage.reconcile().unwrap();
        assert_eq!(reconciled.pushed_since, 0);
        let said: Vec<_> = reconciled
            .differences
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(said.len(), differences, "{said:?}");
        assert!(said.iter().all(|said| said
            == "answered from the view, on what had been taken back: accord-test/2026-11#13 names journal 3, taken back by journal 11"));
    }
}

#[test]
fn an_answer_from_the_view_on_what_was_said_before_a_later_push_is_counted() {
    let mut stage = stage();
    let batch = stage.send_told(7, 40, true, TOLD);
    stage.pushed(7, batch, &[40; 32]);
    stage.pass_minutes(1);
    // The push may have said the same, and then the view need not have taken it.
    stage.serve(Some(rests_on(3, 2)), 3);
    stage.serve(Some(rests_on(batch, 40)), 3);
    let reconciled = stage.reconcile().unwrap();
    assert_eq!(reconciled.differences, []);
    assert_eq!((reconciled.grounded, reconciled.pushed_since), (2, 1));
}
