//! One source among several: for what it is believed, and how much it may cost.

use std::{sync::Arc, time::Duration};

use accord_proto::{msisdn::Msisdn, reason::Reason, signal::Signal};
use tokio::{
    sync::{Semaphore, SemaphorePermit},
    time::{Instant, timeout, timeout_at},
};

use super::{
    breaker::{Admits, Breaker},
    ceiling::{Ceiling, Use},
    stats::{Snapshot, Stats},
};
use crate::{
    merge::Trust,
    source::{Condition, Observations, SignalSets, Source, SourceState},
    sources::SourceSection,
};

/// A source that had at least this long and did not answer hangs, whatever its configured time.
const LONG_ENOUGH: Duration = Duration::from_millis(100);

/// For how long a question waits for a source that was left alone and is tried again with it. The
/// try itself has the source's whole time.
const TRY_PATIENCE: Duration = Duration::from_millis(20);

/// One source.
#[derive(Debug)]
pub struct Part {
    name: String,
    kind: &'static str,
    source: Arc<dyn Source>,
    believed: Vec<Signal>,
    sets: SignalSets,
    trust: Trust,
    timeout: Duration,
    in_flight: Semaphore,
    ceiling: Option<Ceiling>,
    breaker: Breaker,
    stats: Stats,
}

impl Part {
    /// A source with what its section says.
    #[must_use]
    pub fn new(section: &SourceSection, source: Arc<dyn Source>) -> Self {
        let known = source.signals().iter();
        let believed: Vec<Signal> = known
            .filter(|signal| section.believes(**signal))
            .copied()
            .collect();
        Self {
            name: section.name.clone(),
            kind: section.kind.name(),
            sets: SignalSets::new(&believed),
            believed,
            source,
            trust: section.trust(),
            timeout: section.timeout(),
            in_flight: Semaphore::new(section.in_flight_max()),
            ceiling: section.asks_per_second.map(Ceiling::new),
            breaker: Breaker::default(),
            stats: Stats::new(),
        }
    }

    /// Its name in the configuration.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its kind.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        self.kind
    }

    /// The source itself.
    #[must_use]
    pub const fn source(&self) -> &Arc<dyn Source> {
        &self.source
    }

    /// The signals for which it is asked and believed.
    #[must_use]
    pub fn believed(&self) -> &[Signal] {
        &self.believed
    }

    /// Whether it can have an observation of a signal, rather than only say that a number is not
    /// the operator's.
    #[must_use]
    pub fn answers(&self, signal: Signal) -> bool {
        self.believed.contains(&signal) && self.source.answers().contains(&signal)
    }

    /// How far it is believed.
    #[must_use]
    pub const fn trust(&self) -> Trust {
        self.trust
    }

    /// How it is: what it says of itself, unless it hangs.
    #[must_use]
    pub fn state(&self) -> SourceState {
        let said = self.source.state();
        if self.breaker.is_open() && matches!(said.condition, Condition::Up | Condition::Behind) {
            return SourceState {
                condition: Condition::Down,
                why: "does not answer in time; left alone and tried again".into(),
                since: None,
                ..said
            };
        }
        said
    }

    /// What was counted of it.
    #[must_use]
    pub fn counted(&self) -> Snapshot {
        self.stats.snapshot()
    }

    /// How much of its ceiling is used; `None` where it has none.
    #[must_use]
    pub fn ceiling(&self) -> Option<Use> {
        let ceiling = self.ceiling.as_ref()?;
        Some(ceiling.usage(Instant::now()))
    }

    /// Asks it about those of the signals for which it is believed; of others it says nothing.
    pub(super) async fn ask(
        self: &Arc<Self>,
        msisdn: Msisdn,
        bits: usize,
        deadline: Instant,
        bulk: bool,
    ) -> Observations {
        let signals = self.sets.known_of(bits);
        if signals.is_empty() {
            return Observations::default();
        }
        let begun = Instant::now();
        let left_alone = match self.admit(bulk, begun) {
            Ok(Admitted::Asks(_permit)) => {
                let deadline = deadline.min(begun + self.timeout);
                return self.observe(msisdn, signals, begun, deadline, bulk).await;
            }
            Ok(Admitted::Tries) => match self.try_aside(msisdn, bits, begun, bulk).await {
                Some(told) => return told,
                None => Reason::SourceDown,
            },
            Err(reason) => reason,
        };
        let told = Observations::all(signals, left_alone);
        self.stats.count(&told, None);
        told
    }

    async fn observe(
        &self,
        msisdn: Msisdn,
        signals: &[Signal],
        begun: Instant,
        deadline: Instant,
        bulk: bool,
    ) -> Observations {
        let asked = if bulk {
            self.source.observe_bulk(msisdn, signals, deadline)
        } else {
            self.source.observe(msisdn, signals, deadline)
        };
        let told = timeout_at(deadline, asked).await;
        let told = told.unwrap_or_else(|_| Observations::all(signals, Reason::Timeout));
        let ended = Instant::now();
        self.judge(&told, begun, ended, deadline);
        self.stats.count(&told, Some(ended.duration_since(begun)));
        told
    }

    /// Finds out whether it answers again, beside the question, which may have less time and would
    /// wait for a source that still hangs.
    async fn try_aside(
        self: &Arc<Self>,
        msisdn: Msisdn,
        bits: usize,
        begun: Instant,
        bulk: bool,
    ) -> Option<Observations> {
        let part = Arc::clone(self);
        let trying = tokio::spawn(async move {
            let signals = part.sets.known_of(bits);
            let deadline = begun + part.timeout;
            part.observe(msisdn, signals, begun, deadline, bulk).await
        });
        timeout(TRY_PATIENCE, trying).await.ok()?.ok()
    }

    fn admit(&self, bulk: bool, now: Instant) -> Result<Admitted<'_>, Reason> {
        let permit = self.in_flight.try_acquire();
        let permit = permit.map_err(|_| Reason::Overloaded)?;
        if self
            .ceiling
            .as_ref()
            .is_some_and(|ceiling| !ceiling.admits(bulk, now))
        {
            return Err(Reason::Overloaded);
        }
        // Last, since what it admits is the one ask that tries.
        match self.breaker.admits(now) {
            Admits::Ask => Ok(Admitted::Asks(permit)),
            Admits::Try => Ok(Admitted::Tries),
            Admits::Nobody => Err(Reason::SourceDown),
        }
    }

    /// Whether it hangs. A question with little time says nothing about that.
    fn judge(&self, told: &Observations, begun: Instant, ended: Instant, deadline: Instant) {
        let timed_out = !told.signals.is_empty()
            && told
                .signals
                .iter()
                .all(|(_, said)| *said == Err(Reason::Timeout));
        if !timed_out {
            if self.breaker.answered() {
                tracing::info!(source = self.name, "the source answers again");
            }
            return;
        }
        let had = deadline.duration_since(begun);
        if had >= self.timeout.min(LONG_ENOUGH) && self.breaker.hung(ended) {
            tracing::error!(
                source = self.name,
                "the source does not answer in time; it is left alone and tried again"
            );
        }
    }
}

/// How a question may ask.
enum Admitted<'a> {
    /// In flight for as long as it holds this.
    Asks(SemaphorePermit<'a>),
    /// One at a time, beside those in flight.
    Tries,
}
