//! What a witness has seen, in a directory: for each log the cosigned checkpoint that it saw last.
//!
//! ```text
//! witness.key              the witness's key, mode 0600
//! witness.vkey             its public half
//! lock                     held while the witness runs
//! <sha256>.checkpoint      the last checkpoint of the log whose origin has this SHA-256
//! ```

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use accord_proto::c2sp::witness::origin_sha256;
use accord_proto::c2sp::{Checkpoint, Cosigner, CosignerKey, KeyError, SignedNote};

use crate::disk::{DirLock, DiskError, replace, sync_dir};

const KEY_FILE: &str = "witness.key";
const VKEY_FILE: &str = "witness.vkey";
const SUFFIX: &str = ".checkpoint";

/// Why a witness's memory can't be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The operating system said no.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// There is a witness already: a second key would be another witness.
    #[error("`{0}` is a witness's directory already")]
    Exists(PathBuf),
    /// There is none.
    #[error("`{0}` is no witness's directory; make one with --init NAME")]
    Missing(PathBuf),
    /// Another process has it.
    #[error("another witness runs in `{0}`")]
    Locked(PathBuf),
    /// The witness's key.
    #[error("the key in `{path}` can't be used")]
    Key {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: KeyError,
    },
    /// A checkpoint that this witness wrote and can't read. It is not taken for one that was never
    /// seen: the witness would cosign whatever came next.
    #[error("the checkpoint in `{0}` is damaged; the witness cosigns nothing of that log")]
    Damaged(PathBuf),
}

/// A witness's directory.
#[derive(Debug)]
pub(super) struct Store {
    dir: PathBuf,
    /// Whose cosignature a note in here has.
    key: CosignerKey,
    /// Held for as long as the witness runs.
    _lock: DirLock,
}

impl Store {
    pub(super) fn init(dir: &Path, name: &str) -> Result<Cosigner, StoreError> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(dir)
            .map_err(DiskError::new("make", dir))?;
        let path = dir.join(KEY_FILE);
        if path.exists() {
            return Err(StoreError::Exists(dir.to_owned()));
        }
        let cosigner = Cosigner::generate(name).map_err(key_error(&path))?;
        let vkey = format!("{}\n", cosigner.key());
        keep(&dir.join(VKEY_FILE), vkey.as_bytes(), 0o644)?;
        let secret = cosigner.to_secret_text();
        keep(&path, format!("{}\n", secret.expose()).as_bytes(), 0o600)?;
        Ok(cosigner)
    }

    pub(super) fn open(dir: &Path) -> Result<(Self, Cosigner), StoreError> {
        let path = dir.join(KEY_FILE);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(StoreError::Missing(dir.to_owned()));
            }
            Err(error) => return Err(DiskError::new("read", &path)(error).into()),
        };
        let cosigner = Cosigner::parse(&text).map_err(key_error(&path))?;
        let lock = DirLock::take(dir)?.ok_or_else(|| StoreError::Locked(dir.to_owned()))?;
        let store = Self {
            dir: dir.to_owned(),
            key: cosigner.key().clone(),
            _lock: lock,
        };
        Ok((store, cosigner))
    }

    /// What was seen last of a log.
    pub(super) fn last(&self, origin: &str) -> Result<Option<Checkpoint>, StoreError> {
        let name = origin_sha256(origin);
        let Some(text) = self.text(&name)? else {
            return Ok(None);
        };
        let read = SignedNote::parse(&text)
            .ok()
            .and_then(|note| Checkpoint::parse(note.text()).ok())
            .filter(|checkpoint| checkpoint.origin == origin);
        match read {
            Some(checkpoint) => Ok(Some(checkpoint)),
            None => Err(StoreError::Damaged(self.path(&name))),
        }
    }

    /// The note that was seen last of the log whose origin has this SHA-256, in hexadecimal. It has
    /// this witness's own cosignature, so that a bit that flipped on the disk is not taken for what
    /// was seen: a smaller size would let the log be cut.
    pub(super) fn text(&self, origin_sha256: &str) -> Result<Option<String>, StoreError> {
        let path = self.path(origin_sha256);
        match fs::read_to_string(&path) {
            Ok(text) if self.is_ours(&text) => Ok(Some(text)),
            Ok(_) => Err(StoreError::Damaged(path)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                Err(StoreError::Damaged(path))
            }
            Err(error) => Err(DiskError::new("read", &path)(error).into()),
        }
    }

    fn is_ours(&self, text: &str) -> bool {
        SignedNote::parse(text).is_ok_and(|note| {
            let mut lines = note.signatures().iter();
            lines.any(|line| self.key.verify(note.text(), line).is_some())
        })
    }

    /// Remembers a checkpoint, durably.
    pub(super) fn keep(&self, origin: &str, note: &SignedNote) -> Result<(), StoreError> {
        let path = self.path(&origin_sha256(origin));
        keep(&path, note.to_string().as_bytes(), 0o644)
    }

    fn path(&self, origin_sha256: &str) -> PathBuf {
        self.dir.join(format!("{origin_sha256}{SUFFIX}"))
    }
}

/// Replaces a file whole; it and its name are durable then.
fn keep(path: &Path, bytes: &[u8], mode: u32) -> Result<(), StoreError> {
    replace(path, bytes, mode)?;
    sync_dir(path.parent().unwrap_or_else(|| Path::new(".")))?;
    Ok(())
}

fn key_error(path: &Path) -> impl FnOnce(KeyError) -> StoreError {
    let path = path.to_owned();
    move |source| StoreError::Key { path, source }
}
