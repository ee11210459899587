//! The keys of closed months. The broker holds this month's key and last month's; an older one is
//! split between the authorities and erased (rule R35).
//!
//! ```text
//!   key ──▶ both halves durable ──▶ SPLIT on the record ──▶ key erased
//!        (a crash here: made anew)  (here: recorded)     (here: erased at the next look)
//! ```
//!
//! One act at a time: each looks at what is so, puts itself on the record, and only then does it.
//! What a crash left undone is done at the next start.

mod book;
mod files;
#[cfg(test)]
mod tests;

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use accord_proto::{
    agreement::ShareKeys,
    party::PartyId,
    shares::{KeyRequest, RequestKind, SealedShare, ShareError},
    statement::Statement,
    subject::Month,
    v1::{self, key_act::Kind, key_month},
};
use jiff::Timestamp;
use tokio::sync::{Mutex, MutexGuard};

use self::{
    book::{Book, Page, split_of},
    files::Files,
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
    /// A file of halves that was damaged.
    #[error("`{0}` does not hold the two sealed halves of a key: restore it from a copy")]
    Malformed(PathBuf),
    /// Sealing.
    #[error(transparent)]
    Share(#[from] ShareError),
    /// The record.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The book.
    #[error("the book of closed months can't be written as text")]
    Book,
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

/// The keys of closed months.
#[derive(Debug)]
pub struct ClosedKeys {
    files: Files,
    ledger: Arc<Ledger>,
    book: Mutex<Book>,
    overdue: AtomicUsize,
}

impl ClosedKeys {
    /// Reads what became of the closed months, and ends what a crash interrupted. `until` is the
    /// time of the ledger's last entry.
    ///
    /// # Errors
    /// [`ClosedError`].
    pub fn open(dir: &Path, ledger: Arc<Ledger>, until: Timestamp) -> Result<Self, ClosedError> {
        let files = Files::new(dir);
        let book = Book::open(dir, &ledger, until)?;
        for month in book.months().filter(|month| book.page(*month).shredded) {
            files.destroy(month)?;
        }
        Ok(Self {
            files,
            ledger,
            book: Mutex::new(book),
            overdue: AtomicUsize::new(0),
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
        let found = self.on_disk(Files::months).await?.keys.into_iter();
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

    async fn split(
        &self,
        book: &mut MutexGuard<'_, Book>,
        month: Month,
        keys: &ShareKeys,
        now: Timestamp,
    ) -> Result<(), ClosedError> {
        if book.page(month).shredded {
            return self.on_disk(move |files| files.destroy(month)).await;
        }
        let (name, keys) = (self.ledger.key().name().to_owned(), keys.clone());
        let shares = self.on_disk(move |files| files.split(&name, month, &keys));
        let act = v1::KeyAct {
            kind: Kind::Split as i32,
            month: month.to_string(),
            digests: digests(&shares.await?),
            ..v1::KeyAct::default()
        };
        // After a crash behind the entry it is on the record already.
        if book.page(month).split != split_of(&act) {
            self.record(&act).await?;
            book.fold(&act);
            book.save(now)?;
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
        let mut months = &found.keys | &found.shares;
        months.extend(book.months());
        let known = |month: Month| {
            let state = state(&book.page(month), &found, month)?;
            Some(key_month(month, state, book.page(month)))
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
        statement: &Statement,
    ) -> Result<SealedShare, Refusal> {
        let book = self.book.lock().await;
        let found = self.on_disk(Files::months).await?;
        self.closed(&book.page(month), &found, month)?;
        let shares = self.on_disk(move |files| files.shares(month)).await?;
        let own = shares.and_then(|shares| {
            let mut shares = shares.into_iter();
            shares.find(|share| share.facts().half == party.org().as_str())
        });
        let own = own.ok_or(Refusal::NotFound("month"))?;
        let act = v1::KeyAct {
            kind: Kind::ShareGiven as i32,
            month: month.to_string(),
            party: party.to_string(),
            case: statement.case().unwrap_or_default().to_owned(),
            digests: vec![digest(own.facts().half.clone(), own.sha256())],
            statement: Some(statement.to_wire()),
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
        request: &KeyRequest,
        party: &PartyId,
        note: String,
        now: Timestamp,
    ) -> Result<(v1::KeyMonth, Committed), Refusal> {
        let month = request.month;
        let mut book = self.book.lock().await;
        let found = self.on_disk(Files::months).await?;
        let page = book.page(month);
        let other = |asked: &std::collections::BTreeSet<String>| {
            asked.iter().any(|by| *by != party.to_string())
        };
        let kind = match request.kind {
            RequestKind::Hold => match state(&page, &found, month) {
                None => return Err(Refusal::NotFound("month")),
                Some(key_month::State::Shredded) => return Err(shredded(month)),
                Some(_) => Kind::HoldSet,
            },
            RequestKind::Lift if page.hold_by.is_none() => {
                return Err(refused(month, "it is under no legal hold"));
            }
            RequestKind::Lift if other(&page.lift_asked_by) => Kind::HoldLifted,
            RequestKind::Lift => Kind::HoldLiftAsked,
            RequestKind::Shred => {
                self.closed(&page, &found, month)?;
                if let Some(by) = &page.hold_by {
                    let why = format!("it is under a legal hold, set by {by}; both lift it first");
                    return Err(refused(month, why));
                }
                match other(&page.shred_asked_by) {
                    true => Kind::Shredded,
                    false => Kind::ShredAsked,
                }
            }
        };
        let act = v1::KeyAct {
            kind: kind as i32,
            month: month.to_string(),
            party: party.to_string(),
            case: request.case.clone(),
            note,
            ..v1::KeyAct::default()
        };
        let committed = self.record(&act).await?;
        book.fold(&act);
        if kind == Kind::Shredded {
            self.on_disk(move |files| files.destroy(month)).await?;
        }
        book.save(now)?;
        let found = self.on_disk(Files::months).await?;
        let page = book.page(month);
        let state = state(&page, &found, month).unwrap_or(key_month::State::Unspecified);
        Ok((key_month(month, state, page), committed))
    }

    /// Whether a month's halves are there.
    fn closed(&self, page: &Page, found: &files::Months, month: Month) -> Result<(), Refusal> {
        match state(page, found, month) {
            None | Some(key_month::State::Unspecified) => Err(Refusal::NotFound("month")),
            Some(key_month::State::Held) => Err(refused(
                month,
                "its key is not split: the broker holds the keys of this month and the last one",
            )),
            Some(key_month::State::Shredded) => Err(shredded(month)),
            Some(key_month::State::Split) => Ok(()),
        }
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

/// `None`: the broker knows nothing of such a month.
fn state(page: &Page, found: &files::Months, month: Month) -> Option<key_month::State> {
    if page.shredded {
        Some(key_month::State::Shredded)
    } else if found.keys.contains(&month) {
        Some(key_month::State::Held)
    } else if found.shares.contains(&month) {
        Some(key_month::State::Split)
    } else {
        None
    }
}

fn key_month(month: Month, state: key_month::State, page: Page) -> v1::KeyMonth {
    v1::KeyMonth {
        month: month.to_string(),
        state: state as i32,
        hold_by: page.hold_by.unwrap_or_default(),
        lift_asked_by: page.lift_asked_by.into_iter().collect(),
        shred_asked_by: page.shred_asked_by.into_iter().collect(),
    }
}

fn refused(month: Month, why: impl Into<String>) -> Refusal {
    let why = why.into();
    Refusal::KeyMonth { month, why }
}

fn shredded(month: Month) -> Refusal {
    refused(
        month,
        "its halves are destroyed, and nobody can bring them back",
    )
}

/// What is on the record of a split: both sealed halves, and what they make together.
fn digests(shares: &[SealedShare; 2]) -> Vec<v1::NamedDigest> {
    let halves = shares.iter();
    let halves = halves.map(|share| digest(share.facts().half.clone(), share.sha256()));
    let [one, _] = shares;
    let commitment = digest("commitment".to_owned(), one.facts().commitment);
    halves.chain([commitment]).collect()
}

fn digest(name: String, sha256: [u8; 32]) -> v1::NamedDigest {
    let sha256 = sha256.to_vec();
    v1::NamedDigest { name, sha256 }
}
