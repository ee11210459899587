//! States: forwarding and roaming, which a source knows as of some instant. What is told must have
//! been so at an instant as near to `observed_at` as the clocks of the sources allow; an answer is
//! never older than the clause takes; and sources contradict each other only where something changed.

mod watchers;

use std::{collections::BTreeMap, fmt};

use accord_adapters::merge::{self, Said};
use accord_broker::path::derive::{Value, derive};
use accord_proto::{
    agreement::Clause,
    observation::Observation,
    reason::Reason,
    signal::{Question, Signal},
};
use jiff::{SignedDuration, Timestamp};

use self::watchers::{Life, said};
use super::{
    history::{Random, instant},
    judge::clause,
};

const SEED: u64 = 20_261_128;
/// The oldest observation that the clause takes.
const AGE_MAX_MINUTES: u32 = 24 * 60;
/// A system learns of a change within this.
const SETTLES_WITHIN: i64 = 10;

/// How several sources are made one.
type Merge = fn(Signal, &[Said], Timestamp) -> Result<Observation, Reason>;

/// What was counted over all cases.
struct Judge {
    clause: Clause,
    yes: u64,
    no: u64,
    unknown: BTreeMap<&'static str, u64>,
    wrong_no: u64,
    wrong_yes: u64,
    too_old: u64,
    needless_contradictions: u64,
    first_wrong: Option<String>,
}

impl Judge {
    fn new() -> Self {
        Self {
            clause: clause(AGE_MAX_MINUTES),
            yes: 0,
            no: 0,
            unknown: BTreeMap::new(),
            wrong_no: 0,
            wrong_yes: 0,
            too_old: 0,
            needless_contradictions: 0,
            first_wrong: None,
        }
    }

    fn judge(
        &mut self,
        (signal, life): (Signal, &Life),
        said: &[Said],
        merged: &Result<Observation, Reason>,
    ) {
        let before = self.wrong();
        let now = Life::now();
        let question = if signal == Signal::Roaming {
            Question::Roaming
        } else {
            Question::CallForwarding
        };
        let derived = merged
            .clone()
            .and_then(|told| Ok((derive(&question, None, &self.clause, &told, now)?, told)));
        match derived {
            Err(reason) => {
                *self.unknown.entry(reason.name()).or_default() += 1;
                if reason == Reason::Contradicted && !life.changed_about(said) {
                    self.needless_contradictions += 1;
                }
            }
            Ok((derived, told)) => {
                let Value::YesNo(yes) = derived.value else {
                    panic!("{:?} is no answer to yes or no", derived.value);
                };
                let age = now.duration_since(told.observed_at);
                if age > SignedDuration::from_mins(i64::from(AGE_MAX_MINUTES)) {
                    self.too_old += 1;
                }
                let truly = life.answers_about(signal, said, told.observed_at);
                match yes {
                    true => {
                        self.yes += 1;
                        // A source that can't tell the own voicemail has to count it.
                        self.wrong_yes += u64::from(!truly.may_be_yes);
                    }
                    false => {
                        self.no += 1;
                        self.wrong_no += u64::from(!truly.may_be_no);
                    }
                }
            }
        }
        if self.wrong() > before && self.first_wrong.is_none() {
            self.first_wrong = Some(format!("{life:?}\nsaid {said:#?}\nmerged {merged:#?}"));
        }
    }

    const fn wrong(&self) -> u64 {
        self.wrong_no + self.wrong_yes + self.too_old + self.needless_contradictions
    }

    fn assert_true(&self) {
        let first = self.first_wrong.as_deref().unwrap_or_default();
        assert_eq!(self.wrong(), 0, "{self}\n{first}");
    }
}

impl fmt::Display for Judge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unknown: u64 = self.unknown.values().sum();
        let all = (self.yes + self.no + unknown).max(1);
        let share = |count: u64| {
            let tenths = count * 1_000 / all;
            format!("{count} ({}.{} %)", tenths / 10, tenths % 10)
        };
        writeln!(f, "{all} questions about forwarding and roaming")?;
        writeln!(f, "  yes      {}", share(self.yes))?;
        writeln!(f, "  no       {}", share(self.no))?;
        writeln!(f, "  unknown  {}", share(unknown))?;
        for (reason, count) in &self.unknown {
            writeln!(f, "    {reason:13} {}", share(*count))?;
        }
        write!(
            f,
            "  wrong: {} no, {} yes, {} too old, {} needless contradictions",
            self.wrong_no, self.wrong_yes, self.too_old, self.needless_contradictions
        )
    }
}

