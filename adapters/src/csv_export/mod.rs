//! A nightly file of an operator's billing system, as a source of `sim_swap`, `device_swap`,
//! `call_forwarding`, `number_recycling` and `tenure`.
//!
//! ```text
//!   file ─▶ decode ─▶ header ─▶ rows ─▶ whole? not shrunk? not in the future? ─▶ table
//!            strictly  by name   by plan       else refused, and the old table stays
//! ```
//!
//! A file is taken whole or not at all. Nothing is guessed: encodings, formats, sentinels, the
//! way numbers are written and the sign that a file is whole are all configured, and what is none
//! of them is unreadable. A number in an unreadable row is `not_available`, one with rows that
//! differ is `contradicted`, and one that is absent is `unknown_number` only if each row's number
//! could be read.
//!
//! Errors and logs name lines and columns, never a number or a cell.

mod answer;
mod config;
pub(crate) mod dates;
mod decode;
pub(crate) mod files;
#[doc(hidden)]
pub mod fixture;
pub(crate) mod hashed;
mod header;
mod load;
pub(crate) mod number;
mod plan;
mod refusal;
mod table;
mod take;
mod told;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use accord_proto::clock::SharedClock;
use accord_proto::msisdn::Msisdn;
use accord_proto::signal::Signal;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

pub use self::config::{
    Bare, Begin, BeginColumn, Columns, Complete, CsvConfig, DateColumn, ExportedAt, FlagColumn,
    ForwardingCell, ForwardingColumn, KindColumn, NumberConfig,
};
#[cfg(any(test, feature = "test-util"))]
pub use self::files::checksum;
use self::files::{Accepted, Stamp};
use self::hashed::Content;
pub use self::plan::CsvConfigError;
use self::plan::Plan;
pub use self::refusal::{BadCell, Refusal, Report};
use self::table::Table;
use crate::file_drop::{self, FileDrop, SftpConfigError};
use crate::source::{
    ChangesIn, ChangesOut, RestrictionsWatch, Source, SourceChange, SourceFuture,
    SourceRestrictions, SourceState, StateCell, Told,
};

