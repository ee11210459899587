//! A client of the Osmocom control interface (CTRL), as osmo-hlr 1.5 speaks it.
//!
//! Frames are IPA: length of the payload (u16, big-endian), protocol (0xEE, Osmocom extension),
//! payload; the payload begins with 0x00 for CTRL, then text: `GET <id> <variable>` and
//! `GET_REPLY <id> <variable> <value>`, or `ERROR <id> <text>`. Replies come in order.
//!
//! One connection, one exchange at a time: an exchange writes up to [`PIPELINE_MAX`] requests
//! before it reads, those of all who wait for it. An exchange that does not end (deadline, error, dropped future) takes its
//! connection with it, so that no reply is ever taken for another's.

mod waiting;

use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout_at};

use self::waiting::Waiting;

/// The most requests written before the replies are read. They and their replies fit in the
/// smallest socket buffers, so that neither side waits for the other to read.
pub const PIPELINE_MAX: usize = 64;

/// The longest payload accepted. The `info` of a subscriber takes about 400 bytes.
pub const FRAME_BYTES_MAX: usize = 4096;

/// After a failed attempt to connect, the next ones fail at once for this long.
pub const RECONNECT_AFTER: Duration = Duration::from_millis(250);

const GET: &str = "GET";
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
    Down(std::io::ErrorKind),
    /// What came is not what the protocol allows here.
    #[error("the control interface broke the protocol: {0}")]
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

impl std::fmt::Debug for Reply {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
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
    slot: Mutex<Slot>,
    waiting: Waiting,
}

#[derive(Debug, Default)]
struct Slot {
    /// Taken for the time of an exchange.
    connection: Option<Connection>,
    failed: Option<(Instant, std::io::ErrorKind)>,
    next_id: u32,
}

