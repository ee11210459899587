//! Counts entries, one after the other.

use std::collections::{BTreeMap, BTreeSet};

use accord_proto::{
    party::{PartyId, Role},
    purpose::Purpose,
    reason::Reason,
    v1::{self, entry::Event},
};
use jiff::Timestamp;

use super::{
    Happening, Named, Period, Reasoned, Report,
    activity::{HOUR_MS, Hour, activity, instant, total},
    banks,
    banks::Source,
    operators,
    presence::Presence,
};
use crate::{LedgerEntry, entry_view, usage::fault_name};

/// The most happenings of one kind that a report lists.
pub const LISTED_MAX: usize = 1_000;
/// What a refusal of a call that came too fast is called.
const RATE_LIMITED: &str = "RATE_LIMITED";
/// The service that banks ask.
const SIGNALS: &str = "SignalService.";

/// Counts entries, in the order of their times. Memory grows with parties and hours, not with
/// entries.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    from: Option<Timestamp>,
    until: Option<Timestamp>,
    first_ms: Option<u64>,
    last_ms: u64,
    entries: u64,
    logs: BTreeSet<String>,
    hours: BTreeMap<u64, Hour>,
    banks: BTreeMap<String, banks::Counted>,
    operators: BTreeMap<String, operators::Counted>,
    presence: Presence,
    reasons: BTreeMap<String, (&'static str, u64)>,
    refusals: BTreeMap<String, u64>,
    purposes: BTreeMap<String, u64>,
    readers: BTreeMap<String, u64>,
    anomalies: Vec<Happening>,
    acts: Vec<Happening>,
    operations: Vec<Happening>,
    unlisted: u64,
}

impl Tally {
    /// Counts what lies in a period: from is included, until is not; `None`: no bound.
    #[must_use]
    pub fn of(from: Option<Timestamp>, until: Option<Timestamp>) -> Self {
        let mut tally = Self {
            from,
            until,
            ..Self::default()
        };
        if let Some(from) = from.and_then(milliseconds) {
            tally.presence.begins(from);
        }
        tally
    }

    /// Counts an entry, unless it lies outside of the period.
    pub fn take(&mut self, entry: &LedgerEntry) {
        let at = entry.entry.time_unix_ms;
        let before = self
            .from
            .and_then(milliseconds)
            .is_some_and(|from| at < from);
        let after = self
            .until
            .and_then(milliseconds)
            .is_some_and(|until| at >= until);
        if before || after {
            return;
        }
        self.entries += 1;
        self.first_ms.get_or_insert(at);
        self.last_ms = self.last_ms.max(at);
        if !self.logs.contains(&entry.origin) {
            self.logs.insert(entry.origin.clone());
        }
        match entry.entry.event.as_ref() {
            Some(Event::Access(access)) => self.access(access, at),
            Some(Event::RefusedCall(call)) => self.refused(call, at),
            Some(Event::RefusalCount(count)) => self.refusals(&count.party, count.refused, at),
            Some(Event::AuditRead(read)) => count(&mut self.readers, &read.party),
            Some(Event::AdapterLink(link)) => self.link(link, at),
            Some(Event::Operation(operation)) => self.operation(operation, entry, at),
            Some(Event::Anomaly(_)) => {
                list(&mut self.anomalies, &mut self.unlisted, entry);
            }
            Some(Event::AgreementAct(_)) => list(&mut self.acts, &mut self.unlisted, entry),
            Some(Event::LogOpened(log)) if log.previous_checkpoint.is_empty() => {
                self.presence.first_log(at);
            }
            Some(
                Event::LogOpened(_)
                | Event::DocumentLoaded(_)
                | Event::SourceChanges(_)
                | Event::Export(_)
                | Event::KeyAct(_),
            )
            | None => {}
        }
        self.presence.saw(at);
    }

