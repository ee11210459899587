//! One peer: dials it, exchanges capabilities, keeps the connection, dials again (the initiator's
//! half of the state machine of RFC 6733 section 5.6).
//!
//! ```text
//!   Closed ──dial──▶ Connecting ──CER──▶ WaitCea ──CEA 2001, Sh──▶ Open(okay | reopen | suspect)
//!     ▲                  │                  │                         │ DPR, watchdog, end
//!     └──────────────────┴──── backoff ─────┴─────────────────────────┘
//! ```
//!
//! Answers are given to those who wait by their hop-by-hop identifier. What nobody waits for is
//! dropped and counted. There is a limit on what waits, on what is queued for sending and on the
//! length of a message, so a peer that trickles, floods or falls silent costs no more than that.

mod open;
mod prompt;
mod state;

use std::collections::HashMap;
use std::io;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::{Notify, mpsc, oneshot, watch};
use tokio::time::{Instant, timeout, timeout_at};

use self::prompt::Prompt;
pub use self::state::{Cause, PeerSettings, PeerState, RequestError};
use super::avp;
use super::codec::{Avps, CodecError, HEADER_LEN, Header, take_frame};
use super::node::{Capable, Message, Node};
use super::watchdog::Watchdog;
use crate::unreached::{Unreached, tls_trouble};

/// Messages that wait to be sent on one connection.
const OUT_MAX: usize = 4_096;
/// The first pause before dialling again; it doubles up to `reconnect_max`.
const RECONNECT_MIN: Duration = Duration::from_millis(200);
/// A connection that lasted so long was a good one: the next pause is the shortest.
const GOOD_CONNECTION: Duration = Duration::from_secs(60);

/// A request without its hop-by-hop identifier.
#[derive(Clone, Debug)]
pub(super) struct Request {
    pub(super) header: Header,
    pub(super) avps: Bytes,
}

type Answered = Result<Message, CodecError>;

/// One who waits for an answer.
struct Waiting {
    header: Header,
    sender: oneshot::Sender<Answered>,
}

/// An open connection, as those who ask see it.
struct Line {
    out: mpsc::Sender<Bytes>,
    waiting: HashMap<u32, Waiting>,
    next: u32,
    /// Tells this connection from the ones before.
    number: u64,
}

/// A peer.
pub struct Peer {
    settings: PeerSettings,
    node: Arc<Node>,
    state: watch::Sender<PeerState>,
    last_cause: Mutex<Option<Cause>>,
    changed: Arc<Notify>,
    line: Mutex<Option<Line>>,
    connections: AtomicU64,
    unexpected: AtomicU64,
}

impl std::fmt::Debug for Peer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Peer")
            .field("address", &self.settings.address)
            .field("state", &self.state())
            .finish_non_exhaustive()
    }
}

/// A connection, with TLS or without.
trait Connection: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Connection for T {}

impl Peer {
    /// A peer, not dialled before [`run`](Self::run). `changed` hears of each change of state.
    #[must_use]
    pub fn new(settings: PeerSettings, node: Arc<Node>, changed: Arc<Notify>) -> Self {
        Self {
            settings,
            node,
            state: watch::channel(PeerState::Closed(Cause::NotYet)).0,
            last_cause: Mutex::new(None),
            changed,
            line: Mutex::new(None),
            connections: AtomicU64::new(0),
            unexpected: AtomicU64::new(0),
        }
    }

    /// Its state now.
    #[must_use]
    pub fn state(&self) -> PeerState {
        *self.state.borrow()
    }

    /// Why the last connection ended, or was not made; `None` before any did.
    #[must_use]
    pub fn last_cause(&self) -> Option<Cause> {
        *self
            .last_cause
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Its settings.
    #[must_use]
    pub const fn settings(&self) -> &PeerSettings {
        &self.settings
    }

    /// Answers that nobody waited for: late, repeated or made up.
    #[must_use]
    pub fn unexpected(&self) -> u64 {
        self.unexpected.load(Ordering::Relaxed)
    }

    /// Requests that wait for their answers.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.line().as_ref().map_or(0, |line| line.waiting.len())
    }

