//! The conformance kit: asks a source about known subscribers, again and again, and sums up what it
//! answers, how fresh, how fast, and what looks wrong.

use std::{collections::BTreeMap, time::Duration};

use accord_proto::{clock::Clock, msisdn::Msisdn, signal::Signal};
use jiff::Timestamp;
use serde::Serialize;
use tokio::time::{Instant, sleep_until};

use super::{Examined, examine_of, words};
use crate::source::{Condition, Source};

/// How a source is examined.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// How often each number is asked about.
    pub rounds: u32,
    /// The time that the source has for each question.
    pub time: Duration,
    /// The time that all questions together may take; what is not asked until then is not asked.
    pub budget: Duration,
}

/// Who is asked, and what for.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// Its name in the configuration.
    pub name: &'a str,
    /// Its kind.
    pub kind: &'static str,
    /// The source.
    pub source: &'a dyn Source,
    /// Those of its signals for which it is believed: it is asked about no others.
    pub signals: &'a [Signal],
    /// Its ceiling, which a check keeps to as well; `None`: none.
    pub asks_per_second: Option<u32>,
}

/// The most faults and oddities that are listed of one source.
const WRONG_MAX: usize = 50;

/// What was found of one source. It holds no identity: a number is its place in the list.
#[derive(Clone, Debug, Serialize)]
pub struct Found {
    /// Its name in the configuration.
    pub name: String,
    /// Its kind.
    pub kind: &'static str,
    /// How it is, by the names of [`Condition`].
    pub state: &'static str,
    /// Why, in a few words.
    pub why: String,
    /// Questions asked.
    pub questions: usize,
    /// Half of them took no longer, in microseconds.
    pub p50_us: u64,
    /// 95 % of them.
    pub p95_us: u64,
    /// The slowest.
    pub slowest_us: u64,
    /// Each signal that it knows.
    pub signals: Vec<SignalFound>,
    /// Signals that it knows, and for which it is neither asked nor believed.
    pub left_out: Vec<&'static str>,
    /// What it said of each number in the first round.
    pub examples: Vec<Example>,
    /// Rules that it broke and what else looks wrong, in words. None: it conforms.
    pub wrong: Vec<String>,
}

/// What was found of one signal.
#[derive(Clone, Debug, Serialize)]
pub struct SignalFound {
    /// Which.
    pub signal: &'static str,
    /// How often it was asked.
    pub asked: usize,
    /// How often there was an observation.
    pub answered: usize,
    /// The age of the freshest observation when it came, in seconds.
    pub freshest_s: Option<i64>,
    /// The age of the oldest.
    pub oldest_s: Option<i64>,
    /// How often there was none, by reason.
    pub reasons: BTreeMap<&'static str, usize>,
}

/// What it said of one number.
#[derive(Clone, Debug, Serialize)]
pub struct Example {
    /// The number's place in the list, from 1.
    pub number: usize,
    /// How long it took, in microseconds.
    pub took_us: u64,
    /// Of each signal, in a few words.
    pub said: Vec<String>,
    /// The subscriber is locked against swaps.
    pub locked: bool,
}

/// Examines one source. `unprepared`: why it has no first data, where it has none.
pub async fn examine_source(
    asked: Asked<'_>,
    unprepared: Option<String>,
    numbers: &[Msisdn],
    plan: Plan,
    clock: &dyn Clock,
) -> Found {
    let answers = asked.source.answers();
    let answered = |signal: &&Signal| answers.contains(*signal);
    let answered: Vec<Signal> = asked.signals.iter().filter(answered).copied().collect();
    let mut tally = Tally::new(&answered);
    tally.wrong.extend(unprepared.map(|why| (why, 1)));
    let begun = Instant::now();
    let (until, between) = (begun + plan.budget, asked.between());
    let mut next = begun;
    'rounds: for round in 0..plan.rounds {
        for (place, msisdn) in (1..).zip(numbers) {
            if next.max(Instant::now()) >= until {
                break 'rounds;
            }
            sleep_until(next).await;
            next = Instant::now() + between;
            let Asked {
                source, signals, ..
            } = asked;
            let examined = examine_of(source, signals, *msisdn, plan.time, clock).await;
            tally.add(place, &examined, round == 0, clock);
        }
    }
    // After the questions: a source that connects when it is first asked is not "starting" now.
    let state = asked.source.state();
    tally.judge(numbers.len(), state.condition, &state.why);
    let why = state.why.into_owned();
    let mut found = tally.found(asked.name, asked.kind, state.condition, why);
    let known = asked.source.signals().iter();
    let left_out = known.filter(|signal| !asked.signals.contains(signal));
    found.left_out = left_out.map(|signal| signal.name()).collect();
    found
}

impl Asked<'_> {
    /// The time from one question to the next that keeps it below its ceiling.
    fn between(&self) -> Duration {
        self.asks_per_second
            .map_or(Duration::ZERO, |most| Duration::from_secs(1) / most.max(1))
    }
}

