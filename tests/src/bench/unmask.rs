//! `accord-bench unmask`: how long it takes to turn a tag back into a number by trying a whole
//! national numbering plan, which both authorities together may do.

use std::{collections::HashSet, fmt, num::NonZeroUsize, thread};

use accord_client::unmask::{Plan, unmask};
use accord_proto::{
    msisdn::Msisdn,
    subject::{Month, TagKey},
};
use serde::Serialize;
use tokio::time::Instant;

use super::{BenchError, Machine, judge::Judge};

/// Numbers under +999, a country code that nobody has: eight digits each, as many as a national plan
/// of a large country has.
const PLAN: &str = "+9990:8";
/// Of all of them the one that is tried last.
const LAST: &str = "+999099999999";
/// What an authority is to wait at most.
const AIM_S: f64 = 120.0;

/// What was measured.
#[derive(Clone, Debug, Serialize)]
pub struct Unmasking {
    /// On what machine.
    pub machine: Machine,
    /// Numbers that were tried.
    pub numbers: u64,
    /// On so many threads.
    pub threads: usize,
    /// For so long.
    pub seconds: f64,
}

/// Tries a whole plan for one tag.
///
/// # Errors
/// [`BenchError`]: the tag was not found.
pub fn measure_unmask(machine: Machine) -> Result<Unmasking, BenchError> {
    let not_found = || BenchError::NotFound;
    let plan = Plan::parse(PLAN).map_err(|_| not_found())?;
    let month = Month::parse("2026-09").ok_or_else(not_found)?;
    let last = Msisdn::parse(LAST).map_err(|_| not_found())?;
    let key = TagKey::new(month, &[7; 32]);
    let tag = key.subject(&last);
    let began = Instant::now();
    let found = unmask(&key, std::slice::from_ref(&plan), &HashSet::from([tag]));
    let seconds = began.elapsed().as_secs_f64();
    if found.get(&tag) != Some(&last) {
        return Err(not_found());
    }
    Ok(Unmasking {
        machine,
        numbers: plan.len(),
        threads: thread::available_parallelism().map_or(1, NonZeroUsize::get),
        seconds,
    })
}

/// A line for people.
impl fmt::Display for Unmasking {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let judge = Judge(!cfg!(debug_assertions));
        writeln!(
            f,
            "{}\n{} numbers tried for one tag on {} threads: {:.1} s, aim at most {AIM_S:.0} s: {}",
            self.machine,
            self.numbers,
            self.threads,
            self.seconds,
            judge.met(self.seconds <= AIM_S)
        )
    }
}
