//! What a question uses of its subject's thresholds and days, and what it gives back.

use accord_proto::{
    agreement::Clause,
    party::OrgName,
    reason::Reason,
    signal::Signal,
    subject::{SubjectTag, TagKey},
    v1,
};
use jiff::{SignedDuration, Timestamp, civil::Date};

use crate::{
    path::authorise::Permit,
    subjects::{
        state::{NoRoom, Scope, Subject, SubjectState, Use},
        tag_keys::Pair,
    },
};

/// The window of a clause's questions about one subject.
const DAY: SignedDuration = SignedDuration::from_hours(24);

/// What one signal of a question used.
pub(in crate::path) struct Taken {
    permit: Permit,
    /// It is the one that counts the clause's question of the day.
    counts_day: bool,
}

/// What a signal uses: its threshold or date where the clause binds one, and the clause's question
/// of the day.
pub(in crate::path) fn uses<'a>(
    bank: &'a OrgName,
    signal: Signal,
    has_parameter: bool,
    counts_day: bool,
    clause: &'a Clause,
) -> impl Iterator<Item = Use<'a>> {
    let binds = has_parameter && clause.threshold_window_hours > 0;
    let parameter = Use {
        bank,
        scope: Scope::Parameter(fact(signal)),
        uses_max: 1,
        window: clause.threshold_window(),
    };
    let per_day = clause.per_subject_per_day.filter(|_| counts_day);
    let daily = per_day.map(|per_day| Use {
        bank,
        scope: Scope::Clause(clause.id.as_str()),
        uses_max: u16::try_from(per_day).unwrap_or(u16::MAX),
        window: DAY,
    });
    binds.then_some(parameter).into_iter().chain(daily)
}

/// Recycling and tenure are one fact, the change of holder: two dates of it are two dates, whichever
/// of the two signals asks.
const fn fact(signal: Signal) -> Signal {
    match signal {
        Signal::Tenure => Signal::NumberRecycling,
        Signal::SimSwap
        | Signal::DeviceSwap
        | Signal::CallForwarding
        | Signal::Roaming
        | Signal::NumberRecycling => signal,
    }
}

fn uses_of<'a>(bank: &'a OrgName, taken: &'a Taken) -> impl Iterator<Item = Use<'a>> {
    let permit = &taken.permit;
    let has_parameter = permit.threshold_hours.is_some() || permit.question.since().is_some();
    let signal = permit.question.signal();
    uses(
        bank,
        signal,
        has_parameter,
        taken.counts_day,
        &permit.clause,
    )
}

/// One number for each threshold and each date; 0 where there is neither.
fn parameter(key: &TagKey, permit: &Permit) -> u32 {
    match permit.question.since() {
        Some(date) => date_parameter(&since_mac(key, date)),
        None => permit.threshold_hours.unwrap_or(0),
    }
}

/// The digest by which the ledger knows a date.
pub(in crate::path) fn since_mac(key: &TagKey, since: Date) -> [u8; 16] {
    key.mac("since", since.to_string().as_bytes())
}

/// A number of 32 bits, the highest of which no threshold has.
pub(in crate::path) fn date_parameter(mac: &[u8]) -> u32 {
    let bits = mac
        .iter()
        .take(4)
        .fold(0, |bits, byte| (bits << 8) | u32::from(*byte));
    bits | (1 << 31)
}

/// Takes what one signal uses, all of it or nothing.
pub(super) fn take(
    subjects: &SubjectState,
    keys: &Pair,
    tags: &[SubjectTag],
    bank: &OrgName,
    permit: &Permit,
    counts_day: bool,
    now: Timestamp,
) -> Result<Taken, (Reason, String)> {
    let known = |(key, tag): (&TagKey, &SubjectTag)| Subject {
        tag: *tag,
        parameter: parameter(key, permit),
    };
    let known: Vec<Subject> = keys.keys().zip(tags).map(known).collect();
    let taken = Taken {
        permit: permit.clone(),
        counts_day,
    };
    let mut so_far: Vec<Use<'_>> = Vec::new();
    for one in uses_of(bank, &taken) {
        match subjects.take(&known, one, now) {
            Ok(()) => so_far.push(one),
            Err(no_room) => {
                if let Some(subject) = known.first() {
                    for earlier in so_far {
                        subjects.give_back(subject.tag, earlier);
                    }
                }
                return Err(words(no_room, one, permit));
            }
        }
    }
    Ok(taken)
}

/// Gives back what told the bank nothing: a bank that got a timeout has learnt nothing. A clause's
/// question of the day is used as soon as one of its signals told something.
pub(in crate::path) fn give_back(
    subjects: &SubjectState,
    tag: SubjectTag,
    bank: &OrgName,
    taken: &[Option<Taken>],
    told: &[bool],
) {
    let pairs = || taken.iter().zip(told);
    for (taken, told) in pairs() {
        let Some(taken) = taken else { continue };
        let clause = &taken.permit.clause.id;
        let same_clause = pairs().filter_map(|(other, told)| other.as_ref().zip(Some(*told)));
        let mut same_clause = same_clause.filter(|(other, _)| other.permit.clause.id == *clause);
        let day_told = same_clause.any(|(_, told)| told);
        for one in uses_of(bank, taken) {
            let used = match one.scope {
                Scope::Parameter(_) => *told,
                Scope::Clause(_) => day_told,
            };
            if !used {
                subjects.give_back(tag, one);
            }
        }
    }
}

fn words(no_room: NoRoom, use_: Use<'_>, permit: &Permit) -> (Reason, String) {
    let clause = &permit.clause.id;
    match (no_room, use_.scope) {
        (NoRoom::Full, _) => (
            Reason::Overloaded,
            "the broker holds no more quotas of this bank's subjects".to_owned(),
        ),
        (NoRoom::Used, Scope::Parameter(signal)) => {
            let hours = permit.clause.threshold_window_hours;
            let detail = format!(
                "clause {clause}: another threshold or date of {signal} was used for this number \
                 within {hours} h"
            );
            (Reason::Quota, detail)
        }
        (NoRoom::Used, Scope::Clause(_)) => {
            let per_day = use_.uses_max;
            let detail = format!("clause {clause}: {per_day} a day for each number");
            (Reason::Quota, detail)
        }
    }
}

/// Whether a recorded outcome told the bank something about the subject.
pub(in crate::path) fn told(record: &v1::SignalRecord) -> bool {
    match Reason::from_wire(record.reason) {
        None
        | Some(
            Reason::NotWatched
            | Reason::Undecided
            | Reason::Contradicted
            | Reason::Stale
            | Reason::UnknownNumber
            | Reason::OptedOut,
        ) => true,
        Some(
            Reason::NotCovered
            | Reason::RouteUnknown
            | Reason::NotOurs
            | Reason::NotContracted
            | Reason::NotAuthorised
            | Reason::ConsentMissing
            | Reason::Suspended
            | Reason::NotAvailable
            | Reason::OutOfRange
            | Reason::Timeout
            | Reason::SourceDown
            | Reason::Overloaded
            | Reason::Quota,
        ) => false,
    }
}
