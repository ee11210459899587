//! Witnesses: others who remember how far the ledger had come (C2SP `tlog-witness`).
//!
//! ```text
//!   newest checkpoint ──▶ each witness: does it continue what you saw? ──▶ cosignatures
//!                                                                            │ quorum of the policy
//!   published: the last checkpoint that a quorum cosigned  ◀─────────────────┘
//! ```
//!
//! Answers do not wait for witnesses: an entry is durable without them. When their quorum fails the
//! last good checkpoint stays published, an alarm is raised, and the broker goes on for a grace
//! time; after that it answers nothing. At start a quorum says how far the ledger had come, before
//! anything is signed, so that a disk rolled back to yesterday's copy does not open.
//!
//! A checkpoint that does not change is cosigned again each minute: cosignatures carry their time,
//! and without fresh ones a reader could not tell an idle log from an old one shown again.

mod ask;
mod http;
mod lost;
mod metrics;
mod names;
mod start;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use accord_proto::c2sp::policy::PolicyWitness;
use accord_proto::c2sp::{Checkpoint, Policy, SignedNote};
use futures_util::future::join_all;
use jiff::{SignedDuration, Timestamp};
use tokio::task::spawn_blocking;
use tokio::time::Instant;

pub use ask::AskError;
pub use http::{HttpError, Roots};
pub use metrics::WitnessMetrics;
pub use start::{StartQuestion, seen_by_quorum};

use crate::durable;
use crate::ledger::{Ledger, LedgerError};
use ask::Question;
use http::Http;

/// How old the cosignatures of the newest log's checkpoint become before it is cosigned again, if
/// it does not grow.
pub const COSIGN_AGAIN_AFTER: SignedDuration = SignedDuration::from_secs(60);

/// How witnesses are asked.
#[derive(Debug)]
pub struct WitnessConfig {
    /// Who they are, and whose cosignatures are enough. Those without a URL can't be asked.
    pub policy: Policy,
    /// Whom their certificates come from, where their URLs are `https`.
    pub roots: Option<Roots>,
    /// How long each may take.
    pub deadline: Duration,
    /// Where it stands since when the quorum fails: a restart gives no new grace time.
    pub lost_since: PathBuf,
}

/// Collects cosignatures.
#[derive(Debug)]
pub struct Witnesses {
    policy: Policy,
    http: Http,
    deadline: Duration,
    lost_since: PathBuf,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// By origin.
    logs: BTreeMap<String, LogState>,
    /// Since when the quorum fails.
    failing_since: Option<Timestamp>,
}

#[derive(Clone, Debug, Default)]
struct LogState {
    cosigned: Option<Cosigned>,
    /// How far each witness is believed to have come, by its name in the policy.
    seen: BTreeMap<String, u64>,
}

/// The last checkpoint of a log that a quorum cosigned.
#[derive(Clone, Debug)]
struct Cosigned {
    size: u64,
    note: Arc<str>,
    /// When; `None` if that was before this process began.
    at: Option<Timestamp>,
}

impl Cosigned {
    /// Whether it says all that can be said of a log of this size. `now` is given of the newest
    /// log, of which it must be fresh as well; a clock may have been set back.
    fn is_enough(&self, size: u64, now: Option<Timestamp>) -> bool {
        let fresh = |now: Timestamp| {
            let age = self.at.map(|at| now.duration_since(at).abs());
            age.is_some_and(|age| age < COSIGN_AGAIN_AFTER)
        };
        self.size == size && now.is_none_or(fresh)
    }
}

/// What a round brought.
#[derive(Debug, Default)]
pub struct Round {
    /// Witnesses that cosigned.
    pub cosigned: Vec<String>,
    /// Witnesses that did not, and why.
    pub failed: Vec<(String, AskError)>,
    /// The quorum, where this round has lost it or found it again.
    pub turned: Option<Turn>,
}

/// A change of the quorum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// Enough witnesses cosign again.
    Found,
    /// Too few cosigned.
    Lost,
}

