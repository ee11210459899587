//! The one thread that writes: drains what queued during the last sync, writes it with one
//! `pwrite`, syncs, hashes what it wrote once more, and releases the batch.

use std::fs;
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use accord_proto::c2sp::{Checkpoint, SigningKey, VerifierKey};
use accord_proto::merkle::{Frontier, Hash};
use accord_proto::segment::{
    Decoded, FRAME_HEADER_BYTES, FrameKind, HEADER_BYTES_MAX, STAMP_BYTES, SegmentHeader,
    SparseIndex, decode, encode_checkpoint, encode_entry,
};
use accord_proto::subject::Month;
use arc_swap::ArcSwap;
use jiff::Timestamp;
use tokio::time::Instant;

use super::create::{Opening, create_month};
use super::error::LedgerError;
use super::guard::{ClockGuard, SpaceGuard};
use super::keeper::{Job, Keeper};
use super::layout::{self, segment_path};
use super::month::{MonthLog, Segment};
use super::queue::{Durable, Pending, Queue, Refused, Released, Releaser};
use super::replay::{Resume, Writer, open_month};
use super::tree::Tree;

/// Most entries of a batch.
const BATCH_ENTRIES_MAX: usize = 4096;
/// Most bytes of a batch, before framing.
const BATCH_BYTES_MAX: usize = 1 << 20;
/// After a batch of so many entries the next one is let fill for a while: entries come faster than
/// the disk syncs, and syncs, with the wake-ups around them, cost more than what they sync. A larger
/// batch has shared the cost well enough, and after a smaller one there is nobody to wait for.
const FILLS_AFTER: Range<usize> = 3..32;
/// For how long a batch is let fill.
const FILL_FOR: Duration = Duration::from_micros(400);
/// Room for a batch's checkpoint: three lines and one signature.
const CHECKPOINT_BYTES_MAX: usize = 2048;

/// What readers and the sequencer both look at.
#[derive(Debug)]
pub(super) struct Guards {
    pub(super) clock: ClockGuard,
    pub(super) space: SpaceGuard,
    /// A segment is needed and could not be prepared.
    pub(super) no_spare: Arc<AtomicBool>,
}

/// Counters, written by the sequencer alone.
#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) batches: AtomicU64,
    pub(super) entries: AtomicU64,
    pub(super) sync_us_last: AtomicU64,
    pub(super) sync_us_max: AtomicU64,
}

/// All that the writing thread has.
pub(super) struct Sequencer {
    pub(super) root: PathBuf,
    pub(super) segment_bytes: u64,
    pub(super) key: SigningKey,
    pub(super) authorities: Arc<[VerifierKey]>,
    pub(super) queue: Arc<Queue>,
    pub(super) guards: Arc<Mutex<Guards>>,
    pub(super) counters: Arc<Counters>,
    pub(super) current: Arc<ArcSwap<MonthLog>>,
    pub(super) keeper: Keeper,
    pub(super) releaser: Releaser,
    pub(super) at: Position,
}

/// Where the next batch goes.
pub(super) struct Position {
    log: Arc<MonthLog>,
    /// The key under the month's origin.
    key: SigningKey,
    /// The tree with what was written, computed apart from the one that readers see.
    frontier: Frontier,
    writer: Option<Writer>,
    last_ms: u64,
    buffer: Vec<u8>,
}

impl Position {
    pub(super) fn new(
        log: Arc<MonthLog>,
        key: &SigningKey,
        resume: Resume,
    ) -> Result<Self, LedgerError> {
        let frontier = {
            let state = log.state();
            let tree = state.tree.as_ref();
            tree.map(|tree| tree.frontier().clone()).unwrap_or_default()
        };
        Ok(Self {
            key: key.renamed(&log.origin)?,
            log,
            frontier,
            writer: resume.writer,
            last_ms: resume.last_ms,
            buffer: Vec::new(),
        })
    }
}

/// Ends the process: after a failed write or sync nobody knows what the disk holds, and only a
/// fresh start reads it again.
fn fail_stop(what: &'static str, error: &(dyn std::error::Error + 'static)) -> ! {
    tracing::error!(error, what, "the ledger can not go on, the process ends");
    std::process::abort()
}

/// A panic of the sequencer is as bad as a failed write.
struct AbortOnPanic;

impl Drop for AbortOnPanic {
    fn drop(&mut self) {
        if thread::panicking() {
            std::process::abort();
        }
    }
}

