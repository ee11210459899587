//! A PostgreSQL database of billing or customer care, as a source of `sim_swap`, `device_swap`,
//! `number_recycling` and `tenure`.
//!
//! ```text
//!   ask ─▶ pool ─▶ the operator's query, as a sub-query ─▶ subscriptions ─▶ observations
//!   NOTIFY, or a tick ─▶ page of changed numbers ─▶ each looked up the same way ─▶ pushed
//! ```
//!
//! The database is the one system that knows *when* a SIM was changed and *why*; so an instant
//! stays an instant, a date is its whole day, and a date that cannot be true is never believed:
//! its signal has no value, and the oddity is counted. Sessions are read-only, with timeouts on
//! both sides, and a role that could write is refused. Of what the database sends only the mapped
//! columns are read; no number and no value is logged.

mod answer;
mod cell;
mod check;
mod config;
mod connect;
mod fault;
mod news;
mod number;
mod page;
mod plan;
mod pool;
mod read;
mod state;
#[cfg(any(test, feature = "test-util"))]
pub mod testing;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use accord_proto::clock::SharedClock;
use accord_proto::msisdn::Msisdn;
use accord_proto::observation::{Change, Observation, Observed, SourceClass};
use accord_proto::reason::Reason;
use accord_proto::signal::Signal;
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout, timeout_at};

use self::answer::{Doubt, Line, NoLine};
pub use self::check::SqlConfigError;
pub use self::config::{
    BeginPolicy, BeginText, Holder, NumberForm, SqlChanges, SqlColumns, SqlConfig, SqlHistory,
    SqlNumber, SqlTls, WritableRole,
};
use self::connect::Connector;
pub use self::fault::SqlFault;
use self::news::News;
use self::{
    plan::{Column, Plan},
    pool::Pool,
    read::Looked,
    state::{Health, Use},
};
use crate::source::{ChangesOut, Observations, Source, SourceChange, SourceFuture, SourceState};

/// How often the database is looked after when nobody asks.
const PROBE_EVERY: Duration = Duration::from_secs(5);
/// What a probe looks up: nobody's.
const NO_NUMBER: &str = "0";

