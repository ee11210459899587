//! Rates and quotas: per bank, per clause, and per (bank, subject).

pub(super) mod quotas;
pub(super) mod rates;

use std::sync::Arc;

use accord_proto::{
    agreement::{Clause, ClauseId},
    party::OrgName,
    reason::Reason,
    subject::SubjectTag,
};
use tokio::time::{Duration, Instant, sleep_until};

use self::quotas::{Asker, Taken};
use super::{
    authenticate::Asked,
    authorise::{Denied, Permit, Permitted},
    parts::Parts,
    refusal::Refusal,
    route::Routed,
};
use crate::subjects::tag_keys::Pair;

/// A question whose permits fit within every rate and quota.
pub(super) struct Admitted {
    pub(super) routed: Routed,
    pub(super) permits: Vec<Result<Permit, Denied>>,
    /// What each signal used, to be given back where it told the bank nothing.
    pub(super) taken: Vec<Option<Taken>>,
    /// The keys under which it was admitted; its entry is tagged under the same.
    pub(super) keys: Arc<Pair>,
    /// The subject's tag under this month's key.
    pub(super) tag: SubjectTag,
    _seal: Seal,
}

struct Seal;

/// For how long a line of a screening waits for its turn.
const BULK_WAIT_MAX: Duration = Duration::from_secs(30);

/// Takes one question of the bank's rate; repeats count as well. A line of a screening waits for
/// its turn instead.
pub(super) async fn in_rate(parts: &Parts, asked: &Asked) -> Result<(), Refusal> {
    let bank = asked.caller.party().org();
    let turn = in_turn(asked.bulk, || parts.rates.party(bank)).await;
    turn.map_err(|retry_after| Refusal::RateLimited { retry_after })
}

/// Admits each permitted signal that its clause's rate and its subject's quotas leave room for.
pub(super) async fn limit(parts: &Parts, permitted: Permitted) -> Admitted {
    let Permitted {
        routed,
        mut permits,
        ..
    } = permitted;
    let asked = &routed.asked;
    let bank = asked.caller.party().org();
    let keys = parts.tag_keys.pair();
    let number = asked.question.msisdn;
    let tags = keys.tags(&number);
    let tag = tags.first().copied();
    let asker = Asker {
        subjects: &parts.subjects,
        keys: &keys,
        tags: &tags,
        bank,
        purpose: asked.question.purpose,
        now: parts.clock.now(),
    };
    let mut taken: Vec<Option<Taken>> = Vec::with_capacity(permits.len());
    let mut clauses: Vec<(ClauseId, bool)> = Vec::with_capacity(1);
    for slot in &mut permits {
        let Ok(permit) = slot else {
            taken.push(None);
            continue;
        };
        // A question counts once for a clause, however many of its signals the clause allows.
        let known = clauses.iter().find(|(id, _)| *id == permit.clause.id);
        let in_rate = match known {
            Some((_, in_rate)) => *in_rate,
            None => {
                let in_rate = clause_rate(parts, asked.bulk, bank, &permit.clause).await;
                clauses.push((permit.clause.id.clone(), in_rate));
                in_rate
            }
        };
        let outcome = if in_rate {
            // And once for the day, however many clauses allow them.
            let day_counted = taken.iter().flatten().any(Taken::counts_day);
            quotas::take(&asker, permit, day_counted)
        } else {
            let detail = format!("clause {}: too many questions a second", permit.clause.id);
            Err((Reason::Quota, detail))
        };
        match outcome {
            Ok(used) => taken.push(Some(used)),
            Err((reason, detail)) => {
                taken.push(None);
                *slot = Err(Denied::under(&Arc::clone(&permit.clause), reason, detail));
            }
        }
    }
    Admitted {
        routed,
        permits,
        taken,
        tag: tag.unwrap_or_else(|| keys.this_month.subject(&number)),
        keys,
        _seal: Seal,
    }
}

async fn clause_rate(parts: &Parts, bulk: bool, bank: &OrgName, clause: &Clause) -> bool {
    in_turn(bulk, || parts.rates.clause(bank, clause))
        .await
        .is_ok()
}

/// Waits until a rate admits one more: a line of a screening for [`BULK_WAIT_MAX`], a single
/// question not at all.
async fn in_turn(bulk: bool, check: impl Fn() -> Result<(), Duration>) -> Result<(), Duration> {
    let patience = if bulk { BULK_WAIT_MAX } else { Duration::ZERO };
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
