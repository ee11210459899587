//! Before anything is signed at start: how far had the ledger come?

use std::time::Duration;

use accord_proto::c2sp::policy::{Cosigned, PolicyWitness};
use accord_proto::c2sp::witness::{ADD_CHECKPOINT, parse_cosignatures, seen_path};
use accord_proto::c2sp::{AddCheckpoint, Checkpoint, SignedNote, VerifierKey};
use accord_proto::subject::Month;
use futures_util::future::join_all;
use http::{Method, StatusCode};
use tokio::time::{Instant, sleep_until, timeout};

use super::Witnesses;
use super::http::Said;

/// Between two attempts.
const RETRY_EVERY: Duration = Duration::from_millis(500);

/// What is asked at start.
#[derive(Clone, Copy, Debug)]
pub struct StartQuestion<'a> {
    /// The log's key.
    pub key: &'a VerifierKey,
    /// Of which months' logs.
    pub months: &'a [Month],
    /// The newest month's checkpoint as it was published: to a witness that claims to have seen
    /// nothing it is shown, so that it can prove who it is with a cosignature.
    pub published: Option<&'a SignedNote>,
    /// Until when.
    pub until: Instant,
}

impl Witnesses {
    /// What one witness has seen of the logs of these months; `None` if it did not say so
    /// credibly: whoever sits on the way can say that it has seen nothing.
    async fn seen_by(
        &self,
        witness: &PolicyWitness,
        question: StartQuestion<'_>,
    ) -> Option<Vec<Checkpoint>> {
        let mut seen = Vec::new();
        for month in question.months {
            let origin = format!("{}/{month}", question.key.name());
            seen.extend(self.last_seen(witness, question.key, &origin).await?);
        }
        if seen.is_empty()
            && let Some(published) = question.published
        {
            self.introduced(witness, published).await?;
        }
        Some(seen)
    }

    /// The checkpoint of one log that a witness cosigned last; `Some(None)` if it says that there
    /// is none.
    async fn last_seen(
        &self,
        witness: &PolicyWitness,
        key: &VerifierKey,
        origin: &str,
    ) -> Option<Option<Checkpoint>> {
        let path = seen_path(origin);
        let said = self
            .call(witness, Method::GET, &path, String::new())
            .await?;
        match said.status {
            StatusCode::OK => {
                let note = SignedNote::parse(&said.body).ok()?;
                let cosigned = |line| witness.key.verify(note.text(), line).is_some();
                let checkpoint = Checkpoint::open(&note, std::slice::from_ref(key)).ok()?;
                let sound = checkpoint.origin == origin && note.signatures().iter().any(cosigned);
                sound.then_some(Some(checkpoint))
            }
            StatusCode::NOT_FOUND => Some(None),
            _ => None,
        }
    }

    /// A witness that has seen nothing cosigns what was published before. Nothing new is signed.
    async fn introduced(&self, witness: &PolicyWitness, published: &SignedNote) -> Option<()> {
        let request = AddCheckpoint {
            old: 0,
            proof: Vec::new(),
            checkpoint: published.clone(),
        };
        let body = request.to_string();
        let said = self
            .call(witness, Method::POST, ADD_CHECKPOINT, body)
            .await?;
        let lines = parse_cosignatures(&said.body).ok()?;
        let mut lines = lines.iter();
        let own = lines.any(|line| witness.key.verify(published.text(), line).is_some());
        (said.status == StatusCode::OK && own).then_some(())
    }

    async fn call(
        &self,
        witness: &PolicyWitness,
        method: Method,
        path: &str,
        body: String,
    ) -> Option<Said> {
        let calling = self.http.call(&witness.name, method, path, body);
        timeout(self.deadline, calling).await.ok()?.ok()
    }

    fn is_quorum(&self, names: impl Iterator<Item = String>) -> bool {
        let cosigned: Vec<_> = names
            .map(|witness| Cosigned { witness, unix_s: 0 })
            .collect();
        self.policy.is_satisfied(&cosigned)
    }
}

/// What witnesses have seen of these months' logs, as soon as a quorum has said so; `None` if none
/// has until then. While those who are silent could be a quorum of their own, which may have seen
/// more, they are waited for to the end.
pub async fn seen_by_quorum(
    witnesses: &Witnesses,
    question: StartQuestion<'_>,
) -> Option<Vec<Checkpoint>> {
    loop {
        let asked = witnesses
            .policy
            .witnesses()
            .iter()
            .map(|witness| async move {
                let seen = witnesses.seen_by(witness, question).await;
                (witness.name.clone(), seen)
            });
        let (answered, silent): (Vec<_>, Vec<_>) = join_all(asked)
            .await
            .into_iter()
            .partition(|(_, seen)| seen.is_some());
        let enough = witnesses.is_quorum(answered.iter().map(|(name, _)| name.clone()));
        let silent: Vec<_> = silent.into_iter().map(|(name, _)| name).collect();
        let all = enough && (silent.is_empty() || !witnesses.is_quorum(silent.iter().cloned()));
        let again = Instant::now() + RETRY_EVERY;
        if enough && (all || again > question.until) {
            if !all {
                tracing::warn!(
                    silent = silent.join(", "),
                    "witnesses that are silent could have seen more of the ledger"
                );
            }
            let seen = answered.into_iter().filter_map(|(_, seen)| seen);
            return Some(distinct(seen.flatten()));
        }
        if again > question.until {
            return None;
        }
        sleep_until(again).await;
    }
}

/// Of many checkpoints all that differ: two of the same size with different roots show that the log was forked.
fn distinct(seen: impl Iterator<Item = Checkpoint>) -> Vec<Checkpoint> {
    let mut all: Vec<Checkpoint> = Vec::new();
    for checkpoint in seen {
        if !all.contains(&checkpoint) {
            all.push(checkpoint);
        }
    }
    all
}
