//! `accord audit witness`.

use std::{net::SocketAddr, path::Path, pin::pin, sync::Arc, time::Duration};

use accord_proto::{
    c2sp::{CosignerKey, VerifierKey},
    clock::SystemClock,
};
use jiff::SignedDuration;
use serde_json::json;
use tokio::{net::TcpListener, sync::mpsc, time::interval};

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
/// How often it is looked whether a log is silent.
const LOOK_EVERY: Duration = Duration::from_secs(5);

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
    let witness = Arc::new(witness);
    let serving = tokio::spawn(serve(listener, Arc::clone(&witness), on_answer));
    let mut silence = Silence {
        witness,
        bound: args.stale_after,
        told: Vec::new(),
    };
    let mut look = interval(LOOK_EVERY);
    // One for all the time: a signal that comes between two of them would be lost.
    let mut stopped = pin!(tokio::signal::ctrl_c());
    loop {
        let line = tokio::select! {
            line = lines.recv() => line,
            _ = look.tick() => {
                silence.look(terminal)?;
                continue;
            }
            _ = &mut stopped => None,
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

/// Logs that show nothing any more: each is said once, until it shows something again.
struct Silence {
    witness: Arc<Witness>,
    bound: SignedDuration,
    /// Whose silence was told.
    told: Vec<String>,
}

impl Silence {
    fn look(&mut self, terminal: &mut Terminal) -> Result<(), Failure> {
        let silent = self.witness.silent_for(self.bound);
        self.told
            .retain(|log| silent.iter().any(|(one, _)| one == log));
        for (log, since) in silent {
            if self.told.iter().any(|told| told == log) {
                continue;
            }
            self.told.push(log.to_owned());
            let text = format!(
                "{log}: no checkpoint since {since:.0}, and a broker shows one each minute: is it \
                 running, does its policy name this witness, and can it reach it?"
            );
            match terminal.is_json() {
                true => terminal.json(&json!({"log": log, "silent_since": since.to_string()}))?,
                false => terminal.alarm(&text)?,
            }
        }
        terminal.flush()
    }
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
