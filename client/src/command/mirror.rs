//! `accord audit mirror`.

use std::{
    fs,
    path::{Path, PathBuf},
    pin::pin,
    time::Duration,
};

use accord_proto::{
    c2sp::Policy,
    clock::{Clock as _, SystemClock},
};
use clap::Args;
use jiff::SignedDuration;
use serde_json::json;
use tokio::time::{Instant, sleep};

use super::{
    args::{Stating, Whom},
    audit::AUDITORS,
    exit::{Exit, Failure},
    stale::{self, parse_stale_after},
    stating,
    terminal::Terminal,
    trusted, whom,
};
use crate::{
    mirror::{HeldLog, Holds, Mirror, MirrorConfig, MirrorError, Stale, StoreError},
    random::hex,
    receipt::chain,
};

/// How often a mirror that follows looks for more.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How often it says at most how far it is.
const TELL_EVERY: Duration = Duration::from_secs(10);
/// The longest pause after a failure that may pass.
const PAUSE_MAX: Duration = Duration::from_secs(15);

/// What `mirror` takes.
#[derive(Debug, Args)]
pub(super) struct MirrorArgs {
    /// The mirror's directory; one is begun where there is none, and another goes on where it was
    dir: PathBuf,
    /// Ends at the present end of the ledger, and does not follow it
    #[arg(long)]
    once: bool,
    /// Only this log, such as accord-sandbox/2026-11; else all months' logs
    #[arg(long, value_name = "ORIGIN")]
    log: Option<String>,
    /// Hashes without entries, which every party may have; entries only whom the agreement's
    /// `mirrors` names
    #[arg(long)]
    hash_tiles_only: bool,
    /// Key of the log (C2SP: name+hash+key) that must have signed; else the profile's
    #[arg(long = "key", value_name = "VKEY")]
    keys: Vec<String>,
    /// Whose cosignatures each checkpoint must have too (C2SP tlog-policy)
    #[arg(long, value_name = "POLICY")]
    policy: Option<PathBuf>,
    /// How old cosignatures of what is shown may be, such as 10m or 2h; else 10m. A broker has its
    /// newest checkpoint cosigned each minute: older ones hide what came since, if anything did. Needs
    /// --policy
    #[arg(long, value_name = "DURATION", value_parser = parse_stale_after)]
    stale_after: Option<SignedDuration>,
    /// Where the broker serves tiles; else the profile's `tiles`
    #[arg(long, value_name = "URL")]
    from: Option<String>,
}

/// Mirrors once, or until Ctrl-C.
pub(super) async fn run(
    whom: &Whom,
    stating: &Stating,
    args: &MirrorArgs,
    terminal: &mut Terminal,
) -> Result<Exit, Failure> {
    let profile = whom::profile(whom)?;
    let party = whom::party(&profile, whom, &AUDITORS)?;
    let (holds, statement) = match args.hash_tiles_only {
        true => (Holds::HashTiles, None),
        false => {
            let statement = stating::statement(&profile, stating)?;
            (Holds::Entries, Some(statement))
        }
    };
    whom::announce(terminal, party, &format!("a mirror of {}", holds.words()));
    if let Some(statement) = &statement {
        stating::announce(terminal, statement);
    }
    let policy = args.policy.as_deref().map(read_policy).transpose()?;
    let stale_after = stale::bound(args.stale_after, policy.as_ref())?;
    let config = MirrorConfig {
        dir: args.dir.clone(),
        holds,
        only: args.log.clone(),
        keys: trusted::log_keys(whom, &args.keys)?,
        policy: policy.clone(),
        statement,
    };
    let mirror = Mirror::open(config, &profile, party, args.from.as_deref()).await?;
    let mut following = Following {
        mirror: mirror.map_err(|error| failure(error, &args.dir))?,
        told: Vec::new(),
        told_at: None,
        failing: None,
        policy,
        stale_after,
        stale: None,
    };
    // One for all the time: a signal that comes between two of them would be lost.
    let mut stopped = pin!(tokio::signal::ctrl_c());
    loop {
        let round = tokio::select! {
            round = following.round(args, terminal) => round?,
            _ = &mut stopped => return following.end(terminal),
        };
        following.look(args.once, terminal)?;
        if args.once {
            return following.end(terminal);
        }
        tokio::select! {
            () = sleep(round) => {}
            _ = &mut stopped => return following.end(terminal),
        }
    }
}

struct Following {
    mirror: Mirror,
    /// Size of each log, as a person was told last.
    told: Vec<u64>,
    told_at: Option<Instant>,
    /// Since when nothing comes, and for how long the next pause is.
    failing: Option<Duration>,
    policy: Option<Policy>,
    /// How old cosignatures may be.
    stale_after: Option<SignedDuration>,
    /// What is shown may be old.
    stale: Option<Stale>,
}

impl Following {
    /// One round, and how long to wait for the next one.
    async fn round(
        &mut self,
        args: &MirrorArgs,
        terminal: &mut Terminal,
    ) -> Result<Duration, Failure> {
        let progress = |text: &str| {
            // Standard output is for what is verified whole.
            let _ = std::io::Write::write_fmt(&mut std::io::stderr(), format_args!("{text}\n"));
        };
        match self.mirror.round(&progress).await {
            Ok(()) => {
                if self.failing.take().is_some() {
                    terminal.note("the broker shows its logs again");
                }
                let due = self.told_at.is_none_or(|at| at.elapsed() >= TELL_EVERY);
                if due && self.is_news() {
                    self.tell(terminal)?;
                }
                Ok(LOOK_EVERY)
            }
            Err(error) if error.may_pass() && !args.once => {
                let pause = self.failing.map_or(LOOK_EVERY, |pause| pause * 2);
                if self.failing.is_none() {
                    terminal.note(&format!("{}; trying on", chain(&error)));
                }
                self.failing = Some(pause.min(PAUSE_MAX));
                Ok(pause.min(PAUSE_MAX))
            }
            Err(error) => Err(failure(error, &args.dir)),
        }
    }

