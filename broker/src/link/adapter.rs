//! One attached adapter: what it may be asked, what is on its way, and what it restricts.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
};

use accord_proto::{reason::Reason, signal::Signal, v1};
use tokio::{
    sync::{Semaphore, mpsc, oneshot},
    time::{Duration, Instant, timeout, timeout_at},
};

use super::{breaker::Breaker, operator::AskDraft, restrictions::Restrictions};

/// How many reports of view-served answers may wait for one adapter. Beyond it the view serves
/// nothing, so that none goes unreported.
const REPORTS_MAX: usize = 65_536;
/// For how long a line of a screening waits for its turn.
const TURN_WAIT_MAX: Duration = Duration::from_secs(30);
/// The most asks that an adapter may grant.
const CREDIT_MAX: u32 = 65_536;

/// What an adapter says of itself when it attaches.
#[derive(Clone, Debug)]
pub struct AttachInfo {
    /// Unique within the operator.
    pub instance: String,
    /// What it can ever answer.
    pub signals: Vec<Signal>,
    /// Asks that may be in flight.
    pub credit: u32,
}

/// One attached adapter.
pub struct Adapter {
    info: AttachInfo,
    asks: mpsc::Sender<v1::BrokerMessage>,
    reports: mpsc::Sender<v1::BrokerMessage>,
    pending: Mutex<HashMap<u64, oneshot::Sender<v1::Reply>>>,
    next_id: AtomicU64,
    /// Asks that the adapter still takes.
    credit: Semaphore,
    /// Of those, what lines of screenings may use together: a quarter is left to single questions.
    bulk: Semaphore,
    in_flight: AtomicUsize,
    breaker: Mutex<Breaker>,
    /// Every restriction in force has arrived.
    settled: AtomicBool,
    /// What this adapter restricts.
    pub restrictions: Restrictions,
}

/// The receiving ends, for the stream to the adapter.
#[derive(Debug)]
pub struct Outgoing {
    /// Asks and control messages.
    pub asks: mpsc::Receiver<v1::BrokerMessage>,
    /// Reports of view-served answers.
    pub reports: mpsc::Receiver<v1::BrokerMessage>,
}

/// What became of a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// Somebody waited for it.
    Expected,
    /// The one who asked had given up.
    Late,
    /// Never asked, or answered before.
    Unasked,
}

/// The right to report one view-served answer.
#[derive(Debug)]
pub struct ReportPermit(mpsc::OwnedPermit<v1::BrokerMessage>);

impl ReportPermit {
    /// Reports it.
    pub fn report(self, served: v1::ServedFromView) {
        let message = Some(v1::broker_message::Message::Served(served));
        self.0.send(v1::BrokerMessage { message });
    }
}

impl std::fmt::Debug for Adapter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Adapter")
            .field("info", &self.info)
            .finish_non_exhaustive()
    }
}

impl Adapter {
    /// An adapter that has just attached, and what goes out to it.
    #[must_use]
    pub fn attach(info: AttachInfo) -> (Arc<Self>, Outgoing) {
        let credit = info.credit.min(CREDIT_MAX);
        let (asks, asks_out) = mpsc::channel((credit as usize).max(1) + 64);
        let (reports, reports_out) = mpsc::channel(REPORTS_MAX);
        let adapter = Self {
            info,
            asks,
            reports,
            pending: Mutex::default(),
            next_id: AtomicU64::new(1),
            credit: Semaphore::new(credit as usize),
            bulk: Semaphore::new(((credit as usize) * 3 / 4).max(1)),
            in_flight: AtomicUsize::new(0),
            breaker: Mutex::default(),
            settled: AtomicBool::new(false),
            restrictions: Restrictions::default(),
        };
        (
            Arc::new(adapter),
            Outgoing {
                asks: asks_out,
                reports: reports_out,
            },
        )
    }

    /// What it said of itself.
    #[must_use]
    pub const fn info(&self) -> &AttachInfo {
        &self.info
    }

    /// Asks on their way.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// Grants more asks.
    pub fn grant(&self, more: u32) {
        let room = (CREDIT_MAX as usize).saturating_sub(self.credit.available_permits());
        self.credit.add_permits((more as usize).min(room));
    }

    /// Takes a reply in.
    pub fn replied(&self, reply: v1::Reply) -> Arrival {
        let waiting = self
            .pending
            .lock()
            .ok()
            .and_then(|mut pending| pending.remove(&reply.id));
        let Some(waiting) = waiting else {
            return Arrival::Unasked;
        };
        self.grant(1);
        match waiting.send(reply) {
            Ok(()) => Arrival::Expected,
            Err(_) => Arrival::Late,
        }
    }

