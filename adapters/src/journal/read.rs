//! Reads a journal back: at start, and for whoever verifies it.

use std::{
    fs::{self, File},
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
};

use accord_proto::c2sp::{SignedNote, VerifierKey};
use serde::Deserialize;

use super::{Head, JournalError};

/// What [`verify`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verified {
    /// The first index on disk; older files were removed.
    pub first: u64,
    /// The head.
    pub head: Head,
    /// Records that the newest checkpoint covers.
    pub signed: u64,
    /// Bytes of a torn last record, which the adapter cuts when it starts again.
    pub torn_bytes: u64,
}

/// Checks every record on disk: each line against its successor, and the checkpoint against both.
/// The adapter need not be stopped.
///
/// # Errors
/// [`JournalError`] names the file and the line.
pub fn verify(dir: &Path, key: &VerifierKey) -> Result<Verified, JournalError> {
    verify_each(dir, key, |_, _| Ok(()))
}

/// As [`verify`], and shows each line with the head after it. What `each` says is wrong is damage.
///
/// # Errors
/// [`JournalError`] names the file and the line.
pub fn verify_each(
    dir: &Path,
    key: &VerifierKey,
    mut each: impl FnMut(&[u8], Head) -> Result<(), &'static str>,
) -> Result<Verified, JournalError> {
    let files = files(dir)?;
    let signed = read_checkpoint(dir, key)?;
    let mut walk = Walk::new(files.first().map_or(0, |(first, _)| *first), signed);
    let mut torn_bytes = 0;
    for (at, (first, path)) in files.iter().enumerate() {
        let file = walk.file(*first, path, &mut each)?;
        if file.torn_bytes > 0 && at + 1 < files.len() {
            return Err(file.torn(path));
        }
        torn_bytes = file.torn_bytes;
    }
    walk.finish()?;
    Ok(Verified {
        first: files.first().map_or(0, |(first, _)| *first),
        head: walk.head,
        signed: signed.map_or(0, |signed| signed.size),
        torn_bytes,
    })
}

/// Where the journal goes on.
pub(super) struct Tail {
    /// The newest file, if there is one.
    pub(super) path: Option<PathBuf>,
    pub(super) file_len: u64,
    pub(super) head: Head,
    pub(super) signed: u64,
}

/// Checks the newest file, and the older ones back to the one that the checkpoint speaks of; cuts
/// a torn last record.
pub(super) fn recover(dir: &Path, key: &VerifierKey) -> Result<Tail, JournalError> {
    let files = files(dir)?;
    let signed = read_checkpoint(dir, key)?;
    let signed_size = signed.map_or(0, |signed| signed.size);
    let newest = files.len().saturating_sub(1);
    // The checkpoint's last record has the index before its size.
    let begin = files
        .iter()
        .rposition(|(first, _)| signed_size > *first)
        .unwrap_or(0)
        .min(newest);
    let mut walk = Walk::new(files.get(begin).map_or(0, |(first, _)| *first), signed);
    let mut tail = Tail {
        path: None,
        file_len: 0,
        head: Head::EMPTY,
        signed: signed_size,
    };
    for (at, (first, path)) in files.iter().enumerate().skip(begin) {
        let file = walk.file(*first, path, &mut |_, _| Ok(()))?;
        if file.torn_bytes > 0 {
            if at < newest {
                return Err(file.torn(path));
            }
            cut(path, &file)?;
        }
        tail.path = Some(path.clone());
        tail.file_len = file.whole_bytes;
    }
    walk.finish()?;
    tail.head = walk.head;
    Ok(tail)
}

/// The journal's files, oldest first, each with its first index.
pub(super) fn files(dir: &Path) -> Result<Vec<(u64, PathBuf)>, JournalError> {
    let entries = fs::read_dir(dir).map_err(JournalError::io("list", dir))?;
    let mut files = Vec::new();
    for entry in entries {
        let entry = entry.map_err(JournalError::io("list", dir))?;
        let first = entry
            .file_name()
            .to_str()
            .and_then(|name| name.strip_prefix("journal-"))
            .and_then(|name| name.strip_suffix(".jsonl"))
            .and_then(|first| first.parse().ok());
        if let Some(first) = first {
            files.push((first, entry.path()));
        }
    }
    files.sort_unstable();
    Ok(files)
}

/// Whether a journal was begun there.
pub(crate) fn is_begun(dir: &Path) -> bool {
    files(dir).is_ok_and(|files| !files.is_empty())
}

fn cut(path: &Path, file: &WalkedFile) -> Result<(), JournalError> {
    tracing::warn!(
        file = %path.display(),
        bytes = file.torn_bytes,
        "torn last record cut from the journal"
    );
    File::options()
        .write(true)
        .open(path)
        .and_then(|opened| {
            opened.set_len(file.whole_bytes)?;
            opened.sync_all()
        })
        .map_err(JournalError::io("cut", path))
}

