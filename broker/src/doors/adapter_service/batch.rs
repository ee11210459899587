//! A batch of changes that an adapter pushed, and its entry in the ledger.

use accord_proto::{
    msisdn::Msisdn, observation::Observation, party::OrgName, signal::Signal, subject::TagKey, v1,
};

use crate::link::Said;

/// One batch of changes, parsed.
pub(super) struct Batch {
    pub(super) sequence: u64,
    /// What binds the operator to it; `None` if it has no nonce.
    pub(super) said: Option<Said>,
    pub(super) changes: Vec<Change>,
}

/// One change, parsed.
pub(super) struct Change {
    pub(super) msisdn: Msisdn,
    pub(super) signal: Signal,
    /// `None`: what was said before holds no more.
    pub(super) observation: Option<Observation>,
    /// The operator may serve the number, or spoke of it before. Of any other the entry must not tell it
    /// the tag: with a list of numbers it could learn whose are all tags of the month.
    pub(super) known_to_it: bool,
}

impl Batch {
    /// What the ledger has of it: whom it is about, which signal, and whether it was withdrawn; and by
    /// the digest, what exactly was said.
    pub(super) fn entry(
        &self,
        operator: &OrgName,
        instance: &str,
        key: &TagKey,
    ) -> v1::SourceChanges {
        let subject = |change: &Change| v1::ChangedSubject {
            subject_tag: match change.known_to_it {
                true => key.subject(&change.msisdn).0.to_vec(),
                false => Vec::new(),
            },
            signal: change.signal.to_wire() as i32,
            withdrawn: change.observation.is_none(),
        };
        let said = self.said.as_ref();
        v1::SourceChanges {
            operator: operator.to_string(),
            instance: instance.to_owned(),
            sequence: self.sequence,
            subjects: self.changes.iter().map(subject).collect(),
            digest: said.map_or_else(Vec::new, |said| said.digest.to_vec()),
            journal_index: said.map_or(0, |said| said.journal_index),
        }
    }
}
