//! Logs that lie: whatever is not what was signed is refused, and the mirror stays as it was.

use std::{collections::BTreeMap, fs, path::Path};

use accord_client::mirror::{
    Holds, Mirror, MirrorError, MirrorFault, prove_from_mirror, verify_mirror,
};
use accord_proto::c2sp::VerifierKey;
use accord_tests::world::CENTRAL_BANK;

use crate::{
    rig::{Rig, copy, files, held},
    static_tiles::StaticTiles,
};

/// What lies in a mirror, but for what is a running one's own.
fn contents(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let name = |path: &Path| path.strip_prefix(dir).unwrap().display().to_string();
    files(dir)
        .iter()
        .filter(|path| !path.ends_with("checkpoint.refused"))
        .map(|path| (name(path), fs::read(path).unwrap()))
        .collect()
}

/// A mirror that has come some way, and where the same ledger has come since.
struct Shown {
    rig: Rig,
    /// The mirror's directory, at its first size.
    early: std::path::PathBuf,
    /// What a broker shows: the ledger, later.
    late: std::path::PathBuf,
    keys: Vec<VerifierKey>,
}

impl Shown {
    async fn new() -> Self {
        let rig = Rig::new().await;
        rig.grow(300).await;
        let (early, late) = (rig.dir.path().join("early"), rig.dir.path().join("late"));
        let mut mirror = rig.mirror(&late).await;
        drop(rig.mirror(&early).await);
        rig.grow(600).await;
        mirror.round(&|_| ()).await.unwrap();
        let keys = rig.world.profile().log_keys().unwrap();
        Self {
            rig,
            early,
            late,
            keys,
        }
    }

    /// A mirror of what a directory shows.
    async fn mirror(&self, at: &Path, tiles: &StaticTiles) -> Result<Mirror, MirrorError> {
        let config = self.rig.config(at, Holds::Entries);
        self.rig.open(config, CENTRAL_BANK, Some(&tiles.url)).await
    }
}

#[tokio::test]
async fn one_flipped_bit_in_whatever_is_shown_is_refused_and_named() {
    let shown = Shown::new().await;
    let lying = shown.rig.dir.path().join("lying");
    copy(&shown.late, &lying);
    let tiles = StaticTiles::serve(shown.rig.world.files.dir(), &lying).await;
    let before = contents(&shown.early);
    let logs: Vec<_> = files(&lying)
        .into_iter()
        .filter(|path| path.parent() != Some(&*lying))
        .collect();
    let mut kinds = BTreeMap::new();
    for path in logs {
        let whole = fs::read(&path).unwrap();
        for at in [whole.len() / 3, whole.len() - 2] {
            let mut flipped = whole.clone();
            flipped[at] ^= 0x10;
            fs::write(&path, &flipped).unwrap();
            let fresh = shown.rig.dir.path().join("fresh");
            let mut mirror = shown.mirror(&fresh, &tiles).await.unwrap();
            let Err(error) = mirror.round(&|_| ()).await else {
                panic!("byte {at} of {} went unnoticed", path.display())
            };
            let name = path.strip_prefix(&lying).unwrap().display().to_string();
            let (_, name) = name.split_once('/').unwrap();
            let (_, name) = name.split_once('/').unwrap();
            let told = error.to_string();
            let kind = match &error {
                MirrorError::Entry { path, .. } | MirrorError::Tile { path } => {
                    assert!(path.contains(name), "{name}: {told}");
                    name.split('/').nth(1).unwrap_or_default().to_owned()
                }
                MirrorError::Checkpoint { .. } | MirrorError::Answer { .. } => {
                    assert_eq!(name, "checkpoint", "{told}");
                    name.to_owned()
                }
                other => panic!("{name}: {other}"),
            };
            assert!(!error.may_pass(), "{told}");
            *kinds.entry(kind).or_insert(0) += 1;
            assert_eq!(mirror.held().count(), 0, "{name}");
            drop(mirror);
            fs::remove_dir_all(&fresh).unwrap();
            // One that goes on is not moved either: what it has fetched before, it does not ask for.
            let mut going_on = shown.mirror(&shown.early, &tiles).await.unwrap();
            let size = held(&going_on);
            if going_on.round(&|_| ()).await.is_err() {
                assert_eq!(held(&going_on), size, "{name}");
                drop(going_on);
                verify_mirror(&shown.early, &shown.keys).unwrap();
            }
            fs::remove_dir_all(&shown.early).unwrap();
            for (name, bytes) in &before {
                let path = shown.early.join(name);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, bytes).unwrap();
            }
        }
        fs::write(&path, &whole).unwrap();
    }
    let kinds: Vec<_> = kinds.keys().map(String::as_str).collect();
    assert_eq!(kinds, ["0", "1", "checkpoint", "entries"]);
    // With nothing changed the same directory is believed.
    let mut mirror = shown.mirror(&shown.early, &tiles).await.unwrap();
    mirror.round(&|_| ()).await.unwrap();
}

