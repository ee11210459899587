//! Turning tags back into numbers, and numbers into entries, in a closed month: offline, with the key
//! that both authorities' halves make (rule R35).
//!
//! A tag can't be reversed; it is found by trying every number of a numbering plan. That is why a
//! month's key is dangerous, and why it takes two to have it.

mod find;
mod plan;

pub(crate) use find::about;
pub use find::{FindError, find};
pub use plan::{Plan, PlanError};

use std::{
    collections::{HashMap, HashSet},
    num::NonZeroUsize,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    thread,
};

use accord_proto::{
    msisdn::Msisdn,
    subject::{SubjectTag, TagKey},
};

/// The most tags of one search.
pub const TAGS_MAX: usize = 10_000;
/// Numbers that a thread takes at a time.
const PIECE: u64 = 1 << 16;

/// The numbers of some plans that have these tags under a month's key. All cores work on it. A tag
/// that no number has is not in the answer.
#[must_use]
pub fn unmask(
    key: &TagKey,
    plans: &[Plan],
    tags: &HashSet<SubjectTag>,
) -> HashMap<SubjectTag, Msisdn> {
    let mut found = HashMap::new();
    for plan in plans {
        if found.len() == tags.len() {
            break;
        }
        search(key, plan, tags, &mut found);
    }
    found
}

fn search(
    key: &TagKey,
    plan: &Plan,
    tags: &HashSet<SubjectTag>,
    found: &mut HashMap<SubjectTag, Msisdn>,
) {
    let threads = thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let (next, missing) = (AtomicU64::new(0), AtomicU64::new(0));
    let left = tags.len().saturating_sub(found.len());
    missing.store(u64::try_from(left).unwrap_or(u64::MAX), Ordering::Relaxed);
    let done = AtomicBool::new(false);
    let work = || {
        let mut own = Vec::new();
        while !done.load(Ordering::Relaxed) {
            let first = next.fetch_add(PIECE, Ordering::Relaxed);
            if first >= plan.len() {
                break;
            }
            let last = plan.len().min(first.saturating_add(PIECE));
            plan.each(first, last, |number| {
                let tag = key.tag_of_e164(number.as_bytes());
                if tags.contains(&tag)
                    && let Ok(msisdn) = Msisdn::parse(number)
                {
                    own.push((tag, msisdn));
                    // All are found: nobody need look on.
                    if missing.fetch_sub(1, Ordering::Relaxed) <= 1 {
                        done.store(true, Ordering::Relaxed);
                    }
                }
            });
        }
        own
    };
    thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        for worker in workers {
            found.extend(worker.join().unwrap_or_default());
        }
    });
}

#[cfg(test)]
mod tests {
    use accord_proto::subject::Month;

    use super::*;

    fn key() -> TagKey {
        TagKey::new(Month::parse("2026-09").unwrap(), &[7; 32])
    }

    fn number(text: &str) -> Msisdn {
        Msisdn::parse(text).unwrap()
    }

    #[test]
    fn the_numbers_of_tags_are_found_in_a_plan_and_others_are_not() {
        let key = key();
        let (one, other) = (number("+447700900000"), number("+447700900999"));
        let stranger = number("+33639980001");
        let tags: HashSet<_> = [one, other, stranger]
            .iter()
            .map(|it| key.subject(it))
            .collect();
        let plans = [Plan::parse("+447700900:3").unwrap()];
        let found = unmask(&key, &plans, &tags);
        assert_eq!(found.len(), 2);
        assert!(found[&key.subject(&one)] == one && found[&key.subject(&other)] == other);
        let plans = [plans[0].clone(), Plan::parse("+33639980:3").unwrap()];
        assert_eq!(unmask(&key, &plans, &tags).len(), 3);
    }

    #[test]
    fn more_numbers_than_one_piece_are_all_tried() {
        let key = key();
        let last = number("+999000199999");
        let tags = HashSet::from([key.subject(&last)]);
        let plan = Plan::parse("+999000:6").unwrap();
        assert!(plan.len() > 2 * PIECE);
        assert!(unmask(&key, &[plan], &tags)[&key.subject(&last)] == last);
    }

    /// With the key of another month nothing is found.
    #[test]
    fn the_wrong_key_finds_nothing() {
        let other = TagKey::new(Month::parse("2026-09").unwrap(), &[8; 32]);
        let tags = HashSet::from([key().subject(&number("+447700900001"))]);
        let plan = Plan::parse("+447700900:3").unwrap();
        assert!(unmask(&other, &[plan], &tags).is_empty());
    }

    /// How fast it is here: a tenth of a national plan of 10^8 numbers, of which the last one is
    /// sought. `cargo test -p accord-client --release --lib unmask -- --ignored --nocapture`.
    #[test]
    #[ignore = "long: it measures"]
    fn a_tenth_of_a_national_plan_is_tried() {
        let key = key();
        let last = number("+999999999999");
        let tags = HashSet::from([key.subject(&last)]);
        let plan = Plan::parse("+99999:7").unwrap();
        let began = tokio::time::Instant::now();
        let found = unmask(&key, std::slice::from_ref(&plan), &tags);
        let seconds = began.elapsed().as_secs_f64();
        assert!(found[&key.subject(&last)] == last);
        let threads = thread::available_parallelism().map_or(1, NonZeroUsize::get);
        println!(
            "{} numbers in {seconds:.1} s on {threads} threads: 10^8 in {:.0} s",
            plan.len(),
            seconds * 10.0
        );
    }
}
