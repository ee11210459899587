//! Answers from the broker's view, and what they rest on.

use std::collections::HashMap;

use accord_proto::wire::CLOCK_SKEW_MAX;
use jiff::Timestamp;

use super::{
    Difference, NEAR, Reconciled,
    export::{Access, Ledger, RestsOn, Served},
    records::{Record, Records, Subject, What},
};

/// What was pushed of each number's signal, and acknowledged.
type News = HashMap<(Subject, usize), Vec<Push>>;

/// One push of a number's signal.
#[derive(Clone, Copy)]
struct Push {
    journal: u64,
    accepted: Timestamp,
    withdrawn: bool,
}

impl Reconciled {
    /// From answers of the view to the records that they rest on.
    pub(super) fn views(&mut self, ledger: &Ledger, journal: &Records, reported: &Reported<'_>) {
        let news = news(journal);
        for access in &ledger.accesses {
            let place = (access.place.origin.as_str(), access.place.index);
            let subject = reported.get(&place).copied();
            for served in &access.from_view {
                let (index, digest) = match served.rests_on {
                    RestsOn::Said(index, digest) => (index, digest),
                    RestsOn::Others => {
                        self.grounded_elsewhere += 1;
                        continue;
                    }
                    RestsOn::Nothing => {
                        let entry = access.place.clone();
                        self.differences.push(Difference::RestsOnNothing { entry });
                        continue;
                    }
                };
                if index < journal.verified.first {
                    self.no_longer_kept += 1;
                    continue;
                }
                let entry = access.place.clone();
                let difference = match said(access, served, index, digest, subject, journal) {
                    Err(why) => Difference::NeverSaid {
                        entry,
                        journal: index,
                        why,
                    },
                    Ok(()) => {
                        let since = pushed_since(&news, access, served, index, subject);
                        // The first of them: the records are in no order.
                        let withdrawn = since.iter().filter(|push| push.withdrawn);
                        match withdrawn.map(|push| push.journal).min() {
                            Some(by) => Difference::TakenBack {
                                entry,
                                journal: index,
                                by,
                            },
                            None => {
                                self.grounded += 1;
                                self.pushed_since += u64::from(!since.is_empty());
                                continue;
                            }
                        }
                    }
                };
                self.differences.push(difference);
            }
        }
    }
}

/// Whom the broker reported each answer from its view to be about, by the entry's place.
pub(super) type Reported<'a> = HashMap<(&'a str, u64), Subject>;

pub(super) fn reported(journal: &Records) -> Reported<'_> {
    let records = journal.records.values();
    let reports = records.filter_map(|record| match &record.what {
        What::FromView { origin, entry } => Some(((origin.as_str(), *entry), record.subject)),
        What::Reply(_) | What::Sent(_) | What::SubjectReport => None,
    });
    reports.collect()
}

fn news(journal: &Records) -> News {
    let mut news = News::new();
    for record in journal.records.values() {
        let What::Sent(sent) = &record.what else {
            continue;
        };
        let Some(accepted) = sent.accepted else {
            continue;
        };
        for told in &sent.told {
            let of = news.entry((told.subject, told.signal)).or_default();
            of.push(Push {
                journal: record.index,
                accepted,
                withdrawn: told.withdrawn,
            });
        }
    }
    news
}

/// Whether the record says something of that signal and number, or why it can't be what is meant.
fn said(
    access: &Access,
    served: &Served,
    index: u64,
    digest: [u8; 32],
    subject: Option<Subject>,
    journal: &Records,
) -> Result<(), &'static str> {
    if index >= journal.verified.head.size {
        return Err("which is beyond its end");
    }
    let neither = "which is neither a reply to a bank nor a batch, to this broker";
    let record = journal.records.get(&index).ok_or(neither)?;
    let (recorded, of_signal, of_subject) = match &record.what {
        What::Reply(recorded) => (
            recorded,
            record.signals & served.signal != 0,
            of(record, subject),
        ),
        What::Sent(sent) => {
            let of_signal = sent.told.iter();
            let of_signal =
                of_signal.filter(|told| !told.withdrawn && told.signal == served.signal);
            let about = |subject| of_signal.clone().any(|told| told.subject == subject);
            let signal = of_signal.clone().next().is_some();
            (&sent.digest, signal, subject.is_none_or(about))
        }
        What::FromView { .. } | What::SubjectReport => return Err(neither),
    };
    if *recorded != digest {
        Err("which has another digest")
    } else if !of_signal {
        Err("which says nothing of that signal")
    } else if !of_subject {
        Err("which is about another number than was reported")
    } else if record.at.duration_since(access.at) > NEAR {
        Err("which is later")
    } else {
        Ok(())
    }
}

fn of(record: &Record, subject: Option<Subject>) -> bool {
    subject.is_none_or(|subject| subject == record.subject)
}

/// What was pushed after the record, and acknowledged before the answer, as far as clocks can tell.
fn pushed_since(
    news: &News,
    access: &Access,
    served: &Served,
    index: u64,
    subject: Option<Subject>,
) -> Vec<Push> {
    let of = subject.and_then(|subject| news.get(&(subject, served.signal)));
    let since = of.into_iter().flatten().filter(|push| {
        push.journal > index && access.at.duration_since(push.accepted) > CLOCK_SKEW_MAX
    });
    since.copied().collect()
}
