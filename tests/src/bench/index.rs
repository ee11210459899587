//! `accord-bench index`: how long a page of a search takes, over a ledger of many entries, whatever
//! is searched for.
//!
//! The ledger is a real one, and so is the index; only the entries are made up, as twenty banks
//! would leave them that ask four operators. A page is timed as the broker's door makes it: found,
//! read from the ledger, and held against search and remit. What comes on top, the read's own entry
//! and the way over the network, is measured elsewhere.

mod made_up;

use std::{fmt::Write as _, fs, io, path::Path, sync::Arc, time::Duration};

use accord_broker::{
    index::{Begin, Index, IndexMetrics, Search},
    ledger::{Ledger, LedgerConfig},
    remit::Sight,
};
use accord_proto::{c2sp::SigningKey, clock::SystemClock, party::PartyId, subject::SubjectTag, v1};

use futures_util::future::try_join_all;
use jiff::Timestamp;
use serde::Serialize;
use tokio::time::{Instant, sleep};

use self::made_up::{Dice, entry, tag};
use super::{BenchError, judge::Judge};

/// Entries that are appended before the next ones are made.
const APPENDS: u64 = 8_192;
/// Pages that are timed of each search, at least.
const PAGES: usize = 60;
/// Entries of a page: as a reader gets them who does not say, and the most.
const PAGE_SIZES: [usize; 2] = [100, 1_000];
/// A filtered page, in milliseconds.
const AIM_MS: f64 = 50.0;
/// For so many entries the aim holds.
const AIM_ENTRIES: u64 = 10_000_000;
/// How many numbers are asked about: each about five times.
const ASKED_EACH: u64 = 5;
/// How often it is looked whether the index is done.
const LOOK_INTERVAL: Duration = Duration::from_millis(100);

/// What was measured.
#[derive(Clone, Debug, Serialize)]
pub struct Indexing {
    /// Entries of the ledger.
    pub entries: u64,
    /// Bytes of the ledger's directory, and of the index's.
    pub ledger_bytes: u64,
    /// See `ledger_bytes`.
    pub index_bytes: u64,
    /// Entries a second that the index took, from nothing to the end.
    pub built_per_second: f64,
    /// How long it took to open an index of this size again, all of it checked.
    pub opened_s: f64,
    /// Each search, with each page size.
    pub searches: Vec<Timed>,
}

/// One search.
#[derive(Clone, Debug, Serialize)]
pub struct Timed {
    /// What is searched for.
    pub search: &'static str,
    /// Entries of a page, at most.
    pub page_size: usize,
    /// Entries of the pages that were timed, on average.
    pub found: f64,
    /// Milliseconds of a page: the median, and the slowest.
    pub median_ms: f64,
    /// See `median_ms`.
    pub worst_ms: f64,
}

/// Measures over so many entries, in a directory that is empty.
///
/// # Errors
/// [`BenchError`]; no figure is an error.
pub async fn measure_index(
    entries: u64,
    dir: &Path,
    progress: &(dyn Fn(&str) + Sync),
) -> Result<Indexing, BenchError> {
    let (root, index_dir) = (dir.join("ledger"), dir.join("index"));
    let ledger = Arc::new(open(&root)?);
    let middle = fill(&ledger, entries, progress).await?;
    let end = ledger.size();
    progress("building the index");
    let began = Instant::now();
    let index = start(&index_dir, &ledger)?;
    wait(&index, end).await;
    let built = began.elapsed().as_secs_f64();
    index.stop();
    progress("opening it again");
    let began = Instant::now();
    let index = Arc::new(start(&index_dir, &ledger)?);
    wait(&index, end).await;
    let opened_s = began.elapsed().as_secs_f64();
    let mut searches = Vec::new();
    for (search, filter, sight) in searches_of(middle)? {
        progress(search);
        for page_size in PAGE_SIZES {
            let index = Arc::clone(&index);
            let (filter, sight) = (filter.clone(), sight.clone());
            let timed = move || time(&index, search, &filter, &sight, page_size);
            searches.push(
                tokio::task::spawn_blocking(timed)
                    .await
                    .map_err(|_| failed())??,
            );
        }
    }
    index.stop();
    let measured = Indexing {
        entries: end,
        ledger_bytes: size_of(&root)?,
        index_bytes: size_of(&index_dir)?,
        built_per_second: f64_of(end) / built,
        opened_s,
        searches,
    };
    tokio::task::spawn_blocking(move || ledger.stop())
        .await
        .map_err(|_| failed())?;
    Ok(measured)
}