/// Why the source can't be used.
#[derive(Debug, thiserror::Error)]
pub enum SqlError {
    /// A key of the configuration breaks a rule.
    #[error("{0}")]
    Config(#[from] SqlConfigError),
    /// The bookmark can't be read. Removing it lets the changes be read anew.
    #[error("can't read the bookmark `{}`", path.display())]
    Bookmark {
        /// The file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
}

/// The source. Make it with [`SqlSource::open`] and run [`SqlSource::watch`] beside it.
#[derive(Debug)]
pub struct SqlSource {
    plan: Arc<Plan>,
    pool: Pool,
    health: Health,
    clock: SharedClock,
    news: Option<tokio::sync::Mutex<News>>,
    changes_out: ChangesOut,
}

impl SqlSource {
    /// Checks the configuration. The database need not be up.
    ///
    /// # Errors
    /// [`SqlError`]
    pub fn open(config: &SqlConfig, clock: SharedClock) -> Result<Self, SqlError> {
        let plan = Arc::new(Plan::new(config)?);
        let connector = Connector::new(Arc::clone(&plan));
        let pool = Pool::new(connector.clone(), config.connections, config.asks_max);
        let (changes, changes_out) = ChangesOut::channel();
        let news = match &config.changes {
            Some(section) => Some(tokio::sync::Mutex::new(News::open(
                section, connector, &plan, changes,
            )?)),
            None => None,
        };
        Ok(Self {
            changes_out: news.as_ref().map(|_| changes_out).unwrap_or_default(),
            plan,
            pool,
            health: Health::default(),
            clock,
            news,
        })
    }

    /// Looks after the database, and follows its changes, for ever.
    pub async fn watch(&self) {
        let follow = async {
            match &self.news {
                Some(news) => news.lock().await.follow(self).await,
                None => std::future::pending().await,
            }
        };
        let probe = async {
            let mut ticks = interval(PROBE_EVERY);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                ticks.tick().await;
                // What is wrong is in the state.
                let _ = self.probe().await;
            }
        };
        tokio::join!(follow, probe);
    }

    /// Looks whether the database answers, and connects if there is no connection.
    ///
    /// # Errors
    /// [`SqlFault`] names what is wrong.
    pub async fn probe(&self) -> Result<(), SqlFault> {
        let limit = self.plan.request_timeout;
        let looked = timeout(limit, async {
            // More than one idle connection may have ended.
            for _ in 0..=self.plan.config.connections {
                let lease = self.pool.lease().await?;
                let reused = lease.reused;
                let live = lease.live().ok_or(SqlFault::Gone)?;
                // Rights are looked at when a query runs, not when it is prepared.
                let answered = read::look_up(live, &*self.clock, NO_NUMBER).await;
                let looked = answered.and_then(|answered| read::read(&self.plan, &answered));
                lease.give_back();
                match looked {
                    Err(SqlFault::Gone) if reused => {}
                    looked => return looked.map(drop),
                }
            }
            Err(SqlFault::Gone)
        });
        self.noted(looked.await.unwrap_or(Err(SqlFault::Timeout)))
    }

    /// Looks whether it answers and whether its changes can be followed, before it is watched.
    ///
    /// # Errors
    /// [`SqlFault`] names what is wrong.
    pub async fn try_out(&self) -> Result<(), SqlFault> {
        self.probe().await?;
        let Some(news) = &self.news else {
            return Ok(());
        };
        let (limit, now) = (self.plan.request_timeout, self.clock.now());
        let tried = news.lock().await.try_out(limit, now).await;
        if let Err(fault) = &tried {
            self.health.ill(Use::Changes, fault, now);
        }
        tried
    }

    /// What is wrong with the database now, as far as is known.
    #[must_use]
    pub fn fault(&self) -> Option<SqlFault> {
        self.health.fault()
    }

    /// What looked wrong in the data so far: column, rule, how often.
    #[must_use]
    pub fn oddities(&self) -> Vec<(&'static str, &'static str, u64)> {
        self.health.oddities()
    }

    fn noted<T>(&self, done: Result<T, SqlFault>) -> Result<T, SqlFault> {
        match &done {
            Ok(_) => self.health.well(Use::Asks, self.clock.now()),
            Err(fault) if fault.passes() => self.health.odd("query", fault.name()),
            Err(fault) => self.health.ill(Use::Asks, fault, self.clock.now()),
        }
        done
    }

    async fn look_up(&self, number: &str, deadline: Instant) -> Result<Looked, SqlFault> {
        let deadline = deadline.min(Instant::now() + self.plan.request_timeout);
        let looked = timeout_at(deadline, async {
            for _ in 0..=self.plan.config.connections {
                let lease = self.pool.lease().await?;
                let reused = lease.reused;
                let live = lease.live().ok_or(SqlFault::Gone)?;
                let answered = read::look_up(live, &*self.clock, number).await;
                match answered {
                    // The server was restarted since; a new connection may do.
                    Err(SqlFault::Gone) if reused => drop(lease),
                    answered => {
                        lease.give_back();
                        return read::read(&self.plan, &answered?);
                    }
                }
            }
            Err(SqlFault::Gone)
        });
        self.noted(looked.await.unwrap_or(Err(SqlFault::Timeout)))
    }

    async fn ask(
        &self,
        msisdn: &Msisdn,
        signals: &[Signal],
        deadline: Instant,
    ) -> Result<Observations, Reason> {
        let number = self.plan.config.number.write(msisdn);
        // Of another country: this source can't even write it.
        let number = number.ok_or(Reason::UnknownNumber)?;
        let looked = self.look_up(&number, deadline).await;
        let looked = looked.map_err(|fault| fault.reason())?;
        Ok(self.answer(&looked, signals))
    }

    fn answer(&self, looked: &Looked, signals: &[Signal]) -> Observations {
        for column in &looked.unlisted {
            self.health
                .odd(column, "is not listed in the configuration");
        }
        let line = looked.observed_at.map_err(NoLine::Doubt);
        let line = line.and_then(|at| Line::of(&looked.periods, at, self.plan.clock_tolerance));
        match line {
            Ok(line) => {
                let of = |signal: &Signal| (*signal, self.observation(&line, *signal));
                Observations {
                    signals: signals.iter().map(of).collect(),
                    ..Observations::default()
                }
            }
            Err(NoLine::Reason(reason)) => Observations::all(signals, reason),
            Err(NoLine::Doubt(doubt)) => Observations::all(signals, self.doubted(doubt)),
        }
    }

    fn observation(&self, line: &Line<'_>, signal: Signal) -> Result<Observation, Reason> {
        if !self.plan.signals.contains(&signal) {
            return Err(Reason::NotAvailable);
        }
        let change: Result<Result<Change, Reason>, Doubt> = if signal == Signal::SimSwap {
            line.sim(self.plan.sim_history)
        } else if signal == Signal::DeviceSwap {
            let begins = self.plan.columns.contains(&Column::ActivatedAt);
            line.device(self.plan.device_history, begins)
        } else {
            line.holder()
        };
        Ok(Observation {
            what: Observed::Change(change.map_err(|doubt| self.doubted(doubt))??),
            observed_at: line.observed_at(),
            source: SourceClass::Billing,
        })
    }

    /// A date that nobody should believe is no value.
    fn doubted(&self, (column, absurd): Doubt) -> Reason {
        self.health.odd(column, absurd.rule());
        Reason::NotAvailable
    }
}

impl Source for SqlSource {
    fn signals(&self) -> &[Signal] {
        &self.plan.signals
    }

    fn observe<'a>(
        &'a self,
        msisdn: Msisdn,
        signals: &'a [Signal],
        deadline: Instant,
    ) -> SourceFuture<'a> {
        Box::pin(async move {
            let asked = self.ask(&msisdn, signals, deadline).await;
            asked.unwrap_or_else(|reason| Observations::all(signals, reason))
        })
    }

    fn state(&self) -> SourceState {
        self.health.state()
    }

    fn changes(&self) -> Option<mpsc::Receiver<SourceChange>> {
        self.changes_out.take()
    }
}
