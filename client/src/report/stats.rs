//! Whether one bank is served unlike the others: two tests, both within strata, and a correction
//! for asking many times.
//!
//! * **Waits**: van Elteren's test (1960), the stratified form of Wilcoxon's rank sum, with ties
//!   corrected. It compares a bank's questions with all others' only within the same operator and
//!   the same source, so that a bank whose customers are with a slow operator is not taken for one
//!   that is treated worse. Ranks, because waits are far from normal. Beside it stands the
//!   probability that a question of this bank waits longer than one of the others (Vargha and
//!   Delaney's A, 2000), since among very many questions a difference that nobody would feel is
//!   significant.
//! * **Failures**: the test of Cochran, Mantel and Haenszel, without continuity correction.
//! * **Many comparisons**: Holm's step-down correction (1979) over all tests of one report.
//! * **Small samples**: below [`SAMPLE_MIN`] waits on either side, and where the criterion of Mantel
//!   and Fleiss (1980) is not met, no test is made: too few to tell is not *alike*.

use std::collections::BTreeMap;

use super::waits::Waits;

/// Below so many comparable waits on either side no test is made.
pub const SAMPLE_MIN: u64 = 30;
/// What Mantel and Fleiss ask of the expected counts.
const MANTEL_FLEISS_MIN: f64 = 5.0;
/// A corrected p value below this is called significant.
pub const LEVEL: f64 = 0.05;
/// How far A lies from 0.5 where a difference is more than negligible (Vargha and Delaney).
pub const FELT: f64 = 0.06;

/// What a test found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Found {
    /// Standard normal deviate; positive: the bank waits longer, or fails more often.
    pub z: f64,
    /// Two-sided p value, before any correction.
    pub p: f64,
}

impl Found {
    fn of(difference: f64, variance: f64) -> Option<Self> {
        if variance <= 0.0 {
            return None;
        }
        let z = difference / variance.sqrt();
        let p = erfc(z.abs() / std::f64::consts::SQRT_2).clamp(0.0, 1.0);
        Some(Self { z, p })
    }
}

/// A bank's waits and all others', in one stratum.
#[derive(Clone, Copy, Debug)]
pub struct Pair<'a> {
    /// The bank's.
    pub own: &'a Waits,
    /// The others'.
    pub others: &'a Waits,
}

/// Van Elteren's test over strata, and the probability that the bank waits longer. `None`: too few.
#[must_use]
pub fn waits(strata: &[Pair<'_>]) -> Option<(Found, f64)> {
    let shared = || {
        strata
            .iter()
            .filter(|pair| !pair.own.is_empty() && !pair.others.is_empty())
    };
    let own: u64 = shared().map(|pair| pair.own.len()).sum();
    let others: u64 = shared().map(|pair| pair.others.len()).sum();
    if own < SAMPLE_MIN || others < SAMPLE_MIN {
        return None;
    }
    let (mut difference, mut variance) = (0.0, 0.0);
    let (mut longer, mut pairs) = (0.0, 0.0);
    for pair in shared() {
        let (n, m) = (pair.own.len() as f64, pair.others.len() as f64);
        let (rank_sum, ties) = ranks(pair);
        let all = n + m;
        let weight = 1.0 / (all + 1.0);
        difference += weight * (rank_sum - n * (all + 1.0) / 2.0);
        // Of one value alone nothing can be ranked.
        let corrected = all + 1.0 - ties / (all * (all - 1.0)).max(1.0);
        variance += weight * weight * n * m / 12.0 * corrected;
        longer += rank_sum - n * (n + 1.0) / 2.0;
        pairs += n * m;
    }
    Some((Found::of(difference, variance)?, longer / pairs))
}

/// The bank's sum of mid-ranks, and the sum of `t³ − t` over ties.
fn ranks(pair: &Pair<'_>) -> (f64, f64) {
    let mut both: BTreeMap<u32, (u64, u64)> = BTreeMap::new();
    for (bucket, count) in pair.own.counts() {
        both.entry(*bucket).or_default().0 += count;
    }
    for (bucket, count) in pair.others.counts() {
        both.entry(*bucket).or_default().1 += count;
    }
    let (mut before, mut sum, mut ties) = (0.0, 0.0, 0.0);
    for (own, others) in both.values() {
        let tied = (own + others) as f64;
        sum += *own as f64 * (before + (tied + 1.0) / 2.0);
        ties += tied * tied * tied - tied;
        before += tied;
    }
    (sum, ties)
}

/// How many of how many failed, for a bank and for all others, in one stratum.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Failures {
    /// The bank's questions.
    pub own: u64,
    /// Those that failed.
    pub own_failed: u64,
    /// The others' questions.
    pub others: u64,
    /// Those that failed.
    pub others_failed: u64,
}

