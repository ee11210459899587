//! The durable home of pushed changes, so that an adapter that was started again can still tell a
//! rebuilt view: `changes.bin` in the journal's folder.
//!
//! A frame for each batch: length and CRC-32C of the body (32 bits each, little-endian), then the
//! body, a serialised `ChangeBatch`. Unlike the journal it holds numbers, as the operator's own
//! systems do; its mode is 0600 and it never leaves the operator.
//!
//! A bad frame with a sound one behind it is damage, since an unfinished write has nothing behind
//! it: then the file is set aside as `changes.bin.damaged`, and all sound batches are kept.

use std::{
    fs::{self, File},
    io::Write as _,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use accord_proto::v1::ChangeBatch;
use prost::Message as _;

use crate::journal::JournalError;

/// The longest body of a frame. A batch has some hundred bytes for each change.
const BODY_BYTES_MAX: usize = 1 << 20;
/// Beyond this the file is written anew, with the batches that are still kept.
const FILE_BYTES_MAX: u64 = 128 << 20;
const HEADER_BYTES: usize = 8;

/// The open file.
#[derive(Debug)]
pub(super) struct ChangesFile {
    path: PathBuf,
    file: File,
    bytes: u64,
}

impl ChangesFile {
    /// Opens the file of a journal's folder and reads the batches in it; a torn last one is cut, and
    /// what is damaged is left out.
    pub(super) fn open(dir: &Path) -> Result<(Self, Vec<ChangeBatch>), JournalError> {
        let path = dir.join("changes.bin");
        let io = |deed| io(deed, &path);
        let content = match fs::read(&path) {
            Ok(content) => content,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(io("read")(error)),
        };
        let Parsed {
            batches,
            end,
            damaged_bytes,
        } = parse(&content);
        let file = open_to_append(&path)?;
        sync_dir(dir)?;
        if end < content.len() {
            tracing::warn!(
                file = %path.display(),
                bytes = content.len() - end,
                "torn last batch cut"
            );
            file.set_len(len(end)).map_err(io("cut"))?;
            file.sync_all().map_err(io("sync"))?;
        }
        let bytes = len(end);
        let mut opened = Self { path, file, bytes };
        if damaged_bytes > 0 {
            opened.mend(damaged_bytes, &batches)?;
        }
        Ok((opened, batches))
    }

    /// Sets a copy of the damaged file aside and writes what is sound of it anew.
    fn mend(&mut self, bytes: usize, batches: &[ChangeBatch]) -> Result<(), JournalError> {
        let aside = self.path.with_extension("bin.damaged");
        fs::copy(&self.path, &aside).map_err(io("set aside", &aside))?;
        tracing::error!(
            file = %self.path.display(),
            bytes,
            aside = %aside.display(),
            "pushed changes are damaged; brokers are not told what stood there"
        );
        self.rewrite(batches.iter())
    }

    /// Adds a batch; it is durable when this returns.
    pub(super) fn append(&mut self, body: &[u8]) -> Result<(), JournalError> {
        let frame = frame(body);
        self.file
            .write_all(&frame)
            .and_then(|()| self.file.sync_data())
            .map_err(io("write", &self.path))?;
        self.bytes += len(frame.len());
        Ok(())
    }

    pub(super) const fn is_full(&self) -> bool {
        self.bytes > FILE_BYTES_MAX
    }

    /// Writes the file anew; a crash leaves the old one or the new one.
    pub(super) fn rewrite<'a>(
        &mut self,
        batches: impl Iterator<Item = &'a ChangeBatch>,
    ) -> Result<(), JournalError> {
        let new = self.path.with_extension("new");
        let content: Vec<u8> = batches
            .flat_map(|batch| frame(&batch.encode_to_vec()))
            .collect();
        // A crash may have left one; it would be appended to.
        if let Err(error) = fs::remove_file(&new)
            && error.kind() != std::io::ErrorKind::NotFound
        {
            return Err(io("remove", &new)(error));
        }
        let mut file = open_to_append(&new)?;
        file.write_all(&content)
            .and_then(|()| file.sync_all())
            .map_err(io("write", &new))?;
        fs::rename(&new, &self.path).map_err(io("replace", &self.path))?;
        if let Some(dir) = self.path.parent() {
            sync_dir(dir)?;
        }
        self.file = file;
        self.bytes = len(content.len());
        Ok(())
    }
}

fn frame(body: &[u8]) -> Vec<u8> {
    let mut frame = Vec::with_capacity(HEADER_BYTES + body.len());
    frame.extend(u32::try_from(body.len()).unwrap_or(u32::MAX).to_le_bytes());
    frame.extend(crc32c::crc32c(body).to_le_bytes());
    frame.extend(body);
    frame
}

/// What is in the file.
struct Parsed {
    /// The batches of the sound frames.
    batches: Vec<ChangeBatch>,
    /// Where the last of these frames ends.
    end: usize,
    /// Bytes before that which are no sound frame.
    damaged_bytes: usize,
}

