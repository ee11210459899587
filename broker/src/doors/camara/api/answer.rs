//! From an answer to what a CAMARA operation answers.
//!
//! `latestSimChange` and its kin are the only places where CAMARA has a third value beside true and
//! false: `null`, which upstream reads as "never", as "before the monitored period" and as "must not
//! be told". Here `null` is told only where there was none for at least the last day that could be
//! watched: whoever reads it as "none lately" is right. The optional `contextCode` (Commonalities 0.8.0, section 3.1)
//! says which `null` it is.

mod null;

use accord_proto::{
    band::AgeBand,
    camara::Operation,
    observation::{Change, ChangedIn, ForwardingCondition},
    reason::Reason,
    v1::{self, signal_answer::Outcome, value::Value as Wire},
    wire,
};
use jiff::{SignedDuration, Timestamp, civil::Date};
use serde_json::{Value as Json, json};

use self::null::{Null, null};
use super::{
    countries::countries,
    problem::{Code, Problem},
    reasons::problem,
};
use crate::path::derive::{Look, changed_since};

/// The band that stands for "positively never" in CAMARA's proposal. It is no age: 111 is not older
/// than 17.
const NEVER_BAND: u32 = 111;

/// What was asked, as far as the answer needs it.
#[derive(Clone)]
pub(super) struct Asked {
    pub(super) operation: Operation,
    /// The date of a body that has one.
    pub(super) date: Option<Date>,
    /// The number, where the body named several identifiers: which of them was used is told.
    pub(super) echoed: Option<String>,
}

/// An answer's body.
pub(super) fn body(asked: &Asked, answer: &v1::Answer) -> Result<Json, Problem> {
    let [signal] = answer.signals.as_slice() else {
        return Err(broken());
    };
    match &signal.outcome {
        Some(Outcome::Unanswered(unanswered)) => {
            let reason = Reason::from_wire(unanswered.reason).ok_or_else(broken)?;
            // Also where a clause answers yes or no to windows and the operator was not asked: `null`
            // would say that somebody looked.
            Err(problem(asked.operation, reason, &unanswered.detail))
        }
        Some(Outcome::Value(value)) => {
            let value = value.value.as_ref().ok_or_else(broken)?;
            let now = answer.answered_at.as_ref();
            let now = now.and_then(wire::parse_timestamp).ok_or_else(broken)?;
            Told {
                asked,
                signal,
                value,
                now,
            }
            .body()
        }
        None => Err(broken()),
    }
}

/// The broker's own mistake: an answer that does not belong to the question.
fn broken() -> Problem {
    Problem::new(Code::Internal, "the broker made a mistake")
}

/// A signal without a value.
struct Told<'a> {
    asked: &'a Asked,
    signal: &'a v1::SignalAnswer,
    value: &'a Wire,
    now: Timestamp,
}