impl CtrlClient {
    /// A client of `host:port`.
    #[must_use]
    pub fn new(address: impl Into<String>) -> Self {
        Self {
            address: address.into(),
            slot: Mutex::default(),
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
        let work = async {
            let mut done = self.waiting.enqueue(verb, texts);
            loop {
                tokio::select! {
                    biased;
                    replies = &mut done => match replies {
                        Ok(replies) => return replies,
                        // Whoever asked for all stopped half-way.
                        Err(_) => done = self.waiting.enqueue(verb, texts),
                    },
                    mut slot = self.slot.lock() => {
                        let jobs = self.waiting.next();
                        if let Some(first) = jobs.first() {
                            let verb = first.verb;
                            let texts = jobs.iter().flat_map(|job| job.texts.clone());
                            let texts: Vec<String> = texts.collect();
                            let replies = slot.ask(&self.address, verb, &texts, deadline).await;
                            waiting::tell(jobs, replies);
                        }
                    }
                }
            }
        };
        let expired = |_| CtrlError::Timeout;
        timeout_at(deadline, work).await.map_err(expired)?
    }
}

impl Slot {
    async fn ask(
        &mut self,
        address: &str,
        verb: &str,
        texts: &[String],
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
        texts: &[String],
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
            Ok(Err(error)) => error.kind(),
            Err(_) => std::io::ErrorKind::TimedOut,
        };
        self.failed = Some((Instant::now(), failure));
        Err(if failure == std::io::ErrorKind::TimedOut {
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
        texts: &[String],
    ) -> Result<Vec<Reply>, CtrlError> {
        let mut requests = Vec::new();
        for (id, text) in (first_id..).zip(texts) {
            frame(&format!("{verb} {id} {text}"), &mut requests)?;
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
            if message.starts_with("TRAP ") {
                continue;
            }
            return parse_reply(&message, verb, id, text);
        }
        Err(CtrlError::Protocol("too many frames that are no replies"))
    }

    /// The next frame; `None` if it is not CTRL.
    async fn message(&mut self) -> Result<Option<String>, CtrlError> {
        loop {
            if let Some(text) = take(&mut self.received)? {
                return Ok(text);
            }
            let count = self.stream.read_buf(&mut self.received).await;
            if count.map_err(down)? == 0 {
                return Err(CtrlError::Down(std::io::ErrorKind::UnexpectedEof));
            }
        }
    }
}

/// Takes the first frame off what was received, if it is whole: `Some(None)` is one that is not CTRL.
fn take(received: &mut BytesMut) -> Result<Option<Option<String>>, CtrlError> {
    let Some((head, rest)) = received.split_first_chunk::<3>() else {
        return Ok(None);
    };
    let [high, low, protocol] = *head;
    let length = usize::from(u16::from_be_bytes([high, low]));
    if length > FRAME_BYTES_MAX {
        return Err(CtrlError::Protocol("a frame is too long"));
    }
    let Some(payload) = rest.get(..length) else {
        return Ok(None);
    };
    let text = match (protocol, payload.split_first()) {
        (IPA_OSMO, Some((&EXTENSION_CTRL, text))) => Some(
            String::from_utf8(text.to_vec())
                .map_err(|_| CtrlError::Protocol("a reply is no text"))?,
        ),
        _ => None,
    };
    let _ = received.split_to(3 + length);
    Ok(Some(text))
}

/// The replies in what was received to `GET variable` with this id, until something is none, and how
/// many bytes they and the strays between them take: for fuzz targets.
#[cfg(any(test, feature = "test-util"))]
#[must_use]
pub fn replies_in(received: &[u8], id: u32, variable: &str) -> (Vec<Reply>, usize) {
    let mut left = BytesMut::from(received);
    let mut replies = Vec::new();
    while let Ok(Some(text)) = take(&mut left) {
        let reply = text.map(|text| parse_reply(&text, GET, id, variable));
        match reply.transpose() {
            Ok(reply) => replies.extend(reply),
            Err(_) => break,
        }
    }
    (replies, received.len() - left.len())
}

fn frame(text: &str, to: &mut Vec<u8>) -> Result<(), CtrlError> {
    let length = u16::try_from(text.len() + 1).ok();
    let length = length.filter(|length| usize::from(*length) <= FRAME_BYTES_MAX);
    let length = length.ok_or(CtrlError::Protocol("a request is too long"))?;
    to.extend(length.to_be_bytes());
    to.extend([IPA_OSMO, EXTENSION_CTRL]);
    to.extend(text.as_bytes());
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
    CtrlError::Down(error.kind())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_has_length_protocol_and_extension() {
        let mut bytes = Vec::new();
        frame("GET 1 x", &mut bytes).unwrap();
        assert_eq!(bytes, b"\x00\x08\xee\x00GET 1 x");
        assert!(frame(&"x".repeat(FRAME_BYTES_MAX), &mut bytes).is_err());
    }

    #[test]
    fn a_reply_must_be_to_this_request_and_about_this_variable() {
        let value = |text: &str| Ok(Reply::Value(text.to_owned()));
        assert_eq!(
            parse_reply("GET_REPLY 7 a.b v w", "GET", 7, "a.b"),
            value("v w")
        );
        assert_eq!(
            parse_reply("SET_REPLY 7 a.b OK", "SET", 7, "a.b 1"),
            value("OK")
        );
        assert_eq!(
            parse_reply("ERROR 7 No such subscriber.", "GET", 7, "a.b"),
            Ok(Reply::Refused("No such subscriber.".to_owned()))
        );
        for bad in [
            "GET_REPLY 8 a.b v",
            "GET_REPLY 7 a.c v",
            "GET_REPLY 7 a.bc v",
            "SET_REPLY 7 a.b v",
            "ERROR err Invalid message ID number",
            "ERROR",
            "",
        ] {
            assert!(parse_reply(bad, "GET", 7, "a.b").is_err(), "{bad}");
        }
    }

    #[test]
    fn a_reply_is_redacted_in_debug() {
        let reply = Reply::Refused("by-msisdn-447700900001".to_owned());
        assert!(!format!("{reply:?}").contains("447700900001"));
    }
}