impl Witnesses {
    /// Witnesses of a policy.
    ///
    /// # Errors
    /// [`HttpError`]: a URL that can't be called, or roots that can't be used.
    pub fn new(config: WitnessConfig) -> Result<Self, HttpError> {
        let WitnessConfig {
            policy,
            roots,
            deadline,
            lost_since,
        } = config;
        let failing_since = lost::read(&lost_since);
        let state = State {
            failing_since,
            ..State::default()
        };
        Ok(Self {
            http: Http::new(&policy, roots)?,
            policy,
            deadline,
            lost_since,
            state: Mutex::new(state),
        })
    }

    /// For how long the quorum fails; `None` while it does not.
    #[must_use]
    pub fn failing_for(&self, now: Timestamp) -> Option<SignedDuration> {
        let since = self.state().failing_since;
        since.map(|since| now.duration_since(since))
    }

    /// The last checkpoint of a log that a quorum cosigned, with its size.
    #[must_use]
    pub fn cosigned(&self, origin: &str) -> Option<(u64, Arc<str>)> {
        let cosigned = self.state().logs.get(origin)?.cosigned.clone()?;
        Some((cosigned.size, cosigned.note))
    }

    /// Asks all witnesses to cosign the newest checkpoint, if it has changed or its cosignatures
    /// are [`COSIGN_AGAIN_AFTER`] old, and that of the month before until its last one is cosigned.
    ///
    /// # Errors
    /// [`LedgerError`]: the ledger can't be read.
    pub async fn round(&self, ledger: &Arc<Ledger>, now: Timestamp) -> Result<Round, LedgerError> {
        let reading = Arc::clone(ledger);
        let mut origins = blocking(move || reading.origins()).await?;
        let recent = origins.split_off(origins.len().saturating_sub(2));
        let mut whole = Round::default();
        let mut enough = true;
        let newest = recent.len().saturating_sub(1);
        for (at, origin) in recent.iter().enumerate() {
            let now = (at == newest).then_some(now);
            if let Some(satisfied) = self.round_of(ledger, origin, now, &mut whole).await? {
                enough &= satisfied;
            }
        }
        whole.turned = self.turn(enough, now);
        Ok(whole)
    }

    /// One log. `None`: a quorum has cosigned its checkpoint; of the newest log, whose `now` is
    /// given, lately.
    async fn round_of(
        &self,
        ledger: &Arc<Ledger>,
        origin: &str,
        now: Option<Timestamp>,
        whole: &mut Round,
    ) -> Result<Option<bool>, LedgerError> {
        let read = (Arc::clone(ledger), origin.to_owned());
        let note = blocking(move || read.0.checkpoint(Some(&read.1))).await?;
        let Some((note, checkpoint)) = parsed(&note) else {
            return Ok(None);
        };
        self.recall(ledger, origin).await?;
        let before = self.log_state(origin);
        if before
            .cosigned
            .as_ref()
            .is_some_and(|cosigned| cosigned.is_enough(checkpoint.size, now))
        {
            return Ok(None);
        }
        let question = Question {
            ledger,
            note: &note,
            checkpoint: &checkpoint,
            until: Instant::now() + self.deadline,
        };
        let asked = self.policy.witnesses().iter().map(|witness| {
            let old = before.seen.get(&witness.name).copied().unwrap_or(0);
            ask::ask(&self.http, witness, old, &question)
        });
        let answers = join_all(asked).await;
        let mut cosigned = self.gather(origin, note.clone(), answers, whole);
        let have = self.policy.cosigned(&cosigned).unwrap_or_default();
        let satisfied = self.policy.is_satisfied(&have);
        if satisfied {
            if let Some(before) = &before.cosigned {
                cosigned = with_older(cosigned, &before.note);
            }
            let text: Arc<str> = cosigned.to_string().into();
            let kept = (Arc::clone(ledger), origin.to_owned(), Arc::clone(&text));
            blocking(move || kept.0.keep_cosigned(&kept.1, &kept.2)).await?;
            let mut state = self.state();
            let log = state.logs.entry(origin.to_owned()).or_default();
            log.cosigned = Some(Cosigned {
                size: checkpoint.size,
                note: text,
                at: now,
            });
        }
        Ok(Some(satisfied))
    }

