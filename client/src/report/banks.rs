//! What is counted of one bank.

use std::collections::BTreeMap;

use super::{
    Bank, Compared, Fairness, Questions,
    stats::{self, Failures, Pair},
    waits::Waits,
};

/// Within what questions are compared: operator, and where the answer came from.
pub(super) type Stratum = (String, Source);

/// Where an answer came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Source {
    /// The operator was asked.
    Asked,
    /// Nobody was.
    Nobody,
    /// From the broker's view alone.
    View,
}

/// What is counted of one bank.
#[derive(Clone, Debug, Default)]
pub(super) struct Counted {
    pub(super) answered: u64,
    pub(super) partly_answered: u64,
    pub(super) unanswered: u64,
    pub(super) refused: u64,
    pub(super) bulk: u64,
    pub(super) quota: u64,
    pub(super) rate_limited: u64,
    /// Waits of single questions.
    pub(super) waits: BTreeMap<Stratum, Waits>,
    /// Questions and those that failed, by operator and whether of a screening.
    pub(super) failures: BTreeMap<(String, bool), (u64, u64)>,
}

impl Counted {
    pub(super) fn row(&self, bank: &str) -> Bank {
        let mut waits = Waits::default();
        self.waits.values().for_each(|one| waits.merge(one));
        Bank {
            bank: bank.to_owned(),
            questions: Questions {
                answered: Some(self.answered),
                partly_answered: Some(self.partly_answered),
                unanswered: Some(self.unanswered),
                refused: Some(self.refused),
            },
            bulk: Some(self.bulk),
            quota: Some(self.quota),
            rate_limited: Some(self.rate_limited),
            failed: Some(self.failures.values().map(|(_, failed)| failed).sum()),
            p50_us: waits.percentile(50),
            p95_us: waits.percentile(95),
        }
    }
}

/// Each bank against all others together.
pub(super) fn fairness(banks: &BTreeMap<String, Counted>) -> Vec<Fairness> {
    let all = Everybody::of(banks);
    let mut raw = Vec::new();
    let mut found: Vec<_> = banks
        .iter()
        .map(|(name, counted)| (name, all.waits(name, banks), all.failures(counted)))
        .collect();
    // Of two banks each is the other's others: the same comparison counts once.
    let twice = banks.len() == 2;
    for (at, (_, waits, failures)) in found.iter().enumerate() {
        if !(twice && at == 1) {
            raw.extend(waits.map(|(one, _)| one.p));
            raw.extend(failures.map(|one| one.p));
        }
    }
    let mut corrected = stats::holm(&raw).into_iter();
    let mut first: Option<(Option<f64>, Option<f64>)> = None;
    let mut rows = Vec::new();
    for (name, waits, failures) in found.drain(..) {
        let ps = match (twice, first) {
            (true, Some(first)) => first,
            (true | false, _) => {
                let of_waits = waits.and_then(|_| corrected.next());
                (of_waits, failures.and_then(|_| corrected.next()))
            }
        };
        first = first.or(Some(ps));
        rows.push(Fairness {
            bank: name.clone(),
            waits: waits
                .zip(ps.0)
                .map(|((one, longer), p_corrected)| Compared {
                    z: one.z,
                    p: one.p,
                    p_corrected,
                    longer: Some(longer),
                }),
            failures: failures.zip(ps.1).map(|(one, p_corrected)| Compared {
                z: one.z,
                p: one.p,
                p_corrected,
                longer: None,
            }),
        });
    }
    rows
}

/// All banks' failures, by stratum.
struct Everybody {
    failures: BTreeMap<(String, bool), (u64, u64)>,
}

impl Everybody {
    fn of(banks: &BTreeMap<String, Counted>) -> Self {
        let mut failures: BTreeMap<(String, bool), (u64, u64)> = BTreeMap::new();
        for (stratum, (asked, failed)) in banks.values().flat_map(|bank| &bank.failures) {
            let sum = failures.entry(stratum.clone()).or_default();
            *sum = (sum.0 + asked, sum.1 + failed);
        }
        Self { failures }
    }