/// The chain fields of a line.
#[derive(Deserialize)]
struct Link {
    index: u64,
    prev: String,
}

/// Follows the chain through the files.
struct Walk {
    head: Head,
    /// Whether the hash of the head is known; it isn't before the first record on disk when older
    /// files were removed.
    anchored: bool,
    signed: Option<Head>,
}

/// What one file held.
struct WalkedFile {
    whole_bytes: u64,
    lines: u64,
    torn_bytes: u64,
}

impl WalkedFile {
    fn torn(&self, path: &Path) -> JournalError {
        damaged(path, self.lines + 1, "a torn record inside the journal")
    }
}

impl Walk {
    fn new(first: u64, signed: Option<Head>) -> Self {
        Self {
            head: Head {
                size: first,
                ..Head::EMPTY
            },
            anchored: first == 0,
            signed,
        }
    }

    fn file(
        &mut self,
        first: u64,
        path: &Path,
        each: &mut impl FnMut(&[u8], Head) -> Result<(), &'static str>,
    ) -> Result<WalkedFile, JournalError> {
        if first != self.head.size {
            return Err(damaged(path, 1, "a file before this one is missing"));
        }
        let file = File::open(path).map_err(JournalError::io("open", path))?;
        let mut reader = BufReader::new(file);
        let mut walked = WalkedFile {
            whole_bytes: 0,
            lines: 0,
            torn_bytes: 0,
        };
        let mut line = Vec::new();
        loop {
            line.clear();
            let read = reader
                .read_until(b'\n', &mut line)
                .map_err(JournalError::io("read", path))?;
            let bytes = u64::try_from(read).unwrap_or(u64::MAX);
            if read == 0 {
                return Ok(walked);
            }
            if line.last() != Some(&b'\n') {
                walked.torn_bytes = bytes;
                return Ok(walked);
            }
            self.line(&line)
                .and_then(|()| each(&line, self.head))
                .map_err(|what| damaged(path, walked.lines + 1, what))?;
            walked.whole_bytes += bytes;
            walked.lines += 1;
        }
    }

    fn line(&mut self, line: &[u8]) -> Result<(), &'static str> {
        let link: Link = serde_json::from_slice(line).map_err(|_| "not a record")?;
        if link.index != self.head.size {
            return Err("its index does not follow the one before");
        }
        if self.anchored && link.prev != accord_proto::hex::encode(&self.head.hash) {
            return Err("its `prev` is not the hash of the record before");
        }
        self.anchored = true;
        self.head = self.head.after(line);
        match self.signed {
            Some(signed) if signed.size == self.head.size && signed.hash != self.head.hash => {
                Err("a signed checkpoint has another hash for it")
            }
            Some(_) | None => Ok(()),
        }
    }

    /// No record that was signed may be missing.
    const fn finish(&self) -> Result<(), JournalError> {
        match self.signed {
            Some(signed) if signed.size > self.head.size => Err(JournalError::Shorter {
                found: self.head.size,
                signed: signed.size,
            }),
            Some(_) | None => Ok(()),
        }
    }
}

fn damaged(path: &Path, line: u64, what: &'static str) -> JournalError {
    JournalError::Damaged {
        path: path.to_owned(),
        line,
        what,
    }
}

/// The newest signed head: origin, size and the hash in hexadecimal, a line each.
pub(super) fn checkpoint_text(origin: &str, head: Head) -> String {
    format!(
        "{origin}\n{}\n{}\n",
        head.size,
        accord_proto::hex::encode(&head.hash)
    )
}

fn read_checkpoint(dir: &Path, key: &VerifierKey) -> Result<Option<Head>, JournalError> {
    let path = dir.join("checkpoint");
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(JournalError::io("read", &path)(error)),
    };
    let ours = |what| JournalError::Checkpoint {
        path: path.clone(),
        what,
    };
    let note = SignedNote::parse(&text).map_err(|_| ours("not a signed note"))?;
    let signers = note
        .verify(std::slice::from_ref(key))
        .map_err(|_| ours("its signature does not match"))?;
    if signers.is_empty() {
        return Err(ours(
            "signed by another key than that in `journal.checkpoint_key_file`",
        ));
    }
    parse_head(note.text(), key.name())
        .map(Some)
        .ok_or_else(|| ours("its text is not origin, size and hash"))
}

fn parse_head(text: &str, origin: &str) -> Option<Head> {
    let mut lines = text.lines();
    let (found, size, hash) = (lines.next()?, lines.next()?, lines.next()?);
    let size = size.parse().ok()?;
    let mut bytes = [0; 32];
    for (to, pair) in bytes.iter_mut().zip(hash.as_bytes().chunks_exact(2)) {
        *to = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    (found == origin && hash.len() == 64 && lines.next().is_none())
        .then_some(Head { size, hash: bytes })
}