impl Sequencer {
    /// Works until the queue is closed and empty.
    pub(super) fn run(mut self) {
        let _abort = AbortOnPanic;
        let half = usize::try_from(self.segment_bytes / 4).unwrap_or(BATCH_BYTES_MAX);
        let bytes_max = BATCH_BYTES_MAX.min(half);
        let entries_max = BATCH_ENTRIES_MAX.min(half / 64);
        let mut batch = Vec::new();
        while self.queue.take(&mut batch, entries_max, bytes_max) {
            let result = self.write(&batch);
            let lets_fill = FILLS_AFTER.contains(&batch.len());
            let waiters = batch.drain(..).map(|pending| pending.waiter).collect();
            self.releaser.release(Released { waiters, result });
            if lets_fill {
                thread::sleep(FILL_FOR);
            }
        }
        if let Err(error) = self.at.log.publish(true) {
            let error: &dyn std::error::Error = &error;
            tracing::warn!(error, "the last checkpoint could not be published");
        }
    }

    fn write(&mut self, batch: &[Pending]) -> Result<Durable, Refused> {
        let now = self.check_guards()?;
        let now_ms = u64::try_from(now.as_millisecond()).unwrap_or(0);
        let time_ms = self.at.last_ms.max(now_ms);
        let time = i64::try_from(time_ms)
            .ok()
            .and_then(|ms| Timestamp::from_millisecond(ms).ok())
            .unwrap_or(now);
        if Month::of(time) > self.at.log.month {
            self.roll_over(Month::of(time), time_ms)?;
        }
        let first_index = self.at.frontier.size();
        let frames: usize = batch
            .iter()
            .map(|pending| pending.prefix.len() + STAMP_BYTES + FRAME_HEADER_BYTES)
            .sum();
        self.make_room(HEADER_BYTES_MAX + frames + CHECKPOINT_BYTES_MAX)?;
        let (leaf_hashes, root, note) = match self.encode(batch, first_index, time_ms) {
            Ok(encoded) => encoded,
            Err(error) => fail_stop("encode a batch", &error),
        };
        self.sync();
        self.commit(root, &note);
        self.at.last_ms = time_ms;
        self.counters.batches.fetch_add(1, Ordering::Relaxed);
        let count = u64::try_from(batch.len()).unwrap_or(0);
        self.counters.entries.fetch_add(count, Ordering::Relaxed);
        Ok(Durable {
            origin: Arc::clone(&self.at.log.origin),
            first_index,
            leaf_hashes,
            time,
            tree_size: self.at.frontier.size(),
            checkpoint: note,
        })
    }

    fn check_guards(&self) -> Result<Timestamp, Refused> {
        let mut guards = self.guards.lock().unwrap_or_else(PoisonError::into_inner);
        if guards.space.is_low() {
            return Err(Refused::DiskLow);
        }
        guards.clock.now().ok_or(Refused::ClockStepped)
    }

    fn roll_over(&mut self, month: Month, time_ms: u64) -> Result<(), Refused> {
        match self.try_roll_over(month, time_ms) {
            Ok(()) => Ok(()),
            Err(error) if error.is_disk_full() => Err(Refused::DiskLow),
            Err(error) => fail_stop("begin a month", &error),
        }
    }

    /// The month that ends is published, durably, before the new one exists.
    fn try_roll_over(&mut self, month: Month, time_ms: u64) -> Result<(), LedgerError> {
        let previous = Arc::clone(&self.at.log);
        previous.write_edge()?;
        previous.publish(true)?;
        self.close_segment();
        let previous_checkpoint = Arc::clone(&previous.state().checkpoint);
        let opening = Opening {
            key: &self.key,
            month,
            time_unix_ms: time_ms,
            authorities: &self.authorities,
            previous_checkpoint: &previous_checkpoint,
        };
        create_month(&self.root, &opening)?;
        let (log, resume) = open_month(&self.root, &self.key, month, &[])?;
        let log = Arc::new(log);
        self.at = Position::new(Arc::clone(&log), &self.key, resume)?;
        self.current.store(log);
        Ok(())
    }

    fn close_segment(&mut self) {
        let Some(writer) = self.at.writer.take() else {
            return;
        };
        let offsets = {
            let state = self.at.log.state();
            let mut segments = state.segments.iter();
            let segment = segments.find(|segment| segment.first == writer.first);
            segment.and_then(|segment| segment.offsets.clone())
        };
        self.keeper.hand(Job::Close {
            log: Arc::clone(&self.at.log),
            first: writer.first,
            file: writer.file,
            len: writer.at,
            offsets: offsets.unwrap_or_default(),
        });
    }

    /// Goes on to the next segment where this one hasn't room for `bytes`.
    fn make_room(&mut self, bytes: usize) -> Result<(), Refused> {
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        let fits = |writer: &Writer| writer.at.saturating_add(bytes) <= writer.capacity;
        if self.at.writer.as_ref().is_some_and(fits) {
            return Ok(());
        }
        let spare = self.keeper.take_spare().ok_or(Refused::DiskLow)?;
        self.close_segment();
        let first = self.at.frontier.size();
        let path = segment_path(&self.at.log.dir, first);
        let named = fs::rename(&spare.path, &path).map_err(LedgerError::io("name", &path));
        if let Err(error) = named.and_then(|()| layout::sync_dir(&self.at.log.dir)) {
            fail_stop("begin a segment", &error);
        }
        self.keeper.hand(Job::Prepare);
        self.at.log.state().segments.push(Segment {
            first,
            offsets: Some(Arc::default()),
        });
        self.at.writer = Some(Writer {
            file: spare.file,
            first,
            at: 0,
            capacity: self.segment_bytes,
        });
        Ok(())
    }

