//! Lists of permanently disconnected numbers, as regulators publish them, as a source of
//! `number_recycling`: India's monthly Mobile Number Revocation List, the shape of the FCC's Reassigned
//! Numbers Database (a number and its last permanent disconnect date), and their like.
//!
//! ```text
//!   list of October ─┐
//!   list of November ┼─▶ one book: covered without a gap since …, up to …; who was disconnected when
//!   …                ┘
//! ```
//!
//! A list says that a number was *disconnected*, not that somebody else has it now, nor since when: any
//! time from the disconnect on may be that of the change of hands. What it does not list was not
//! disconnected in the time that it covers; of any other time it says nothing, so a list that is missing
//! restarts the watch, and one that comes late fills the gap.

mod book;
mod config;
mod read;

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use accord_proto::{clock::SharedClock, msisdn::Msisdn, reason::Reason, signal::Signal};
use arc_swap::ArcSwapOption;
use jiff::Timestamp;
use tokio::{
    sync::mpsc,
    time::{Instant, MissedTickBehavior, interval},
};

pub use config::{Covers, ListColumns, ListComplete, ListConfig, ListDate};
pub use read::ListError;

use self::{
    book::Book,
    config::Plan,
    read::{List, Stamp},
};
use crate::{
    file_drop::{self, FileDrop, FilesConfigError},
    source::{
        ChangesIn, ChangesOut, Condition, Observations, Source, SourceChange, SourceFuture,
        SourceState, StateCell, Told, Withdrawals, words,
    },
};

/// The lists of a directory.
#[derive(Debug)]
pub struct NumberList {
    plan: Plan,
    clock: SharedClock,
    files: Option<Arc<FileDrop>>,
    book: ArcSwapOption<Book>,
    /// What was read last; `None`: nothing, or the directory could not be read since.
    read: Mutex<Option<Vec<Stamp>>>,
    state: StateCell,
    /// Of whom an answer may lie at a broker.
    asked: Told<()>,
    changes: ChangesIn,
    changes_out: ChangesOut,
}

impl NumberList {
    /// Checks the configuration. There need not be a list yet.
    ///
    /// # Errors
    /// [`FilesConfigError`] names the key.
    pub fn open(config: ListConfig, clock: SharedClock) -> Result<Self, FilesConfigError> {
        let plan = Plan::new(config)?;
        let files = match plan.config.sftp.clone() {
            None => None,
            Some(sftp) => {
                let (spool, wanted) = (plan.config.directory.clone(), plan.wanted());
                let clock = Arc::clone(&clock);
                Some(Arc::new(FileDrop::open(sftp, spool, wanted, clock)?))
            }
        };
        let (changes, changes_out) = ChangesOut::ends();
        Ok(Self {
            plan,
            clock,
            files,
            book: ArcSwapOption::empty(),
            read: Mutex::default(),
            state: StateCell::default(),
            asked: Told::default(),
            changes,
            changes_out,
        })
    }

    /// The server that the lists come from, where there is one.
    #[must_use]
    pub fn files(&self) -> Option<Arc<FileDrop>> {
        self.files.clone()
    }

    /// Reads all lists, if any of them is new. Blocks.
    ///
    /// # Errors
    /// The first list that was refused, and why; the others count all the same.
    pub fn reload(&self) -> Result<(), ListError> {
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        let stamps = match read::lists(&self.plan) {
            Ok(stamps) => stamps,
            Err(error) => {
                *read = None;
                let known = self.book.load().is_some();
                let condition = if known {
                    Condition::Behind
                } else {
                    error.without_another()
                };
                self.state.set(condition, words(&error), self.clock.now());
                return Err(error);
            }
        };
        if read.as_ref() == Some(&stamps) {
            return Ok(());
        }
        let now = self.clock.now();
        let (book, refused) = match self.plan.config.covers {
            Covers::Everything { .. } => self.read_newest(&stamps, now),
            Covers::Month | Covers::Days { .. } => self.read_all(&stamps, now),
        };
        let passes = refused.as_ref().is_some_and(ListError::may_pass);
        let (condition, why) = match (&refused, &book) {
            (None, Some(_)) => (Condition::Up, String::new()),
            (None, None) => (Condition::Starting, "no list has come yet".to_owned()),
            (Some(error), Some(_)) => (Condition::Behind, words(error)),
            (Some(error), None) => (error.without_another(), words(error)),
        };
        self.state.set(condition, why, now);
        if let Some(book) = book {
            let (since, until, numbers) = (book.since(), book.until(), book.len());
            tracing::info!(%since, %until, numbers, "lists of disconnected numbers are in force");
            self.state.observed_to(until);
            self.book.store(Some(Arc::new(book)));
        }
        if !passes {
            *read = Some(stamps);
        }
        refused.map_or(Ok(()), Err)
    }

    /// Of lists, the newest first, as far as `rows_max` reaches; and why the first was refused that was.
    fn read_all(&self, stamps: &[Stamp], now: Timestamp) -> (Option<Book>, Option<ListError>) {
        let (mut lists, mut refused): (Vec<List>, Option<ListError>) = (Vec::new(), None);
        let mut room = self.rows_max();
        for stamp in stamps {
            match read::list(&self.plan, stamp, now, room) {
                Ok(list) => {
                    room = room.saturating_sub(list.rows.len());
                    lists.push(list);
                }
                Err(error) => {
                    refused.get_or_insert(error);
                }
            }
        }
        (Book::new(lists), refused)
    }

