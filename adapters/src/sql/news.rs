//! Follows the changes of the database and pushes what each changed number is now.
//!
//! A notification only wakes: what it says is not read, and one that is lost costs no more than
//! the time until the next look. Transactions commit in another order than their times; so each
//! look without a wake goes back by `overlap` and takes what it has not seen. The bookmark is a time and
//! nothing else; after a restart the overlap is pushed once more, which also covers what was on
//! its way into the adapter's own log when the process died.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use accord_proto::{msisdn::Msisdn, reason::Reason, signal::Signal};
use jiff::{SignedDuration, Timestamp};
use tokio::sync::{Notify, mpsc};
use tokio::time::{Instant, sleep_until, timeout};
use tokio_postgres::Statement;

use super::check::{SqlConfigError, identifier};
use super::config::SqlChanges;
use super::connect::{Connector, Live};
use super::fault::SqlFault;
use super::page::{self, Page, Place};
use super::plan::Plan;
use super::state::Use;
use super::{SqlError, SqlSource, read};
use crate::disk;
use crate::source::{Observations, SourceChange};

/// Changes that are remembered to have been pushed. With more, some are pushed twice.
const SEEN_MAX: usize = 100_000;
const PAUSE_MIN: Duration = Duration::from_millis(100);
const PAUSE_MAX: Duration = Duration::from_secs(5);
/// The name of the session in `pg_stat_activity`.
const APPLICATION: &str = "accord-adapter changes";

/// Follows the changes.
#[derive(Debug)]
pub(super) struct News {
    connector: Connector,
    page_sql: String,
    listen: Option<String>,
    poll_every: Duration,
    overlap: SignedDuration,
    look_back: SignedDuration,
    bookmark_file: PathBuf,
    saved: Option<Timestamp>,
    /// The newest change that was read.
    newest: Option<Place>,
    seen: HashSet<Place>,
    /// The change whose number could not be looked up the last time.
    stuck: Option<Place>,
    changes: mpsc::Sender<SourceChange>,
}

/// One connection that follows.
struct Following {
    live: Live,
    page: Statement,
    woken: Arc<Notify>,
}

impl News {
    pub(super) fn open(
        section: &SqlChanges,
        connector: Connector,
        plan: &Plan,
        changes: mpsc::Sender<SourceChange>,
    ) -> Result<Self, SqlError> {
        let channel = section.channel.as_deref();
        let listen = channel
            .map(|name| identifier("changes.channel", name))
            .transpose()?
            .map(|name| format!("listen {name}"));
        let millis = |ms: u64| SignedDuration::from_millis(i64::try_from(ms).unwrap_or(i64::MAX));
        let overlap = millis(section.overlap_ms);
        if overlap < plan.clock_tolerance {
            return Err(SqlError::Config(SqlConfigError {
                key: "changes.overlap_ms",
                rule: "is not below `clock_tolerance_ms`".to_owned(),
            }));
        }
        let saved = load(&section.bookmark_file)?;
        Ok(Self {
            connector,
            page_sql: page::sql(section)?,
            listen,
            poll_every: Duration::from_millis(section.poll_ms),
            overlap,
            look_back: SignedDuration::from_hours(i64::from(section.look_back_hours)),
            newest: saved.map(Place::before),
            saved,
            bookmark_file: section.bookmark_file.clone(),
            seen: HashSet::new(),
            stuck: None,
            changes,
        })
    }

    /// Connects as [`Self::follow`] does, and reads one page.
    /// It is an empty one: rights are looked at all the same.
    pub(super) async fn try_out(&self, limit: Duration, now: Timestamp) -> Result<(), SqlFault> {
        let tried = timeout(limit, async {
            let Following { live, page, .. } = self.connect().await?;
            let start = Place::before(now);
            page::read(&live.client, &page, &start).await.map(drop)
        });
        tried.await.unwrap_or(Err(SqlFault::Timeout))
    }

    /// Follows for ever; connects again when the connection ends.
    pub(super) async fn follow(&mut self, source: &SqlSource) {
        let mut pause = PAUSE_MIN;
        loop {
            let began = Instant::now();
            let ended = self.follow_once(source).await;
            source.health.ill(Use::Changes, &ended, source.clock.now());
            pause = if began.elapsed() > PAUSE_MAX {
                PAUSE_MIN
            } else {
                (pause * 2).min(PAUSE_MAX)
            };
            sleep_until(Instant::now() + pause).await;
        }
    }

    /// Follows over one connection, until it fails.
    async fn follow_once(&mut self, source: &SqlSource) -> SqlFault {
        let limit = source.plan.request_timeout;
        let connected = timeout(limit, self.connect()).await;
        let following = match connected.unwrap_or(Err(SqlFault::Timeout)) {
            Ok(following) => following,
            Err(fault) => return fault,
        };
        let mut back = true;
        loop {
            if let Err(fault) = self.look(source, &following, back).await {
                return fault;
            }
            source.health.well(Use::Changes, source.clock.now());
            if following.live.client.is_closed() {
                return SqlFault::Gone;
            }
            // A wake looks only for what is newer; a tick goes back for what committed late.
            let woken = timeout(self.poll_every, following.woken.notified()).await;
            back = woken.is_err();
        }
    }

    async fn connect(&self) -> Result<Following, SqlFault> {
        let woken = Arc::new(Notify::new());
        let connected = self
            .connector
            .connect(APPLICATION, Some(Arc::clone(&woken)));
        let live = connected.await?;
        let page = live.client.prepare(&self.page_sql).await?;
        page::check_types(&page)?;
        if let Some(listen) = &self.listen {
            if live.replayed.is_some() {
                // A standby can't listen; the ticks remain.
                tracing::warn!("the server is a standby, which notifies of nothing");
            } else {
                live.client.batch_execute(listen).await?;
            }
        }
        Ok(Following { live, page, woken })
    }

