//! A bank asks an operator whose adapter reads two systems: a real osmo-hlr, which knows what is
//! now, and a nightly export, which knows what was.

use accord_adapters::osmo_hlr::testing::RealHlr;
use accord_client::{Client, Lookup, Outcome, SignalOutcome, Value};
use accord_proto::{
    clock::{Clock as _, SystemClock},
    msisdn::Msisdn,
    purpose::Purpose,
    reason::Reason,
};
use accord_tests::world::{NORTH_PREFIX, World, WorldFiles, wait_until};
use jiff::SignedDuration;
use tempfile::TempDir;

use super::spec;

const OLD: &str = "901700000000001";
const NEW: &str = "901700000000002";
const NUMBER: &str = "+447700900001";
/// In the export, and not in the HLR.
const GONE: &str = "+447700900002";

async fn ask(bank: &Client, number: &str) -> SignalOutcome {
    let lookup = Lookup::about(number, Purpose::Payment).sim_swap_within(72);
    let answered = bank.lookup(lookup).await.unwrap();
    let [signal] = answered.signals() else {
        panic!("one signal was asked");
    };
    println!("  {number}: {:?}", signal.outcome);
    signal.clone()
}

fn reason(signal: &SignalOutcome) -> Option<Reason> {
    match &signal.outcome {
        Outcome::Unanswered { reason, .. } => Some(*reason),
        Outcome::Value { .. } => None,
    }
}

/// Two subscribers whose SIMs were last changed years ago, exported ten minutes ago.
fn write_export(dir: &std::path::Path) {
    std::fs::create_dir(dir).unwrap();
    let at = SystemClock.now() - SignedDuration::from_mins(10);
    let name = at.strftime("subscribers-%Y%m%d%H%M%S.csv").to_string();
    let rows = format!("MSISDN,SIM\n{NUMBER},2020-03-01\n{GONE},2021-03-01\nEND,2\n");
    std::fs::write(dir.join(name), rows).unwrap();
}

#[tokio::test]
#[ignore = "needs osmo-hlr"]
async fn an_export_tells_what_was_before_an_hlr_watched_and_the_hlr_what_came_after() {
    let dir = TempDir::new().unwrap();
    let hlr_dir = dir.path().join("hlr");
    std::fs::create_dir(&hlr_dir).unwrap();
    let exports = dir.path().join("exports");
    write_export(&exports);
    let hlr = RealHlr::start(&hlr_dir).await.unwrap();
    let sources = format!(
        r#"kind = "osmo_hlr"
address = "{}"
journal_dir = "north-mobile/intervals"
journal_key_file = "north-mobile/intervals.key"
poll_ms = 250
gap_max_ms = 60000

[[source]]
kind = "csv"
name = "billing"
directory = "{}"
file_name = "subscribers-%Y%m%d%H%M%S.csv"
encoding = "utf-8"
time_zone = "UTC"
exported_at = {{ from = "file_name" }}
complete = {{ by = "trailer", text = "END" }}
number = {{ country_code = "44" }}
columns = {{ msisdn = "MSISDN", sim_changed_at = {{ name = "SIM", format = "%Y-%m-%d" }} }}
"#,
        hlr.ctrl_address(),
        exports.display()
    );
    let spec = spec("north-mobile", "North Mobile", NORTH_PREFIX, sources);
    let files = WorldFiles::write(&dir.path().join("world"), &spec).unwrap();
    let world = World::start(files, SystemClock::shared()).await.unwrap();
    let bank = world.client("first-bank").unwrap();
    let msisdn = Msisdn::parse(NUMBER).unwrap();
    let admin = hlr.admin();
    admin.create(OLD).await.unwrap();
    admin.give(OLD, &msisdn).await.unwrap();

    println!("the HLR has never been asked about it; the export knows the years before");
    assert_eq!(ask(&bank, NUMBER).await.value(), Some(&Value::YesNo(false)));

    println!("the HLR has every subscriber, and lacks one that the export has");
    assert_eq!(reason(&ask(&bank, GONE).await), Some(Reason::Contradicted));

    println!("the number moves to a new IMSI, which no export has yet");
    admin.create(NEW).await.unwrap();
    admin.swap(OLD, NEW, &msisdn).await.unwrap();
    wait_until("the bank to hear of the swap", || async {
        ask(&bank, NUMBER).await.value() == Some(&Value::YesNo(true))
    })
    .await
    .unwrap();
}
