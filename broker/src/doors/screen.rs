//! `Screen`: many questions over one stream, each of which takes the same path as a single one.
//!
//! The broker reads a line only while fewer than `in_flight_max` are unanswered, and a line is
//! answered only when its answer has room to leave, so memory is bounded on both sides.

use std::{pin::Pin, sync::Arc};

use accord_proto::{
    v1::{
        LookupRequest, ScreenAnswer, ScreenLine, ScreenRefusal, ScreenRequest, ScreenResponse,
        ScreenWelcome, TokenExpiring, screen_request, screen_response,
    },
    wire::{FieldError, ID_LEN_MAX, timestamp},
};
use jiff::{SignedDuration, Timestamp};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, mpsc},
    time::{Duration, Instant, sleep_until},
};
use tokio_stream::{Stream, wrappers::ReceiverStream};
use tonic::{Status, Streaming};

use super::{
    status::{code, status},
    unread::unread,
};
use crate::{
    identity::{Peer, Presented},
    path::{Answered, Call, DRAINING, Path, Refusal},
};

/// The method, for the record.
const METHOD: &str = "SignalService.Screen";
/// How long before the token ends the caller is told.
const EXPIRY_NOTICE: SignedDuration = SignedDuration::from_secs(60);

/// The answers of a screening.
pub(super) type ScreenStream = Pin<Box<dyn Stream<Item = Result<ScreenResponse, Status>> + Send>>;

/// Limits of one screening.
#[derive(Clone, Copy, Debug)]
pub(super) struct ScreenLimits {
    /// Lines unanswered before the broker stops reading.
    pub(super) in_flight_max: u32,
}

type Out = mpsc::Sender<Result<ScreenResponse, Status>>;

/// One screening on its way.
struct Screening {
    path: Path,
    peer: Arc<Peer>,
    presented: Option<Presented>,
    expiry_notice: Option<(Instant, Timestamp)>,
    window: Arc<Semaphore>,
    out: Out,
}

/// Opens a screening: the caller must be one who may ask at all.
pub(super) async fn screen(
    path: Path,
    limits: ScreenLimits,
    peer: Arc<Peer>,
    presented: Option<Presented>,
    lines: Streaming<ScreenRequest>,
) -> Result<ScreenStream, Refusal> {
    let shown = presented.as_ref();
    let expires = match path.admit(&peer, shown) {
        Ok(caller) => caller.expires(),
        Err(refusal) => return Err(path.refused(&peer, shown, METHOD, refusal).await),
    };
    if path.is_draining() {
        return Err(DRAINING);
    }
    let in_flight_max = limits.in_flight_max.max(1);
    let (out, answers) = mpsc::channel(in_flight_max as usize + 4);
    let welcome = screen_response::Message::Welcome(ScreenWelcome { in_flight_max });
    let mut screening = Screening {
        window: Arc::new(Semaphore::new(in_flight_max as usize)),
        path,
        peer,
        presented,
        expiry_notice: None,
        out,
    };
    screening.watch_expiry(expires);
    screening.send(welcome).await;
    tokio::spawn(screening.run(lines));
    Ok(Box::pin(ReceiverStream::new(answers)))
}

impl Screening {
    /// Reads lines until there are no more, or until the caller's certificate is no longer trusted:
    /// a stream on which nothing happens learns that too.
    async fn run(self, lines: Streaming<ScreenRequest>) {
        let (path, peer) = (self.path.clone(), Arc::clone(&self.peer));
        let out = self.out.clone();
        let error = tokio::select! {
            () = self.read(lines) => return,
            error = peer.untrusted(&path.parts().trust) => error,
        };
        let refusal = path.refused(&peer, None, METHOD, error.into()).await;
        let _ = out.send(Err(status(&refusal))).await;
    }

    async fn read(mut self, mut lines: Streaming<ScreenRequest>) {
        while let Some(room) = self.room().await {
            let line = tokio::select! {
                line = lines.message() => line,
                () = self.out.closed() => return,
                notice = notice(self.expiry_notice) => {
                    self.expiry_notice = None;
                    let expires_at = Some(timestamp(notice));
                    let expiring = TokenExpiring { expires_at };
                    self.send(screen_response::Message::TokenExpiring(expiring)).await;
                    continue;
                }
            };
            match line {
                Ok(Some(request)) => self.take(request, room).await,
                // The caller has sent all; the answers on their way still leave.
                Ok(None) => return,
                // A message over the limit, or a broken stream, ends this stream alone.
                Err(broken) => {
                    let broken = self.broken(broken).await;
                    let _ = self.out.send(Err(broken)).await;
                    return;
                }
            }
        }
    }

