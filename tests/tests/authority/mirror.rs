//! A mirror that follows a ledger, is killed, goes on, and holds with the broker gone.

use std::{fs, process::Stdio, time::Duration};

use accord_client::held::{Held, HeldError};
use accord_client::mirror::{
    Holds, MirrorError, mirrored_entries, prove_from_mirror, verify_mirror,
};
use accord_proto::{
    c2sp::{Checkpoint, SignedNote, Tile, tiles::hashes_of},
    clock::ManualClock,
    merkle::leaf_hash,
    v1::entry::Event,
};
use accord_tests::world::{
    CENTRAL_BANK, TELECOM_REGULATOR, World, WorldFiles, WorldSpec, broker_binary,
};
use jiff::SignedDuration;
use tempfile::TempDir;
use tlog_tiles::{HashReader, TileHashReader, TileReader};
use tokio::{process::Command, time::sleep};

use crate::{
    offline::{audit, said},
    rig::{Rig, files, held},
};

#[tokio::test]
async fn a_mirror_follows_the_ledger_and_holds_with_the_broker_gone() {
    let rig = Rig::new().await;
    rig.grow(700).await;
    let at = rig.dir.path().join("mirror");
    let mut mirror = rig.mirror(&at).await;
    // Its own reading is an entry too, and the next round has it.
    mirror.round(&|_| ()).await.unwrap();
    assert_eq!(held(&mirror), rig.size());
    for count in [1, 255, 40] {
        rig.grow(count).await;
        mirror.round(&|_| ()).await.unwrap();
        assert_eq!(held(&mirror), rig.size());
    }
    let reads: Vec<_> = rig
        .events()
        .into_iter()
        .filter_map(|event| match event {
            Event::AuditRead(read) => Some(read),
            _ => None,
        })
        .collect();
    // A mirror does not feed itself: one connection, one entry, with what it states.
    let [read] = reads.as_slice() else {
        panic!("{reads:?}")
    };
    assert_eq!(read.method, "Tiles.Entries");
    assert!(read.party.ends_with("/authority/central-bank"), "{read:?}");
    assert!(read.statement.is_some(), "{read:?}");

    let keys = rig.world.profile().log_keys().unwrap();
    let (size, ledger) = (rig.size(), rig.world.broker.ledger());
    let all = ledger.entries(None, 0, size).unwrap();
    let entry = all[300].clone();
    drop(mirror);
    let Rig { world, dir: _dir } = rig;
    let (files_of_world, _) = world.stop().await.unwrap();
    let verified = verify_mirror(&at, &keys).unwrap();
    assert_eq!(verified.holds, Holds::Entries);
    assert_eq!(verified.logs[0].entries, size);
    let mut read = Vec::new();
    let each = |_: &str, index: u64, bytes: &[u8]| {
        assert_eq!(index, read.len() as u64);
        read.push(bytes.to_vec());
    };
    mirrored_entries(&at, &verified, each).unwrap();
    assert!(
        read == all,
        "the mirror has other entries than the ledger had"
    );
    // The desk works from the mirror alone.
    let args = ["report", "--json", "--dir", at.to_str().unwrap()];
    let report = said(&audit(files_of_world.dir(), &args));
    assert!(report.contains("the whole record, from a copy"), "{report}");
    // So does whoever searches it for a subject.
    let mut leaves = Vec::new();
    let searched = Held::verify(&at, &keys).unwrap().entries(|entry| {
        leaves.push(entry.bytes);
        Ok::<_, HeldError>(())
    });
    searched.unwrap();
    assert!(
        leaves == all,
        "other entries are searched than the ledger had"
    );
    let proof = prove_from_mirror(&at, &keys, None, 300).unwrap();
    assert_eq!(proof.extra.as_deref(), Some(entry.as_slice()));
    proof.verify_leaf(&leaf_hash(&entry), &keys).unwrap();
    // Nothing is left of what only older checkpoints needed.
    let parts: Vec<_> = files(&at)
        .into_iter()
        .filter(|path| path.to_string_lossy().contains(".p/"))
        .collect();
    assert_eq!(parts.len(), 3, "{parts:?}");
}

