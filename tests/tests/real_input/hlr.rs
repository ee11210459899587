//! A bank asks a real osmo-hlr (Debian package `osmo-hlr`). Run with `--ignored --nocapture` to
//! see what it is told.

use accord_adapters::osmo_hlr::testing::{Admin, RealHlr};
use accord_client::{
    Client, Lookup, Outcome, SignalOutcome, Value,
    words::{Place, outcome_words, question_words},
};
use accord_proto::{
    clock::{Clock as _, SystemClock},
    msisdn::Msisdn,
    observation::Roaming,
    purpose::Purpose,
    reason::Reason,
    v1,
};
use accord_tests::world::{NORTH_PREFIX, World, WorldFiles, wait_until};
use jiff::{SignedDuration, Timestamp};
use prost::Message as _;
use tempfile::TempDir;

use super::spec;

const OLD: &str = "901700000000001";
const NEW: &str = "901700000000002";
/// The number that moves to another IMSI.
const MOVED: &str = "+447700900001";
const NEVER_MADE: &str = "+447700900002";
const POLL_MS: u64 = 250;
/// A change lies between two polls; the rest is for a machine with much to do.
const INTERVAL_MAX: SignedDuration = SignedDuration::from_secs(3);
/// The first sample is taken while the first question is asked.
const FIRST_SAMPLE: SignedDuration = SignedDuration::from_secs(1);

struct Bank {
    world: World,
    client: Client,
    hlr: RealHlr,
    admin: Admin,
    _dir: TempDir,
}

impl Bank {
    async fn start() -> Self {
        let dir = TempDir::new().unwrap();
        let hlr_dir = dir.path().join("hlr");
        std::fs::create_dir(&hlr_dir).unwrap();
        let hlr = RealHlr::start(&hlr_dir).await.unwrap();
        let source = format!(
            r#"kind = "osmo_hlr"
address = "{}"
journal_dir = "north-mobile/intervals"
journal_key_file = "north-mobile/intervals.key"
poll_ms = {POLL_MS}
gap_max_ms = 60000
request_timeout_ms = 500
serving = [
    {{ name = "vlr-901-70", home = true }},
    {{ name = "vlr-208-01", home = false, mcc = 208 }},
]
"#,
            hlr.ctrl_address()
        );
        let spec = spec("north-mobile", "North Mobile", NORTH_PREFIX, source);
        let files = WorldFiles::write(&dir.path().join("world"), &spec).unwrap();
        let world = World::start(files, SystemClock::shared()).await.unwrap();
        let client = world.client("first-bank").unwrap();
        println!(
            "first-bank asks north-mobile, whose adapter polls a real osmo-hlr at {} every {POLL_MS} ms\n",
            hlr.ctrl_address()
        );
        let admin = hlr.admin();
        Self {
            world,
            client,
            hlr,
            admin,
            _dir: dir,
        }
    }

    /// Asks one signal and prints what the bank is told.
    async fn ask(&self, lookup: Lookup) -> SignalOutcome {
        let answered = self.client.lookup(lookup).await.unwrap();
        let [signal] = answered.signals() else {
            panic!("one signal was asked");
        };
        let mut line = format!(
            "  {:<26} {}",
            question_words(&signal.question),
            outcome_words(signal, Place::Line)
        );
        if let Some(Value::Interval { after, before }) = signal.value() {
            let instant = |at: &Option<Timestamp>| at.map_or("…".to_owned(), |at| at.to_string());
            line = format!(
                "{line}\n{:28} = ({}, {}]",
                "",
                instant(after),
                instant(before)
            );
        }
        let clause = signal.clause.as_deref().unwrap_or("-");
        println!(
            "{line}   [clause {clause}, entry {}]",
            answered.receipt.index
        );
        signal.clone()
    }

    async fn swapped_within_72_h(&self) -> SignalOutcome {
        let lookup = Lookup::about(MOVED, Purpose::Payment).sim_swap_within(72);
        self.ask(lookup).await
    }

    async fn last_swap(&self) -> SignalOutcome {
        self.ask(Lookup::about(MOVED, Purpose::Complaint).sim_swap())
            .await
    }

    async fn roaming(&self) -> SignalOutcome {
        self.ask(Lookup::about(MOVED, Purpose::Payment).roaming())
            .await
    }

