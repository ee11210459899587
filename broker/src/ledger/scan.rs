//! Reading the frames of a segment file, a piece at a time.

use std::fs::File;
use std::io::Read as _;
use std::ops::ControlFlow;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use accord_proto::segment::{
    Decoded, Frame, FrameError, FrameStream, HEADER_BYTES_MAX, SegmentHeader,
};

use super::error::LedgerError;
use super::layout::segment_label;

const PIECE_BYTES: usize = 64 << 10;

/// How the frames of a segment end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ScanEnd {
    /// At a frame that is not as it was written.
    Broken { offset: u64, error: FrameError },
    /// With the file, or with zeros up to its end.
    Clean { offset: u64 },
    /// Where the caller wanted.
    Stopped,
}

/// Reads a segment's header; `None` where none has been written yet.
pub(super) fn read_header(path: &Path) -> Result<Option<(SegmentHeader, u64)>, LedgerError> {
    let file = File::open(path).map_err(LedgerError::io("open", path))?;
    let mut bytes = Vec::new();
    let limit = u64::try_from(HEADER_BYTES_MAX).unwrap_or(u64::MAX);
    file.take(limit)
        .read_to_end(&mut bytes)
        .map_err(LedgerError::io("read", path))?;
    if bytes.iter().all(|byte| *byte == 0) {
        return Ok(None);
    }
    match SegmentHeader::decode(&bytes) {
        Ok((header, len)) => Ok(Some((header, u64::try_from(len).unwrap_or(0)))),
        Err(error) => Err(LedgerError::Damaged {
            segment: segment_label(path),
            offset: 0,
            entry: first_index_of(path),
            what: error.to_string(),
        }),
    }
}

/// The first index in a segment's name.
fn first_index_of(path: &Path) -> u64 {
    let stem = path.file_stem().and_then(|stem| stem.to_str());
    stem.and_then(|stem| stem.parse().ok()).unwrap_or(0)
}

/// Shows each frame from `from` on, with its offset.
pub(super) fn scan(
    path: &Path,
    from: u64,
    mut each: impl FnMut(u64, Frame<'_>) -> Result<ControlFlow<()>, LedgerError>,
) -> Result<ScanEnd, LedgerError> {
    let file = File::open(path).map_err(LedgerError::io("open", path))?;
    let mut piece = vec![0; PIECE_BYTES];
    let mut read_at = from;
    let mut stream = FrameStream::new(from);
    loop {
        let offset = stream.offset();
        match stream.take() {
            Ok(Decoded::Frame(frame)) => {
                if each(offset, frame)?.is_break() {
                    return Ok(ScanEnd::Stopped);
                }
                continue;
            }
            Ok(Decoded::Unwritten) => {
                return Ok(if rest_is_zero(&file, path, offset)? {
                    ScanEnd::Clean { offset }
                } else {
                    let error = FrameError::Length;
                    ScanEnd::Broken { offset, error }
                });
            }
            Ok(Decoded::Incomplete) => {}
            Err(error) => return Ok(ScanEnd::Broken { offset, error }),
        }
        let len = file
            .read_at(&mut piece, read_at)
            .map_err(LedgerError::io("read", path))?;
        if len == 0 {
            let zeros = stream.rest().iter().all(|byte| *byte == 0);
            let error = FrameError::Length;
            return Ok(if zeros {
                ScanEnd::Clean { offset }
            } else {
                ScanEnd::Broken { offset, error }
            });
        }
        stream.push(piece.get(..len).unwrap_or_default());
        read_at += u64::try_from(len).unwrap_or(0);
    }
}

fn rest_is_zero(file: &File, path: &Path, mut offset: u64) -> Result<bool, LedgerError> {
    let mut piece = vec![0; PIECE_BYTES];
    loop {
        let len = file
            .read_at(&mut piece, offset)
            .map_err(LedgerError::io("read", path))?;
        if len == 0 {
            return Ok(true);
        }
        if piece.iter().take(len).any(|byte| *byte != 0) {
            return Ok(false);
        }
        offset += u64::try_from(len).unwrap_or(0);
    }
}