#[tokio::test]
async fn a_mirror_that_is_killed_anywhere_goes_on_where_it_was() {
    let rig = Rig::new().await;
    rig.grow(6_000).await;
    let at = rig.dir.path().join("mirror");
    let accord = broker_binary().unwrap().with_file_name("accord");
    let run = || {
        let mut command = Command::new(&accord);
        command
            .args(["audit", "mirror", "--once", "--profile"])
            .arg(rig.world.files.dir())
            .arg(&at)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        command
    };
    let mut killed = 0;
    // Each run gets a little further, until one ends by itself.
    for round in 0..60_u64 {
        let mut child = run().spawn().unwrap();
        let patience = Duration::from_millis(20 + 13 * round);
        tokio::select! {
            status = child.wait() => {
                assert!(status.unwrap().success());
                break;
            }
            () = sleep(patience) => child.kill().await.unwrap(),
        }
        killed += 1;
        if at.join("accord-sandbox").exists() && round % 4 == 0 {
            rig.grow(3).await;
        }
    }
    assert!(killed > 0);
    let output = run().output().await.unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}");
    let keys = rig.world.profile().log_keys().unwrap();
    let verified = verify_mirror(&at, &keys).unwrap();
    assert!(verified.logs[0].entries >= 6_000);
}

#[tokio::test]
async fn a_mirror_goes_from_month_to_month() {
    let dir = TempDir::new().unwrap();
    let spec = WorldSpec::default();
    let past = WorldSpec {
        clock: ManualClock::at(spec.clock.now() - SignedDuration::from_hours(35 * 24)),
        ..spec.clone()
    };
    WorldFiles::write(dir.path(), &past).unwrap();
    let files = WorldFiles::write(dir.path(), &spec).unwrap();
    let world = World::start(files, spec.clock.clone()).await.unwrap();
    let rig = Rig { world, dir };
    let at = rig.dir.path().join("mirror");
    let mirror = rig.mirror(&at).await;
    let origins = rig.world.broker.ledger().origins().unwrap();
    let held: Vec<_> = mirror.held().map(|held| &held.checkpoint.origin).collect();
    assert_eq!(held, origins.iter().collect::<Vec<_>>());
    assert_eq!(held.len(), 2);
    drop(mirror);
    let keys = rig.world.profile().log_keys().unwrap();
    let verified = verify_mirror(&at, &keys).unwrap();
    assert!(!verified.begins_late);
    // Without the month before, the verifier says that the mirror begins late.
    fs::remove_dir_all(at.join(&origins[0])).unwrap();
    assert!(verify_mirror(&at, &keys).unwrap().begins_late);

    // The second month alone, by its name.
    let at = rig.dir.path().join("one");
    let mut config = rig.config(&at, Holds::Entries);
    config.only = Some(origins[1].clone());
    let mut one = rig.open(config, TELECOM_REGULATOR, None).await.unwrap();
    one.round(&|_| ()).await.unwrap();
    assert_eq!(one.held().count(), 1);
    let mut config = rig.config(&rig.dir.path().join("none"), Holds::Entries);
    config.only = Some("accord-sandbox/1999-01".to_owned());
    let mut none = rig.open(config, TELECOM_REGULATOR, None).await.unwrap();
    let error = none.round(&|_| ()).await.unwrap_err();
    assert!(matches!(error, MirrorError::UnknownLog { .. }), "{error}");
}

#[tokio::test]
async fn without_a_grant_there_are_hashes_and_no_entries() {
    let spec = WorldSpec::default();
    let central = "    \"spiffe://accord.test/authority/central-bank\",\n";
    assert!(spec.agreement.contains(central));
    let agreement = spec.agreement.replace(central, "");
    let rig = Rig::of(&WorldSpec { agreement, ..spec }).await;
    rig.grow(300).await;
    let at = |name: &str| rig.dir.path().join(name);
    for (party, name) in [(CENTRAL_BANK, "a"), ("first-bank", "b")] {
        let config = rig.config(&at(name), Holds::Entries);
        let mut mirror = rig.open(config, party, None).await.unwrap();
        match mirror.round(&|_| ()).await.unwrap_err() {
            MirrorError::Refused { status, reason, .. } => {
                assert_eq!((status, reason.as_str()), (403, "NO_MIRROR"), "{party}");
            }
            other => panic!("{party}: {other}"),
        }
        drop(mirror);
        let config = rig.config(&at(&format!("{name}-hashes")), Holds::HashTiles);
        let mut hashes = rig.open(config, party, None).await.unwrap();
        hashes.round(&|_| ()).await.unwrap();
        assert!(held(&hashes) >= 300);
    }
    let refused = rig.events().into_iter().filter(
        |event| matches!(event, Event::RefusedCall(refused) if refused.reason == "NO_MIRROR"),
    );
    assert!(refused.count() >= 2);
    let keys = rig.world.profile().log_keys().unwrap();
    let verified = verify_mirror(&at("b-hashes"), &keys).unwrap();
    assert_eq!(verified.holds, Holds::HashTiles);
    assert!(
        !files(&at("b-hashes"))
            .iter()
            .any(|path| path.to_string_lossy().contains("entries"))
    );
    // A mirror of hashes does not become one of entries, nor the other way round.
    let config = rig.config(&at("b-hashes"), Holds::Entries);
    let error = rig.open(config, TELECOM_REGULATOR, None).await.unwrap_err();
    assert!(error.to_string().contains("hash tiles only"), "{error}");
    // The regulator has its grant still.
    let config = rig.config(&at("whole"), Holds::Entries);
    let mut whole = rig.open(config, TELECOM_REGULATOR, None).await.unwrap();
    whole.round(&|_| ()).await.unwrap();
    // And one at a time writes a directory.
    let config = rig.config(&at("whole"), Holds::Entries);
    let error = rig.open(config, TELECOM_REGULATOR, None).await.unwrap_err();
    assert!(
        error.to_string().contains("another process writes"),
        "{error}"
    );
}

