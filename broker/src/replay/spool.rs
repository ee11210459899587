//! The answers of the last minutes on disk, encrypted under a key that dies with the process.

use std::{
    collections::VecDeque,
    fs::{self, File},
    os::unix::fs::{DirBuilderExt as _, FileExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    sync::Mutex,
};

use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey},
    rand,
};

use crate::unpoisoned;

/// Where an answer lies: 24 bits of minute, 20 bits of length, and an offset, in 12 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    minute: u32,
    offset: u32,
    len: u32,
}

impl Place {
    pub(super) const fn minute(self) -> u32 {
        self.minute
    }
}

/// One file a minute, newest last; the end of the newest is still in memory.
pub(super) struct Spool {
    dir: PathBuf,
    key: LessSafeKey,
    bytes_max: u64,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    files: VecDeque<Minute>,
    /// What the newest file does not hold yet.
    buffer: Vec<u8>,
    bytes: u64,
}

struct Minute {
    minute: u32,
    file: File,
    path: PathBuf,
    written: u32,
}

/// Why the spool can't be used.
#[derive(Debug, thiserror::Error)]
pub enum SpoolError {
    /// The operating system said no.
    #[error("can't prepare the directory of repeated answers `{path}`")]
    Io {
        /// Which directory.
        path: PathBuf,
        /// What it said.
        #[source]
        source: std::io::Error,
    },
    /// No randomness.
    #[error("the system gave no random bytes")]
    Random,
}

/// The buffer goes to the file beyond this.
const BUFFER_BYTES_MAX: usize = 64 * 1024;

impl std::fmt::Debug for Spool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Spool")
            .field("dir", &self.dir)
            .finish_non_exhaustive()
    }
}

impl Spool {
    pub(super) fn open(dir: &Path, bytes_max: u64) -> Result<Self, SpoolError> {
        let io = |source| SpoolError::Io {
            path: dir.to_owned(),
            source,
        };
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(dir)
            .map_err(io)?;
        for left in fs::read_dir(dir).map_err(io)? {
            fs::remove_file(left.map_err(io)?.path()).map_err(io)?;
        }
        let mut key = [0; 32];
        rand::fill(&mut key).map_err(|_| SpoolError::Random)?;
        let key = UnboundKey::new(&AES_256_GCM, &key).map_err(|_| SpoolError::Random)?;
        Ok(Self {
            dir: dir.to_owned(),
            key: LessSafeKey::new(key),
            bytes_max,
            inner: Mutex::default(),
        })
    }

    /// Keeps an answer; `None` if the disk does not take it, and then a repeat is a new question.
    pub(super) fn append(&self, answer: &[u8], minute: u32) -> Option<Place> {
        let mut inner = unpoisoned::lock(&self.inner);
        if inner
            .files
            .back()
            .is_none_or(|newest| newest.minute < minute)
        {
            self.begin(&mut inner, minute)?;
        }
        let newest = inner.files.back()?;
        let (minute, written) = (newest.minute, newest.written);
        let offset = written.checked_add(u32::try_from(inner.buffer.len()).ok()?)?;
        // A file has room for as much as an offset can name.
        let sealed_len = answer.len().checked_add(AES_256_GCM.tag_len())?;
        offset.checked_add(u32::try_from(sealed_len).ok()?)?;
        let mut sealed = answer.to_vec();
        self.key
            .seal_in_place_append_tag(nonce(minute, offset), Aad::empty(), &mut sealed)
            .ok()?;
        let place = Place {
            minute,
            offset,
            len: u32::try_from(sealed.len()).ok()?,
        };
        inner.buffer.extend_from_slice(&sealed);
        inner.bytes += u64::from(place.len);
        let kept = inner.buffer.len() < BUFFER_BYTES_MAX || flush(&mut inner);
        while inner.bytes > self.bytes_max && inner.files.len() > 1 {
            drop_oldest(&mut inner);
        }
        kept.then_some(place)
    }

    pub(super) fn read(&self, place: Place) -> Option<Vec<u8>> {
        let inner = unpoisoned::lock(&self.inner);
        let file = inner
            .files
            .iter()
            .find(|file| file.minute == place.minute)?;
        let mut sealed = vec![0; usize::try_from(place.len).ok()?];
        match place.offset.checked_sub(file.written) {
            Some(in_buffer) => {
                let from = usize::try_from(in_buffer).ok()?;
                let to = from.checked_add(sealed.len())?;
                sealed.copy_from_slice(inner.buffer.get(from..to)?);
            }
            None => file
                .file
                .read_exact_at(&mut sealed, u64::from(place.offset))
                .ok()?,
        }
        drop(inner);
        let nonce = nonce(place.minute, place.offset);
        let len = self
            .key
            .open_in_place(nonce, Aad::empty(), &mut sealed)
            .ok()?
            .len();
        sealed.truncate(len);
        Some(sealed)
    }