/// Why the source could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum CsvError {
    /// A key of the configuration breaks a rule.
    #[error("the configuration of the export breaks a rule")]
    Config(#[from] CsvConfigError),
    /// The server that files come from.
    #[error(transparent)]
    Sftp(#[from] SftpConfigError),
    /// What is remembered of the last file can't be read. Removing it forgets how large that was.
    #[error("can't read `{}`", path.display())]
    State {
        /// The file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
}

/// What a look at the directory led to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reload {
    /// Nothing new, or only files refused before.
    Unchanged,
    /// A file was taken.
    Taken(Arc<Report>),
}

/// The source. Make it with [`CsvExport::open`] and run [`CsvExport::watch`] beside it.
#[derive(Debug)]
pub struct CsvExport {
    inner: Arc<Inner>,
    files: Option<Arc<FileDrop>>,
    changes: ChangesIn,
    changes_out: ChangesOut,
}

#[derive(Debug)]
struct Inner {
    plan: Plan,
    signals: Vec<Signal>,
    /// Of whom an answer may lie at a broker.
    asked: Told<()>,
    clock: SharedClock,
    state: Mutex<State>,
    restrictions: watch::Sender<Option<Arc<SourceRestrictions>>>,
    told: StateCell,
    /// One reload at a time.
    reloading: Mutex<()>,
}

#[derive(Debug, Default)]
struct State {
    table: Option<Arc<Table>>,
    report: Option<Arc<Report>>,
    stamp: Option<Stamp>,
    /// SHA-256 of the file in force.
    content: Option<Content>,
    previous_rows: Option<u64>,
    /// Files that would be refused again, with why; without, a copy of one that was in force.
    refused: HashMap<Stamp, Option<String>>,
    /// Why the newest file is not the one in force.
    standing: Option<String>,
}

impl CsvExport {
    /// Checks the configuration. There need not be a file yet.
    ///
    /// # Errors
    /// [`CsvError`].
    pub fn open(config: CsvConfig, clock: SharedClock) -> Result<Self, CsvError> {
        let plan = Plan::new(config)?;
        let accepted = match &plan.config.state_file {
            Some(path) => Accepted::load(path).map_err(|source| CsvError::State {
                path: path.clone(),
                source,
            })?,
            None => None,
        };
        let signals = answer::signals(&plan);
        let files = match plan.config.sftp.clone() {
            None => None,
            Some(sftp) => {
                let (spool, wanted) = (plan.config.directory.clone(), files::wanted(&plan));
                let clock = Arc::clone(&clock);
                let files = FileDrop::open(sftp, spool, Box::new(wanted), clock)?;
                // Of exports the newest counts alone.
                Some(Arc::new(files.clearing()))
            }
        };
        let state = State {
            previous_rows: accepted.map(|accepted| accepted.rows),
            ..State::default()
        };
        let inner = Arc::new(Inner {
            plan,
            signals,
            asked: Told::default(),
            clock,
            state: Mutex::new(state),
            restrictions: watch::Sender::new(None),
            told: StateCell::default(),
            reloading: Mutex::default(),
        });
        let (changes, changes_out) = ChangesOut::ends();
        Ok(Self {
            inner,
            files,
            changes,
            changes_out,
        })
    }

    /// Looks for a new file for ever, beginning now. A refusal is logged once for each file.
    pub async fn watch(&self) {
        let every = Duration::from_millis(self.inner.plan.config.reload_ms);
        let mut ticks = tokio::time::interval(every);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut last = String::new();
        loop {
            ticks.tick().await;
            let refusal = match self.reload_once().await {
                Ok(Reload::Unchanged) => continue,
                Ok(Reload::Taken(report)) => {
                    told::log(&report);
                    String::new()
                }
                Err(refusal) => refusal.to_string(),
            };
            if !refusal.is_empty() && refusal != last {
                tracing::error!(refusal, "refused an export");
            }
            last = refusal;
        }
    }

    /// Looks for a new file once and takes the newest that can be taken. What it says otherwise of numbers
    /// that were asked about than the one before is taken back from brokers.
    ///
    /// # Errors
    /// Why the newest new file was refused, if none was taken. It is tried again only once it
    /// changed, unless the reason may pass.
    pub async fn reload_once(&self) -> Result<Reload, Refusal> {
        let inner = Arc::clone(&self.inner);
        let reloaded = tokio::task::spawn_blocking(move || inner.reload_and_compare()).await;
        let (reloaded, differs) = reloaded.map_err(|_| Refusal::Interrupted)?;
        self.inner.tell(&reloaded);
        self.changes.withdraw(differs).await;
        reloaded
    }

    /// The server that files come from, where there is one.
    #[must_use]
    pub fn files(&self) -> Option<Arc<FileDrop>> {
        self.files.clone()
    }

    /// What was in the file in force.
    #[must_use]
    pub fn report(&self) -> Option<Arc<Report>> {
        self.inner.state().report.clone()
    }
}

#[cfg(any(test, feature = "test-util"))]
impl CsvExport {
    /// Takes a file that lies nowhere, as [`Self::reload_once`] would: for fuzz targets.
    ///
    /// # Errors
    /// Why it was refused; then what was in force stays so.
    pub fn hold(&self, exported_at: jiff::Timestamp, file: &[u8]) -> Result<Report, Refusal> {
        let before = load::Before {
            exported_at: Some(exported_at),
            rows: None,
            previous_rows: None,
            now: self.inner.clock.now(),
        };
        let (table, report) = load::load(&self.inner.plan, before, file)?;
        self.inner.state().table = Some(Arc::new(table));
        Ok(report)
    }
}

impl Source for CsvExport {
    fn signals(&self) -> &[Signal] {
        &self.inner.signals
    }

    fn observe<'a>(
        &'a self,
        msisdn: Msisdn,
        signals: &'a [Signal],
        _deadline: Instant,
    ) -> SourceFuture<'a> {
        Box::pin(async move { self.answer(&msisdn, signals) })
    }

    fn state(&self) -> SourceState {
        file_drop::state(self.inner.tell_age(), self.files.as_ref())
    }

    fn changes(&self) -> Option<mpsc::Receiver<SourceChange>> {
        self.changes_out.take()
    }

    fn restrictions(&self) -> Option<RestrictionsWatch> {
        let columns = &self.inner.plan.config.columns;
        let knows = columns.opted_out.is_some() || columns.swap_locked.is_some();
        knows.then(|| self.inner.restrictions.subscribe())
    }
}
