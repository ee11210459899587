//! One month's log, from its first segment to its last.

mod derived;

use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use accord_proto::c2sp::{Checkpoint, CheckpointError, SignedNote, VerifierKey};
use accord_proto::merkle::{Frontier, Hash};
use accord_proto::segment::{
    Frame, FrameError, FrameKind, SegmentHeader, SparseIndex, look_beyond, time_of,
};
use accord_proto::v1;
use prost::Message as _;

use super::segment::{End, Segment};
use super::{UnsignedTail, VerifiedLog, VerifyError, names, read_if_present};

const CHECKPOINT_FILE: &str = "checkpoint";
const SEGMENT_SUFFIX: &str = ".segment";

/// What a month must continue.
#[derive(Default)]
pub(super) struct Before {
    /// The last checkpoint, as it was signed.
    last_note: String,
    /// Time of the last entry.
    last_ms: u64,
    /// The authorities' keys that entry 0 pins; `None` before the first month.
    authority_vkeys: Option<Vec<String>>,
}

/// What is known of a log while it is read.
pub(super) struct MonthCheck<'a> {
    dir: PathBuf,
    keys: &'a [VerifierKey],
    before: Before,
    last_note: String,
    last_ms: u64,
    authority_vkeys: Option<Vec<String>>,
    log: VerifiedLog,
    /// The tree over all entries that were read.
    tree: Frontier,
    /// The hashes of the tiles that are not full, by level.
    edge: Vec<Vec<Hash>>,
    published: Option<Checkpoint>,
    path: PathBuf,
    index: SparseIndex,
}

impl<'a> MonthCheck<'a> {
    pub(super) fn new(dir: &Path, origin: String, keys: &'a [VerifierKey], before: Before) -> Self {
        Self {
            dir: dir.to_owned(),
            keys,
            last_note: String::new(),
            last_ms: before.last_ms,
            authority_vkeys: None,
            before,
            log: VerifiedLog {
                origin,
                entries: 0,
                root: Frontier::new().root(),
                checkpoints: 0,
                segments: 0,
                tiles: 0,
                tiles_missing: 0,
                unsigned: None,
            },
            tree: Frontier::new(),
            edge: Vec::new(),
            published: None,
            path: dir.to_owned(),
            index: SparseIndex::default(),
        }
    }

    /// What the next month must continue.
    pub(super) fn end(self) -> Before {
        Before {
            last_note: self.last_note,
            last_ms: self.last_ms,
            authority_vkeys: self.authority_vkeys,
        }
    }

    fn label(&self) -> String {
        let name = |part: Option<&std::ffi::OsStr>| part.unwrap_or_default().display().to_string();
        let month = name(self.dir.file_name());
        format!("{month}/{}", name(self.path.file_name()))
    }

    fn damaged(&self, offset: u64, what: impl Into<String>) -> VerifyError {
        VerifyError::Damaged {
            segment: self.label(),
            offset,
            entry: self.tree.size(),
            what: what.into(),
        }
    }

    /// Reads the whole log. `closed`: a later month follows, so nothing may be unsigned.
    pub(super) fn run(&mut self, closed: bool) -> Result<VerifiedLog, VerifyError> {
        let mut firsts: Vec<u64> = names(&self.dir)?
            .iter()
            .filter_map(|name| name.strip_suffix(SEGMENT_SUFFIX)?.parse().ok())
            .collect();
        firsts.sort_unstable();
        self.log.segments = firsts.len();
        let published = self.read_published();
        if firsts.is_empty() && published.is_err() {
            self.path = self.segment_path(0);
            return Err(self.damaged(0, "the month has no entries"));
        }
        self.published = Some(published?);
        for (position, first) in firsts.iter().enumerate() {
            let next = firsts.get(position + 1).copied();
            self.segment(*first, next)?;
        }
        if closed && let Some(tail) = &self.log.unsigned {
            return Err(self.damaged(tail.offset, "a month that is over ends unsigned"));
        }
        self.check_published()?;
        // A month gets its name after entry 0 and the checkpoint over it are on the disk.
        if self.log.entries == 0 {
            return Err(self.damaged(0, "entry 0 is not there, or not signed"));
        }
        self.check_edge()?;
        Ok(self.log.clone())
    }