    fn access(&mut self, access: &v1::Access, at: u64) {
        let reasons: Vec<Option<Reason>> = access.signals.iter().map(reason).collect();
        let answered = reasons.iter().filter(|reason| reason.is_none()).count();
        let outcome = match (answered, reasons.len()) {
            (0, _) => 2,
            (answered, all) if answered == all => 0,
            _ => 1,
        };
        self.hour(at, outcome, 1);
        count(
            &mut self.purposes,
            Purpose::from_wire(access.purpose).map_or("unknown", Purpose::name),
        );
        for (record, reason) in access.signals.iter().zip(&reasons) {
            if let Some(reason) = reason {
                self.without_value(record, *reason);
            }
        }
        let bank = self.banks.entry(access.bank.clone()).or_default();
        match outcome {
            0 => bank.answered += 1,
            1 => bank.partly_answered += 1,
            _ => bank.unanswered += 1,
        }
        bank.bulk += u64::from(access.bulk);
        let quota = |reason: &&Option<Reason>| **reason == Some(Reason::Quota);
        bank.quota += reasons.iter().filter(quota).count() as u64;
        let failed = reasons
            .iter()
            .flatten()
            .any(|reason| service_failed(*reason));
        let stratum = (access.operator.clone(), access.bulk);
        let sum = bank.failures.entry(stratum).or_default();
        *sum = (sum.0 + 1, sum.1 + u64::from(failed));
        if !access.bulk {
            let stratum = (access.operator.clone(), source(access));
            bank.waits
                .entry(stratum)
                .or_default()
                .add(access.elapsed_us);
        }
        if access.operator.is_empty() {
            return;
        }
        let operator = self.operators.entry(access.operator.clone()).or_default();
        reasons.iter().for_each(|reason| operator.signal(*reason));
        for reply in &access.replies {
            operator.replies.add(reply.elapsed_us);
            self.presence.replied(&access.operator, &reply.instance, at);
        }
    }

    fn without_value(&mut self, record: &v1::SignalRecord, reason: Reason) {
        // A reason of a newer version keeps its number.
        let name = match Reason::from_wire(record.reason) {
            Some(reason) => reason.name().to_owned(),
            None => format!("unknown_reason_{}", record.reason),
        };
        let fault = fault_name(reason.consequence().fault);
        self.reasons.entry(name).or_insert((fault, 0)).1 += 1;
    }

    fn refused(&mut self, call: &v1::RefusedCall, at: u64) {
        count(&mut self.refusals, &call.reason);
        let Some(bank) = bank_of(&call.party) else {
            return;
        };
        let asked = call.method.starts_with(SIGNALS);
        let bank = self.banks.entry(bank).or_default();
        bank.refused += u64::from(asked);
        bank.rate_limited += u64::from(call.reason == RATE_LIMITED);
        if asked {
            self.hour(at, 3, 1);
        }
    }

    /// Beyond its budget a party's refusals are counted and not told apart.
    fn refusals(&mut self, party: &str, refused: u64, at: u64) {
        let sum = self.refusals.entry("beyond the budget".to_owned());
        *sum.or_default() += refused;
        if let Some(bank) = bank_of(party) {
            self.banks.entry(bank).or_default().refused += refused;
            self.hour(at, 3, refused);
        }
    }

    fn link(&mut self, link: &v1::AdapterLink, at: u64) {
        use v1::adapter_link::Kind;
        let operator = self.operators.entry(link.operator.clone()).or_default();
        match Kind::try_from(link.kind) {
            Ok(Kind::Attached) => self.presence.attached(&link.operator, &link.instance, at),
            Ok(Kind::Left) => self.presence.left(&link.operator, &link.instance, at),
            Ok(Kind::NotBelieved) => operator.not_believed += 1,
            Ok(Kind::Restricted | Kind::Unspecified) | Err(_) => {}
        }
    }

    fn operation(&mut self, operation: &v1::Operation, entry: &LedgerEntry, at: u64) {
        use v1::operation::Kind;
        match Kind::try_from(operation.kind) {
            Ok(Kind::Start) => self.presence.started(at),
            Ok(Kind::Stop) => self.presence.stopped(at),
            Ok(
                Kind::ClockStep
                | Kind::ViewRebuilt
                | Kind::TailRecovered
                | Kind::WitnessQuorumLost
                | Kind::WitnessQuorumFound,
            ) => {}
            // Routine: certificates, revocation lists and keys.
            _ => return,
        }
        list(&mut self.operations, &mut self.unlisted, entry);
    }

