//! Holds what banks would be told against what truly happened.

use std::{collections::BTreeMap, fmt};

use accord_adapters::merge::Said;
use accord_broker::path::derive::{Value, derive};
use accord_proto::{
    agreement::{AgreementDocument, Clause},
    observation::{Observation, Observed},
    reason::Reason,
    signal::Question,
};
use jiff::{SignedDuration, Timestamp};

use super::{history::History, sources::Watching};

/// The windows that banks ask for, in hours.
const WINDOWS: [u32; 4] = [24, 72, 168, 480];
/// A month: an observation of any age.
const AGE_MAX_MINUTES: u32 = 31 * 24 * 60;

/// What was counted over all cases.
pub(super) struct Judge {
    clause: Clause,
    cases: u64,
    yes: u64,
    no: u64,
    unknown: BTreeMap<&'static str, u64>,
    /// Noes over a change that was undone between two polls.
    unseen: u64,
    wrong_no: u64,
    wrong_yes: u64,
    /// Intervals without a change in them.
    empty_intervals: u64,
    /// The same, where a source denied a change that it could not see.
    misplaced: u64,
    /// Yeses that followed from such an interval.
    misplaced_yes: u64,
    needless_contradictions: u64,
    /// The first case that is wrong.
    first_wrong: Option<String>,
}

impl Judge {
    pub(super) fn new() -> Self {
        Self {
            clause: clause(AGE_MAX_MINUTES),
            cases: 0,
            yes: 0,
            no: 0,
            unknown: BTreeMap::new(),
            unseen: 0,
            wrong_no: 0,
            wrong_yes: 0,
            empty_intervals: 0,
            misplaced: 0,
            misplaced_yes: 0,
            needless_contradictions: 0,
            first_wrong: None,
        }
    }

    pub(super) fn judge(
        &mut self,
        case: u64,
        history: &History,
        watching: &Watching,
        said: &[Said],
        merged: &Result<Observation, Reason>,
    ) {
        self.cases += 1;
        let wrong_before = self.wrong();
        match merged {
            Err(reason) => {
                *self.unknown.entry(reason.name()).or_default() += WINDOWS.len() as u64;
                if *reason == Reason::Contradicted && !may_contradict(history, watching, said) {
                    self.needless_contradictions += 1;
                }
            }
            Ok(observation) => {
                self.interval(history, watching, observation);
                for hours in WINDOWS {
                    self.answer(history, watching, observation, hours);
                }
            }
        }
        if self.wrong() > wrong_before && self.first_wrong.is_none() {
            self.first_wrong = Some(format!(
                "case {case}: changes {:?}\nsaid {said:#?}\nmerged {merged:#?}",
                history
                    .within(Timestamp::MIN, history.now())
                    .map(super::history::instant)
                    .collect::<Vec<_>>()
            ));
        }
    }

    /// An interval must hold a change.
    fn interval(&mut self, history: &History, watching: &Watching, observation: &Observation) {
        let Observed::Change(change) = &observation.what else {
            return;
        };
        let Some(within) = change.changed_in else {
            return;
        };
        let after = if within.after() == within.before() {
            within.after() - SignedDuration::from_nanos(1)
        } else {
            within.after()
        };
        if history.within(after, within.before()).next().is_some() {
            return;
        }
        if has_unseen(history, watching) {
            self.misplaced += 1;
        } else {
            self.empty_intervals += 1;
        }
    }

    fn answer(
        &mut self,
        history: &History,
        watching: &Watching,
        observation: &Observation,
        hours: u32,
    ) {
        let now = history.now();
        let question = Question::SimSwap {
            threshold_hours: Some(hours),
        };
        let derived = derive(&question, Some(hours), &self.clause, observation, now);
        let from = now - SignedDuration::from_hours(i64::from(hours));
        match derived.map(|derived| derived.value) {
            Err(reason) => *self.unknown.entry(reason.name()).or_default() += 1,
            Ok(Value::YesNo(true)) => {
                self.yes += 1;
                if history.within(from, now).next().is_none() {
                    if has_unseen(history, watching) {
                        self.misplaced_yes += 1;
                    } else {
                        self.wrong_yes += 1;
                    }
                }
            }
            Ok(Value::YesNo(false)) => {
                self.no += 1;
                if observation.observed_at <= from {
                    // Nobody looked into the window at all.
                    self.wrong_no += 1;
                    return;
                }
                let mut missed = history.within(from, observation.observed_at).peekable();
                if missed.peek().is_none() {
                    return;
                }
                let unseen =
                    |change: i64| watching.polls.iter().any(|poll| poll.cannot_see(change));
                if missed.all(unseen) {
                    self.unseen += 1;
                } else {
                    self.wrong_no += 1;
                }
            }
            Ok(other) => panic!("{other:?} is no answer to a window"),
        }
    }