    /// Sends a control message; `false` if there is no room, and then the link is not healthy.
    pub fn control(&self, message: v1::broker_message::Message) -> bool {
        self.asks
            .try_send(v1::BrokerMessage {
                message: Some(message),
            })
            .is_ok()
    }

    /// The adapter has sent every restriction in force.
    pub fn settle(&self) {
        self.settled.store(true, Ordering::Release);
    }

    /// Whether every restriction in force has arrived.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.settled.load(Ordering::Acquire)
    }

    /// Reserves room for a report.
    #[must_use]
    pub fn reserve_report(&self) -> Option<ReportPermit> {
        self.reports
            .clone()
            .try_reserve_owned()
            .ok()
            .map(ReportPermit)
    }

    /// The stream has ended: everybody who waits is told at once.
    pub fn detach(&self) {
        if let Ok(mut pending) = self.pending.lock() {
            pending.clear();
        }
    }

    pub(super) fn can_answer(&self, draft: &AskDraft) -> bool {
        draft
            .signals
            .iter()
            .any(|signal| self.info.signals.contains(signal))
    }

    pub(super) fn is_open(&self) -> bool {
        !self.asks.is_closed()
    }

    pub(super) fn has_credit(&self) -> bool {
        self.credit.available_permits() > 0
    }

    /// Whether it has not failed so often of late that it is left alone.
    pub(super) fn is_sound(&self) -> bool {
        self.breaker
            .lock()
            .is_ok_and(|mut breaker| breaker.admits(Instant::now()))
    }

    /// Waits for the turn of a line of a screening, then asks as for a single question.
    ///
    /// # Errors
    /// The reason, if there is no reply.
    pub(super) async fn ask_in_turn(
        &self,
        draft: &AskDraft,
        within: Duration,
    ) -> Result<v1::Reply, Reason> {
        let turn = async {
            let bulk = self.bulk.acquire().await;
            // One credit is waited for and given back: `ask` takes it, at once.
            drop(self.credit.acquire().await);
            bulk
        };
        let Ok(Ok(_turn)) = timeout(TURN_WAIT_MAX, turn).await else {
            return Err(Reason::Overloaded);
        };
        self.ask(draft, Instant::now() + within).await
    }

    /// Asks and waits until the deadline.
    ///
    /// # Errors
    /// The reason, if there is no reply.
    pub(super) async fn ask(
        &self,
        draft: &AskDraft,
        deadline: Instant,
    ) -> Result<v1::Reply, Reason> {
        let reply = self.send(draft, deadline)?;
        let _in_flight = InFlight::count(&self.in_flight);
        match timeout_at(deadline, reply).await {
            Ok(Ok(reply)) => {
                self.judge(Breaker::succeeded);
                Ok(reply)
            }
            // The stream ended while the ask was on its way.
            Ok(Err(_)) => Err(Reason::SourceDown),
            Err(_) => {
                self.judge(|breaker| breaker.failed(Instant::now()));
                Err(Reason::Timeout)
            }
        }
    }

    fn send(
        &self,
        draft: &AskDraft,
        deadline: Instant,
    ) -> Result<oneshot::Receiver<v1::Reply>, Reason> {
        let room = self.asks.try_reserve().map_err(|error| match error {
            mpsc::error::TrySendError::Full(()) => Reason::Overloaded,
            mpsc::error::TrySendError::Closed(()) => Reason::SourceDown,
        })?;
        // The reply gives it back.
        self.credit
            .try_acquire()
            .map_err(|_| Reason::Overloaded)?
            .forget();
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let (tell, reply) = oneshot::channel();
        if let Ok(mut pending) = self.pending.lock() {
            pending.insert(id, tell);
        }
        let message = Some(v1::broker_message::Message::Ask(
            draft.to_wire(id, deadline),
        ));
        room.send(v1::BrokerMessage { message });
        Ok(reply)
    }

    fn judge(&self, verdict: impl FnOnce(&mut Breaker)) {
        if let Ok(mut breaker) = self.breaker.lock() {
            verdict(&mut breaker);
        }
    }
}

/// Counts an ask for as long as somebody waits for it.
struct InFlight<'a>(&'a AtomicUsize);

impl<'a> InFlight<'a> {
    fn count(in_flight: &'a AtomicUsize) -> Self {
        in_flight.fetch_add(1, Ordering::Relaxed);
        Self(in_flight)
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
