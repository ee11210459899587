//! Attaches a source to its brokers and answers what they ask.
//!
//! ```text
//!            ┌─ endpoint (dial, backoff) ── link (one stream) ──▶ broker node 1
//!   Runtime ─┤                               │ ask ▶ answer ▶ journal ▶ reply
//!            └─ endpoint ─────────────────── link ──────────────▶ broker node 2
//!   shared by all links: source · journal · restrictions · changes
//! ```
//!
//! A link is one task. A source that answers at once is answered without another task or timer;
//! the replies of all asks that have arrived together are journaled with one write and leave
//! together. A source must therefore not compute for long in `observe`: it runs on the link's task.

mod answer;
mod attach;
mod changes;
mod changes_file;
mod credentials;
mod cursor;
mod endpoint;
mod link;
mod link_end;
mod pushed;
mod restrictions;
mod restrictions_file;
mod restrictions_source;
mod seen;

use std::{fmt, future::Future, path::PathBuf, sync::Arc, time::Duration};

use accord_proto::{clock::SharedClock, party::OrgName, wire::ID_LEN_MAX};
use tokio::{sync::watch, task::JoinSet};

pub use credentials::{Credentials, CredentialsError, TlsFiles, Validity};
pub use endpoint::BrokerEndpoint;
pub use restrictions::{RESTRICTIONS_MAX, Restriction, RestrictionHandle, RestrictionsError};
pub use restrictions_file::{RestrictionsFileError, check_restrictions};
pub use seen::{LinkState, RestrictionCounts, RuntimeWatch};

use crate::{
    journal::{Event, Journal, JournalError, JournalSettings},
    source::{SignalSets, Source},
};

/// Credit where the configuration names none.
pub const CREDIT_DEFAULT: u32 = 1_024;
/// The most asks that may be in flight on one link.
pub const CREDIT_MAX: u32 = 65_536;
/// The most brokers that one adapter attaches to.
pub const BROKERS_MAX: usize = 32;
/// At stop, asks in flight are answered for at most this long.
pub const DRAIN_MAX: Duration = Duration::from_secs(5);

/// What `Hello` says of this program.
pub const SOFTWARE: &str = concat!("accord-adapter/", env!("CARGO_PKG_VERSION"));

/// How an adapter runs.
#[derive(Debug)]
pub struct RuntimeConfig {
    /// The operator.
    pub operator: OrgName,
    /// Name of this adapter instance, unique within the operator, 1 to 64 bytes.
    pub instance: String,
    /// Asks that may be in flight on one link, 1 to [`CREDIT_MAX`].
    pub credit: u32,
    /// The broker nodes, 1 to [`BROKERS_MAX`].
    pub brokers: Vec<BrokerEndpoint>,
    /// The journal.
    pub journal: JournalSettings,
    /// A file of opt-outs, locks and kill switches, looked at twice a second.
    pub restrictions_file: Option<PathBuf>,
}

/// Why an adapter can't start or had to stop.
#[derive(Debug, thiserror::Error)]
pub enum RuntimeError {
    /// A setting is out of its limits.
    #[error("{key}: {rule}")]
    Setting {
        /// The setting.
        key: &'static str,
        /// Its rule.
        rule: &'static str,
    },
    /// The journal can't be opened, or failed.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The restrictions file is wrong at start.
    #[error(transparent)]
    Restrictions(#[from] RestrictionsFileError),
    /// A task of the runtime died.
    #[error("a task of the adapter died")]
    Task,
}

/// An adapter, ready to run.
pub struct Runtime {
    shared: Arc<Shared>,
    brokers: Vec<BrokerEndpoint>,
    restrictions_file: Option<restrictions_file::Watcher>,
}

/// What all links of one adapter share.
struct Shared {
    operator: OrgName,
    instance: String,
    credit: u32,
    source: Arc<dyn Source>,
    journal: Arc<Journal>,
    restrictions: restrictions::Restrictions,
    changes: changes::ChangeLog,
    sets: SignalSets,
    links: seen::Links,
    /// How many brokers it is attached to.
    attached: watch::Sender<usize>,
    /// What the source says of opt-outs and locks is in force: links may begin.
    restrictions_known: watch::Sender<bool>,
}

impl Runtime {
    /// Checks the settings, opens the journal, and reads the restrictions file.
    ///
    /// # Errors
    /// [`RuntimeError`].
    pub fn new(
        config: RuntimeConfig,
        source: Arc<dyn Source>,
        clock: SharedClock,
    ) -> Result<Self, RuntimeError> {
        check_settings(&config.instance, config.credit, config.brokers.len())?;
        let dir = config.journal.dir.clone();
        let journal = Arc::new(Journal::open(config.journal, clock.clone())?);
        let uris = config.brokers.iter().map(|broker| broker.uri.as_str());
        let links = seen::Links::new(uris, clock.clone());
        let changes = changes::ChangeLog::open(&dir, clock)?;
        journal.append(&Event::Start {
            software: SOFTWARE,
            instance: &config.instance,
        })?;
        journal.write_out()?;
        let restrictions = restrictions::Restrictions::new(Arc::clone(&journal));
        let sets = SignalSets::new(source.signals());
        let shared = Arc::new(Shared {
            operator: config.operator.clone(),
            instance: config.instance,
            credit: config.credit,
            changes,
            source,
            journal,
            restrictions,
            sets,
            links,
            attached: watch::Sender::new(0),
            restrictions_known: watch::Sender::new(false),
        });
        let mut runtime = Self {
            shared,
            brokers: config.brokers,
            restrictions_file: None,
        };
        if let Some(path) = config.restrictions_file {
            let mut watcher = restrictions_file::Watcher::new(path, runtime.restrictions());
            watcher.load()?;
            runtime.restrictions_file = Some(watcher);
        }
        tracing::info!(
            operator = %config.operator,
            instance = runtime.shared.instance,
            brokers = runtime.brokers.len(),
            journal_size = runtime.shared.journal.head().size,
            "adapter ready"
        );
        Ok(runtime)
    }

