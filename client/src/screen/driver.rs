//! Keeps a screening going: streams that break are opened again, within bounds.

use std::{pin::Pin, time::Duration};

use tokio::{sync::mpsc, time::sleep};
use tokio_stream::Stream;
use tonic::{Code, Status};

use super::{
    Screened,
    in_flight::InFlight,
    stream::{End, OneStream},
};
use crate::{
    client::Client,
    failover::{Next, backoff, next},
    question::Lookup,
    refusal::{CallError, Refusal},
    token::Scope,
};

/// How often in a row a stream may break without one answer.
const FAILURES_MAX: u32 = 20;

pub(super) type Lines<T> = Pin<Box<dyn Stream<Item = (T, Lookup)> + Send>>;
pub(super) type Results<T> = mpsc::Sender<Result<Screened<T>, CallError>>;

/// What outlives one stream.
pub(super) struct Driver<T> {
    pub(super) client: Client,
    pub(super) scope: Scope,
    /// `None` when the last line was read.
    pub(super) lines: Option<Lines<T>>,
    pub(super) in_flight: InFlight<T>,
    pub(super) results: Results<T>,
    /// Whether the present stream brought an answer.
    pub(super) progress: bool,
}

impl<T: Send + 'static> Driver<T> {
    pub(super) fn new(client: Client, scope: Scope, lines: Lines<T>, results: Results<T>) -> Self {
        Self {
            client,
            scope,
            lines: Some(lines),
            in_flight: InFlight::new(),
            results,
            progress: false,
        }
    }

    /// Until every line has its result, the caller is gone, or no stream can be had.
    pub(super) async fn run(mut self) {
        let first = self.client.inner.auditor.session().failover.first();
        let mut attempt = 0;
        let mut failures = 0;
        while !self.is_done() {
            self.in_flight.resend_all();
            self.progress = false;
            let Some((at, endpoint)) = self.endpoint(first, attempt) else {
                return;
            };
            let status = match OneStream::open(&self.client, &self.scope, first, attempt).await {
                Ok(stream) => match stream.run(&mut self).await {
                    End::Broken(status) => status,
                    End::CallerGone | End::Finished => return,
                },
                Err(status) => status,
            };
            if self.progress {
                failures = 0;
                self.client.inner.auditor.session().failover.prefer(at);
            } else {
                failures += 1;
                attempt += 1;
            }
            match self.wait_before_reopening(&status, failures) {
                Some(wait) if failures < FAILURES_MAX => sleep(wait).await,
                Some(_) => {
                    let error = CallError::Unreachable {
                        endpoint,
                        attempts: failures,
                        source: Box::new(status),
                    };
                    return self.give_up(error).await;
                }
                None => {
                    let refusal = Refusal::from_status(&status);
                    return self.give_up(CallError::Refused(refusal)).await;
                }
            }
        }
    }

    fn is_done(&self) -> bool {
        self.lines.is_none() && self.in_flight.is_empty()
    }

    fn endpoint(&self, first: usize, attempt: u32) -> Option<(usize, String)> {
        let session = self.client.inner.auditor.session();
        let broker = session.failover.nth(first, attempt);
        broker.map(|(at, broker)| (at, broker.endpoint.clone()))
    }

    /// `None`: the broker has decided, and another stream would end in the same way.
    fn wait_before_reopening(&self, status: &Status, failures: u32) -> Option<Duration> {
        if status.code() == Code::Unauthenticated {
            // The token may have ended with the stream. A fresh one is tried once.
            self.client.inner.tokens.forget(&self.scope);
            return (failures <= 1).then_some(Duration::ZERO);
        }
        let untried = failures < self.client.inner.auditor.session().failover.count();
        match next(status) {
            Next::Elsewhere(_) if untried => Some(Duration::ZERO),
            Next::Later(wait) | Next::Elsewhere(Some(wait)) => Some(wait),
            Next::Elsewhere(None) => Some(backoff(failures)),
            // A stream also ends for reasons of its own: a message over the limit, a drain, a
            // reset, the broker's age limit on connections.
            Next::Never if resumable(status.code()) => Some(backoff(failures)),
            Next::Never => None,
        }
    }

    async fn give_up(self, error: CallError) {
        // The caller may be gone; then nobody misses it.
        let _ = self.results.send(Err(error)).await;
    }
}

fn resumable(code: Code) -> bool {
    [
        Code::Aborted,
        Code::Cancelled,
        Code::DeadlineExceeded,
        Code::Internal,
        Code::OutOfRange,
        Code::ResourceExhausted,
        Code::Unknown,
    ]
    .contains(&code)
}
