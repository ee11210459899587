//! A client of the Osmocom control interface (CTRL), as osmo-hlr 1.5 speaks it.
//!
//! Frames are IPA: length of the payload (u16, big-endian), protocol (0xEE, Osmocom extension),
//! payload; the payload begins with 0x00 for CTRL, then text: `GET <id> <variable>` and
//! `GET_REPLY <id> <variable> <value>`, or `ERROR <id> <text>`. Replies come in order.
//!
//! A few connections ([`CONNECTIONS`]), one exchange at a time on each: an exchange writes the requests
//! of one caller, at most [`PIPELINE_MAX`], or of all who wait as far as they are [`EXCHANGE_MAX`],
//! before it reads. So the HLR has something to do while the replies of one exchange are read. An exchange that does not end (deadline, error,
//! dropped future) takes its connection with it, so that no reply is ever taken for another's.

mod waiting;

use std::fmt;
use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf as _, Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{Mutex, MutexGuard};
use tokio::time::{Instant, timeout_at};

use self::waiting::Waiting;
use crate::unreached::Unreached;

/// The most requests of one caller. They and their replies fit in the smallest socket buffers, so
/// that neither side waits for the other to read.
pub const PIPELINE_MAX: usize = 64;

/// The requests of several callers that share an exchange: as many as leave something for the other
/// connection.
pub const EXCHANGE_MAX: usize = 32;

/// Connections that are used at the same time, where more than one caller asks.
pub const CONNECTIONS: usize = 2;

/// The longest payload accepted. The `info` of a subscriber takes about 400 bytes.
pub const FRAME_BYTES_MAX: usize = 4096;

/// After a failed attempt to connect, the next ones fail at once for this long.
pub const RECONNECT_AFTER: Duration = Duration::from_millis(250);

const GET: &str = "GET";
const TIMED_OUT: Unreached = Unreached::Io(std::io::ErrorKind::TimedOut);
/// Length and protocol.
const HEAD_LEN: usize = 3;
const IPA_OSMO: u8 = 0xEE;
const EXTENSION_CTRL: u8 = 0x00;
/// Frames in between that are no replies (traps, other protocols), for each exchange.
const STRAY_FRAMES_MAX: usize = 1024;

/// What went wrong with an exchange. It never repeats a request or a reply, which hold numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CtrlError {
    /// Not finished at the deadline.
    #[error("the control interface did not answer in time")]
    Timeout,
    /// No connection, or it broke.
    #[error("the control interface can't be reached: {0}")]
    Down(Unreached),
    /// What came is not what the protocol allows here.
    #[error("the control interface broke the protocol: {0}; is it the port of CTRL?")]
    Protocol(&'static str),
}

/// The reply to one request.
#[derive(Clone, PartialEq, Eq)]
pub enum Reply {
    /// The value.
    Value(String),
    /// The text of an `ERROR`. It may repeat what was asked.
    Refused(String),
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Value(_) => "Value([subscriber])",
            Self::Refused(_) => "Refused([subscriber])",
        })
    }
}

/// The client. It connects when it is first asked, and again after a failure.
#[derive(Debug)]
pub struct CtrlClient {
    address: String,
    slots: [Mutex<Slot>; CONNECTIONS],
    waiting: Waiting,
}

#[derive(Debug, Default)]
struct Slot {
    /// Taken for the time of an exchange.
    connection: Option<Connection>,
    failed: Option<(Instant, Unreached)>,
    next_id: u32,
}

impl CtrlClient {
    /// A client of `host:port`.
    #[must_use]
    pub fn new(address: impl Into<String>) -> Self {
        Self {
            address: address.into(),
            slots: Default::default(),
            waiting: Waiting::default(),
        }
    }

    /// Asks for variables and gives the reply to each, in order. At most [`PIPELINE_MAX`].
    ///
    /// # Errors
    /// [`CtrlError`]: none of them was answered as far as anybody can tell.
    pub async fn get(
        &self,
        variables: &[String],
        deadline: Instant,
    ) -> Result<Vec<Reply>, CtrlError> {
        self.exchange(GET, variables, deadline).await
    }

    /// Sets a variable: the text holds its name, a space and the value.
    ///
    /// # Errors
    /// [`CtrlError`]. The variable may have been set nevertheless.
    pub async fn set(&self, assignment: String, deadline: Instant) -> Result<Reply, CtrlError> {
        let replies = self.exchange("SET", &[assignment], deadline).await?;
        let reply = replies.into_iter().next();
        reply.ok_or(CtrlError::Protocol("no reply"))
    }

