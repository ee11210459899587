//! Takes events in: judged, into memory, on the disk, and pushed.

use std::{collections::HashSet, sync::Arc};

use accord_proto::{reason::Reason, signal::Signal};
use jiff::SignedDuration;

use super::EventSource;
use super::envelope::{Event, Happened, What};
use super::producers::Producers;
use super::store::{Digest, Keyed, StoreError};
use crate::source::{Condition, SourceChange};

/// Why events were not taken.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TakeError {
    /// An event lies further ahead than the clocks may differ.
    #[error("an event lies in the future")]
    Future,
    /// An event lies before `earliest`.
    #[error("an event lies before `earliest`")]
    Past,
    /// An event's producer is not declared.
    #[error("an event's `source` is none of `producers`")]
    Producer,
    /// The journal.
    #[error("the journal of events failed")]
    Store(#[from] StoreError),
    /// The program is stopping.
    #[error("the program is stopping")]
    Stopping,
}

impl EventSource {
    /// Takes events: on the disk when this returns, and pushed.
    pub(crate) async fn take(&self, events: Vec<Event>) -> Result<(), TakeError> {
        if let Some(refusal) = events.iter().find_map(|event| self.refusal(event)) {
            return Err(refusal);
        }
        let mut fresh = Fresh::default();
        for event in events {
            self.apply(event, &mut fresh)?;
        }
        self.settle(fresh).await
    }

    /// Why an event can't be taken.
    pub(crate) fn refusal(&self, event: &Event) -> Option<TakeError> {
        let now = self.clock.now();
        let ahead = i64::try_from(self.config.clock_tolerance_ms).unwrap_or(0);
        let latest = now.checked_add(SignedDuration::from_millis(ahead));
        if event.time > latest.unwrap_or(now) {
            return Some(TakeError::Future);
        }
        if event.time < self.earliest {
            return Some(TakeError::Past);
        }
        let declared = self.store.producers(|all| all.declares(&event.source));
        (!declared).then_some(TakeError::Producer)
    }

    /// Takes an event in, in memory.
    pub(crate) fn apply(&self, event: Event, fresh: &mut Fresh) -> Result<(), TakeError> {
        let at = event.time.as_microsecond();
        if let What::Subscriber(msisdn, happened) = event.what {
            let of = self.store.keyed(msisdn);
            if self.store.change(&of, |line| line.take(happened, at))? {
                fresh.tells(of, happened);
            }
        }
        // A producer that tells of other things lives too.
        let pace = self.pace;
        self.store
            .set_producers(|all| all.heard(&event.source, at, pace));
        Ok(())
    }

    /// Makes durable what was taken in, and pushes what of it is new.
    pub(crate) async fn settle(&self, fresh: Fresh) -> Result<(), TakeError> {
        self.flush().await?;
        self.state.set(Condition::Up, "", self.clock.now());
        for (of, due) in &fresh.due {
            self.push(of, *due).await?;
        }
        self.store.pushed(fresh.due.iter().map(|(of, _)| of));
        Ok(())
    }

    /// Something of the stream was lost, or can't be read: the watch begins again with what is heard
    /// next. Durable after the next flush. `why` holds nothing of what was lost: the operator is shown it.
    pub(crate) fn lost(&self, why: impl Into<String>) {
        self.losses.note(why.into(), self.clock.now());
        self.store.set_producers(Producers::restart);
    }

    pub(crate) async fn flush(&self) -> Result<(), TakeError> {
        let store = Arc::clone(&self.store);
        let flushed = tokio::task::spawn_blocking(move || store.flush()).await;
        Ok(flushed.map_err(|_| TakeError::Stopping)??)
    }

    async fn push(&self, of: &Keyed, due: Due) -> Result<(), TakeError> {
        let signal = due.signal;
        let known = self.known(of)(signal);
        let said = match known.observation(signal) {
            // What happened has happened, whatever was lost before.
            Err(Reason::NotWatched) => known.fact(signal),
            said => said,
        };
        let observation = match said {
            Ok(_) | Err(_) if due.word == Word::Ends => None,
            Ok(observation) if self.signals.contains(&signal) => Some(observation),
            // What another source said before was of another line.
            Ok(_) | Err(_) if due.word == Word::Begins => None,
            // Nobody told of it here before.
            Ok(_) => return Ok(()),
            // The number has left, nobody has it, or what holds now can't be told.
            Err(_) => None,
        };
        let change = SourceChange {
            msisdn: of.msisdn,
            signal,
            observation,
            begins: due.word == Word::Begins,
        };
        let sent = self.changes.send(change).await;
        sent.map_err(|_| TakeError::Stopping)
    }
}

/// What is to be pushed, each once.
#[derive(Default)]
pub(crate) struct Fresh {
    /// In the order in which it was heard.
    due: Vec<(Keyed, Due)>,
    all: HashSet<(Digest, Due)>,
}

/// One signal of which something is to be pushed.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Due {
    signal: Signal,
    word: Word,
}

/// What is to be pushed of a signal.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Word {
    /// What is said of a line that began. Where nothing can be said, what was said before is taken
    /// back.
    Begins,
    /// That what was said of it was of a line that ended.
    Ends,
    /// What is said of a line that goes on. Where nothing can be said, what was said before is taken back.
    Goes,
}

impl Fresh {
    /// What happened is to be told, and what it ended.
    fn tells(&mut self, of: Keyed, happened: Happened) {
        let begins = matches!(happened, Happened::Activate(_) | Happened::PortIn);
        let news = if begins { Word::Begins } else { Word::Goes };
        for (signals, word) in [(touched(happened), news), (ended(happened), Word::Ends)] {
            for signal in signals {
                let signal = *signal;
                self.add(of, Due { signal, word });
            }
        }
    }

    fn add(&mut self, of: Keyed, due: Due) {
        if self.all.insert((of.digest, due)) {
            self.due.push((of, due));
        }
    }
}

/// The signals that an event says something of. A line begins with its SIM and its holder, whichever
/// of the operator's sources knows them.
const fn touched(happened: Happened) -> &'static [Signal] {
    match happened {
        Happened::Activate(_) | Happened::PortIn => {
            &[Signal::SimSwap, Signal::NumberRecycling, Signal::Tenure]
        }
        Happened::DeviceChange => &[Signal::DeviceSwap],
        Happened::Forwarding(..) => &[Signal::CallForwarding],
        Happened::SimSwap(_) => &[Signal::SimSwap],
        Happened::SignallingAlarm { passed: true, .. } => &[Signal::SignallingAnomaly],
        // What was blocked is no news.
        Happened::Cease | Happened::PortOut | Happened::SignallingAlarm { .. } => &[],
    }
}

/// The signals of which nothing that was said before holds any more, whichever source said it: all of a
/// subscription that ended, and what was another holder's device, forwarding, network and attack.
const fn ended(happened: Happened) -> &'static [Signal] {
    match happened {
        Happened::Cease | Happened::PortOut => Signal::ALL,
        Happened::Activate(_) | Happened::PortIn => &[
            Signal::DeviceSwap,
            Signal::CallForwarding,
            Signal::Roaming,
            Signal::SignallingAnomaly,
        ],
        Happened::DeviceChange
        | Happened::Forwarding(..)
        | Happened::SignallingAlarm { .. }
        | Happened::SimSwap(_) => &[],
    }
}
