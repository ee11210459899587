//! A mirror of a large log: how fast it is verified, in how much memory, how fast an entry is
//! proved, and how fast a mirror catches up with a broker.

mod figures;

use std::{
    fmt, fs,
    path::{Path, PathBuf},
    process::Command,
};

use accord_broker::ledger::{Ledger, LedgerConfig};
use accord_client::{
    mirror::{Holds, Mirror, MirrorConfig, prove_from_mirror, verify_mirror},
    verify_dir,
};
use accord_proto::{
    c2sp::{Bundle, SigningKey, Tile, VerifierKey},
    clock::{SharedClock, SystemClock},
    v1,
};
use futures_util::future::try_join_all;
use jiff::tz::TimeZone;
use prost::Message as _;
use tokio::time::Instant;

use self::figures::per_second;
pub use self::figures::{MirrorFigures, Proving, Verifying};
use super::{BenchError, Machine, child::this_program, figures::median, ledger::entry};
use crate::world::{CENTRAL_BANK, World, WorldError, WorldFiles, WorldSpec};

/// Appends that wait together.
const AHEAD: u64 = 4_096;
/// Proofs of which the median is shown.
const PROOFS: u64 = 1_000;
/// Entries that a mirror catches up with at most: a broker indexes what it finds at its start.
const CATCH_UP_MAX: u64 = 1_000_000;

/// Measures with so many entries, in a directory that is empty.
///
/// # Errors
/// [`BenchError`]; no figure is an error.
pub async fn run_mirror(
    entries: u64,
    dir: &Path,
    progress: &(dyn Fn(&str) + Sync),
) -> Result<MirrorFigures, BenchError> {
    let machine = Machine::look(dir);
    let log = Log::make(entries, &dir.join("ledger"), progress).await?;
    let mirror = dir.join("mirror");
    progress("writing a mirror of it");
    log.write_mirror(&mirror)?;
    progress("verifying the mirror");
    let of_mirror = verify_in_child(false, &mirror)?;
    progress("verifying the ledger");
    let of_ledger = verify_in_child(true, &log.dir)?;
    progress("proving");
    let keys = [log.key.clone()];
    let prove_offline_us = log.proving(|index| {
        prove_from_mirror(&mirror, &keys, None, index)
            .map(drop)
            .map_err(|error| BenchError::Answer {
                what: "a proof from the mirror",
                why: error.to_string(),
            })
    })?;
    let ledger = log.open()?;
    let prove_broker_us =
        log.proving(|index| Ok(ledger.prove_inclusion(Some(&log.origin), index).map(drop)?))?;
    drop(ledger);
    let caught = catch_up(entries.min(CATCH_UP_MAX), &dir.join("world"), progress).await?;
    Ok(MirrorFigures {
        machine,
        only_a_trial: cfg!(debug_assertions) || entries < 1_000_000,
        entries: log.entries,
        entry_bytes: u64::try_from(entry().encoded_len()).unwrap_or(0) + 10,
        appended_per_second: log.per_second,
        mirror: of_mirror,
        ledger: of_ledger,
        prove_offline_us,
        prove_broker_us,
        catch_up_entries: caught.0,
        catch_up_per_second: caught.1,
    })
}

/// A log that was made for this.
struct Log {
    dir: PathBuf,
    secret: String,
    key: VerifierKey,
    origin: String,
    entries: u64,
    per_second: f64,
}

impl Log {
    async fn make(
        entries: u64,
        dir: &Path,
        progress: &(dyn Fn(&str) + Sync),
    ) -> Result<Self, BenchError> {
        let key = SigningKey::generate("accord-bench")?;
        let pinned = [SigningKey::generate("one")?, SigningKey::generate("other")?];
        let pinned = pinned.map(|key| key.verifier().clone());
        let clock = SystemClock::shared();
        Ledger::init(dir, &key, &pinned, &clock)?;
        let mut log = Self {
            dir: dir.to_owned(),
            secret: key.to_secret_text().expose().to_owned(),
            key: key.verifier().clone(),
            origin: String::new(),
            entries,
            per_second: 0.0,
        };
        let ledger = log.open()?;
        let began = Instant::now();
        append(&ledger, entries, progress).await?;
        log.per_second = per_second(entries, began.elapsed());
        log.origin = ledger.origin();
        log.entries = ledger.size();
        tokio::task::spawn_blocking(move || ledger.stop())
            .await
            .map_err(|_| BenchError::Child { what: "ledger" })?;
        Ok(log)
    }

    fn open(&self) -> Result<Ledger, BenchError> {
        let key = SigningKey::parse(&self.secret)?;
        let config = LedgerConfig::new(&self.dir, key);
        Ok(Ledger::open(config, SystemClock::shared())?.0)
    }

    /// A mirror as one that followed the log would have it, without the network between.
    fn write_mirror(&self, to: &Path) -> Result<(), BenchError> {
        let ledger = self.open()?;
        let size = ledger.size();
        let dir = to.join(&self.origin);
        let write = |path: &str, bytes: &[u8]| {
            let path = dir.join(path);
            let parent = path.parent().unwrap_or(&dir);
            fs::create_dir_all(parent).map_err(BenchError::io("make", parent))?;
            fs::write(&path, bytes).map_err(BenchError::io("write", &path))
        };
        for level in 0..8_u8 {
            let there = size >> (8 * u32::from(level));
            for index in 0..there.div_ceil(256) {
                let width = u16::try_from((there - index * 256).min(256)).unwrap_or(256);
                let Some(tile) = Tile::partial(level, index, width) else {
                    continue;
                };
                write(&tile.path(), &ledger.tile(&self.origin, tile, size)?)?;
                let bundle = Bundle::new(index, width).filter(|_| level == 0);
                if let Some(bundle) = bundle {
                    write(&bundle.path(), &ledger.bundle(&self.origin, bundle, size)?)?;
                }
            }
        }
        let checkpoint = ledger.checkpoint(Some(&self.origin))?;
        write("checkpoint", checkpoint.as_bytes())?;
        let mark = |name: &str, text: String| {
            let path = to.join(name);
            fs::write(&path, text).map_err(BenchError::io("write", &path))
        };
        mark("log.vkey", format!("{}\n", self.key))?;
        mark("mirror", "entries and hash tiles\n".to_owned())
    }

