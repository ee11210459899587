//! (d): appends to the ledger, against a bare loop that writes and syncs the same bytes.

use std::{future::Future, path::Path, sync::Arc, time::Duration};

use accord_broker::ledger::{Ledger, LedgerConfig};
use accord_proto::{
    c2sp::SigningKey,
    clock::SystemClock,
    purpose::Purpose,
    segment::{FRAME_HEADER_BYTES, STAMP_BYTES},
    v1,
};
use prost::Message as _;
use serde::Serialize;
use tokio::{task::JoinSet, time::Instant};

use super::{
    BenchError, Plan,
    bare_log::BareLog,
    figures::{median, range, ratio},
    questions::BANK,
};

/// Appends in flight.
pub const WAITERS: usize = 64;

/// Medians over the rounds.
#[derive(Clone, Debug, Serialize)]
pub struct Appends {
    /// Length of an entry.
    pub entry_bytes: usize,
    /// Appends a second to the ledger.
    pub ledger_per_second: f64,
    /// In the worst and the best round.
    pub ledger_range: [f64; 2],
    /// Appends a second of the bare loop.
    pub bare_per_second: f64,
    /// In the worst and the best round.
    pub bare_range: [f64; 2],
    /// One over the other, round by round.
    pub ratio: f64,
    /// Entries that the ledger wrote with one sync, on average.
    pub batch: f64,
}

pub(super) async fn measure(
    plan: &Plan,
    dir: &Path,
    progress: &(dyn Fn(&str) + Sync),
) -> Result<Appends, BenchError> {
    let root = dir.join("ledger-alone");
    let key = SigningKey::generate("accord-bench")?;
    let pinned = [SigningKey::generate("one")?, SigningKey::generate("other")?];
    let clock = SystemClock::shared();
    Ledger::init(
        &root,
        &key,
        &pinned.map(|key| key.verifier().clone()),
        &clock,
    )?;
    let (ledger, _) = Ledger::open(LedgerConfig::new(&root, key), clock)?;
    let ledger = Arc::new(ledger);
    let bare = Arc::new(BareLog::start(&dir.join("bare.log"))?);
    let entry = entry().encode_to_vec();
    // What the ledger writes for each entry.
    let frame = [entry.as_slice(), &[0x55; STAMP_BYTES + FRAME_HEADER_BYTES]].concat();
    let (mut of_bare, mut of_ledger) = (Vec::new(), Vec::new());
    for number in 1..=plan.rounds {
        progress(&format!("round {number} of {}: ledger", plan.rounds));
        let append = |bare: Arc<BareLog>, frame: Vec<u8>| async move {
            bare.append(frame).await.ok_or_else(failed)
        };
        of_bare.push(appends(plan.ledger_for, &bare, &frame, append).await?);
        let append = |ledger: Arc<Ledger>, entry: Vec<u8>| async move {
            Ok(ledger.append(entry).await.map(drop)?)
        };
        of_ledger.push(appends(plan.ledger_for, &ledger, &entry, append).await?);
    }
    let stats = ledger.stats();
    let stopping = Arc::clone(&ledger);
    tokio::task::spawn_blocking(move || stopping.stop())
        .await
        .map_err(|_| failed())?;
    let count = |number: u64| f64::from(u32::try_from(number).unwrap_or(u32::MAX));
    let pairs = of_ledger.iter().zip(&of_bare);
    Ok(Appends {
        entry_bytes: entry.len(),
        ledger_range: range(of_ledger.iter().copied()),
        bare_range: range(of_bare.iter().copied()),
        ratio: median(pairs.map(|(one, other)| ratio(*one, *other)).collect()),
        ledger_per_second: median(of_ledger.clone()),
        bare_per_second: median(of_bare),
        batch: ratio(count(stats.entries), count(stats.batches)),
    })
}

/// Appends a second of [`WAITERS`] tasks, each of which waits for its last append.
async fn appends<L, F>(
    counted: Duration,
    log: &Arc<L>,
    entry: &[u8],
    append: impl Fn(Arc<L>, Vec<u8>) -> F + Copy + Send + 'static,
) -> Result<f64, BenchError>
where
    L: Send + Sync + 'static,
    F: Future<Output = Result<(), BenchError>> + Send,
{
    let begin = Instant::now() + counted / 10;
    let end = begin + counted;
    let mut tasks = JoinSet::new();
    for _ in 0..WAITERS {
        let (log, entry) = (Arc::clone(log), entry.to_vec());
        tasks.spawn(async move {
            let mut appended: u32 = 0;
            loop {
                append(Arc::clone(&log), entry.clone()).await?;
                let now = Instant::now();
                if now >= end {
                    return Ok(appended);
                }
                appended += u32::from(now >= begin);
            }
        });
    }
    let mut all = 0.0;
    while let Some(ended) = tasks.join_next().await {
        let appended: Result<u32, BenchError> = ended.map_err(|_| failed())?;
        all += f64::from(appended?);
    }
    Ok(all / counted.as_secs_f64())
}

fn failed() -> BenchError {
    BenchError::Child { what: "log" }
}

/// An entry as the path makes one for a question about one signal.
fn entry() -> v1::Entry {
    let record = v1::SignalRecord {
        signal: v1::Signal::SimSwap as i32,
        reason: v1::Reason::Unspecified as i32,
        clause: "1.1".to_owned(),
        granularity: "yes_no".to_owned(),
        threshold_hours: 72,
        since_mac: Vec::new(),
        from_view: true,
    };
    let access = v1::Access {
        bank: BANK.to_owned(),
        application: "accord-bench".to_owned(),
        operator: "bench-mobile".to_owned(),
        routing_basis: v1::RoutingBasis::Prefix as i32,
        purpose: Purpose::Payment.to_wire() as i32,
        agreement: "BENCH".to_owned(),
        agreement_version: 1,
        subject_tag: vec![0x55; 16],
        tag_month: "2026-11".to_owned(),
        customer_ref_mac: vec![0x55; 16],
        request_id_mac: vec![0x55; 16],
        signals: vec![record],
        answer_digest: vec![0x55; 32],
        ..v1::Access::default()
    };
    v1::Entry {
        salt: vec![0x55; 32],
        event: Some(v1::entry::Event::Access(access)),
        time_unix_ms: 0,
    }
}