    /// Puts frames and checkpoint into the buffer; returns leaf hashes, root and signed note.
    fn encode(
        &mut self,
        batch: &[Pending],
        first_index: u64,
        time_ms: u64,
    ) -> Result<(Vec<Hash>, Hash, Arc<str>), LedgerError> {
        let Position {
            log,
            key,
            frontier,
            writer,
            buffer,
            ..
        } = &mut self.at;
        let too_long = |_| LedgerError::EntryTooLong;
        buffer.clear();
        if writer.as_ref().is_none_or(|writer| writer.at == 0) {
            let header = SegmentHeader {
                origin: log.origin.to_string(),
                first_index,
            };
            buffer.extend_from_slice(&header.encode().map_err(too_long)?);
        }
        let mut leaf_hashes = Vec::with_capacity(batch.len());
        for (index, pending) in (first_index..).zip(batch) {
            let hash = encode_entry(buffer, index, &pending.prefix, time_ms).map_err(too_long)?;
            frontier.append(hash);
            leaf_hashes.push(hash);
        }
        let checkpoint = Checkpoint {
            origin: log.origin.to_string(),
            size: frontier.size(),
            root: frontier.root(),
        };
        let note: Arc<str> = checkpoint
            .sign(key)
            .map_err(|_| accord_proto::c2sp::KeyError::Name)?
            .to_string()
            .into();
        encode_checkpoint(buffer, checkpoint.size, &note).map_err(too_long)?;
        Ok((leaf_hashes, checkpoint.root, note))
    }

    /// Writes and syncs the buffer, or ends the process.
    fn sync(&self) {
        let Some(writer) = &self.at.writer else {
            return;
        };
        if let Err(error) = writer.file.write_all_at(&self.at.buffer, writer.at) {
            fail_stop("write a batch", &error);
        }
        let begun = Instant::now();
        if let Err(error) = writer.file.sync_data() {
            fail_stop("sync a batch", &error);
        }
        let took = u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX);
        self.counters.sync_us_last.store(took, Ordering::Relaxed);
        self.counters.sync_us_max.fetch_max(took, Ordering::Relaxed);
    }

    /// Shows the batch to readers, from the bytes that were written: a bit that flipped between
    /// hashing and writing gives another root, and no receipt leaves.
    fn commit(&mut self, root: Hash, note: &Arc<str>) {
        let at = &mut self.at;
        let Some(writer) = &mut at.writer else {
            return;
        };
        let mut full = Vec::new();
        {
            let mut state = at.log.state();
            let state = &mut *state;
            let tree = state.tree.get_or_insert_with(Tree::default);
            let mut segments = state.segments.iter_mut().rev();
            let segment = segments.find(|segment| segment.first == writer.first);
            let mut no_offsets = SparseIndex::default();
            let offsets = segment.map_or(&mut no_offsets, |segment| {
                Arc::make_mut(segment.offsets.get_or_insert_default())
            });
            let mut rest = after_header(&at.buffer, writer.at);
            let mut offset = writer.at + u64::try_from(at.buffer.len() - rest.len()).unwrap_or(0);
            while let Ok(Decoded::Frame(frame)) = decode(rest) {
                if frame.kind == FrameKind::Entry {
                    tree.append(frame.leaf_hash(), &mut full);
                    offsets.note(offset, &frame);
                }
                offset += u64::try_from(frame.len()).unwrap_or(0);
                rest = rest.get(frame.len()..).unwrap_or_default();
            }
            if tree.root() != root || !rest.is_empty() {
                fail_stop("believe what was written", &RootDiffers);
            }
            writer.at = offset;
            for (tile, hashes) in &full {
                state.pending.insert(*tile, Arc::clone(hashes));
            }
            state.size = tree.size();
            state.checkpoint = Arc::clone(note);
        }
        if !full.is_empty() {
            let log = Arc::clone(&at.log);
            self.keeper.hand(Job::Tiles { log, full });
        }
    }
}

/// The frames of a buffer that begins at `at` of its segment.
fn after_header(buffer: &[u8], at: u64) -> &[u8] {
    if at > 0 {
        return buffer;
    }
    let len = SegmentHeader::decode(buffer).map_or(0, |(_, len)| len);
    buffer.get(len..).unwrap_or_default()
}

/// Not an I/O error, and treated as one.
#[derive(Debug, thiserror::Error)]
#[error("the bytes that were written do not have the root that was signed")]
struct RootDiffers;