    /// Adds what came back to the note, and remembers how far each witness has come.
    fn gather(
        &self,
        origin: &str,
        mut note: SignedNote,
        answers: Vec<ask::Answer>,
        whole: &mut Round,
    ) -> SignedNote {
        let mut state = self.state();
        let log = state.logs.entry(origin.to_owned()).or_default();
        for ask::Answer {
            witness,
            seen,
            outcome,
        } in answers
        {
            log.seen.insert(witness.clone(), seen);
            match outcome {
                Ok(cosignature) => {
                    if note.add_signature(cosignature).is_ok() {
                        whole.cosigned.push(witness);
                    }
                }
                Err(error) => whole.failed.push((witness, error)),
            }
        }
        note
    }

    /// What was cosigned of a log before a restart.
    async fn recall(&self, ledger: &Arc<Ledger>, origin: &str) -> Result<(), LedgerError> {
        if self.state().logs.contains_key(origin) {
            return Ok(());
        }
        let read = (Arc::clone(ledger), origin.to_owned());
        let note = blocking(move || read.0.cosigned(Some(&read.1))).await?;
        let cosigned = note.and_then(|text| {
            let note = SignedNote::parse(&text).ok()?;
            let (checkpoint, _) = self.policy.open(&note).ok()?;
            Some(Cosigned {
                size: checkpoint.size,
                note: text,
                at: None,
            })
        });
        let mut state = self.state();
        state.logs.entry(origin.to_owned()).or_default().cosigned = cosigned;
        Ok(())
    }

    /// A round that could not be held counts as one that nobody cosigned.
    pub fn missed(&self, now: Timestamp) -> Option<Turn> {
        self.turn(false, now)
    }

    fn turn(&self, enough: bool, now: Timestamp) -> Option<Turn> {
        let mut state = self.state();
        match (enough, state.failing_since) {
            (true, Some(_)) => {
                state.failing_since = None;
                self.note_loss(None);
                Some(Turn::Found)
            }
            (false, None) => {
                state.failing_since = Some(now);
                self.note_loss(Some(now));
                Some(Turn::Lost)
            }
            (true, None) | (false, Some(_)) => None,
        }
    }

    /// Best effort: without the file a restart begins the grace time anew.
    fn note_loss(&self, since: Option<Timestamp>) {
        let noted = match since {
            Some(since) => durable::replace(&self.lost_since, lost::text(since).as_bytes()),
            None => durable::remove(&self.lost_since).map(|_| ()),
        };
        if let Err(error) = noted {
            let error = &error as &dyn std::error::Error;
            tracing::warn!(error, "can't note since when the witnesses' quorum fails");
        }
    }

    fn log_state(&self, origin: &str) -> LogState {
        self.state().logs.get(origin).cloned().unwrap_or_default()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing in here panics halfway.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The ledger reads files, so it is read where that may block.
async fn blocking<T: Send + 'static>(
    read: impl FnOnce() -> Result<T, LedgerError> + Send + 'static,
) -> Result<T, LedgerError> {
    spawn_blocking(read)
        .await
        .map_err(|_| LedgerError::Stopped)?
}

/// A note with the cosignatures, too, that the same checkpoint had before of witnesses that did not
/// cosign again: a reader may ask for more of them than the quorum.
fn with_older(note: SignedNote, before: &str) -> SignedNote {
    match SignedNote::parse(before) {
        Ok(mut both) if both.text() == note.text() => {
            let mut lines = note.signatures().iter();
            match lines.all(|line| both.add_signature(line.clone()).is_ok()) {
                true => both,
                false => note,
            }
        }
        Ok(_) | Err(_) => note,
    }
}

fn parsed(note: &str) -> Option<(SignedNote, Checkpoint)> {
    let note = SignedNote::parse(note).ok()?;
    let checkpoint = Checkpoint::parse(note.text()).ok()?;
    Some((note, checkpoint))
}

/// Witnesses that can be asked.
fn with_url(policy: &Policy) -> impl Iterator<Item = (&PolicyWitness, &str)> {
    let witnesses = policy.witnesses().iter();
    witnesses.filter_map(|witness| Some((witness, witness.url.as_deref()?)))
}