    fn hour(&mut self, at: u64, outcome: usize, many: u64) {
        let hour = self.hours.entry(at / HOUR_MS).or_default();
        if let Some(counter) = hour.get_mut(outcome) {
            *counter += many;
        }
    }

    /// What was counted.
    #[must_use]
    pub fn finish(self) -> Report {
        let (ran_ms, attached) = self.presence.finish();
        let questions = total(self.hours.values());
        let operators = self.operators.iter().map(|(name, counted)| {
            let attached = attached.get(name).copied();
            counted.row(name, attached, ran_ms)
        });
        let reasons = self
            .reasons
            .into_iter()
            .map(|(reason, (fault, signals))| Reasoned {
                reason,
                fault,
                signals: Some(signals),
            });
        let mut reasons: Vec<_> = reasons.collect();
        reasons.sort_by_key(|one| std::cmp::Reverse(one.signals));
        Report {
            audience: "authorities".to_owned(),
            sight: "every entry that was given".to_owned(),
            period: Period {
                from: self.from.map(|at| at.to_string()),
                until: self.until.map(|at| at.to_string()),
                first: self.first_ms.and_then(instant),
                last: self.first_ms.and_then(|_| instant(self.last_ms)),
                entries: Some(self.entries),
                logs: self.logs.into_iter().collect(),
                broker_ran_ms: ran_ms,
            },
            questions,
            activity: activity(&self.hours),
            fairness: banks::fairness(&self.banks),
            banks: self.banks.iter().map(|(name, one)| one.row(name)).collect(),
            operators: operators.collect(),
            reasons,
            refusals: named(self.refusals),
            purposes: named(self.purposes),
            anomalies: self.anomalies,
            acts: self.acts,
            operations: self.operations,
            readers: named(self.readers),
            unlisted: self.unlisted,
        }
    }
}

/// Why a signal has no value; a reason that this version does not know is nobody's fault.
fn reason(record: &v1::SignalRecord) -> Option<Reason> {
    (record.reason != v1::Reason::Unspecified as i32)
        .then(|| Reason::from_wire(record.reason).unwrap_or(Reason::Undecided))
}

/// Whether operator or broker could have answered, but did not.
fn service_failed(reason: Reason) -> bool {
    matches!(
        reason,
        Reason::Timeout | Reason::SourceDown | Reason::Overloaded | Reason::RouteUnknown
    )
}

fn source(access: &v1::Access) -> Source {
    if !access.replies.is_empty() {
        Source::Asked
    } else if access.signals.iter().any(|signal| signal.from_view) {
        Source::View
    } else {
        Source::Nobody
    }
}

fn bank_of(party: &str) -> Option<String> {
    let party = PartyId::parse(party).ok()?;
    (party.role() == Role::Bank).then(|| party.org().to_string())
}

fn count(counts: &mut BTreeMap<String, u64>, name: &str) {
    match counts.get_mut(name) {
        Some(count) => *count += 1,
        None => {
            counts.insert(name.to_owned(), 1);
        }
    }
}

fn list(rows: &mut Vec<Happening>, unlisted: &mut u64, entry: &LedgerEntry) {
    if rows.len() >= LISTED_MAX {
        *unlisted += 1;
        return;
    }
    rows.push(Happening {
        time: entry_view::time(entry),
        what: entry_view::summary(entry),
        origin: entry.origin.clone(),
        index: entry.index,
    });
}

fn named(counts: BTreeMap<String, u64>) -> Vec<Named> {
    let mut rows: Vec<_> = counts
        .into_iter()
        .map(|(name, count)| Named {
            name,
            count: Some(count),
        })
        .collect();
    rows.sort_by_key(|row| std::cmp::Reverse(row.count));
    rows
}

fn milliseconds(at: Timestamp) -> Option<u64> {
    u64::try_from(at.as_millisecond()).ok()
}