fn open(root: &Path) -> Result<Ledger, BenchError> {
    let key = SigningKey::generate("accord-bench")?;
    let pinned = [SigningKey::generate("one")?, SigningKey::generate("other")?];
    let pinned = pinned.map(|key| key.verifier().clone());
    let clock = SystemClock::shared();
    Ledger::init(root, &key, &pinned, &clock)?;
    Ok(Ledger::open(LedgerConfig::new(root, key), clock)?.0)
}

fn start(dir: &Path, ledger: &Arc<Ledger>) -> Result<Index, BenchError> {
    let metrics = IndexMetrics::default();
    Ok(Index::start(dir.to_owned(), Arc::clone(ledger), metrics)?)
}

async fn wait(index: &Index, end: u64) {
    while !index.extent().ready || index.extent().size < end {
        sleep(LOOK_INTERVAL).await;
    }
}

/// Appends entries, and gives when the middle ones were made.
async fn fill(
    ledger: &Ledger,
    entries: u64,
    progress: &(dyn Fn(&str) + Sync),
) -> Result<[Timestamp; 2], BenchError> {
    let mut dice = Dice(1);
    let subjects = entries / ASKED_EACH + 1;
    let mut middle = [Timestamp::UNIX_EPOCH; 2];
    let mut done = 0;
    while done < entries {
        let count = APPENDS.min(entries - done);
        let batch = (0..count).map(|_| ledger.append(entry(&mut dice, subjects)));
        let committed = try_join_all(batch).await?;
        if done <= entries / 2 && entries / 2 < done + count {
            let times = [committed.first(), committed.last()];
            middle = times.map(|one| one.map_or(Timestamp::UNIX_EPOCH, |one| one.time));
        }
        done += count;
        if done % (APPENDS * 128) == 0 {
            progress(&format!("{done} of {entries} entries"));
        }
    }
    Ok(middle)
}

