//! `accord audit witness`.

use std::{net::SocketAddr, path::Path, sync::Arc};

use accord_proto::{
    c2sp::{CosignerKey, VerifierKey},
    clock::SystemClock,
};
use serde_json::json;
use tokio::{net::TcpListener, sync::mpsc};

use super::{
    args::{Whom, WitnessArgs},
    exit::{Exit, Failure},
    terminal::Terminal,
    whom,
};
use crate::{
    receipt::chain,
    witness::{OnAnswer, StoreError, Witness, serve},
};

/// Lines that wait to be printed; more are dropped, since the witness is no log of its own.
const LINES_MAX: usize = 1_024;

/// Makes a witness, or runs one until Ctrl-C.
pub(super) async fn run(
    whom: &Whom,
    args: &WitnessArgs,
    terminal: &mut Terminal,
) -> Result<Exit, Failure> {
    if let Some(name) = &args.init {
        let cosigner = Witness::init(&args.dir, name)?;
        introduce(&args.dir, cosigner.key(), args.listen, terminal)?;
        return Ok(Exit::Ok);
    }
    let logs = logs(whom, args)?;
    let watched: Vec<_> = logs.iter().map(|key| key.name().to_owned()).collect();
    let witness = Witness::open(&args.dir, logs, SystemClock::shared())?;
    let listener = TcpListener::bind(args.listen).await.map_err(|error| {
        let message = format!("can't listen on {}", args.listen);
        Failure::new(Exit::Failure, message).because(&error)
    })?;
    let address = listener.local_addr().unwrap_or(args.listen);
    terminal.note(&format!(
        "witness {} of {} listens on http://{address}, until Ctrl-C",
        witness.cosigner().key().name(),
        watched.join(" and "),
    ));
    let (to, mut lines) = mpsc::channel(LINES_MAX);
    let on_answer: OnAnswer = Arc::new(move |line: &str| {
        // Nobody reads fast enough, or the command ends.
        let _ = to.try_send(line.to_owned());
    });
    let serving = tokio::spawn(serve(listener, Arc::new(witness), on_answer));
    loop {
        let line = tokio::select! {
            line = lines.recv() => line,
            _ = tokio::signal::ctrl_c() => None,
        };
        let Some(line) = line else { break };
        if terminal.is_json() {
            terminal.json(&json!({"witness": line}))?;
        } else {
            terminal.line(&line)?;
        }
        terminal.flush()?;
    }
    serving.abort();
    Ok(Exit::Ok)
}

/// What others need to know of a new witness: the line of a policy.
fn introduce(
    dir: &Path,
    key: &CosignerKey,
    listen: SocketAddr,
    terminal: &mut Terminal,
) -> Result<(), Failure> {
    if terminal.is_json() {
        terminal.json(&json!({"name": key.name(), "vkey": key.to_string()}))?;
        return Ok(());
    }
    terminal.note(&format!(
        "made {}; the key in it never leaves it. The line of a policy:",
        dir.display()
    ));
    terminal.line(&format!("witness {} {key} http://{listen}", key.name()))?;
    Ok(())
}

/// The logs to watch: those of the command line, else the profile's.
fn logs(whom: &Whom, args: &WitnessArgs) -> Result<Vec<VerifierKey>, Failure> {
    let logs = if args.logs.is_empty() {
        whom::profile(whom)?.log_keys()?
    } else {
        let parsed: Result<Vec<_>, _> = args
            .logs
            .iter()
            .map(|key| VerifierKey::parse(key))
            .collect();
        parsed.map_err(|error| Failure::new(Exit::Usage, "a key of --log").because(&error))?
    };
    if logs.is_empty() {
        let message = "there is no log to watch; name its key with --log";
        return Err(Failure::new(Exit::Usage, message));
    }
    Ok(logs)
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::new(Exit::Failure, chain(&error))
    }
}