    async fn exchange(
        &self,
        verb: &'static str,
        texts: &[String],
        deadline: Instant,
    ) -> Result<Vec<Reply>, CtrlError> {
        if texts.len() > PIPELINE_MAX {
            return Err(CtrlError::Protocol("too many requests at once"));
        }
        let texts: Arc<[String]> = texts.into();
        let work = async {
            let mut done = self.waiting.enqueue(verb, &texts);
            loop {
                tokio::select! {
                    biased;
                    replies = &mut done => match replies {
                        Ok(replies) => return replies,
                        // Whoever asked for all stopped half-way.
                        Err(_) => done = self.waiting.enqueue(verb, &texts),
                    },
                    slot = self.free_slot() => self.ask_for_all(slot, deadline).await,
                }
            }
        };
        let expired = |_| CtrlError::Timeout;
        timeout_at(deadline, work).await.map_err(expired)?
    }

    /// A connection that nobody else uses.
    async fn free_slot(&self) -> MutexGuard<'_, Slot> {
        let [one, other] = &self.slots;
        tokio::select! {
            biased;
            slot = one.lock() => slot,
            slot = other.lock() => slot,
        }
    }

    /// Asks what waits, as far as it fits into one exchange.
    async fn ask_for_all(&self, mut slot: MutexGuard<'_, Slot>, deadline: Instant) {
        let jobs = self.waiting.next();
        let Some(first) = jobs.first() else { return };
        let texts = jobs.iter().flat_map(|job| job.texts.iter());
        let texts: Vec<&str> = texts.map(String::as_str).collect();
        let replies = slot.ask(&self.address, first.verb, &texts, deadline).await;
        // Before another one has the connection: it may be one of these, and be done.
        waiting::tell(jobs, replies);
    }
}

impl Slot {
    async fn ask(
        &mut self,
        address: &str,
        verb: &str,
        texts: &[&str],
        deadline: Instant,
    ) -> Result<Vec<Reply>, CtrlError> {
        if let Some(kept) = self.connection.take() {
            match self.exchange(kept, verb, texts).await {
                // It was closed since it was last used, as by a restart of the HLR. Asking again is
                // safe, setting again is not.
                Err(CtrlError::Down(_)) if verb == GET => {}
                done => return done,
            }
        }
        let connection = self.connect(address, deadline).await?;
        self.exchange(connection, verb, texts).await
    }

    /// Keeps the connection only if the exchange ended well.
    async fn exchange(
        &mut self,
        mut connection: Connection,
        verb: &str,
        texts: &[&str],
    ) -> Result<Vec<Reply>, CtrlError> {
        let first_id = self.next_id.max(1);
        let count = u32::try_from(texts.len()).unwrap_or(u32::MAX);
        self.next_id = first_id.checked_add(count).unwrap_or(1);
        let replies = connection.exchange(verb, first_id, texts).await?;
        self.connection = Some(connection);
        Ok(replies)
    }

    async fn connect(&mut self, address: &str, deadline: Instant) -> Result<Connection, CtrlError> {
        if let Some((at, kind)) = self.failed
            && at.elapsed() < RECONNECT_AFTER
        {
            return Err(CtrlError::Down(kind));
        }
        let connected = timeout_at(deadline, TcpStream::connect(address)).await;
        let failure = match connected {
            Ok(Ok(stream)) => {
                self.failed = None;
                // Requests are small and waited for.
                stream.set_nodelay(true).map_err(down)?;
                return Ok(Connection {
                    stream,
                    received: BytesMut::new(),
                });
            }
            Ok(Err(error)) => Unreached::from(&error),
            Err(_) => TIMED_OUT,
        };
        self.failed = Some((Instant::now(), failure));
        Err(if failure == TIMED_OUT {
            CtrlError::Timeout
        } else {
            CtrlError::Down(failure)
        })
    }
}

#[derive(Debug)]
struct Connection {
    stream: TcpStream,
    received: BytesMut,
}

impl Connection {
    async fn exchange(
        &mut self,
        verb: &str,
        first_id: u32,
        texts: &[&str],
    ) -> Result<Vec<Reply>, CtrlError> {
        let mut requests = Vec::new();
        for (id, text) in (first_id..).zip(texts) {
            frame(format_args!("{verb} {id} {text}"), &mut requests)?;
        }
        self.stream.write_all(&requests).await.map_err(down)?;
        let mut replies = Vec::with_capacity(texts.len());
        for (id, text) in (first_id..).zip(texts) {
            replies.push(self.reply(verb, id, text).await?);
        }
        Ok(replies)
    }

