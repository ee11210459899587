//! What the national database of ported numbers says of an operator's own, beside its other sources:
//! a number that it lost is `not_ours`, never an unknown one; and one that came to it got another SIM
//! when it came.
//!
//! The file is the one that a broker reads (`docs/portability.md`).

mod config;

use std::{
    fs::File,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use accord_proto::{
    clock::SharedClock,
    msisdn::Msisdn,
    observation::{Change, ChangedIn, Observation, Observed, SourceClass, SwapKind},
    portability::{PortabilityDatabase, ReadError, ReadLimits},
    reason::Reason,
    signal::Signal,
};
use arc_swap::ArcSwapOption;
use jiff::Timestamp;
use tokio::{
    sync::mpsc,
    time::{Instant, MissedTickBehavior, interval},
};

pub use config::PortabilityConfig;

use crate::file_drop::{self, FileDrop, FilesConfigError, Role};
use crate::source::{
    ChangesIn, ChangesOut, Condition, Observations, Source, SourceChange, SourceFuture,
    SourceState, StateCell, Told, Withdrawals, words,
};

/// Why a file is not taken.
#[derive(Debug, thiserror::Error)]
pub enum PortabilityError {
    /// It can't be opened.
    #[error("can't open `{}`", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        error: std::io::Error,
    },
    /// It is no database.
    #[error("the portability database: {0}")]
    Read(#[from] ReadError),
    /// The program is stopping.
    #[error("the program is stopping")]
    Interrupted,
    /// It was made before the one in force.
    #[error("the portability database is of {0}, before the one in force")]
    Older(Timestamp),
}

/// What tells that a file was changed: inode, size, and when it was written.
type Stamp = Option<[i64; 4]>;

/// The database, as far as it concerns one operator.
#[derive(Debug)]
pub struct Portability {
    files: Option<Arc<FileDrop>>,
    config: PortabilityConfig,
    clock: SharedClock,
    current: ArcSwapOption<PortabilityDatabase>,
    state: StateCell,
    /// Of whom an answer may lie at a broker.
    asked: Told<()>,
    compared: Mutex<Compared>,
    changes: ChangesIn,
    changes_out: ChangesOut,
}

/// What was said when numbers were compared last.
#[derive(Debug, Default)]
struct Compared {
    database: Option<Arc<PortabilityDatabase>>,
    at: Timestamp,
    /// When the next port comes that the database has planned.
    next: Option<Timestamp>,
}

/// What the database says of a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    /// Nothing: it stayed where its range is.
    Unported,
    /// It went to another operator.
    Lost,
    /// It came from another operator, within this interval where that is known.
    Came(Option<ChangedIn>),
}

impl Portability {
    /// Checks the configuration, and that of the server that the file comes from; the file is read by [`Self::reload`] and [`Self::watch`].
    ///
    /// # Errors
    /// [`FilesConfigError`] names the key.
    pub fn open(config: PortabilityConfig, clock: SharedClock) -> Result<Self, FilesConfigError> {
        let name = config.check()?;
        let files = match config.sftp.clone() {
            None => None,
            Some(sftp) => {
                let parent = config.file.parent();
                let parent = parent.filter(|parent| !parent.as_os_str().is_empty());
                let spool = parent.unwrap_or_else(|| Path::new("."));
                let wanted = move |other: &str| {
                    (other == name).then_some(Role::Content(Timestamp::UNIX_EPOCH))
                };
                let clock = Arc::clone(&clock);
                let files = FileDrop::open(sftp, spool.to_owned(), Box::new(wanted), clock)?;
                Some(Arc::new(files))
            }
        };
        let (changes, changes_out) = ChangesOut::ends();
        Ok(Self {
            files,
            config,
            clock,
            current: ArcSwapOption::empty(),
            state: StateCell::default(),
            asked: Told::default(),
            compared: Mutex::default(),
            changes,
            changes_out,
        })
    }

    /// Reads the file, whole or not at all. Blocks, for as long as the file is long.
    ///
    /// # Errors
    /// [`PortabilityError`]; then what was in force stays so.
    pub fn reload(&self) -> Result<(), PortabilityError> {
        let read = self.read();
        let (condition, why) = match &read {
            Ok(()) => (Condition::Up, String::new()),
            // The old one is in force still.
            Err(error) if self.current.load().is_some() => (Condition::Behind, words(error)),
            Err(error @ PortabilityError::Open { .. }) => (Condition::Down, words(error)),
            Err(error) => (Condition::Unusable, words(error)),
        };
        self.state.set(condition, why, self.clock.now());
        if let Some(current) = self.current.load().as_ref() {
            self.state.observed_to(current.as_of());
        }
        read
    }

    /// As [`Self::reload`], where nothing may block. What was told of numbers that came or left since is
    /// taken back from brokers, if they were asked about.
    ///
    /// # Errors
    /// [`PortabilityError`].
    pub async fn reload_now(self: Arc<Self>) -> Result<(), PortabilityError> {
        let reading = Arc::clone(&self);
        let reloading = tokio::task::spawn_blocking(move || (reading.reload(), reading.moved()));
        let (reloaded, moved) = reloading.await.map_err(|_| PortabilityError::Interrupted)?;
        self.changes.withdraw(moved).await;
        reloaded
    }

