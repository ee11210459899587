//! Several sources, asked at once, each with its own time, ceiling and breaker, and made one by
//! `crate::merge`.
//!
//! ```text
//!            ┌─ part: believed signals · ceiling · in flight · breaker · timeout ─▶ source
//!   ask ─────┤                                                                        │
//!            └─ part: …                                            ◀── observations ──┘
//!              └──────────▶ merge, a signal at a time ──▶ observations
//! ```
//!
//! An adapter of one source is one of several that has a single part.

mod breaker;
mod ceiling;
mod joined;
mod joint;
mod part;
mod stats;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use accord_proto::{clock::SharedClock, msisdn::Msisdn, signal::Signal};
use tokio::{sync::mpsc, time::Instant};

pub(crate) use ceiling::Ceiling;
pub use ceiling::Use;
pub use part::Part;
pub use stats::{Snapshot, Timing};

use crate::source::{RestrictionsWatch, Source, SourceChange, SourceFuture};
use joint::Joint;

/// All sources of one adapter, as one source.
#[derive(Debug)]
pub struct Several {
    joint: Arc<Joint>,
    signals: Vec<Signal>,
}

impl Several {
    /// Joins sources. Of one signal that several know, all are asked.
    #[must_use]
    pub fn new(parts: Vec<Part>, clock: SharedClock) -> Self {
        let known = |signal: &&Signal| parts.iter().any(|part| part.answers(**signal));
        let signals: Vec<Signal> = Signal::ALL.iter().filter(known).copied().collect();
        Self {
            joint: Arc::new(Joint::new(parts, &signals, clock)),
            signals,
        }
    }

    /// The sources, in the order of the configuration.
    pub fn parts(&self) -> impl Iterator<Item = &Part> {
        self.joint.parts.iter().map(|part| &**part)
    }

    /// How often the sources contradicted each other about each signal, since the start.
    #[must_use]
    pub fn contradictions(&self) -> Vec<(Signal, u64)> {
        self.joint.contradictions()
    }
}

impl Source for Several {
    fn signals(&self) -> &[Signal] {
        &self.signals
    }

    fn observe<'a>(
        &'a self,
        msisdn: Msisdn,
        signals: &'a [Signal],
        deadline: Instant,
    ) -> SourceFuture<'a> {
        Box::pin(self.joint.ask(msisdn, signals, deadline, false))
    }

    fn observe_bulk<'a>(
        &'a self,
        msisdn: Msisdn,
        signals: &'a [Signal],
        deadline: Instant,
    ) -> SourceFuture<'a> {
        Box::pin(self.joint.ask(msisdn, signals, deadline, true))
    }

    fn changes(&self) -> Option<mpsc::Receiver<SourceChange>> {
        joined::changes(&self.joint)
    }

    fn restrictions(&self) -> Option<RestrictionsWatch> {
        joined::restrictions(&self.joint.parts)
    }
}
