//! Verifies a mirror offline, with the broker gone: every entry, every hash and every checkpoint.

use std::path::{Path, PathBuf};

use accord_proto::c2sp::{Checkpoint, CheckpointError, LogProof, SignedNote, Tile, VerifierKey};
use accord_proto::merkle::{Hash, ProofError, prove_inclusion, verify_inclusion};

use super::entries::{Before, Entries, EntryFault, Wrong};
use super::hashes::{HashError, Hashes, edge_tiles};
use super::layout::{Holds, Layout, LayoutError, LogDir, bundle_of};

/// A mirror in which nothing is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedMirror {
    /// What it holds.
    pub holds: Holds,
    /// Each month's log, oldest first.
    pub logs: Vec<MirroredLog>,
    /// The first log continues one that is not here.
    pub begins_late: bool,
}

/// One month's log in which nothing is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MirroredLog {
    /// The log's origin.
    pub origin: String,
    /// Number of entries under the checkpoint.
    pub entries: u64,
    /// The RFC 6962 root over them.
    pub root: Hash,
    /// Hash tiles that were held against each other, those of the right edge among them.
    pub tiles: u64,
}

/// What is wrong with a mirror, the first thing that was found.
#[derive(Debug, thiserror::Error)]
pub enum MirrorFault {
    /// The directory.
    #[error(transparent)]
    Layout(#[from] LayoutError),
    /// A checkpoint that is not believed.
    #[error("the checkpoint `{}` is not believed", .path.display())]
    Checkpoint {
        /// The file.
        path: PathBuf,
        /// Why.
        source: CheckpointError,
    },
    /// A checkpoint of another log.
    #[error("the checkpoint `{}` belongs to another log", .path.display())]
    OtherLog {
        /// The file.
        path: PathBuf,
    },
    /// A hash tile that is not there, or has another length.
    #[error("the hash tile `{}` is missing, or is no tile of its width", .path.display())]
    NoTile {
        /// The file.
        path: PathBuf,
    },
    /// A hash tile that does not lead to the hash above it.
    #[error("the hash tile `{}` does not lead to the root that was signed", .path.display())]
    Tile {
        /// The file.
        path: PathBuf,
    },
    /// The tiles of the right edge do not lead to the root.
    #[error(
        "the hash tiles at the right edge of `{}` do not lead to the root that was signed: {files}",
        .dir.display()
    )]
    Edge {
        /// The log's directory.
        dir: PathBuf,
        /// Which tiles those are.
        files: String,
    },
    /// An entry bundle that is not there.
    #[error("the entry bundle `{}` is missing", .path.display())]
    NoBundle {
        /// The file.
        path: PathBuf,
    },
    /// An entry.
    #[error("the entry bundle `{}` is damaged at entry {entry}: {fault}", .path.display())]
    Entry {
        /// The file.
        path: PathBuf,
        /// Index of the entry.
        entry: u64,
        /// What is wrong.
        fault: EntryFault,
    },
    /// A month between two others, or the end of one, is not here.
    #[error(
        "`{origin}` ends at {found} entries here, but the month after it begins behind its entry \
         {named}: the mirror lacks the rest"
    )]
    Lacks {
        /// The log.
        origin: String,
        /// Entries that are here.
        found: u64,
        /// Entries that the next month names.
        named: u64,
    },
    /// No proof can be made.
    #[error("the log has {size} entries here, and no entry {index}")]
    Range {
        /// What was asked for.
        index: u64,
        /// How many there are.
        size: u64,
    },
    /// A log that is not here.
    #[error("the mirror holds no log `{origin}`; it holds {known}")]
    UnknownLog {
        /// What was asked for.
        origin: String,
        /// What there is.
        known: String,
    },
    /// Without entries none can be shown.
    #[error("the mirror holds hash tiles only, and no entries")]
    NoEntries,
}

