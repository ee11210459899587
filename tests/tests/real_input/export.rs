//! A nightly export of 100,000 subscribers, all of them screened over one stream.

use std::{fs::File, io::BufWriter, net::Ipv4Addr, time::Duration};

use accord_adapters::csv_export::fixture;
use accord_client::{Lookup, Outcome, Scope, Value, profile::LoadedProfile, verify_dir};
use accord_proto::{
    clock::{Clock as _, SystemClock},
    purpose::Purpose,
};
use accord_tests::world::{ChildBroker, RunningAdapter, WorldFiles, admin_page, broker_binary};
use tempfile::TempDir;
use tokio::time::Instant;

use super::spec;

const ROWS: u64 = 100_000;
const SEED: u64 = 2026;
/// What every bank may ask in a second here: no rate is the measure of this test.
const PER_SECOND: u32 = 100_000;
/// A machine with much to do is no reason to leave a line without its value.
const OPERATOR_MS_MAX: u32 = 10_000;
/// The broker's own default.
const IN_FLIGHT_MAX: u64 = 256;
/// A hundred thousand subjects and answers kept for repeats, and no more than that.
const GROWTH_MIB_MAX: u64 = 160;
/// Dates in the export are whole days, so that one about ten days old may be on either side.
const THRESHOLD_DAYS: i64 = 10;
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// What a row of the export leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expected {
    Swapped,
    NotSwapped,
    Either,
}

#[tokio::test]
async fn an_export_of_a_hundred_thousand_is_screened_over_one_stream() {
    let dir = TempDir::new().unwrap();
    let expected = write_export(&dir, ROWS);
    let source = fixture::config(&dir.path().join("exports"));
    // The fixture's tables become tables of `[[source]]`.
    let source = format!("kind = \"csv\"\n{}", source.replace("\n[", "\n[source."));
    let spec = spec("east-mobile", "East Mobile", "+99907", source)
        .limit("bank_per_second", PER_SECOND)
        .limit("operator_deadline_ms", OPERATOR_MS_MAX);
    let mut files = WorldFiles::write(&dir.path().join("world"), &spec).unwrap();
    let broker = ChildBroker::spawn(&broker_binary().unwrap(), &mut files)
        .await
        .unwrap();
    let config = files.adapter_config_path("east-mobile");
    let mut adapter = RunningAdapter::start(&config, SystemClock::shared())
        .await
        .unwrap();
    adapter.wait_attached().await.unwrap();
    let admin_port = files.admin_port();
    let written = metric(admin_port, "accord_ledger_entries").await.unwrap();
    let resident = resident_mib(&broker);

    let looking = tokio::spawn(async move {
        let mut most = 0;
        while let Some(now) = metric(admin_port, "accord_questions_in_flight").await {
            most = most.max(now);
            tokio::time::sleep(LOOK_EVERY).await;
        }
        most
    });
    let began = Instant::now();
    let told = screen_all(&files).await;
    let seconds = began.elapsed().as_secs_f64();
    let grown = metric(admin_port, "accord_ledger_entries").await.unwrap() - written;
    let peak = peak_mib(&broker);
    adapter.stop().await.unwrap();
    assert!(broker.terminate().await.unwrap().success());
    let in_flight = looking.await.unwrap();

    let (yes, no) = compare(&expected, &told);
    println!(
        "{ROWS} lines over one stream in {seconds:.1} s: {:.0} lines/s; {yes} yes, {no} no",
        f64::from(u32::try_from(ROWS).unwrap()) / seconds
    );
    println!(
        "broker: {resident} MiB before, {peak} MiB at most; at most {in_flight} in flight (seen)"
    );
    assert!(grown >= ROWS, "{grown} entries for {ROWS} lines");
    assert!(in_flight <= IN_FLIGHT_MAX, "{in_flight}");
    assert!(
        peak < resident + GROWTH_MIB_MAX,
        "{peak} MiB, from {resident} MiB"
    );
    let verified = verify_dir(&files.ledger_dir(), &[files.log_vkey().unwrap()]).unwrap();
    let [log] = verified.logs.as_slice() else {
        panic!("one month, so one log");
    };
    println!(
        "ledger {}: {} entries under {} checkpoints, verified offline",
        log.origin, log.entries, log.checkpoints
    );
    assert!(log.entries > ROWS);
}

