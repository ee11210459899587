//! Which broker to ask, and what to do when it does not answer: the one place where a call is
//! repeated.
//!
//! ```text
//!   UNAVAILABLE, or the connection broke        ▶ the next endpoint; after a round, wait and again
//!   a broker that is full (`OVERLOADED`)        ▶ the same
//!   UNAVAILABLE or RESOURCE_EXHAUSTED that says
//!     when to come back                         ▶ wait so long, if the deadline allows
//!   anything else                               ▶ the caller
//! ```
//!
//! Every call that is repeated is one that may be: reads, and questions, whose request id makes
//! the broker return its first answer.

use std::{
    error::Error as _,
    future::Future,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use tokio::time::{Instant, sleep_until, timeout_at};
use tonic::{Code, Status, transport::Channel};
use tonic_types::StatusExt as _;

use crate::{
    builder::DEADLINE_MAX,
    connect::Broker,
    random,
    refusal::{CallError, Refusal, retry_after},
};

/// How often one call is tried; with more endpoints than that, each is tried once.
pub const ATTEMPTS_MAX: u32 = 6;
/// The first wait after all endpoints failed; it doubles.
const BACKOFF_MS: u64 = 50;
/// The longest such wait.
const BACKOFF_MS_MAX: u64 = 2_000;

/// The brokers and the one that answered last.
#[derive(Debug)]
pub(crate) struct Failover {
    brokers: Vec<Broker>,
    preferred: AtomicUsize,
}

/// What a failure means for the next attempt.
pub(crate) enum Next {
    /// Another endpoint may do better; if none does, come back after the wait, if one is given.
    Elsewhere(Option<Duration>),
    /// The broker says when to come back. Another endpoint would be a way around the limit.
    Later(Duration),
    /// The broker has decided.
    Never,
}

/// The `ErrorInfo.reason` of a broker that is full. The rates of a bank have another: they hold
/// at every broker.
const OVERLOADED: &str = "OVERLOADED";

/// Reads a failure.
pub(crate) fn next(status: &Status) -> Next {
    let wait = retry_after(status);
    // Only what never left this machine, or broke on the way, has a source.
    let broke = status.source().is_some();
    if is_overloaded(status) {
        Next::Elsewhere(wait)
    } else if status.code() == Code::ResourceExhausted {
        wait.map_or(Next::Never, Next::Later)
    } else if status.code() == Code::Unavailable || broke {
        Next::Elsewhere(wait)
    } else {
        Next::Never
    }
}

fn is_overloaded(status: &Status) -> bool {
    status.code() == Code::ResourceExhausted
        && status
            .get_details_error_info()
            .is_some_and(|info| info.reason == OVERLOADED)
}

/// The wait before a repetition: exponential, bounded, jittered.
pub(crate) fn backoff(failures: u32) -> Duration {
    let doubled = BACKOFF_MS.saturating_mul(1 << failures.min(10));
    random::jittered(Duration::from_millis(doubled.min(BACKOFF_MS_MAX)))
}

impl Failover {
    /// `brokers` is not empty: [`crate::Endpoints`] sees to it.
    pub(crate) const fn new(brokers: Vec<Broker>) -> Self {
        Self {
            brokers,
            preferred: AtomicUsize::new(0),
        }
    }

    /// Begin with this endpoint from now on.
    pub(crate) fn prefer(&self, at: usize) {
        self.preferred.store(at, Ordering::Relaxed);
    }

    /// Where to begin.
    pub(crate) fn first(&self) -> usize {
        self.preferred.load(Ordering::Relaxed)
    }

    /// The endpoint of an attempt, counted from `first`, and its place in the list.
    pub(crate) fn nth(&self, first: usize, attempt: u32) -> Option<(usize, &Broker)> {
        let count = self.brokers.len().max(1);
        let at = first.wrapping_add(usize::try_from(attempt).unwrap_or(0)) % count;
        self.brokers.get(at).map(|broker| (at, broker))
    }

    /// Calls until an endpoint answers or refuses, within `deadline`, which [`DEADLINE_MAX`] bounds:
    /// so no sum of a time and a caller's duration is beyond what a clock can tell. `call` gets a
    /// connection and the time that it may take.
    pub(crate) async fn call<T, F>(
        &self,
        deadline: Duration,
        call: impl Fn(Channel, Duration) -> F,
    ) -> Result<T, CallError>
    where
        F: Future<Output = Result<T, Status>>,
    {
        let (answer, _) = self.call_one(deadline, call).await?;
        Ok(answer)
    }

    /// As [`call`](Self::call), and says which endpoint answered.
    pub(crate) async fn call_one<T, F>(
        &self,
        deadline: Duration,
        call: impl Fn(Channel, Duration) -> F,
    ) -> Result<(T, &str), CallError>
    where
        F: Future<Output = Result<T, Status>>,
    {
        let deadline = deadline.min(DEADLINE_MAX);
        let ends = Instant::now() + deadline;
        let late = |attempts| CallError::Deadline { deadline, attempts };
        let first = self.first();
        let mut attempt = 0;
        while let Some((at, broker)) = self.nth(first, attempt) {
            let until = self.attempt_ends(attempt, ends);
            let within = until.saturating_duration_since(Instant::now());
            let result = timeout_at(until, call(broker.channel.clone(), within)).await;
            attempt += 1;
            let (status, next) = match result {
                Ok(Ok(answer)) => {
                    self.prefer(at);
                    return Ok((answer, &broker.endpoint));
                }
                // This one hangs; another may not.
                Err(_) => (
                    Status::deadline_exceeded("no answer in time"),
                    Next::Elsewhere(None),
                ),
                Ok(Err(status)) if Instant::now() >= until => (status, Next::Elsewhere(None)),
                // A broker that ends a moment before us was given its share of the time only.
                Ok(Err(status)) if status.code() == Code::DeadlineExceeded => {
                    if attempt >= self.count() {
                        return Err(late(attempt));
                    }
                    (status, Next::Elsewhere(None))
                }
                Ok(Err(status)) => {
                    let next = next(&status);
                    (status, next)
                }
            };
            let come_back = match next {
                Next::Never => return Err(CallError::Refused(Refusal::from_status(&status))),
                Next::Later(wait) => after(wait),
                Next::Elsewhere(_) if attempt < self.count() => Instant::now(),
                Next::Elsewhere(Some(wait)) => after(wait),
                Next::Elsewhere(None) => Instant::now() + backoff(attempt - self.count()),
            };
            if Instant::now() >= ends {
                return Err(late(attempt));
            }
            // A wait beyond the deadline would be in vain, so say at once what happened.
            if attempt >= ATTEMPTS_MAX.max(self.count()) || come_back >= ends {
                return Err(given_up(next, broker, attempt, status));
            }
            sleep_until(come_back).await;
        }
        Err(late(attempt))
    }

    /// How many endpoints there are.
    pub(crate) fn count(&self) -> u32 {
        u32::try_from(self.brokers.len()).unwrap_or(u32::MAX)
    }

    /// While there are endpoints that were not tried yet, each gets its share of the time left.
    fn attempt_ends(&self, attempt: u32, ends: Instant) -> Instant {
        let untried = self.count().saturating_sub(attempt).max(1);
        let now = Instant::now();
        now + ends.saturating_duration_since(now) / untried
    }
}

/// When to come back. A wait that is longer than any deadline is in vain, however long it is.
fn after(wait: Duration) -> Instant {
    let wait = wait.min(DEADLINE_MAX);
    Instant::now() + wait + random::jittered(wait / 4)
}

fn given_up(next: Next, broker: &Broker, attempts: u32, status: Status) -> CallError {
    match next {
        // It was reached, and said no.
        Next::Elsewhere(_) if is_overloaded(&status) => {
            CallError::Refused(Refusal::from_status(&status))
        }
        Next::Later(_) | Next::Never => CallError::Refused(Refusal::from_status(&status)),
        Next::Elsewhere(_) => CallError::Unreachable {
            endpoint: broker.endpoint.clone(),
            attempts,
            source: Box::new(status),
        },
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use tonic_types::ErrorDetails;

    use super::*;

    fn exhausted(reason: &str) -> Status {
        let mut details = ErrorDetails::new();
        details.set_error_info(reason, "accord.v1", HashMap::new());
        details.set_retry_info(Some(Duration::from_millis(100)));
        Status::with_error_details(Code::ResourceExhausted, "no room", details)
    }

    #[test]
    fn a_full_broker_is_left_for_another_and_a_rate_is_not() {
        let wait = Duration::from_millis(100);
        assert!(matches!(next(&exhausted("OVERLOADED")), Next::Elsewhere(Some(w)) if w == wait));
        assert!(matches!(next(&exhausted("RATE_LIMITED")), Next::Later(w) if w == wait));
    }

    #[test]
    fn a_broker_that_says_never_to_come_back_is_beyond_each_deadline() {
        let ends = Instant::now() + DEADLINE_MAX;
        assert!(after(Duration::MAX) >= ends);
    }
}