    fn proving(
        &self,
        prove: impl Fn(u64) -> Result<(), BenchError>,
    ) -> Result<Proving, BenchError> {
        let mut took = Vec::new();
        for at in 0..PROOFS {
            // Spread over the whole log, each time elsewhere.
            let index = at.wrapping_mul(0x9e37_79b9_7f4a_7c15) % self.entries;
            let began = Instant::now();
            prove(index)?;
            took.push(began.elapsed().as_secs_f64() * 1e6);
        }
        let slowest = took.iter().copied().fold(0.0, f64::max);
        Ok(Proving {
            median: median(took),
            slowest,
        })
    }
}

/// Appends so many accesses, each another.
async fn append(
    ledger: &Ledger,
    entries: u64,
    progress: &(dyn Fn(&str) + Sync),
) -> Result<(), BenchError> {
    let mut done = 0;
    while done < entries {
        let some = AHEAD.min(entries - done);
        let appends = (done..done + some).map(|at| ledger.append(numbered(at)));
        try_join_all(appends).await?;
        done += some;
        if (done / AHEAD).is_multiple_of(256) {
            progress(&format!("{done} of {entries} entries appended"));
        }
    }
    Ok(())
}

fn numbered(at: u64) -> Vec<u8> {
    let mut entry = entry();
    entry.salt = [at.to_be_bytes(), [0x55; 8], [0xaa; 8], at.to_le_bytes()].concat();
    if let Some(v1::entry::Event::Access(access)) = &mut entry.event {
        access.request_id_mac = [at.to_be_bytes(), [0x55; 8]].concat();
    }
    entry.encode_to_vec()
}

/// A mirror of a broker's ledger, from nothing.
async fn catch_up(
    entries: u64,
    dir: &Path,
    progress: &(dyn Fn(&str) + Sync),
) -> Result<(u64, f64), BenchError> {
    let spec = WorldSpec::default();
    let files = WorldFiles::write(dir, &spec)?;
    let world = World::start(files, SharedClock::clone(&spec.clock)).await?;
    append(world.broker.ledger(), entries, progress).await?;
    progress(&format!("a mirror catches up with {entries} entries"));
    let profile = world.profile();
    let failed = |why: String| BenchError::Answer {
        what: "a mirror",
        why,
    };
    let today = spec.clock.now().to_zoned(TimeZone::UTC).date();
    let config = MirrorConfig {
        dir: dir.join("mirror"),
        holds: Holds::Entries,
        only: None,
        keys: profile.log_keys().map_err(WorldError::from)?,
        policy: None,
        statement: Some(
            profile
                .statement(today)
                .map_err(|error| failed(error.to_string()))?,
        ),
    };
    let party = profile
        .profile
        .party(CENTRAL_BANK)
        .map_err(WorldError::from)?;
    let opened = Mirror::open(config, profile, party, None).await;
    let opened = opened.map_err(|error| failed(error.to_string()))?;
    let mut mirror = opened.map_err(|error| failed(error.to_string()))?;
    let began = Instant::now();
    let round = mirror.round(&|_| ()).await;
    round.map_err(|error| failed(error.to_string()))?;
    let took = began.elapsed();
    let held = mirror.held().last().map_or(0, |held| held.checkpoint.size);
    drop(mirror);
    world.stop().await?;
    Ok((held, per_second(held, took)))
}

/// Verifies in a process of its own, so that its memory is nobody else's.
fn verify_in_child(ledger: bool, dir: &Path) -> Result<Verifying, BenchError> {
    let program = this_program()?;
    let output = Command::new(&program)
        .arg("mirror-verifier")
        .args(ledger.then_some("--ledger"))
        .arg(dir)
        .output()
        .map_err(BenchError::io("run", &program))?;
    serde_json::from_slice(&output.stdout).map_err(|_| BenchError::Answer {
        what: "a verifying process",
        why: String::from_utf8_lossy(&output.stderr).trim().to_owned(),
    })
}

/// What the process does that `verify_in_child` runs: verifies, on one thread, and says how long
/// it took and how much memory it had.
///
/// # Errors
/// [`BenchError::Answer`] if something is wrong with what is verified.
pub fn verify_here(mirror: bool, dir: &Path) -> Result<Verifying, BenchError> {
    let wrong = |error: &dyn fmt::Display| BenchError::Answer {
        what: "a verification",
        why: error.to_string(),
    };
    let began = Instant::now();
    let entries = if mirror {
        let verified = verify_mirror(dir, &[]).map_err(|error| wrong(&error))?;
        verified.logs.iter().map(|log| log.entries).sum()
    } else {
        let verified = verify_dir(dir, &[]).map_err(|error| wrong(&error))?;
        verified.logs.iter().map(|log| log.entries).sum()
    };
    let seconds = began.elapsed().as_secs_f64();
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let resident = line.and_then(|value| value.split_ascii_whitespace().next()?.parse().ok());
    Ok(Verifying {
        entries,
        seconds,
        resident_kib_max: resident.unwrap_or(0),
    })
}