#[tokio::test]
async fn a_log_that_was_rolled_back_is_refused_and_its_signature_is_kept() {
    let shown = Shown::new().await;
    let tiles = StaticTiles::serve(shown.rig.world.files.dir(), &shown.early).await;
    let before = contents(&shown.late);
    let mut mirror = shown.mirror(&shown.late, &tiles).await.unwrap();
    let size = held(&mirror);
    let error = mirror.round(&|_| ()).await.unwrap_err();
    let MirrorError::Shrunk {
        held: had, kept, ..
    } = &error
    else {
        panic!("{error}")
    };
    assert_eq!(*had, size);
    assert!(kept.as_ref().unwrap().is_file());
    assert!(error.to_string().contains("rolled back"), "{error}");
    drop(mirror);
    assert!(contents(&shown.late) == before, "the mirror changed");
    verify_mirror(&shown.late, &shown.keys).unwrap();
}

#[tokio::test]
async fn a_log_that_forked_is_refused_and_its_signature_is_kept() {
    let shown = Shown::new().await;
    // The same key signs another history from some entry on: the ledger is put back, and goes on.
    let Shown {
        rig, late, keys, ..
    } = shown;
    let dir = rig.dir;
    let spec = rig.world.files.spec().clone();
    let ledger = rig.world.files.ledger_dir();
    let saved = dir.path().join("saved");
    let (_, _) = rig.world.stop().await.unwrap();
    copy(&ledger, &saved);
    let start = async || {
        let files = accord_tests::world::WorldFiles::write(dir.path(), &spec).unwrap();
        accord_tests::world::World::start(files, spec.clock.clone())
            .await
            .unwrap()
    };
    let rig = Rig {
        world: start().await,
        dir: tempfile::tempdir().unwrap(),
    };
    rig.grow(300).await;
    drop(rig.mirror(&late).await);
    rig.world.stop().await.unwrap();
    fs::remove_dir_all(&ledger).unwrap();
    copy(&saved, &ledger);
    let rig = Rig {
        world: start().await,
        dir: tempfile::tempdir().unwrap(),
    };
    rig.grow(1_000).await;
    let before = contents(&late);
    let config = rig.config(&late, Holds::Entries);
    let mut mirror = rig.open(config, CENTRAL_BANK, None).await.unwrap();
    let error = mirror.round(&|_| ()).await.unwrap_err();
    let MirrorError::Forked { kept, .. } = &error else {
        panic!("{error}")
    };
    assert!(kept.as_ref().unwrap().is_file());
    drop(mirror);
    assert!(contents(&late) == before, "the mirror changed");
    verify_mirror(&late, &keys).unwrap();
    rig.world.stop().await.unwrap();
}

#[tokio::test]
async fn one_flipped_bit_in_a_mirror_is_found_offline_and_named() {
    let shown = Shown::new().await;
    let (dir, keys) = (&shown.late, &shown.keys);
    let size = verify_mirror(dir, keys).unwrap().logs[0].entries;
    for path in files(dir) {
        if path.ends_with("lock") {
            continue;
        }
        let whole = fs::read(&path).unwrap();
        for at in [0, whole.len() / 2, whole.len() - 2] {
            let mut flipped = whole.clone();
            flipped[at] ^= 0x10;
            fs::write(&path, &flipped).unwrap();
            match verify_mirror(dir, keys) {
                Err(fault) => {
                    let told = chain(&fault);
                    let name = path.file_name().unwrap().to_str().unwrap();
                    assert!(told.contains(name), "{}: {told}", path.display());
                }
                // The key beside it is a person's own note: whoever knows another one goes by that.
                Ok(_) if path.ends_with("log.vkey") => {}
                Ok(_) => panic!("byte {at} of {} went unnoticed", path.display()),
            }
        }
        fs::remove_file(&path).unwrap();
        let gone = verify_mirror(dir, keys);
        assert!(gone.is_err(), "{} is not missed", path.display());
        fs::write(&path, &whole).unwrap();
    }
    let beyond = prove_from_mirror(dir, keys, None, size).unwrap_err();
    assert!(matches!(beyond, MirrorFault::Range { .. }), "{beyond}");
    let stranger = accord_proto::c2sp::SigningKey::generate("accord-sandbox").unwrap();
    let other = verify_mirror(dir, &[stranger.verifier().clone()]).unwrap_err();
    assert!(matches!(other, MirrorFault::Checkpoint { .. }), "{other}");
}

/// An error with its causes.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str(&format!(": {cause}"));
        next = cause.source();
    }
    text
}
