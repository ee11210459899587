//! A regulator's list of disconnected numbers: whole or not at all, and each of its numbers is found
//! with a disconnect that a broker believes, within the time that the list covers.

#![no_main]

#[path = "../shared/believed.rs"]
mod believed;

use std::{
    future::Future as _,
    pin::pin,
    sync::LazyLock,
    task::{Context, Poll, Waker},
    time::Duration,
};

use accord_adapters::number_list::NumberList;
use accord_adapters::source::{Observations, Source as _};
use accord_proto::clock::ManualClock;
use accord_proto::msisdn::Msisdn;
use accord_proto::observation::{Observation, Observed};
use accord_proto::signal::Signal;
use jiff::Timestamp;
use libfuzzer_sys::fuzz_target;

const NOW: &str = "2026-11-23T09:00:00Z";
const ROWS_MAX: usize = 64;

fn now() -> Timestamp {
    NOW.parse().expect("it is a time")
}

/// A source whose lists cover a month, or everything with a date for each number.
fn source(covers: &str, columns: &str) -> NumberList {
    let config = format!(
        "directory = \"none\"\nfile_name = \"list-%Y-%m.csv\"\ntime_zone = \"UTC\"\n\
         rows_max = {ROWS_MAX}\n{covers}\ncomplete = \"final_newline\"\n\
         [number]\ncountry_code = \"44\"\n[columns]\n{columns}"
    );
    let config = toml::from_str(&config).expect("it is a configuration");
    NumberList::open(config, ManualClock::at(now())).expect("it keeps the rules")
}

static MONTH: LazyLock<NumberList> =
    LazyLock::new(|| source("covers = { by = \"month\" }", "number = \"MSISDN\""));
static DATED: LazyLock<NumberList> = LazyLock::new(|| {
    source(
        "covers = { by = \"month\" }",
        "number = \"MSISDN\"\ndisconnected_at = { name = \"DATE\", format = \"%Y-%m-%d\" }",
    )
});

fn ask(source: &NumberList, number: Msisdn) -> Observations {
    let by = tokio::time::Instant::now() + Duration::from_secs(1);
    let mut asking = pin!(source.observe(number, &[Signal::NumberRecycling], by));
    match asking
        .as_mut()
        .poll(&mut Context::from_waker(Waker::noop()))
    {
        Poll::Ready(told) => told,
        Poll::Pending => panic!("it reads from memory"),
    }
}

/// The numbers that stand in a text, written as a list should be, are all found in it.
fn canonical(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else {
        return;
    };
    let numbers: Vec<Msisdn> = text
        .split(['\n', '\r', ',', '"'])
        .filter_map(|cell| Msisdn::parse(cell.trim()).ok())
        .take(ROWS_MAX)
        .collect();
    let lines = numbers
        .iter()
        .map(|number| format!("{}\n", number.expose()));
    let list = format!("MSISDN\n{}", lines.collect::<String>());
    let rows = MONTH.hold("list-2026-10.csv", list.as_bytes());
    assert_eq!(rows.ok(), Some(numbers.len()));
    for number in numbers {
        let told = ask(&MONTH, number);
        let said = told
            .signals
            .iter()
            .filter_map(|(_, said)| said.as_ref().ok());
        let changed = |said: &Observation| matches!(&said.what, Observed::Change(change) if change.changed_in.is_some());
        assert!(said.clone().count() == 1 && said.clone().all(changed));
    }
}

fuzz_target!(|data: &[u8]| {
    let covered: [Timestamp; 2] = ["2026-10-01T00:00:00Z", "2026-11-01T00:00:00Z"]
        .map(|at| at.parse().expect("it is a time"));
    for (source, dated) in [(&*MONTH, false), (&*DATED, true)] {
        let Ok(rows) = source.hold("list-2026-10.csv", data) else {
            continue;
        };
        assert!(
            rows <= ROWS_MAX && data.ends_with(b"\n"),
            "a list that was cut off"
        );
        let text = str::from_utf8(data).expect("it was read as UTF-8");
        // Each cell that is a number, of which one column is the list's.
        let numbers = text
            .split(['\n', '\r', ',', '"'])
            .filter_map(|cell| Msisdn::parse(cell.trim()).ok());
        let mut found = 0;
        for number in numbers.chain(Msisdn::parse("+447700900999")) {
            let told = ask(source, number);
            for (signal, said) in &told.signals {
                let said = said
                    .as_ref()
                    .expect("a list that is in force says something");
                believed::believed(*signal, said, now());
                let Observed::Change(change) = &said.what else {
                    panic!("a list tells of changes");
                };
                assert_eq!(said.observed_at, covered[1]);
                // A disconnect of before is known too, and then what came after it.
                let since = change.monitored_since.expect("no list covers all time");
                assert!(since == covered[0] || dated && since < covered[0]);
                if let Some(within) = change.changed_in {
                    found += 1;
                    assert!(within.before() <= covered[1]);
                    assert!(dated || within.after() == covered[0]);
                }
            }
        }
        assert!(rows > 0 || found == 0, "found what no row has");
    }
    canonical(data);
});
