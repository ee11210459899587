//! Files that an operator's or a regulator's SFTP server offers, copied into a directory of the
//! adapter's own, from where a source reads them as it reads any file that was dropped there.
//!
//! ```text
//!   sftp://…/outgoing ──▶ spool/.name.part ── whole and unchanged? ──▶ spool/name ──▶ source
//! ```
//!
//! A file is there whole or not at all: what breaks off is thrown away and fetched again from its
//! beginning, and a file that changed while it was fetched is not taken. Markers and checksums come
//! after what they are about, and each keeps the time that it has on the server. Nothing is ever
//! written there.

mod config;
mod mirror;
mod session;
#[cfg(any(test, feature = "test-util"))]
pub mod testing;

use std::{path::PathBuf, sync::Arc, time::Duration};

use accord_proto::clock::SharedClock;
use jiff::Timestamp;
use tokio::time::{MissedTickBehavior, interval, timeout};

pub use config::{FilesConfigError, SftpConfig, SftpConfigError};
pub use mirror::Fetched;
pub use session::SftpError;

use crate::source::{Condition, SourceState, StateCell, words};
use mirror::Mirror;

/// What a name stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// What a source reads, and the time that its name tells. Where names tell none it is the same for
    /// all, and the one written last is the newest.
    Content(Timestamp),
    /// A marker or checksum, which says something about content and so is fetched after it.
    About,
}

/// Which names are fetched, and what they stand for.
pub type Wanted = Box<dyn Fn(&str) -> Option<Role> + Send + Sync>;

/// A server's files, copied.
pub struct FileDrop {
    mirror: Mirror,
    config: SftpConfig,
    clock: SharedClock,
    state: StateCell,
}

impl std::fmt::Debug for FileDrop {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FileDrop")
            .field("host", &self.config.host)
            .finish_non_exhaustive()
    }
}

impl FileDrop {
    /// Checks the configuration, and reads the credentials. Nobody is called yet.
    ///
    /// # Errors
    /// [`SftpConfigError`] names the key.
    pub fn open(
        config: SftpConfig,
        spool: PathBuf,
        wanted: Wanted,
        clock: SharedClock,
    ) -> Result<Self, SftpConfigError> {
        let server = config.server()?;
        Ok(Self {
            mirror: Mirror::new(server, &config, spool, wanted),
            config,
            clock,
            state: StateCell::default(),
        })
    }

    /// Removes from the spool what the server does not offer any more: for a source that needs no
    /// older file than those.
    #[must_use]
    pub const fn clearing(mut self) -> Self {
        self.mirror.clears = true;
        self
    }

    /// How the server is.
    #[must_use]
    pub const fn state(&self) -> &StateCell {
        &self.state
    }

    /// Fetches what is new, once.
    ///
    /// # Errors
    /// [`SftpError`]: what was fetched whole before stays.
    pub async fn fetch(&self) -> Result<Fetched, SftpError> {
        let most = Duration::from_secs(u64::from(self.config.round_seconds_max));
        let fetched = timeout(most, self.mirror.fetch(self.clock.now())).await;
        let fetched = fetched.unwrap_or(Err(SftpError::Timeout));
        let (condition, why) = match &fetched {
            Ok(_) => (Condition::Up, String::new()),
            Err(error) => (error.condition(), words(error)),
        };
        self.state.set(condition, why, self.clock.now());
        fetched
    }

    /// Of which only the newest comes: has one more come with the next round. False: it comes all, or
    /// nothing older is worth it.
    pub(crate) fn reach_further(&self) -> bool {
        self.mirror.reach_further()
    }

    /// Fetches for ever, beginning now. What is wrong is logged once, until it is something else.
    pub async fn watch(&self) {
        let mut ticks = interval(Duration::from_millis(u64::from(self.config.every_ms)));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut last = String::new();
        loop {
            ticks.tick().await;
            let error = match self.fetch().await {
                Ok(fetched) => {
                    if fetched.files > 0 {
                        let Fetched { files, bytes } = fetched;
                        tracing::info!(files, bytes, "fetched files");
                    }
                    String::new()
                }
                Err(error) => words(&error),
            };
            if !error.is_empty() && error != last {
                tracing::error!(error, host = self.config.host, "can't fetch files");
            }
            last = error;
        }
    }
}

/// How a source is whose files may come from a server: where they don't come any more, what lies here gets old.
pub(crate) fn state(own: SourceState, server: Option<&Arc<FileDrop>>) -> SourceState {
    match server.map(|server| server.state().get()) {
        Some(server) if !matches!(server.condition, Condition::Up | Condition::Starting) => {
            let condition = match own.observed_to {
                Some(_) => Condition::Behind,
                None => server.condition,
            };
            let observed_to = own.observed_to;
            SourceState {
                condition,
                observed_to,
                ..server
            }
        }
        Some(_) | None => own,
    }
}