fn run(cases: u64, merge: Merge) -> Judge {
    let mut random = Random::new(SEED);
    let mut judge = Judge::new();
    for case in 0..cases {
        let signal = match case % 2 {
            0 => Signal::CallForwarding,
            _ => Signal::Roaming,
        };
        let life = Life::new(&mut random);
        let said = said(&mut random, signal, &life);
        let merged = merge(signal, &said, Life::now());
        judge.judge((signal, &life), &said, &merged);
    }
    judge
}

fn ours(signal: Signal, said: &[Said], now: Timestamp) -> Result<Observation, Reason> {
    merge::merge(signal, said, now)
}

#[test]
fn no_answer_about_a_state_is_ever_a_wrong_no() {
    let judge = run(20_000, ours);
    println!("{judge}");
    judge.assert_true();
    assert!(judge.no > 1_000 && judge.yes > 1_000, "{judge}");
    for reason in ["contradicted", "stale", "undecided", "source_down"] {
        let count = judge.unknown.get(reason).copied().unwrap_or_default();
        assert!(count > 10, "{reason} does not occur: {judge}");
    }
}

#[test]
#[ignore = "takes a minute: a million cases, run by .ci/run"]
fn no_answer_about_a_state_in_a_million_cases_is_ever_a_wrong_no() {
    let judge = run(1_000_000, ours);
    println!("{judge}");
    judge.assert_true();
}

/// What was observed a while ago is told as if it were so now.
fn as_of_now(signal: Signal, said: &[Said], now: Timestamp) -> Result<Observation, Reason> {
    let merged = ours(signal, said, now)?;
    Ok(Observation {
        observed_at: now,
        ..merged
    })
}

/// The first that says anything.
fn first_wins(_: Signal, said: &[Said], now: Timestamp) -> Result<Observation, Reason> {
    let observed = said.iter().filter_map(|said| said.outcome.as_ref().ok());
    let newest = observed.clone().map(|one| one.observed_at).max();
    let first = observed.clone().next().cloned();
    let first = first.ok_or(Reason::NotAvailable)?;
    Ok(Observation {
        observed_at: newest.unwrap_or(now),
        ..first
    })
}

/// Every clock is taken for a true one.
fn with_true_clocks(signal: Signal, said: &[Said], now: Timestamp) -> Result<Observation, Reason> {
    let mut said = said.to_vec();
    for said in &mut said {
        said.trust.clock_error = SignedDuration::ZERO;
    }
    ours(signal, &said, now)
}

/// A source that sees a change under way is not heard.
fn without_doubt(signal: Signal, said: &[Said], now: Timestamp) -> Result<Observation, Reason> {
    let sure = said
        .iter()
        .filter(|said| said.outcome != Err(Reason::Undecided));
    let sure: Vec<Said> = sure.cloned().collect();
    ours(signal, &sure, now)
}

#[test]
fn merges_that_are_careless_about_states_are_found_out() {
    for (what, merge) in [
        ("as of now", as_of_now as Merge),
        ("the first wins", first_wins),
    ] {
        let judge = run(20_000, merge);
        println!("{what}: {judge}");
        assert!(judge.wrong_no > 10, "{what}: {judge}");
    }
    let judge = run(20_000, with_true_clocks);
    println!("every clock is believed: {judge}");
    assert!(judge.wrong() > 10, "{judge}");
}

#[test]
fn a_change_under_way_makes_fewer_answers_and_more_that_are_unknown() {
    let (heard, ignored) = (run(20_000, ours), run(20_000, without_doubt));
    let undecided = |judge: &Judge| judge.unknown.get("undecided").copied().unwrap_or_default();
    assert!(undecided(&heard) > 10, "{heard}");
    assert_eq!(undecided(&ignored), 0, "{ignored}");
    assert!(ignored.no > heard.no, "{ignored}\n{heard}");
}

/// Seconds since the history began, of an instant, rounded towards less.
fn second(at: Timestamp) -> i64 {
    at.duration_since(instant(0)).as_secs()
}