fn parse(content: &[u8]) -> Parsed {
    let mut batches: Vec<ChangeBatch> = Vec::new();
    let (mut end, mut damaged_bytes) = (0, 0);
    let mut at = 0;
    while let Some(rest) = content.get(at..) {
        let last = batches.last().map_or(0, |batch| batch.sequence);
        let sound = parse_frame(rest).filter(|(batch, _)| batch.sequence > last);
        if let Some((batch, after)) = sound {
            damaged_bytes += at - end;
            end = content.len() - after.len();
            at = end;
            batches.push(batch);
        } else {
            // Where a length was spoiled, the next frame may begin anywhere.
            at += 1;
        }
    }
    Parsed {
        batches,
        end,
        damaged_bytes,
    }
}

fn parse_frame(content: &[u8]) -> Option<(ChangeBatch, &[u8])> {
    let (length, rest) = content.split_first_chunk::<4>()?;
    let (crc, rest) = rest.split_first_chunk::<4>()?;
    let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
    // A power cut may leave zeros, which would make an empty frame.
    if !(1..=BODY_BYTES_MAX).contains(&length) {
        return None;
    }
    let (body, rest) = rest.split_at_checked(length)?;
    if crc32c::crc32c(body) != u32::from_le_bytes(*crc) {
        return None;
    }
    Some((ChangeBatch::decode(body).ok()?, rest))
}

fn open_to_append(path: &Path) -> Result<File, JournalError> {
    File::options()
        .create(true)
        .append(true)
        .mode(0o600)
        .open(path)
        .map_err(io("open", path))
}

fn sync_dir(dir: &Path) -> Result<(), JournalError> {
    File::open(dir)
        .and_then(|dir| dir.sync_all())
        .map_err(io("sync", dir))
}

fn io(deed: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> JournalError {
    let path = path.to_owned();
    move |error| JournalError::Io { deed, path, error }
}

fn len(bytes: usize) -> u64 {
    u64::try_from(bytes).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use accord_proto::v1::Change;
    use tempfile::TempDir;

    use super::*;

    fn batch(sequence: u64) -> ChangeBatch {
        let change = Change {
            msisdn: "+447700900001".to_owned(),
            signal: 1,
            observation: None,
            withdrawn: false,
        };
        ChangeBatch {
            sequence,
            changes: vec![change],
            ..ChangeBatch::default()
        }
    }

    fn sequences(dir: &Path) -> Vec<u64> {
        let (_, batches) = ChangesFile::open(dir).unwrap();
        batches.iter().map(|batch| batch.sequence).collect()
    }

    #[test]
    fn batches_come_back_and_a_torn_one_is_cut() {
        let dir = TempDir::new().unwrap();
        let (mut file, batches) = ChangesFile::open(dir.path()).unwrap();
        assert!(batches.is_empty());
        for sequence in 5..8 {
            file.append(&batch(sequence).encode_to_vec()).unwrap();
        }
        drop(file);
        assert_eq!(sequences(dir.path()), [5, 6, 7]);
        let path = dir.path().join("changes.bin");
        let whole = fs::read(&path).unwrap();
        fs::write(&path, &whole[..whole.len() - 3]).unwrap();
        assert_eq!(sequences(dir.path()), [5, 6]);
        let (mut file, _) = ChangesFile::open(dir.path()).unwrap();
        file.append(&batch(9).encode_to_vec()).unwrap();
        assert_eq!(sequences(dir.path()), [5, 6, 9]);
    }

    #[test]
    fn damage_in_an_old_batch_costs_that_batch_only() {
        let dir = TempDir::new().unwrap();
        let (mut file, _) = ChangesFile::open(dir.path()).unwrap();
        for sequence in 5..9 {
            file.append(&batch(sequence).encode_to_vec()).unwrap();
        }
        drop(file);
        let path = dir.path().join("changes.bin");
        let aside = dir.path().join("changes.bin.damaged");
        let whole = fs::read(&path).unwrap();
        let frame_len = whole.len() / 4;
        for at in frame_len..2 * frame_len {
            let mut damaged = whole.clone();
            damaged[at] ^= 0x04;
            fs::write(&path, &damaged).unwrap();
            assert_eq!(sequences(dir.path()), [5, 7, 8], "byte {at}");
            assert_eq!(fs::read(&aside).unwrap(), damaged);
            fs::remove_file(&aside).unwrap();
            // What was kept is a sound file.
            assert_eq!(sequences(dir.path()), [5, 7, 8]);
            assert!(!aside.exists());
        }
    }

    #[test]
    fn zeros_at_the_end_are_a_torn_batch_and_no_batch() {
        let dir = TempDir::new().unwrap();
        let (mut file, _) = ChangesFile::open(dir.path()).unwrap();
        file.append(&batch(5).encode_to_vec()).unwrap();
        drop(file);
        let path = dir.path().join("changes.bin");
        let whole = fs::read(&path).unwrap();
        let torn = [whole.as_slice(), &[0; 100]].concat();
        fs::write(&path, torn).unwrap();
        assert_eq!(sequences(dir.path()), [5]);
        assert_eq!(fs::read(&path).unwrap(), whole);
    }

    #[test]
    fn a_rewritten_file_holds_what_is_kept_and_takes_more() {
        let dir = TempDir::new().unwrap();
        let (mut file, _) = ChangesFile::open(dir.path()).unwrap();
        for sequence in 1..9 {
            file.append(&batch(sequence).encode_to_vec()).unwrap();
        }
        file.rewrite([batch(7), batch(8)].iter()).unwrap();
        file.append(&batch(9).encode_to_vec()).unwrap();
        assert_eq!(sequences(dir.path()), [7, 8, 9]);
    }
}
