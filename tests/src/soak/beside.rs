//! One flipped bit in what lies beside the ledger: documents, keys, the view, an adapter's journal,
//! and what witnesses and the broker keep of each other.

use std::{
    fs,
    path::{Path, PathBuf},
};

use accord_adapters::{config::AdapterConfig, journal};
use accord_broker::{config::Config, serve};
use accord_client::{Auditor, Lookup, profile::LoadedProfile, words};
use accord_proto::{
    c2sp::SigningKey,
    clock::{Clock as _, SystemClock},
    purpose::Purpose,
    shares::{KeyRequest, RequestKind},
    subject::Month,
    v1::{self, entry::Event, key_month::State},
};
use prost::Message as _;

use super::{
    Progress, SoakError,
    error::chain,
    flips::files_below,
    table::{Name, Outcome, Table},
    told::copy_dir,
};
use crate::world::{
    CENTRAL_BANK, NORTH_PREFIX, PastMonth, RunningAdapter, WorldError, WorldFiles, WorldSpec,
};

const FAULT: &str = "one flipped bit";
const AGREEMENT: &str = "signed agreement";
const IN_FORCE: &str = "agreement in force, as the broker keeps it";
const REGISTER: &str = "signed list of parties";
const LOG_KEY: &str = "the log's signing key";
const TAG_KEY: &str = "tag key of the month";
const VIEW: &str = "view (derived)";
const JOURNAL: &str = "adapter's journal";
const HALVES: &str = "sealed halves of a closed month's key";
const KEY_ACTS: &str = "list of acts on keys (derived)";
const AGREEMENT_ACTS: &str = "list of acts on the agreement (derived)";

pub(super) const ROWS: [Name; 10] = [
    Name::either(FAULT, AGREEMENT),
    Name::either(FAULT, IN_FORCE),
    Name::either(FAULT, REGISTER),
    Name::refused(FAULT, LOG_KEY),
    Name::refused(FAULT, TAG_KEY),
    Name::refused(FAULT, HALVES),
    Name::kept(FAULT, KEY_ACTS),
    Name::kept(FAULT, AGREEMENT_ACTS),
    Name::either(FAULT, VIEW),
    Name::refused(FAULT, JOURNAL),
];

const OPERATOR: &str = "north-mobile";
const BANK: &str = "first-bank";
/// Numbers asked about; their answers lie in the view.
const NUMBERS: std::ops::Range<u16> = 100..112;
const STRIDE: usize = 7_919;
/// What was asked about in a month that is closed.
const ASKED_THEN: &str = "+447700900100";

/// What a bank was told, and under which tag it is on the record; and what became of the months'
/// keys.
type Said = Vec<(String, Vec<u8>)>;

/// Flips `each` bits of every kind.
pub(super) async fn run(
    table: &mut Table,
    dir: &Path,
    each: usize,
    progress: Progress<'_>,
) -> Result<(), SoakError> {
    let template = dir.join("world");
    let mut files = WorldFiles::write(&template, &WorldSpec::default())?;
    files.fix_ports()?;
    let closed = Month::of(SystemClock.now()).previous().previous();
    files.begin_in_past(&[PastMonth::fresh(closed, &[ASKED_THEN])?])?;
    hold(&template, closed).await.map_err(refused)?;
    // The second time the view answers, and every tag and document is there.
    ask(&template).await.map_err(refused)?;
    let said = ask(&template).await.map_err(refused)?;
    let head = journal_head(&template).map_err(refused)?;
    for name in ROWS {
        progress(&format!("{FAULT}: {}", name.place));
        let spots = spots(&template, name.place)?;
        for round in 0..each {
            let Some((file, at)) = spots.get(round * STRIDE % spots.len().max(1)) else {
                break;
            };
            let flipped = dir.join("flipped");
            if flipped.exists() {
                fs::remove_dir_all(&flipped).map_err(SoakError::io("remove", &flipped))?;
            }
            copy_dir(&template, &flipped)?;
            flip(&flipped.join(file), *at, round % 8)?;
            let outcome = match name.place {
                JOURNAL => match journal_head(&flipped) {
                    Err(why) => Outcome::Refused(why),
                    Ok(found) if found == head => Outcome::Kept,
                    Ok(_) => Outcome::Bad("the journal has another head".to_owned()),
                },
                _ => match ask(&flipped).await {
                    Err(why) => Outcome::Refused(why),
                    Ok(found) if found == said => Outcome::Kept,
                    Ok(_) => Outcome::Bad(format!(
                        "a number has another answer or tag (byte {at} of {})",
                        file.display()
                    )),
                },
            };
            table.count(FAULT, name.place, "", outcome);
        }
    }
    Ok(())
}

fn refused(why: String) -> SoakError {
    SoakError::Setting(format!("a world that was not harmed: {why}"))
}

pub(super) fn flip(path: &Path, at: usize, bit: usize) -> Result<(), SoakError> {
    let mut bytes = fs::read(path).map_err(SoakError::io("read", path))?;
    if let Some(byte) = bytes.get_mut(at) {
        *byte ^= 1 << bit;
    }
    fs::write(path, bytes).map_err(SoakError::io("write", path))
}

