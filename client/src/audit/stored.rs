//! The entries of a ledger's directory, read offline.

use std::{
    fs::{self, File},
    io::Read as _,
    path::{Path, PathBuf},
};

use accord_proto::segment::{Decoded, FrameKind, FrameStream, HEADER_BYTES_MAX, SegmentHeader};

use super::{LedgerEntry, verify::Verified};

const PIECE_BYTES: usize = 256 << 10;
const SEGMENT_SUFFIX: &str = ".segment";

/// Why a directory's entries can't be read.
#[derive(Debug, thiserror::Error)]
pub enum StoredError {
    /// A file can't be read.
    #[error("could not read `{}`", .path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// It is not as it was when it was verified.
    #[error("`{}` is not as it was verified", .path.display())]
    Changed {
        /// Which.
        path: PathBuf,
    },
}

/// Shows each entry that a checkpoint covers, in order, of a ledger that was verified.
///
/// # Errors
/// [`StoredError`].
pub fn stored_entries(
    dir: &Path,
    verified: &Verified,
    mut each: impl FnMut(LedgerEntry),
) -> Result<(), StoredError> {
    for log in &verified.logs {
        let month = log.origin.rsplit('/').next().unwrap_or_default();
        let dir = dir.join(month);
        let mut next = 0;
        for first in segments(&dir)? {
            let path = dir.join(format!("{first:020}{SEGMENT_SUFFIX}"));
            segment(&path, |index, bytes| {
                // What the sequencer writes again after a crash stands in two segments.
                if index == next && index < log.entries {
                    next += 1;
                    let entry = LedgerEntry::parse(log.origin.clone(), index, bytes.to_vec());
                    each(entry.map_err(|_| StoredError::Changed { path: path.clone() })?);
                }
                Ok(())
            })?;
        }
        if next != log.entries {
            return Err(StoredError::Changed { path: dir });
        }
    }
    Ok(())
}

fn segments(dir: &Path) -> Result<Vec<u64>, StoredError> {
    let failed = |source| StoredError::Io {
        path: dir.to_owned(),
        source,
    };
    let mut firsts = Vec::new();
    for file in fs::read_dir(dir).map_err(failed)? {
        let name = file.map_err(failed)?.file_name();
        let first = name
            .to_str()
            .and_then(|name| name.strip_suffix(SEGMENT_SUFFIX));
        firsts.extend(first.and_then(|first| first.parse::<u64>().ok()));
    }
    firsts.sort_unstable();
    Ok(firsts)
}

fn segment(
    path: &Path,
    mut each: impl FnMut(u64, &[u8]) -> Result<(), StoredError>,
) -> Result<(), StoredError> {
    let failed = |source| StoredError::Io {
        path: path.to_owned(),
        source,
    };
    let mut file = File::open(path).map_err(failed)?;
    let mut start = Vec::new();
    let limit = HEADER_BYTES_MAX as u64;
    file.by_ref()
        .take(limit)
        .read_to_end(&mut start)
        .map_err(failed)?;
    // The last segment may have got its name and nothing else.
    let Ok((_, len)) = SegmentHeader::decode(&start) else {
        return Ok(());
    };
    let mut stream = FrameStream::new(len as u64);
    stream.push(start.get(len..).unwrap_or_default());
    let mut piece = vec![0; PIECE_BYTES];
    loop {
        match stream.take() {
            Ok(Decoded::Frame(frame)) => {
                if frame.kind == FrameKind::Entry {
                    each(frame.index, frame.payload())?;
                }
                continue;
            }
            Ok(Decoded::Incomplete) => {}
            // Where the verifier found the end as well.
            Ok(Decoded::Unwritten) | Err(_) => return Ok(()),
        }
        let len = file.read(&mut piece).map_err(failed)?;
        if len == 0 {
            return Ok(());
        }
        stream.push(piece.get(..len).unwrap_or_default());
    }
}
