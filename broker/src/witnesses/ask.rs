//! One witness is asked to cosign one checkpoint.

use std::sync::Arc;

use accord_proto::c2sp::policy::PolicyWitness;
use accord_proto::c2sp::witness::{ADD_CHECKPOINT, WitnessError, parse_cosignatures, parse_size};
use accord_proto::c2sp::{AddCheckpoint, Checkpoint, NoteSignature, SignedNote};
use http::{Method, StatusCode};
use tokio::time::{Instant, timeout_at};

use super::blocking;
use super::http::{Http, HttpError, Said};
use crate::ledger::{Ledger, LedgerError};

/// The first time, and once more where the witness is at another size than was believed.
const TRIES: u32 = 2;

/// Why a witness did not cosign.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// It could not be reached.
    #[error("it can't be reached")]
    Http(#[from] HttpError),
    /// It took too long.
    #[error("it did not answer in time")]
    Timeout,
    /// It knows the log with more entries than there are: the ledger was cut, or the witness lies.
    #[error("it has seen {seen} entries, and there are {here}")]
    SeenMore {
        /// How many it has seen.
        seen: u64,
        /// How many there are.
        here: u64,
    },
    /// It refused.
    #[error("it answered with status {0}")]
    Status(u16),
    /// What it said is no cosignature.
    #[error("what it answered can't be read")]
    Answer(#[from] WitnessError),
    /// A signature that is not its own, or not over this checkpoint.
    #[error("what it signed is not this checkpoint")]
    Signature,
    /// The proof that the log grew could not be made.
    #[error("the ledger could not prove how it grew")]
    Ledger(#[from] LedgerError),
}

/// What all witnesses are asked.
pub(super) struct Question<'a> {
    pub(super) ledger: &'a Arc<Ledger>,
    pub(super) note: &'a SignedNote,
    pub(super) checkpoint: &'a Checkpoint,
    pub(super) until: Instant,
}

/// What came of it.
pub(super) struct Answer {
    pub(super) witness: String,
    /// How far the witness has come, as far as is known now.
    pub(super) seen: u64,
    pub(super) outcome: Result<NoteSignature, AskError>,
}

/// Asks one witness, which is believed to have seen `old` entries.
pub(super) async fn ask(
    http: &Http,
    witness: &PolicyWitness,
    old: u64,
    question: &Question<'_>,
) -> Answer {
    let mut seen = old;
    let asking = tries(http, witness, &mut seen, question);
    let outcome = match timeout_at(question.until, asking).await {
        Ok(outcome) => outcome,
        Err(_elapsed) => Err(AskError::Timeout),
    };
    if outcome.is_ok() {
        seen = question.checkpoint.size;
    }
    Answer {
        witness: witness.name.clone(),
        seen,
        outcome,
    }
}

async fn tries(
    http: &Http,
    witness: &PolicyWitness,
    seen: &mut u64,
    question: &Question<'_>,
) -> Result<NoteSignature, AskError> {
    for _ in 0..TRIES {
        let said = send(http, witness, *seen, question).await?;
        match said.status {
            StatusCode::OK => return cosignature(witness, question.note, &said.body),
            StatusCode::CONFLICT => {
                let size = said.body.strip_suffix('\n').and_then(parse_size);
                let size = size.ok_or(AskError::Status(StatusCode::CONFLICT.as_u16()))?;
                let here = question.checkpoint.size;
                if size > here {
                    return Err(AskError::SeenMore { seen: size, here });
                }
                *seen = size;
            }
            other => return Err(AskError::Status(other.as_u16())),
        }
    }
    Err(AskError::Status(StatusCode::CONFLICT.as_u16()))
}

async fn send(
    http: &Http,
    witness: &PolicyWitness,
    old: u64,
    question: &Question<'_>,
) -> Result<Said, AskError> {
    let Checkpoint { origin, size, .. } = question.checkpoint;
    let read = (Arc::clone(question.ledger), origin.clone(), *size);
    let proving = blocking(move || read.0.prove_consistency(Some(&read.1), old, read.2));
    let (proof, _) = proving.await?;
    let request = AddCheckpoint {
        old,
        proof,
        checkpoint: question.note.clone(),
    };
    let body = request.to_string();
    Ok(http
        .call(&witness.name, Method::POST, ADD_CHECKPOINT, body)
        .await?)
}

/// The witness's own line among those that came back, if it is over this checkpoint.
fn cosignature(
    witness: &PolicyWitness,
    note: &SignedNote,
    body: &str,
) -> Result<NoteSignature, AskError> {
    let lines = parse_cosignatures(body)?;
    let own = lines
        .into_iter()
        .find(|line| witness.key.verify(note.text(), line).is_some());
    own.ok_or(AskError::Signature)
}