/// Every byte of a kind: the file below the world's directory, and where in it.
fn spots(world: &Path, place: &str) -> Result<Vec<(PathBuf, usize)>, SoakError> {
    let is_it = |name: &str| match place {
        AGREEMENT => name == "agreement.toml",
        IN_FORCE => name == "keys/agreement-in-force.toml",
        REGISTER => name == "parties.toml",
        LOG_KEY => name == "ledger.key",
        TAG_KEY => name.starts_with("keys/tag-") && name.ends_with(".key"),
        HALVES => name.starts_with("sealed/"),
        KEY_ACTS => name == "keys/key-acts",
        AGREEMENT_ACTS => name == "keys/agreement-acts",
        VIEW => name == "view/db",
        JOURNAL => name.starts_with(&format!("adapters/{OPERATOR}/journal/")),
        _ => false,
    };
    let mut spots = Vec::new();
    for path in files_below(world)? {
        let name = path.strip_prefix(world).unwrap_or(&path).to_owned();
        if is_it(&name.to_string_lossy()) {
            let bytes = fs::read(&path).map_err(SoakError::io("read", &path))?;
            // White space at a text's end is nothing that was stored.
            let len = match place {
                VIEW => bytes.len(),
                _ => bytes.trim_ascii_end().len(),
            };
            spots.extend((0..len).map(|at| (name.clone(), at)));
        }
    }
    Ok(spots)
}

fn journal_head(world: &Path) -> Result<journal::Verified, String> {
    let path = world.join("adapters").join(format!("{OPERATOR}.toml"));
    let config = AdapterConfig::load(&path).map_err(|error| chain(&error))?;
    let key = config
        .checkpoint_verifier()
        .map_err(|error| chain(&error))?;
    journal::verify(&config.journal.dir, &key).map_err(|error| chain(&error))
}

/// Starts broker and adapter in a world's directory and asks about each number; says why that is not
/// possible.
async fn ask(world: &Path) -> Result<Said, String> {
    let clock = SystemClock::shared();
    let config = Config::read(&world.join("broker.toml")).map_err(|error| chain(&error))?;
    let running = serve::start(config, clock.clone())
        .await
        .map_err(|error| chain(&error))?;
    let path = world.join("adapters").join(format!("{OPERATOR}.toml"));
    let started = async {
        let mut adapter = RunningAdapter::start(&path, clock).await?;
        adapter.wait_attached().await?;
        Ok::<_, WorldError>(adapter)
    };
    let said = match started.await {
        Err(error) => Err(error.chain()),
        Ok(adapter) => {
            let said = said(world, running.ledger()).await;
            adapter.stop().await.map_err(|error| error.chain())?;
            said
        }
    };
    running.drain().await;
    said
}

async fn said(world: &Path, ledger: &accord_broker::ledger::Ledger) -> Result<Said, String> {
    let profile = LoadedProfile::load(world).map_err(|error| chain(&error))?;
    let party = profile.profile.party(BANK).map_err(|error| chain(&error))?;
    let client = profile.client(party).map_err(|error| chain(&error))?;
    let mut said = Vec::new();
    for subscriber in NUMBERS {
        let number = format!("{NORTH_PREFIX}{subscriber}");
        let answered = client.lookup(Lookup::about(number, Purpose::Payment).sim_swap());
        let answered = answered.await.map_err(|error| chain(&error))?;
        let bytes = ledger.entry(Some(&answered.receipt.origin), answered.receipt.index);
        let bytes = bytes.map_err(|error| chain(&error))?;
        let entry = v1::Entry::decode(bytes.as_slice()).map_err(|error| error.to_string())?;
        let tag = match entry.event {
            Some(Event::Access(access)) => access.subject_tag,
            _ => Vec::new(),
        };
        let signals = answered.signals().iter();
        let words = signals.map(|signal| words::outcome_words(signal, words::Place::Line));
        said.push((words.collect::<Vec<_>>().join(", "), tag));
    }
    said.extend(months(&authority(world)?).await?);
    Ok(said)
}

fn authority(world: &Path) -> Result<Auditor, String> {
    let profile = LoadedProfile::load(world).map_err(|error| chain(&error))?;
    let party = profile.profile.party(CENTRAL_BANK);
    let party = party.map_err(|error| chain(&error))?;
    profile.auditor(party).map_err(|error| chain(&error))
}

/// What became of each month's key; a month whose halves are not whole is refused by name.
async fn months(authority: &Auditor) -> Result<Said, String> {
    let months = authority.key_months().await;
    let months = months.map_err(|error| chain(&error))?.into_iter();
    let told = months.map(|month| match month.state() {
        State::Lost => Err(format!(
            "month {}: its sealed halves are not on the broker's disk as they were split",
            month.month
        )),
        state @ (State::Held | State::Split | State::Shredded | State::Unspecified) => {
            let held = &month.hold_by;
            let told = format!("{} {}, hold by {held}", month.month, state.as_str_name());
            Ok((told, Vec::new()))
        }
    });
    told.collect()
}

/// Puts a closed month under a legal hold, so that there is something to forget.
async fn hold(world: &Path, month: Month) -> Result<(), String> {
    let config = Config::read(&world.join("broker.toml")).map_err(|error| chain(&error))?;
    let running = serve::start(config, SystemClock::shared())
        .await
        .map_err(|error| chain(&error))?;
    let held = async {
        let path = world.join(format!("authorities/{CENTRAL_BANK}.key"));
        let key = fs::read_to_string(path).map_err(|error| chain(&error))?;
        let key = SigningKey::parse(key.trim()).map_err(|error| chain(&error))?;
        let asked = KeyRequest {
            ledger: running.ledger().key().name().to_owned(),
            kind: RequestKind::Hold,
            month,
            case: "2026-0042".to_owned(),
            at: SystemClock.now(),
        };
        let acted = authority(world)?.act_on_key(&asked, &key).await;
        acted.map(drop).map_err(|error| chain(&error))
    };
    let held = held.await;
    running.drain().await;
    held
}
