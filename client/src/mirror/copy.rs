//! Copies one log up to a checkpoint that its broker shows: every hash and every entry is held
//! against the signed root before it is written, and the checkpoint is written last.

use std::sync::Arc;

use accord_proto::c2sp::bundle::BUNDLE_BYTES_MAX;
use accord_proto::c2sp::tiles::{TILE_BYTES, TILE_HASHES, hashes_of};
use accord_proto::c2sp::{Bundle, Checkpoint, SignedNote, Tile};
use accord_proto::merkle::{Hash, root_at};
use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use jiff::Timestamp;

use super::entries::{Before, Entries, EntryFault, Wrong};
use super::error::MirrorError;
use super::hashes::{HashError, Hashes, edge_tiles};
use super::layout::{CHECKPOINT_BYTES_MAX, Holds, LogDir, bundle_of, parts_of};
use super::store::blocking;
use super::{HeldLog, Parts};

/// Bundles on their way at once, each up to 16 MiB and mostly 100 KiB.
const AHEAD_MAX: usize = 8;
/// After so many bundles a person is told how far it is.
const TOLD_EVERY: u64 = 1_024;

/// One bundle and the tile over it, as they came.
struct Fetched {
    bundle: Bundle,
    /// `None` where the tile over it belongs to the right edge, which is known.
    tile: Option<Piece>,
    entries: Option<Piece>,
}

/// Bytes, and whether they lay in the mirror already.
struct Piece {
    bytes: Bytes,
    own: bool,
}

/// A log and how it is to be copied.
pub(super) struct Copy<'a> {
    pub(super) parts: &'a Parts,
    pub(super) origin: &'a str,
    pub(super) before: &'a Before,
    pub(super) told: &'a (dyn Fn(&str) + Sync),
}

