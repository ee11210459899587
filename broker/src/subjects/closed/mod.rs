//! The keys of closed months. The broker holds this month's key and last month's; an older one is
//! split between the authorities and erased (rule R35).
//!
//! ```text
//!   key ──▶ both halves durable ──▶ SPLIT on the record ──▶ key erased
//!        (a crash here: made anew)  (here: recorded)     (here: erased at the next look)
//! ```
//!
//! One act at a time: each looks at what is so, puts itself on the record, and only then does it.
//! What a crash left undone is done at the next start. What the authorities asked follows from the
//! notes in the ledger that they signed, never from a file; before halves are destroyed, the ledger
//! itself is read once more.

mod book;
mod files;
mod state;
#[cfg(test)]
mod tests;

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use accord_proto::{
    agreement::ShareKeys,
    document::Authorities,
    party::PartyId,
    shares::{
        KeyActError, KeyPlace, MonthKey, RequestKind, SealedShare, ShareError, SignedRequest,
    },
    statement::Statement,
    subject::Month,
    v1::{self, key_act::Kind, key_month},
};
use jiff::Timestamp;
use tokio::sync::{Mutex, MutexGuard};

use self::{
    book::Book,
    files::{Files, digest, digests},
    state::{LOST, closed, key_month, lost, refusal, refused, state},
};
use super::tag_keys::TagKeyError;
use crate::{
    durable,
    entry::record_entry,
    ledger::{Committed, Ledger, LedgerError},
    path::Refusal,
};