    async fn reply(&mut self, verb: &str, id: u32, text: &str) -> Result<Reply, CtrlError> {
        for _ in 0..STRAY_FRAMES_MAX {
            let Some(message) = self.message().await? else {
                continue;
            };
            let message = message_text(&message)?;
            if message.starts_with("TRAP ") {
                continue;
            }
            return parse_reply(message, verb, id, text);
        }
        Err(CtrlError::Protocol("too many frames that are no replies"))
    }

    /// The next frame; `None` if it is not CTRL.
    async fn message(&mut self) -> Result<Option<Bytes>, CtrlError> {
        loop {
            if let Some(message) = take(&mut self.received)? {
                return Ok(message);
            }
            let count = self.stream.read_buf(&mut self.received).await;
            if count.map_err(down)? == 0 {
                return Err(down(std::io::ErrorKind::UnexpectedEof.into()));
            }
        }
    }
}

/// Takes the first frame off what was received, if it is whole: `Some(None)` is one that is not CTRL.
fn take(received: &mut BytesMut) -> Result<Option<Option<Bytes>>, CtrlError> {
    let Some((head, rest)) = received.split_first_chunk::<HEAD_LEN>() else {
        return Ok(None);
    };
    let [high, low, protocol] = *head;
    let length = usize::from(u16::from_be_bytes([high, low]));
    if length > FRAME_BYTES_MAX {
        return Err(CtrlError::Protocol("a frame is too long"));
    }
    if rest.len() < length {
        return Ok(None);
    }
    received.advance(HEAD_LEN);
    let mut payload = received.split_to(length).freeze();
    let is_ctrl = protocol == IPA_OSMO && payload.first() == Some(&EXTENSION_CTRL);
    if is_ctrl {
        payload.advance(1);
    }
    Ok(Some(is_ctrl.then_some(payload)))
}

fn message_text(message: &[u8]) -> Result<&str, CtrlError> {
    std::str::from_utf8(message).map_err(|_| CtrlError::Protocol("a reply is no text"))
}

/// The replies in what was received to `GET variable` with this id, until something is none, and how
/// many bytes they and the strays between them take: for fuzz targets.
#[cfg(any(test, feature = "test-util"))]
#[must_use]
pub fn replies_in(received: &[u8], id: u32, variable: &str) -> (Vec<Reply>, usize) {
    let mut left = BytesMut::from(received);
    let mut replies = Vec::new();
    while let Ok(Some(message)) = take(&mut left) {
        let reply = message.map(|message| parse_reply(message_text(&message)?, GET, id, variable));
        match reply.transpose() {
            Ok(reply) => replies.extend(reply),
            Err(_) => break,
        }
    }
    (replies, received.len() - left.len())
}

fn frame(text: fmt::Arguments<'_>, to: &mut Vec<u8>) -> Result<(), CtrlError> {
    let begin = to.len();
    to.extend([0, 0, IPA_OSMO, EXTENSION_CTRL]);
    // Writing into memory can't fail.
    let _ = to.write_fmt(text);
    let payload = to.len().saturating_sub(begin + HEAD_LEN);
    let length = u16::try_from(payload).ok();
    let length = length.filter(|length| usize::from(*length) <= FRAME_BYTES_MAX);
    let length = length.ok_or(CtrlError::Protocol("a request is too long"))?;
    for (at, byte) in to.iter_mut().skip(begin).zip(length.to_be_bytes()) {
        *at = byte;
    }
    Ok(())
}

fn parse_reply(message: &str, verb: &str, id: u32, text: &str) -> Result<Reply, CtrlError> {
    const SHAPE: CtrlError = CtrlError::Protocol("a reply has an unknown shape");
    let (kind, rest) = message.split_once(' ').ok_or(SHAPE)?;
    let (its_id, rest) = rest.split_once(' ').ok_or(SHAPE)?;
    if its_id.parse() != Ok(id) {
        return Err(CtrlError::Protocol("a reply to another request"));
    }
    if kind == "ERROR" {
        return Ok(Reply::Refused(rest.to_owned()));
    }
    if kind.strip_suffix("_REPLY") != Some(verb) {
        return Err(SHAPE);
    }
    let variable = text.split(' ').next().unwrap_or_default();
    let value = rest
        .strip_prefix(variable)
        .and_then(|rest| rest.strip_prefix(' '));
    let value = value.ok_or(CtrlError::Protocol("a reply about another variable"))?;
    Ok(Reply::Value(value.to_owned()))
}

fn down(error: std::io::Error) -> CtrlError {
    CtrlError::Down(Unreached::from(&error))
}

#[cfg(test)]
mod tests;