    /// Reads all pages there are.
    async fn look(
        &mut self,
        source: &SqlSource,
        following: &Following,
        back: bool,
    ) -> Result<(), SqlFault> {
        let limit = source.plan.request_timeout;
        let start = source.clock.now().checked_sub(self.look_back);
        let start = Place::before(start.unwrap_or(Timestamp::MIN));
        let newest = self.newest.clone().unwrap_or(start);
        let mut place = if back {
            let from = newest.at.checked_sub(self.overlap);
            Place::before(from.unwrap_or(Timestamp::MIN))
        } else {
            newest
        };
        loop {
            let read = page::read(&following.live.client, &following.page, &place);
            let page = timeout(limit, read)
                .await
                .map_err(|_| SqlFault::Timeout)??;
            self.tell(source, following, &page).await?;
            let Some(last) = page.rows.last() else {
                break;
            };
            place = last.place.clone();
            if self.newest.as_ref().is_none_or(|newest| *newest < place) {
                self.newest = Some(place.clone());
            }
            if !page.full {
                break;
            }
        }
        self.remember();
        Ok(())
    }

    /// Looks up each number of a page that was not seen yet, and pushes what is known of it.
    async fn tell(
        &mut self,
        source: &SqlSource,
        following: &Following,
        page: &Page,
    ) -> Result<(), SqlFault> {
        let limit = source.plan.request_timeout;
        let mut told = HashSet::new();
        for row in &page.rows {
            if self.seen.contains(&row.place) {
                continue;
            }
            let number = row.number.as_deref();
            let msisdn = number.and_then(|text| source.plan.config.number.read(text));
            let Some(msisdn) = msisdn else {
                source
                    .health
                    .odd("changes.msisdn", "is no number of the form configured");
                self.seen.insert(row.place.clone());
                continue;
            };
            if told.insert(msisdn)
                && let Some(number) = source.plan.config.number.write(&msisdn)
            {
                let (live, plan) = (&following.live, &source.plan);
                let looking = read::look_up(live, &*source.clock, &number);
                let answered = timeout(limit, looking).await;
                let answered = answered.unwrap_or(Err(SqlFault::Timeout));
                match answered.and_then(|answered| read::read(plan, &answered)) {
                    Ok(looked) => {
                        let told = source.answer(&looked, &plan.signals);
                        for change in changes(msisdn, told) {
                            // The bookmark stays behind what the runtime has room for.
                            if self.changes.send(change).await.is_err() {
                                return Ok(());
                            }
                        }
                    }
                    // One number that always fails must not hold up all others.
                    Err(fault) if fault.passes() || self.stuck.as_ref() == Some(&row.place) => {
                        source
                            .health
                            .odd("changes.msisdn", "could not be looked up twice");
                        for signal in &plan.signals {
                            let change = SourceChange::withdrawal(msisdn, *signal);
                            if self.changes.send(change).await.is_err() {
                                return Ok(());
                            }
                        }
                    }
                    Err(fault) => {
                        self.stuck = Some(row.place.clone());
                        return Err(fault);
                    }
                }
            }
            self.seen.insert(row.place.clone());
        }
        Ok(())
    }

    /// Forgets what no look will meet again, and writes the bookmark.
    fn remember(&mut self) {
        let Some(newest) = &self.newest else {
            return;
        };
        let from = newest.at.checked_sub(self.overlap);
        let from = from.unwrap_or(Timestamp::MIN);
        self.seen.retain(|place| place.at >= from);
        if self.seen.len() > SEEN_MAX {
            self.seen.clear();
        }
        if self.saved == Some(newest.at) {
            return;
        }
        let text = format!("{}\n", newest.at);
        match disk::replace_soon(&self.bookmark_file, text.as_bytes()) {
            Ok(()) => self.saved = Some(newest.at),
            Err(error) => tracing::warn!(
                error = &error as &dyn std::error::Error,
                "can't write the bookmark"
            ),
        }
    }
}

/// What is pushed of a number whose row changed. Where nothing can be told now, what was said before is
/// taken back. Of a number that nobody has any more, or that left, nothing that was said holds: of no
/// signal, since other sources of this operator know the others.
fn changes(msisdn: Msisdn, told: Observations) -> Vec<SourceChange> {
    let gone = |(_, said): &(Signal, Result<_, Reason>)| {
        matches!(said, Err(Reason::NotOurs | Reason::UnknownNumber))
    };
    if told.signals.iter().any(gone) {
        let all = Signal::ALL.iter();
        return all
            .map(|signal| SourceChange::withdrawal(msisdn, *signal))
            .collect();
    }
    let change = |(signal, said)| match said {
        Ok(observation) => SourceChange::told(msisdn, signal, observation),
        Err(_) => SourceChange::withdrawal(msisdn, signal),
    };
    told.signals.into_iter().map(change).collect()
}

/// The bookmark. One that can't be understood is none: changes are then read from further back.
fn load(path: &Path) -> Result<Option<Timestamp>, SqlError> {
    match std::fs::read_to_string(path) {
        Ok(text) => {
            let at = text.trim().parse().ok();
            if at.is_none() {
                tracing::warn!("the bookmark is no time; changes are read anew");
            }
            Ok(at)
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(SqlError::Bookmark {
            path: path.to_owned(),
            source,
        }),
    }
}
