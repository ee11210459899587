//! Witnesses of a world's ledger, in this process, and the policy that names them.

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    sync::Arc,
};

use accord_client::witness::{Witness, serve};
use accord_proto::{
    c2sp::{CosignerKey, Policy, SignedNote, VerifierKey},
    clock::SharedClock,
};
use tokio::{net::TcpListener, task::JoinHandle};

use super::{CENTRAL_BANK, TELECOM_REGULATOR, World, WorldError, WorldFiles, wait_until};

/// The policy's file in a world's directory.
pub const POLICY_FILE: &str = "witnesses.policy";
/// One of the two is enough: either authority notices a history that was rewritten.
const QUORUM: &str = "group authorities any telecom-regulator central-bank\nquorum authorities\n";

/// A witness that runs until it is dropped.
#[derive(Debug)]
pub struct RunningWitness {
    name: String,
    key: CosignerKey,
    address: SocketAddr,
    serving: JoinHandle<()>,
}

impl RunningWitness {
    /// Runs the witness of a directory, which is made if there is none, of one log. It listens at
    /// `at`, or on a free port of loopback.
    ///
    /// # Errors
    /// [`WorldError`] names the file or the address.
    pub async fn start(
        dir: &Path,
        name: &str,
        log: VerifierKey,
        at: Option<SocketAddr>,
        clock: SharedClock,
    ) -> Result<Self, WorldError> {
        if !dir.join("witness.key").exists() {
            Witness::init(dir, &format!("{name}.accord.test/witness"))?;
        }
        let witness = Witness::open(dir, vec![log], clock)?;
        let at = at.unwrap_or_else(|| (Ipv4Addr::LOCALHOST, 0).into());
        let place = PathBuf::from(at.to_string());
        let listener = TcpListener::bind(at).await;
        let listener = listener.map_err(WorldError::io("listen on", &place))?;
        let address = listener.local_addr();
        Ok(Self {
            name: name.to_owned(),
            key: witness.cosigner().key().clone(),
            address: address.map_err(WorldError::io("listen on", &place))?,
            serving: tokio::spawn(serve(listener, Arc::new(witness), Arc::new(|_| ()))),
        })
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its line in a policy.
    #[must_use]
    pub fn policy_line(&self) -> String {
        let Self {
            name, key, address, ..
        } = self;
        format!("witness {name} {key} http://{address}\n")
    }
}

impl Drop for RunningWitness {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// What a quorum of a world's witnesses has cosigned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Witnessed {
    /// How many entries the log had.
    pub size: u64,
    /// Who cosigned.
    pub witnesses: Vec<String>,
}

impl World {
    /// Waits until a quorum has cosigned all that is in the ledger now.
    ///
    /// # Errors
    /// [`WorldError`]: it did not in time, or the policy can't be read.
    pub async fn witnessed(&self) -> Result<Witnessed, WorldError> {
        let path = self.files.dir().join(POLICY_FILE);
        let text = fs::read_to_string(&path).map_err(WorldError::io("read", &path))?;
        let policy = Policy::parse(&text);
        let policy = policy.map_err(|error| WorldError::malformed(&path, error.to_string()))?;
        let ledger = self.broker.ledger();
        let size = ledger.size();
        let cosigned = || -> Option<Witnessed> {
            let note = SignedNote::parse(&ledger.cosigned(None).ok()??).ok()?;
            let (checkpoint, cosigned) = policy.open(&note).ok()?;
            (checkpoint.size >= size).then(|| Witnessed {
                size: checkpoint.size,
                witnesses: cosigned.into_iter().map(|one| one.witness).collect(),
            })
        };
        wait_until("the witnesses to cosign", || async { cosigned().is_some() }).await?;
        cosigned().ok_or_else(|| WorldError::malformed(&path, "its witnesses disagree"))
    }
}

/// Runs a witness for each authority, and writes the policy.
pub(super) async fn start_all(
    files: &WorldFiles,
    clock: &SharedClock,
) -> Result<Vec<RunningWitness>, WorldError> {
    let log = files.log_vkey()?;
    let mut policy = format!("log {log}\n");
    let mut running = Vec::new();
    for name in [TELECOM_REGULATOR, CENTRAL_BANK] {
        let dir = files.dir().join("witnesses").join(name);
        let starting = RunningWitness::start(&dir, name, log.clone(), None, clock.clone());
        let witness = starting.await?;
        policy.push_str(&witness.policy_line());
        running.push(witness);
    }
    policy.push_str(QUORUM);
    let path = files.dir().join(POLICY_FILE);
    fs::write(&path, policy).map_err(WorldError::io("write", &path))?;
    Ok(running)
}
