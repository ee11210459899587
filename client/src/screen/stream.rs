//! One stream of a screening, from its welcome to its end.

use std::{future::pending, sync::Arc, time::Duration};

use accord_proto::{
    v1::{self, screen_request, screen_response},
    wire::FieldError,
};
use tokio::{
    sync::mpsc,
    time::{Instant, sleep_until, timeout},
};
use tokio_stream::{StreamExt as _, wrappers::ReceiverStream};
use tonic::{Code, Request, Status, Streaming};

use super::{LineError, Screened, WINDOW_MAX, driver::Driver};
use crate::{
    answer::{Answered, Mistrust},
    client::{Client, check, signals},
    question::Lookup,
    refusal::Refusal,
    session::Session,
    token::{Scope, Token},
};

/// How long a stream may take until its welcome.
const OPEN_S_MAX: u64 = 10;
/// How long a stream with lines in flight may be silent.
const SILENCE_S_MAX: u64 = 60;
/// Messages that wait for the connection.
const OUTGOING_MAX: usize = 16;
/// A token is never renewed more often.
const RENEW_MS_MIN: u64 = 1_000;

/// How a stream ended.
pub(super) enum End {
    /// The caller takes no more results.
    CallerGone,
    /// Every line has its result.
    Finished,
    /// Lines are left.
    Broken(Status),
}

/// An open stream.
pub(super) struct OneStream {
    /// Its tokens are bound to the certificate of its connection, whatever the client has by now.
    session: Arc<Session>,
    outgoing: mpsc::Sender<v1::ScreenRequest>,
    incoming: Streaming<v1::ScreenResponse>,
    window: usize,
    renew_at: Instant,
    renewed_at: Instant,
    last_heard: Instant,
}

/// What to do next.
enum Step<T> {
    Heard(Result<Option<v1::ScreenResponse>, Status>),
    Read(Option<(T, Lookup)>),
    Send,
    Timer,
    CallerGone,
}

impl OneStream {
    /// Opens a stream with one endpoint and waits for its welcome.
    pub(super) async fn open(
        client: &Client,
        scope: &Scope,
        first: usize,
        attempt: u32,
    ) -> Result<Self, Status> {
        let open = async {
            let session = client.inner.auditor.session();
            let (_, broker) = session
                .failover
                .nth(first, attempt)
                .ok_or_else(|| Status::unavailable("no endpoint"))?;
            let token = token(client, scope, &session)?;
            let (outgoing, to_send) = mpsc::channel(OUTGOING_MAX);
            let mut request = Request::new(ReceiverStream::new(to_send));
            let metadata = request.metadata_mut();
            metadata.insert("authorization", token.header.clone());
            let mut incoming = signals(broker.channel.clone())
                .screen(request)
                .await?
                .into_inner();
            let welcome = match incoming.message().await?.and_then(|first| first.message) {
                Some(screen_response::Message::Welcome(welcome)) => welcome,
                Some(
                    screen_response::Message::Answer(_)
                    | screen_response::Message::Refusal(_)
                    | screen_response::Message::TokenExpiring(_),
                )
                | None => return Err(Status::aborted("the stream began without a welcome")),
            };
            let window = usize::try_from(welcome.in_flight_max).unwrap_or(WINDOW_MAX);
            Ok(Self {
                session: Arc::clone(&session),
                outgoing,
                incoming,
                window: window.clamp(1, WINDOW_MAX),
                renew_at: renew_at(client, &token),
                renewed_at: Instant::now(),
                last_heard: Instant::now(),
            })
        };
        timeout(Duration::from_secs(OPEN_S_MAX), open)
            .await
            .unwrap_or_else(|_| Err(Status::unavailable("no welcome in time")))
    }

