//! A billing system's export: whole or not at all, and what it says of a number a broker believes, as of
//! when it was exported and not later.

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

use accord_adapters::csv_export::CsvExport;
use accord_adapters::source::{Observations, Source as _};
use accord_proto::clock::ManualClock;
use accord_proto::msisdn::Msisdn;
use accord_proto::signal::Signal;
use jiff::Timestamp;
use libfuzzer_sys::fuzz_target;

fn at(text: &str) -> Timestamp {
    text.parse().expect("it is a time")
}

fn now() -> Timestamp {
    at("2026-11-23T09:00:00Z")
}

fn source(encoding: &str, complete: &str) -> CsvExport {
    let config = format!(
        "directory = \"none\"\nfile_name = \"subscribers-%Y%m%d.csv\"\nencoding = \"{encoding}\"\n\
         time_zone = \"Europe/London\"\nnever = [\"-\", \"01-01-1900\"]\n\
         [number]\ncountry_code = \"44\"\n[exported_at]\nfrom = \"file_name\"\ntime = \"02:30\"\n\
         [complete]\n{complete}\n[columns]\nmsisdn = \"MSISDN\"\n\
         sim_changed_at = {{ name = \"SIM\", format = \"%d-%m-%Y\", history_since = \"2015-01-01\" }}\n\
         device_changed_at = {{ name = \"DEVICE\", format = \"%d-%m-%Y %H:%M\" }}\n\
         activated_at = {{ name = \"ACTIVATED\", format = \"%d-%m-%Y\" }}\n\
         ceased_at = {{ name = \"CEASED\", format = \"%d-%m-%Y\" }}\n"
    );
    let config = toml::from_str(&config).expect("it is a configuration");
    CsvExport::open(config, ManualClock::at(now())).expect("it keeps the rules")
}

static UTF_8: LazyLock<CsvExport> = LazyLock::new(|| source("utf-8", "by = \"final_newline\""));
static LATIN: LazyLock<CsvExport> =
    LazyLock::new(|| source("iso-8859-1", "by = \"trailer\"\ntext = \"END\""));
static WIDE: LazyLock<CsvExport> = LazyLock::new(|| source("utf-16le", "by = \"final_newline\""));

fn ask(source: &CsvExport, number: Msisdn) -> Observations {
    let by = tokio::time::Instant::now() + Duration::from_secs(1);
    let mut asking = pin!(source.observe(number, source.signals(), by));
    match asking
        .as_mut()
        .poll(&mut Context::from_waker(Waker::noop()))
    {
        Poll::Ready(told) => told,
        Poll::Pending => panic!("it reads from memory"),
    }
}

fuzz_target!(|data: &[u8]| {
    let exported_at = at("2026-11-23T02:30:00Z");
    for source in [&*UTF_8, &*LATIN, &*WIDE] {
        let Ok(report) = source.hold(exported_at, data) else {
            continue;
        };
        assert_eq!(report.exported_at, exported_at);
        assert!(report.rows <= data.len() as u64 && report.rows > 0);
        let text = String::from_utf8_lossy(data);
        let numbers = text
            .split(['\n', '\r', ',', '"'])
            .filter_map(|cell| Msisdn::parse(cell.trim()).ok());
        for number in numbers.chain(Msisdn::parse("+447700900001")) {
            let told = ask(source, number);
            assert_eq!(told.signals.len(), source.signals().len());
            for (signal, said) in told.signals {
                let Ok(said) = said else { continue };
                assert!(Signal::ALL.contains(&signal) && said.observed_at <= exported_at);
                believed::believed(signal, &said, now());
            }
        }
    }
});