/// The test of Cochran, Mantel and Haenszel over strata. `None`: too few.
#[must_use]
pub fn failures(strata: &[Failures]) -> Option<Found> {
    let (mut difference, mut variance) = (0.0, 0.0);
    let (mut expected_sum, mut least, mut most) = (0.0, 0.0, 0.0);
    for one in strata {
        let (n, m) = (one.own as f64, one.others as f64);
        let all = n + m;
        if n < 1.0 || m < 1.0 {
            continue;
        }
        let failed = (one.own_failed + one.others_failed) as f64;
        let expected = n * failed / all;
        difference += one.own_failed as f64 - expected;
        variance += n * m * failed * (all - failed) / (all * all * (all - 1.0));
        expected_sum += expected;
        least += (failed - m).max(0.0);
        most += failed.min(n);
    }
    if expected_sum - least < MANTEL_FLEISS_MIN || most - expected_sum < MANTEL_FLEISS_MIN {
        return None;
    }
    Found::of(difference, variance)
}

/// Holm's correction: the p values of one report, each as it counts among all of them.
#[must_use]
pub fn holm(raw: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..raw.len()).collect();
    let value = |at: usize| raw.get(at).copied().unwrap_or(1.0);
    order.sort_by(|a, b| value(*a).total_cmp(&value(*b)));
    let mut corrected = vec![1.0; raw.len()];
    let mut highest: f64 = 0.0;
    for (rank, at) in order.iter().enumerate() {
        let factor = (raw.len() - rank) as f64;
        highest = highest.max((value(*at) * factor).min(1.0));
        if let Some(slot) = corrected.get_mut(*at) {
            *slot = highest;
        }
    }
    corrected
}

