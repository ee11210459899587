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
    sync::{Semaphore, mpsc, oneshot, watch},
    time::{Duration, Instant, timeout, timeout_at},
};

use super::{
    ask::{AskDraft, Patience},
    breaker::Breaker,
    reports::Reports,
    restrictions::Restrictions,
};

use crate::unpoisoned;

/// For how long a line of a screening waits for its turn.
const TURN_WAIT_MAX: Duration = Duration::from_secs(30);
/// The most asks that an adapter may grant.
const CREDIT_MAX: u32 = 65_536;
/// An ask with less time than this is not worth sending.
const ASK_MIN: Duration = Duration::from_millis(5);
/// How much later than the operator's own time a reply may arrive and still be no breach: the
/// adapter answers in time by its own clock, and the network takes its share.
const LATE_MARGIN: Duration = Duration::from_millis(250);

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
    pending: Mutex<HashMap<u64, Pending>>,
    next_id: AtomicU64,
    /// Asks that the adapter still takes.
    credit: Semaphore,
    /// Of those, what lines of screenings may use together: a quarter is left to single questions.
    bulk: Semaphore,
    in_flight: AtomicUsize,
    breaker: Mutex<Breaker>,
    /// Every restriction in force has arrived.
    settled: AtomicBool,
    /// What this adapter restricts, as far as it has said.
    pub(super) restrictions: Arc<Restrictions>,
    detached: watch::Sender<bool>,
}

/// An ask without a reply.
struct Pending {
    tell: oneshot::Sender<v1::Reply>,
    /// When the operator's own time ends, however soon its bank gives up.
    due: Instant,
}

/// A reply, and how long the adapter took for it.
pub(super) struct Replied {
    pub(super) reply: v1::Reply,
    pub(super) elapsed: Duration,
}

/// The receiving ends, for the stream to the adapter.
#[derive(Debug)]
pub struct Outgoing {
    /// Asks and control messages.
    pub asks: mpsc::Receiver<v1::BrokerMessage>,
    /// Reports of view-served answers, which all adapters of the operator share.
    pub reports: Arc<Reports>,
}