    /// Imposes and lifts restrictions while the adapter runs.
    #[must_use]
    pub fn restrictions(&self) -> RestrictionHandle {
        RestrictionHandle::new(Arc::clone(&self.shared))
    }

    /// Looks at the adapter while it runs.
    #[must_use]
    pub fn watch(&self) -> RuntimeWatch {
        RuntimeWatch::new(Arc::clone(&self.shared))
    }

    /// How many brokers the adapter is attached to, now and whenever it changes.
    #[must_use]
    pub fn attached(&self) -> watch::Receiver<usize> {
        self.shared.attached.subscribe()
    }

    /// The journal's size and head.
    #[must_use]
    pub fn journal_head(&self) -> crate::journal::Head {
        self.shared.journal.head()
    }

    /// Attaches to every broker and serves until `shutdown` completes; then answers what is in
    /// flight, for at most [`DRAIN_MAX`], and signs the journal.
    ///
    /// # Errors
    /// If the journal fails: without it nothing may be answered.
    pub async fn run(self, shutdown: impl Future<Output = ()>) -> Result<(), RuntimeError> {
        let (stop, stopping) = watch::channel(false);
        let mut tasks = JoinSet::new();
        for broker in self.brokers {
            let shared = Arc::clone(&self.shared);
            tasks.spawn(endpoint::keep_attached(shared, broker, stopping.clone()));
        }
        if let Some(watcher) = self.restrictions_file {
            tasks.spawn(watcher.run(stopping.clone()));
        }
        let known = self.shared.restrictions_known.clone();
        if let Some(told) = self.shared.source.restrictions() {
            let follower =
                restrictions_source::Follower::new(Arc::clone(&self.shared), told, known);
            tasks.spawn(follower.run(stopping.clone()));
        } else {
            known.send_replace(true);
        }
        if let Some(changes) = self.shared.source.changes() {
            let shared = Arc::clone(&self.shared);
            tasks.spawn(changes::pump(shared, changes, stopping.clone()));
        }
        tokio::pin!(shutdown);
        let mut outcome = Ok(());
        loop {
            tokio::select! {
                () = &mut shutdown, if !*stop.borrow() => {
                    tracing::info!("adapter stops");
                    stop.send_replace(true);
                }
                task = tasks.join_next() => match task {
                    None => break,
                    Some(Ok(Ok(()))) => {}
                    Some(Ok(Err(error))) => {
                        outcome = outcome.and(Err(error));
                        stop.send_replace(true);
                    }
                    Some(Err(_)) => {
                        outcome = outcome.and(Err(RuntimeError::Task));
                        stop.send_replace(true);
                    }
                },
            }
        }
        outcome?;
        self.shared.journal.append(&Event::Stop {})?;
        self.shared.journal.write_out()?;
        Ok(())
    }
}

impl fmt::Debug for Runtime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Runtime")
            .field("instance", &self.shared.instance)
            .field("brokers", &self.brokers)
            .finish_non_exhaustive()
    }
}

/// What of a configuration must be within limits, whoever made it.
///
/// # Errors
/// [`RuntimeError::Setting`].
pub(crate) fn check_settings(
    instance: &str,
    credit: u32,
    brokers: usize,
) -> Result<(), RuntimeError> {
    let setting = |key, rule| Err(RuntimeError::Setting { key, rule });
    let printable = instance.chars().all(|c| c.is_ascii_graphic());
    if instance.is_empty() || instance.len() > ID_LEN_MAX || !printable {
        return setting(
            "instance",
            "1 to 64 printable ASCII characters without spaces",
        );
    }
    if credit == 0 || credit > CREDIT_MAX {
        return setting("credit", "1 to 65536 asks");
    }
    if brokers == 0 || brokers > BROKERS_MAX {
        return setting("broker", "1 to 32 brokers");
    }
    Ok(())
}