    const fn wrong(&self) -> u64 {
        self.wrong_no + self.wrong_yes + self.empty_intervals + self.needless_contradictions
    }

    pub(super) fn assert_true(&self) {
        let first = self.first_wrong.as_deref().unwrap_or_default();
        assert_eq!(self.wrong(), 0, "{self}\n{first}");
    }

    pub(super) const fn noes(&self) -> u64 {
        self.no
    }

    pub(super) const fn yeses(&self) -> u64 {
        self.yes
    }

    pub(super) const fn unseen(&self) -> u64 {
        self.unseen
    }

    pub(super) const fn wrong_noes(&self) -> u64 {
        self.wrong_no
    }

    pub(super) const fn needless_contradictions(&self) -> u64 {
        self.needless_contradictions
    }

    pub(super) fn unknown(&self) -> u64 {
        self.unknown.values().sum()
    }
}

impl fmt::Display for Judge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let asked = self.cases * WINDOWS.len() as u64;
        let share = |count: u64| {
            let tenths = count * 1_000 / asked.max(1);
            format!("{count} ({}.{} %)", tenths / 10, tenths % 10)
        };
        writeln!(
            f,
            "{} histories, {asked} questions (windows of {WINDOWS:?} hours)",
            self.cases
        )?;
        writeln!(f, "  yes      {}", share(self.yes))?;
        writeln!(f, "  no       {}", share(self.no))?;
        writeln!(f, "  unknown  {}", share(self.unknown()))?;
        for (reason, count) in &self.unknown {
            writeln!(f, "    {reason:13} {}", share(*count))?;
        }
        writeln!(
            f,
            "  no, over a change undone between two polls within gap_max: {}",
            share(self.unseen)
        )?;
        writeln!(
            f,
            "  intervals that such a change made too narrow: {} of {} histories; yes from them: {}",
            self.misplaced, self.cases, self.misplaced_yes
        )?;
        write!(
            f,
            "  wrong: {} no, {} yes, {} intervals without a change, {} needless contradictions",
            self.wrong_no, self.wrong_yes, self.empty_intervals, self.needless_contradictions
        )
    }
}

/// Honest sources contradict each other only over what one of them could not see.
fn may_contradict(history: &History, watching: &Watching, said: &[Said]) -> bool {
    let lacks = said
        .iter()
        .any(|said| said.outcome == Err(Reason::UnknownNumber) && said.trust.every_subscriber);
    lacks || has_unseen(history, watching)
}

/// Whether a source polled past a change that was undone in time.
fn has_unseen(history: &History, watching: &Watching) -> bool {
    history.changes.iter().any(|change| {
        let mut polls = watching.polls.iter();
        polls.any(|poll| poll.cannot_see(change.at))
    })
}

/// A clause about everything that is told here, with these windows.
pub(super) fn clause(age_max_minutes: u32) -> Clause {
    let signals = "\"sim_swap\", \"call_forwarding\", \"roaming\", \"signalling_anomaly\"";
    let windows = "look_back_days = 365\nthresholds_hours = [24, 72, 168, 480]\nthreshold_window_hours = 24\n";
    let text = include_str!("../../samples/one-clause.toml")
        .replace("\"roaming\"", signals)
        .replace("\"state\"", "\"yes_no\"")
        .replace(
            "age_max_minutes = 60",
            &format!("age_max_minutes = {age_max_minutes}"),
        );
    let text = format!("{text}{windows}");
    let document = AgreementDocument::parse(&text).unwrap();
    document.clauses().first().unwrap().clone()
}