    /// Where each list holds all of those before: the newest good one. One that lacks a number of the one
    /// before it is none, or that number would be told never to have been disconnected.
    fn read_newest(&self, stamps: &[Stamp], now: Timestamp) -> (Option<Book>, Option<ListError>) {
        let (mut newest, mut refused): (Option<(Book, &Stamp)>, Option<ListError>) = (None, None);
        for stamp in stamps {
            let read = read::list(&self.plan, stamp, now, self.rows_max());
            match (read.map(|list| Book::new(vec![list])), newest.take()) {
                (Ok(Some(book)), Some((newer, at))) => match newer.lacks(&book) {
                    0 => return (Some(newer), refused),
                    lost => {
                        let name = at.name().to_owned();
                        refused.get_or_insert(ListError::Shrunk { name, lost });
                        newest = Some((book, stamp));
                    }
                },
                (Ok(book), newer) => newest = newer.or_else(|| book.map(|book| (book, stamp))),
                // What is wrong with an older one matters no more.
                (Err(_), Some(newer)) => newest = Some(newer),
                (Err(error), None) => {
                    refused.get_or_insert(error);
                }
            }
        }
        (newest.map(|(book, _)| book), refused)
    }

    fn rows_max(&self) -> usize {
        usize::try_from(self.plan.config.rows_max).unwrap_or(usize::MAX)
    }

    /// As [`Self::reload`], where nothing may block. What the lists say otherwise than before of numbers
    /// that were asked about is taken back from brokers.
    ///
    /// # Errors
    /// [`ListError`].
    pub async fn reload_now(self: Arc<Self>) -> Result<(), ListError> {
        let reading = Arc::clone(&self);
        let reloading = tokio::task::spawn_blocking(move || {
            let before = reading.book.load_full();
            (reading.reload(), reading.differing(before.as_deref()))
        });
        let (reloaded, differs) = reloading.await.map_err(|_| ListError::Interrupted)?;
        self.changes.withdraw(differs).await;
        reloaded
    }

    /// What the lists in force say otherwise than those before.
    fn differing(&self, before: Option<&Book>) -> Withdrawals {
        let mut differs = Withdrawals::default();
        let after = self.book.load_full();
        let after = after.as_deref();
        if before.map(std::ptr::from_ref) == after.map(std::ptr::from_ref) {
            return differs;
        }
        for msisdn in self.asked.numbers(self.clock.now()) {
            // That somebody may have it since a later moment, too, is no other word.
            let disconnected =
                |book: Option<&Book>| book.map(|book| book.disconnected_after(&msisdn));
            if disconnected(before) == disconnected(after) {
                continue;
            }
            let (before, after) = (
                said(before, &msisdn, self.signals()),
                said(after, &msisdn, self.signals()),
            );
            differs.compare(msisdn, &before, &after);
        }
        differs
    }

    /// Looks for lists for ever. A refusal is logged once, until it is another one.
    pub async fn watch(self: Arc<Self>) {
        let mut ticks = interval(Duration::from_millis(u64::from(self.plan.config.reload_ms)));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut last = String::new();
        loop {
            ticks.tick().await;
            let refused = Arc::clone(&self).reload_now().await.err();
            let error = refused.map_or_else(String::new, |error| words(&error));
            if !error.is_empty() && error != last {
                tracing::error!(error, "refused a list of disconnected numbers");
            }
            last = error;
        }
    }
}

#[cfg(any(test, feature = "test-util"))]
impl NumberList {
    /// Takes a list that lies nowhere, and no other: for fuzz targets. Gives how many rows it has.
    ///
    /// # Errors
    /// Why it was refused; then what was in force stays so.
    pub fn hold(&self, name: &str, list: &[u8]) -> Result<usize, ListError> {
        let covered = self.plan.covered(name);
        let covered = covered.ok_or_else(|| ListError::Future(name.to_owned()))?;
        let rows = read::rows(
            &self.plan,
            name,
            covered,
            &mut std::io::Cursor::new(list),
            self.rows_max(),
        )?;
        let (count, (since, until)) = (rows.len(), covered);
        let book = Book::new(vec![List { since, until, rows }]);
        self.book.store(book.map(Arc::new));
        Ok(count)
    }
}

impl Source for NumberList {
    fn signals(&self) -> &[Signal] {
        &[Signal::NumberRecycling]
    }

    fn observe<'a>(
        &'a self,
        msisdn: Msisdn,
        signals: &'a [Signal],
        _deadline: Instant,
    ) -> SourceFuture<'a> {
        Box::pin(async move {
            // Before the lists are looked at: if others come meanwhile, this number is compared.
            self.asked.note(msisdn, ());
            said(self.book.load().as_deref(), &msisdn, signals)
        })
    }

    fn state(&self) -> SourceState {
        file_drop::state(self.state.get(), self.files.as_ref())
    }

    fn changes(&self) -> Option<mpsc::Receiver<SourceChange>> {
        self.changes_out.take()
    }
}

/// What the lists say of a number; without any, that there are none.
fn said(book: Option<&Book>, msisdn: &Msisdn, signals: &[Signal]) -> Observations {
    let mut answer = Observations::all(signals, Reason::NotAvailable);
    for (signal, said) in &mut answer.signals {
        if *signal == Signal::NumberRecycling {
            let book = book.ok_or(Reason::SourceDown);
            *said = book.and_then(|book| book.observation(msisdn));
        }
    }
    answer
}

#[cfg(test)]
mod tests;
