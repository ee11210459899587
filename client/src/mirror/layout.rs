//! How a mirror lies in its directory.
//!
//! ```text
//! mirror                            what it holds: `entries and hash tiles`, or `hash tiles`
//! log.vkey                          the log's public key, as it was known when the mirror was begun
//! lock                              held while a mirror is written
//! <ledger>/<yyyy-mm>/checkpoint     the last signed checkpoint up to which all is here and verified
//!                    tile/0/000 …   hash tiles   (C2SP tlog-tiles, as they are served)
//!                    tile/entries/… entry bundles
//!                    checkpoint.refused  a signed checkpoint that contradicts what is here: evidence
//! ```

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use accord_proto::c2sp::tiles::{TILE_HASHES, hashes_of};
use accord_proto::c2sp::{Bundle, KeyError, Tile, VerifierKey};
use accord_proto::merkle::Hash;
use accord_proto::subject::Month;

pub(super) const MARK_FILE: &str = "mirror";
pub(super) const VKEY_FILE: &str = "log.vkey";
pub(super) const CHECKPOINT_FILE: &str = "checkpoint";
const MARK_ENTRIES: &str = "entries and hash tiles\n";
const MARK_HASHES: &str = "hash tiles\n";
/// The most bytes of a checkpoint with its cosignatures.
pub(super) const CHECKPOINT_BYTES_MAX: usize = 64 << 10;

/// What a mirror holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holds {
    /// All entries, and the hashes over them.
    Entries,
    /// Hashes alone.
    HashTiles,
}

impl Holds {
    pub(super) const fn mark(self) -> &'static str {
        match self {
            Self::Entries => MARK_ENTRIES,
            Self::HashTiles => MARK_HASHES,
        }
    }

    /// In words.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::Entries => "entries and hash tiles",
            Self::HashTiles => "hash tiles only",
        }
    }
}

/// Why a directory is not a mirror that can be read.
#[derive(Debug, thiserror::Error)]
pub enum LayoutError {
    /// A file could not be read.
    #[error("could not read `{}`", .path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// There is no mirror.
    #[error("`{}` holds no mirror", .dir.display())]
    Missing {
        /// The directory.
        dir: PathBuf,
    },
    /// The mark says neither of the two things that it can say.
    #[error("`{}` does not say what the mirror holds", .path.display())]
    Mark {
        /// The file.
        path: PathBuf,
    },
    /// The key beside the logs.
    #[error("the log's key in `{}` can not be used", .path.display())]
    Key {
        /// The file.
        path: PathBuf,
        /// Why.
        source: KeyError,
    },
    /// There is no log in it.
    #[error("`{}` holds no log: it was begun and never got as far as a checkpoint", .dir.display())]
    Empty {
        /// The directory.
        dir: PathBuf,
    },
}

/// A mirror's directory, to be read.
#[derive(Clone, Debug)]
pub(super) struct Layout {
    pub(super) dir: PathBuf,
    pub(super) holds: Holds,
    /// The key that lies beside the logs. Its name is the ledger's.
    pub(super) key: VerifierKey,
}

/// Whether a directory is a mirror's.
#[must_use]
pub fn is_mirror(dir: &Path) -> bool {
    dir.join(MARK_FILE).is_file()
}

impl Layout {
    pub(super) fn open(dir: &Path) -> Result<Self, LayoutError> {
        let missing = || LayoutError::Missing {
            dir: dir.to_owned(),
        };
        let path = dir.join(MARK_FILE);
        let mark = read(&path)?.ok_or_else(missing)?;
        let holds = match mark.as_slice() {
            mark if mark == MARK_ENTRIES.as_bytes() => Holds::Entries,
            mark if mark == MARK_HASHES.as_bytes() => Holds::HashTiles,
            _ => return Err(LayoutError::Mark { path }),
        };
        let path = dir.join(VKEY_FILE);
        let text = read(&path)?.ok_or_else(missing)?;
        let key = VerifierKey::parse(&String::from_utf8_lossy(&text));
        let key = key.map_err(|source| LayoutError::Key { path, source })?;
        Ok(Self {
            dir: dir.to_owned(),
            holds,
            key,
        })
    }

    /// The origins of the logs that have a checkpoint here, oldest first.
    pub(super) fn origins(&self) -> Result<Vec<String>, LayoutError> {
        let ledger = self.dir.join(self.key.name());
        let list = match fs::read_dir(&ledger) {
            Ok(list) => list,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(io_error(&ledger)(error)),
        };
        let mut months = Vec::new();
        for entry in list {
            let name = entry.map_err(io_error(&ledger))?.file_name();
            months.extend(name.to_str().and_then(Month::parse));
        }
        months.sort_unstable();
        let origin = |month: &Month| format!("{}/{month}", self.key.name());
        let here = |origin: &String| self.dir.join(origin).join(CHECKPOINT_FILE).exists();
        Ok(months.iter().map(origin).filter(here).collect())
    }

    /// The directory of a log.
    pub(super) fn log(&self, origin: &str) -> LogDir {
        LogDir {
            dir: self.dir.join(origin),
        }
    }
}

/// The directory of one log.
#[derive(Clone, Debug)]
pub(super) struct LogDir {
    pub(super) dir: PathBuf,
}

impl LogDir {
    /// The checkpoint's text; `None` where there is none.
    pub(super) fn checkpoint(&self) -> Result<Option<String>, LayoutError> {
        let bytes = read(&self.dir.join(CHECKPOINT_FILE))?;
        Ok(bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
    }

    /// A tile's hashes; `None` where the file is missing or is no tile of this width.
    pub(super) fn tile(&self, tile: Tile) -> Result<Option<Vec<Hash>>, LayoutError> {
        let bytes = read(&self.dir.join(tile.path()))?;
        let hashes = bytes.and_then(|bytes| hashes_of(&bytes));
        Ok(hashes.filter(|hashes| hashes.len() == usize::from(tile.width())))
    }

    /// A bundle's bytes; `None` where the file is missing.
    pub(super) fn bundle(&self, bundle: Bundle) -> Result<Option<Vec<u8>>, LayoutError> {
        read(&self.dir.join(bundle.path()))
    }
}

/// The bundle that holds an entry of a log of `size` entries.
pub(super) fn bundle_of(index: u64, size: u64) -> Option<Bundle> {
    let number = index / TILE_HASHES;
    let left = size.checked_sub(number.checked_mul(TILE_HASHES)?)?;
    Bundle::new(number, u16::try_from(left.min(TILE_HASHES)).ok()?)
}

pub(super) fn read(path: &Path) -> Result<Option<Vec<u8>>, LayoutError> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(io_error(path)(error)),
    }
}

fn io_error(path: &Path) -> impl FnOnce(io::Error) -> LayoutError {
    let path = path.to_owned();
    move |source| LayoutError::Io { path, source }
}

/// The files of parts that a checkpoint of this size needs.
#[cfg(feature = "command")]
pub(super) fn parts_of(size: u64) -> Vec<String> {
    let edge = super::hashes::edge_tiles(size);
    let mut paths: Vec<_> = edge.iter().map(|tile| tile.path()).collect();
    let last = size.checked_sub(1).and_then(|last| bundle_of(last, size));
    let part = last.filter(|bundle| bundle.width() < 256);
    paths.extend(part.map(Bundle::path));
    paths
}
