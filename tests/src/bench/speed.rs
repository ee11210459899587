//! (a), (b) and (c): the ceiling, `Lookup` from the view, and `Lookup` from the operator.

use std::{collections::BTreeMap, path::Path, sync::Arc, time::Duration};

use serde::Serialize;

use super::{
    BenchError, Plan,
    figures::{Figures, Round},
    load::Target,
    rig::{FROM_OPERATOR, FROM_VIEW, Rig},
    upkeep::{Meter, Upkeep},
};

/// Requests in flight in the closed loops.
pub const IN_FLIGHT: [usize; 3] = [1, 64, 512];
/// Requests in flight while the ledger's upkeep is metered.
const METERED: usize = 64;
/// Numbers that the view knows.
const NUMBERS: u64 = 10_000;
/// The servers, the ceiling first.
const NAMES: [&str; 3] = ["(a) bare echo", "(b) from the view", "(c) from an adapter"];
/// The broker's counter of signals that the view answered.
const VIEW_SERVED: &str = "accord_view_served_total";

/// One line of the table.
#[derive(Clone, Debug, Serialize)]
pub struct Line {
    /// The server.
    pub server: &'static str,
    /// Requests in flight; none in an open loop.
    pub in_flight: Option<usize>,
    /// Requests a second that an open loop sent.
    pub sent_per_second: Option<f64>,
    /// What was measured.
    #[serde(flatten)]
    pub figures: Figures,
}

/// All of the table.
#[derive(Clone, Debug, Serialize)]
pub struct Speed {
    /// Length of a question and of its answer, without headers.
    pub message_bytes: [usize; 2],
    /// Closed loops.
    pub closed: Vec<Line>,
    /// Open loops at half of the peak.
    pub open: Vec<Line>,
    /// The share of (b)'s answers that the view gave.
    pub view_share: f64,
    /// What checkpoints and tiles cost of (b).
    pub upkeep: Upkeep,
}

struct Bench<'a> {
    plan: &'a Plan,
    rig: Rig,
    targets: [Arc<Target>; 3],
    progress: &'a (dyn Fn(&str) + Sync),
    view_served: u64,
    view_asked: u64,
    meter: Meter,
}

/// Measures in alternating rounds, so that what else the machine does falls upon all alike.
pub(super) async fn measure(
    plan: &Plan,
    dir: &Path,
    progress: &(dyn Fn(&str) + Sync),
) -> Result<Speed, BenchError> {
    progress("starting broker, adapter and bare server");
    let rig = Rig::start(dir).await?;
    let [a, b, c] = NAMES;
    let view = rig.target(b, FROM_VIEW, NUMBERS).await?;
    // The first question about each number brings it into the view.
    view.total(&rig.tokens, 64, NUMBERS).await?;
    let operator = rig.target(c, FROM_OPERATOR, NUMBERS).await?;
    operator.sample(&rig.tokens).await?;
    let response = view.sample(&rig.tokens).await?;
    let (echo, bare) = rig.echo(a, &response, NUMBERS).await?;
    bare.sample(&rig.tokens).await?;
    let message_bytes = super::questions::message_bytes(&rig.tokens, &response)?;
    let mut bench = Bench {
        plan,
        rig,
        targets: [bare, view, operator],
        progress,
        view_served: 0,
        view_asked: 0,
        meter: Meter::default(),
    };
    let closed = bench.closed().await?;
    let open = bench.open(&closed).await?;
    drop(echo);
    bench.rig.stop().await?;
    Ok(Speed {
        message_bytes,
        closed,
        open,
        view_share: super::figures::ratio(count(bench.view_served), count(bench.view_asked)),
        upkeep: bench.meter.upkeep()?,
    })
}

impl Bench<'_> {
    async fn closed(&mut self) -> Result<Vec<Line>, BenchError> {
        let mut rounds: BTreeMap<(usize, usize), Vec<Round>> = BTreeMap::new();
        for number in 1..=self.plan.rounds {
            for in_flight in IN_FLIGHT {
                (self.progress)(&format!(
                    "round {number} of {}: {in_flight} in flight",
                    self.plan.rounds
                ));
                for at in 0..NAMES.len() {
                    let round = self.one_closed(at, in_flight).await?;
                    rounds.entry((in_flight, at)).or_default().push(round);
                }
            }
        }
        let none = Vec::new();
        let lines = rounds.iter().map(|((in_flight, at), measured)| Line {
            server: name(*at),
            in_flight: Some(*in_flight),
            sent_per_second: None,
            figures: Figures::of(measured, rounds.get(&(*in_flight, 0)).unwrap_or(&none)),
        });
        Ok(lines.collect())
    }

    async fn one_closed(&mut self, at: usize, in_flight: usize) -> Result<Round, BenchError> {
        let Plan {
            warm_up, closed, ..
        } = *self.plan;
        let Some(target) = self.targets.get(at).cloned() else {
            return Ok(Round::default());
        };
        let before = self.served_and_asked().await?;
        let metered = (at == 1 && in_flight == METERED).then_some(&self.rig);
        if let Some(rig) = metered {
            self.meter.begin(rig).await?;
        }
        let round = target
            .closed(&self.rig.tokens, in_flight, warm_up, closed)
            .await?;
        if let Some(rig) = metered {
            self.meter.end(rig).await?;
        }
        self.count_view(at, before).await?;
        Ok(round)
    }

    /// Each server at half of its own peak.
    async fn open(&mut self, closed: &[Line]) -> Result<Vec<Line>, BenchError> {
        let peak = |at: usize| {
            let of_server = closed.iter().filter(|line| line.server == name(at));
            of_server
                .map(|line| line.figures.per_second)
                .fold(0.0, f64::max)
        };
        let mut rounds = [const { Vec::new() }; NAMES.len()];
        for number in 1..=self.plan.rounds {
            (self.progress)(&format!(
                "round {number} of {}: open loop",
                self.plan.rounds
            ));
            for (at, measured) in rounds.iter_mut().enumerate() {
                let Some(target) = self.targets.get(at).cloned() else {
                    continue;
                };
                let before = self.served_and_asked().await?;
                let tokens = &self.rig.tokens;
                measured.push(target.open(tokens, peak(at) / 2.0, self.plan.open).await?);
                self.count_view(at, before).await?;
                // What the last one left behind is no concern of the next.
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
        let [ceiling, ..] = &rounds;
        let lines = rounds.iter().enumerate().map(|(at, measured)| Line {
            server: name(at),
            in_flight: None,
            sent_per_second: Some(peak(at) / 2.0),
            figures: Figures::of(measured, ceiling),
        });
        Ok(lines.collect())
    }

    /// What the view answered, and what was asked, since the broker began.
    async fn served_and_asked(&self) -> Result<[u64; 2], BenchError> {
        let served = self.rig.metric(VIEW_SERVED).await?;
        Ok([served, self.rig.metric("accord_questions_total").await?])
    }

    async fn count_view(&mut self, at: usize, before: [u64; 2]) -> Result<(), BenchError> {
        if at == 1 {
            let [served, asked] = self.served_and_asked().await?;
            let [served_before, asked_before] = before;
            self.view_served += served.saturating_sub(served_before);
            self.view_asked += asked.saturating_sub(asked_before);
        }
        Ok(())
    }
}

fn name(at: usize) -> &'static str {
    NAMES.get(at).copied().unwrap_or_default()
}

fn count(number: u64) -> f64 {
    u32::try_from(number).map_or(f64::MAX, f64::from)
}