/// Verifies a mirror's directory. `log_keys` are the keys that the auditor knows; without any, the
/// one that lies in it is taken, which shows damage but not a log made anew with another key.
///
/// # Errors
/// [`MirrorFault`] names the first thing that is wrong.
pub fn verify_mirror(dir: &Path, log_keys: &[VerifierKey]) -> Result<VerifiedMirror, MirrorFault> {
    let layout = Layout::open(dir)?;
    let own = std::slice::from_ref(&layout.key);
    let keys = if log_keys.is_empty() { own } else { log_keys };
    let origins = layout.origins()?;
    if origins.is_empty() {
        return Err(LayoutError::Empty {
            dir: dir.to_owned(),
        }
        .into());
    }
    let mut verified = VerifiedMirror {
        holds: layout.holds,
        logs: Vec::new(),
        begins_late: false,
    };
    let mut before = Before::default();
    for origin in &origins {
        let log = Log::open(&layout, origin, keys)?;
        let (mirrored, next) = log.verify(layout.holds, keys, &before, &mut verified)?;
        verified.logs.push(mirrored);
        before = next;
    }
    Ok(verified)
}

/// A C2SP `tlog-proof` of an entry from a mirror alone, the entry in its `extra` line. It was
/// verified. `origin` `None`: the newest log.
///
/// # Errors
/// [`MirrorFault`].
pub fn prove_from_mirror(
    dir: &Path,
    log_keys: &[VerifierKey],
    origin: Option<&str>,
    index: u64,
) -> Result<LogProof, MirrorFault> {
    let layout = Layout::open(dir)?;
    if layout.holds == Holds::HashTiles {
        return Err(MirrorFault::NoEntries);
    }
    let own = std::slice::from_ref(&layout.key);
    let keys = if log_keys.is_empty() { own } else { log_keys };
    let origins = layout.origins()?;
    let found = match origin {
        None => origins.last(),
        Some(origin) => origins.iter().find(|known| *known == origin),
    };
    let found = found.ok_or_else(|| MirrorFault::UnknownLog {
        origin: origin.unwrap_or("(the newest)").chars().take(80).collect(),
        known: origins.join(", "),
    })?;
    let mut log = Log::open(&layout, found, keys)?;
    let size = log.checkpoint.size;
    let beyond = MirrorFault::Range { index, size };
    let Some(bundle) = bundle_of(index, size).filter(|_| index < size) else {
        return Err(beyond);
    };
    let path = log.dir.dir.join(bundle.path());
    let bytes = log.dir.bundle(bundle)?;
    let bytes = bytes.ok_or_else(|| MirrorFault::NoBundle { path: path.clone() })?;
    let at = usize::try_from(index - bundle.first()).unwrap_or(usize::MAX);
    let entry = accord_proto::c2sp::BundleEntries::new(&bytes).nth(at);
    let Some(Ok(entry)) = entry else {
        return Err(MirrorFault::Entry {
            path,
            entry: index,
            fault: EntryFault::Count,
        });
    };
    let hashes = loop {
        match prove_inclusion(&log.hashes, index, size) {
            Ok(hashes) => break hashes,
            Err(HashError::Missing(tile)) => log.load(tile)?,
            Err(HashError::Edge | HashError::Wrong(_) | HashError::Range) => return Err(beyond),
        }
    };
    let leaf = accord_proto::merkle::leaf_hash(entry);
    let held: Result<(), ProofError> =
        verify_inclusion(&leaf, index, size, &hashes, &log.checkpoint.root);
    held.map_err(|_| MirrorFault::Entry {
        path,
        entry: index,
        fault: EntryFault::Hash,
    })?;
    Ok(LogProof {
        extra: Some(entry.to_vec()),
        index,
        hashes,
        checkpoint: log.note,
    })
}

/// One log under its checkpoint.
struct Log {
    dir: LogDir,
    note: SignedNote,
    checkpoint: Checkpoint,
    hashes: Hashes,
    tiles: u64,
}

