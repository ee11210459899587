//! What any source must keep to, checked against a live one.

mod kit;
mod report;
mod scratch;
mod tls;

use std::time::Duration;

use accord_proto::{
    clock::Clock,
    msisdn::Msisdn,
    observation::{Observation, Observed},
    reason::Reason,
    signal::Signal,
    wire,
};
use tokio::time::{Instant, timeout_at};

pub use kit::{Asked, Example, Found, Plan, SignalFound, examine_source};
pub use report::Report;
pub use scratch::{Scratch, ScratchError};
pub use tls::{EXPIRES_SOON, TlsFound};

use crate::source::{Observations, Source};

/// How much later than its deadline a source may answer before that is its fault.
const LATE_MAX: Duration = Duration::from_millis(20);

/// What a source said of one number, and the rules that it broke.
#[derive(Debug)]
pub struct Examined {
    /// How long it took.
    pub took: Duration,
    /// What it said of each signal that it claims to know.
    pub signals: Vec<(Signal, Result<Observation, Reason>)>,
    /// The subscriber is locked against swaps.
    pub customer_lock: bool,
    /// Rules that it broke, in words. None: it conforms.
    pub faults: Vec<String>,
}

/// Asks a source about a number, all its signals together, and judges the answer as a broker would.
pub async fn examine(
    source: &dyn Source,
    msisdn: Msisdn,
    time: Duration,
    clock: &dyn Clock,
) -> Examined {
    examine_of(source, source.signals(), msisdn, time, clock).await
}

/// The same, of some of its signals.
async fn examine_of(
    source: &dyn Source,
    signals: &[Signal],
    msisdn: Msisdn,
    time: Duration,
    clock: &dyn Clock,
) -> Examined {
    let begun = Instant::now();
    let deadline = begun + time;
    let told = timeout_at(
        deadline + LATE_MAX,
        source.observe(msisdn, signals, deadline),
    )
    .await;
    let took = begun.elapsed();
    let mut faults = Vec::new();
    let told = told.unwrap_or_else(|_| {
        faults.push("no answer at its deadline, not even a reason".to_owned());
        Observations::all(signals, Reason::Timeout)
    });
    for signal in signals {
        let said = told.signals.iter().filter(|(of, _)| of == signal).count();
        match said {
            0 => faults.push(format!("{signal}: asked, and not answered")),
            1 => {}
            _ => faults.push(format!("{signal}: answered more than once")),
        }
    }
    for (signal, said) in &told.signals {
        if !signals.contains(signal) {
            faults.push(format!("{signal}: answered, and not asked"));
        }
        if let Ok(observation) = said {
            // The broker's own parser is the judge: intervals, instants, and their order.
            let wire = wire::observation(observation);
            if let Err(error) = wire::parse_observation(&wire, *signal, clock.now()) {
                faults.push(format!("{signal}: {error}"));
            }
        }
    }
    let mut signals = told.signals;
    if told.opted_out {
        for (_, said) in &mut signals {
            *said = Err(Reason::OptedOut);
        }
    }
    Examined {
        took,
        signals,
        customer_lock: told.customer_lock,
        faults,
    }
}

/// One cell of a table: what is known, in a few words.
#[must_use]
pub fn words(said: &Result<Observation, Reason>, clock: &dyn Clock) -> String {
    let observation = match said {
        Ok(observation) => observation,
        Err(reason) => return reason.to_string(),
    };
    match &observation.what {
        Observed::Change(change) => {
            let ago = |at: jiff::Timestamp| age(clock.now().duration_since(at).as_secs());
            match (change.changed_in, change.monitored_since) {
                (Some(within), _) if within.after() == within.before() => {
                    format!("{} ago", ago(within.before()))
                }
                (Some(within), _) => {
                    format!("{} to {} ago", ago(within.before()), ago(within.after()))
                }
                (None, Some(since)) => format!("none in {}", ago(since)),
                (None, None) => "never".to_owned(),
            }
        }
        Observed::Forwarding(active) if active.is_empty() => "none".to_owned(),
        Observed::Forwarding(active) => {
            let names = active.iter().map(|forwarding| forwarding.condition.name());
            names.collect::<Vec<_>>().join("+")
        }
        Observed::SomeForwarding(active) => {
            let names = active.iter().map(|forwarding| forwarding.condition.name());
            format!("{}, others not known", names.collect::<Vec<_>>().join("+"))
        }
        Observed::Roaming(roaming) => match (roaming.roaming, roaming.visited_mcc) {
            (false, _) => "no".to_owned(),
            (true, Some(mcc)) => format!("yes, in {mcc:03}"),
            (true, None) => "yes".to_owned(),
        },
        Observed::Signalling(seen) => {
            let ago = |at: jiff::Timestamp| age(clock.now().duration_since(at).as_secs());
            let kind = seen.kind.map_or("attack", |kind| kind.name());
            match seen.passed_in {
                Some(within) => format!("{kind} {} ago", ago(within.before())),
                None => format!("none in {}", ago(seen.monitored_since)),
            }
        }
    }
}

fn age(seconds: i64) -> String {
    match seconds {
        ..3_600 => format!("{} min", seconds / 60),
        3_600..864_000 => format!("{} h", seconds / 3_600),
        _ => format!("{} days", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use accord_proto::{
        clock::{ManualClock, SharedClock},
        observation::SourceClass,
    };

    use super::*;
    use crate::{
        source::SourceFuture,
        virtual_operator::{TEST_NUMBERS, VirtualOperator},
    };

    fn clock() -> SharedClock {
        ManualClock::at("2026-11-21T12:00:00Z".parse().unwrap())
    }

    #[tokio::test(start_paused = true)]
    async fn the_virtual_operator_conforms_but_for_the_number_whose_clock_is_ahead() {
        let clock = clock();
        let operator = VirtualOperator::new("+447700900", clock.clone()).unwrap();
        for number in TEST_NUMBERS {
            let msisdn = number.msisdn("+447700900").unwrap();
            let examined = examine(&operator, msisdn, Duration::from_millis(800), &*clock).await;
            assert_eq!(
                examined.faults.is_empty(),
                number.digits != 32,
                "{}",
                number.digits
            );
        }
    }

    #[derive(Debug)]
    struct Sloppy;

    impl Source for Sloppy {
        fn signals(&self) -> &[Signal] {
            &[Signal::SimSwap, Signal::Roaming]
        }

        fn observe<'a>(&'a self, _: Msisdn, _: &'a [Signal], _: Instant) -> SourceFuture<'a> {
            let forwarding = Observation {
                what: Observed::Forwarding(Vec::new()),
                observed_at: "2026-11-21T11:00:00Z".parse().unwrap(),
                source: SourceClass::Network,
            };
            let signals = vec![
                (Signal::SimSwap, Ok(forwarding)),
                (Signal::Tenure, Err(Reason::NotAvailable)),
            ];
            Box::pin(std::future::ready(Observations {
                signals,
                ..Observations::default()
            }))
        }
    }

    #[tokio::test]
    async fn each_broken_rule_is_named() {
        let msisdn = Msisdn::parse("+447700900001").unwrap();
        let examined = examine(&Sloppy, msisdn, Duration::from_secs(1), &*clock()).await;
        assert_eq!(
            examined.faults,
            [
                "roaming: asked, and not answered",
                "sim_swap: what breaks a rule: does not answer sim_swap",
                "tenure: answered, and not asked",
            ]
        );
    }
}