    fn segment_path(&self, first: u64) -> PathBuf {
        self.dir.join(format!("{first:020}{SEGMENT_SUFFIX}"))
    }

    fn read_published(&self) -> Result<Checkpoint, VerifyError> {
        let path = self.dir.join(CHECKPOINT_FILE);
        let bytes = read_if_present(&path)?.unwrap_or_default();
        if bytes.iter().all(|byte| *byte == 0) {
            return Err(VerifyError::Unpublished { path });
        }
        let opened = str::from_utf8(&bytes)
            .map_err(|_| CheckpointError::Form)
            .and_then(|text| Ok(SignedNote::parse(text)?))
            .and_then(|note| Checkpoint::open(&note, self.keys));
        match opened {
            Ok(checkpoint) if checkpoint.origin == self.log.origin => Ok(checkpoint),
            Ok(_) => Err(VerifyError::Forked { path }),
            Err(source) => Err(VerifyError::Published { path, source }),
        }
    }

    fn check_published(&self) -> Result<(), VerifyError> {
        match &self.published {
            Some(published) if published.size > self.log.entries => Err(VerifyError::Shorter {
                origin: self.log.origin.clone(),
                published: published.size,
                found: self.log.entries,
            }),
            Some(_) | None => Ok(()),
        }
    }

    fn segment(&mut self, first: u64, next: Option<u64>) -> Result<(), VerifyError> {
        let path = self.segment_path(first);
        self.path.clone_from(&path);
        self.index = SparseIndex::default();
        let (mut segment, header) = match Segment::open(&path)? {
            Ok(opened) => opened,
            // The last one got its name and nothing else.
            Err(_) if next.is_none() && first > 0 && is_zero(&path)? => return Ok(()),
            Err(error) => return Err(self.damaged(0, error.to_string())),
        };
        let expected = SegmentHeader {
            origin: self.log.origin.clone(),
            first_index: self.tree.size(),
        };
        if header != expected || first != header.first_index {
            return Err(self.damaged(0, "the segment belongs to another place"));
        }
        let end = segment.frames(|offset, frame| {
            match frame.kind {
                FrameKind::Entry => self.entry(offset, &frame)?,
                FrameKind::Checkpoint => self.checkpoint(offset, &frame)?,
            }
            let last = frame.kind == FrameKind::Checkpoint && Some(frame.index) == next;
            Ok(if last {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            })
        })?;
        match (end, next) {
            (End::Stopped { offset }, _) => {
                if !segment.rest_is_zero()? {
                    return Err(self.damaged(offset, "bytes stand behind the segment's end"));
                }
            }
            (End::Clean { offset }, None) => self.tail(offset)?,
            (End::Broken { offset, error }, None) => self.broken(&path, offset, error)?,
            (End::Clean { offset }, Some(_)) => {
                return Err(self.damaged(offset, "the segment ends before the next one begins"));
            }
            (End::Broken { offset, error }, Some(_)) => {
                return Err(self.damaged(offset, error.to_string()));
            }
        }
        self.check_index(first)
    }

    fn entry(&mut self, offset: u64, frame: &Frame<'_>) -> Result<(), VerifyError> {
        if frame.index != self.tree.size() {
            return Err(self.damaged(offset, "the entries are not in order"));
        }
        let Some(time) = time_of(frame.payload()) else {
            return Err(self.damaged(offset, "the entry has no time"));
        };
        if time < self.last_ms {
            return Err(self.damaged(offset, "the entry's time goes back"));
        }
        if frame.index == 0 {
            self.check_opening(offset, frame.payload())?;
        }
        self.last_ms = time;
        self.index.note(offset, frame);
        self.append(frame.leaf_hash())?;
        let size = self.tree.size();
        let published = self.published.as_ref().filter(|p| p.size == size);
        if published.is_some_and(|published| published.root != self.tree.root()) {
            return Err(VerifyError::Forked {
                path: self.dir.join(CHECKPOINT_FILE),
            });
        }
        Ok(())
    }

