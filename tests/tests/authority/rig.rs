//! A world whose ledger has many entries, and mirrors of it.

use std::{fs, path::Path};

use accord_client::mirror::{Holds, Mirror, MirrorConfig, MirrorError};
use accord_proto::v1::{self, entry::Event};
use accord_tests::world::{CENTRAL_BANK, World, WorldFiles, WorldSpec};
use futures_util::future::join_all;
use jiff::tz::TimeZone;
use prost::Message as _;
use tempfile::TempDir;

/// A world in a directory that goes when the test ends.
pub(crate) struct Rig {
    // Dropped in this order: first what runs, then where it ran.
    pub(crate) world: World,
    pub(crate) dir: TempDir,
}

impl Rig {
    pub(crate) async fn new() -> Self {
        Self::of(&WorldSpec::default()).await
    }

    pub(crate) async fn of(spec: &WorldSpec) -> Self {
        let dir = TempDir::new().unwrap();
        let files = WorldFiles::write(dir.path(), spec).unwrap();
        let world = World::start(files, spec.clock.clone()).await.unwrap();
        Self { world, dir }
    }

    /// Lets the ledger grow by so many entries.
    pub(crate) async fn grow(&self, count: usize) {
        let ledger = self.world.broker.ledger();
        let appended = (0..count).map(|at| ledger.append(entry(&format!("{at}"))));
        for outcome in join_all(appended).await {
            outcome.unwrap();
        }
    }

    /// How many entries the current log has.
    pub(crate) fn size(&self) -> u64 {
        self.world.broker.ledger().size()
    }

    pub(crate) fn config(&self, dir: &Path, holds: Holds) -> MirrorConfig {
        let profile = self.world.profile();
        let today = self.world.files.spec().clock.now();
        let today = today.to_zoned(TimeZone::UTC).date();
        MirrorConfig {
            dir: dir.to_owned(),
            holds,
            only: None,
            keys: profile.log_keys().unwrap(),
            policy: None,
            statement: (holds == Holds::Entries).then(|| profile.statement(today).unwrap()),
        }
    }

    /// A party's mirror, opened. `from`: elsewhere than at the broker.
    pub(crate) async fn open(
        &self,
        config: MirrorConfig,
        party: &str,
        from: Option<&str>,
    ) -> Result<Mirror, MirrorError> {
        let profile = self.world.profile();
        let party = profile.profile.party(party).unwrap();
        Mirror::open(config, profile, party, from).await.unwrap()
    }

    /// An authority's mirror of all that is shown, entries and hashes.
    pub(crate) async fn mirror(&self, dir: &Path) -> Mirror {
        let config = self.config(dir, Holds::Entries);
        let mut mirror = self.open(config, CENTRAL_BANK, None).await.unwrap();
        mirror.round(&|_| ()).await.unwrap();
        mirror
    }

    /// All events of the current log.
    pub(crate) fn events(&self) -> Vec<Event> {
        let ledger = self.world.broker.ledger();
        let entries = ledger.entries(None, 0, ledger.size()).unwrap();
        let decoded = entries.iter().map(|bytes| v1::Entry::decode(&bytes[..]));
        decoded.filter_map(|entry| entry.unwrap().event).collect()
    }
}

/// How many entries a mirror holds of its newest log.
pub(crate) fn held(mirror: &Mirror) -> u64 {
    mirror.held().last().unwrap().checkpoint.size
}

pub(crate) fn entry(detail: &str) -> Vec<u8> {
    let operation = v1::Operation {
        detail: detail.to_owned(),
        ..v1::Operation::default()
    };
    let entry = v1::Entry {
        salt: vec![7; 32],
        event: Some(Event::Operation(operation)),
        time_unix_ms: 0,
    };
    entry.encode_to_vec()
}

/// Copies a directory with all that is in it.
pub(crate) fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let (path, target) = (entry.path(), to.join(entry.file_name()));
        if path.is_dir() {
            copy(&path, &target);
        } else {
            fs::copy(&path, &target).unwrap();
        }
    }
}

/// All files below a directory.
pub(crate) fn files(dir: &Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path);
        }
    }
    found.sort();
    found
}
