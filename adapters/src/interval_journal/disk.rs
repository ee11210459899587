//! The file of the journal: a header, then records. Written by appending; now and then anew into
//! another file that takes its place.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::JournalError;
use super::frame::{FRAME_LEN, Frame};
use super::keys::{CHECK_LEN, Keys, io};
use crate::disk::DirLock;

const MAGIC: &[u8; 16] = b"accord-interval1";
const HEADER_LEN: usize = MAGIC.len() + CHECK_LEN;
const FILE: &str = "intervals.journal";
const FILE_NEW: &str = "intervals.journal.new";
const FILE_LOCK: &str = "lock";
const FILE_DAMAGED: &str = "intervals.journal.damaged";

/// A journal is rewritten when it has more records than this beyond two for each number.
const SPARE_FRAMES_MAX: usize = 4096;

pub(super) struct Disk {
    path: PathBuf,
    directory: PathBuf,
    file: File,
    frames: usize,
    /// The end of the file is not what memory says: write it anew.
    broken: bool,
    /// Held for as long as the journal is open.
    _lock: DirLock,
}

pub(super) struct Loaded {
    pub(super) frames: Vec<Frame>,
    pub(super) torn_bytes: u64,
    pub(super) damaged: bool,
}

impl Disk {
    pub(super) fn exists(directory: &Path) -> bool {
        directory.join(FILE).exists()
    }

    pub(super) fn open(
        directory: &Path,
        key_file: &Path,
        keys: &Keys,
    ) -> Result<(Self, Loaded), JournalError> {
        std::fs::create_dir_all(directory).map_err(|error| io("make", directory, error))?;
        let lock = lock(directory)?;
        let path = directory.join(FILE);
        if !path.exists() {
            write_whole(directory, keys, &[])?;
        }
        let mut bytes = Vec::new();
        let mut file = File::open(&path).map_err(|error| io("open", &path, error))?;
        file.read_to_end(&mut bytes)
            .map_err(|error| io("read", &path, error))?;
        let loaded = parse(&bytes, &path, key_file, keys)?;
        if loaded.damaged {
            let aside = directory.join(FILE_DAMAGED);
            std::fs::copy(&path, &aside).map_err(|error| io("set aside", &aside, error))?;
        }
        let file = append_to(&path)?;
        let disk = Self {
            directory: directory.to_owned(),
            file,
            frames: loaded.frames.len(),
            broken: loaded.damaged || loaded.torn_bytes > 0,
            path,
            _lock: lock,
        };
        Ok((disk, loaded))
    }

    pub(super) const fn must_rewrite(&self, watched: usize, adding: usize) -> bool {
        let most = watched.saturating_mul(2).saturating_add(SPARE_FRAMES_MAX);
        self.broken || self.frames.saturating_add(adding) > most
    }

    /// Nothing may be appended until the whole was written anew.
    pub(super) const fn distrust(&mut self) {
        self.broken = true;
    }

    pub(super) fn append(&mut self, frames: &[Frame]) -> Result<(), JournalError> {
        if frames.is_empty() {
            return Ok(());
        }
        // Until it is known that all is on the disk, the file's end is not.
        self.broken = true;
        let bytes = encode(frames);
        let written = self
            .file
            .write_all(&bytes)
            .and_then(|()| self.file.sync_data());
        written.map_err(|error| io("append to", &self.path, error))?;
        self.broken = false;
        self.frames += frames.len();
        Ok(())
    }

    pub(super) fn rewrite(&mut self, keys: &Keys, frames: &[Frame]) -> Result<(), JournalError> {
        self.distrust();
        write_whole(&self.directory, keys, frames)?;
        self.file = append_to(&self.path)?;
        self.frames = frames.len();
        self.broken = false;
        Ok(())
    }
}

fn lock(directory: &Path) -> Result<DirLock, JournalError> {
    let path = directory.join(FILE_LOCK);
    let taken = DirLock::take(&path).map_err(|error| io("lock", &path, error))?;
    taken.ok_or_else(|| JournalError::Locked(directory.to_owned()))
}

fn append_to(path: &Path) -> Result<File, JournalError> {
    let open = OpenOptions::new().append(true).open(path);
    open.map_err(|error| io("open", path, error))
}

fn encode(frames: &[Frame]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(frames.len() * FRAME_LEN);
    frames.iter().for_each(|frame| frame.encode(&mut bytes));
    bytes
}

/// Writes a journal under another name, syncs it, and puts it in its place.
fn write_whole(directory: &Path, keys: &Keys, frames: &[Frame]) -> Result<(), JournalError> {
    let (new, path) = (directory.join(FILE_NEW), directory.join(FILE));
    let write = || {
        let mut options = OpenOptions::new();
        let options = options.write(true).create(true).truncate(true).mode(0o600);
        let mut file = options.open(&new)?;
        file.write_all(MAGIC)?;
        file.write_all(&keys.check())?;
        for some in frames.chunks(4096) {
            file.write_all(&encode(some))?;
        }
        file.sync_all()?;
        std::fs::rename(&new, &path)?;
        File::open(directory)?.sync_all()
    };
    write().map_err(|error| io("write", &new, error))
}

fn parse(bytes: &[u8], path: &Path, key_file: &Path, keys: &Keys) -> Result<Loaded, JournalError> {
    let foreign = || JournalError::Foreign(path.to_owned());
    let (header, body) = bytes.split_at_checked(HEADER_LEN).ok_or_else(foreign)?;
    let check = header.strip_prefix(MAGIC.as_slice()).ok_or_else(foreign)?;
    if check != keys.check() {
        return Err(JournalError::WrongKey(key_file.to_owned()));
    }
    let mut decoded = body.chunks(FRAME_LEN).map(Frame::decode);
    let frames: Vec<Frame> = decoded.by_ref().map_while(|frame| frame).collect();
    // Whole records behind a bad one mean damage: an unfinished write has nothing after it.
    let damaged = decoded.any(|frame| frame.is_some());
    let torn = body.len().saturating_sub(frames.len() * FRAME_LEN);
    Ok(Loaded {
        frames,
        torn_bytes: u64::try_from(torn).unwrap_or(u64::MAX),
        damaged,
    })
}
