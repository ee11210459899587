//! A connection that is open: reads, writes, watches.

use std::io;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until, timeout};

use super::{Cause, Connection, Line, OUT_MAX, Peer, PeerState, random, stopped, unreachable};
use crate::diameter::avp;
use crate::diameter::codec::{Avps, CodecError, HEADER_LEN, Header, take_frame};
use crate::diameter::node::Message;
use crate::diameter::watchdog::{Action, Watchdog};

/// How long the last messages may take: the answer to a disconnection, or to ours.
const GOODBYE_MAX: Duration = Duration::from_secs(1);
/// Messages written in one go.
const BATCH_MAX: usize = 64;
/// Room made for each read.
const READ_BYTES: usize = 8 * 1_024;

/// Serves a connection until it ends, and says why it did.
pub(super) async fn serve(
    peer: &Peer,
    stream: Box<dyn Connection>,
    received: BytesMut,
    watchdog: Watchdog,
    stopping: &mut watch::Receiver<bool>,
    pushes: &mpsc::Sender<Message>,
) -> Cause {
    let (reader, writer) = tokio::io::split(stream);
    let (out, queue) = mpsc::channel(OUT_MAX);
    let writing = write_all(writer, queue);
    tokio::pin!(writing);
    let mut open = Open {
        peer,
        out: out.clone(),
        watchdog,
        received,
        pushes,
        next_expiry: Instant::now() + peer.tw(),
        closing: false,
    };
    peer.begin(out, watchdog);
    let cause = tokio::select! {
        cause = open.read(reader, stopping) => cause,
        error = &mut writing => error.map_or_else(unreachable, |()| Cause::Ended),
    };
    // Nobody asks any more, and those who waited know that the connection is lost.
    *peer.line() = None;
    drop(open);
    if matches!(cause, Cause::Disconnected(_)) {
        // The answer to the disconnection is in the queue.
        timeout(GOODBYE_MAX, writing).await.ok();
    }
    cause
}

async fn write_all(
    mut writer: WriteHalf<Box<dyn Connection>>,
    mut queue: mpsc::Receiver<Bytes>,
) -> io::Result<()> {
    let mut batch = Vec::with_capacity(BATCH_MAX);
    while queue.recv_many(&mut batch, BATCH_MAX).await > 0 {
        if let [frame] = batch.as_slice() {
            writer.write_all(frame).await?;
        } else {
            writer.write_all(&batch.concat()).await?;
        }
        writer.flush().await?;
        batch.clear();
    }
    writer.shutdown().await
}

impl Peer {
    /// Tw with its jitter: two seconds either way for the shortest Tw of RFC 3539, six.
    fn tw(&self) -> Duration {
        let third = self.settings.watchdog / 3;
        let share = f64::from(random()) / f64::from(u32::MAX);
        self.settings.watchdog - third + (third * 2).mul_f64(share)
    }

    fn begin(&self, out: mpsc::Sender<Bytes>, watchdog: Watchdog) {
        let number = self
            .connections
            .fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        *self.line() = Some(Line {
            out,
            waiting: std::collections::HashMap::new(),
            next: random(),
            number,
        });
        self.enter(PeerState::Open(watchdog.trust()));
        tracing::info!(peer = self.settings.address, "Diameter connection open");
    }
}

struct Open<'a> {
    peer: &'a Peer,
    out: mpsc::Sender<Bytes>,
    watchdog: Watchdog,
    received: BytesMut,
    pushes: &'a mpsc::Sender<Message>,
    next_expiry: Instant,
    closing: bool,
}