/// The complementary error function for `x ≥ 0`: its series near 0, its continued fraction beyond.
fn erfc(x: f64) -> f64 {
    const NEAR: f64 = 2.5;
    const STEPS: u32 = 200;
    if x < NEAR {
        let (mut term, mut sum) = (x, x);
        for n in 1..STEPS {
            term *= -x * x / f64::from(n);
            sum += term / f64::from(2 * n + 1);
        }
        return 1.0 - 2.0 / std::f64::consts::PI.sqrt() * sum;
    }
    let mut fraction = x;
    for n in (1..STEPS).rev() {
        fraction = x + f64::from(n) / 2.0 / fraction;
    }
    (-x * x).exp() / (fraction * std::f64::consts::PI.sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(found: f64, expected: f64, within: f64) {
        assert!((found - expected).abs() <= within, "{found} {expected}");
    }

    fn of(values: &[u32]) -> Waits {
        let mut waits = Waits::default();
        values.iter().for_each(|value| waits.add(*value));
        waits
    }

    #[test]
    fn erfc_has_its_tabulated_values() {
        // Abramowitz and Stegun, table 7.1, and the asymptotic values beyond.
        for (x, expected) in [
            (0.0, 1.0),
            (0.5, 0.479_500_122_2),
            (1.0, 0.157_299_207_0),
            (2.0, 0.004_677_735_0),
            (3.0, 0.000_022_090_5),
        ] {
            close(erfc(x), expected, 1e-9);
        }
        close(erfc(5.0) / 1.537_459_794e-12, 1.0, 1e-6);
    }

    #[test]
    fn one_stratum_is_wilcoxons_rank_sum() {
        // 30 values each; the bank has the odd ones of 1..=60, so every pair is nearly even.
        let odd: Vec<u32> = (0..30).map(|n| 2 * n + 1).collect();
        let even: Vec<u32> = (0..30).map(|n| 2 * n + 2).collect();
        let (own, others) = (of(&odd), of(&even));
        let pair = Pair {
            own: &own,
            others: &others,
        };
        let (found, longer) = waits(&[pair]).unwrap();
        // By hand: W = 900, E = 915, Var = 30·30·61/12 = 4575, z = −15/√4575.
        close(found.z, -15.0 / 4_575_f64.sqrt(), 1e-12);
        close(found.p, 0.824_5, 1e-3);
        // U = 900 − 465 = 435 of 900 pairs.
        close(longer, 435.0 / 900.0, 1e-12);
    }

    #[test]
    fn ties_are_halves_and_lower_the_variance() {
        let own = of(&[5; 30]);
        let others = of(&[5; 40]);
        let pair = Pair {
            own: &own,
            others: &others,
        };
        // All the same: nothing can be ranked, so nothing is claimed.
        assert!(waits(&[pair]).is_none());
        let mixed = of(&[[5; 20].as_slice(), &[6; 20]].concat());
        let pair = Pair {
            own: &own,
            others: &mixed,
        };
        let (found, longer) = waits(&[pair]).unwrap();
        // Ranks: fifty 5s share 25.5, twenty 6s share 60.5. W = 30·25.5 = 765, E = 30·71/2 = 1065.
        // Ties: 50³−50 + 20³−20 = 132930; Var = 30·40/12·(71 − 132930/(70·69)).
        let variance = 100.0 * (71.0 - 132_930.0 / 4_830.0);
        close(found.z, -300.0 / f64::sqrt(variance), 1e-12);
        close(longer, 0.25, 1e-12);
    }

    #[test]
    fn a_bank_with_a_slow_operator_is_not_taken_for_one_that_is_treated_worse() {
        // Both banks wait alike with each operator; one asks mostly the slow one.
        let fast: Vec<u32> = (100..200).collect();
        let slow: Vec<u32> = (10_000..10_100).collect();
        let half = |all: &[u32]| of(&all.iter().copied().step_by(2).collect::<Vec<_>>());
        let (own_fast, own_slow) = (half(&fast), of(&slow));
        let (others_fast, others_slow) = (of(&fast), half(&slow));
        let strata = [(&own_fast, &others_fast), (&own_slow, &others_slow)]
            .map(|(own, others)| Pair { own, others });
        let (mut own, mut others) = (own_fast.clone(), others_fast.clone());
        own.merge(&own_slow);
        others.merge(&others_slow);
        let pooled = Pair {
            own: &own,
            others: &others,
        };
        assert!(waits(&[pooled]).unwrap().0.p < 0.001, "pooled, it would be");
        assert!(waits(&strata).unwrap().0.p > 0.5);
    }

    #[test]
    fn too_few_are_not_called_alike() {
        let (own, others) = (of(&[1; 29]), of(&[2; 1_000]));
        let pair = Pair {
            own: &own,
            others: &others,
        };
        assert!(waits(&[pair]).is_none());
        // 29 here and 29 where nobody else asks are not 58 that can be compared.
        let nobody = Waits::default();
        let alone = Pair {
            own: &own,
            others: &nobody,
        };
        assert!(waits(&[pair, alone]).is_none());
        let rare = Failures {
            own: 1_000,
            own_failed: 2,
            others: 1_000,
            others_failed: 1,
        };
        assert!(failures(&[rare]).is_none());
        assert!(failures(&[]).is_none());
    }

    #[test]
    fn failures_are_compared_within_strata() {
        // By hand: E = 100·30/200 = 15, Var = 100·100·30·170/(200²·199), z = 5/√6.407.
        let one = Failures {
            own: 100,
            own_failed: 20,
            others: 100,
            others_failed: 10,
        };
        let found = failures(&[one]).unwrap();
        close(found.z, 1.975_3, 1e-3);
        close(found.p, 0.048_2, 1e-3);
        // The same share of failures in each stratum, unevenly asked: nothing is found.
        let good = Failures {
            own: 100,
            own_failed: 10,
            others: 1_000,
            others_failed: 100,
        };
        let bad = Failures {
            own: 1_000,
            own_failed: 500,
            others: 100,
            others_failed: 50,
        };
        close(failures(&[good, bad]).unwrap().p, 1.0, 1e-9);
    }

    #[test]
    fn holm_corrects_step_by_step() {
        let corrected = holm(&[0.01, 0.04, 0.03, 0.005]);
        for (found, expected) in corrected.iter().zip([0.03, 0.06, 0.06, 0.02]) {
            close(*found, expected, 1e-12);
        }
        assert!(holm(&[]).is_empty());
        assert_eq!(holm(&[0.9, 0.8]), [1.0, 1.0]);
    }
}