    /// The numbers that were asked about and came or left since they were compared last: with another
    /// database, or because the moment has come that it had planned.
    fn moved(&self) -> Withdrawals {
        let (current, now) = (self.current.load_full(), self.clock.now());
        let mut moved = Withdrawals::default();
        let Some(database) = current else {
            return moved;
        };
        let mut compared = self.compared.lock().unwrap_or_else(PoisonError::into_inner);
        let known = compared.database.as_ref();
        let is_same = known.is_some_and(|known| Arc::ptr_eq(known, &database));
        if is_same && compared.next.is_none_or(|next| now < next) {
            return moved;
        }
        for msisdn in self.asked.numbers(now) {
            let was = known.map_or(Standing::Unported, |known| {
                self.standing_in(known, &msisdn, compared.at)
            });
            if was != self.standing_in(&database, &msisdn, now) {
                moved.add(msisdn, Signal::ALL);
            }
        }
        *compared = Compared {
            next: database.next_after(now),
            at: now,
            database: Some(database),
        };
        moved
    }

    /// The server that the file comes from, where there is one.
    #[must_use]
    pub fn files(&self) -> Option<Arc<FileDrop>> {
        self.files.clone()
    }

    fn read(&self) -> Result<(), PortabilityError> {
        let path = &self.config.file;
        let mut file = File::open(path).map_err(|error| PortabilityError::Open {
            path: path.clone(),
            error,
        })?;
        let limits = ReadLimits {
            rows_max: self.config.rows_max,
            now: self.clock.now(),
        };
        let new = PortabilityDatabase::read(&mut file, limits)?;
        let old = self.current.load_full();
        if old.is_some_and(|old| new.as_of() < old.as_of()) {
            return Err(PortabilityError::Older(new.as_of()));
        }
        let (rows, as_of) = (new.rows(), new.as_of());
        tracing::info!(rows, %as_of, "a portability database is in force");
        self.current.store(Some(Arc::new(new)));
        Ok(())
    }

    /// Reads the file for ever, once it has changed and lies still. A refusal is logged once.
    pub async fn watch(self: Arc<Self>) {
        let mut ticks = interval(Duration::from_millis(self.config.reload_ms));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut read, mut seen) = (None, self.stamp());
        loop {
            ticks.tick().await;
            self.tell_planned().await;
            let stamp = self.stamp();
            let still = stamp == seen;
            seen = stamp;
            if !still || read == Some(stamp) {
                continue;
            }
            if let Err(error) = Arc::clone(&self).reload_now().await {
                let error = &error as &dyn std::error::Error;
                tracing::error!(error, "refused a portability database");
            }
            read = Some(stamp);
        }
    }

    /// Takes back what was told of numbers whose planned port has come.
    async fn tell_planned(self: &Arc<Self>) {
        let comparing = Arc::clone(self);
        if let Ok(moved) = tokio::task::spawn_blocking(move || comparing.moved()).await {
            self.changes.withdraw(moved).await;
        }
    }

    fn stamp(&self) -> Stamp {
        let meta = std::fs::metadata(&self.config.file).ok()?;
        Some([
            meta.ino().cast_signed(),
            meta.size().cast_signed(),
            meta.mtime(),
            meta.mtime_nsec(),
        ])
    }

    /// `None`: no database is in force.
    fn standing(&self, msisdn: &Msisdn) -> Option<Standing> {
        let current = self.current.load();
        let database = current.as_ref()?;
        Some(self.standing_in(database, msisdn, self.clock.now()))
    }

    fn standing_in(
        &self,
        database: &PortabilityDatabase,
        msisdn: &Msisdn,
        now: Timestamp,
    ) -> Standing {
        match database.find(msisdn, now) {
            None => Standing::Unported,
            Some(port) if self.config.own.iter().any(|own| own == port.recipient) => {
                Standing::Came(port.ported_in)
            }
            Some(_) => Standing::Lost,
        }
    }
}

/// What the port says of the SIM: that there was a change within its interval, and nothing of what
/// came after it.
fn port_in(came: ChangedIn, now: Timestamp) -> Result<Observation, Reason> {
    let until = came.before().min(now);
    let changed_in = ChangedIn::new(came.after(), until).ok_or(Reason::NotAvailable)?;
    Ok(Observation {
        what: Observed::Change(Change {
            changed_in: Some(changed_in),
            monitored_since: Some(came.after()),
            kind: Some(SwapKind::PortIn),
        }),
        observed_at: until,
        source: SourceClass::Export,
    })
}

impl Source for Portability {
    /// All, since of a number that was lost nothing at all is ours to say.
    fn signals(&self) -> &[Signal] {
        Signal::ALL
    }

    fn answers(&self) -> &[Signal] {
        &[Signal::SimSwap]
    }

    fn observe<'a>(
        &'a self,
        msisdn: Msisdn,
        signals: &'a [Signal],
        _deadline: Instant,
    ) -> SourceFuture<'a> {
        Box::pin(async move {
            // Before the database is looked at: if another comes meanwhile, this number is compared.
            self.asked.note(msisdn, ());
            let came = match self.standing(&msisdn) {
                None => return Observations::all(signals, Reason::SourceDown),
                Some(Standing::Lost) => return Observations::all(signals, Reason::NotOurs),
                Some(Standing::Unported) => None,
                Some(Standing::Came(came)) => came,
            };
            let now = self.clock.now();
            let mut answer = Observations::all(signals, Reason::NotAvailable);
            for (signal, said) in &mut answer.signals {
                if let (Signal::SimSwap, Some(came)) = (*signal, came) {
                    *said = port_in(came, now);
                }
            }
            answer
        })
    }

    fn state(&self) -> SourceState {
        file_drop::state(self.state.get(), self.files.as_ref())
    }

    fn changes(&self) -> Option<mpsc::Receiver<SourceChange>> {
        self.changes_out.take()
    }
}

#[cfg(test)]
mod tests;
