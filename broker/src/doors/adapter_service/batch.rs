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
    /// Without an observation: what was said before holds no more.
    pub(super) changes: Vec<(Msisdn, Signal, Option<Observation>)>,
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
        let subject = |(msisdn, signal, observation): &(Msisdn, Signal, Option<Observation>)| {
            v1::ChangedSubject {
                subject_tag: key.subject(msisdn).0.to_vec(),
                signal: signal.to_wire() as i32,
                withdrawn: observation.is_none(),
            }
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
