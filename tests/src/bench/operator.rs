//! An operator with more subscribers than the virtual one, and its adapter in a process of its own.

use std::{
    future::{pending, ready},
    path::Path,
    sync::Arc,
};

use accord_adapters::{
    config::AdapterConfig,
    runtime::Runtime,
    source::{Observations, Source, SourceFuture},
};
use accord_proto::{
    clock::{SharedClock, SystemClock},
    msisdn::Msisdn,
    observation::{Change, ChangedIn, Observation, Observed, SourceClass, SwapKind},
    reason::Reason,
    signal::Signal,
};
use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

use super::{BenchError, child::say_ready};

/// Every number is a subscriber whose SIM is two years old; it answers at once.
#[derive(Debug)]
struct AnyNumber {
    clock: SharedClock,
}

const SIGNALS: &[Signal] = &[Signal::SimSwap];
const SIM_AGE: SignedDuration = SignedDuration::from_hours(2 * 365 * 24);

impl Source for AnyNumber {
    fn signals(&self) -> &[Signal] {
        SIGNALS
    }

    fn observe<'a>(&'a self, _: Msisdn, signals: &'a [Signal], _: Instant) -> SourceFuture<'a> {
        let now = self.clock.now();
        let swapped = now.checked_sub(SIM_AGE).unwrap_or(Timestamp::UNIX_EPOCH);
        let observation = Observation {
            what: Observed::Change(Change {
                changed_in: Some(ChangedIn::at(swapped)),
                monitored_since: None,
                kind: Some(SwapKind::Replacement),
            }),
            observed_at: now,
            source: SourceClass::Virtual,
        };
        let tell = |signal: &Signal| match signal {
            Signal::SimSwap => (*signal, Ok(observation.clone())),
            Signal::DeviceSwap
            | Signal::CallForwarding
            | Signal::Roaming
            | Signal::NumberRecycling
            | Signal::Tenure
            | Signal::SignallingAnomaly => (*signal, Err(Reason::NotAvailable)),
        };
        Box::pin(ready(Observations {
            signals: signals.iter().map(tell).collect(),
            ..Observations::default()
        }))
    }
}

/// Attaches the operator, journal and all, and serves until the benchmark ends.
///
/// # Errors
/// [`BenchError`].
pub async fn serve_adapter(config: &Path) -> Result<(), BenchError> {
    let clock = SystemClock::shared();
    let config = AdapterConfig::load(config)?.runtime()?;
    let source = Arc::new(AnyNumber {
        clock: Arc::clone(&clock),
    });
    let runtime = Runtime::new(config, source, clock)?;
    let mut attached = runtime.attached();
    let told = async {
        // It fails only when the runtime has ended, which is told below.
        if attached.wait_for(|count| *count > 0).await.is_ok() {
            say_ready("attached")?;
        }
        pending().await
    };
    tokio::select! {
        ended = runtime.run(pending()) => Ok(ended?),
        failed = told => failed,
    }
}
