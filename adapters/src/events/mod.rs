//! A stream of an operator's events, as a source of `sim_swap`, `device_swap`, `call_forwarding`,
//! `number_recycling`, `tenure` and `signalling_anomaly`.
//!
//! ```text
//!   JetStream ─▶ pull, in order ─┐
//!                                ├─▶ envelope ─▶ registers ─▶ journal, synced ─▶ acknowledged
//!   webhook ───▶ signature ──────┘                                  └──────────▶ pushed
//! ```
//!
//! At least once, twice and late is the rule: registers keep the newest of each fact by the event's
//! own time (`line.rs`), so neither order nor duplicates matter, and nothing is acknowledged before
//! it is on the disk. A number of which nothing was told counts as unchanged since the watch began;
//! so whatever may have been lost (a message that can't be read, a stream that was made anew or has
//! dropped messages, a silent producer) begins the watch again. A producer that is silent is not
//! fresh: only its own events and heartbeats move `observed_at` of what it carries.

mod answer;
mod config;
pub mod envelope;
mod line;
mod loss;
mod nats;
mod producers;
mod reader;
mod store;
mod take;
#[cfg(any(test, feature = "test-util"))]
pub mod testing;
mod watch;
pub mod webhook;

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};

use accord_proto::{clock::SharedClock, msisdn::Msisdn, reason::Reason, signal::Signal};
use jiff::{SignedDuration, Timestamp};
use tokio::{
    sync::{mpsc, watch as tokio_watch},
    time::Instant,
};

use self::answer::Known;
pub use self::config::{Carried, EventsConfig, EventsConfigError, NatsSection, WebhookSection};
use self::loss::Losses;
use self::producers::Producers;
use self::reader::Reader;
pub use self::store::StoreError;
use self::store::{Keyed, Store};
pub(crate) use self::take::{Fresh, TakeError};
use self::watch::{Pace, Watch, micros};
use crate::source::{
    ChangesOut, Condition, Observations, Source, SourceChange, SourceFuture, SourceState, StateCell,
};