    /// Until every line has its result or the stream breaks.
    pub(super) async fn run<T: Send + 'static>(mut self, driver: &mut Driver<T>) -> End {
        while driver.lines.is_some() || !driver.in_flight.is_empty() {
            match self.step(driver).await {
                Step::Heard(Ok(Some(message))) => {
                    self.last_heard = Instant::now();
                    let Some(message) = message.message else {
                        continue;
                    };
                    if let Some(end) = self.hear(driver, message).await {
                        return end;
                    }
                    // A caller that takes its time over a result is no silence of the broker.
                    self.last_heard = Instant::now();
                }
                Step::Heard(Ok(None)) => {
                    return End::Broken(Status::aborted("the broker ended the stream"));
                }
                Step::Heard(Err(status)) => return End::Broken(status),
                Step::Read(Some((tag, lookup))) => {
                    if let Some(end) = read(driver, tag, lookup).await {
                        return end;
                    }
                }
                Step::Read(None) => driver.lines = None,
                Step::Send => self.send(driver),
                Step::Timer => {
                    driver.in_flight.release_due(Instant::now());
                    if let Some(end) = self.on_time(driver).await {
                        return end;
                    }
                }
                Step::CallerGone => return End::CallerGone,
            }
        }
        End::Finished
    }

    /// Waits for whatever comes first. Answers come before new lines, so that nothing piles up.
    async fn step<T: Send>(&mut self, driver: &mut Driver<T>) -> Step<T> {
        let room = driver.in_flight.len() < self.window && !driver.in_flight.is_patient();
        let to_send = driver.in_flight.has_to_send();
        let silent_at = self.last_heard + Duration::from_secs(SILENCE_S_MAX);
        let mut wake_at = self.renew_at;
        if !driver.in_flight.is_empty() {
            wake_at = wake_at.min(silent_at);
        }
        if let Some(due) = driver.in_flight.next_due() {
            wake_at = wake_at.min(due);
        }
        let lines = &mut driver.lines;
        let next_line = async {
            match lines {
                Some(lines) if room && !to_send => lines.next().await,
                Some(_) | None => pending().await,
            }
        };
        tokio::select! {
            biased;
            () = driver.results.closed() => Step::CallerGone,
            () = sleep_until(wake_at) => Step::Timer,
            heard = self.incoming.message() => Step::Heard(heard),
            _ = self.outgoing.reserve(), if to_send => Step::Send,
            line = next_line => Step::Read(line),
        }
    }

    /// Sends the next line, if the connection takes it; else the next step tries again.
    fn send<T>(&self, driver: &mut Driver<T>) {
        if let Ok(permit) = self.outgoing.try_reserve()
            && let Some(line) = driver.in_flight.send_next()
        {
            permit.send(v1::ScreenRequest {
                message: Some(screen_request::Message::Line(line)),
            });
        }
    }

    async fn hear<T: Send>(
        &mut self,
        driver: &mut Driver<T>,
        message: screen_response::Message,
    ) -> Option<End> {
        match message {
            screen_response::Message::Welcome(welcome) => {
                let window = usize::try_from(welcome.in_flight_max).unwrap_or(WINDOW_MAX);
                self.window = window.clamp(1, WINDOW_MAX);
                None
            }
            screen_response::Message::TokenExpiring(_) => {
                driver.client.inner.tokens.forget(&driver.scope);
                self.renew(driver).await
            }
            screen_response::Message::Answer(answer) => {
                // An answer to a line that has had one is dropped: the first one stands.
                let line = driver.in_flight.finish(&answer.correlation_id)?;
                driver.progress = true;
                let outcome = answer
                    .response
                    .ok_or(Mistrust::Malformed("response"))
                    .and_then(|response| {
                        let log = &driver.client.inner.auditor.log;
                        check(response, &line.asked, log)
                    })
                    .map_err(LineError::Mistrusted);
                deliver(driver, line.tag, outcome).await
            }
            screen_response::Message::Refusal(refusal) => self.refused(driver, refusal).await,
        }
    }

    /// A refusal that says when to come back, or that the token has ended, is not the line's last
    /// word.
    async fn refused<T: Send>(
        &mut self,
        driver: &mut Driver<T>,
        wire: v1::ScreenRefusal,
    ) -> Option<End> {
        let id = wire.correlation_id.clone();
        let refusal = Refusal::from_line(wire);
        let unauthenticated = refusal.code == Code::Unauthenticated;
        if id.is_empty() {
            // It is about the stream: a fresh token was refused.
            return Some(End::Broken(Status::new(refusal.code, refusal.message)));
        }
        let wait = if unauthenticated {
            Some(Duration::from_millis(RENEW_MS_MIN))
        } else {
            refusal.retry_after
        };
        let tries = wait.and_then(|wait| driver.in_flight.again(&id, wait));
        match tries {
            Some(1) if unauthenticated => self.renew_once(driver).await,
            // Not even a fresh token helps; opening a new stream shows whether anything does.
            Some(_) if unauthenticated => {
                Some(End::Broken(Status::new(refusal.code, refusal.message)))
            }
            Some(_) => None,
            None => {
                driver.progress = true;
                let line = driver.in_flight.finish(&id)?;
                deliver(driver, line.tag, Err(LineError::Refused(refusal))).await
            }
        }
    }

    /// When a token ends, every line in flight says so; one fresh token is enough for all.
    async fn renew_once<T: Send>(&mut self, driver: &mut Driver<T>) -> Option<End> {
        let since = self.renewed_at.elapsed();
        if since < Duration::from_millis(RENEW_MS_MIN) {
            return None;
        }
        driver.client.inner.tokens.forget(&driver.scope);
        self.renew(driver).await
    }

    async fn on_time<T: Send>(&mut self, driver: &mut Driver<T>) -> Option<End> {
        let now = Instant::now();
        let silent_for = now.saturating_duration_since(self.last_heard);
        let waits = driver.in_flight.next_due().is_some();
        if !driver.in_flight.is_empty() && !waits && silent_for.as_secs() >= SILENCE_S_MAX {
            return Some(End::Broken(Status::unavailable("the stream is silent")));
        }
        if waits && silent_for.as_secs() >= SILENCE_S_MAX {
            self.last_heard = now;
        }
        if now >= self.renew_at {
            return self.renew(driver).await;
        }
        None
    }

    /// Sends a fresh token on the stream.
    async fn renew<T: Send>(&mut self, driver: &mut Driver<T>) -> Option<End> {
        let token = match token(&driver.client, &driver.scope, &self.session) {
            Ok(token) => token,
            Err(status) => return Some(End::Broken(status)),
        };
        self.renew_at = renew_at(&driver.client, &token);
        self.renewed_at = Instant::now();
        let refresh = v1::TokenRefresh {
            token: token.text.expose().clone(),
        };
        let message = v1::ScreenRequest {
            message: Some(screen_request::Message::Token(refresh)),
        };
        let wait = Duration::from_secs(OPEN_S_MAX);
        match self.outgoing.send_timeout(message, wait).await {
            Ok(()) => None,
            Err(_) => Some(End::Broken(Status::unavailable("the stream takes nothing"))),
        }
    }
}