    /// Whether what is shown is of now. `quietly`: the end says what is wrong.
    fn look(&mut self, quietly: bool, terminal: &mut Terminal) -> Result<(), Failure> {
        let Some(bound) = self.stale_after else {
            return Ok(());
        };
        let fresh = self.mirror.check_fresh(SystemClock.now(), bound);
        let before = std::mem::replace(&mut self.stale, fresh.err());
        match (before, &self.stale) {
            (None, Some(stale)) if !quietly => match terminal.is_json() {
                true => terminal.json(&json!({
                    "origin": stale.origin(),
                    "stale": stale.to_string(),
                }))?,
                false => terminal.alarm(&format!("may be old: {stale}"))?,
            },
            (Some(before), None) => match terminal.is_json() {
                true => terminal.json(&json!({"origin": before.origin(), "stale": null}))?,
                false => terminal.line("what is shown is freshly cosigned again")?,
            },
            (None | Some(_), Some(_)) | (None, None) => return Ok(()),
        }
        terminal.flush()
    }

    fn sizes(&self) -> Vec<u64> {
        self.mirror
            .held()
            .map(|held| held.checkpoint.size)
            .collect()
    }

    fn is_news(&self) -> bool {
        self.told != self.sizes()
    }

    fn tell(&mut self, terminal: &mut Terminal) -> Result<(), Failure> {
        let sizes = self.sizes();
        for (at, held) in self.mirror.held().enumerate() {
            if self.told.get(at) != sizes.get(at) {
                tell(held, terminal)?;
            }
        }
        self.told = sizes;
        self.told_at = Some(Instant::now());
        terminal.flush()
    }

    fn end(mut self, terminal: &mut Terminal) -> Result<Exit, Failure> {
        if self.is_news() {
            self.tell(terminal)?;
        }
        match &self.stale {
            Some(stale) => Err(stale::failure(stale, self.policy.as_ref())),
            None => Ok(Exit::Ok),
        }
    }
}

fn tell(held: &HeldLog, terminal: &mut Terminal) -> Result<(), Failure> {
    let checkpoint = &held.checkpoint;
    if terminal.is_json() {
        terminal.json(&json!({
            "origin": checkpoint.origin,
            "entries": checkpoint.size,
            "root": hex(&checkpoint.root),
        }))?;
    } else {
        terminal.line(&format!(
            "{}: verified and stored up to {} entries, root {}",
            checkpoint.origin,
            checkpoint.size,
            hex(&checkpoint.root)
        ))?;
    }
    Ok(())
}

/// Reads a policy.
pub(super) fn read_policy(path: &Path) -> Result<Policy, Failure> {
    let wrong = |error: &dyn std::error::Error| {
        let message = format!("`{}`: {}", path.display(), chain(error));
        Failure::new(Exit::Usage, message)
    };
    let text = fs::read_to_string(path).map_err(|error| wrong(&error))?;
    Policy::parse(&text).map_err(|error| wrong(&error))
}

/// Why tiles or a mirror of them could not be had, and what to do.
pub(super) fn failure(error: MirrorError, dir: &Path) -> Failure {
    let message = chain(&error);
    let kept = "the mirror stays as it was, verified up to its last checkpoint";
    match &error {
        MirrorError::Unreachable { .. } => Failure::new(Exit::Unavailable, message)
            .hint("is the broker running, and does its configuration have `listen.tiles`?"),
        MirrorError::Refused { reason, .. } if reason == "NO_MIRROR" => {
            Failure::new(Exit::Refused, message).hint(&format!(
                "hash tiles are for every party: accord audit mirror {} --hash-tiles-only",
                beside(dir).display()
            ))
        }
        MirrorError::Refused { status: 503, .. } | MirrorError::MonthNotShown { .. } => {
            Failure::new(Exit::Unavailable, message)
        }
        MirrorError::Refused { .. } => Failure::new(Exit::Refused, message),
        MirrorError::UnknownLog { .. }
        | MirrorError::Store(
            StoreError::Foreign(_)
            | StoreError::OtherKind { .. }
            | StoreError::OtherLedger { .. }
            | StoreError::Locked(_),
        ) => Failure::new(Exit::Usage, message),
        MirrorError::Answer { .. }
        | MirrorError::Checkpoint { .. }
        | MirrorError::Shrunk { .. }
        | MirrorError::Forked { .. }
        | MirrorError::Tile { .. }
        | MirrorError::Entry { .. }
        | MirrorError::LogGone { .. } => {
            Failure::new(Exit::Failure, format!("not believed: {message}")).hint(kept)
        }
        MirrorError::Own(_)
        | MirrorError::Store(StoreError::Disk(_) | StoreError::Layout(_))
        | MirrorError::BrokeOff => Failure::new(Exit::Failure, message),
    }
}

/// A name for another directory.
fn beside(dir: &Path) -> PathBuf {
    let mut name = dir.as_os_str().to_owned();
    name.push("-hashes");
    name.into()
}