    /// What the caller is told of a stream that ends here.
    async fn broken(&self, broken: Status) -> Status {
        match unread(&broken) {
            Some(refusal) => status(&self.path.refused(&self.peer, None, METHOD, refusal).await),
            None => broken,
        }
    }

    /// Room for one more line. A line keeps its room until its answer has left the path.
    async fn room(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.window).acquire_owned().await.ok()
    }

    async fn take(&mut self, request: ScreenRequest, room: OwnedSemaphorePermit) {
        match request.message {
            Some(screen_request::Message::Line(line)) => self.ask(line, room),
            Some(screen_request::Message::Token(refresh)) => {
                let fresh = match &self.presented {
                    Some(presented) => presented.refreshed(&refresh.token),
                    None => Presented::bearer(&refresh.token),
                };
                match self.path.admit(&self.peer, Some(&fresh)) {
                    Ok(caller) => {
                        self.presented = Some(fresh);
                        self.watch_expiry(caller.expires());
                    }
                    Err(refusal) => self.refuse(String::new(), refusal).await,
                }
            }
            None => {
                let error = FieldError::new("message", "a line or a token is required");
                self.refuse(String::new(), error.into()).await;
            }
        }
    }

    /// Asks one line, detached: the stream goes on reading meanwhile.
    fn ask(&self, line: ScreenLine, room: OwnedSemaphorePermit) {
        let (path, out, peer) = (self.path.clone(), self.out.clone(), Arc::clone(&self.peer));
        let presented = self.presented.clone();
        tokio::spawn(async move {
            let correlation_id = line.correlation_id.clone();
            let question = match parse(line) {
                Ok(question) => question,
                Err(error) => {
                    let refusal = path.refused(&peer, None, METHOD, error.into()).await;
                    answer(&out, refused(correlation_id, &refusal)).await;
                    return;
                }
            };
            let call = Call {
                peer,
                presented,
                request: question,
                deadline: None,
                operation: None,
                bulk: true,
                method: METHOD,
            };
            let message = match path.ask(call).await {
                Ok(answered) => told(correlation_id, answered),
                // The broker goes: the caller asks again, on another stream, whatever has no
                // answer. A refusal of each line would be its last word.
                Err(refusal) if path.is_draining() => {
                    let _ = out.send(Err(status(&refusal))).await;
                    return;
                }
                Err(refusal) => refused(correlation_id, &refusal),
            };
            answer(&out, message).await;
            drop(room);
        });
    }

    async fn refuse(&self, correlation_id: String, refusal: Refusal) {
        let refusal = self.path.refused(&self.peer, None, METHOD, refusal).await;
        self.send(refused(correlation_id, &refusal)).await;
    }

    async fn send(&self, message: screen_response::Message) {
        answer(&self.out, message).await;
    }

    fn watch_expiry(&mut self, expires: Timestamp) {
        let left = expires.duration_since(self.path.parts().clock.now());
        let until_notice = left.saturating_sub(EXPIRY_NOTICE).max(SignedDuration::ZERO);
        let wait = Duration::try_from(until_notice).unwrap_or_default();
        self.expiry_notice = Some((Instant::now() + wait, expires));
    }
}

/// Resolves when the caller is to be told that its token ends.
async fn notice(at: Option<(Instant, Timestamp)>) -> Timestamp {
    match at {
        Some((when, expires)) => {
            sleep_until(when).await;
            expires
        }
        None => std::future::pending().await,
    }
}

fn parse(line: ScreenLine) -> Result<LookupRequest, FieldError> {
    if line.correlation_id.len() > ID_LEN_MAX {
        return Err(FieldError::new(
            "correlation_id",
            format!("at most {ID_LEN_MAX} bytes"),
        ));
    }
    line.question
        .ok_or_else(|| FieldError::new("question", "a question is required"))
}

fn told(correlation_id: String, answered: Answered) -> screen_response::Message {
    let response = Some(answered.into_response());
    screen_response::Message::Answer(ScreenAnswer {
        correlation_id,
        response,
    })
}

fn refused(correlation_id: String, refusal: &Refusal) -> screen_response::Message {
    let retry_after = refusal.retry_after().unwrap_or_default();
    screen_response::Message::Refusal(ScreenRefusal {
        correlation_id,
        code: code(refusal.class()) as i32,
        reason: refusal.reason().to_owned(),
        message: status(refusal).message().to_owned(),
        field: refusal.field().unwrap_or_default().to_owned(),
        retry_after_ms: u64::try_from(retry_after.as_millis()).unwrap_or(u64::MAX),
    })
}

/// Hands an answer to the stream. If the caller has gone, its entry stands all the same.
async fn answer(out: &Out, message: screen_response::Message) {
    let _ = out
        .send(Ok(ScreenResponse {
            message: Some(message),
        }))
        .await;
}