type Searched = (&'static str, Search, Sight);

fn searches_of([first, last]: [Timestamp; 2]) -> Result<Vec<Searched>, BenchError> {
    let at = |at: Timestamp| {
        Some(prost_types::Timestamp {
            seconds: at.as_second(),
            nanos: at.subsec_nanosecond(),
        })
    };
    let bank = |filter: &mut v1::Filter, name: &str| name.clone_into(&mut filter.bank);
    let own = PartyId::parse("spiffe://accord.test/bank/bank-19").map_err(|_| failed())?;
    let mut filters = vec![("everything", v1::Filter::default(), Sight::All); 10];
    let names = [
        ("everything", Sight::All),
        ("one bank of many questions", Sight::Banks),
        ("one bank of few questions", Sight::Banks),
        (
            "bank, operator, signal, purpose, clause and outcome",
            Sight::Banks,
        ),
        ("two that often occur and never together", Sight::Banks),
        ("a rare reason", Sight::Operators),
        ("one number", Sight::All),
        ("one number, asked about by one bank", Sight::Banks),
        ("a short time in the middle, one bank", Sight::Banks),
        ("a bank's own entries", Sight::Own(own)),
    ];
    for (index, ((name, sight), slot)) in names.into_iter().zip(&mut filters).enumerate() {
        let filter = &mut slot.1;
        match index {
            1 => bank(filter, "bank-0"),
            2 => bank(filter, "bank-19"),
            3 => {
                bank(filter, "bank-1");
                "north-mobile".clone_into(&mut filter.operator);
                filter.signal = v1::Signal::SimSwap as i32;
                filter.purpose = v1::Purpose::Payment as i32;
                "3.7".clone_into(&mut filter.clause);
                "answered".clone_into(&mut filter.outcome);
            }
            4 => {
                bank(filter, "bank-0");
                filter.purpose = v1::Purpose::Complaint as i32;
            }
            5 => "quota".clone_into(&mut filter.outcome),
            6 => "+447700900001".clone_into(&mut filter.msisdn),
            7 => {
                "+447700900001".clone_into(&mut filter.msisdn);
                bank(filter, "bank-1");
            }
            8 => {
                (filter.from, filter.until) = (at(first), at(last));
                bank(filter, "bank-1");
            }
            _ => {}
        }
        (slot.0, slot.2) = (name, sight);
    }
    filters
        .into_iter()
        .map(|(name, filter, sight)| {
            let tags = |_: &_| vec![SubjectTag(tag(7)), SubjectTag(tag(8))];
            let search = Search::parse(&filter, tags).map_err(|error| BenchError::Answer {
                what: name,
                why: error.to_string(),
            })?;
            Ok((name, search, sight))
        })
        .collect()
}

/// Page after page, from the beginning again where the search is at its end.
fn time(
    index: &Index,
    name: &'static str,
    search: &Search,
    sight: &Sight,
    page_size: usize,
) -> Result<Timed, BenchError> {
    let mut taken_ms = Vec::new();
    let mut found = 0;
    let mut begin: Option<Begin> = None;
    for _ in 0..PAGES {
        let began = Instant::now();
        let page = index.find(search, sight, begin.as_ref(), page_size)?;
        taken_ms.push(began.elapsed().as_secs_f64() * 1_000.0);
        found += page.entries.len();
        begin = page.next;
    }
    taken_ms.sort_by(f64::total_cmp);
    let at = |place: usize| taken_ms.get(place).copied().unwrap_or(0.0);
    Ok(Timed {
        search: name,
        page_size,
        found: f64_of(found as u64) / f64_of(PAGES as u64),
        median_ms: at(PAGES / 2),
        worst_ms: at(PAGES - 1),
    })
}

impl Indexing {
    /// For people.
    #[must_use]
    pub fn to_table(&self) -> String {
        let mib = |bytes: u64| f64_of(bytes) / f64::from(1 << 20);
        let mut text = format!(
            "{} entries: ledger {:.0} MiB, index {:.0} MiB ({:.1} bytes an entry)\n\
             built at {:.0} entries/s; opened again and checked in {:.1} s\n\n\
             {:<52} {:>5} {:>8} {:>10} {:>9}\n",
            self.entries,
            mib(self.ledger_bytes),
            mib(self.index_bytes),
            f64_of(self.index_bytes) / f64_of(self.entries),
            self.built_per_second,
            self.opened_s,
            "a page of",
            "max",
            "found",
            "median ms",
            "worst ms",
        );
        for timed in &self.searches {
            // Writing into a text can't fail.
            let _ = writeln!(
                text,
                "{:<52} {:>5} {:>8.1} {:>10.2} {:>9.2}",
                timed.search, timed.page_size, timed.found, timed.median_ms, timed.worst_ms
            );
        }
        let worst = self.searches.iter().map(|timed| timed.worst_ms);
        let worst = worst.fold(0.0, f64::max);
        let judge = Judge(!cfg!(debug_assertions) && self.entries >= AIM_ENTRIES);
        let _ = writeln!(
            text,
            "\nany page in less than {AIM_MS:.0} ms over {AIM_ENTRIES} entries or more: {}",
            judge.met(worst < AIM_MS)
        );
        text
    }
}

fn size_of(dir: &Path) -> Result<u64, BenchError> {
    let sized = || -> io::Result<u64> {
        let mut bytes = 0;
        let mut left = vec![dir.to_owned()];
        while let Some(dir) = left.pop() {
            for entry in fs::read_dir(dir)? {
                let entry = entry?;
                if entry.file_type()?.is_dir() {
                    left.push(entry.path());
                } else {
                    bytes += entry.metadata()?.len();
                }
            }
        }
        Ok(bytes)
    };
    sized().map_err(BenchError::io("look at", dir))
}

fn f64_of(number: u64) -> f64 {
    // Exact up to 2^53.
    number as f64
}

const fn failed() -> BenchError {
    BenchError::Child { what: "index" }
}
