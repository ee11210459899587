//! Start-up: making durable what isn't known to be.

use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use accord_proto::c2sp::{Checkpoint, SigningKey};
use accord_proto::segment::{SegmentHeader, encode_checkpoint};

use super::error::LedgerError;
use super::layout::{self, index_path, segment_path};
use super::month::Segment;
use super::replay::{Mark, Replay, Writer};

/// Makes durable what isn't known to be.
pub(super) struct Settle<'a> {
    pub(super) replay: &'a Replay<'a>,
    pub(super) key: &'a SigningKey,
    pub(super) first: u64,
    pub(super) header_end: u64,
    pub(super) good_end: u64,
    pub(super) published_size: u64,
}

impl Settle<'_> {
    /// Returns the segment to go on in, if there is one, and the newest signed checkpoint.
    pub(super) fn run(&self, clean: bool) -> Result<(Option<Writer>, String), LedgerError> {
        let Replay { log, path, .. } = self.replay;
        let size = self.replay.tree.size();
        let Some(last) = self.replay.last else {
            if size == self.first {
                // A header and nothing sound: the segment before is the newest.
                fs::remove_file(path).map_err(LedgerError::io("remove", path))?;
                layout::sync_dir(&log.dir)?;
                log.state().segments.pop();
                return Ok((None, self.replay.last_note.clone()));
            }
            return self.copy(Mark {
                size: self.first,
                end: self.header_end,
            });
        };
        if self.published_size < last.size {
            return self.copy(self.replay.before_last.unwrap_or(Mark {
                size: self.first,
                end: self.header_end,
            }));
        }
        if size > last.size {
            return self.copy(last);
        }
        if !clean {
            cut(path, last.end)?;
            return Ok((None, self.replay.last_note.clone()));
        }
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .open(path)
            .map_err(LedgerError::io("open", path))?;
        let capacity = file
            .metadata()
            .map_err(LedgerError::io("open", path))?
            .len();
        let writer = Writer {
            file,
            first: self.first,
            at: last.end,
            capacity,
        };
        Ok((Some(writer), self.replay.last_note.clone()))
    }

    /// Copies what stands behind `keep` to a new segment, ends it with a checkpoint, and cuts the
    /// old one. Each step leaves a log that opens.
    fn copy(&self, keep: Mark) -> Result<(Option<Writer>, String), LedgerError> {
        let Replay { log, path, .. } = self.replay;
        let size = self.replay.tree.size();
        let header = SegmentHeader {
            origin: log.origin.to_string(),
            first_index: keep.size,
        };
        let too_long = |_| LedgerError::EntryTooLong;
        let mut bytes = header.encode().map_err(too_long)?;
        let len = usize::try_from(self.good_end - keep.end).unwrap_or(usize::MAX);
        let mut frames = vec![0; len];
        File::open(path)
            .and_then(|file| file.read_exact_at(&mut frames, keep.end))
            .map_err(LedgerError::io("read", path))?;
        bytes.extend_from_slice(&frames);
        let mut note = self.replay.last_note.clone();
        if self.replay.last.is_none_or(|last| last.size < size) {
            note = self.sign(size)?;
            encode_checkpoint(&mut bytes, size, &note).map_err(too_long)?;
        }
        let temporary = log.dir.join("recovered.tmp");
        File::create(&temporary)
            .and_then(|mut file| {
                file.write_all(&bytes)?;
                file.sync_all()
            })
            .map_err(LedgerError::io("write", &temporary))?;
        let target = segment_path(&log.dir, keep.size);
        fs::rename(&temporary, &target).map_err(LedgerError::io("name", &target))?;
        layout::sync_dir(&log.dir)?;
        let mut segments = log.state().segments.clone();
        if keep.size != self.first {
            cut(path, keep.end)?;
            segments.push(Segment {
                first: keep.size,
                offsets: None,
            });
        }
        for first in [self.first, keep.size] {
            // Derived, and no longer true.
            drop(fs::remove_file(index_path(&log.dir, first)));
        }
        log.state().segments = segments;
        Ok((None, note))
    }

    fn sign(&self, size: u64) -> Result<String, LedgerError> {
        let origin = self.replay.log.origin.to_string();
        let key = self.key.renamed(&origin)?;
        let checkpoint = Checkpoint {
            origin,
            size,
            root: self.replay.tree.root(),
        };
        let note = checkpoint
            .sign(&key)
            .map_err(|_| accord_proto::c2sp::KeyError::Name)?;
        Ok(note.to_string())
    }
}

/// Cuts a segment behind a checkpoint, where anything stands there.
pub(super) fn cut(path: &Path, end: u64) -> Result<(), LedgerError> {
    let file = OpenOptions::new()
        .write(true)
        .open(path)
        .map_err(LedgerError::io("open", path))?;
    let len = file
        .metadata()
        .map_err(LedgerError::io("open", path))?
        .len();
    if len <= end {
        return Ok(());
    }
    file.set_len(end)
        .and_then(|()| file.sync_all())
        .map_err(LedgerError::io("cut", path))
}