/// Why nothing can be done with the closed months.
#[derive(Debug, thiserror::Error)]
pub enum ClosedError {
    /// A file.
    #[error(transparent)]
    File(#[from] durable::Failed),
    /// A key.
    #[error(transparent)]
    Key(#[from] TagKeyError),
    /// Its file went away while it was to be split.
    #[error("the tag key of {0} is gone")]
    NoKey(Month),
    /// Sealing.
    #[error(transparent)]
    Share(#[from] ShareError),
    /// The record.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// An entry that no authority signed as it stands, or that can't have happened there.
    #[error("entry {index} of {origin} is no act on a month's key: {error}")]
    Act {
        /// The log's origin.
        origin: String,
        /// Which entry.
        index: u64,
        /// Why.
        error: KeyActError,
    },
    /// The thread that reads files died.
    #[error("the reading of the keys' directory broke off")]
    BrokeOff,
}

/// What a caller sees of a fault that is the broker's own.
impl From<ClosedError> for Refusal {
    fn from(error: ClosedError) -> Self {
        if let ClosedError::Ledger(error) = error {
            return error.into();
        }
        tracing::error!(%error, "the keys of closed months can't be handled");
        Self::NotReady("the keys of closed months can't be read or written")
    }
}

/// What a half is given for.
#[derive(Clone, Copy, Debug)]
pub enum GivenFor<'a> {
    /// A case, with what is stated of it.
    Case(&'a Statement),
    /// To be kept, so that the month does not hang on this broker's disk.
    Keeping,
}

/// The keys of closed months.
#[derive(Debug)]
pub struct ClosedKeys {
    files: Files,
    ledger: Arc<Ledger>,
    authorities: Authorities,
    book: Mutex<Book>,
    overdue: AtomicUsize,
    lost: AtomicUsize,
}

impl ClosedKeys {
    /// Reads what became of the closed months, and ends what a crash interrupted. `keys` is the
    /// directory of the months' keys, `sealed` that of their halves.
    ///
    /// # Errors
    /// [`ClosedError`]; an entry that the authorities did not sign as it stands is named.
    pub fn open(
        keys: &Path,
        sealed: &Path,
        ledger: Arc<Ledger>,
        authorities: Authorities,
    ) -> Result<Self, ClosedError> {
        let files = Files::open(keys, sealed)?;
        let book = Book::open(keys, &ledger, &authorities)?;
        let shredded = |month: &Month| book.month(*month).shredded();
        for month in book.life().months().filter(shredded) {
            files.destroy(month)?;
        }
        let lost = lost(&book, &files.months()?);
        Ok(Self {
            files,
            ledger,
            authorities,
            book: Mutex::new(book),
            overdue: AtomicUsize::new(0),
            lost: AtomicUsize::new(lost),
        })
    }

    /// Splits and erases each key that is older than last month's; returns those months.
    ///
    /// # Errors
    /// [`ClosedError`]; the next call goes on where this one stopped.
    pub async fn split_due(
        &self,
        keys: &ShareKeys,
        now: Timestamp,
    ) -> Result<Vec<Month>, ClosedError> {
        let mut book = self.book.lock().await;
        let last_month = Month::of(now).previous();
        let found = self.on_disk(Files::months).await?;
        self.lost.store(lost(&book, &found), Ordering::Relaxed);
        let found = found.keys.into_iter();
        let due: Vec<Month> = found.filter(|month| *month < last_month).collect();
        self.overdue.store(due.len(), Ordering::Relaxed);
        for month in &due {
            self.split(&mut book, *month, keys, now).await?;
            self.overdue.fetch_sub(1, Ordering::Relaxed);
        }
        Ok(due)
    }

    /// Keys that should be split and are not yet.
    #[must_use]
    pub fn overdue(&self) -> usize {
        self.overdue.load(Ordering::Relaxed)
    }

    /// Months whose halves are not on this disk as they were split.
    #[must_use]
    pub fn lost(&self) -> usize {
        self.lost.load(Ordering::Relaxed)
    }

    async fn split(
        &self,
        book: &mut MutexGuard<'_, Book>,
        month: Month,
        keys: &ShareKeys,
        now: Timestamp,
    ) -> Result<(), ClosedError> {
        if book.month(month).shredded() {
            return self.on_disk(move |files| files.destroy(month)).await;
        }
        // After a crash behind the entry the halves are there, and on the record, already. Halves
        // that are not on the record could have been damaged since: as long as the key is there,
        // new ones are made.
        let kept = self.on_disk(move |files| files.shares(month)).await?;
        let on_record = kept.is_some_and(|kept| book.month(month).split() == digests(&kept));
        if !on_record {
            let (name, keys) = (self.ledger.key().name().to_owned(), keys.clone());
            let shares = self.on_disk(move |files| files.split(&name, month, &keys));
            let act = v1::KeyAct {
                kind: Kind::Split as i32,
                month: month.to_string(),
                digests: digests(&shares.await?),
                ..v1::KeyAct::default()
            };
            let committed = self.record(&act).await?;
            book.take(&act, &committed, now)?;
        }
        self.on_disk(move |files| files.erase_key(month)).await?;
        tracing::info!(%month, "a closed month's key is split between the authorities and erased");
        Ok(())
    }

    /// What has become of each month, oldest first.
    ///
    /// # Errors
    /// [`ClosedError`].
    pub async fn months(&self) -> Result<Vec<v1::KeyMonth>, ClosedError> {
        let book = self.book.lock().await;
        let found = self.on_disk(Files::months).await?;
        let mut months = found.keys.clone();
        months.extend(found.shares.keys());
        months.extend(book.life().months());
        let known = |month: Month| {
            let key = book.month(month);
            Some(key_month(month, state(&key, &found, month)?, &key))
        };
        Ok(months.into_iter().filter_map(known).collect())
    }

    /// An authority's half of a closed month's key, on the record as given.
    ///
    /// # Errors
    /// [`Refusal`]; then nothing is given.
    pub async fn give(
        &self,
        month: Month,
        party: &PartyId,
        what_for: GivenFor<'_>,
    ) -> Result<SealedShare, Refusal> {
        let book = self.book.lock().await;
        let found = self.on_disk(Files::months).await?;
        let key = book.month(month);
        closed(&key, &found, month)?;
        let shares = self.on_disk(move |files| files.shares(month)).await?;
        let shares = shares.filter(|shares| key.split() == digests(shares));
        let own = shares
            .ok_or_else(|| refused(month, LOST))?
            .into_iter()
            .find(|share| share.facts().half == party.org().as_str());
        let own = own.ok_or(Refusal::NotFound("month"))?;
        let (kind, statement) = match what_for {
            GivenFor::Case(statement) => (Kind::ShareGiven, Some(statement)),
            GivenFor::Keeping => (Kind::ShareKept, None),
        };
        let case = statement.and_then(Statement::case).unwrap_or_default();
        let act = v1::KeyAct {
            kind: kind as i32,
            month: month.to_string(),
            party: party.to_string(),
            case: case.to_owned(),
            digests: vec![digest(own.facts().half.clone(), own.sha256())],
            statement: statement.map(Statement::to_wire),
            ..v1::KeyAct::default()
        };
        self.record(&act).await?;
        Ok(own)
    }

    /// What an authority asks to be done with a month, in a note that it signed.
    ///
    /// # Errors
    /// [`Refusal`]; then nothing changed.
    pub async fn act(
        &self,
        signed: &SignedRequest,
        party: &PartyId,
        note: String,
        now: Timestamp,
    ) -> Result<(v1::KeyMonth, Committed), Refusal> {
        let (request, month) = (&signed.request, signed.request.month);
        let mut book = self.book.lock().await;
        if let Some(place) = book.life().on_record(&signed.sha256) {
            return Err(refusal(month, KeyActError::Twice(place.clone())));
        }
        let found = self.on_disk(Files::months).await?;
        let key = book.month(month);
        match request.kind {
            RequestKind::Hold if state(&key, &found, month).is_none() => {
                return Err(Refusal::NotFound("month"));
            }
            RequestKind::Shred => closed(&key, &found, month)?,
            RequestKind::Hold | RequestKind::Lift => {}
        }
        let kind = key.ask(request.kind, party);
        let kind = kind.map_err(|not_now| refusal(month, not_now.into()))?;
        if kind == Kind::Shredded {
            self.as_recorded(month, key).await?;
        }
        let act = v1::KeyAct {
            kind: kind as i32,
            month: month.to_string(),
            party: party.to_string(),
            case: request.case.clone(),
            note,
            ..v1::KeyAct::default()
        };
        // What a start could not let happen again must not get on the record.
        let place = KeyPlace {
            origin: String::new(),
            index: 0,
        };
        let tried = book.life().clone().replay(&act, Some(now), place);
        tried.map_err(|error| refusal(month, error))?;
        let committed = self.record(&act).await?;
        book.take(&act, &committed, now)?;
        if kind == Kind::Shredded {
            self.on_disk(move |files| files.destroy(month)).await?;
        }
        let found = self.on_disk(Files::months).await?;
        let key = book.month(month);
        let state = state(&key, &found, month).unwrap_or(key_month::State::Unspecified);
        Ok((key_month(month, state, &key), committed))
    }

    /// Before anything is destroyed: whether the ledger itself says what the book does.
    async fn as_recorded(&self, month: Month, key: MonthKey) -> Result<(), Refusal> {
        let (ledger, authorities) = (Arc::clone(&self.ledger), self.authorities.clone());
        let read = move || Book::recorded(&ledger, &authorities, month);
        let recorded = tokio::task::spawn_blocking(read).await;
        let recorded = recorded.map_err(|_| ClosedError::BrokeOff)??;
        if recorded == key {
            return Ok(());
        }
        tracing::error!(
            %month,
            "the ledger says something else of this month than `key-acts` beside the keys: nothing \
             is destroyed; remove that file and start again"
        );
        let why = "the broker's list of acts is not the ledger's, so nothing is destroyed: its \
                   operator starts it anew without `key-acts`";
        Err(refused(month, why))
    }

    async fn record(&self, act: &v1::KeyAct) -> Result<Committed, LedgerError> {
        record_entry(&self.ledger, v1::entry::Event::KeyAct(act.clone())).await
    }

    /// Reads and writes files where that may block.
    async fn on_disk<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Files) -> Result<T, ClosedError> + Send + 'static,
    ) -> Result<T, ClosedError> {
        let files = self.files.clone();
        tokio::task::spawn_blocking(move || work(&files))
            .await
            .map_err(|_| ClosedError::BrokeOff)?
    }
}
