//! What another Accord's door says beside the body of an answer: `Accord-Answer`, a serialised
//! `accord.v1.Answer` (`docs/camara.md`), with the interval and `observed_at` that CAMARA can't tell.
//!
//! It is believed as far as the body is, since both come from the same peer in the same response; it is
//! held against the body, and where the two say different things, neither is used. It makes an answer no
//! finer than the upstream's clause lets it tell.

use accord_proto::{
    band::AgeBand,
    observation::{Change, ChangedIn, Forwarding, Observed, SwapKind},
    reason::Reason,
    signal::Signal,
    v1::{self, signal_answer::Outcome, value::Value as Told},
    wire::{CLOCK_SKEW_MAX, end_of_day, parse_forwarding, parse_roaming, parse_timestamp},
};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use jiff::{SignedDuration, Timestamp, civil::Date};
use prost::Message as _;
use serde_json::Value;

use super::{
    api::{self, Heard},
    asked::Asked,
    fault::Fault,
    since::Since,
};

/// The longest header. An answer of one signal has some two hundred bytes.
const HEADER_BYTES_MAX: usize = 4 << 10;

const CONTRADICTS: Fault = Fault::unusable("`Accord-Answer` contradicts the body");
const UNREADABLE: Fault = Fault::unusable("`Accord-Answer` is no answer to what was asked");

/// One exchange, as far as it bounds what was said.
#[derive(Clone, Copy, Debug)]
pub(super) struct Exchange {
    pub(super) sent: Timestamp,
    pub(super) received: Timestamp,
}

/// The answer, held against its exchange.
struct Said {
    value: Told,
    kind: Option<SwapKind>,
    /// By the upstream's clock, when it answered.
    answered_at: Timestamp,
    observed_at: Timestamp,
    exchange: Exchange,
}

/// What the header says of a question, if the body says the same.
///
/// # Errors
/// A header that is no answer to it, of another time, or that the body contradicts.
pub(super) fn read(
    header: &[u8],
    (signal, asked): (Signal, Asked),
    body: &Value,
    exchange: Exchange,
) -> Result<Heard, Fault> {
    let said = Said::parse(header, signal, exchange)?;
    match asked {
        Asked::SwapDate(field) => said.date(body, field),
        Asked::SwapCheck(hours) => said.check(body, hours),
        Asked::Forwarding => said.forwarding(body),
        Asked::Roaming => said.roaming(body),
        Asked::Recycled(day) => {
            let changed = api::flag(body, "phoneNumberRecycled")?;
            said.yes_no(changed)?;
            Ok(said.since_day(changed, day))
        }
        Asked::Held(day) => said.held(body, day),
    }
}

impl Said {
    fn parse(header: &[u8], signal: Signal, exchange: Exchange) -> Result<Self, Fault> {
        let text = header
            .strip_prefix(b":")
            .and_then(|it| it.strip_suffix(b":"));
        let text = text.filter(|text| text.len() <= HEADER_BYTES_MAX);
        let bytes = BASE64_STANDARD.decode(text.ok_or(UNREADABLE)?);
        let answer = v1::Answer::decode(bytes.map_err(|_| UNREADABLE)?.as_slice());
        let mut answer = answer.map_err(|_| UNREADABLE)?;
        let (Some(one), true) = (answer.signals.pop(), answer.signals.is_empty()) else {
            return Err(UNREADABLE);
        };
        let Some(Outcome::Value(value)) = one.outcome else {
            // Of a signal without a value the body is an error.
            return Err(CONTRADICTS);
        };
        if Signal::from_wire(one.signal) != Some(signal) {
            return Err(UNREADABLE);
        }
        let answered_at = answer.answered_at.as_ref().and_then(parse_timestamp);
        let observed_at = one.observed_at.as_ref().and_then(parse_timestamp);
        let (Some(answered_at), Some(observed_at)) = (answered_at, observed_at) else {
            return Err(UNREADABLE);
        };
        // What somebody kept on the way is no answer of now.
        let Exchange { sent, received } = exchange;
        let early = sent.duration_since(answered_at) > CLOCK_SKEW_MAX;
        let late = answered_at.duration_since(received) > CLOCK_SKEW_MAX;
        if early || late || observed_at.duration_since(answered_at) > CLOCK_SKEW_MAX {
            return Err(Fault::unusable("`Accord-Answer` is of another time"));
        }
        Ok(Self {
            kind: SwapKind::from_wire(value.swap_kind),
            value: value.value.ok_or(UNREADABLE)?,
            answered_at,
            observed_at: observed_at.min(received),
            exchange,
        })
    }

