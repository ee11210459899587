//! A witness that stalls: it takes a connection and says nothing.

use std::{fs, net::SocketAddr, path::Path};

use accord_client::Lookup;
use accord_proto::{
    c2sp::{Cosigner, Policy},
    clock::SystemClock,
    purpose::Purpose,
};
use tokio::net::TcpListener;

use super::{
    SoakError,
    table::{Name, Outcome, Table},
};
use crate::world::{NORTH_PREFIX, RunningWitness, World, WorldFiles, WorldSpec, wait_until};

const WITNESS: &str = "a witness";
const BESIDE_QUORUM: &str = "stalls, and another makes the quorum";
const AT_START: &str = "stalls, and no quorum is left at start";

pub(super) const ROWS: [Name; 2] = [
    Name::kept(WITNESS, BESIDE_QUORUM),
    Name::refused(WITNESS, AT_START),
];

/// A broker is asked while one of its witnesses stalls, and one is started whose only one does.
pub(super) async fn run(table: &mut Table, dir: &Path) -> Result<(), SoakError> {
    let beside = within_quorum(&dir.join("beside")).await?;
    table.count(WITNESS, BESIDE_QUORUM, "", beside);
    let alone = alone(&dir.join("alone")).await?;
    table.count(WITNESS, AT_START, "", alone);
    Ok(())
}

/// A bank is answered, and the entry comes under a checkpoint that the other witness cosigned.
async fn within_quorum(dir: &Path) -> Result<Outcome, SoakError> {
    let (files, spec) = world(dir)?;
    let clock = SystemClock::shared();
    let awake = RunningWitness::start(
        &dir.join("awake"),
        "awake",
        files.log_vkey()?,
        None,
        clock.clone(),
    )
    .await?;
    let listener = sleeper().await?;
    let address = listener.local_addr().map_err(SoakError::io("bind", dir))?;
    let lines = format!(
        "{}{}group g any awake sleeper\nquorum g\n",
        awake.policy_line(),
        line_of(address)?,
    );
    let policy = with_policy(&files, &lines)?;
    let _stalls = hold(listener);
    let world = World::start(files, spec.clock.clone()).await?;
    let asked = Lookup::about(format!("{NORTH_PREFIX}100"), Purpose::Payment).sim_swap_within(72);
    let outcome = match world.client("first-bank")?.lookup(asked).await {
        Err(error) => Outcome::Bad(format!("a bank was not answered: {error}")),
        Ok(answered) => {
            let auditor = world.authority()?;
            let covered = wait_until("a checkpoint with the other's cosignature", || async {
                let note = auditor
                    .checkpoint("")
                    .await
                    .map(|checkpoint| checkpoint.note);
                note.is_ok_and(|note| {
                    let opened = policy.open(&note);
                    opened.is_ok_and(|(checkpoint, _)| checkpoint.size > answered.receipt.index)
                })
            })
            .await;
            match covered {
                Ok(()) => Outcome::Kept,
                Err(error) => Outcome::Bad(error.chain()),
            }
        }
    };
    world.stop().await?;
    Ok(outcome)
}

/// A broker that can ask no quorum signs nothing: it might have been set back.
async fn alone(dir: &Path) -> Result<Outcome, SoakError> {
    let (files, spec) = world(dir)?;
    let listener = sleeper().await?;
    let address = listener.local_addr().map_err(SoakError::io("bind", dir))?;
    with_policy(&files, &format!("{}quorum sleeper\n", line_of(address)?))?;
    let _stalls = hold(listener);
    Ok(match World::start(files, spec.clock.clone()).await {
        Ok(world) => {
            world.stop().await?;
            Outcome::Bad("the broker started without having asked a quorum".to_owned())
        }
        Err(error) => Outcome::Refused(error.chain()),
    })
}

fn world(dir: &Path) -> Result<(WorldFiles, WorldSpec), SoakError> {
    let spec = WorldSpec::default();
    Ok((WorldFiles::write(dir, &spec)?, spec))
}

async fn sleeper() -> Result<TcpListener, SoakError> {
    let bound = TcpListener::bind("127.0.0.1:0").await;
    bound.map_err(SoakError::io("bind", Path::new("127.0.0.1:0")))
}

/// Takes connections, keeps them, and never answers.
fn hold(listener: TcpListener) -> tokio::task::JoinHandle<()> {
    tokio::spawn(async move {
        let mut held = Vec::new();
        while let Ok((stream, _)) = listener.accept().await {
            held.push(stream);
        }
    })
}

fn line_of(address: SocketAddr) -> Result<String, SoakError> {
    let key = Cosigner::generate("sleeper.example/w")?;
    Ok(format!("witness sleeper {} http://{address}\n", key.key()))
}

/// Has the broker ask these witnesses.
fn with_policy(files: &WorldFiles, lines: &str) -> Result<Policy, SoakError> {
    let text = format!("log {}\n{lines}", files.log_vkey()?);
    let policy = Policy::parse(&text);
    let policy = policy.map_err(|error| SoakError::Setting(error.to_string()))?;
    let path = files.dir().join("witnesses.policy");
    fs::write(&path, text).map_err(SoakError::io("write", &path))?;
    let path = files.broker_config_path();
    let mut config = fs::read_to_string(&path).map_err(SoakError::io("read", &path))?;
    config.push_str(
        "\n[witnesses]\npolicy = \"witnesses.policy\"\ndeadline_ms = 500\nstart_seconds_max = 2\n",
    );
    fs::write(&path, config).map_err(SoakError::io("write", &path))?;
    Ok(policy)
}