impl Copy<'_> {
    /// Copies the log as far as it is shown now.
    pub(super) async fn run(&self, held: Option<&HeldLog>) -> Result<HeldLog, MirrorError> {
        let (note, shown, cosigned_at) = self.shown().await?;
        if let Some(held) = held {
            let (have, here) = (
                &held.checkpoint,
                (held.checkpoint.size, held.checkpoint.root),
            );
            if (shown.size, shown.root) == here {
                return self.again(held, &note, cosigned_at).await;
            }
            if shown.size < have.size {
                let kept = self.keep_refused(&note).await;
                return Err(MirrorError::Shrunk {
                    origin: self.origin.to_owned(),
                    shown: shown.size,
                    held: have.size,
                    kept,
                });
            }
        }
        let mut hashes = self.right_edge(&shown).await?;
        if let Some(held) = held {
            self.continues(&mut hashes, &held.checkpoint, &shown, &note)
                .await?;
        }
        // The last bundle is gone through again, so that its last entry's time is known.
        let last = held.map_or(0, |held| held.checkpoint.size.saturating_sub(1));
        let from = last / TILE_HASHES;
        let mut entries = Entries::new(self.origin, &self.parts.keys, self.before);
        self.walk(&mut hashes, &mut entries, &shown, from).await?;
        self.put_edge(&hashes).await?;
        self.commit(&note, held.map(|held| held.checkpoint.size), shown.size)
            .await?;
        let same = held.cloned();
        Ok(HeldLog {
            checkpoint: shown,
            cosigned_at,
            last_ms: entries.last_ms,
            authorities: entries
                .authorities
                .or_else(|| same.as_ref()?.authorities.clone()),
            previous: entries.previous.or_else(|| same?.previous),
        })
    }

    /// What is here is shown again. Fresher cosignatures of it are kept: they show that it was the
    /// newest for so long.
    async fn again(
        &self,
        held: &HeldLog,
        note: &SignedNote,
        cosigned_at: Option<Timestamp>,
    ) -> Result<HeldLog, MirrorError> {
        if cosigned_at <= held.cosigned_at {
            return Ok(held.clone());
        }
        let size = held.checkpoint.size;
        self.commit(note, Some(size), size).await?;
        Ok(HeldLog {
            cosigned_at,
            ..held.clone()
        })
    }

    /// The checkpoint that is shown, with its signatures checked, and since when it is cosigned.
    async fn shown(&self) -> Result<(SignedNote, Checkpoint, Option<Timestamp>), MirrorError> {
        let path = format!("/{}/checkpoint", self.origin);
        let bytes = self.parts.source.get(&path, CHECKPOINT_BYTES_MAX).await?;
        let wrong = |what| MirrorError::Answer {
            path: path.clone(),
            what,
        };
        let text = str::from_utf8(&bytes).map_err(|_| wrong("is no checkpoint"))?;
        let note = SignedNote::parse(text).map_err(|_| wrong("is no signed note"))?;
        let shown = self.parts.open(&note);
        let (shown, cosigned_at) = shown.map_err(|source| MirrorError::Checkpoint {
            origin: self.origin.to_owned(),
            source,
        })?;
        if shown.origin != self.origin {
            return Err(wrong("is the checkpoint of another log"));
        }
        if shown.size == 0 {
            return Err(wrong("is the checkpoint of an empty log, which none is"));
        }
        Ok((note, shown, cosigned_at))
    }

    async fn right_edge(&self, shown: &Checkpoint) -> Result<Hashes, MirrorError> {
        let mut edge = Vec::new();
        for tile in edge_tiles(shown.size) {
            edge.push((tile, self.tile(tile).await?));
        }
        let paths: Vec<_> = edge.iter().map(|(tile, _)| tile.path()).collect();
        Hashes::new(shown, edge).map_err(|_| MirrorError::Tile {
            path: paths.join("` or `"),
        })
    }

    /// Holds what is here against the newer tree: a log only ever grows.
    async fn continues(
        &self,
        hashes: &mut Hashes,
        have: &Checkpoint,
        shown: &Checkpoint,
        note: &SignedNote,
    ) -> Result<(), MirrorError> {
        let mut fresh = Vec::new();
        let root = loop {
            match root_at(&*hashes, have.size) {
                Ok(root) => break Some(root),
                Err(HashError::Missing(tile)) => {
                    let own = self.believe(hashes, tile, None).await?;
                    fresh.extend((!own).then_some(tile));
                }
                Err(HashError::Edge | HashError::Range | HashError::Wrong(_)) => break None,
            }
        };
        if root == Some(have.root) {
            // Nothing of a log that forked is ever written.
            for tile in fresh {
                self.put_full(hashes, tile).await?;
            }
            return Ok(());
        }
        Err(MirrorError::Forked {
            origin: self.origin.to_owned(),
            shown: shown.size,
            held: have.size,
            kept: self.keep_refused(note).await,
        })
    }

    /// Goes through all bundles from one on.
    async fn walk(
        &self,
        hashes: &mut Hashes,
        entries: &mut Entries<'_>,
        shown: &Checkpoint,
        from: u64,
    ) -> Result<(), MirrorError> {
        let size = shown.size;
        let full = Tile::full_count(0, size);
        let numbers = from..size.div_ceil(TILE_HASHES);
        let bundles = numbers.filter_map(|number| bundle_of(number * TILE_HASHES, size));
        let mut fetched = stream::iter(bundles)
            .map(|bundle| self.fetch(bundle, bundle.index() < full))
            .buffered(AHEAD_MAX);
        let mut walked: u64 = 0;
        while let Some(fetched) = fetched.try_next().await? {
            self.take(hashes, entries, fetched).await?;
            walked += 1;
            if walked.is_multiple_of(TOLD_EVERY) {
                let done = ((from + walked) * TILE_HASHES).min(size);
                (self.told)(&format!("{}: {done} of {size} entries", self.origin));
                let store = Arc::clone(&self.parts.store);
                blocking(move || Ok(store.sync()?)).await?;
            }
        }
        Ok(())
    }

    async fn fetch(&self, bundle: Bundle, full: bool) -> Result<Fetched, MirrorError> {
        let tile = Tile::full(0, bundle.index()).path();
        let tile = match full {
            true => Some(self.piece(&tile, TILE_BYTES).await?),
            false => None,
        };
        let entries = match self.parts.holds {
            Holds::Entries => Some(self.piece(&bundle.path(), BUNDLE_BYTES_MAX).await?),
            Holds::HashTiles => None,
        };
        Ok(Fetched {
            bundle,
            tile,
            entries,
        })
    }

    /// Holds a bundle and the tile over it against what is above them, and writes both.
    async fn take(
        &self,
        hashes: &mut Hashes,
        entries: &mut Entries<'_>,
        fetched: Fetched,
    ) -> Result<(), MirrorError> {
        let Fetched {
            bundle,
            mut tile,
            entries: piece,
        } = fetched;
        while let Some(missing) = hashes.missing(0, bundle.index()) {
            let given = tile.take_if(|_| missing == Tile::full(0, bundle.index()));
            self.give(hashes, missing, given).await?;
        }
        let Some(piece) = piece else { return Ok(()) };
        let leaves = hashes.tile(0, bundle.index()).unwrap_or_default();
        let checked = entries.bundle(bundle.first(), &piece.bytes, leaves);
        let (path, mut piece) = (bundle.path(), piece);
        let checked = match checked {
            // What a crash spoilt is fetched anew.
            Err(Wrong {
                fault: EntryFault::Hash | EntryFault::Bundle(_) | EntryFault::Count,
                ..
            }) if piece.own => {
                let bytes = self.fetch_bytes(&path, BUNDLE_BYTES_MAX).await?;
                piece = Piece { bytes, own: false };
                entries.bundle(bundle.first(), &piece.bytes, leaves)
            }
            checked => checked,
        };
        checked.map_err(|Wrong { index, fault }| MirrorError::Entry {
            path,
            entry: index,
            fault,
        })?;
        if piece.own {
            return Ok(());
        }
        let (store, origin) = (Arc::clone(&self.parts.store), self.origin.to_owned());
        blocking(move || Ok(store.put_bundle(&origin, bundle, &piece.bytes)?)).await
    }

    /// Gives a full tile, and writes it where it was not there.
    async fn give(
        &self,
        hashes: &mut Hashes,
        tile: Tile,
        piece: Option<Piece>,
    ) -> Result<(), MirrorError> {
        match self.believe(hashes, tile, piece).await? {
            true => Ok(()),
            false => self.put_full(hashes, tile).await,
        }
    }

    async fn put_full(&self, hashes: &Hashes, tile: Tile) -> Result<(), MirrorError> {
        let known = hashes.tile(tile.level(), tile.index());
        self.put_tile(tile, known.unwrap_or_default().to_vec())
            .await
    }

    /// Gives a full tile, from the mirror where it is there and good; says whether it was.
    async fn believe(
        &self,
        hashes: &mut Hashes,
        tile: Tile,
        piece: Option<Piece>,
    ) -> Result<bool, MirrorError> {
        let path = tile.path();
        let mut piece = match piece {
            Some(piece) => piece,
            None => self.piece(&path, TILE_BYTES).await?,
        };
        loop {
            let given = hashes_of(&piece.bytes).ok_or(HashError::Wrong(tile));
            match given.and_then(|given| hashes.give(tile, given)) {
                Ok(()) => break,
                Err(_) if piece.own => {
                    let bytes = self.fetch_bytes(&path, TILE_BYTES).await?;
                    piece = Piece { bytes, own: false };
                }
                Err(_) => return Err(MirrorError::Tile { path }),
            }
        }
        Ok(piece.own)
    }

    async fn put_edge(&self, hashes: &Hashes) -> Result<(), MirrorError> {
        let edge: Vec<_> = hashes
            .edge()
            .map(|(tile, hashes)| (tile, hashes.to_vec()))
            .collect();
        for (tile, hashes) in edge {
            self.put_tile(tile, hashes).await?;
        }
        Ok(())
    }

    async fn put_tile(&self, tile: Tile, hashes: Vec<Hash>) -> Result<(), MirrorError> {
        let (store, origin) = (Arc::clone(&self.parts.store), self.origin.to_owned());
        blocking(move || Ok(store.put_tile(&origin, tile, &hashes)?)).await
    }

    /// Writes the checkpoint, and removes the parts that the one before needed.
    async fn commit(
        &self,
        note: &SignedNote,
        before: Option<u64>,
        size: u64,
    ) -> Result<(), MirrorError> {
        let (store, origin) = (Arc::clone(&self.parts.store), self.origin.to_owned());
        let note = note.to_string();
        blocking(move || {
            store.commit(&origin, &note)?;
            let kept = parts_of(size);
            let old = before.map(parts_of).unwrap_or_default();
            for part in old.iter().filter(|part| !kept.contains(part)) {
                store.remove_part(&origin, part)?;
            }
            Ok(())
        })
        .await
    }

    async fn keep_refused(&self, note: &SignedNote) -> Option<std::path::PathBuf> {
        let (store, origin) = (Arc::clone(&self.parts.store), self.origin.to_owned());
        let note = note.to_string();
        // Whatever comes of it, the refusal itself is what counts.
        blocking(move || Ok(store.keep_refused(&origin, &note)?))
            .await
            .ok()
    }

    /// What lies under a path of the log: in the mirror, where it is there, else at the broker.
    async fn piece(&self, path: &str, bytes_max: usize) -> Result<Piece, MirrorError> {
        // A part has this path only in this one form; what is whole never changes.
        let log: LogDir = self.parts.store.layout.log(self.origin);
        let file = log.dir.join(path);
        let own = blocking(move || Ok(super::layout::read(&file)?)).await?;
        Ok(match own {
            Some(bytes) => Piece {
                bytes: bytes.into(),
                own: true,
            },
            None => Piece {
                bytes: self.fetch_bytes(path, bytes_max).await?,
                own: false,
            },
        })
    }

    async fn tile(&self, tile: Tile) -> Result<Vec<Hash>, MirrorError> {
        let path = tile.path();
        let bytes = self.fetch_bytes(&path, TILE_BYTES).await?;
        let hashes = hashes_of(&bytes).filter(|hashes| hashes.len() == usize::from(tile.width()));
        hashes.ok_or(MirrorError::Tile { path })
    }

    async fn fetch_bytes(&self, path: &str, bytes_max: usize) -> Result<Bytes, MirrorError> {
        let path = format!("/{}/{path}", self.origin);
        self.parts.source.get(&path, bytes_max).await
    }
}