#[tokio::test]
async fn only_what_the_witnesses_cosigned_is_mirrored() {
    let rig = Rig::of(&WorldSpec {
        witnessed: true,
        ..WorldSpec::default()
    })
    .await;
    rig.grow(20).await;
    rig.world.witnessed().await.unwrap();
    let at = rig.dir.path().join("mirror");
    let policy = fs::read_to_string(rig.world.files.dir().join("witnesses.policy")).unwrap();
    let mut config = rig.config(&at, Holds::Entries);
    config.policy = Some(accord_proto::c2sp::Policy::parse(&policy).unwrap());
    let mut mirror = rig.open(config, CENTRAL_BANK, None).await.unwrap();
    mirror.round(&|_| ()).await.unwrap();
    let origin = mirror.held().last().unwrap().checkpoint.origin.clone();
    let note = fs::read_to_string(at.join(origin).join("checkpoint")).unwrap();
    let note = SignedNote::parse(&note).unwrap();
    assert!(note.signatures().len() >= 2, "{note}");
    // A policy that asks for a witness that this ledger does not have.
    let stranger = accord_proto::c2sp::Cosigner::generate("stranger.example/w").unwrap();
    let log = policy.lines().next().unwrap();
    let text = format!("{log}\nwitness one {}\nquorum one\n", stranger.key());
    let mut config = rig.config(&rig.dir.path().join("strict"), Holds::Entries);
    config.policy = Some(accord_proto::c2sp::Policy::parse(&text).unwrap());
    let mut strict = rig.open(config, CENTRAL_BANK, None).await.unwrap();
    let error = strict.round(&|_| ()).await.unwrap_err();
    assert!(matches!(error, MirrorError::Checkpoint { .. }), "{error}");
}

/// A mirror's tiles, for a crate that others wrote.
struct Tiles {
    dir: std::path::PathBuf,
    size: u64,
}

impl TileReader for Tiles {
    fn height(&self) -> u8 {
        8
    }

    fn read_tiles(&self, tiles: &[tlog_tiles::Tile]) -> Result<Vec<Vec<u8>>, tlog_tiles::Error> {
        let read = |tile: &tlog_tiles::Tile| {
            let (level, index) = (tile.level(), tile.level_index());
            let there = self.size >> (8 * u32::from(level));
            let width = (there - index * 256).min(256);
            let ours = Tile::partial(level, index, u16::try_from(width).unwrap()).unwrap();
            let mut bytes = fs::read(self.dir.join(ours.path())).unwrap();
            assert!(hashes_of(&bytes).is_some());
            bytes.truncate(32 * tile.width() as usize);
            bytes
        };
        Ok(tiles.iter().map(read).collect())
    }

    fn save_tiles(&self, _: &[tlog_tiles::Tile], _: &[Vec<u8>]) {}
}

#[tokio::test]
async fn a_mirror_is_read_and_believed_by_a_crate_that_others_wrote() {
    let rig = Rig::new().await;
    rig.grow(900).await;
    let at = rig.dir.path().join("mirror");
    let mirror = rig.mirror(&at).await;
    let Checkpoint { origin, size, root } = mirror.held().last().unwrap().checkpoint.clone();
    let dir = at.join(&origin);
    let tiles = Tiles { dir, size };
    let reader = TileHashReader::new(size, tlog_tiles::Hash(root), &tiles);
    for index in [0, 255, 256, 700, size - 1] {
        let stored = tlog_tiles::stored_hash_index(0, index);
        let hash = reader.read_hashes(&[stored]).unwrap();
        let entry = rig.world.broker.ledger().entry(Some(&origin), index);
        assert_eq!(hash[0].0, leaf_hash(&entry.unwrap()), "{index}");
        tlog_tiles::prove_record(size, index, &reader).unwrap();
    }
    let note = fs::read(tiles.dir.join("checkpoint")).unwrap();
    let note = SignedNote::parse(str::from_utf8(&note).unwrap()).unwrap();
    let theirs = tlog_tiles::Checkpoint::from_bytes(note.text().as_bytes()).unwrap();
    assert_eq!((theirs.size(), theirs.hash().0), (size, root));
}
