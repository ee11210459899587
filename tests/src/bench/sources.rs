//! Each source beside the fastest client of the same system that we could write, in the same run:
//! the same question, asked in alternating rounds, so that what else the machine does falls upon
//! both alike. The system and both clients share the processors.
//!
//! And a source beside one that hangs: what that costs it.

mod camara;
mod diameter;
mod events;
mod export;
mod hlr;
mod hung;
mod load;
mod sql;

use std::{fmt::Write as _, path::Path, time::Duration};

use clap::ValueEnum;
use serde::Serialize;

use super::{BenchError, Figures, Machine, judge::Judge};

/// What a source is to reach of a bare client.
const AIM: f64 = 0.80;

/// Questions in flight.
const IN_FLIGHT: [usize; 2] = [1, 64];

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum System {
    /// An HLR: osmo-hlr.
    Hlr,
    /// A billing or CRM view: PostgreSQL.
    Sql,
    /// An HSS: python-diameter.
    Diameter,
    /// A stream of events: nats-server.
    Events,
    /// Another operator's CAMARA APIs: a server in the program itself.
    Camara,
    /// An export in memory.
    Export,
    /// A source beside one that hangs.
    Hung,
}

impl System {
    const fn name(self) -> &'static str {
        match self {
            Self::Hlr => "osmo-hlr",
            Self::Sql => "PostgreSQL",
            Self::Diameter => "an HSS over Diameter Sh (python-diameter)",
            Self::Events => "NATS JetStream (nats-server)",
            Self::Camara => "a CAMARA upstream",
            Self::Export => "an export",
            Self::Hung => "osmo-hlr beside one that hangs",
        }
    }
}

/// How long each is measured, and how often.
#[derive(Clone, Copy, Debug)]
pub struct SourcesPlan {
    rounds: u32,
    counted: Duration,
    only_a_trial: Option<&'static str>,
}

impl SourcesPlan {
    /// Five minutes.
    #[must_use]
    pub const fn full() -> Self {
        Self {
            rounds: 5,
            counted: Duration::from_secs(1),
            only_a_trial: if cfg!(debug_assertions) {
                Some("not built with --release")
            } else {
                None
            },
        }
    }

    /// A few seconds, for CI, where the figures are noise.
    #[must_use]
    pub const fn short() -> Self {
        Self {
            rounds: 2,
            counted: Duration::from_millis(200),
            only_a_trial: Some("a short run"),
        }
    }
}

/// One source under one load, beside its bare client.
#[derive(Clone, Debug, Serialize)]
pub struct SourceLine {
    /// Which source, and what was asked.
    pub what: &'static str,
    /// What it is measured against.
    pub beside: &'static str,
    /// Questions in flight.
    pub in_flight: usize,
    /// The source; its ratio is to the other, round by round.
    pub source: Figures,
    /// The other.
    pub bare: Figures,
    /// Whether [`SourcesReport`] judges it by the aim.
    pub judged: bool,
}

/// All that was measured.
#[derive(Clone, Debug, Serialize)]
pub struct SourcesReport {
    /// Where.
    pub machine: Machine,
    /// How often each was measured.
    pub rounds: u32,
    /// Why these figures say nothing about the aim, where they don't.
    pub only_a_trial: Option<&'static str>,
    /// The sources.
    pub lines: Vec<SourceLine>,
    /// What could not be measured here, and why.
    pub left_out: Vec<String>,
}

/// Measures all, or one system's alone, in a directory that is empty. `progress` is told what goes on.
///
/// # Errors
/// [`BenchError`]; no figure is an error, and a system that is not installed is none either.
pub async fn measure_sources(
    plan: SourcesPlan,
    only: Option<System>,
    dir: &Path,
    progress: &(dyn Fn(&str) + Sync),
) -> Result<SourcesReport, BenchError> {
    let mut report = SourcesReport {
        machine: Machine::look(dir),
        rounds: plan.rounds,
        only_a_trial: plan.only_a_trial,
        lines: Vec::new(),
        left_out: Vec::new(),
    };
    for system in System::value_variants().iter().copied() {
        if only.is_none_or(|only| only == system) {
            progress(system.name());
            report.measure(system, plan, dir).await?;
        }
    }
    Ok(report)
}

impl SourcesReport {
    /// Adds what was measured of a system, or why it can't be started here.
    async fn measure(
        &mut self,
        system: System,
        plan: SourcesPlan,
        dir: &Path,
    ) -> Result<(), BenchError> {
        let measured = match system {
            System::Hlr => hlr::measure(plan, &dir.join("hlr")).await?,
            System::Sql => sql::measure(plan, &dir.join("sql")).await?,
            System::Diameter => diameter::measure(plan, &dir.join("diameter")).await?,
            System::Events => events::measure(plan, &dir.join("events")).await?,
            System::Camara => Ok(camara::measure(plan, &dir.join("camara")).await?),
            System::Export => Ok(export::measure(plan, &dir.join("export")).await?),
            System::Hung => hung::measure(plan, &dir.join("hung")).await?,
        };
        match measured {
            Ok(lines) => self.lines.extend(lines),
            Err(why) => self.left_out.push(format!("{}: {why}", system.name())),
        }
        Ok(())
    }

    /// As JSON.
    #[must_use]
    pub fn to_json(&self) -> String {
        // Text, numbers and lists always serialise.
        serde_json::to_string_pretty(self).unwrap_or_default()
    }

    /// As a table.
    #[must_use]
    pub fn to_table(&self) -> String {
        let mut text = String::new();
        // Writing into a text can't fail.
        let _ = writeln!(text, "{}; {} rounds, medians\n", self.machine, self.rounds);
        if let Some(why) = self.only_a_trial {
            let _ = writeln!(text, "{why}: the figures are noise, and no aim is judged\n");
        }
        let _ = writeln!(
            text,
            "{:<54} {:>9} {:>11} {:>8} {:>8} {:>11} {:>8} {:>8} {:>6}   aim {AIM}",
            "source / beside",
            "in flight",
            "lookups/s",
            "p50 µs",
            "p99 µs",
            "bare/s",
            "p50 µs",
            "p99 µs",
            "ratio"
        );
        for line in &self.lines {
            let SourceLine { source, bare, .. } = line;
            let _ = writeln!(
                text,
                "{:<54} {:>9} {:>11.0} {:>8} {:>8} {:>11.0} {:>8} {:>8} {:>6.2}   {}",
                format!("{} / {}", line.what, line.beside),
                line.in_flight,
                source.per_second,
                us(source.p50_us),
                us(source.p99_us),
                bare.per_second,
                us(bare.p50_us),
                us(bare.p99_us),
                source.ratio,
                self.met(line),
            );
        }
        for left_out in &self.left_out {
            let _ = writeln!(text, "not measured: {left_out}");
        }
        text
    }

    fn met(&self, line: &SourceLine) -> &'static str {
        let judge = Judge(self.only_a_trial.is_none());
        match line.judged || self.only_a_trial.is_some() {
            true => judge.met(line.source.ratio >= AIM),
            false => "no aim",
        }
    }
}

/// A latency; none where only the whole was timed.
fn us(latency: f64) -> String {
    if latency > 0.0 {
        format!("{latency:.0}")
    } else {
        "-".to_owned()
    }
}