    /// Waits until a poll found a change, which the adapter pushes and the ledger records.
    async fn wait_polled_change(&self) {
        let ledger = self.world.broker.ledger();
        wait_until("a poll to see the change", || async {
            let entries = ledger.entries(None, 0, u64::MAX).unwrap();
            entries.iter().any(|entry| {
                let entry = v1::Entry::decode(entry.as_slice()).unwrap();
                matches!(entry.event, Some(v1::entry::Event::SourceChanges(_)))
            })
        })
        .await
        .unwrap();
    }
}

fn reason(signal: &SignalOutcome) -> Option<Reason> {
    match &signal.outcome {
        Outcome::Unanswered { reason, .. } => Some(*reason),
        Outcome::Value { .. } => None,
    }
}

fn msisdn() -> Msisdn {
    Msisdn::parse(MOVED).unwrap()
}

#[tokio::test]
#[ignore = "needs osmo-hlr"]
async fn a_bank_learns_from_a_real_hlr_that_a_number_moved_to_another_sim() {
    let mut bank = Bank::start().await;
    bank.admin.create(OLD).await.unwrap();
    bank.admin.give(OLD, &msisdn()).await.unwrap();
    println!("a subscriber with {MOVED} was made through the CTRL interface");
    assert_eq!(
        reason(&bank.swapped_within_72_h().await),
        Some(Reason::NotWatched)
    );
    let asked = SystemClock.now();

    println!("\nthe number moves to a new IMSI: `old.msisdn none`, then `new.msisdn {MOVED}`");
    bank.admin.create(NEW).await.unwrap();
    let began = SystemClock.now();
    bank.admin.swap(OLD, NEW, &msisdn()).await.unwrap();
    let ended = SystemClock.now();
    bank.wait_polled_change().await;
    println!("  (took place within {began} and {ended}; a poll has seen it)");
    assert_eq!(
        bank.swapped_within_72_h().await.value(),
        Some(&Value::YesNo(true))
    );
    let told = bank.last_swap().await;
    let Some(Value::Interval {
        after: Some(after),
        before: Some(before),
    }) = told.value()
    else {
        panic!("an interval was expected: {told:?}");
    };
    assert!(
        asked - FIRST_SAMPLE < *after,
        "watched since {asked}, changed after {after}"
    );
    assert!(*after <= ended && began <= *before, "({after}, {before}]");
    let width = before.duration_since(*after);
    assert!(width <= INTERVAL_MAX, "{width}");

    println!("\nthe HLR is stopped");
    bank.hlr.stop().unwrap();
    assert_eq!(
        bank.swapped_within_72_h().await.value(),
        Some(&Value::YesNo(true)),
        "what was seen holds as of then"
    );
    bank.hlr.restart().await.unwrap();
    println!("\nthe HLR is started again, with its database");
    wait_until("the HLR to be asked again", || async {
        bank.swapped_within_72_h().await.value() == Some(&Value::YesNo(true))
    })
    .await
    .unwrap();
    assert_eq!(
        bank.last_swap().await.value(),
        told.value(),
        "the interval outlived the HLR"
    );
}

#[tokio::test]
#[ignore = "needs osmo-hlr"]
async fn a_bank_learns_from_a_real_hlr_who_roams_and_who_is_unknown() {
    let bank = Bank::start().await;
    bank.admin.create(OLD).await.unwrap();
    bank.admin.give(OLD, &msisdn()).await.unwrap();

    println!("{NEVER_MADE} was never created");
    let lookup = Lookup::about(NEVER_MADE, Purpose::Payment).sim_swap_within(72);
    assert_eq!(reason(&bank.ask(lookup).await), Some(Reason::UnknownNumber));

    println!("\n{MOVED} is registered nowhere");
    assert_eq!(reason(&bank.roaming().await), Some(Reason::NotAvailable));
    for (vlr, roaming, visited_mcc) in [
        ("vlr-901-70", false, None),
        ("vlr-208-01", true, Some(208)),
        ("vlr-901-70", false, None),
    ] {
        println!("\na location update over GSUP from {vlr}");
        bank.hlr.register(vlr, OLD).await.unwrap();
        let told = bank.roaming().await;
        let expected = Value::Roaming(Roaming {
            roaming,
            visited_mcc,
        });
        assert_eq!(told.value(), Some(&expected));
    }
    println!("\na location update over GSUP from vlr-262-99, which no table names");
    bank.hlr.register("vlr-262-99", OLD).await.unwrap();
    assert_eq!(reason(&bank.roaming().await), Some(Reason::NotAvailable));
}
