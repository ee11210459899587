//! The database of ported numbers: its file is read whole or not at all, and read again when it
//! changes. Each one that comes into force, or does not, is on the record.

use std::{fs::File, path::PathBuf, sync::Arc};

use accord_proto::{
    clock::SharedClock,
    msisdn::Msisdn,
    party::OrgName,
    portability::{PortabilityDatabase, ReadError, ReadLimits},
    v1,
};
use arc_swap::ArcSwap;
use jiff::Timestamp;

use super::{Names, RoutingMetrics};
use crate::{
    entry::record_entry,
    ledger::{Ledger, LedgerError},
    metrics::Metrics,
    stamp::Stamp,
};

/// How it is named on the record.
const KIND: &str = "portability";

/// Which file, and how to read it.
#[derive(Clone, Debug)]
pub struct DatabaseFile {
    /// The file.
    pub path: PathBuf,
    /// The most rows.
    pub rows_max: u64,
    /// From the recipients in the file to operators. One that is not here is an operator of its
    /// own name, where the list of parties has that.
    pub operators: Names,
}

/// Why a file does not come into force.
#[derive(Debug, thiserror::Error)]
pub enum DatabaseError {
    /// It can't be opened.
    #[error("can't read `{path}`: {source}")]
    Open {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// It is no database.
    #[error("`{path}`: {error}")]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why.
        error: ReadError,
    },
    /// It was made before the one in force.
    #[error("`{path}`: its `as_of`, {as_of}, is before that of the one in force")]
    Older {
        /// Which file.
        path: PathBuf,
        /// When it was made.
        as_of: Timestamp,
    },
}

impl DatabaseFile {
    /// Reads the file, whole.
    ///
    /// # Errors
    /// [`DatabaseError`] names the file and the line.
    pub fn read(&self, now: Timestamp) -> Result<PortabilityDatabase, DatabaseError> {
        let path = || self.path.clone();
        let mut file = File::open(&self.path).map_err(|source| DatabaseError::Open {
            path: path(),
            source,
        })?;
        let limits = ReadLimits {
            rows_max: self.rows_max,
            now,
        };
        PortabilityDatabase::read(&mut file, limits).map_err(|error| DatabaseError::Read {
            path: path(),
            error,
        })
    }
}

/// The database in force.
#[derive(Debug)]
pub(super) struct Database {
    current: ArcSwap<PortabilityDatabase>,
    operators: Names,
}

impl Database {
    /// Whom a number was ported to, `None` if that is nobody with a name here; and as of when.
    pub(super) fn find(
        &self,
        msisdn: &Msisdn,
        now: Timestamp,
    ) -> Option<(Option<OrgName>, Timestamp)> {
        let current = self.current.load();
        let recipient = current.find(msisdn, now)?.recipient;
        let named = self.operators.get(recipient).cloned();
        let operator = named.or_else(|| OrgName::parse(recipient).ok());
        Some((operator, current.as_of()))
    }

    pub(super) fn as_of(&self) -> Timestamp {
        self.current.load().as_of()
    }
}

/// Keeps the database current.
#[derive(Debug)]
pub struct DatabaseWatch {
    file: DatabaseFile,
    database: Arc<Database>,
    /// What was read last, taken or not.
    read: Stamp,
    /// What was seen last: a file that still changes is not read yet.
    seen: Stamp,
    origin: String,
    counted: RoutingMetrics,
}

impl DatabaseWatch {
    /// Reads the file for the first time. Blocks, for as long as the file is long.
    ///
    /// # Errors
    /// [`DatabaseError`].
    pub fn open(
        file: DatabaseFile,
        counted: RoutingMetrics,
        now: Timestamp,
    ) -> Result<Self, DatabaseError> {
        let stamp = Stamp::of(&file.path);
        let database = file.read(now)?;
        counted.database(database.rows(), database.as_of());
        let database = Database {
            current: ArcSwap::from_pointee(database),
            operators: file.operators.clone(),
        };
        Ok(Self {
            file,
            database: Arc::new(database),
            read: stamp,
            seen: stamp,
            origin: String::new(),
            counted,
        })
    }

    pub(super) fn database(&self) -> Arc<Database> {
        Arc::clone(&self.database)
    }

    /// Looks at the file once, and reads it where it has changed and lies still. Called each second.
    /// What is in force is also said in each month's log.
    ///
    /// # Errors
    /// If the ledger takes nothing; then nothing changed.
    pub async fn tick(
        &mut self,
        ledger: &Ledger,
        metrics: &Metrics,
        clock: &SharedClock,
    ) -> Result<(), LedgerError> {
        let origin = ledger.origin();
        if origin != self.origin {
            record(ledger, &self.database.current.load_full(), String::new()).await?;
            self.origin = origin;
        }
        let stamp = Stamp::of(&self.file.path);
        let still = stamp == self.seen;
        self.seen = stamp;
        if stamp == self.read || !still {
            return Ok(());
        }
        let (file, now) = (self.file.clone(), clock.now());
        let reading = tokio::task::spawn_blocking(move || file.read(now));
        let read = match reading.await {
            Ok(read) => read,
            Err(panic) => {
                tracing::error!(%panic, "the reading of the portability database broke off");
                return Ok(());
            }
        };
        let old = self.database.current.load_full();
        match read.and_then(|new| self.not_older(new, &old)) {
            Ok(new) if new.sha256() == old.sha256() => {}
            Ok(new) => {
                record(ledger, &new, String::new()).await?;
                self.counted.database(new.rows(), new.as_of());
                let (rows, as_of) = (new.rows(), new.as_of());
                self.database.current.store(Arc::new(new));
                tracing::info!(rows, %as_of, "a new portability database is in force");
            }
            Err(error) => {
                record(ledger, &old, error.to_string()).await?;
                metrics.document_refused(KIND);
                tracing::error!(%error, "a portability database is refused; the old one stays");
            }
        }
        self.read = stamp;
        Ok(())
    }

    fn not_older(
        &self,
        new: PortabilityDatabase,
        old: &PortabilityDatabase,
    ) -> Result<PortabilityDatabase, DatabaseError> {
        if new.as_of() >= old.as_of() {
            return Ok(new);
        }
        Err(DatabaseError::Older {
            path: self.file.path.clone(),
            as_of: new.as_of(),
        })
    }
}

async fn record(
    ledger: &Ledger,
    database: &PortabilityDatabase,
    refused: String,
) -> Result<(), LedgerError> {
    let loaded = if refused.is_empty() {
        v1::DocumentLoaded {
            kind: KIND.to_owned(),
            id: database.as_of().to_string(),
            version: u64::try_from(database.as_of().as_second()).unwrap_or_default(),
            sha256: database.sha256().to_vec(),
            ..v1::DocumentLoaded::default()
        }
    } else {
        v1::DocumentLoaded {
            kind: KIND.to_owned(),
            refused,
            ..v1::DocumentLoaded::default()
        }
    };
    let event = v1::entry::Event::DocumentLoaded(loaded);
    record_entry(ledger, event).await.map(drop)
}