fn token(client: &Client, scope: &Scope, session: &Session) -> Result<Token, Status> {
    let token = client.inner.tokens.token(scope, &session.thumbprint);
    token.map_err(|error| Status::failed_precondition(error.to_string()))
}

fn renew_at(client: &Client, token: &Token) -> Instant {
    let fresh_for = client.inner.tokens.fresh_for(token);
    Instant::now() + fresh_for.max(Duration::from_millis(RENEW_MS_MIN))
}

/// Takes one line in. A malformed one, and one that no token of the stream allows, has its result at
/// once and is not sent.
async fn read<T: Send>(driver: &mut Driver<T>, tag: T, lookup: Lookup) -> Option<End> {
    match lookup.check(&driver.client.inner.clock) {
        Ok(asked) => match driver.scope.lacks(&asked.scope) {
            None => {
                driver.in_flight.add(tag, asked);
                None
            }
            Some(field) => {
                let error = FieldError::new(field, "within the scope of the screening");
                refuse(driver, tag, &error).await
            }
        },
        Err(error) => refuse(driver, tag, &error).await,
    }
}

async fn refuse<T: Send>(driver: &mut Driver<T>, tag: T, error: &FieldError) -> Option<End> {
    let refusal = Refusal::from_field(error);
    deliver(driver, tag, Err(LineError::Refused(refusal))).await
}

async fn deliver<T: Send>(
    driver: &mut Driver<T>,
    tag: T,
    outcome: Result<Answered, LineError>,
) -> Option<End> {
    let sent = driver.results.send(Ok(Screened { tag, outcome })).await;
    sent.is_err().then_some(End::CallerGone)
}