impl Log {
    fn open(layout: &Layout, origin: &str, keys: &[VerifierKey]) -> Result<Self, MirrorFault> {
        let dir = layout.log(origin);
        let path = dir.dir.join(super::layout::CHECKPOINT_FILE);
        let text = dir.checkpoint()?.unwrap_or_default();
        let opened = SignedNote::parse(&text)
            .map_err(CheckpointError::from)
            .and_then(|note| Ok((Checkpoint::open(&note, keys)?, note)));
        let (checkpoint, note) = match opened {
            Ok(opened) => opened,
            Err(source) => return Err(MirrorFault::Checkpoint { path, source }),
        };
        if checkpoint.origin != origin {
            return Err(MirrorFault::OtherLog { path });
        }
        let mut edge = Vec::new();
        for tile in edge_tiles(checkpoint.size) {
            let path = || dir.dir.join(tile.path());
            let hashes = dir.tile(tile)?;
            edge.push((
                tile,
                hashes.ok_or_else(|| MirrorFault::NoTile { path: path() })?,
            ));
        }
        let tiles = u64::try_from(edge.len()).unwrap_or(0);
        let hashes = Hashes::new(&checkpoint, edge).map_err(|_| MirrorFault::Edge {
            dir: dir.dir.clone(),
            files: edge_tiles(checkpoint.size)
                .iter()
                .map(|tile| tile.path())
                .collect::<Vec<_>>()
                .join(", "),
        })?;
        Ok(Self {
            dir,
            note,
            checkpoint,
            hashes,
            tiles,
        })
    }

    /// Reads a tile and holds it against the one above.
    fn load(&mut self, tile: Tile) -> Result<(), MirrorFault> {
        let path = || self.dir.dir.join(tile.path());
        let hashes = self.dir.tile(tile)?;
        let hashes = hashes.ok_or_else(|| MirrorFault::NoTile { path: path() })?;
        let given = self.hashes.give(tile, hashes);
        given.map_err(|_| MirrorFault::Tile {
            path: self.dir.dir.join(tile.path()),
        })?;
        self.tiles += 1;
        Ok(())
    }

    fn verify(
        mut self,
        holds: Holds,
        keys: &[VerifierKey],
        before: &Before,
        whole: &mut VerifiedMirror,
    ) -> Result<(MirroredLog, Before), MirrorFault> {
        let Checkpoint {
            origin, size, root, ..
        } = self.checkpoint.clone();
        let mut entries = Entries::new(&origin, keys, before);
        let mut next = 0;
        while let Some(bundle) = bundle_of(next, size).filter(|_| next < size) {
            while let Some(tile) = self.hashes.missing(0, bundle.index()) {
                self.load(tile)?;
            }
            if holds == Holds::Entries {
                let path = || self.dir.dir.join(bundle.path());
                let bytes = self.dir.bundle(bundle)?;
                let bytes = bytes.ok_or_else(|| MirrorFault::NoBundle { path: path() })?;
                let hashes = self.hashes.tile(0, bundle.index()).unwrap_or_default();
                let checked = entries.bundle(bundle.first(), &bytes, hashes);
                checked.map_err(|Wrong { index, fault }| MirrorFault::Entry {
                    path: path(),
                    entry: index,
                    fault,
                })?;
            }
            next += u64::from(bundle.width());
        }
        match (&before.checkpoint, &entries.previous) {
            (Some(before), Some(named)) if named.size > before.size => {
                return Err(MirrorFault::Lacks {
                    origin: before.origin.clone(),
                    found: before.size,
                    named: named.size,
                });
            }
            (None, Some(_)) => whole.begins_late = true,
            (Some(_) | None, _) => {}
        }
        let after = Before {
            checkpoint: (holds == Holds::Entries).then(|| self.checkpoint.clone()),
            last_ms: entries.last_ms,
            authorities: entries.authorities.take(),
        };
        let mirrored = MirroredLog {
            origin: origin.clone(),
            entries: size,
            root,
            tiles: self.tiles,
        };
        Ok((mirrored, after))
    }
}