    /// Drops the files of earlier minutes; returns the oldest minute that is left.
    pub(super) fn drop_before(&self, minute: u32) -> u32 {
        let mut inner = unpoisoned::lock(&self.inner);
        while inner
            .files
            .front()
            .is_some_and(|oldest| oldest.minute < minute)
        {
            drop_oldest(&mut inner);
        }
        inner.files.front().map_or(minute, |oldest| oldest.minute)
    }

    fn begin(&self, inner: &mut Inner, minute: u32) -> Option<()> {
        // What the old file did not take is lost; the new one may take what comes.
        flush(inner);
        let path = self.dir.join(format!("{minute}.spool"));
        let file = fs::OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)
            .inspect_err(|error| tracing::warn!(%error, "can't keep answers for repeats"))
            .ok()?;
        inner.files.push_back(Minute {
            minute,
            file,
            path,
            written: 0,
        });
        Some(())
    }
}

/// Empties the buffer into the newest file; false if the disk does not take it. Then it is dropped,
/// and the next answer lies beyond it all the same: an offset that was used is a nonce that was.
fn flush(inner: &mut Inner) -> bool {
    let Inner { files, buffer, .. } = inner;
    let Some(newest) = files.back_mut() else {
        return true;
    };
    let taken = newest
        .file
        .write_all_at(buffer, u64::from(newest.written))
        .inspect_err(|error| tracing::warn!(%error, "can't keep answers for repeats"))
        .is_ok();
    let len = u32::try_from(buffer.len()).unwrap_or(u32::MAX);
    newest.written = newest.written.saturating_add(len);
    buffer.clear();
    taken
}

/// Only called while a newer file exists or the window has passed, so the buffer, which belongs to
/// the newest, is empty or void then.
fn drop_oldest(inner: &mut Inner) {
    let Some(oldest) = inner.files.pop_front() else {
        return;
    };
    let mut bytes = u64::from(oldest.written);
    if inner.files.is_empty() {
        bytes += inner.buffer.len() as u64;
        inner.buffer.clear();
    }
    inner.bytes = inner.bytes.saturating_sub(bytes);
    if let Err(error) = fs::remove_file(&oldest.path) {
        tracing::warn!(%error, "can't remove old answers");
    }
}

/// Unique under the key: no two answers share a minute and an offset.
fn nonce(minute: u32, offset: u32) -> Nonce {
    let mut bytes = [0; 12];
    for (to, from) in bytes
        .iter_mut()
        .zip(minute.to_be_bytes().into_iter().chain(offset.to_be_bytes()))
    {
        *to = from;
    }
    Nonce::assume_unique_for_key(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_that_takes_nothing_for_a_while_loses_answers_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let spool = Spool::open(dir.path(), 1 << 30).unwrap();
        let answer = |byte: u8| vec![byte; BUFFER_BYTES_MAX / 2];
        let first = spool.append(&answer(1), 7).unwrap();
        let path = dir.path().join("7.spool");
        let swap = |file: File| {
            let mut inner = unpoisoned::lock(&spool.inner);
            std::mem::replace(&mut inner.files.back_mut().unwrap().file, file)
        };
        // A file that is only open for reading takes nothing.
        let writable = swap(File::open(&path).unwrap());
        assert_eq!(spool.append(&answer(2), 7), None);
        swap(writable);
        assert_eq!(spool.read(first), None);
        assert!(unpoisoned::lock(&spool.inner).buffer.is_empty());
        // From here on answers are kept again, at offsets that none before had.
        let lost = 2 * (answer(0).len() + AES_256_GCM.tag_len());
        let kept: Vec<Place> = (3..6)
            .map(|byte| spool.append(&answer(byte), 7).unwrap())
            .collect();
        assert_eq!(kept[0].offset as usize, lost);
        for (byte, place) in (3..6).zip(kept) {
            assert_eq!(spool.read(place), Some(answer(byte)));
        }
    }

    #[test]
    fn a_minute_whose_last_answers_were_lost_does_not_stop_the_next_one() {
        let dir = tempfile::tempdir().unwrap();
        let spool = Spool::open(dir.path(), 1 << 30).unwrap();
        spool.append(b"lost", 7).unwrap();
        let read_only = File::open(dir.path().join("7.spool")).unwrap();
        unpoisoned::lock(&spool.inner)
            .files
            .back_mut()
            .unwrap()
            .file = read_only;
        let place = spool.append(b"kept", 8).unwrap();
        assert_eq!(spool.read(place), Some(b"kept".to_vec()));
    }
}