    /// That it says yes or no, and the same as the body.
    fn yes_no(&self, body: bool) -> Result<(), Fault> {
        match &self.value {
            Told::YesNo(yes) if *yes == body => Ok(()),
            Told::YesNo(_)
            | Told::Band(_)
            | Told::Interval(_)
            | Told::Forwarding(_)
            | Told::Roaming(_) => Err(CONTRADICTS),
        }
    }

    fn date(&self, body: &Value, field: &'static str) -> Result<Heard, Fault> {
        let date = body
            .get(field)
            .ok_or(Fault::unusable("an answer lacks its date"))?;
        let date = date.as_str().map(str::parse::<Timestamp>).transpose();
        let date = date.map_err(|_| CONTRADICTS)?;
        let change = self.change()?.ok_or(CONTRADICTS)?;
        let latest = match &self.value {
            Told::Interval(_) => change.changed_in.map(|within| within.before()),
            // Its clause tells no dates.
            Told::Band(_) => None,
            Told::YesNo(_) | Told::Forwarding(_) | Told::Roaming(_) => return Err(CONTRADICTS),
        };
        if latest != date {
            return Err(CONTRADICTS);
        }
        self.whole(change)
    }

    /// The change of an interval or a band; `None`: it is neither.
    fn change(&self) -> Result<Option<Change>, Fault> {
        let change = |after: Option<Timestamp>, before: Option<Timestamp>| match before {
            None => Ok(Change {
                changed_in: None,
                monitored_since: after,
                kind: None,
            }),
            Some(before) => {
                let within = after.and_then(|after| ChangedIn::new(after, before));
                Ok(Change {
                    changed_in: Some(within.ok_or(UNREADABLE)?),
                    // It is the last one, so the upstream knows what came after it.
                    monitored_since: after,
                    kind: self.kind,
                })
            }
        };
        match &self.value {
            Told::Interval(within) => {
                let after = within.after.as_ref().map(parse_timestamp);
                let before = within.before.as_ref().map(parse_timestamp);
                if after == Some(None) || before == Some(None) {
                    return Err(UNREADABLE);
                }
                change(after.flatten(), before.flatten()).map(Some)
            }
            Told::Band(band) => {
                let of = |number| AgeBand::from_wire(number).ok_or(UNREADABLE);
                let (lowest, highest) = (of(band.lowest)?, of(band.highest)?);
                let youngest = self.ago(lowest.youngest_age());
                if band.at_least {
                    return change(Some(youngest), None).map(Some);
                }
                // Ages count from when the question came, which is not before it was sent.
                let Exchange { sent, received } = self.exchange;
                let took = received.duration_since(sent);
                let oldest = highest.ends_at_age().map(|age| self.ago(age + took));
                let oldest = oldest.unwrap_or(api::OLDEST);
                change(Some(oldest), Some(youngest.min(self.observed_at))).map(Some)
            }
            Told::YesNo(_) | Told::Forwarding(_) | Told::Roaming(_) => Ok(None),
        }
    }

    fn ago(&self, age: SignedDuration) -> Timestamp {
        self.answered_at.checked_sub(age).unwrap_or(Timestamp::MIN)
    }

    /// The whole of what there is to know of a change, as of when somebody looked.
    fn whole(&self, mut change: Change) -> Result<Heard, Fault> {
        let until = self.observed_at;
        if let Some(within) = change.changed_in
            && within.before() > until
        {
            // As much later as its clock may be ahead.
            let ahead = within.before().duration_since(until) <= CLOCK_SKEW_MAX;
            let within = ChangedIn::new(within.after(), until).filter(|_| ahead);
            change.changed_in = Some(within.ok_or(UNREADABLE)?);
        }
        if change.changed_in.is_none() && change.monitored_since.is_some_and(|since| since >= until)
        {
            return Err(Fault::told(
                Reason::Stale,
                "it has watched for no longer than it takes to know",
            ));
        }
        Ok(Heard::Whole(Observed::Change(change), until))
    }