    fn waits(&self, name: &str, banks: &BTreeMap<String, Counted>) -> Option<(stats::Found, f64)> {
        let own = &banks.get(name)?.waits;
        let others: BTreeMap<&Stratum, Waits> = own
            .keys()
            .map(|stratum| {
                let mut others = Waits::default();
                banks
                    .iter()
                    .filter(|(other, _)| *other != name)
                    .filter_map(|(_, bank)| bank.waits.get(stratum))
                    .for_each(|waits| others.merge(waits));
                (stratum, others)
            })
            .collect();
        let strata: Vec<Pair<'_>> = own
            .iter()
            .filter_map(|(stratum, own)| {
                let others = others.get(stratum)?;
                Some(Pair { own, others })
            })
            .collect();
        stats::waits(&strata)
    }

    fn failures(&self, bank: &Counted) -> Option<stats::Found> {
        let strata: Vec<Failures> = bank
            .failures
            .iter()
            .filter_map(|(stratum, (own, own_failed))| {
                let (all, all_failed) = self.failures.get(stratum)?;
                Some(Failures {
                    own: *own,
                    own_failed: *own_failed,
                    others: all - own,
                    others_failed: all_failed - own_failed,
                })
            })
            .collect();
        stats::failures(&strata)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bank(waits: impl IntoIterator<Item = u32>, asked: u64, failed: u64) -> Counted {
        let mut counted = Counted::default();
        let stratum = ("north-mobile".to_owned(), Source::Asked);
        let own = counted.waits.entry(stratum).or_default();
        waits.into_iter().for_each(|wait| own.add(wait));
        let stratum = ("north-mobile".to_owned(), false);
        counted.failures.insert(stratum, (asked, failed));
        counted
    }

    fn judged(banks: &[(&str, Counted)]) -> Vec<Fairness> {
        let banks = banks
            .iter()
            .map(|(name, counted)| ((*name).to_owned(), counted.clone()));
        fairness(&banks.collect())
    }

    #[test]
    fn a_bank_that_waits_twice_as_long_is_found_and_its_others_wait_less() {
        let rows = judged(&[
            ("a", bank(1_000..1_200, 200, 10)),
            ("b", bank(1_000..1_200, 200, 10)),
            ("c", bank(2_000..2_400, 400, 20)),
        ]);
        let verdict = |at: usize| rows[at].waits.unwrap().verdict();
        assert_eq!(verdict(2), crate::report::Verdict::Worse);
        assert_eq!(verdict(0), crate::report::Verdict::Better);
        assert_eq!(rows[2].waits.unwrap().longer, Some(1.0));
        for row in &rows {
            let failures = row.failures.unwrap();
            assert_eq!(failures.verdict(), crate::report::Verdict::Alike);
        }
    }

    #[test]
    fn of_two_banks_the_one_comparison_counts_once() {
        let rows = judged(&[
            ("a", bank(1_000..1_100, 100, 30)),
            ("b", bank(1_005..1_105, 100, 10)),
        ]);
        let (a, b) = (rows[0].failures.unwrap(), rows[1].failures.unwrap());
        assert!((a.p - b.p).abs() < 1e-12 && a.z > 0.0 && b.z < 0.0);
        assert!((a.p_corrected - b.p_corrected).abs() < 1e-12);
        // Two tests in all: the smaller p counts twice.
        assert!((a.p_corrected - 2.0 * a.p).abs() < 1e-12, "{a:?}");
    }

    #[test]
    fn a_bank_alone_is_compared_with_nobody() {
        let rows = judged(&[("a", bank(1_000..2_000, 1_000, 500))]);
        assert_eq!((rows[0].waits, rows[0].failures), (None, None));
    }
}
