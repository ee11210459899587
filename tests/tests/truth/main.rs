//! Truth under uncertainty: true histories of a number, imperfect sources that watch it, the
//! adapter's merging and the broker's derivation. No answer may be a wrong *no* as of its
//! `observed_at`, but for a change that was undone between two polls within `gap_max`, which nobody
//! can see and which is counted. `states` does the same for forwarding and roaming, `signalling` for
//! attacks by signalling.
//!
//! The histories and the sources are random and the seed is fixed, so each run is the same.

#![expect(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test stops at the first thing that is not as it should be"
)]

mod history;
mod judge;
mod signalling;
mod sources;
mod states;

use accord_adapters::merge::{self, Said};
use accord_proto::{
    observation::{Change, Observation, Observed},
    reason::Reason,
    signal::Signal,
};
use jiff::Timestamp;

use self::{
    history::{History, Random},
    judge::Judge,
    sources::Watching,
};

const SEED: u64 = 20_261_127;

/// How several sources are made one.
type Merge = fn(&[Said], Timestamp) -> Result<Observation, Reason>;

fn ours(said: &[Said], now: Timestamp) -> Result<Observation, Reason> {
    merge::merge(Signal::SimSwap, said, now)
}

fn run(cases: u64, merge: Merge) -> Judge {
    let mut random = Random::new(SEED);
    let mut judge = Judge::new();
    for case in 0..cases {
        let history = History::new(&mut random);
        let watching = Watching::new(&mut random, &history);
        let said = watching.said();
        let merged = merge(&said, history.now());
        judge.judge(case, &history, &watching, &said, &merged);
    }
    judge
}

#[test]
fn no_answer_is_ever_a_wrong_no() {
    let judge = run(20_000, ours);
    println!("{judge}");
    judge.assert_true();
    // The figures mean something only if everything occurs.
    assert!(judge.noes() > 1_000 && judge.yeses() > 1_000, "{judge}");
    assert!(
        judge.unseen() > 0,
        "no change was ever undone between two polls"
    );
}

#[test]
#[ignore = "takes a minute: a million cases, run by .ci/run"]
fn no_answer_in_a_million_cases_is_ever_a_wrong_no() {
    let judge = run(1_000_000, ours);
    println!("{judge}");
    judge.assert_true();
}

/// Each source's claims are spread over the gaps between them, as if somebody had watched.
fn without_gaps(said: &[Said], now: Timestamp) -> Result<Observation, Reason> {
    let merged = ours(said, now)?;
    let observed = said.iter().filter_map(|said| said.outcome.as_ref().ok());
    let newest = observed.clone().map(|one| one.observed_at).max();
    let since = observed.filter_map(|one| {
        let Observed::Change(change) = &one.what else {
            return None;
        };
        let since = change.monitored_since.unwrap_or(Timestamp::MIN);
        change.changed_in.is_none().then_some(since)
    });
    let Observed::Change(change) = &merged.what else {
        return Ok(merged);
    };
    let since = match change.changed_in {
        None => since.min().or(change.monitored_since),
        Some(_) => change.monitored_since,
    };
    Ok(Observation {
        what: Observed::Change(Change {
            monitored_since: since,
            ..*change
        }),
        observed_at: newest.unwrap_or(merged.observed_at),
        ..merged
    })
}

#[test]
fn a_merge_that_forgets_gaps_is_found_out() {
    let judge = run(20_000, without_gaps);
    println!("{judge}");
    assert!(judge.wrong_noes() > 10, "{judge}");
}

/// Every clock is taken for a true one.
fn with_true_clocks(said: &[Said], now: Timestamp) -> Result<Observation, Reason> {
    let mut said = said.to_vec();
    for said in &mut said {
        said.trust.clock_error = jiff::SignedDuration::ZERO;
    }
    ours(&said, now)
}

#[test]
fn a_merge_that_believes_every_clock_is_found_out() {
    let judge = run(20_000, with_true_clocks);
    println!("{judge}");
    assert!(judge.wrong_noes() > 0, "{judge}");
    assert!(judge.needless_contradictions() > 10, "{judge}");
}

/// The newest word, whoever says it, and never a contradiction.
fn newest_wins(said: &[Said], _: Timestamp) -> Result<Observation, Reason> {
    let observed = said.iter().filter_map(|said| said.outcome.as_ref().ok());
    let newest = observed.max_by_key(|one| one.observed_at);
    newest.cloned().ok_or(Reason::NotAvailable)
}

#[test]
fn a_source_by_itself_is_true_so_that_the_newest_word_is_too_but_for_clocks() {
    // This shows what the judge looks at: a merge that drops all but one source tells less, and is
    // wrong only where that source's clock is.
    let judge = run(20_000, newest_wins);
    let merged = run(20_000, ours);
    println!("{judge}\n{merged}");
    assert!(judge.wrong_noes() > 0, "{judge}");
    assert!(merged.unknown() < judge.unknown(), "merging tells more");
}