    fn line(&self) -> MutexGuard<'_, Option<Line>> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn enter(&self, state: PeerState) {
        if let PeerState::Closed(cause) = state {
            let mut last = self
                .last_cause
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            *last = Some(cause);
        }
        self.state.send_replace(state);
        self.changed.notify_waiters();
    }

    /// Sends a request and waits for its answer.
    pub(super) async fn request(
        &self,
        request: &Request,
        deadline: Instant,
    ) -> Result<Message, RequestError> {
        let (sender, answered) = oneshot::channel();
        let (hop_by_hop, number) = self.send(request, sender)?;
        // A dropped question leaves nothing behind: its answer is unexpected then.
        let _forget = Forget {
            peer: self,
            hop_by_hop,
            number,
        };
        match timeout_at(deadline, answered).await {
            Ok(Ok(answered)) => Ok(answered?),
            Ok(Err(_)) => Err(RequestError::Lost),
            Err(_) => Err(RequestError::Timeout),
        }
    }

    fn send(
        &self,
        request: &Request,
        sender: oneshot::Sender<Answered>,
    ) -> Result<(u32, u64), RequestError> {
        let mut line = self.line();
        let line = line.as_mut().ok_or(RequestError::NotOpen)?;
        if line.waiting.len() >= self.settings.in_flight_max {
            return Err(RequestError::Full);
        }
        // There are fewer that wait than there are identifiers.
        while line.waiting.contains_key(&line.next) {
            line.next = line.next.wrapping_add(1);
        }
        let header = Header {
            hop_by_hop: line.next,
            ..request.header
        };
        line.next = line.next.wrapping_add(1);
        let frame = header.encode(&request.avps)?;
        line.out.try_send(frame).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => RequestError::Full,
            mpsc::error::TrySendError::Closed(_) => RequestError::NotOpen,
        })?;
        let waiting = Waiting { header, sender };
        line.waiting.insert(header.hop_by_hop, waiting);
        Ok((header.hop_by_hop, line.number))
    }

    /// Keeps a connection until `stopping` is true or its sender is gone. Requests of the peer that
    /// are notifications go to `pushes`.
    pub async fn run(
        self: Arc<Self>,
        mut stopping: watch::Receiver<bool>,
        pushes: mpsc::Sender<Message>,
    ) {
        let (mut pause, mut failing, mut was_open) = (RECONNECT_MIN, false, false);
        loop {
            let began = Instant::now();
            let watchdog = if was_open {
                Watchdog::again()
            } else {
                Watchdog::first()
            };
            let cause = self.connection(watchdog, &mut stopping, &pushes).await;
            let opened = matches!(self.state(), PeerState::Open(_));
            was_open |= opened;
            *self.line() = None;
            self.enter(PeerState::Closed(cause));
            if cause == Cause::Stopped {
                return;
            }
            if opened || !failing {
                tracing::warn!(peer = self.settings.address, %cause, "no Diameter connection");
            }
            failing = true;
            if opened && began.elapsed() >= GOOD_CONNECTION {
                pause = RECONNECT_MIN;
            }
            if cause.is_a_refusal() {
                pause = self.settings.reconnect_max;
            }
            if timeout(pause, stopped(&mut stopping)).await.is_ok() {
                return;
            }
            pause = (pause * 2).min(self.settings.reconnect_max);
        }
    }

    async fn connection(
        &self,
        watchdog: Watchdog,
        stopping: &mut watch::Receiver<bool>,
        pushes: &mpsc::Sender<Message>,
    ) -> Cause {
        self.enter(PeerState::Connecting);
        let mut received = BytesMut::new();
        let begin = async {
            let (mut stream, local) = limited(self.settings.connect_max, self.dial()).await?;
            self.enter(PeerState::WaitCea);
            let exchange = self.exchange_capabilities(&mut *stream, local, &mut received);
            limited(self.settings.connect_max, exchange).await?;
            Ok(stream)
        };
        let begun = tokio::select! {
            begun = begin => begun,
            () = stopped(stopping) => Err(Cause::Stopped),
        };
        match begun {
            Ok(stream) => open::serve(self, stream, received, watchdog, stopping, pushes).await,
            Err(cause) => cause,
        }
    }

    async fn dial(&self) -> Result<(Box<dyn Connection>, IpAddr), Cause> {
        let stream = Prompt::connect(&self.settings.address).await;
        let stream = stream.map_err(unreachable)?;
        let local = stream.local_addr().map_err(unreachable)?.ip();
        let Some((tls, name)) = &self.settings.tls else {
            return Ok((Box::new(stream), local));
        };
        let config = tls.load().map_err(|error| {
            tracing::warn!(error = &error as &dyn std::error::Error, "no TLS");
            Cause::Tls("the files of `tls` can't be used, see the log")
        })?;
        let connector = tokio_rustls::TlsConnector::from(config);
        let stream = connector.connect(name.clone(), stream).await;
        let stream = stream.map_err(|error| Cause::Tls(tls_trouble(&error)))?;
        Ok((Box::new(stream), local))
    }

    async fn exchange_capabilities(
        &self,
        stream: &mut dyn Connection,
        local: IpAddr,
        received: &mut BytesMut,
    ) -> Result<(), Cause> {
        let hop_by_hop = random();
        let request = self.node.capabilities(local, hop_by_hop)?;
        stream.write_all(&request).await.map_err(unreachable)?;
        let frame = loop {
            if let Some(frame) = take_frame(received, self.settings.message_bytes_max)? {
                break frame;
            }
            if stream.read_buf(received).await.map_err(unreachable)? == 0 {
                return Err(Cause::Ended);
            }
        };
        let header = Header::decode(&frame)?;
        let is_answer = !header.is_request()
            && header.command == avp::CAPABILITIES_EXCHANGE
            && header.hop_by_hop == hop_by_hop;
        if !is_answer {
            return Err(CodecError::Absent("Capabilities-Exchange-Answer").into());
        }
        let answer = Avps::decode(frame.slice(HEADER_LEN..))?;
        match self.node.judge(&answer, self.settings.host.as_deref())? {
            Capable::Yes => Ok(()),
            Capable::NoSh => Err(Cause::NoSh),
            Capable::OtherHost => Err(Cause::OtherHost),
            Capable::Refused(result) => Err(Cause::Refused(result)),
        }
    }
}

/// Takes a question off the line when it is over, however it ended.
struct Forget<'a> {
    peer: &'a Peer,
    hop_by_hop: u32,
    number: u64,
}

impl Drop for Forget<'_> {
    fn drop(&mut self) {
        let mut line = self.peer.line();
        if let Some(line) = line.as_mut().filter(|line| line.number == self.number) {
            line.waiting.remove(&self.hop_by_hop);
        }
    }
}

async fn limited<T>(
    time: Duration,
    work: impl Future<Output = Result<T, Cause>>,
) -> Result<T, Cause> {
    timeout(time, work).await.unwrap_or(Err(Cause::Silent))
}

async fn stopped(stopping: &mut watch::Receiver<bool>) {
    // An error means that nobody is left who could ask.
    stopping.wait_for(|stopping| *stopping).await.ok();
}

fn unreachable(error: io::Error) -> Cause {
    Cause::Unreachable(Unreached::from(&error))
}

/// Where identifiers begin (RFC 6733 section 3), and jitter. Not a secret: where there is no
/// randomness, a fixed one serves.
pub(super) fn random() -> u32 {
    let mut bytes = [0; 4];
    aws_lc_rs::rand::fill(&mut bytes).ok();
    u32::from_be_bytes(bytes)
}