/// Why the source can't be opened.
#[derive(Debug, thiserror::Error)]
pub enum EventsError {
    /// A key of the configuration breaks a rule.
    #[error("{0}")]
    Config(#[from] EventsConfigError),
    /// The journal.
    #[error("the journal of events can't be used")]
    Store(#[from] StoreError),
}

/// The source. Make it with [`EventSource::open`] and run [`EventSource::watch`] beside it.
#[derive(Debug)]
pub struct EventSource {
    config: EventsConfig,
    earliest: Timestamp,
    pace: Pace,
    store: Arc<Store>,
    /// Of a stream of NATS.
    reader: Reader,
    signals: Vec<Signal>,
    clock: SharedClock,
    state: StateCell,
    losses: Losses,
    changes: mpsc::Sender<SourceChange>,
    changes_out: ChangesOut,
    listening: tokio_watch::Sender<Option<SocketAddr>>,
    /// The time of the stream's newest message, where the source is only tried.
    newest_tried: OnceLock<line::Micros>,
}

impl EventSource {
    /// Opens the journal. Nothing else need be up.
    ///
    /// # Errors
    /// [`EventsError`]
    pub fn open(config: &EventsConfig, clock: SharedClock) -> Result<Self, EventsError> {
        config.check()?;
        let millis = |ms: u64| {
            micros(SignedDuration::from_millis(
                i64::try_from(ms).unwrap_or(i64::MAX),
            ))
        };
        let store = Store::open(
            &config.journal_dir,
            &config.journal_key_file,
            config.subscribers_max,
            Producers::new(&config.producers),
        )?;
        let reader = Reader::load_or_make(&config.journal_dir)?;
        let (changes, changes_out) = ChangesOut::channel();
        Ok(Self {
            reader,
            pace: Pace {
                lateness: millis(config.lateness_ms),
                gap_max: millis(config.gap_max_ms),
            },
            store: Arc::new(store),
            earliest: config.earliest()?,
            signals: config.signals(),
            config: config.clone(),
            clock,
            state: StateCell::default(),
            losses: Losses::default(),
            changes,
            changes_out,
            listening: tokio_watch::Sender::new(None),
            newest_tried: OnceLock::new(),
        })
    }

    /// Takes events for ever; one that is only tried takes none.
    pub async fn watch(&self) {
        if self.config.apart {
            return std::future::pending().await;
        }
        let stream = async {
            match &self.config.nats {
                Some(section) => nats::follow(self, section).await,
                None => std::future::pending().await,
            }
        };
        let webhook = async {
            match &self.config.webhook {
                Some(section) => webhook::serve(self, section).await,
                None => std::future::pending().await,
            }
        };
        tokio::join!(stream, webhook);
    }

    /// Tries what it takes events from, and takes none: what was found is its state. For a source
    /// that stands apart from the one that runs; of another it says nothing.
    pub async fn try_out(&self) {
        if !self.config.apart {
            return;
        }
        // A fault of the stream stands before one of the webhook.
        if let Some(section) = &self.config.webhook {
            webhook::try_out(self, section);
        }
        if let Some(section) = &self.config.nats {
            nats::try_out(self, section).await;
        }
    }

    /// Where the webhook's server listens, once it does.
    #[must_use]
    pub fn listening(&self) -> tokio_watch::Receiver<Option<SocketAddr>> {
        self.listening.subscribe()
    }

    /// What is known of a number, for each signal.
    fn known(&self, of: &Keyed) -> impl Fn(Signal) -> Known + use<> {
        let read = |all: &Producers| Carried::ALL.map(|carried| (carried, all.watch(carried)));
        let (line, watches) = self.store.known(of, read);
        let (pace, now) = (self.pace, self.clock.now().as_microsecond());
        move |signal| {
            let of = watches
                .iter()
                .find(|(of, _)| Some(*of) == Carried::of(signal));
            Known {
                line,
                watch: of.map_or_else(Watch::default, |(_, watch)| *watch),
                pace,
                now,
            }
        }
    }

    /// A transport does not work.
    pub(crate) fn ill(&self, condition: Condition, why: String) {
        if self.state.set(condition, why.clone(), self.clock.now()) {
            tracing::warn!(state = condition.name(), why, "no events");
        }
    }

    /// What was tried works; the newest message of the stream, if it is one, is of this time.
    fn tried(&self, newest: Option<line::Micros>) {
        if let Some(newest) = newest {
            // It is tried once.
            let _ = self.newest_tried.set(newest);
        }
        if self.state.get().condition == Condition::Starting {
            self.well();
        }
    }

    /// When the most silent producer was heard last, as far as that is known; of a source that stands
    /// apart, when the server heard one.
    fn heard(&self, of_journal: line::Micros) -> Option<Timestamp> {
        let heard = if self.config.apart {
            let tried = self.newest_tried.get().copied();
            tried.or_else(|| (of_journal > 0).then_some(of_journal))?
        } else {
            of_journal
        };
        Timestamp::from_microsecond(heard).ok()
    }

    /// A transport works.
    pub(crate) fn well(&self) {
        if self.state.set(Condition::Up, "", self.clock.now()) {
            tracing::info!("events can come");
        }
    }
}

impl Source for EventSource {
    fn signals(&self) -> &[Signal] {
        &self.signals
    }

    fn observe<'a>(
        &'a self,
        msisdn: Msisdn,
        signals: &'a [Signal],
        _: Instant,
    ) -> SourceFuture<'a> {
        let known = self.known(&self.store.keyed(msisdn));
        let of = |signal: &Signal| {
            let said = if self.signals.contains(signal) {
                known(*signal).observation(*signal)
            } else {
                Err(Reason::NotAvailable)
            };
            (*signal, said)
        };
        let told = Observations {
            signals: signals.iter().map(of).collect(),
            ..Observations::default()
        };
        Box::pin(std::future::ready(told))
    }

    fn state(&self) -> SourceState {
        let mut state = self.state.get();
        let (silent, newest, unwatched) = self.store.producers(|all| {
            let (name, newest) = all.most_silent();
            let unwatched = all.unwatched().map(str::to_owned);
            (name.to_owned(), newest, unwatched)
        });
        let observed_to = newest.saturating_sub(self.pace.lateness);
        let observed_to = Timestamp::from_microsecond(observed_to).ok();
        state.observed_to = observed_to.filter(|at| *at > Timestamp::UNIX_EPOCH);
        let heard = self.heard(newest);
        let now = self.clock.now();
        let silence = heard.map(|heard| now.duration_since(heard).as_millis());
        let patience = i128::from(self.config.heartbeat_max_ms);
        if state.condition == Condition::Up && silence.is_some_and(|silence| silence > patience) {
            state.condition = Condition::Behind;
            state.why = format!(
                "no event and no heartbeat for longer than `heartbeat_max_ms` of the producer `{silent}`"
            )
            .into();
        }
        self.losses.tell(&mut state, unwatched.as_deref(), now);
        state
    }

    fn changes(&self) -> Option<mpsc::Receiver<SourceChange>> {
        self.changes_out.take()
    }
}