    fn check(&self, body: &Value, hours: u32) -> Result<Heard, Fault> {
        let changed = api::flag(body, "swapped")?;
        self.yes_no(changed)?;
        let Exchange { sent, received } = self.exchange;
        let window = SignedDuration::from_hours(hours.into());
        let yes_after = sent.checked_sub(window).unwrap_or(Timestamp::MIN);
        Ok(Heard::Since(Since {
            changed,
            yes_after,
            no_after: received.checked_sub(window).unwrap_or(Timestamp::MIN),
            known_to: self.observed_at,
            received: self.seen_by(yes_after),
        }))
    }

    /// What was seen happened before somebody looked.
    fn seen_by(&self, after: Timestamp) -> Timestamp {
        if self.observed_at > after {
            self.observed_at
        } else {
            self.exchange.received
        }
    }

    /// Whether the holder changed since a day, which is one of UTC here and lasts until its end.
    fn since_day(&self, changed: bool, day: Date) -> Heard {
        let from = end_of_day(day);
        Heard::Since(Since {
            changed,
            yes_after: from,
            no_after: from,
            known_to: self.observed_at,
            received: self.seen_by(from),
        })
    }

    fn held(&self, body: &Value, day: Date) -> Result<Heard, Fault> {
        let held = api::flag(body, "tenureDateCheck")?;
        let Some(change) = self.change()? else {
            self.yes_no(held)?;
            return Ok(self.since_day(!held, day));
        };
        let from = end_of_day(day);
        let expected = match change.changed_in {
            Some(within) if within.after() >= from && within.before() > from => Some(false),
            Some(within) if within.before() <= from => Some(true),
            // It straddles the day: then the body has neither.
            Some(_) => None,
            None => change
                .monitored_since
                .is_none_or(|since| since <= from)
                .then_some(true),
        };
        // A band's edges lie apart from the upstream's own by as long as the exchange took.
        let is_band = matches!(self.value, Told::Band(_));
        if expected != Some(held) && !(is_band && expected.is_none()) {
            return Err(CONTRADICTS);
        }
        self.whole(change)
    }

    fn forwarding(&self, body: &Value) -> Result<Heard, Fault> {
        let Told::Forwarding(state) = &self.value else {
            return Err(CONTRADICTS);
        };
        let active = parse_forwarding(state).map_err(|_| UNREADABLE)?;
        let conditions = |all: &[Forwarding]| {
            let mut all: Vec<_> = all
                .iter()
                .map(|one| one.condition.to_wire() as i32)
                .collect();
            all.sort_unstable();
            all.dedup();
            all
        };
        if conditions(&active) != conditions(&api::forwardings(body)?) {
            return Err(CONTRADICTS);
        }
        Ok(Heard::Whole(Observed::Forwarding(active), self.observed_at))
    }

    fn roaming(&self, body: &Value) -> Result<Heard, Fault> {
        let Told::Roaming(state) = &self.value else {
            return Err(CONTRADICTS);
        };
        let roaming = parse_roaming(*state).map_err(|_| UNREADABLE)?;
        let code = body.get("countryCode").and_then(Value::as_u64);
        let same_country = match (code, roaming.visited_mcc) {
            (Some(code), Some(mcc)) => code == u64::from(mcc),
            (None, _) | (_, None) => true,
        };
        if api::flag(body, "roaming")? != roaming.roaming || !same_country {
            return Err(CONTRADICTS);
        }
        Ok(Heard::Whole(Observed::Roaming(roaming), self.observed_at))
    }
}

/// A serialised answer as the header has it.
#[cfg(any(test, feature = "test-util"))]
pub(super) fn header(answer: &[u8]) -> String {
    format!(":{}:", BASE64_STANDARD.encode(answer))
}

#[cfg(test)]
mod tests;
