//! The index against a search that looks at every entry, and on files that were damaged.

use std::{fs, path::Path, time::Duration};

use accord_proto::{
    c2sp::SigningKey,
    clock::{ManualClock, SharedClock},
    merkle::leaf_hash,
    party::PartyId,
    subject::SubjectTag,
    v1::{self, entry::Event},
};
use prost::Message as _;
use prost_types::Timestamp;
use tempfile::TempDir;

use super::{
    Extent, Index, IndexMetrics, Place, Search, builder::Builder, search::search, state::State,
    store::Store,
};
use crate::{
    entry::encode,
    ledger::{Ledger, LedgerConfig},
    remit::Sight,
};

const LOGS: [&str; 2] = ["accord-test/2026-11", "accord-test/2026-12"];
/// More than two large blocks, as they are in tests, and a few entries of the next month.
const ENTRIES: [u64; 2] = [36_000, 100];
const START_MS: u64 = 1_794_000_000_000;

/// Numbers that look random and are the same each time.
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (self.0 >> 33) % end
    }

    fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[usize::try_from(self.below(of.len() as u64)).unwrap()]
    }
}

fn event(dice: &mut Dice) -> Event {
    let bank = dice.pick(&["first-bank", "first-bank", "second-bank", "third-bank"]);
    let operator = dice.pick(&["north-mobile", "sud-mobile", ""]);
    let tag = vec![u8::try_from(dice.below(40)).unwrap(); 16];
    match dice.below(20) {
        0 => Event::RefusedCall(v1::RefusedCall {
            party: format!("spiffe://accord.test/bank/{bank}"),
            ..v1::RefusedCall::default()
        }),
        1 => Event::AdapterLink(v1::AdapterLink {
            operator: "north-mobile".to_owned(),
            ..v1::AdapterLink::default()
        }),
        2 => Event::Anomaly(v1::Anomaly {
            bank: bank.to_owned(),
            subject_tag: tag,
            ..v1::Anomaly::default()
        }),
        3 => Event::Operation(v1::Operation::default()),
        _ => {
            let record = |dice: &mut Dice, signal: v1::Signal| v1::SignalRecord {
                signal: signal as i32,
                reason: dice.pick(&[0, 0, 0, v1::Reason::Quota as i32]),
                clause: dice.pick(&["3.1", "3.4", ""]).to_owned(),
                ..v1::SignalRecord::default()
            };
            Event::Access(v1::Access {
                bank: bank.to_owned(),
                operator: operator.to_owned(),
                purpose: dice.pick(&[v1::Purpose::Payment as i32, v1::Purpose::Login as i32]),
                subject_tag: tag,
                signals: vec![
                    record(dice, v1::Signal::SimSwap),
                    record(dice, v1::Signal::Roaming),
                ],
                ..v1::Access::default()
            })
        }
    }
}

/// The entries of both logs, with their times.
fn entries() -> Vec<(Place, u64, Event)> {
    let mut dice = Dice(7);
    let mut time = START_MS;
    let mut entries = Vec::new();
    for (log, count) in (0..).zip(ENTRIES) {
        for index in 0..count {
            time += dice.below(3);
            entries.push((Place { log, index }, time, event(&mut dice)));
        }
        time += 1_000_000;
    }
    entries
}

fn bytes(time_unix_ms: u64, event: &Event) -> Vec<u8> {
    v1::Entry {
        salt: vec![1; 32],
        event: Some(event.clone()),
        time_unix_ms,
    }
    .encode_to_vec()
}

/// Builds an index in pieces, each by a builder that goes on where the rows end.
fn build(dir: &Path, entries: &[(Place, u64, Event)]) {
    let mut dice = Dice(9);
    let mut rest = entries;
    while !rest.is_empty() {
        let mut store = Store::open(dir).unwrap();
        let state = store.state().unwrap().unwrap_or_else(State::new);
        store.verify(&state).unwrap();
        let mut builder = Builder::resume(state, &store).unwrap();
        for _ in 0..2 {
            let count = usize::try_from(1 + dice.below(6_000))
                .unwrap()
                .min(rest.len());
            for (place, time, event) in &rest[..count] {
                if builder.end().is_none_or(|(log, _)| log != place.log) {
                    builder.begin_log(LOGS[place.log as usize]);
                }
                let entry = bytes(*time, event);
                builder.add(&entry).unwrap();
                builder.last_leaf(leaf_hash(&entry));
            }
            rest = &rest[count..];
            let rows = builder.rows();
            store.commit(&rows, builder.state()).unwrap();
        }
    }
}

