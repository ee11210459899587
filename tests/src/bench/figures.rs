//! Figures of a round, and their medians over the rounds.

use serde::Serialize;

/// One round of one server.
#[derive(Clone, Debug, Default)]
pub(super) struct Round {
    /// Latencies in microseconds, sorted.
    latencies_us: Vec<u32>,
    /// How many of these requests were answered within the time.
    within: usize,
    seconds: f64,
    /// Processor time of server, adapter and load generator, in microseconds.
    pub(super) cpu_us: [u64; 3],
}

impl Round {
    /// A round in which every request was answered within the time.
    pub(super) fn new(latencies_us: Vec<u32>, seconds: f64) -> Self {
        let within = latencies_us.len();
        Self::cut_off(latencies_us, within, seconds)
    }

    /// A round that ended with requests on their way: their latencies count, or a stall at the end
    /// would not be seen, and their number does not.
    pub(super) fn cut_off(mut latencies_us: Vec<u32>, within: usize, seconds: f64) -> Self {
        latencies_us.sort_unstable();
        Self {
            latencies_us,
            within,
            seconds,
            cpu_us: [0; 3],
        }
    }

    pub(super) fn per_second(&self) -> f64 {
        if self.seconds > 0.0 {
            self.requests() / self.seconds
        } else {
            0.0
        }
    }

    fn requests(&self) -> f64 {
        u32::try_from(self.within).map_or(f64::MAX, f64::from)
    }

    /// The latency that this share of the requests did not exceed, by the nearest rank.
    fn percentile_us(&self, per_mille: usize) -> f64 {
        let rank = (self.latencies_us.len() * per_mille).div_ceil(1_000);
        let at = rank.saturating_sub(1);
        self.latencies_us.get(at).copied().map_or(0.0, f64::from)
    }

    fn cpu_us_per_request(&self) -> [f64; 3] {
        let requests = self.requests().max(1.0);
        self.cpu_us
            .map(|us| u32::try_from(us).map_or(f64::MAX, f64::from) / requests)
    }
}

/// Medians over the rounds of one server under one load.
#[derive(Clone, Debug, Serialize)]
pub struct Figures {
    /// Requests a second.
    pub per_second: f64,
    /// Requests a second in the worst and the best round.
    pub per_second_range: [f64; 2],
    /// Half of the requests took no longer, in microseconds.
    pub p50_us: f64,
    /// 99 % took no longer.
    pub p99_us: f64,
    /// 99.9 % took no longer.
    pub p999_us: f64,
    /// Requests a second, over those of the ceiling in the same round.
    pub ratio: f64,
    /// Processor time for each request of server, adapter and load generator, in microseconds.
    pub cpu_us: [f64; 3],
}

impl Figures {
    /// Of some rounds and, in the same order, the ceiling's rounds beside them.
    pub(super) fn of(rounds: &[Round], ceiling: &[Round]) -> Self {
        let each = |figure: &dyn Fn(&Round) -> f64| median(rounds.iter().map(figure).collect());
        let ratios = rounds.iter().zip(ceiling);
        let ratios = ratios.map(|(round, top)| ratio(round.per_second(), top.per_second()));
        let cpu = |at: usize| {
            each(&|round| {
                round
                    .cpu_us_per_request()
                    .get(at)
                    .copied()
                    .unwrap_or_default()
            })
        };
        Self {
            per_second: each(&Round::per_second),
            per_second_range: range(rounds.iter().map(Round::per_second)),
            p50_us: each(&|round| round.percentile_us(500)),
            p99_us: each(&|round| round.percentile_us(990)),
            p999_us: each(&|round| round.percentile_us(999)),
            ratio: median(ratios.collect()),
            cpu_us: [cpu(0), cpu(1), cpu(2)],
        }
    }
}

/// One over the other; 0 where the other is.
pub(super) fn ratio(one: f64, other: f64) -> f64 {
    if other > 0.0 { one / other } else { 0.0 }
}

/// The least and the greatest.
pub(super) fn range(values: impl Iterator<Item = f64> + Clone) -> [f64; 2] {
    [
        values.clone().fold(f64::INFINITY, f64::min),
        values.fold(0.0, f64::max),
    ]
}

/// The value in the middle; the mean of the two in the middle of an even number.
pub(super) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    let upper = values.get(values.len() / 2).copied().unwrap_or_default();
    let lower = values
        .get(values.len().saturating_sub(1) / 2)
        .copied()
        .unwrap_or_default();
    f64::midpoint(lower, upper)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(one: f64, other: f64) -> bool {
        (one - other).abs() < 1e-9
    }

    #[test]
    fn percentiles_are_those_of_the_nearest_rank() {
        let round = Round::new((1..=1_000).rev().collect(), 2.0);
        assert!(near(round.per_second(), 500.0));
        assert!(near(round.percentile_us(500), 500.0));
        assert!(near(round.percentile_us(990), 990.0));
        assert!(near(round.percentile_us(999), 999.0));
        assert!(near(Round::new(vec![7], 1.0).percentile_us(500), 7.0));
        assert!(near(Round::default().percentile_us(999), 0.0));
    }

    #[test]
    fn what_is_answered_after_the_end_counts_as_late_and_not_as_done() {
        let round = Round::cut_off(vec![1, 1, 9_000], 2, 1.0);
        assert!(near(round.per_second(), 2.0));
        assert!(near(round.percentile_us(999), 9_000.0));
    }

    #[test]
    fn a_median_is_no_mean() {
        assert!(near(median(vec![9.0, 1.0, 2.0]), 2.0));
        assert!(near(median(vec![4.0, 1.0, 2.0, 100.0]), 3.0));
        assert!(near(median(Vec::new()), 0.0));
    }

    #[test]
    fn the_ratio_is_taken_round_by_round() {
        let rounds = |counts: [u32; 3]| counts.map(|count| Round::new((0..count).collect(), 1.0));
        // The machine slowed down in the last two rounds, for both.
        let figures = Figures::of(&rounds([50, 30, 15]), &rounds([100, 50, 20]));
        assert!(near(figures.ratio, 0.6), "{figures:?}");
        assert!(near(figures.per_second, 30.0));
        assert_eq!(figures.per_second_range, [15.0, 50.0]);
    }
}
