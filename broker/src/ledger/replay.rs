//! Start-up: what of a month's log is believed.
//!
//! All up to the newest segment is taken from tiles and from the checkpoint with which the segment
//! before it ends; the newest segment is read and hashed whole. Then:
//!
//! - a frame that is wrong, with a checkpoint behind it, was acknowledged: nothing is started;
//! - unless a whole sector of zeros lies in that last batch, which is a write that never finished;
//! - entries behind the last checkpoint were never acknowledged, and whether the last batch itself
//!   reached the disk is not known where the process ended in a failed sync: what one reads may be
//!   the page cache. So whatever no published checkpoint covers is copied to a new segment and
//!   synced before it is believed, and the old segment is cut.

use std::fs::{self, File};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use accord_proto::c2sp::tiles::TILE_HASHES;
use accord_proto::c2sp::{Checkpoint, SignedNote, SigningKey};
use accord_proto::merkle::root_at;
use accord_proto::segment::{Frame, FrameKind, SparseIndex, look_beyond, time_of};
use accord_proto::subject::Month;

use super::error::LedgerError;
use super::layout::{self, segment_label, segment_path};
use super::month::MonthLog;
use super::scan::{self, ScanEnd};
use super::settle::{Settle, cut};
use super::tree::{self, FullTile, Tree, TreeReader};
use super::witnessed;

/// Where the sequencer goes on.
#[derive(Debug)]
pub(super) struct Writer {
    pub(super) file: File,
    pub(super) first: u64,
    /// Offset of the next frame.
    pub(super) at: u64,
    pub(super) capacity: u64,
}

/// What the sequencer needs to go on with a log.
#[derive(Debug)]
pub(super) struct Resume {
    /// The newest segment, if it is in order to its end.
    pub(super) writer: Option<Writer>,
    /// Time of the last entry.
    pub(super) last_ms: u64,
    /// Entries that no checkpoint covered.
    pub(super) recovered: u64,
}

/// A checkpoint frame.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mark {
    pub(super) size: u64,
    pub(super) end: u64,
}

/// A segment while it is read.
pub(super) struct Replay<'a> {
    pub(super) log: &'a MonthLog,
    pub(super) path: PathBuf,
    pub(super) tree: Tree,
    full: Vec<FullTile>,
    offsets: SparseIndex,
    last_ms: u64,
    pub(super) before_last: Option<Mark>,
    pub(super) last: Option<Mark>,
    pub(super) last_note: String,
    /// Frames behind the checkpoint of this size are a tail that was copied to the next segment.
    until: Option<u64>,
}

impl<'a> Replay<'a> {
    fn new(log: &'a MonthLog, first: u64, tree: Tree, last_ms: u64) -> Self {
        Self {
            log,
            path: segment_path(&log.dir, first),
            tree,
            full: Vec::new(),
            offsets: SparseIndex::default(),
            last_ms,
            before_last: None,
            last: None,
            last_note: String::new(),
            until: None,
        }
    }

    fn damaged(&self, offset: u64, what: &str) -> LedgerError {
        LedgerError::Damaged {
            segment: segment_label(&self.path),
            offset,
            entry: self.tree.size(),
            what: what.to_owned(),
        }
    }

    fn run(&mut self) -> Result<(u64, ScanEnd), LedgerError> {
        let path = self.path.clone();
        let (header, len) =
            scan::read_header(&path)?.ok_or_else(|| self.damaged(0, "nothing was written here"))?;
        if *header.origin != *self.log.origin || header.first_index != self.tree.size() {
            return Err(self.damaged(0, "the segment belongs to another place"));
        }
        let end = scan::scan(&path, len, |offset, frame| self.frame(offset, &frame))?;
        for (tile, hashes) in self.full.drain(..) {
            tree::write_tile(self.log, tile, &hashes)?;
        }
        Ok((len, end))
    }

    fn frame(&mut self, offset: u64, frame: &Frame<'_>) -> Result<ControlFlow<()>, LedgerError> {
        match frame.kind {
            FrameKind::Entry => self.entry(offset, frame)?,
            FrameKind::Checkpoint => self.checkpoint(offset, frame)?,
        }
        Ok(match self.until {
            Some(until) if frame.kind == FrameKind::Checkpoint && frame.index == until => {
                ControlFlow::Break(())
            }
            Some(_) | None => ControlFlow::Continue(()),
        })
    }