fn own(role: &str, org: &str) -> Sight {
    Sight::Own(PartyId::parse(&format!("spiffe://accord.test/{role}/{org}")).unwrap())
}

const fn at(unix_ms: u64) -> Option<Timestamp> {
    Some(Timestamp {
        seconds: (unix_ms / 1_000) as i64,
        nanos: (unix_ms % 1_000 * 1_000_000) as i32,
    })
}

/// Searches of every kind: dense and sparse, one field and many, none at all.
fn searches() -> Vec<v1::Filter> {
    let filter = |change: fn(&mut v1::Filter)| {
        let mut filter = v1::Filter::default();
        change(&mut filter);
        filter
    };
    vec![
        filter(|_| {}),
        filter(|f| f.bank = "first-bank".to_owned()),
        filter(|f| f.bank = "no-bank".to_owned()),
        filter(|f| f.kind = "anomaly".to_owned()),
        filter(|f| {
            f.bank = "second-bank".to_owned();
            f.operator = "sud-mobile".to_owned();
            f.outcome = "partly_answered".to_owned();
        }),
        filter(|f| {
            f.clause = "3.4".to_owned();
            f.purpose = v1::Purpose::Login as i32;
            f.signal = v1::Signal::Roaming as i32;
            f.outcome = "quota".to_owned();
        }),
        filter(|f| f.outcome = "refused".to_owned()),
        filter(|f| f.msisdn = "+447700900007".to_owned()),
        filter(|f| {
            f.msisdn = "+447700900007".to_owned();
            f.bank = "third-bank".to_owned();
            f.kind = "access".to_owned();
        }),
        filter(|f| {
            f.from = at(START_MS + 9_000);
            f.until = at(START_MS + 9_100);
        }),
        filter(|f| {
            f.from = at(START_MS + 20_001);
            f.operator = "north-mobile".to_owned();
        }),
        filter(|f| {
            f.until = at(START_MS + 30_000);
            f.msisdn = "+447700900007".to_owned();
        }),
        filter(|f| f.from = at(START_MS + 500_000)),
        filter(|f| f.until = at(1)),
    ]
}

#[test]
fn every_search_finds_what_looking_at_each_entry_finds() {
    let dir = TempDir::new().unwrap();
    let entries = entries();
    build(dir.path(), &entries);
    let sights = [
        Sight::All,
        Sight::Banks,
        Sight::Operators,
        own("bank", "third-bank"),
        own("operator", "sud-mobile"),
    ];
    let store = Store::reader(dir.path()).unwrap();
    let state = store.state().unwrap().unwrap();
    for filter in searches() {
        let parsed = Search::parse(&filter, |_| vec![SubjectTag([7; 16]), SubjectTag([8; 16])]);
        let parsed = parsed.unwrap();
        for sight in &sights {
            let wanted = parsed.wanted(sight);
            let is = |(_, time, event): &&(Place, u64, Event)| {
                sight.sees_event(event) && parsed.matches(*time, event)
            };
            let expected: Vec<Place> = entries.iter().filter(is).map(|(at, ..)| *at).collect();
            for page_size in [1_000, 7_001] {
                let mut found = Vec::new();
                let mut next = Some(Place { log: 0, index: 0 });
                while let Some(from) = next {
                    let page = search(&store, &state, &wanted, from, page_size).unwrap();
                    assert!(page.places.len() <= page_size);
                    found.extend(page.places);
                    next = page.next;
                }
                assert!(found.is_sorted());
                // What the index gives too much is dropped when the entry is read.
                let really = |place: &Place| {
                    let at = entries.partition_point(|(known, ..)| known < place);
                    is(&&entries[at])
                };
                found.retain(really);
                assert_eq!(
                    found.len(),
                    expected.len(),
                    "{sight:?} {:?}",
                    parsed.to_wire()
                );
                assert_eq!(found, expected);
            }
        }
    }
}

/// A small ledger, and an index of it.
struct Bench {
    dir: TempDir,
    key: SigningKey,
    ledger: std::sync::Arc<Ledger>,
}