impl Told<'_> {
    fn body(&self) -> Result<Json, Problem> {
        match self.asked.operation {
            Operation::SimSwapCheck | Operation::DeviceSwapCheck => {
                Ok(json!({ "swapped": self.yes_no()? }))
            }
            Operation::RecyclingCheck => Ok(json!({ "phoneNumberRecycled": self.yes_no()? })),
            Operation::TenureCheck => self.tenure(),
            Operation::SimSwapRetrieveDate | Operation::DeviceSwapRetrieveDate => self.date(),
            Operation::SimSwapRetrieveAgeBand => self.age_band(),
            Operation::ForwardingUnconditional => {
                let active = self.forwardings()?;
                let all = v1::ForwardingCondition::Unconditional as i32;
                Ok(json!({ "active": active.iter().any(|one| one.condition == all) }))
            }
            Operation::ForwardingAll => self.conditions(),
            Operation::RoamingRetrieve => self.roaming(),
        }
    }

    fn yes_no(&self) -> Result<bool, Problem> {
        match self.value {
            Wire::YesNo(yes) => Ok(*yes),
            Wire::Band(_) | Wire::Interval(_) | Wire::Forwarding(_) | Wire::Roaming(_) => {
                Err(broken())
            }
        }
    }

    /// The agreement grants an answer, which is coarser than this operation's.
    fn too_coarse(&self, instead: &str) -> Problem {
        let reason = Reason::NotAuthorised;
        let clause = &self.signal.clause;
        let detail = format!("clause {clause} answers yes or no, and no more: {instead}");
        problem(self.asked.operation, reason, &detail)
    }

    fn date(&self) -> Result<Json, Problem> {
        let operation = self.asked.operation;
        match self.value {
            Wire::Interval(interval) => {
                let after = interval.after.as_ref().and_then(wire::parse_timestamp);
                match interval.before.as_ref().and_then(wire::parse_timestamp) {
                    // The change lies in (after, before]. Its latest moment is told, the youngest
                    // that it can be: a client that warns of young changes then warns too early and
                    // never too late.
                    Some(before) => {
                        self.read_as_none_since(before)?;
                        Ok(json!({ null::name(operation): before.to_string() }))
                    }
                    None => self.no_change_since(after),
                }
            }
            Wire::Band(band) => {
                let lowest = AgeBand::from_wire(band.lowest).ok_or_else(broken)?;
                // The age counts from now, and the watch ended at `observed_at`.
                let days = whole_days(lowest.youngest_age() - self.unwatched()?);
                match (days, band.at_least) {
                    (Some(days), _) => Ok(null(operation, Null::NotPermitted { days })),
                    (None, true) => Err(self.watched_too_short()),
                    (None, false) => Err(self.lately("in bands", "the age band")),
                }
            }
            // The window of a clause that answers yes or no is the clause's own, and may be of hours:
            // `null` would say more.
            Wire::YesNo(false) => Err(self.too_coarse("ask `check` instead")),
            Wire::YesNo(true) => Err(self.lately("with yes or no", "`check`")),
            Wire::Forwarding(_) | Wire::Roaming(_) => Err(broken()),
        }
    }

    fn no_change_since(&self, after: Option<Timestamp>) -> Result<Json, Problem> {
        let operation = self.asked.operation;
        let Some(after) = after else {
            self.unwatched()?;
            return Ok(null(operation, Null::Never));
        };
        // Up to `observed_at` only: what came later was not watched.
        let watched = self.now.duration_since(after) - self.unwatched()?;
        match whole_days(watched) {
            Some(days) => Ok(null(operation, Null::Unknown { days })),
            None => Err(self.watched_too_short()),
        }
    }

    /// For how long the operator has not looked. After a day of it nothing is known of lately.
    fn unwatched(&self) -> Result<SignedDuration, Problem> {
        let observed_at = self.observed_at().unwrap_or(self.now);
        let unwatched = self
            .now
            .duration_since(observed_at)
            .max(SignedDuration::ZERO);
        if whole_days(unwatched).is_none() {
            return Ok(unwatched);
        }
        let reason = Reason::Stale;
        Err(problem(
            self.asked.operation,
            reason,
            reason.consequence().meaning,
        ))
    }

    /// An old date reads as "none since", which needs a look of lately as `null` does. A young one is a
    /// warning, whatever was not watched since.
    fn read_as_none_since(&self, before: Timestamp) -> Result<(), Problem> {
        match whole_days(self.now.duration_since(before)) {
            Some(_) => self.unwatched().map(drop),
            None => Ok(()),
        }
    }

    /// Known to be without a change for less than a day: the watch began, or a change may have been,
    /// at any moment before.
    fn watched_too_short(&self) -> Problem {
        let reason = Reason::NotWatched;
        problem(self.asked.operation, reason, reason.consequence().meaning)
    }

    /// There was a change, lately, and its date may not be told. `null` would read as none.
    fn lately(&self, how: &str, instead: &str) -> Problem {
        let clause = &self.signal.clause;
        let message = format!(
            "there was a change lately, but clause {clause} answers {how} and allows no date: ask \
             {instead} instead"
        );
        Problem::new(Code::ServiceNotApplicable, message).because(Reason::NotAuthorised.name())
    }

    fn age_band(&self) -> Result<Json, Problem> {
        let (lowest, highest, never) = match self.value {
            Wire::Band(band) => {
                let of = |number| AgeBand::from_wire(number).ok_or_else(broken);
                (of(band.lowest)?, of(band.highest)?, band.at_least)
            }
            Wire::Interval(interval) => {
                let age = |at: &Option<_>| {
                    let at = at.as_ref().and_then(wire::parse_timestamp)?;
                    Some(AgeBand::of(self.now.duration_since(at)))
                };
                match (age(&interval.after), age(&interval.before)) {
                    (None, None) => {
                        self.unwatched()?;
                        return Ok(json!({ "ageBand": NEVER_BAND }));
                    }
                    (Some(since), None) => (since, AgeBand::OLDEST, true),
                    (after, Some(lowest)) => (lowest, after.unwrap_or(AgeBand::OLDEST), false),
                }
            }
            Wire::YesNo(_) => return Err(self.too_coarse("ask `check` instead")),
            Wire::Forwarding(_) | Wire::Roaming(_) => return Err(broken()),
        };
        self.read_as_none_since(ago(self.now, lowest.youngest_age()))?;
        let number = |band: AgeBand| band.to_wire() as u32;
        // Without a change that was seen there may never have been one.
        let oldest = if never { NEVER_BAND } else { number(highest) };
        let mut body = json!({ "ageBand": number(lowest) });
        if oldest != number(lowest)
            && let Some(members) = body.as_object_mut()
        {
            members.insert("ageBandHighest".to_owned(), oldest.into());
        }
        Ok(body)
    }

    fn tenure(&self) -> Result<Json, Problem> {
        let now = self.now;
        let change = match self.value {
            Wire::YesNo(held) => return Ok(json!({ "tenureDateCheck": held })),
            Wire::Interval(interval) => {
                let after = interval.after.as_ref().and_then(wire::parse_timestamp);
                let before = interval.before.as_ref().and_then(wire::parse_timestamp);
                (after, before)
            }
            Wire::Band(band) => {
                let lowest = AgeBand::from_wire(band.lowest).ok_or_else(broken)?;
                let highest = AgeBand::from_wire(band.highest).ok_or_else(broken)?;
                let youngest = ago(now, lowest.youngest_age());
                match band.at_least {
                    true => (Some(youngest), None),
                    false => (
                        highest.ends_at_age().map(|age| ago(now, age)),
                        Some(youngest),
                    ),
                }
            }
            Wire::Forwarding(_) | Wire::Roaming(_) => return Err(broken()),
        };
        let change = match change {
            (after, Some(before)) => Change {
                changed_in: ChangedIn::new(after.unwrap_or(Timestamp::MIN), before),
                monitored_since: None,
                kind: None,
            },
            (after, None) => Change {
                changed_in: None,
                monitored_since: after,
                kind: None,
            },
        };
        let date = self.asked.date.ok_or_else(broken)?;
        let look = Look {
            at: self.observed_at().unwrap_or(now),
            now,
        };
        match changed_since(&change, wire::end_of_day(date), look) {
            Ok(changed) => Ok(json!({ "tenureDateCheck": !changed })),
            Err(reason) => {
                let meaning = reason.consequence().meaning;
                Err(problem(self.asked.operation, reason, meaning))
            }
        }
    }

    fn forwardings(&self) -> Result<&[v1::Forwarding], Problem> {
        match self.value {
            // Upstream counts every destination, a voice mail system by name: so does this door,
            // where the clause lets the whole state be told.
            Wire::Forwarding(state) => Ok(&state.active),
            Wire::YesNo(_) => Err(self.too_coarse(
                "whether calls may end with somebody else, but not under which condition",
            )),
            Wire::Band(_) | Wire::Interval(_) | Wire::Roaming(_) => Err(broken()),
        }
    }

    fn conditions(&self) -> Result<Json, Problem> {
        let active = self.forwardings()?;
        let mut words = Vec::new();
        for one in active {
            let condition = ForwardingCondition::from_wire(one.condition).ok_or_else(broken)?;
            words.push(match condition {
                ForwardingCondition::Unconditional => "unconditional",
                ForwardingCondition::Busy => "conditional_busy",
                ForwardingCondition::NotReachable => "conditional_not_reachable",
                ForwardingCondition::NoReply => "conditional_no_answer",
            });
        }
        // A condition may have several targets, and is listed once.
        words.sort_unstable_by_key(|word| CONDITIONS.iter().position(|known| known == word));
        words.dedup();
        Ok(match words.is_empty() {
            true => json!(["inactive"]),
            false => json!(words),
        })
    }

    fn roaming(&self) -> Result<Json, Problem> {
        let (roaming, mcc) = match self.value {
            Wire::YesNo(roaming) => (*roaming, 0),
            Wire::Roaming(state) => (state.roaming, state.visited_mcc),
            Wire::Band(_) | Wire::Interval(_) | Wire::Forwarding(_) => return Err(broken()),
        };
        let observed_at = self.observed_at().ok_or_else(broken)?;
        let mut body = serde_json::Map::new();
        if let Some(number) = &self.asked.echoed {
            body.insert("device".to_owned(), json!({ "phoneNumber": number }));
        }
        body.insert("lastStatusTime".to_owned(), observed_at.to_string().into());
        body.insert("roaming".to_owned(), roaming.into());
        if roaming && mcc > 0 {
            let names: Vec<_> = countries(mcc).collect();
            body.insert("countryCode".to_owned(), mcc.into());
            body.insert("countryName".to_owned(), names.into());
        }
        Ok(body.into())
    }

    fn observed_at(&self) -> Option<Timestamp> {
        self.signal
            .observed_at
            .as_ref()
            .and_then(wire::parse_timestamp)
    }
}

/// The codes that tell one `null` from another.
pub(super) const NULL_CODES: [&str; 3] = Null::CODES;

/// The words of CallForwardingSignal, in the order of its file.
pub(super) const CONDITIONS: [&str; 5] = [
    "inactive",
    "unconditional",
    "conditional_busy",
    "conditional_not_reachable",
    "conditional_no_answer",
];

fn ago(now: Timestamp, age: SignedDuration) -> Timestamp {
    now.checked_sub(age).unwrap_or(Timestamp::MIN)
}

/// Whole days, rounded down; `None` for less than one.
fn whole_days(span: SignedDuration) -> Option<u32> {
    let days = u32::try_from(span.as_hours() / 24).ok()?;
    (days > 0).then_some(days)
}

#[cfg(test)]
mod suits;
#[cfg(test)]
mod tests;
