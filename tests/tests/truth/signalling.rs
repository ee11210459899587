//! Attacks by signalling: true ones through one door or another, and firewalls that guard the doors
//! with outages and wrong clocks. *No* since a moment must mean that none passed any of them, and
//! *yes* that one did.

use std::{collections::BTreeMap, fmt};

use accord_adapters::merge::{self, Said, Trust};
use accord_broker::path::derive::{Value, derive};
use accord_proto::{
    agreement::Clause,
    observation::{AttackKind, ChangedIn, Observation, Observed, Signalling, SourceClass},
    reason::Reason,
    signal::{Question, Signal},
};
use jiff::{SignedDuration, Timestamp};

use super::{
    history::{DAY, HORIZON, HOUR, Random, instant},
    judge::clause,
};

const SEED: u64 = 20_261_129;
/// How long ago the moments lie that banks ask about, in seconds.
const SINCE: [i64; 4] = [600, HOUR, 6 * HOUR, DAY];

type Merge = fn(&[Said], Timestamp) -> Result<Observation, Reason>;

/// What was counted over all cases.
struct Judge {
    clause: Clause,
    yes: u64,
    no: u64,
    unknown: BTreeMap<&'static str, u64>,
    wrong_no: u64,
    wrong_yes: u64,
    first_wrong: Option<String>,
}

impl Judge {
    fn judge(&mut self, attacks: &[i64], said: &[Said], merged: &Result<Observation, Reason>) {
        for ago in SINCE {
            // Between two seconds, so that none is at the moment itself.
            let since = instant(HORIZON - ago) + SignedDuration::from_millis(500);
            let question = Question::SignallingAnomaly { since };
            let now = instant(HORIZON);
            let derived = merged
                .clone()
                .and_then(|told| Ok((derive(&question, None, &self.clause, &told, now)?, told)));
            let passed = |until: Timestamp| {
                let mut all = attacks.iter().map(|at| instant(*at));
                all.any(|at| since < at && at <= until)
            };
            let wrong = match derived {
                Err(reason) => {
                    *self.unknown.entry(reason.name()).or_default() += 1;
                    false
                }
                Ok((derived, told)) => {
                    let Value::YesNo(yes) = derived.value else {
                        panic!("{:?} is no answer to yes or no", derived.value);
                    };
                    if yes {
                        self.yes += 1;
                        let wrong = !passed(now);
                        self.wrong_yes += u64::from(wrong);
                        wrong
                    } else {
                        self.no += 1;
                        let wrong = passed(told.observed_at);
                        self.wrong_no += u64::from(wrong);
                        wrong
                    }
                }
            };
            if wrong && self.first_wrong.is_none() {
                let attacks: Vec<_> = attacks.iter().map(|at| instant(*at)).collect();
                self.first_wrong = Some(format!(
                    "since {since}: attacks {attacks:?}\nsaid {said:#?}\nmerged {merged:#?}"
                ));
            }
        }
    }

    fn assert_true(&self) {
        let first = self.first_wrong.as_deref().unwrap_or_default();
        assert_eq!(self.wrong_no + self.wrong_yes, 0, "{self}\n{first}");
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
        writeln!(f, "{all} questions about attacks by signalling")?;
        writeln!(f, "  yes      {}", share(self.yes))?;
        writeln!(f, "  no       {}", share(self.no))?;
        writeln!(f, "  unknown  {}", share(unknown))?;
        for (reason, count) in &self.unknown {
            writeln!(f, "    {reason:13} {}", share(*count))?;
        }
        write!(f, "  wrong: {} no, {} yes", self.wrong_no, self.wrong_yes)
    }
}

/// Attacks through one door, and what the firewall says that guards it.
fn door(random: &mut Random, attacks: &mut Vec<i64>) -> Said {
    let mut own: Vec<i64> = Vec::new();
    while own.len() < 3 && random.percent(35) {
        let ago = random.one_of([60, 900, 2 * HOUR, DAY, 3 * DAY]);
        own.push(HORIZON - random.between(0, ago));
    }
    own.sort_unstable();
    let error = random.one_of([0, 0, 2, 60, 600]);
    let wrong_by = random.between(-error, error + 1);
    let begun = HORIZON - random.one_of([300, 2 * HOUR, 30 * HOUR, 10 * DAY]);
    let until = (HORIZON - random.one_of([0, 0, 5, 300, 3 * HOUR])).max(begun);
    // What came while it was away is lost, and it watches anew from then on.
    let away = random.percent(25).then(|| {
        let from = random.between(begun, until + 1);
        (from, random.between(from, until + 1))
    });
    let heard = own.iter().copied().filter(|at| {
        let lost = away.is_some_and(|(from, back)| from <= *at && *at <= back);
        begun < *at && *at <= until && !lost
    });
    let last = heard.max();
    let since = away.map_or(begun, |(_, back)| back);
    attacks.extend(own);
    let clock = |at: i64| instant(at + wrong_by);
    let outcome = if random.percent(12) {
        Err(Reason::SourceDown)
    } else {
        Ok(Observation {
            what: Observed::Signalling(Signalling {
                passed_in: last.map(|at| ChangedIn::at(clock(at))),
                kind: last.map(|_| AttackKind::Tracking),
                monitored_since: clock(since),
            }),
            observed_at: clock(until),
            source: SourceClass::Events,
        })
    };
    let trust = Trust {
        clock_error: SignedDuration::from_secs(error),
        ..Trust::PLAIN
    };
    Said { trust, outcome }
}