    fn entry(&mut self, offset: u64, frame: &Frame<'_>) -> Result<(), LedgerError> {
        if frame.index != self.tree.size() {
            return Err(self.damaged(offset, "the entries are not in order"));
        }
        let time = time_of(frame.payload())
            .ok_or_else(|| self.damaged(offset, "the entry has no time"))?;
        if time < self.last_ms {
            return Err(self.damaged(offset, "the entry's time goes back"));
        }
        self.last_ms = time;
        self.tree.append(frame.leaf_hash(), &mut self.full);
        self.offsets.note(offset, frame);
        Ok(())
    }

    fn checkpoint(&mut self, offset: u64, frame: &Frame<'_>) -> Result<(), LedgerError> {
        let note = str::from_utf8(frame.payload())
            .map_err(|_| self.damaged(offset, "the checkpoint is no text"))?;
        let text = note.split_once("\n\n").map_or("", |(text, _)| text);
        let checkpoint = Checkpoint::parse(&format!("{text}\n"))
            .map_err(|_| self.damaged(offset, "the checkpoint can not be read"))?;
        let size = self.tree.size();
        let here = *checkpoint.origin == *self.log.origin && checkpoint.size == size;
        if !here || frame.index != size {
            return Err(self.damaged(offset, "the checkpoint belongs to another place"));
        }
        if checkpoint.root != self.tree.root() {
            return Err(self.damaged(offset, "the entries do not have the root that was signed"));
        }
        note.clone_into(&mut self.last_note);
        self.before_last = self.last;
        let len = u64::try_from(frame.len()).unwrap_or(0);
        self.last = Some(Mark {
            size,
            end: offset + len,
        });
        Ok(())
    }
}

/// Opens the newest month for writing.
pub(super) fn open_month(
    root: &Path,
    key: &SigningKey,
    month: Month,
    witnessed: &[Checkpoint],
) -> Result<(MonthLog, Resume), LedgerError> {
    let log = MonthLog::new(root, key.verifier().name(), month);
    log.load_segments()?;
    drop_unwritten(&log)?;
    let (published, _) = log.published(key.verifier())?;
    let published_size = published.size;
    let Some(first) = log.state().segments.last().map(|segment| segment.first) else {
        return Err(LedgerError::Missing { dir: log.dir });
    };
    let (tree, last_ms, base_note) = base(&log, key, first)?;
    let mut replay = Replay::new(&log, first, tree, last_ms);
    replay.last_note = base_note;
    let (header_end, end) = replay.run()?;
    let (good_end, clean) = judge(&replay, first, end, published_size)?;
    verify_signature(&log, key, &replay)?;

    let size = replay.tree.size();
    if published_size > size {
        return Err(LedgerError::Shorter {
            origin: log.origin.to_string(),
            published: published_size,
            found: size,
        });
    }
    let reader = TreeReader::with_edge(&log, &replay.tree, false);
    if root_at(&reader, published_size)? != published.root {
        return Err(LedgerError::Forked {
            origin: log.origin.to_string(),
            published: published_size,
        });
    }
    match witnessed::check(&log, size, &reader, witnessed) {
        // A tile may be wrong, and is derived.
        Err(LedgerError::WitnessedOther { .. }) => {
            let anew = TreeReader::with_edge(&log, &replay.tree, true);
            witnessed::check(&log, size, &anew, witnessed)?;
        }
        other => other?,
    }
    let settle = Settle {
        replay: &replay,
        key,
        first,
        header_end,
        good_end,
        published_size,
    };
    let (writer, note) = settle.run(clean)?;
    let recovered = size - replay.last.map_or(first, |mark| mark.size);
    let (tree, offsets, last_ms) = (replay.tree, replay.offsets, replay.last_ms);
    {
        let mut state = log.state();
        if let (Some(_), Some(segment)) = (&writer, state.segments.last_mut()) {
            segment.offsets = Some(Arc::new(offsets));
        }
        state.size = size;
        state.tree = Some(tree);
        state.checkpoint = note.into();
    }
    let resume = Resume {
        writer,
        last_ms,
        recovered,
    };
    Ok((log, resume))
}

/// A segment that got its name and nothing else holds nothing.
fn drop_unwritten(log: &MonthLog) -> Result<(), LedgerError> {
    loop {
        let last = log.state().segments.last().map(|segment| segment.first);
        let Some(first) = last else { return Ok(()) };
        let path = segment_path(&log.dir, first);
        if scan::read_header(&path)?.is_some()
            || !matches!(
                scan::scan(&path, 0, |_, _| Ok(ControlFlow::Break(())))?,
                ScanEnd::Clean { .. }
            )
        {
            return Ok(());
        }
        fs::remove_file(&path).map_err(LedgerError::io("remove", &path))?;
        layout::sync_dir(&log.dir)?;
        log.state().segments.pop();
    }
}

