//! Proofs of inclusion, as everybody may see them: in a broker with witnesses, against a checkpoint
//! that their quorum cosigned and no other.

use std::{sync::Arc, time::Duration};

use tokio::{pin, time::Instant};

use super::read_blocking;
use crate::{ledger::Ledger, path::Refusal};

/// How long a proof of a young entry waits for the witnesses, who are asked once a second and may
/// take a second each.
const COSIGNED_WITHIN: Duration = Duration::from_secs(4);

/// C2SP `tlog-proof` of an entry. One that is younger than the last cosigned checkpoint waits for
/// the next.
pub(super) async fn prove(
    ledger: &Arc<Ledger>,
    witnessed: bool,
    origin: &str,
    index: u64,
) -> Result<String, Refusal> {
    let read = || (Arc::clone(ledger), origin.to_owned());
    if !witnessed {
        let (ledger, origin) = read();
        return read_blocking(move || ledger.prove_inclusion(Some(&origin), index)).await;
    }
    let until = Instant::now() + COSIGNED_WITHIN;
    loop {
        let next = ledger.cosigned_next();
        pin!(next);
        // From here on a checkpoint that comes while the last one is read is not missed.
        next.as_mut().enable();
        let (held, origin) = read();
        let proof = read_blocking(move || held.prove_cosigned(Some(&origin), index)).await?;
        if let Some(proof) = proof {
            return Ok(proof);
        }
        if tokio::time::timeout_at(until, next).await.is_err() {
            return Err(Refusal::NotReady(
                "no quorum of witnesses has cosigned that entry yet",
            ));
        }
    }
}