fn run(cases: u64, merge: Merge) -> Judge {
    let mut random = Random::new(SEED);
    let mut judge = Judge {
        clause: clause(31 * 24 * 60),
        yes: 0,
        no: 0,
        unknown: BTreeMap::new(),
        wrong_no: 0,
        wrong_yes: 0,
        first_wrong: None,
    };
    for _ in 0..cases {
        let mut attacks = Vec::new();
        let mut said: Vec<Said> = (0..random.between(1, 4))
            .map(|_| door(&mut random, &mut attacks))
            .collect();
        if random.percent(20) {
            // A source that guards no door.
            said.push(Said {
                trust: Trust::PLAIN,
                outcome: Err(Reason::NotAvailable),
            });
        }
        let merged = merge(&said, instant(HORIZON));
        judge.judge(&attacks, &said, &merged);
    }
    judge
}

fn ours(said: &[Said], now: Timestamp) -> Result<Observation, Reason> {
    merge::merge(Signal::SignallingAnomaly, said, now)
}

#[test]
fn no_answer_about_attacks_is_ever_a_wrong_no() {
    let judge = run(20_000, ours);
    println!("{judge}");
    judge.assert_true();
    assert!(judge.no > 1_000 && judge.yes > 1_000, "{judge}");
    for reason in ["not_watched", "source_down", "stale", "undecided"] {
        let count = judge.unknown.get(reason).copied().unwrap_or_default();
        assert!(count > 10, "{reason} does not occur: {judge}");
    }
}

#[test]
#[ignore = "takes a minute: a million cases, run by .ci/run"]
fn no_answer_about_attacks_in_a_million_cases_is_ever_a_wrong_no() {
    let judge = run(1_000_000, ours);
    println!("{judge}");
    judge.assert_true();
}

/// A firewall that is down is not missed.
fn without_the_missing(said: &[Said], now: Timestamp) -> Result<Observation, Reason> {
    let heard: Vec<Said> = said
        .iter()
        .filter(|said| said.outcome.is_ok())
        .cloned()
        .collect();
    ours(&heard, now)
}

/// One firewall speaks for all.
fn one_for_all(said: &[Said], now: Timestamp) -> Result<Observation, Reason> {
    ours(said.get(..1).unwrap_or_default(), now)
}

/// The watch of one is the watch of all.
fn watched_by_any(said: &[Said], now: Timestamp) -> Result<Observation, Reason> {
    let mut merged = ours(said, now)?;
    let observed = said.iter().filter_map(|said| said.outcome.as_ref().ok());
    let since = observed.clone().filter_map(|one| {
        let Observed::Signalling(seen) = &one.what else {
            return None;
        };
        Some(seen.monitored_since)
    });
    if let (Observed::Signalling(seen), Some(since)) = (&mut merged.what, since.min()) {
        seen.monitored_since = since;
    }
    merged.observed_at = observed
        .map(|one| one.observed_at)
        .fold(merged.observed_at, Timestamp::max);
    Ok(merged)
}

/// Every clock is taken for a true one.
fn with_true_clocks(said: &[Said], now: Timestamp) -> Result<Observation, Reason> {
    let mut said = said.to_vec();
    for said in &mut said {
        said.trust.clock_error = SignedDuration::ZERO;
    }
    ours(&said, now)
}

#[test]
fn merges_that_are_careless_about_attacks_are_found_out() {
    for (what, merge) in [
        ("the missing are not missed", without_the_missing as Merge),
        ("one for all", one_for_all),
        ("watched by any", watched_by_any),
        ("every clock is believed", with_true_clocks),
    ] {
        let judge = run(20_000, merge);
        println!("{what}: {judge}");
        assert!(judge.wrong_no > 10, "{what}: {judge}");
    }
}
