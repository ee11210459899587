//! The benchmark: how fast the broker answers, beside the fastest that the same stack could.
//!
//! ```text
//!                              ┌─▶ bare server          (a) the ceiling: mTLS, tonic, a fixed answer
//!   load generator ── mTLS ────┤
//!   (this process)             └─▶ broker               (b) the whole path, answered from the view
//!                                     ▲ └─ ledger, on a disk
//!                                     └── adapter       (c) the whole path, answered by the operator
//! ```
//!
//! Servers and adapter are processes of their own on the same machine: this program, run again with
//! other arguments, where `serve` is what `accord-broker serve` does. The load generator is the same
//! for all: raw tonic clients on a few connections, prepared tokens, and fresh request ids, without
//! the client library, so that the servers are all that differs. Rounds alternate between the
//! servers, each ratio is taken within a round, and what is shown is the median over the rounds.
//!
//! The generator and, for (b) and (c), the adapter take their share of the same processors, which
//! the table shows; on machines of their own the broker would have that share too.
//!
//! No figure fails anything; an answer other than the one that is measured does.

mod bare_log;
mod camara;
mod child;
mod echo;
mod error;
mod figures;
mod index;
mod judge;
mod ledger;
mod load;
mod machine;
mod memory;
mod mirror;
mod operator;
mod portability;
mod questions;
mod report;
mod rig;
mod sources;
mod speed;
mod tls;
mod unmask;
mod upkeep;

use std::{path::Path, time::Duration};

pub use camara::{Camara, DoorLine, serve_http_echo};
pub use echo::serve_echo;
pub use error::BenchError;
pub use figures::Figures;
pub use index::{Indexing, Timed, measure_index};
pub use ledger::{AppendLine, Appends, WAITERS};
pub use machine::Machine;
pub use memory::Memory;
pub use mirror::{MirrorFigures, Proving, Verifying, run_mirror, verify_here};
pub use operator::serve_adapter;
pub use portability::{Porting, measure_portability};
pub use report::Report;
pub use rig::serve_broker;
pub use sources::{SourceLine, SourcesPlan, SourcesReport, System, measure_sources};
pub use speed::{IN_FLIGHT, Line, Speed};
pub use unmask::{Unmasking, measure_unmask};
pub use upkeep::Upkeep;

/// What is measured, and for how long.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// (a), (b) and (c).
    pub speed: bool,
    /// (d).
    pub ledger: bool,
    /// The CAMARA door.
    pub camara: bool,
    /// Resident memory; how many lookups, 0 for not at all.
    pub lookups: u64,
    rounds: u32,
    warm_up: Duration,
    closed: Duration,
    open: Duration,
    ledger_for: Duration,
}

impl Plan {
    /// A few minutes.
    #[must_use]
    pub const fn full() -> Self {
        Self {
            speed: true,
            ledger: true,
            camara: true,
            lookups: 1_000_000,
            rounds: 5,
            warm_up: Duration::from_millis(500),
            closed: Duration::from_secs(3),
            open: Duration::from_secs(3),
            ledger_for: Duration::from_secs(2),
        }
    }

    /// Why a run of this plan says nothing about the aims.
    const fn only_a_trial(&self) -> Option<&'static str> {
        if cfg!(debug_assertions) {
            Some("not built with --release")
        } else if self.closed.as_secs() < 1 {
            Some("a short run")
        } else {
            None
        }
    }

    /// Half a minute: for CI, where the figures are noise and only their making is tested.
    #[must_use]
    pub const fn short() -> Self {
        Self {
            speed: true,
            ledger: true,
            camara: true,
            lookups: 20_000,
            rounds: 3,
            warm_up: Duration::from_millis(100),
            closed: Duration::from_millis(400),
            open: Duration::from_millis(400),
            ledger_for: Duration::from_millis(400),
        }
    }
}

/// Measures, in a directory that is empty. `progress` is told what goes on.
///
/// # Errors
/// [`BenchError`]; no figure is an error.
pub async fn run(
    plan: &Plan,
    dir: &Path,
    progress: &(dyn Fn(&str) + Sync),
) -> Result<Report, BenchError> {
    let mut report = Report {
        machine: Machine::look(dir),
        rounds: plan.rounds,
        only_a_trial: plan.only_a_trial(),
        speed: None,
        ledger: None,
        camara: None,
        memory: None,
    };
    if plan.speed {
        report.speed = Some(speed::measure(plan, &dir.join("speed"), progress).await?);
    }
    if plan.ledger {
        report.ledger = Some(ledger::measure(plan, dir, progress).await?);
    }
    if plan.camara {
        report.camara = Some(camara::measure(plan, &dir.join("camara"), progress).await?);
    }
    if plan.lookups > 0 {
        report.memory = Some(memory::measure(plan, &dir.join("memory"), progress).await?);
    }
    Ok(report)
}
