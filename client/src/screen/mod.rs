//! Many questions over one stream.
//!
//! ```text
//!   lines ──▶ in flight (bounded by the broker's window) ──▶ broker
//!                 │  ▲                                         │
//!                 │  └── a stream breaks: open another,        │
//!                 │      send again what has no answer         │
//!   results ◀─────┴────────────────────────────────────────────┘
//! ```
//!
//! Nothing is read from the lines while the window is full, and nothing from the broker while the
//! caller does not take results, so memory is bounded however many lines there are.

mod driver;
mod in_flight;
mod stream;

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use tokio::sync::mpsc;
use tokio_stream::Stream;

use crate::{
    answer::Answered,
    client::Client,
    question::Lookup,
    refusal::{CallError, Refusal},
    token::Scope,
};

/// The most lines in flight, whatever the broker offers.
pub const WINDOW_MAX: usize = 1_024;
/// Results that wait for the caller.
const RESULTS_MAX: usize = 64;

/// One line and what became of it.
#[derive(Clone, Debug)]
pub struct Screened<T> {
    /// What the caller gave with the line.
    pub tag: T,
    /// The answer, or why this line was refused. The stream goes on in any case.
    pub outcome: Result<Answered, LineError>,
}

/// Why one line has no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LineError {
    /// Malformed or outside of the screening's scope (then it was not sent), or refused by the broker.
    #[error("{0}")]
    Refused(Refusal),
    /// The answer is not one to this line, or its receipt does not hold.
    #[error("the broker's answer can't be believed: {0}")]
    Mistrusted(crate::answer::Mistrust),
}

/// The results of a screening, as they come and not in the order of the lines. Each line has
/// exactly one, unless an error ends the screening. Dropping it ends the screening.
#[derive(Debug)]
#[must_use = "nothing is asked until the results are taken"]
pub struct Screening<T> {
    results: mpsc::Receiver<Result<Screened<T>, CallError>>,
}

impl<T> Screening<T> {
    /// The next result; `None` when every line has its own.
    ///
    /// # Errors
    /// [`CallError`] if no broker can be reached any more, or each refuses the stream. It is the
    /// last result; the lines without one can be screened again, with the same request ids.
    pub async fn next(&mut self) -> Option<Result<Screened<T>, CallError>> {
        self.results.recv().await
    }
}

impl<T> Stream for Screening<T> {
    type Item = Result<Screened<T>, CallError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.results.poll_recv(context)
    }
}

impl Client {
    /// Asks about many numbers. `scope` is what the token of the stream allows: every purpose and
    /// principal of the lines; a line for another one is refused here. Each line carries a tag of the
    /// caller's own, which comes back with its result.
    ///
    /// Broken streams are opened again, with another broker if need be, and tokens renewed, so a
    /// screening may take hours. It must be called inside a tokio runtime.
    pub fn screen<T, S>(&self, scope: Scope, lines: S) -> Screening<T>
    where
        T: Send + 'static,
        S: Stream<Item = (T, Lookup)> + Send + 'static,
    {
        let (to_caller, results) = mpsc::channel(RESULTS_MAX);
        let driver = driver::Driver::new(self.clone(), scope, Box::pin(lines), to_caller);
        tokio::spawn(driver.run());
        Screening { results }
    }

    /// As [`screen`](Self::screen), of lines that are at hand and not still to come.
    pub fn screen_all<T, I>(&self, scope: Scope, lines: I) -> Screening<T>
    where
        T: Send + 'static,
        I: IntoIterator<Item = (T, Lookup)>,
        I::IntoIter: Send + 'static,
    {
        self.screen(scope, tokio_stream::iter(lines))
    }
}