    fn check_opening(&mut self, offset: u64, entry: &[u8]) -> Result<(), VerifyError> {
        let event = v1::Entry::decode(entry).ok().and_then(|entry| entry.event);
        let Some(v1::entry::Event::LogOpened(opened)) = event else {
            return Err(self.damaged(offset, "entry 0 does not open the log"));
        };
        if opened.origin != self.log.origin {
            return Err(self.damaged(offset, "entry 0 opens another log"));
        }
        if opened.previous_checkpoint != self.before.last_note {
            return Err(self.damaged(offset, "entry 0 does not continue the month before"));
        }
        let pinned = self.before.authority_vkeys.as_ref();
        if pinned.is_some_and(|pinned| *pinned != opened.authority_vkeys) {
            let what = "entry 0 pins other authorities than the month before";
            return Err(self.damaged(offset, what));
        }
        self.authority_vkeys = Some(opened.authority_vkeys);
        Ok(())
    }

    fn checkpoint(&mut self, offset: u64, frame: &Frame<'_>) -> Result<(), VerifyError> {
        let opened = str::from_utf8(frame.payload())
            .map_err(|_| CheckpointError::Form)
            .and_then(|text| Ok((text, SignedNote::parse(text)?)))
            .and_then(|(text, note)| Ok((text, Checkpoint::open(&note, self.keys)?)));
        let (text, checkpoint) = match opened {
            Ok(opened) => opened,
            Err(error) => return Err(self.damaged(offset, error.to_string())),
        };
        let size = self.tree.size();
        let here = checkpoint.origin == self.log.origin && checkpoint.size == size;
        if !here || frame.index != size {
            return Err(self.damaged(offset, "the checkpoint belongs to another place"));
        }
        if checkpoint.root != self.tree.root() {
            let what = "the entries do not have the root that was signed";
            return Err(self.damaged(offset, what));
        }
        text.clone_into(&mut self.last_note);
        self.log.entries = size;
        self.log.root = checkpoint.root;
        self.log.checkpoints += 1;
        Ok(())
    }

    /// Sound frames to the end: entries without a checkpoint are unsigned.
    fn tail(&mut self, offset: u64) -> Result<(), VerifyError> {
        let entries = self.tree.size() - self.log.entries;
        if entries > 0 {
            let published = self.published.as_ref().map_or(0, |p| p.size);
            if published > self.log.entries {
                return Err(self.damaged(offset, "the checkpoint that was published is missing"));
            }
            self.log.unsigned = Some(UnsignedTail {
                segment: self.label(),
                offset,
                entries,
            });
        }
        Ok(())
    }

    fn broken(&mut self, path: &Path, offset: u64, error: FrameError) -> Result<(), VerifyError> {
        let bytes = fs::read(path).map_err(VerifyError::io(path))?;
        let start = usize::try_from(offset).unwrap_or(usize::MAX);
        let beyond = look_beyond(&bytes, start, &self.log.origin, self.log.entries);
        let published = self.published.as_ref().map_or(0, |p| p.size);
        let looks_torn = beyond.checkpoints > 0 || is_torn(bytes.get(start..).unwrap_or_default());
        if !beyond.never_finished(published) || published > self.log.entries || !looks_torn {
            return Err(self.damaged(offset, error.to_string()));
        }
        self.log.unsigned = Some(UnsignedTail {
            segment: self.label(),
            offset,
            entries: self.tree.size() - self.log.entries,
        });
        Ok(())
    }
}

/// A write that was cut off ends in the middle of a frame, with the file or with zeros: at least a
/// sector of them. A frame that was changed has sound bytes up to its end.
fn is_torn(rest: &[u8]) -> bool {
    let written = rest
        .iter()
        .rposition(|byte| *byte != 0)
        .map_or(0, |at| at + 1);
    let len = rest
        .first_chunk::<4>()
        .map_or(0, |len| u32::from_le_bytes(*len));
    let whole = usize::try_from(len)
        .unwrap_or(usize::MAX)
        .saturating_add(accord_proto::segment::FRAME_HEADER_BYTES);
    written < whole
}

fn is_zero(path: &Path) -> Result<bool, VerifyError> {
    let bytes = fs::read(path).map_err(VerifyError::io(path))?;
    Ok(bytes.iter().all(|byte| *byte == 0))
}
