//! Before anything is signed at start: how far had the ledger come?

use std::time::Duration;

use accord_proto::c2sp::policy::{Cosigned, PolicyWitness};
use accord_proto::c2sp::{Checkpoint, SignedNote, VerifierKey};
use accord_proto::subject::Month;
use aws_lc_rs::digest::{SHA256, digest};
use futures_util::future::join_all;
use http::{Method, StatusCode};
use tokio::time::{Instant, sleep_until, timeout};

use super::Witnesses;

/// Between two attempts.
const RETRY_EVERY: Duration = Duration::from_millis(500);

impl Witnesses {
    /// What one witness has seen of the logs of these months; `None` if it did not say so
    /// credibly about each of them.
    async fn seen_by(
        &self,
        witness: &PolicyWitness,
        key: &VerifierKey,
        months: &[Month],
    ) -> Option<Vec<Checkpoint>> {
        let mut seen = Vec::new();
        for month in months {
            let origin = format!("{}/{month}", key.name());
            let path = format!("/{}/checkpoint", sha256_hex(&origin));
            let calling = self
                .http
                .call(&witness.name, Method::GET, &path, String::new());
            let said = timeout(self.deadline, calling).await.ok()?.ok()?;
            match said.status {
                StatusCode::OK => {
                    let note = SignedNote::parse(&said.body).ok()?;
                    let cosigned = |line| witness.key.verify(note.text(), line).is_some();
                    let checkpoint = Checkpoint::open(&note, std::slice::from_ref(key)).ok()?;
                    if checkpoint.origin != origin || !note.signatures().iter().any(cosigned) {
                        return None;
                    }
                    seen.push(checkpoint);
                }
                StatusCode::NOT_FOUND => {}
                _ => return None,
            }
        }
        Some(seen)
    }
}

/// The largest checkpoint that a witness has seen of each of these months' logs, as soon as a
/// quorum has said what it saw; `None` if none has until then.
pub async fn seen_by_quorum(
    witnesses: &Witnesses,
    key: &VerifierKey,
    months: &[Month],
    until: Instant,
) -> Option<Vec<Checkpoint>> {
    loop {
        let asked = witnesses
            .policy
            .witnesses()
            .iter()
            .map(|witness| async move {
                let seen = witnesses.seen_by(witness, key, months).await?;
                Some((witness.name.clone(), seen))
            });
        let answers: Vec<_> = join_all(asked).await.into_iter().flatten().collect();
        let answered: Vec<_> = answers
            .iter()
            .map(|(name, _)| Cosigned {
                witness: name.clone(),
                unix_s: 0,
            })
            .collect();
        if witnesses.policy.is_satisfied(&answered) {
            let seen = answers.into_iter().flat_map(|(_, seen)| seen);
            return Some(largest(seen));
        }
        let again = Instant::now() + RETRY_EVERY;
        if again > until {
            return None;
        }
        sleep_until(again).await;
    }
}

/// All that differ: two of the same size with different roots show that the log was forked.
fn largest(seen: impl Iterator<Item = Checkpoint>) -> Vec<Checkpoint> {
    let mut all: Vec<Checkpoint> = Vec::new();
    for checkpoint in seen {
        if !all.contains(&checkpoint) {
            all.push(checkpoint);
        }
    }
    all
}

fn sha256_hex(text: &str) -> String {
    use std::fmt::Write as _;
    let hash = digest(&SHA256, text.as_bytes());
    hash.as_ref().iter().fold(String::new(), |mut hex, byte| {
        // Writing to a String can't fail.
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}
