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
    figures::{Figures, Round, ratio},
    questions::BANK,
};

/// Appends in flight.
pub const WAITERS: [usize; 3] = [1, 64, 256];

/// What was measured of appends.
#[derive(Clone, Debug, Serialize)]
pub struct Appends {
    /// Length of an entry.
    pub entry_bytes: usize,
    /// For each number of waiters.
    pub lines: Vec<AppendLine>,
}

/// The ledger beside the bare loop under one load: medians over the rounds.
#[derive(Clone, Debug, Serialize)]
pub struct AppendLine {
    /// Appends in flight.
    pub waiters: usize,
    /// The ledger; its ratio is to the bare loop, round by round.
    pub ledger: Figures,
    /// The bare loop.
    pub bare: Figures,
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
    let mut lines = Vec::new();
    for waiters in WAITERS {
        progress(&format!("ledger: {waiters} waiters"));
        lines.push(measure_line(plan, waiters, &ledger, &bare, &entry).await?);
    }
    let stopping = Arc::clone(&ledger);
    tokio::task::spawn_blocking(move || stopping.stop())
        .await
        .map_err(|_| failed())?;
    Ok(Appends {
        entry_bytes: entry.len(),
        lines,
    })
}

/// In alternating rounds, so that what else the machine does falls upon both alike.
async fn measure_line(
    plan: &Plan,
    waiters: usize,
    ledger: &Arc<Ledger>,
    bare: &Arc<BareLog>,
    entry: &[u8],
) -> Result<AppendLine, BenchError> {
    // What the ledger writes for each entry.
    let frame = [entry, &[0x55; STAMP_BYTES + FRAME_HEADER_BYTES]].concat();
    let (mut of_bare, mut of_ledger) = (Vec::new(), Vec::new());
    let before = ledger.stats();
    for _ in 0..plan.rounds {
        let append = |bare: Arc<BareLog>, frame: Vec<u8>| async move {
            bare.append(frame).await.ok_or_else(failed)
        };
        of_bare.push(appends(plan.ledger_for, waiters, bare, &frame, append).await?);
        let append = |ledger: Arc<Ledger>, entry: Vec<u8>| async move {
            Ok(ledger.append(entry).await.map(drop)?)
        };
        of_ledger.push(appends(plan.ledger_for, waiters, ledger, entry, append).await?);
    }
    let stats = ledger.stats();
    let count = |now: u64, before: u64| {
        f64::from(u32::try_from(now.saturating_sub(before)).unwrap_or(u32::MAX))
    };
    Ok(AppendLine {
        waiters,
        ledger: Figures::of(&of_ledger, &of_bare),
        bare: Figures::of(&of_bare, &of_bare),
        batch: ratio(
            count(stats.entries, before.entries),
            count(stats.batches, before.batches),
        ),
    })
}

/// A round of tasks, each of which waits for its last append.
async fn appends<L, F>(
    counted: Duration,
    waiters: usize,
    log: &Arc<L>,
    entry: &[u8],
    append: impl Fn(Arc<L>, Vec<u8>) -> F + Copy + Send + 'static,
) -> Result<Round, BenchError>
where
    L: Send + Sync + 'static,
    F: Future<Output = Result<(), BenchError>> + Send,
{
    let begin = Instant::now() + counted / 10;
    let end = begin + counted;
    let mut tasks = JoinSet::new();
    for _ in 0..waiters {
        let (log, entry) = (Arc::clone(log), entry.to_vec());
        tasks.spawn(async move {
            let mut took_us = Vec::new();
            loop {
                let asked = Instant::now();
                append(Arc::clone(&log), entry.clone()).await?;
                let now = Instant::now();
                if now >= begin {
                    let took = now.duration_since(asked).as_micros();
                    took_us.push(u32::try_from(took).unwrap_or(u32::MAX));
                }
                if now >= end {
                    return Ok(took_us);
                }
            }
        });
    }
    let mut all = Vec::new();
    while let Some(ended) = tasks.join_next().await {
        let took_us: Result<Vec<u32>, BenchError> = ended.map_err(|_| failed())?;
        all.append(&mut took_us?);
    }
    // The last append of each task was answered after the end.
    let within = all.len().saturating_sub(waiters);
    Ok(Round::cut_off(all, within, counted.as_secs_f64()))
}

fn failed() -> BenchError {
    BenchError::Child { what: "log" }
}

/// An entry as the path makes one for a question about one signal.
pub(super) fn entry() -> v1::Entry {
    let record = v1::SignalRecord {
        signal: v1::Signal::SimSwap as i32,
        reason: v1::Reason::Unspecified as i32,
        clause: "1.1".to_owned(),
        granularity: "yes_no".to_owned(),
        threshold_hours: 72,
        since_mac: Vec::new(),
        since_unix_ms: 0,
        from_view: true,
        rests_on: Some(v1::ReplyDigest {
            instance: "bench-a".to_owned(),
            journal_index: 70_000_000,
            digest: vec![0x44; 32],
            elapsed_us: 0,
        }),
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
