//! Rates and quotas: per bank, per clause, and per (bank, subject).

pub(super) mod rates;

use std::sync::Arc;

use accord_proto::{
    agreement::Clause,
    party::OrgName,
    reason::Reason,
    signal::Signal,
    subject::{SubjectTag, TagKey},
};
use jiff::{SignedDuration, Timestamp, civil::Date};
use tokio::time::{Duration, Instant, sleep_until};

use super::{
    authorise::{Denied, Permit, Permitted},
    parts::Parts,
    refusal::Refusal,
    route::Routed,
};
use crate::subjects::state::{NoRoom, Scope, Subject, SubjectState, Use};

/// A question whose permits fit within every rate and quota.
pub(super) struct Admitted {
    pub(super) routed: Routed,
    pub(super) permits: Vec<Result<Permit, Denied>>,
    /// The subject's tag of this month, by which uses are given back and the entry is found.
    pub(super) tag: SubjectTag,
    _seal: Seal,
}

struct Seal;

/// The window of a clause's questions about one subject.
const DAY: SignedDuration = SignedDuration::from_hours(24);
/// For how long a line of a screening waits for its turn.
const BULK_WAIT_MAX: Duration = Duration::from_secs(30);

/// Admits a question, or refuses the whole of it where the bank's own rate is used up.
///
/// A line of a screening waits for its turn instead, for as long as [`BULK_WAIT_MAX`].
pub(super) async fn limit(parts: &Parts, permitted: Permitted) -> Result<Admitted, Refusal> {
    let Permitted {
        routed,
        mut permits,
        ..
    } = permitted;
    let asked = &routed.asked;
    let bank = asked.caller.party().org();
    let patience = if asked.bulk {
        BULK_WAIT_MAX
    } else {
        Duration::ZERO
    };
    let turn = in_turn(patience, || parts.rates.party(bank)).await;
    turn.map_err(|retry_after| Refusal::RateLimited { retry_after })?;
    let keys = parts.tag_keys.pair();
    let tags = keys.tags(&asked.question.msisdn);
    for slot in &mut permits {
        let Ok(permit) = slot else { continue };
        let clause = Arc::clone(&permit.clause);
        let turn = in_turn(patience, || parts.rates.clause(bank, &clause)).await;
        let refused = if turn.is_err() {
            Some((
                Reason::Quota,
                format!("clause {}: too many questions a second", clause.id),
            ))
        } else {
            let known = |(key, tag): (&TagKey, &SubjectTag)| Subject {
                tag: *tag,
                parameter: parameter(key, permit),
            };
            let known: Vec<Subject> = keys.keys().zip(&tags).map(known).collect();
            take(&parts.subjects, &known, bank, permit, asked.now).err()
        };
        if let Some((reason, detail)) = refused {
            *slot = Err(Denied::under(&clause, reason, detail));
        }
    }
    let tag = keys.this_month.subject(&asked.question.msisdn);
    Ok(Admitted {
        routed,
        permits,
        tag,
        _seal: Seal,
    })
}

/// Waits until a rate admits one more, but no longer than `patience`.
async fn in_turn(
    patience: Duration,
    check: impl Fn() -> Result<(), Duration>,
) -> Result<(), Duration> {
    let give_up = Instant::now() + patience;
    loop {
        let Err(wait) = check() else { return Ok(()) };
        let turn = Instant::now() + wait;
        if turn > give_up {
            return Err(wait);
        }
        sleep_until(turn).await;
    }
}

/// What a signal uses: its threshold or date where the clause binds one, and the clause's questions
/// of the day.
pub(super) fn uses<'a>(
    bank: &'a OrgName,
    signal: Signal,
    has_parameter: bool,
    clause: &'a Clause,
) -> impl Iterator<Item = Use<'a>> {
    let binds = has_parameter && clause.threshold_window_hours > 0;
    let scope = Scope::Parameter(signal);
    let parameter = Use {
        bank,
        scope,
        uses_max: 1,
        window: clause.threshold_window(),
    };
    let daily = clause.per_subject_per_day.map(|per_day| Use {
        bank,
        scope: Scope::Clause(clause.id.as_str()),
        uses_max: u16::try_from(per_day).unwrap_or(u16::MAX),
        window: DAY,
    });
    binds.then_some(parameter).into_iter().chain(daily)
}

/// What a permit uses.
pub(super) fn uses_of_permit<'a>(
    bank: &'a OrgName,
    permit: &'a Permit,
) -> impl Iterator<Item = Use<'a>> {
    let has_parameter = permit.threshold_hours.is_some() || permit.question.since().is_some();
    uses(
        bank,
        permit.question.signal(),
        has_parameter,
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
pub(super) fn since_mac(key: &TagKey, since: Date) -> [u8; 16] {
    key.mac("since", since.to_string().as_bytes())
}

/// A number of 32 bits, the highest of which no threshold has.
pub(super) fn date_parameter(mac: &[u8]) -> u32 {
    mac.iter()
        .take(4)
        .fold(0, |bits, byte| (bits << 8) | u32::from(*byte))
        | (1 << 31)
}

fn take(
    subjects: &SubjectState,
    known: &[Subject],
    bank: &OrgName,
    permit: &Permit,
    now: Timestamp,
) -> Result<(), (Reason, String)> {
    let mut taken: Vec<Use<'_>> = Vec::new();
    for one in uses_of_permit(bank, permit) {
        match subjects.take(known, one, now) {
            Ok(()) => taken.push(one),
            Err(no_room) => {
                if let Some(subject) = known.first() {
                    taken
                        .iter()
                        .for_each(|earlier| subjects.give_back(subject.tag, *earlier));
                }
                return Err(words(no_room, one, permit));
            }
        }
    }
    Ok(())
}

fn words(no_room: NoRoom, use_: Use<'_>, permit: &Permit) -> (Reason, String) {
    let clause = &permit.clause.id;
    match (no_room, use_.scope) {
        (NoRoom::Full, _) => (
            Reason::Overloaded,
            "the broker holds no more quotas of subjects".to_owned(),
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

/// Whether an outcome told the bank something about the subject. Where it did not, the use is given
/// back: a bank that got a timeout has learnt nothing.
pub(super) const fn tells(outcome: Option<Reason>) -> bool {
    match outcome {
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
