//! What the adapter counts, in the OpenMetrics text format. Labels are few and fixed: sources,
//! signals, reasons, brokers. `docs/metrics.md` lists them all, and a test holds the two together.

use std::fmt;

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric, text::encode},
    metrics::{MetricType, counter::ConstCounter, gauge::ConstGauge},
    registry::Registry,
};

use super::Status;
use crate::{
    several::{Part, Timing},
    source::Condition,
};

pub(super) fn text(status: &Status) -> String {
    let mut registry = Registry::with_prefix("accord_adapter");
    registry.register_collector(Box::new(status.clone()));
    let mut text = String::new();
    // Writing into a string does not fail.
    encode(&mut text, &registry).ok();
    text
}

/// The samples of one metric: a value for each set of labels.
type Samples<'a, const N: usize> = Vec<([(&'static str, &'a str); N], f64)>;

impl Collector for Status {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let parts: Vec<&Part> = self.sources.parts().collect();
        self.source_states(&mut encoder, &parts)?;
        source_counts(&mut encoder, &parts)?;
        let contradictions = self.sources.contradictions();
        let contradictions = contradictions
            .iter()
            .map(|(signal, count)| ([("signal", signal.name())], whole(*count)));
        counters(
            &mut encoder,
            "contradictions",
            "Questions about which the sources contradicted each other",
            &contradictions.collect(),
        )?;
        self.runtime(&mut encoder)
    }
}

impl Status {
    fn source_states(
        &self,
        encoder: &mut DescriptorEncoder<'_>,
        parts: &[&Part],
    ) -> Result<(), fmt::Error> {
        let mut states = Vec::new();
        let mut ages = Vec::new();
        let mut losses = Vec::new();
        for part in parts {
            let state = part.state();
            for condition in Condition::ALL {
                let labels = [("source", part.name()), ("state", condition.name())];
                states.push((labels, f64::from(u8::from(condition == state.condition))));
            }
            if let Some(to) = state.observed_to {
                let age = self.runtime.now().duration_since(to).as_secs_f64();
                ages.push(([("source", part.name())], age));
            }
            if let Some(lost) = state.lost {
                losses.push(([("source", part.name())], whole(lost)));
            }
        }
        gauges(
            encoder,
            "source_state",
            "1 for the state in which a source is",
            &states,
        )?;
        gauges(
            encoder,
            "source_age_seconds",
            "How old the newest instant is that a source vouches for",
            &ages,
        )?;
        counters(
            encoder,
            "source_losses",
            "Times that something was lost of what a source is told",
            &losses,
        )
    }

    fn runtime(&self, encoder: &mut DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let links = self.runtime.links();
        let attached = links.iter().map(|link| {
            (
                [("broker", link.broker.as_str())],
                f64::from(u8::from(link.attached)),
            )
        });
        gauges(
            encoder,
            "attached",
            "1 while a broker is attached",
            &attached.collect(),
        )?;
        let records = encoder.encode_descriptor(
            "journal_records",
            "Records in the adapter's journal",
            None,
            MetricType::Gauge,
        )?;
        ConstGauge::new(whole(self.runtime.journal_head().size)).encode(records)?;
        let restrictions = self.runtime.restrictions();
        let restrictions = [
            ([("kind", "opted_out")], restrictions.opted_out),
            ([("kind", "swap_locked")], restrictions.swap_locked),
            ([("kind", "kill_switch")], restrictions.kill_switches),
        ];
        let restrictions = restrictions
            .into_iter()
            .map(|(labels, count)| (labels, whole(count as u64)));
        gauges(
            encoder,
            "restrictions",
            "Restrictions in force",
            &restrictions.collect(),
        )
    }
}

fn source_counts(encoder: &mut DescriptorEncoder<'_>, parts: &[&Part]) -> Result<(), fmt::Error> {
    let counted: Vec<_> = parts.iter().map(|part| (part, part.counted())).collect();
    let mut asks = Vec::new();
    let mut answers = Vec::new();
    let mut times = Vec::new();
    let mut ceilings = Vec::new();
    let mut used = Vec::new();
    for (part, counted) in &counted {
        asks.push(([("source", part.name())], whole(counted.asks)));
        answers.push((
            [("source", part.name()), ("reason", "answered")],
            whole(counted.answered),
        ));
        for (reason, count) in &counted.reasons {
            let labels = [("source", part.name()), ("reason", reason.name())];
            answers.push((labels, whole(*count)));
        }
        if let Some(Timing { p50, p95 }) = counted.took {
            for (quantile, took) in [("0.5", p50), ("0.95", p95)] {
                let labels = [("source", part.name()), ("quantile", quantile)];
                times.push((labels, took.as_secs_f64()));
            }
        }
        if let Some(ceiling) = part.ceiling() {
            let labels = [("source", part.name())];
            ceilings.push((labels, f64::from(ceiling.per_second)));
            used.push((labels, f64::from(ceiling.last_second)));
        }
    }
    counters(encoder, "source_asks", "Asks of a source", &asks)?;
    counters(
        encoder,
        "source_signals",
        "Signals asked of a source, by what it said",
        &answers,
    )?;
    gauges(
        encoder,
        "source_seconds",
        "How long the newest 1,024 asks took",
        &times,
    )?;
    gauges(
        encoder,
        "source_ceiling",
        "Asks a second that a source is given",
        &ceilings,
    )?;
    gauges(
        encoder,
        "source_ceiling_used",
        "Asks that it was given in the last whole second",
        &used,
    )
}

fn gauges<const N: usize>(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    samples: &Samples<'_, N>,
) -> Result<(), fmt::Error> {
    let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
    for (labels, value) in samples {
        ConstGauge::new(*value).encode(metric.encode_family(labels)?)?;
    }
    Ok(())
}

fn counters<const N: usize>(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    samples: &Samples<'_, N>,
) -> Result<(), fmt::Error> {
    let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
    for (labels, value) in samples {
        ConstCounter::new(*value).encode(metric.encode_family(labels)?)?;
    }
    Ok(())
}

/// A count as a number of the text format, which knows no other; exact up to 2^53.
const fn whole(count: u64) -> f64 {
    count as f64
}
