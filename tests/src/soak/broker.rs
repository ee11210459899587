//! `kill -9` of a whole broker while banks ask it: every answer that a client received has its entry.

use std::{
    path::Path,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use accord_client::{Client, Lookup, profile::LoadedProfile, verify_dir};
use accord_proto::{
    c2sp::SigningKey,
    merkle::{Hash, leaf_hash},
    purpose::Purpose,
};
use tokio::time::sleep;

use super::{
    Plan, Progress, SoakError,
    error::chain,
    table::{Name, Outcome, Table},
};
use crate::world::{ChildBroker, NORTH_PREFIX, WorldError, WorldFiles, WorldSpec, wait_until};

const FAULT: &str = "kill -9";
const BROKER: &str = "broker that banks ask";

pub(super) const ROWS: [Name; 1] = [Name::kept(FAULT, BROKER)];

/// Tasks of each bank.
const TASKS: usize = 3;
const DEADLINE: Duration = Duration::from_secs(3);
const LOOK_EVERY: u32 = 100;
const STRIDE: u32 = 7_919;
/// Longest time at work before a kill.
const WORK_MS_MAX: u32 = 60;

/// What the banks were told: index and leaf hash of each receipt.
#[derive(Default)]
struct Load {
    receipts: Mutex<Vec<(String, u64, Hash)>>,
    received: AtomicUsize,
    stop: AtomicBool,
}

impl Load {
    async fn ask(self: Arc<Self>, client: Client, bank: &'static str, task: usize) {
        let mut question = 0_usize;
        while !self.stop.load(Ordering::Relaxed) {
            let subscriber = 100 + (question * 7 + task * 131) % 900;
            let lookup = Lookup::about(format!("{NORTH_PREFIX}{subscriber}"), Purpose::Payment)
                .request_id(format!("{bank}-{task}-{question}"))
                .sim_swap_within(72);
            // A question that is lost with the broker is asked again, under the same id.
            if let Ok(answered) = client.lookup_within(lookup, DEADLINE).await {
                let receipt = &answered.receipt;
                let heard = (receipt.origin.clone(), receipt.index, receipt.leaf_hash);
                self.receipts
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .push(heard);
                self.received.fetch_add(1, Ordering::Relaxed);
                question += 1;
            }
        }
    }
}

/// Kills it that many times.
pub(super) async fn run(
    table: &mut Table,
    plan: &Plan,
    dir: &Path,
    progress: Progress<'_>,
) -> Result<(), SoakError> {
    let spec = WorldSpec {
        segment_mib: 1,
        ..WorldSpec::default()
    };
    let mut files = WorldFiles::write(dir, &spec)?;
    files.fix_ports()?;
    let load = Arc::new(Load::default());
    let profile = LoadedProfile::load(dir).map_err(WorldError::from)?;
    let mut tasks = Vec::new();
    for bank in ["first-bank", "second-bank"] {
        for task in 0..TASKS {
            let party = profile.profile.party(bank).map_err(WorldError::from)?;
            let client = profile.client(party).map_err(WorldError::from)?;
            tasks.push(tokio::spawn(Arc::clone(&load).ask(client, bank, task)));
        }
    }
    let mut open = 0;
    for round in 0..plan.broker_kills {
        let broker = ChildBroker::spawn(&plan.broker, &mut files).await?;
        let before = load.received.load(Ordering::Relaxed);
        wait_until("an answer from the broker that came back", || async {
            load.received.load(Ordering::Relaxed) > before
        })
        .await?;
        sleep(Duration::from_millis(u64::from(
            round * STRIDE % WORK_MS_MAX,
        )))
        .await;
        broker.kill().await?;
        open += 1;
        if round % LOOK_EVERY == LOOK_EVERY - 1 || round + 1 == plan.broker_kills {
            progress(&format!("{FAULT} of the broker: {} rounds", round + 1));
            let outcome = look(&files, &load);
            for _ in 0..open {
                table.count(FAULT, BROKER, "", outcome.clone());
            }
            open = 0;
        }
    }
    load.stop.store(true, Ordering::Relaxed);
    for task in tasks {
        task.abort();
    }
    Ok(())
}

/// Opens the ledger of a broker that was killed. It is its own only while no broker runs.
fn look(files: &WorldFiles, load: &Load) -> Outcome {
    let receipts = load.receipts.lock().unwrap_or_else(PoisonError::into_inner);
    match held(files, &receipts) {
        Ok(outcome) => outcome,
        Err(error) => Outcome::Refused(error.chain()),
    }
}

fn held(files: &WorldFiles, receipts: &[(String, u64, Hash)]) -> Result<Outcome, SoakError> {
    use accord_broker::ledger::{Ledger, LedgerConfig};
    let path = files.dir().join("ledger.key");
    let text = std::fs::read_to_string(&path).map_err(SoakError::io("read", &path))?;
    let key = SigningKey::parse(text.trim())?;
    if let Err(error) = verify_dir(&files.ledger_dir(), &[key.verifier().clone()]) {
        return Ok(Outcome::Bad(chain(&error)));
    }
    let config = LedgerConfig {
        free_bytes_min: 0,
        segment_bytes: u64::from(files.spec().segment_mib) << 20,
        ..LedgerConfig::new(files.ledger_dir(), key)
    };
    let (ledger, _) = Ledger::open(config, files.spec().clock.clone())?;
    for (origin, index, hash) in receipts {
        let bytes = ledger.entry(Some(origin), *index);
        if !bytes.is_ok_and(|bytes| leaf_hash(&bytes) == *hash) {
            let what = format!("entry {index} of an answer that a bank holds is lost");
            return Ok(Outcome::Bad(what));
        }
    }
    ledger.stop();
    Ok(Outcome::Kept)
}
