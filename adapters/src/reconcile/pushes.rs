//! Pushed batches: what the journal sent, and what is on the record of it.

use std::collections::HashSet;

use super::{
    Difference, Reconciled,
    export::{Ledger, Pushed},
    records::{Record, Records, Sent, What},
};

impl Reconciled {
    /// From entries of pushed changes to records; adds the records that they name.
    pub(super) fn pushes(&mut self, ledger: &Ledger, journal: &Records, named: &mut HashSet<u64>) {
        for pushed in &ledger.pushes {
            let Some((index, digest)) = pushed.record else {
                self.without_digest += 1;
                continue;
            };
            let difference = if named.insert(index) {
                batch(pushed, index, digest, journal)
            } else {
                let entry = pushed.place.clone();
                Some(Difference::Twice {
                    entry,
                    journal: index,
                })
            };
            match difference {
                None => self.pushed += 1,
                Some(Difference::NeverPushed { .. }) if index < journal.verified.first => {
                    self.no_longer_kept += 1;
                }
                Some(difference) => self.differences.push(difference),
            }
        }
    }

    /// A batch that no entry names. Its entry stands between its sending and its acknowledgement.
    pub(super) fn unnamed(&mut self, record: &Record, sent: &Sent) {
        match sent.accepted {
            None => self.unacknowledged += 1,
            Some(at) if at > self.until || self.is_at_the_edge(at) => self.outside += 1,
            // It may have been sent just before the export's time begins.
            Some(_) if self.is_at_the_edge(record.at) => self.outside += 1,
            Some(at) => self.differences.push(Difference::PushNotOnRecord {
                journal: record.index,
                at,
                sequence: sent.sequence,
            }),
        }
    }
}

/// What an entry says of a batch, held against the record that it names.
fn batch(pushed: &Pushed, journal: u64, digest: [u8; 32], records: &Records) -> Option<Difference> {
    let entry = pushed.place.clone();
    let Some(record) = records.records.get(&journal) else {
        let why = if journal >= records.verified.head.size {
            "which is beyond its end"
        } else {
            "which is no batch to this broker"
        };
        return Some(Difference::NeverPushed {
            entry,
            journal,
            why,
        });
    };
    let What::Sent(sent) = &record.what else {
        let why = "which is no batch";
        return Some(Difference::NeverPushed {
            entry,
            journal,
            why,
        });
    };
    let what = if sent.digest != digest {
        "digest"
    } else if sent.sequence != pushed.sequence {
        "number"
    } else {
        return None;
    };
    Some(Difference::OtherPush {
        entry,
        journal,
        what,
    })
}
