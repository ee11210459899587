//! What a question uses of its subject's thresholds and days, and what it gives back.

use accord_proto::{
    agreement::Clause,
    party::OrgName,
    purpose::Purpose,
    reason::Reason,
    signal::{Question, Signal, Since},
    subject::{SubjectTag, TagKey},
    v1,
};
use jiff::{SignedDuration, Timestamp};

use crate::{
    path::authorise::Permit,
    subjects::{
        state::{NoRoom, Scope, Subject, SubjectState, Use, minute},
        tag_keys::Pair,
    },
};

/// The window of a purpose's questions about one subject.
const DAY: SignedDuration = SignedDuration::from_hours(24);

/// What one signal of a question used.
pub(in crate::path) struct Taken {
    permit: Permit,
    purpose: Purpose,
    /// It is the one that counts the question among the day's.
    counts_day: bool,
}

impl Taken {
    /// Whether the question is counted with this signal.
    pub(super) const fn counts_day(&self) -> bool {
        self.counts_day
    }
}

/// What a signal uses: its threshold or date where the clause binds one, and the question of the
/// day. That is counted for the purpose, and not for the clause: a second clause, or one under a new
/// number, brings no second question (rule R30).
pub(in crate::path) fn uses<'a>(
    bank: &'a OrgName,
    signal: Signal,
    has_parameter: bool,
    day: Option<Purpose>,
    clause: &'a Clause,
) -> impl Iterator<Item = Use<'a>> {
    let binds = has_parameter && clause.threshold_window_hours > 0;
    let scope = match fact(signal) {
        Signal::SignallingAnomaly => Scope::Moment,
        fact @ (Signal::SimSwap
        | Signal::DeviceSwap
        | Signal::CallForwarding
        | Signal::Roaming
        | Signal::NumberRecycling
        | Signal::Tenure) => Scope::Parameter(fact),
    };
    let parameter = Use {
        bank,
        scope,
        uses_max: 1,
        window: clause.threshold_window(),
    };
    let daily = day.and_then(|purpose| day_of(bank, purpose, clause));
    binds.then_some(parameter).into_iter().chain(daily)
}

/// One of the day's questions for a purpose, where the clause says how many there are.
fn day_of<'a>(bank: &'a OrgName, purpose: Purpose, clause: &Clause) -> Option<Use<'a>> {
    clause.per_subject_per_day.map(|per_day| Use {
        bank,
        scope: Scope::Purpose(purpose),
        uses_max: u16::try_from(per_day).unwrap_or(u16::MAX),
        window: DAY,
    })
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
        | Signal::NumberRecycling
        | Signal::SignallingAnomaly => signal,
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
        taken.counts_day.then_some(taken.purpose),
        &permit.clause,
    )
}

/// One number for each threshold, date and moment; 0 where there is none.
fn parameter(key: &TagKey, permit: &Permit) -> u32 {
    match (permit.question.since(), since_mac(key, &permit.question)) {
        (Some(Since::Moment(moment)), _) => minute(moment),
        (_, Some(mac)) => date_parameter(&mac),
        (_, None) => permit.threshold_hours.unwrap_or(0),
    }
}

/// The digest by which the ledger knows a date.
pub(in crate::path) fn since_mac(key: &TagKey, question: &Question) -> Option<[u8; 16]> {
    match question.since()? {
        Since::Day(day) => Some(key.mac("since", day.to_string().as_bytes())),
        Since::Moment(_) => None,
    }
}

/// A number of 32 bits, the highest of which no threshold has.
pub(in crate::path) fn date_parameter(mac: &[u8]) -> u32 {
    let bits = mac
        .iter()
        .take(4)
        .fold(0, |bits, byte| (bits << 8) | u32::from(*byte));
    bits | (1 << 31)
}

/// Whose question it is, and about whom.
pub(super) struct Asker<'a> {
    pub(super) subjects: &'a SubjectState,
    pub(super) keys: &'a Pair,
    pub(super) tags: &'a [SubjectTag],
    pub(super) bank: &'a OrgName,
    pub(super) purpose: Purpose,
    pub(super) now: Timestamp,
}

/// Takes what one signal uses, all of it or nothing. `day_counted`: another signal has counted the
/// question among the day's already.
pub(super) fn take(
    asker: &Asker<'_>,
    permit: &Permit,
    day_counted: bool,
) -> Result<Taken, (Reason, String)> {
    let Asker {
        subjects,
        keys,
        tags,
        bank,
        purpose,
        now,
    } = *asker;
    let known = |(key, tag): (&TagKey, &SubjectTag)| Subject {
        tag: *tag,
        parameter: parameter(key, permit),
    };
    let known: Vec<Subject> = keys.keys().zip(tags).map(known).collect();
    let day = day_of(bank, purpose, &permit.clause);
    if let Some(day) = day.filter(|_| day_counted)
        && !subjects.is_within(&known, day, now)
    {
        return Err(words(NoRoom::Used, day, permit));
    }
    let taken = Taken {
        permit: permit.clone(),
        purpose,
        counts_day: day.is_some() && !day_counted,
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

/// Gives back what told the bank nothing: a bank that got a timeout has learnt nothing. The question
/// of the day is used as soon as one of the signals that it is counted for told something.
pub(in crate::path) fn give_back(
    subjects: &SubjectState,
    tag: SubjectTag,
    bank: &OrgName,
    taken: &[Option<Taken>],
    told: &[bool],
) {
    let pairs = || {
        let both = taken.iter().zip(told);
        both.filter_map(|(taken, told)| taken.as_ref().zip(Some(*told)))
    };
    let is_daily = |taken: &Taken| taken.permit.clause.per_subject_per_day.is_some();
    let day_told = pairs().any(|(taken, told)| told && is_daily(taken));
    for (taken, told) in pairs() {
        for one in uses_of(bank, taken) {
            let used = match one.scope {
                Scope::Parameter(_) | Scope::Moment => told,
                Scope::Purpose(_) => day_told,
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
        (NoRoom::Used, Scope::Moment) => {
            let hours = permit.clause.threshold_window_hours;
            let detail = format!(
                "clause {clause}: within {hours} h of a question about this number, another moment \
                 is not earlier than that question"
            );
            (Reason::Quota, detail)
        }
        (NoRoom::Used, Scope::Purpose(_)) => {
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
