//! The broker operator's own acts on the record: certificates and revocation lists that were
//! loaded, and steps of the clock.

use std::sync::Arc;

use accord_proto::{
    clock::SharedClock,
    v1::{self, operation::Kind},
};
use jiff::{SignedDuration, Timestamp};
use tokio::time::{Duration, Instant};

use crate::{
    entry::record_entry,
    identity::{LoadedFile, TrustStore},
    ledger::{Ledger, LedgerError},
};

/// Puts an act of the broker's operator on the record.
pub(super) async fn record_act(
    ledger: &Ledger,
    kind: Kind,
    digests: Vec<v1::NamedDigest>,
    detail: String,
) -> Result<(), LedgerError> {
    let operation = v1::Operation {
        kind: kind as i32,
        digests,
        detail,
    };
    record_entry(ledger, v1::entry::Event::Operation(operation))
        .await
        .map(drop)
}

/// What is looked at a few times a second.
#[derive(Debug)]
pub(super) struct Acts {
    trust: Arc<TrustStore>,
    ledger: Arc<Ledger>,
    certificates: Vec<LoadedFile>,
    revocations: Vec<LoadedFile>,
    steps: ClockSteps,
}

impl Acts {
    /// Nothing is on the record yet.
    pub(super) fn new(trust: Arc<TrustStore>, ledger: Arc<Ledger>, clock: SharedClock) -> Self {
        Self {
            trust,
            ledger,
            certificates: Vec::new(),
            revocations: Vec::new(),
            steps: ClockSteps::new(clock),
        }
    }

    /// Puts what happened since the last look on the record.
    ///
    /// # Errors
    /// If the ledger takes nothing; then the next look tries again.
    pub(super) async fn look(&mut self) -> Result<(), LedgerError> {
        let ready = self.ledger.check_ready();
        if let Some(step) = self
            .steps
            .look(matches!(ready, Err(LedgerError::ClockStepped)))
            && ready.is_ok()
        {
            let detail = step.to_string();
            record_act(&self.ledger, Kind::ClockStep, Vec::new(), detail).await?;
            self.steps.recorded();
        }
        let loaded = self.trust.loaded();
        if loaded.certificates != self.certificates {
            let digests = named(&loaded.certificates);
            let detail = format!("load {}", loaded.generation);
            record_act(&self.ledger, Kind::CertificatesLoaded, digests, detail).await?;
            self.certificates = loaded.certificates;
        }
        if loaded.revocations != self.revocations {
            let digests = named(&loaded.revocations);
            let detail = format!("load {}", loaded.generation);
            record_act(&self.ledger, Kind::RevocationsLoaded, digests, detail).await?;
            self.revocations = loaded.revocations;
        }
        Ok(())
    }
}

fn named(files: &[LoadedFile]) -> Vec<v1::NamedDigest> {
    let named = files.iter().map(|file| v1::NamedDigest {
        name: file.name.clone(),
        sha256: file.sha256.to_vec(),
    });
    named.collect()
}

/// Steps of the wall clock, against the monotonic one.
#[derive(Debug)]
struct ClockSteps {
    clock: SharedClock,
    /// The last look at which nothing was amiss.
    good: (Timestamp, Instant),
    step: Option<Step>,
}

/// A step, as far as it is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Step {
    /// The farthest that the clock was off.
    by: SignedDuration,
    /// For how long the ledger took nothing.
    lasted: Duration,
}

impl std::fmt::Display for Step {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (by, lasted) = (self.by.as_secs(), self.lasted.as_secs());
        write!(
            f,
            "the clock stepped by {by} s; no entries were taken for {lasted} s"
        )
    }
}

impl ClockSteps {
    fn new(clock: SharedClock) -> Self {
        let good = (clock.now(), Instant::now());
        let step = None;
        Self { clock, good, step }
    }

    /// Looks at the clock; a step is returned until it is recorded.
    fn look(&mut self, stepped: bool) -> Option<Step> {
        let (wall, now) = (self.clock.now(), Instant::now());
        let (good_wall, good_now) = self.good;
        let lasted = now.duration_since(good_now);
        if stepped {
            let elapsed = SignedDuration::try_from(lasted).unwrap_or(SignedDuration::MAX);
            let off = wall.duration_since(good_wall).saturating_sub(elapsed);
            let by = match self.step {
                Some(step) if step.by.abs() > off.abs() => step.by,
                Some(_) | None => off,
            };
            self.step = Some(Step { by, lasted });
        } else if self.step.is_none() {
            self.good = (wall, now);
        }
        self.step
    }

    fn recorded(&mut self) {
        self.step = None;
        self.good = (self.clock.now(), Instant::now());
    }
}

#[cfg(test)]
mod tests {
    use accord_proto::clock::ManualClock;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_step_is_told_with_its_farthest_distance_until_it_is_recorded() {
        let clock = ManualClock::at("2026-11-21T12:00:00Z".parse().unwrap());
        let mut steps = ClockSteps::new(clock.clone());
        assert_eq!(steps.look(false), None);
        clock.step(SignedDuration::from_secs(-3_600));
        let by = SignedDuration::from_secs(-3_600);
        assert_eq!(steps.look(true).unwrap().by, by);
        clock.step(SignedDuration::from_secs(1_800));
        assert_eq!(steps.look(true).unwrap().by, by);
        clock.step(SignedDuration::from_secs(1_800));
        assert_eq!(steps.look(false).unwrap().by, by);
        steps.recorded();
        assert_eq!(steps.look(false), None);
    }
}