/// Writes the export, and says what each row leads to.
fn write_export(dir: &TempDir, rows: u64) -> Vec<Expected> {
    let exports = dir.path().join("exports");
    std::fs::create_dir(&exports).unwrap();
    let path = exports.join(fixture::FILE_NAME);
    let now = SystemClock.now();
    let mut file = BufWriter::new(File::create(&path).unwrap());
    fixture::write_fixture(rows, SEED, now, &mut file).unwrap();
    drop(file);
    let today = now.to_zoned(jiff::tz::TimeZone::UTC).date();
    let text = std::fs::read_to_string(&path).unwrap();
    let lines = text.lines().skip(1).filter(|line| !line.starts_with("END"));
    lines
        .map(|line| {
            let mut cells = line.split(';');
            let (sim, active) = (cells.nth(1).unwrap(), cells.nth(2).unwrap());
            let age = |cell: &str| {
                let day = jiff::civil::Date::strptime("%d-%m-%Y", cell).unwrap();
                i64::from((today - day).get_days())
            };
            // A new line counts as a swap; where the SIM never changed it is the last one.
            let days = match sim {
                "01-01-1900" => age(active),
                sim => age(sim).min(age(active)),
            };
            match days {
                _ if days < THRESHOLD_DAYS - 1 => Expected::Swapped,
                _ if days > THRESHOLD_DAYS + 1 => Expected::NotSwapped,
                _ => Expected::Either,
            }
        })
        .collect()
}

/// What the bank is told of each row.
async fn screen_all(files: &WorldFiles) -> Vec<Option<Outcome>> {
    let profile = LoadedProfile::load(files.dir()).unwrap();
    let client = profile
        .client(profile.profile.party("first-bank").unwrap())
        .unwrap();
    let lines = (0..ROWS).map(|row| {
        let number = format!("+99907{row:05}");
        (
            row,
            Lookup::about(number, Purpose::DormantAccount).sim_swap_within(240),
        )
    });
    let scope = Scope::new([Purpose::DormantAccount]);
    let mut results = client.screen(scope, tokio_stream::iter(lines));
    let mut told = vec![None; usize::try_from(ROWS).unwrap()];
    let mut receipts = std::collections::BTreeSet::new();
    while let Some(result) = results.next().await {
        let result = result.unwrap();
        let answered = result.outcome.unwrap();
        assert!(
            receipts.insert(answered.receipt.index),
            "two lines with one entry"
        );
        let place = told.get_mut(usize::try_from(result.tag).unwrap()).unwrap();
        let outcome = answered.signals().first().unwrap().outcome.clone();
        assert!(
            place.replace(outcome).is_none(),
            "line {} has two answers",
            result.tag
        );
    }
    assert_eq!(receipts.len(), told.len());
    told
}

/// Holds each answer against its row, and counts yes and no.
fn compare(expected: &[Expected], told: &[Option<Outcome>]) -> (usize, usize) {
    let (mut yes, mut no) = (0, 0);
    for (row, (expected, told)) in expected.iter().zip(told).enumerate() {
        let value = match told {
            Some(Outcome::Value { value, .. }) => Some(value),
            Some(Outcome::Unanswered { .. }) if *expected == Expected::Either => None,
            other => panic!("row {row} was told {other:?}"),
        };
        match (expected, value) {
            (Expected::Swapped | Expected::Either, Some(Value::YesNo(true))) => yes += 1,
            (Expected::NotSwapped | Expected::Either, Some(Value::YesNo(false))) => no += 1,
            (Expected::Either, None) => {}
            (expected, value) => panic!("row {row}: {expected:?} was told as {value:?}"),
        }
    }
    assert!(
        yes > told.len() / 100 && no > told.len() / 2,
        "{yes} yes, {no} no"
    );
    (yes, no)
}

/// A number that the broker exposes; `None` when it is gone.
async fn metric(admin_port: u16, name: &str) -> Option<u64> {
    let admin = (Ipv4Addr::LOCALHOST, admin_port).into();
    let text = admin_page(admin, "/metrics").await.ok()?;
    let value = text
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))?;
    value.trim().parse().ok()
}

fn resident_mib(broker: &ChildBroker) -> u64 {
    of_status(broker, "VmRSS:")
}

fn peak_mib(broker: &ChildBroker) -> u64 {
    of_status(broker, "VmHWM:")
}

fn of_status(broker: &ChildBroker, name: &str) -> u64 {
    let path = format!("/proc/{}/status", broker.pid().unwrap());
    let text = std::fs::read_to_string(path).unwrap();
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix(name))
        .unwrap();
    let kib: u64 = line.trim().trim_end_matches(" kB").trim().parse().unwrap();
    kib / 1024
}