impl Open<'_> {
    async fn read(
        &mut self,
        mut reader: ReadHalf<Box<dyn Connection>>,
        stopping: &mut watch::Receiver<bool>,
    ) -> Cause {
        if self.watchdog != Watchdog::first()
            && let Err(cause) = self.send_watchdog()
        {
            return cause;
        }
        loop {
            // What came together with the capabilities is already here.
            if let Err(cause) = self.handle_received() {
                return cause;
            }
            self.received.reserve(READ_BYTES);
            let step = tokio::select! {
                read = reader.read_buf(&mut self.received) => match read {
                    Ok(0) => Err(Cause::Ended),
                    Ok(_) => Ok(()),
                    Err(error) => Err(unreachable(error)),
                },
                () = sleep_until(self.next_expiry) => self.expired(),
                () = stopped(stopping), if !self.closing => self.say_goodbye(),
            };
            if let Err(cause) = step {
                return cause;
            }
        }
    }

    fn handle_received(&mut self) -> Result<(), Cause> {
        let bytes_max = self.peer.settings.message_bytes_max;
        while let Some(frame) = take_frame(&mut self.received, bytes_max)? {
            let header = Header::decode(&frame)?;
            let avps = Avps::decode(frame.slice(HEADER_LEN..));
            let is_watchdog_answer = !header.is_request() && header.command == avp::DEVICE_WATCHDOG;
            self.watchdog.heard(is_watchdog_answer);
            if !self.closing {
                self.next_expiry = Instant::now() + self.peer.tw();
                self.show_trust();
            }
            if header.is_request() {
                self.requested(&header, avps)?;
            } else if header.command == avp::DISCONNECT_PEER && self.closing {
                return Err(Cause::Stopped);
            } else if !is_watchdog_answer {
                self.answered(header, avps);
            }
        }
        Ok(())
    }

    fn show_trust(&self) {
        let state = PeerState::Open(self.watchdog.trust());
        if self.peer.state() != state {
            self.peer.enter(state);
        }
    }

    /// Gives an answer to the one who waits for it.
    fn answered(&self, header: Header, avps: Result<Avps, CodecError>) {
        let waiting = {
            let mut line = self.peer.line();
            line.as_mut()
                .and_then(|line| line.waiting.remove(&header.hop_by_hop))
        };
        let Some(waiting) = waiting else {
            let counted = &self.peer.unexpected;
            counted.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            return;
        };
        let asked = waiting.header;
        let same = (asked.command, asked.application, asked.end_to_end)
            == (header.command, header.application, header.end_to_end);
        let answer = if same {
            avps.map(|avps| Message { header, avps })
        } else {
            Err(CodecError::Absent("the answer to this request"))
        };
        // Who gave up in this moment needs none.
        waiting.sender.send(answer).ok();
    }

    /// Answers a request of the peer.
    fn requested(&self, header: &Header, avps: Result<Avps, CodecError>) -> Result<(), Cause> {
        let Ok(avps) = avps else {
            let empty = Avps::default();
            return self.answer(header, &empty, avp::INVALID_AVP_LENGTH);
        };
        match (header.application, header.command) {
            (avp::APPLICATION_BASE, avp::DEVICE_WATCHDOG) => {
                self.answer(header, &avps, avp::SUCCESS)
            }
            (avp::APPLICATION_BASE, avp::DISCONNECT_PEER) => {
                let cause = avps.one(avp::DISCONNECT_CAUSE).ok().flatten();
                let cause = cause.and_then(|avp| avp.u32().ok()).unwrap_or_default();
                self.answer(header, &avps, avp::SUCCESS)?;
                Err(Cause::Disconnected(cause))
            }
            (avp::APPLICATION_SH, avp::PUSH_NOTIFICATION) => {
                let message = Message {
                    header: *header,
                    avps: avps.clone(),
                };
                let taken = self.pushes.try_send(message).is_ok();
                let result = if taken { avp::SUCCESS } else { avp::TOO_BUSY };
                self.answer(header, &avps, result)
            }
            _ => self.answer(header, &avps, avp::COMMAND_UNSUPPORTED),
        }
    }

    fn answer(&self, to: &Header, avps: &Avps, result: u32) -> Result<(), Cause> {
        let frame = self.peer.node.answer(to, avps, result)?;
        self.send(frame)
    }

    fn send_watchdog(&self) -> Result<(), Cause> {
        self.send(self.peer.node.watchdog(random())?)
    }

    /// A peer that asks and does not read is as good as gone.
    fn send(&self, frame: Bytes) -> Result<(), Cause> {
        let sent = self.out.try_send(frame);
        sent.map_err(|_| Cause::WatchdogExpired)
    }

    fn expired(&mut self) -> Result<(), Cause> {
        if self.closing {
            return Err(Cause::Stopped);
        }
        self.next_expiry = Instant::now() + self.peer.tw();
        let action = self.watchdog.expired();
        self.show_trust();
        match action {
            Action::Ask => self.send_watchdog(),
            Action::Wait => Ok(()),
            Action::Close => Err(Cause::WatchdogExpired),
        }
    }

    fn say_goodbye(&mut self) -> Result<(), Cause> {
        self.closing = true;
        self.next_expiry = Instant::now() + GOODBYE_MAX;
        self.send(self.peer.node.disconnect(random())?)
    }
}
