//! The two, held against each other.

use std::collections::HashSet;

use accord_proto::{purpose::Purpose, signal::Signal};
use jiff::Timestamp;

use super::{
    Difference, NEAR, Place, ReconcileError, Reconciled, Scope,
    excuses::Excuses,
    export::{Access, Ledger},
    records::{self, Record, Records, What},
    views::{self, Reported},
};
use crate::source::signal_bit;

pub(super) fn compare(scope: &Scope<'_>, ledger: Ledger) -> Result<Reconciled, ReconcileError> {
    let sizes: HashSet<u64> = ledger.attached.iter().map(|one| one.size).collect();
    let journal = records::read(scope, &sizes)?;
    let from = scope.from.or(ledger.first).unwrap_or(Timestamp::MIN);
    let until = scope.until.or(ledger.last).unwrap_or(Timestamp::MAX);
    let mut reconciled = Reconciled {
        differences: Vec::new(),
        journal: journal.verified,
        from,
        until,
        entries: ledger.entries,
        matched: 0,
        unused: 0,
        subject_reports: 0,
        pushed: 0,
        unacknowledged: 0,
        without_digest: 0,
        from_view: 0,
        grounded: 0,
        pushed_since: 0,
        grounded_elsewhere: 0,
        reported_elsewhere: 0,
        no_longer_kept: 0,
        heads: 0,
        outside: 0,
    };
    reconciled.heads(&ledger, &journal);
    let reported = views::reported(&journal);
    let mut named = reconciled.entries(&ledger, &journal, &reported);
    reconciled.views(&ledger, &journal, &reported);
    reconciled.pushes(&ledger, &journal, &mut named);
    reconciled.records(&ledger, &journal, &named);
    Ok(reconciled)
}

impl Reconciled {
    /// The journal's heads at attachments.
    fn heads(&mut self, ledger: &Ledger, journal: &Records) {
        for attached in &ledger.attached {
            let kept = attached.size > journal.verified.first;
            match journal.heads.get(&attached.size) {
                Some(head) if head.as_slice() == attached.head => self.heads += 1,
                // An empty journal has no head, and of a record that is gone none is known.
                None if !kept => {}
                Some(_) | None => self.differences.push(Difference::OtherHead {
                    entry: attached.place.clone(),
                    size: attached.size,
                }),
            }
        }
    }

    /// From entries to records; returns the records that entries name.
    fn entries(
        &mut self,
        ledger: &Ledger,
        journal: &Records,
        reported: &Reported<'_>,
    ) -> HashSet<u64> {
        let mut named = HashSet::new();
        for access in &ledger.accesses {
            if !access.from_view.is_empty() {
                let place = (access.place.origin.as_str(), access.place.index);
                if reported.contains_key(&place) {
                    self.from_view += 1;
                } else if ledger.has_others {
                    self.reported_elsewhere += 1;
                } else {
                    let entry = access.place.clone();
                    self.differences.push(Difference::NotReported { entry });
                }
            }
            if let Some((index, digest)) = access.reply {
                let difference = if named.insert(index) {
                    reply(access, index, digest, journal)
                } else {
                    let entry = access.place.clone();
                    let journal = index;
                    Some(Difference::Twice { entry, journal })
                };
                match difference {
                    None => self.matched += 1,
                    Some(Difference::NeverAsked { .. }) if index < journal.verified.first => {
                        self.no_longer_kept += 1;
                    }
                    Some(difference) => self.differences.push(difference),
                }
            }
        }
        named
    }

    /// From records to entries.
    fn records(&mut self, ledger: &Ledger, journal: &Records, named: &HashSet<u64>) {
        let places: HashSet<&Place> = ledger.accesses.iter().map(|one| &one.place).collect();
        let mut excuses = Excuses::new(&ledger.accesses);
        let mut records: Vec<&Record> = journal.records.values().collect();
        records.sort_unstable_by_key(|record| record.index);
        for record in records {
            if named.contains(&record.index) {
                continue;
            }
            if record.at < self.from || record.at > self.until {
                self.outside += 1;
                continue;
            }
            match &record.what {
                What::Sent(sent) => self.unnamed(record, sent),
                What::SubjectReport => self.subject_reports += 1,
                What::Reply(_) if excuses.take(record) => self.unused += 1,
                // Its entry may lie just outside of the export's time.
                What::Reply(_) if self.is_at_the_edge(record.at) => self.outside += 1,
                What::Reply(_) => self.differences.push(Difference::NotOnRecord {
                    journal: record.index,
                    at: record.at,
                    asked: asked(record),
                }),
                What::FromView { origin, entry } => {
                    let entry = Place {
                        origin: origin.clone(),
                        index: *entry,
                    };
                    if !places.contains(&entry) && !self.is_at_the_edge(record.at) {
                        let journal = record.index;
                        self.differences
                            .push(Difference::ReportedOnly { journal, entry });
                    }
                }
            }
        }
    }

    pub(super) fn is_at_the_edge(&self, at: Timestamp) -> bool {
        // Where the edges are so near to each other, all would be.
        let whole = self.until.duration_since(self.from);
        let near = NEAR.min(whole / 20);
        at.duration_since(self.from) < near || self.until.duration_since(at) < near
    }
}

/// What an entry says of a record, held against it.
fn reply(access: &Access, journal: u64, digest: [u8; 32], records: &Records) -> Option<Difference> {
    let entry = access.place.clone();
    let never = |why| {
        let entry = access.place.clone();
        Some(Difference::NeverAsked {
            entry,
            journal,
            why,
        })
    };
    let Some(record) = records.records.get(&journal) else {
        return never(if journal >= records.verified.head.size {
            "which is beyond its end"
        } else {
            "which is no reply to this broker"
        });
    };
    let What::Reply(told) = record.what else {
        return never("which is no reply to a bank");
    };
    if told != digest {
        return Some(Difference::OtherReply { entry, journal });
    }
    let what = if record.bank != access.bank {
        "bank"
    } else if record.purpose != access.purpose {
        "purpose"
    } else if record.signals & !access.signals != 0 {
        "signal"
    } else {
        return None;
    };
    Some(Difference::OtherQuestion {
        entry,
        journal,
        what,
    })
}

fn asked(record: &Record) -> String {
    let signals = Signal::ALL.iter();
    let signals = signals.filter(|signal| record.signals & signal_bit(**signal) != 0);
    let signals: Vec<_> = signals.map(|signal| signal.name()).collect();
    let purpose = Purpose::from_wire(record.purpose).map_or("no purpose", Purpose::name);
    format!("{}, {purpose}, {}", record.bank, signals.join("+"))
}
