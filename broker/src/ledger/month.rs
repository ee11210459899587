//! One month's log: what readers and the sequencer share of it, and how entries are found in its
//! segments.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use accord_proto::c2sp::{Checkpoint, CheckpointError, SignedNote, Tile, VerifierKey};
use accord_proto::merkle::Hash;
use accord_proto::segment::{Frame, FrameKind, SparseIndex};
use accord_proto::subject::Month;

use super::error::LedgerError;
use super::layout::{self, CHECKPOINT_FILE, index_path, segment_label, segment_path};
use super::scan::{self, ScanEnd};
use super::tree::{self, Tree, TreeReader};

/// One month's log.
#[derive(Debug)]
pub(super) struct MonthLog {
    pub(super) origin: Arc<str>,
    pub(super) month: Month,
    pub(super) dir: PathBuf,
    state: Mutex<MonthState>,
    publishing: Mutex<()>,
}

/// What of a log changes. All of it is durable.
#[derive(Debug, Default)]
pub(super) struct MonthState {
    /// Number of entries that a checkpoint covers.
    pub(super) size: u64,
    /// The newest signed checkpoint.
    pub(super) checkpoint: Arc<str>,
    /// The right edge, where this log was written to since the start.
    pub(super) tree: Option<Tree>,
    pub(super) segments: Vec<Segment>,
    /// Full tiles that are not on disk yet.
    pub(super) pending: HashMap<Tile, Arc<Vec<Hash>>>,
}

/// A segment and where to find entries in it.
#[derive(Clone, Debug)]
pub(super) struct Segment {
    pub(super) first: u64,
    /// Offsets of the entries whose index is a multiple of 256; read when first needed.
    pub(super) offsets: Option<Arc<SparseIndex>>,
}

impl MonthLog {
    /// A log with nothing known of it yet.
    pub(super) fn new(root: &Path, prefix: &str, month: Month) -> Self {
        Self {
            origin: format!("{prefix}/{month}").into(),
            month,
            dir: root.join(month.to_string()),
            state: Mutex::default(),
            publishing: Mutex::default(),
        }
    }

    /// A month that is over: its published checkpoint covers all of it.
    pub(super) fn open_closed(
        root: &Path,
        key: &VerifierKey,
        month: Month,
    ) -> Result<Self, LedgerError> {
        let log = Self::new(root, key.name(), month);
        let (checkpoint, text) = log.published(key)?;
        log.load_segments()?;
        {
            let mut state = log.state();
            state.size = checkpoint.size;
            state.checkpoint = text.into();
        }
        Ok(log)
    }

