//! Each detector: what it tells, and what it does not.

use super::*;

const START: &str = "2026-11-02T09:00:00Z";

struct Bench {
    detectors: Detectors,
    at: Timestamp,
}

impl Bench {
    fn new() -> Self {
        Self {
            detectors: Detectors::new(AnomaliesSection::default()),
            at: START.parse().unwrap(),
        }
    }

    /// A bank asks about a number; the kinds that are told.
    fn asks(&mut self, bank: &str, number: u64) -> Vec<Kind> {
        self.asks_by(bank, "app", number)
    }

    fn asks_by(&mut self, bank: &str, application: &str, number: u64) -> Vec<Kind> {
        let mut tag = [0; 16];
        tag[..8].copy_from_slice(&number.to_be_bytes());
        let found = self.detectors.see(&Sight {
            bank: &OrgName::parse(bank).unwrap(),
            application,
            digits: Some(447_700_900_000 + number),
            tag,
            tag_month: Month::of(self.at),
            at: self.at,
        });
        found.iter().map(v1::Anomaly::kind).collect()
    }

    fn later(&mut self, by: SignedDuration) {
        self.at = self.at.checked_add(by).unwrap();
    }
}

#[test]
fn a_range_asked_number_by_number_is_told_once_in_its_window() {
    let mut bench = Bench::new();
    let told: Vec<u64> = (0..100)
        .filter(|number| bench.asks("first-bank", *number) == [Kind::Enumeration])
        .collect();
    // With the eightieth neighbour, whatever their order.
    assert_eq!(told, [79]);
    bench.later(SignedDuration::from_hours(2));
    let again = (0..100).filter(|number| !bench.asks("first-bank", 99 - number).is_empty());
    assert_eq!(again.count(), 1);
}

#[test]
fn customers_spread_over_a_range_and_one_asked_often_are_no_enumeration() {
    let mut bench = Bench::new();
    // Three of four numbers of each block, in order, as a sorted screening asks them.
    for number in (0..4_000).filter(|number| number % 4 != 0) {
        assert_eq!(bench.asks("first-bank", number), []);
    }
    for _ in 0..20 {
        assert_eq!(bench.asks("first-bank", 1), []);
    }
    // Two banks with half of the block each.
    for number in 5_000..5_100 {
        let bank = ["first-bank", "second-bank"][usize::try_from(number % 2).unwrap()];
        assert_eq!(bench.asks(bank, number), []);
    }
}

/// So many questions in one window, about numbers far from each other.
fn burst(bench: &mut Bench, questions: u64) -> usize {
    let told =
        (0..questions).filter(|at| bench.asks("first-bank", at * 1_000).contains(&Kind::Spike));
    told.count()
}

#[test]
fn a_bank_that_asks_five_times_as_much_is_told_once() {
    let mut bench = Bench::new();
    for _ in 0..8 {
        assert_eq!(burst(&mut bench, 400), 0);
        bench.later(SignedDuration::from_mins(10));
    }
    assert_eq!(burst(&mut bench, 1_900), 0);
    bench.later(SignedDuration::from_hours(24));
    for _ in 0..8 {
        assert_eq!(burst(&mut bench, 400), 0);
        bench.later(SignedDuration::from_mins(10));
    }
    assert_eq!(burst(&mut bench, 4_000), 1);
}

#[test]
fn a_bank_that_begins_or_grows_slowly_or_asks_little_is_no_spike() {
    let mut begins = Bench::new();
    assert_eq!(burst(&mut begins, 5_000), 0);
    let mut grows = Bench::new();
    let mut questions = 500;
    for _ in 0..12 {
        assert_eq!(burst(&mut grows, questions), 0);
        questions += questions / 4;
        grows.later(SignedDuration::from_mins(10));
    }
    let mut little = Bench::new();
    for _ in 0..8 {
        assert_eq!(burst(&mut little, 2), 0);
        little.later(SignedDuration::from_mins(10));
    }
    assert_eq!(burst(&mut little, 900), 0);
}

#[test]
fn a_number_that_many_banks_ask_about_is_told_once_a_day() {
    let mut bench = Bench::new();
    let told: Vec<usize> = (0..10)
        .filter(|bank| bench.asks(&format!("bank-{bank}"), 7) == [Kind::ManyAskers])
        .collect();
    assert_eq!(told, [5]);
    // Two banks, however often.
    for _ in 0..12 {
        for bank in ["bank-a", "bank-b"] {
            assert_eq!(bench.asks(bank, 8), []);
        }
    }
}

#[test]
fn a_number_asked_again_and_again_is_told_once_a_day() {
    let mut bench = Bench::new();
    let told = (0..60).filter(|_| bench.asks("first-bank", 9) == [Kind::Surveillance]);
    assert_eq!(told.count(), 1);
    // As often in two days is not as often in one.
    for _ in 0..2 {
        bench.later(SignedDuration::from_hours(24));
        for _ in 0..29 {
            assert_eq!(bench.asks("first-bank", 9), []);
        }
    }
}

#[test]
fn an_application_that_asks_at_a_new_hour_is_told_once_it_is_known() {
    let mut bench = Bench::new();
    let day = SignedDuration::from_hours(24);
    for date in 0..15_u64 {
        for question in 0..80 {
            assert_eq!(bench.asks("first-bank", (date * 80 + question) * 1_000), []);
        }
        bench.later(day);
    }
    // At the usual hour.
    assert_eq!(bench.asks("first-bank", 2_000_000), []);
    bench.later(SignedDuration::from_hours(17));
    assert_eq!(bench.asks("first-bank", 2_001_000), [Kind::OffHours]);
    assert_eq!(bench.asks("first-bank", 2_002_000), []);
    // One that nobody knows yet has no usual hours.
    assert_eq!(bench.asks_by("first-bank", "new", 2_003_000), []);
}
