//! A reader that follows the log, from one month's into the next.

use std::{
    collections::HashMap,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
};

use accord_proto::{party::PartyId, v1::TailResponse};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, mpsc},
    time::{Duration, sleep},
};
use tokio_stream::{Stream, wrappers::ReceiverStream};
use tonic::Status;

use super::{
    super::{read_blocking, status::status},
    AuditParts,
    reader::{Reader, day},
};
use crate::{
    identity::Peer,
    ledger::{Ledger, LedgerError},
    path::Refusal,
};

/// The method, for the record.
pub(super) const TAIL: &str = "AuditService.Tail";
/// Tails that one party may have open at once.
const PARTY_TAILS_MAX: usize = 4;
/// Entries read at once.
const BATCH_ENTRIES_MAX: u64 = 256;
/// Entries on their way to a reader.
const TAIL_LEN_MAX: usize = 64;
/// How often a reader that waits is looked at again.
const CHECK_INTERVAL: Duration = Duration::from_secs(1);

/// The entries of a tail.
pub(super) type TailStream = Pin<Box<dyn Stream<Item = Result<TailResponse, Status>> + Send>>;

/// How many tails each party has open. Only registered parties get here, so they are few.
#[derive(Debug, Default)]
pub struct Tails {
    parties: Mutex<HashMap<PartyId, Arc<Semaphore>>>,
}

impl Tails {
    /// Room for one more tail of this party, held while it is open.
    pub(super) fn open(&self, party: &PartyId) -> Result<OwnedSemaphorePermit, Refusal> {
        let room = {
            let mut parties = self.parties.lock().unwrap_or_else(PoisonError::into_inner);
            let room = parties
                .entry(party.clone())
                .or_insert_with(|| Arc::new(Semaphore::new(PARTY_TAILS_MAX)));
            Arc::clone(room)
        };
        room.try_acquire_owned().map_err(|_| Refusal::Overloaded)
    }
}

/// A reader that follows the log.
pub(super) struct Tailing {
    pub(super) parts: Arc<AuditParts>,
    pub(super) peer: Arc<Peer>,
    pub(super) reader: Reader,
    /// The log that is read now, and the next entry of it.
    pub(super) origin: String,
    pub(super) index: u64,
    /// The end when the reading began, where it ends there.
    pub(super) once: Option<u64>,
    pub(super) open: OwnedSemaphorePermit,
}

/// What one look at the log gave.
struct Batch {
    /// What the reader may see, each with its index.
    seen: Vec<(u64, Vec<u8>)>,
    /// How many entries were looked at.
    read: u64,
    /// The log that follows, where this one has ended.
    next: Option<String>,
}

/// Nobody reads any more.
struct Gone;

type Out = mpsc::Sender<Result<TailResponse, Status>>;

impl Tailing {
    /// Begins to read, for as long as somebody takes the entries.
    pub(super) fn start(self) -> TailStream {
        let (out, stream) = mpsc::channel(TAIL_LEN_MAX);
        tokio::spawn(self.run(out));
        Box::pin(ReceiverStream::new(stream))
    }

    async fn run(mut self, out: Out) {
        let (peer, parts) = (Arc::clone(&self.peer), Arc::clone(&self.parts));
        // Nothing may happen in the log for long.
        let followed = tokio::select! {
            followed = self.follow(&out) => followed,
            error = peer.untrusted(&parts.trust) => Err(error.into()),
        };
        if let Err(refusal) = followed {
            let refusals = &self.parts.refusals;
            let recorded = refusals.record(&self.reader.party, TAIL, &refusal);
            let told = recorded.await.err().unwrap_or(refusal);
            let _ = out.send(Err(status(&told))).await;
        }
        drop(self.open);
    }

    /// Certificate, licence and statement are looked at again for each entry, and while there is
    /// none.
    fn check(&self) -> Result<(), Refusal> {
        let now = self.parts.clock.now();
        let party = self.peer.check(&self.parts.trust, now)?;
        self.parts.governance.current().check_licence(party, now)?;
        // What was stated ends with its day.
        Ok(self.reader.statement.check_day(day(now))?)
    }

    async fn follow(&mut self, out: &Out) -> Result<(), Refusal> {
        let mut grown = self.parts.ledger.subscribe();
        while !out.is_closed() {
            self.check()?;
            // What comes from here on wakes the wait below.
            grown.mark_unchanged();
            let Batch { seen, read, next } = self.batch().await?;
            if self.send(seen, out).await?.is_err() {
                return Ok(());
            }
            self.index += read;
            if self.once.is_some_and(|end| self.index >= end) {
                return Ok(());
            }
            if let Some(next) = next {
                (self.origin, self.index) = (next, 0);
            } else if read == 0 {
                tokio::select! {
                    more = grown.changed() => if more.is_err() { return Ok(()) },
                    () = out.closed() => return Ok(()),
                    () = sleep(CHECK_INTERVAL) => {}
                }
            }
        }
        Ok(())
    }

    async fn send(
        &self,
        seen: Vec<(u64, Vec<u8>)>,
        out: &Out,
    ) -> Result<Result<(), Gone>, Refusal> {
        for (index, entry) in seen {
            self.check()?;
            let origin = self.origin.clone();
            let response = TailResponse {
                index,
                entry,
                origin,
            };
            if out.send(Ok(response)).await.is_err() {
                return Ok(Err(Gone));
            }
        }
        Ok(Ok(()))
    }

    async fn batch(&self) -> Result<Batch, Refusal> {
        let ledger = Arc::clone(&self.parts.ledger);
        let (origin, sight) = (self.origin.clone(), self.reader.sight.clone());
        let from = self.index;
        let left = self
            .once
            .map_or(BATCH_ENTRIES_MAX, |end| end.saturating_sub(from));
        let count_max = left.min(BATCH_ENTRIES_MAX);
        let goes_on = self.once.is_none();
        read_blocking(move || {
            // Looked at first: a log that had ended before it was read has no more.
            let ended = goes_on && ledger.origin() != origin;
            let entries = ledger.entries(Some(&origin), from, count_max)?;
            let read = u64::try_from(entries.len()).unwrap_or(u64::MAX);
            let next = if ended && read == 0 {
                after(&ledger, &origin)?
            } else {
                None
            };
            let seen = (from..)
                .zip(entries)
                .filter(|(_, entry)| sight.sees(entry))
                .collect();
            Ok(Batch { seen, read, next })
        })
        .await
    }
}

/// The log that follows another.
fn after(ledger: &Ledger, origin: &str) -> Result<Option<String>, LedgerError> {
    let origins = ledger.origins()?;
    Ok(origins
        .into_iter()
        .skip_while(|known| known != origin)
        .nth(1))
}