/// What became of a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// Somebody waited for it.
    Expected,
    /// Long after the operator's own time.
    Late,
    /// Never asked, or answered before.
    Unasked,
    /// In time, but nobody waits any more: the bank had less time, or another adapter was faster.
    Unneeded,
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
    pub(super) fn new(
        info: AttachInfo,
        restrictions: Arc<Restrictions>,
        reports: Arc<Reports>,
    ) -> (Arc<Self>, Outgoing) {
        let credit = info.credit.min(CREDIT_MAX);
        let (asks, asks_out) = mpsc::channel((credit as usize).max(1) + 64);
        let adapter = Self {
            info,
            asks,
            pending: Mutex::default(),
            next_id: AtomicU64::new(1),
            credit: Semaphore::new(credit as usize),
            bulk: Semaphore::new(((credit as usize) * 3 / 4).max(1)),
            in_flight: AtomicUsize::new(0),
            breaker: Mutex::default(),
            settled: AtomicBool::new(false),
            restrictions,
            detached: watch::Sender::new(false),
        };
        let outgoing = Outgoing {
            asks: asks_out,
            reports,
        };
        (Arc::new(adapter), outgoing)
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
        let waiting = unpoisoned::lock(&self.pending).remove(&reply.id);
        let Some(Pending { tell, due }) = waiting else {
            return Arrival::Unasked;
        };
        self.grant(1);
        let now = Instant::now();
        if now > due + LATE_MARGIN {
            return Arrival::Late;
        }
        if now <= due {
            self.judge(Breaker::succeeded);
        }
        match tell.send(reply) {
            Ok(()) => Arrival::Expected,
            Err(_) => Arrival::Unneeded,
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

    pub(super) fn settle(&self) {
        self.settled.store(true, Ordering::Release);
    }

    /// Whether every restriction in force has arrived.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.settled.load(Ordering::Acquire)
    }

    /// Ends the link: everybody who waits is told at once.
    pub fn detach(&self) {
        self.detached.send_replace(true);
        unpoisoned::lock(&self.pending).clear();
    }

    /// Waits until the link has ended.
    pub async fn detached(&self) {
        // An error would mean that the sender is gone, and it lives in here.
        let _ = self
            .detached
            .subscribe()
            .wait_for(|detached| *detached)
            .await;
    }

    pub(super) fn can_answer(&self, draft: &AskDraft) -> bool {
        draft
            .signals
            .iter()
            .any(|signal| self.info.signals.contains(signal))
    }

    pub(super) fn is_open(&self) -> bool {
        !self.asks.is_closed() && !*self.detached.borrow()
    }

    pub(super) fn has_credit(&self) -> bool {
        self.credit.available_permits() > 0
    }

    /// Whether it has not failed so often of late that it is left alone.
    pub(super) fn is_sound(&self) -> bool {
        unpoisoned::lock(&self.breaker).admits(Instant::now())
    }

    /// Waits for the turn of a line of a screening, then asks as for a single question.
    ///
    /// # Errors
    /// The reason, if there is no reply.
    pub(super) async fn ask_in_turn(
        &self,
        draft: &AskDraft,
        within: Duration,
    ) -> Result<Replied, Reason> {
        let turn = async {
            let bulk = self.bulk.acquire().await;
            // One credit is waited for and given back: `ask` takes it, at once.
            drop(self.credit.acquire().await);
            bulk
        };
        let Ok(Ok(_turn)) = timeout(TURN_WAIT_MAX, turn).await else {
            return Err(Reason::Overloaded);
        };
        let patience = Patience {
            by: Instant::now() + within,
            own: within,
        };
        self.ask(draft, patience).await
    }

    /// Asks and waits as long as the one who asks does.
    ///
    /// # Errors
    /// The reason, if there is no reply.
    pub(super) async fn ask(
        &self,
        draft: &AskDraft,
        patience: Patience,
    ) -> Result<Replied, Reason> {
        let began = Instant::now();
        let left = patience.by.saturating_duration_since(began);
        if left < ASK_MIN.min(patience.own / 2) {
            return Err(Reason::Timeout);
        }
        // Who had less than (nearly) the whole time did not fail.
        let fair = left >= patience.own.mul_f32(0.9);
        let reply = self.send(draft, patience)?;
        let _in_flight = InFlight::count(&self.in_flight);
        match timeout_at(patience.by, reply).await {
            Ok(Ok(reply)) => Ok(Replied {
                reply,
                elapsed: began.elapsed(),
            }),
            // The stream ended while the ask was on its way.
            Ok(Err(_)) => Err(Reason::SourceDown),
            Err(_) => {
                if fair {
                    self.judge(|breaker| breaker.failed(Instant::now()));
                }
                Err(Reason::Timeout)
            }
        }
    }

    fn send(
        &self,
        draft: &AskDraft,
        patience: Patience,
    ) -> Result<oneshot::Receiver<v1::Reply>, Reason> {
        let room = self.asks.try_reserve().map_err(|error| match error {
            mpsc::error::TrySendError::Full(()) => Reason::Overloaded,
            mpsc::error::TrySendError::Closed(()) => Reason::SourceDown,
        })?;
        let credit = self.credit.try_acquire().map_err(|_| Reason::Overloaded)?;
        let now = Instant::now();
        if !unpoisoned::lock(&self.breaker).begin(now) {
            return Err(Reason::SourceDown);
        }
        // The reply gives it back.
        credit.forget();
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let (tell, reply) = oneshot::channel();
        let due = now + patience.own;
        unpoisoned::lock(&self.pending).insert(id, Pending { tell, due });
        let message = Some(v1::broker_message::Message::Ask(
            draft.to_wire(id, patience.by),
        ));
        room.send(v1::BrokerMessage { message });
        Ok(reply)
    }

    fn judge(&self, verdict: impl FnOnce(&mut Breaker)) {
        verdict(&mut unpoisoned::lock(&self.breaker));
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