/// The tree before the newest segment, the time of its last entry, and the checkpoint with which
/// the segment before ends.
fn base(log: &MonthLog, key: &SigningKey, first: u64) -> Result<(Tree, u64, String), LedgerError> {
    if first == 0 {
        return Ok((Tree::default(), 0, String::new()));
    }
    let mut last_ms = 0;
    let mut leaves = Vec::new();
    let from = (first - 1) / TILE_HASHES * TILE_HASHES;
    log.read_entries(from, first - from, |index, frame| {
        last_ms = time_of(frame.payload()).unwrap_or(last_ms);
        if index >= first / TILE_HASHES * TILE_HASHES {
            leaves.push(frame.leaf_hash());
        }
        Ok(())
    })?;
    let (path, note, end) = log.checkpoint_frame(first)?;
    let checkpoint = open_note(log, key, &note).ok_or_else(|| LedgerError::Damaged {
        segment: segment_label(&path),
        offset: end,
        entry: first,
        what: "the checkpoint before the newest segment is not believed".to_owned(),
    })?;
    cut(&path, end)?;
    let tree = match Tree::restore(log, first, leaves) {
        Ok(tree) if tree.root() == checkpoint.root => tree,
        Ok(_) | Err(_) => {
            tracing::warn!(origin = %log.origin, "hash tiles are missing or wrong, made anew");
            all_anew(log, first)?
        }
    };
    Ok((tree, last_ms, note))
}

/// Reads every segment before `end` and writes all tiles.
fn all_anew(log: &MonthLog, end: u64) -> Result<Tree, LedgerError> {
    let firsts: Vec<u64> = log.state().segments.iter().map(|s| s.first).collect();
    let (mut tree, mut last_ms) = (Tree::default(), 0);
    for (first, next) in firsts.iter().zip(firsts.iter().skip(1)) {
        if *first >= end {
            break;
        }
        let mut replay = Replay::new(log, *first, tree, last_ms);
        replay.until = Some(*next);
        match replay.run()?.1 {
            ScanEnd::Stopped => {}
            ScanEnd::Broken { offset, error } => {
                return Err(replay.damaged(offset, &error.to_string()));
            }
            ScanEnd::Clean { offset } => {
                return Err(replay.damaged(offset, "the segment ends too early"));
            }
        }
        (tree, last_ms) = (replay.tree, replay.last_ms);
    }
    Ok(tree)
}

/// Where the sound frames of the newest segment end, and whether nothing stands behind them.
fn judge(
    replay: &Replay<'_>,
    first: u64,
    end: ScanEnd,
    published_size: u64,
) -> Result<(u64, bool), LedgerError> {
    let (offset, error) = match end {
        ScanEnd::Clean { offset } => return Ok((offset, true)),
        ScanEnd::Broken { offset, error } => (offset, error),
        ScanEnd::Stopped => return Err(replay.damaged(0, "the segment was not read whole")),
    };
    let last_size = replay.last.map_or(first, |mark| mark.size);
    let bytes = fs::read(&replay.path).map_err(LedgerError::io("read", &replay.path))?;
    let start = usize::try_from(offset).unwrap_or(usize::MAX);
    let beyond = look_beyond(&bytes, start, &replay.log.origin, last_size);
    if beyond.never_finished(published_size) {
        return Ok((offset, false));
    }
    Err(replay.damaged(offset, &error.to_string()))
}

fn open_note(log: &MonthLog, key: &SigningKey, note: &str) -> Option<Checkpoint> {
    let note = SignedNote::parse(note).ok()?;
    let checkpoint = Checkpoint::open(&note, std::slice::from_ref(key.verifier())).ok()?;
    (*checkpoint.origin == *log.origin).then_some(checkpoint)
}

/// The roots of all checkpoints were compared; the signature of the last one stands for them.
fn verify_signature(
    log: &MonthLog,
    key: &SigningKey,
    replay: &Replay<'_>,
) -> Result<(), LedgerError> {
    let end = replay.last.map_or(0, |mark| mark.end);
    if replay.last.is_some() && open_note(log, key, &replay.last_note).is_none() {
        return Err(replay.damaged(end, "the checkpoint before this offset is not believed"));
    }
    Ok(())
}