struct Tally {
    signals: Vec<SignalFound>,
    took_us: Vec<u64>,
    examples: Vec<Example>,
    newest: BTreeMap<(usize, &'static str), Timestamp>,
    /// In the order in which they were met, and how often.
    wrong: Vec<(String, usize)>,
}

impl Tally {
    fn new(signals: &[Signal]) -> Self {
        let none = |signal: &Signal| SignalFound {
            signal: signal.name(),
            asked: 0,
            answered: 0,
            freshest_s: None,
            oldest_s: None,
            reasons: BTreeMap::new(),
        };
        Self {
            signals: signals.iter().map(none).collect(),
            took_us: Vec::new(),
            examples: Vec::new(),
            newest: BTreeMap::new(),
            wrong: Vec::new(),
        }
    }

    fn add(&mut self, place: usize, examined: &Examined, first: bool, clock: &dyn Clock) {
        let took_us = u64::try_from(examined.took.as_micros()).unwrap_or(u64::MAX);
        self.took_us.push(took_us);
        let now = clock.now();
        let mut gone_back = Vec::new();
        for found in &mut self.signals {
            found.asked += 1;
            let said = examined.signals.iter();
            let mut said = said.filter(|(of, _)| of.name() == found.signal);
            match said.next() {
                Some((_, Ok(observation))) => {
                    let at = observation.observed_at;
                    let age = now.duration_since(at).as_secs();
                    found.answered += 1;
                    found.freshest_s = Some(found.freshest_s.map_or(age, |least| least.min(age)));
                    found.oldest_s = Some(found.oldest_s.map_or(age, |most| most.max(age)));
                    let before = self.newest.insert((place, found.signal), at);
                    if before.is_some_and(|before| before > at) {
                        gone_back.push(format!(
                            "{}: vouches for less than it did a round before",
                            found.signal
                        ));
                    }
                }
                Some((_, Err(reason))) => {
                    *found.reasons.entry(reason.name()).or_default() += 1;
                }
                None => {}
            }
        }
        for fault in examined.faults.iter().chain(&gone_back) {
            self.note(format!("number {place}: {fault}"));
        }
        if first {
            let cell = |found: &SignalFound| {
                let mut said = examined.signals.iter();
                said.find(|(of, _)| of.name() == found.signal)
                    .map_or_else(|| "-".to_owned(), |(_, said)| words(said, clock))
            };
            self.examples.push(Example {
                number: place,
                took_us,
                said: self.signals.iter().map(cell).collect(),
                locked: examined.customer_lock,
            });
        }
    }

    fn note(&mut self, wrong: String) {
        if let Some((_, count)) = self.wrong.iter_mut().find(|(known, _)| *known == wrong) {
            *count += 1;
        } else if self.wrong.len() < WRONG_MAX {
            self.wrong.push((wrong, 1));
        }
    }

    /// What no single answer shows.
    fn judge(&mut self, numbers: usize, condition: Condition, why: &str) {
        let ill = match condition {
            Condition::Up | Condition::Starting => false,
            Condition::Behind | Condition::Down | Condition::Refused | Condition::Unusable => true,
        };
        if ill {
            let colon = if why.is_empty() { "" } else { ": " };
            self.note(format!("it is {condition}{colon}{why}"));
        }
        let asked = self.took_us.len();
        if numbers > 0 && asked < numbers {
            let text = format!("only {asked} of {numbers} numbers could be asked about in time");
            self.note(text);
        }
        let of_reason = |found: &SignalFound, reason| {
            found.asked > 0 && found.reasons.get(reason) == Some(&found.asked)
        };
        if !self.signals.is_empty() && self.signals.iter().all(|s| of_reason(s, "unknown_number")) {
            let text = "it knows none of these numbers: are they its subscribers, and written as it \
                writes them?";
            self.note(text.to_owned());
        }
        let mut never = Vec::new();
        for found in &self.signals {
            if let Some(times) = found.reasons.get("contradicted") {
                let (name, asked) = (found.signal, found.asked);
                never.push(format!(
                    "{name}: contradicted in {times} of {asked} answers"
                ));
            }
            let by_fault = ["source_down", "timeout", "overloaded"];
            let failed: usize = by_fault
                .iter()
                .filter_map(|name| found.reasons.get(name))
                .sum();
            if failed > 0 {
                let name = found.signal;
                let asked = found.asked;
                never.push(format!(
                    "{name}: no answer to {failed} of {asked} questions"
                ));
            }
        }
        for text in never {
            self.note(text);
        }
    }

    fn found(mut self, name: &str, kind: &'static str, condition: Condition, why: String) -> Found {
        self.took_us.sort_unstable();
        let percentile = |percent: usize| {
            // The nearest rank.
            let rank = (self.took_us.len() * percent).div_ceil(100);
            let at = self.took_us.get(rank.saturating_sub(1));
            at.copied().unwrap_or_default()
        };
        let times = |(text, count): (String, usize)| match count {
            1 => text,
            _ => format!("{text} ({count} times)"),
        };
        Found {
            name: name.to_owned(),
            kind,
            state: condition.name(),
            why,
            questions: self.took_us.len(),
            p50_us: percentile(50),
            p95_us: percentile(95),
            slowest_us: percentile(100),
            signals: self.signals,
            left_out: Vec::new(),
            examples: self.examples,
            wrong: self.wrong.into_iter().map(times).collect(),
        }
    }
}

#[cfg(test)]
mod tests;
