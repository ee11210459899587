//! Pushed batches: alike, and with one difference each.

use super::*;
use crate::journal::Told;

/// A change of the number that is asked about.
pub(super) const TOLD: Told = Told {
    subject: Hex([3; 16]),
    signal: "sim_swap",
    withdrawn: false,
};

impl Stage {
    /// Sends a batch, and has it acknowledged a minute later; returns its place in the journal.
    fn send(&self, sequence: u64, digest: u8, accepted: bool) -> u64 {
        self.send_told(sequence, digest, accepted, TOLD)
    }

    pub(super) fn send_told(&self, sequence: u64, digest: u8, accepted: bool, told: Told) -> u64 {
        let index = self.record(&Event::ChangesSent {
            broker: BROKER,
            sequence,
            told: &[told],
            batch: Hex([digest; 32]),
        });
        self.pass_minutes(1);
        if accepted {
            self.record(&Event::ChangesAccepted {
                broker: BROKER,
                sequence,
            });
        }
        index
    }

    pub(super) fn pushed(&mut self, sequence: u64, journal_index: u64, digest: &[u8]) {
        self.enter(Entered::SourceChanges(v1::SourceChanges {
            operator: "north-mobile".to_owned(),
            instance: "a".to_owned(),
            sequence,
            journal_index,
            digest: digest.to_vec(),
            ..v1::SourceChanges::default()
        }));
    }
}

/// With a question at its end, so that what is before it is not at the edge.
fn named(mut stage: Stage) -> Vec<String> {
    stage.pass_minutes(5);
    let index = stage.reply(99, &[]);
    stage.access(Some((index, 99)), |_| {});
    stage.differences()
}

#[test]
fn batches_that_both_have_alike_are_no_difference_however_often_they_are_sent() {
    let mut stage = stage();
    let lost = stage.send(7, 40, false);
    let again = stage.send(7, 41, true);
    stage.pushed(7, again, &[41; 32]);
    let unheard = stage.send(8, 42, false);
    stage.pushed(8, unheard, &[42; 32]);
    assert!(lost < again);
    let reconciled = stage.reconcile().unwrap();
    assert_eq!(reconciled.differences, []);
    assert_eq!((reconciled.pushed, reconciled.unacknowledged), (2, 1));
}

#[test]
fn a_batch_that_was_acknowledged_and_is_not_on_the_record_is_named() {
    let stage = stage();
    stage.send(7, 40, true);
    stage.send(8, 41, false);
    assert_eq!(
        named(stage),
        [
            "pushed and acknowledged, and not on the record: journal 11, 2026-11-21T12:11:00Z, batch 7"
        ]
    );
}

#[test]
fn an_entry_of_a_batch_that_was_never_sent_is_named() {
    let mut stage = stage();
    stage.pushed(7, 400, &[40; 32]);
    stage.pushed(7, 0, &[40; 32]);
    stage.pushed(7, 3, &[40; 32]);
    assert_eq!(
        named(stage),
        [
            "on the record, and never pushed: accord-test/2026-11#11 names journal 400, which is beyond its end",
            "on the record, and never pushed: accord-test/2026-11#12 names journal 0, which is no batch to this broker",
            // The reply that an entry of its own names already.
            "on the record twice: accord-test/2026-11#13 names journal 3 again",
        ]
    );
    let mut stage = self::stage();
    let unnamed = stage.reply(70, &[]);
    stage.pushed(7, unnamed, &[70; 32]);
    assert_eq!(
        named(stage),
        [
            "on the record, and never pushed: accord-test/2026-11#11 names journal 11, which is no batch"
        ]
    );
}

#[test]
fn another_digest_another_number_and_one_batch_twice_are_named() {
    let mut stage = stage();
    let (one, other) = (stage.send(7, 40, true), stage.send(8, 41, true));
    stage.pushed(7, one, &[99; 32]);
    stage.pushed(9, other, &[41; 32]);
    stage.pushed(8, other, &[41; 32]);
    assert_eq!(
        named(stage),
        [
            "pushed otherwise than recorded: accord-test/2026-11#11 has another digest than journal 11",
            "pushed otherwise than recorded: accord-test/2026-11#12 has another number than journal 13",
            "on the record twice: accord-test/2026-11#13 names journal 13 again",
        ]
    );
}

#[test]
fn a_batch_on_the_record_without_its_digest_is_counted_and_covers_none_that_was_sent() {
    let mut stage = stage();
    stage.pushed(6, 0, &[]);
    assert_eq!(stage.reconcile().unwrap().without_digest, 1);
    let mut stage = self::stage();
    stage.send(7, 40, true);
    stage.pushed(7, 0, &[]);
    let said = named(stage);
    assert!(said.len() == 1 && said[0].starts_with("pushed and acknowledged, and not on"));
}

#[test]
fn a_batch_of_another_instance_is_its_own_to_reconcile() {
    let mut stage = stage();
    stage.pushed(7, 400, &[40; 32]);
    if let Some(Entered::SourceChanges(changes)) = &mut stage.entries[11].event {
        changes.instance = "b".to_owned();
    }
    assert_eq!(named(stage), [""; 0]);
}