    /// The lock. A holder does no I/O, so that the sequencer never waits for a disk here.
    pub(super) fn state(&self) -> MutexGuard<'_, MonthState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn load_segments(&self) -> Result<(), LedgerError> {
        let segments = layout::list_segments(&self.dir)?
            .into_iter()
            .map(|first| Segment {
                first,
                offsets: None,
            })
            .collect();
        self.state().segments = segments;
        Ok(())
    }

    /// The checkpoint that was last published, and its text. A month has one before it has its
    /// name, and a crash never leaves less than the one before; without it nobody could tell
    /// whether entries were cut off or replaced.
    pub(super) fn published(&self, key: &VerifierKey) -> Result<(Checkpoint, String), LedgerError> {
        let path = self.dir.join(CHECKPOINT_FILE);
        let bytes = layout::read_if_present(&path)?.unwrap_or_default();
        if bytes.iter().all(|byte| *byte == 0) {
            return Err(LedgerError::Unpublished { path });
        }
        let text = String::from_utf8_lossy(&bytes).into_owned();
        match self.opened(&text, key) {
            Ok(checkpoint) => Ok((checkpoint, text)),
            Err(source) => Err(LedgerError::Published { path, source }),
        }
    }

    /// Whether a note is a checkpoint of this log, signed by its key.
    pub(super) fn is_signed(&self, text: &str, key: &VerifierKey) -> bool {
        self.opened(text, key).is_ok()
    }

    fn opened(&self, text: &str, key: &VerifierKey) -> Result<Checkpoint, CheckpointError> {
        let note = SignedNote::parse(text)?;
        let checkpoint = Checkpoint::open(&note, std::slice::from_ref(key))?;
        let ours = *checkpoint.origin == *self.origin;
        ours.then_some(checkpoint).ok_or(CheckpointError::Form)
    }

    /// Publishes the newest checkpoint; returns its size. It is synced before it gets its name, so
    /// that a power cut leaves it or the one before; `durable`: this one surely.
    pub(super) fn publish(&self, durable: bool) -> Result<u64, LedgerError> {
        // One at a time, so that an older checkpoint never replaces a newer one.
        let _one = self
            .publishing
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let (size, checkpoint) = {
            let state = self.state();
            (state.size, Arc::clone(&state.checkpoint))
        };
        let path = self.dir.join(CHECKPOINT_FILE);
        if durable {
            layout::write_durable(&path, checkpoint.as_bytes())?;
        } else {
            layout::write_whole(&path, checkpoint.as_bytes())?;
        }
        Ok(size)
    }

    pub(super) fn pending_tile(&self, tile: Tile) -> Option<Arc<Vec<Hash>>> {
        self.state().pending.get(&tile).cloned()
    }

    /// Calls `with` with a reader of the newest tree, its size and checkpoint; `anew` makes all
    /// tiles from the entries.
    pub(super) fn read_tree<T>(
        &self,
        anew: bool,
        with: impl FnOnce(&TreeReader<'_>, u64, Arc<str>) -> Result<T, LedgerError>,
    ) -> Result<T, LedgerError> {
        let (tree, size, checkpoint) = {
            let state = self.state();
            (
                state.tree.clone(),
                state.size,
                Arc::clone(&state.checkpoint),
            )
        };
        let reader = match &tree {
            Some(tree) => TreeReader::with_edge(self, tree, anew),
            None => TreeReader::stored(self, size, anew),
        };
        with(&reader, size, checkpoint)
    }

    /// Writes what the right edge of a log that is over holds, as partial tiles.
    pub(super) fn write_edge(&self) -> Result<(), LedgerError> {
        let (edge, size) = {
            let state = self.state();
            let edge = state.tree.as_ref().map(|tree| tree.edge().to_vec());
            (edge.unwrap_or_default(), state.size)
        };
        for (level, hashes) in (0_u8..).zip(&edge) {
            let width = u16::try_from(hashes.len()).unwrap_or(0);
            let index = Tile::full_count(level, size);
            if let Some(tile) = Tile::partial(level, index, width) {
                tree::write_tile(self, tile, hashes)?;
            }
        }
        Ok(())
    }

    /// Shows `count` entries from index `from` on, or as many as there are in the files.
    pub(super) fn read_entries(
        &self,
        from: u64,
        count: u64,
        mut each: impl FnMut(u64, Frame<'_>) -> Result<(), LedgerError>,
    ) -> Result<(), LedgerError> {
        let end = from.saturating_add(count);
        let mut next = from;
        while next < end {
            let Some((path, offset, until)) = self.locate(next)? else {
                return Err(LedgerError::Range { size: next });
            };
            // Frames at or beyond `until` belong to the next segment: they are a tail that was
            // copied there.
            let stop = end.min(until);
            let scanned = scan::scan(&path, offset, |_, frame| {
                if frame.kind == FrameKind::Entry && frame.index == next {
                    each(next, frame)?;
                    next += 1;
                }
                Ok(if next >= stop {
                    ControlFlow::Break(())
                } else {
                    ControlFlow::Continue(())
                })
            })?;
            let (offset, what) = match scanned {
                ScanEnd::Stopped => continue,
                ScanEnd::Broken { offset, error } => (offset, error.to_string()),
                ScanEnd::Clean { offset } => (offset, "the entry is missing".to_owned()),
            };
            return Err(LedgerError::Damaged {
                segment: segment_label(&path),
                offset,
                entry: next,
                what,
            });
        }
        Ok(())
    }

    /// The checkpoint frame of a size at which a segment ends: the segment's file, the signed note
    /// and where the frame ends.
    pub(super) fn checkpoint_frame(
        &self,
        size: u64,
    ) -> Result<(PathBuf, String, u64), LedgerError> {
        let Some((path, offset, _)) = self.locate(size.saturating_sub(1))? else {
            return Err(LedgerError::Range { size });
        };
        let mut found = None;
        let mut last_offset = offset;
        scan::scan(&path, offset, |offset, frame| {
            last_offset = offset;
            if frame.kind == FrameKind::Checkpoint && frame.index == size {
                let end = offset + u64::try_from(frame.len()).unwrap_or(0);
                found = Some((String::from_utf8_lossy(frame.payload()).into_owned(), end));
                return Ok(ControlFlow::Break(()));
            }
            Ok(ControlFlow::Continue(()))
        })?;
        let (note, end) = found.ok_or_else(|| LedgerError::Damaged {
            segment: segment_label(&path),
            offset: last_offset,
            entry: size,
            what: "the checkpoint before the next segment is missing or damaged".to_owned(),
        })?;
        Ok((path, note, end))
    }

    /// The segment that holds an entry, an offset at or before it, and where the next segment
    /// begins.
    fn locate(&self, index: u64) -> Result<Option<(PathBuf, u64, u64)>, LedgerError> {
        let (segment, until) = {
            let state = self.state();
            let after = state.segments.partition_point(|s| s.first <= index);
            let until = state.segments.get(after).map_or(u64::MAX, |s| s.first);
            let segment = after.checked_sub(1).and_then(|at| state.segments.get(at));
            (segment.cloned(), until)
        };
        let Some(Segment { first, offsets }) = segment else {
            return Ok(None);
        };
        let path = segment_path(&self.dir, first);
        let offsets = match offsets {
            Some(offsets) => offsets,
            None => self.load_offsets(first, until)?,
        };
        if let Some(offset) = offsets.floor(first, index) {
            return Ok(Some((path, offset, until)));
        }
        let header = scan::read_header(&path)?;
        Ok(header.map(|(_, len)| (path, len, until)))
    }

    fn load_offsets(&self, first: u64, until: u64) -> Result<Arc<SparseIndex>, LedgerError> {
        let stored = layout::read_if_present(&index_path(&self.dir, first))?;
        let offsets = match stored.as_deref().and_then(SparseIndex::decode) {
            Some(offsets) => offsets,
            None => self.make_offsets(first, until)?,
        };
        let offsets = Arc::new(offsets);
        let mut state = self.state();
        let segment = state.segments.iter_mut().find(|s| s.first == first);
        if let Some(segment) = segment {
            segment.offsets = Some(Arc::clone(&offsets));
        }
        Ok(offsets)
    }

    /// The index is derived: one pass over the segment makes it again. Frames at or beyond `until`
    /// are none of it: a start that was killed before it cut them has copied them to the next
    /// segment.
    fn make_offsets(&self, first: u64, until: u64) -> Result<SparseIndex, LedgerError> {
        let path = segment_path(&self.dir, first);
        let mut offsets = SparseIndex::default();
        if let Some((_, header_len)) = scan::read_header(&path)? {
            scan::scan(&path, header_len, |offset, frame| {
                if frame.kind == FrameKind::Entry && frame.index >= until {
                    return Ok(ControlFlow::Break(()));
                }
                offsets.note(offset, &frame);
                Ok(ControlFlow::Continue(()))
            })?;
            layout::write_derived(&index_path(&self.dir, first), &offsets.encode())?;
        }
        Ok(offsets)
    }
}