impl Bench {
    fn new() -> Self {
        let dir = TempDir::new().unwrap();
        let key = SigningKey::generate("accord-test").unwrap();
        let authority = SigningKey::generate("central-bank").unwrap();
        let clock: SharedClock = ManualClock::at("2026-11-21T12:00:00Z".parse().unwrap());
        let root = dir.path().join("ledger");
        Ledger::init(&root, &key, &[authority.verifier().clone()], &clock).unwrap();
        let secret = SigningKey::parse(key.to_secret_text().expose()).unwrap();
        let mut config = LedgerConfig::new(root, secret);
        config.free_bytes_min = 1;
        let (ledger, _) = Ledger::open(config, clock).unwrap();
        Self {
            dir,
            key,
            ledger: std::sync::Arc::new(ledger),
        }
    }

    async fn append(&self, count: u64) {
        let mut dice = Dice(count);
        for _ in 0..count {
            let entry = encode(event(&mut dice)).unwrap();
            self.ledger.append(entry).await.unwrap();
        }
    }

    fn index_dir(&self) -> std::path::PathBuf {
        self.dir.path().join("index")
    }

    fn index(&self) -> Index {
        let metrics = IndexMetrics::default();
        Index::start(self.index_dir(), self.ledger.clone(), metrics).unwrap()
    }
}

/// Waits until the index has all of the ledger.
async fn caught_up(index: &Index, ledger: &Ledger) {
    let there = async {
        loop {
            index.catch_up().await;
            let Extent { ready, size, .. } = index.extent();
            if ready && size == ledger.size() {
                return;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(60), there)
        .await
        .unwrap();
}

fn all(index: &Index) -> Vec<u64> {
    let all = Search::parse(&v1::Filter::default(), |_| Vec::new()).unwrap();
    let page = index.find(&all, &Sight::All, None, 10_000).unwrap();
    page.entries.into_iter().map(|entry| entry.index).collect()
}

#[tokio::test]
async fn an_index_that_was_removed_damaged_or_made_of_another_ledger_is_made_anew() {
    let bench = Bench::new();
    bench.append(50).await;
    let index = bench.index();
    caught_up(&index, &bench.ledger).await;
    let whole = all(&index);
    assert_eq!(whole, (0..bench.ledger.size()).collect::<Vec<_>>());
    index.stop();
    let file = bench.index_dir().join("index.sqlite");
    let good = fs::read(&file).unwrap();
    let mut bad = vec![Vec::new(), b"no database at all".to_vec()];
    // A flipped byte in each part of the file, its unused parts among them.
    for at in (0..good.len()).step_by(good.len() / 60) {
        let mut flipped = good.clone();
        flipped[at] ^= 0x55;
        bad.push(flipped);
    }
    let cut = good[..good.len() / 2].to_vec();
    bad.push(cut);
    for content in bad {
        fs::write(&file, content).unwrap();
        let index = bench.index();
        caught_up(&index, &bench.ledger).await;
        assert_eq!(all(&index), whole);
        index.stop();
    }
    fs::remove_dir_all(bench.index_dir()).unwrap();
    let index = bench.index();
    caught_up(&index, &bench.ledger).await;
    assert_eq!(all(&index), whole);
    index.stop();

    let other = Bench::new();
    assert_ne!(other.key.verifier(), bench.key.verifier());
    other.append(70).await;
    fs::create_dir_all(other.index_dir()).unwrap();
    fs::copy(&file, other.index_dir().join("index.sqlite")).unwrap();
    let index = other.index();
    caught_up(&index, &other.ledger).await;
    assert_eq!(all(&index).len() as u64, other.ledger.size());
    let state = Store::reader(&other.index_dir())
        .unwrap()
        .state()
        .unwrap()
        .unwrap();
    let last = other.ledger.entry(None, other.ledger.size() - 1).unwrap();
    assert_eq!(state.logs[0].last_leaf, leaf_hash(&last));
}

#[tokio::test]
async fn what_comes_is_found_and_an_index_goes_on_after_a_stop() {
    let bench = Bench::new();
    for _ in 0..3 {
        let index = bench.index();
        bench.append(20).await;
        caught_up(&index, &bench.ledger).await;
        bench.append(1).await;
        caught_up(&index, &bench.ledger).await;
        assert_eq!(all(&index).len() as u64, bench.ledger.size());
        index.stop();
    }
}
