//! The connections for asks: a few, made when they are needed, given back when they are whole.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::Instant;

use super::connect::{Connector, Live};
use super::fault::SqlFault;

/// The first pause after a failure to connect; it doubles up to the longest.
const PAUSE_MIN: Duration = Duration::from_millis(100);
const PAUSE_MAX: Duration = Duration::from_secs(5);
/// The name of the sessions in `pg_stat_activity`.
const APPLICATION: &str = "accord-adapter";

/// The pool.
#[derive(Debug)]
pub(super) struct Pool {
    connector: Connector,
    idle: Mutex<Vec<Live>>,
    /// As many as there may be connections.
    permits: Semaphore,
    /// As many as may wait for one.
    asks: Semaphore,
    failing: Mutex<Option<Failing>>,
}

#[derive(Debug)]
struct Failing {
    until: Instant,
    pause: Duration,
    fault: SqlFault,
}

/// A connection that is in use.
#[derive(Debug)]
pub(super) struct Lease<'a> {
    pool: &'a Pool,
    live: Option<Live>,
    /// It was idle before, so the server may have closed it since.
    pub(super) reused: bool,
    _ask: SemaphorePermit<'a>,
    _permit: SemaphorePermit<'a>,
}

impl Pool {
    pub(super) fn new(connector: Connector, connections: usize, asks_max: usize) -> Self {
        Self {
            connector,
            idle: Mutex::new(Vec::with_capacity(connections)),
            permits: Semaphore::new(connections),
            asks: Semaphore::new(asks_max),
            failing: Mutex::new(None),
        }
    }

    /// Waits for a connection. While connecting fails, only one ask in a while tries; the others
    /// are told at once. The caller bounds the time.
    ///
    /// # Errors
    /// [`SqlFault`]
    pub(super) async fn lease(&self) -> Result<Lease<'_>, SqlFault> {
        let ask = self.asks.try_acquire().map_err(|_| SqlFault::Overloaded)?;
        let permit = self.permits.acquire().await.map_err(|_| SqlFault::Gone)?;
        let idle = loop {
            match self.take() {
                Some(live) if live.client.is_closed() => {}
                found => break found,
            }
        };
        let reused = idle.is_some();
        let live = match idle {
            Some(live) => live,
            // Rare and large: in a box, it is not carried along by each question.
            None => Box::pin(self.connect()).await?,
        };
        Ok(Lease {
            pool: self,
            live: Some(live),
            reused,
            _ask: ask,
            _permit: permit,
        })
    }

    fn take(&self) -> Option<Live> {
        self.idle
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pop()
    }

    async fn connect(&self) -> Result<Live, SqlFault> {
        let pause = {
            let mut failing = self.failing.lock().unwrap_or_else(PoisonError::into_inner);
            match failing.as_mut() {
                Some(now) if Instant::now() < now.until => return Err(now.fault.clone()),
                Some(before) => {
                    // The others wait for what becomes of this one, even if it never ends.
                    before.until = Instant::now() + before.pause;
                    (before.pause * 2).min(PAUSE_MAX)
                }
                None => PAUSE_MIN,
            }
        };
        let connecting = Connecting { pool: self, pause };
        let connected = self.connector.connect(APPLICATION, None).await;
        connecting.ended(connected.as_ref().err());
        connected
    }

    fn failed(&self, pause: Duration, fault: SqlFault) {
        let until = Instant::now() + pause;
        let failing = Failing {
            until,
            pause,
            fault,
        };
        *self.failing.lock().unwrap_or_else(PoisonError::into_inner) = Some(failing);
    }
}

/// An attempt to connect, which counts as failed if it is given up.
struct Connecting<'a> {
    pool: &'a Pool,
    pause: Duration,
}

impl Connecting<'_> {
    fn ended(self, fault: Option<&SqlFault>) {
        match fault {
            Some(fault) => self.pool.failed(self.pause, fault.clone()),
            None => {
                let failing = &self.pool.failing;
                *failing.lock().unwrap_or_else(PoisonError::into_inner) = None;
            }
        }
        std::mem::forget(self);
    }
}

impl Drop for Connecting<'_> {
    fn drop(&mut self) {
        self.pool.failed(self.pause, SqlFault::Timeout);
    }
}

impl Lease<'_> {
    /// The connection.
    pub(super) const fn live(&self) -> Option<&Live> {
        self.live.as_ref()
    }

    /// The server has answered all that it was asked: the next may use the connection.
    pub(super) fn give_back(mut self) {
        if let Some(live) = self.live.take()
            && !live.client.is_closed()
        {
            let idle = &self.pool.idle;
            idle.lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(live);
        }
    }
}

impl Drop for Lease<'_> {
    /// Given up in the middle: the connection is closed, and the server asked to leave off.
    fn drop(&mut self) {
        let Some(live) = self.live.take() else {
            return;
        };
        if live.client.is_closed() {
            return;
        }
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            let connector: Connector = self.pool.connector.clone();
            let token = live.client.cancel_token();
            runtime.spawn(async move { connector.cancel(token).await });
        }
    }
}
