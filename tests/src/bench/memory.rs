//! Resident memory of the broker's process: idle, and after questions about as many numbers.

use std::{path::Path, time::Duration};

use serde::Serialize;

use super::{
    BenchError, Plan,
    child::resident_kib,
    rig::{FROM_VIEW, Rig},
};

/// Questions in flight.
const IN_FLIGHT: usize = 64;
/// For memory that is given back late.
const SETTLE: Duration = Duration::from_secs(2);

/// What was measured.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Memory {
    /// With an adapter attached, before the first question, in KiB.
    pub idle_kib: u64,
    /// After the questions, in KiB.
    pub after_kib: u64,
    /// Questions, each about another number, whose answers the view then keeps.
    pub lookups: u64,
    /// Questions a second on the way.
    pub per_second: f64,
}

pub(super) async fn measure(
    plan: &Plan,
    dir: &Path,
    progress: &(dyn Fn(&str) + Sync),
) -> Result<Memory, BenchError> {
    let lookups = plan.lookups;
    progress(&format!("memory: a fresh broker, then {lookups} lookups"));
    let rig = Rig::start(dir).await?;
    let pid = rig
        .broker_pid()
        .ok_or(BenchError::Child { what: "broker" })?;
    tokio::time::sleep(SETTLE).await;
    let idle_kib = resident_kib(pid);
    let target = rig.target("memory", FROM_VIEW, lookups).await?;
    let mut left = lookups;
    let mut seconds = 0.0;
    while left > 0 {
        // A token does not last for all of them.
        let some = left.min(100_000);
        let round = target.total(&rig.tokens, IN_FLIGHT, some).await?;
        seconds += f64::from(u32::try_from(some).unwrap_or(u32::MAX)) / round.per_second().max(1.0);
        left -= some;
        let now_kib = resident_kib(pid);
        progress(&format!(
            "memory: {} lookups, {} MiB",
            lookups - left,
            now_kib / 1_024
        ));
    }
    tokio::time::sleep(SETTLE).await;
    let after_kib = resident_kib(pid);
    rig.stop().await?;
    Ok(Memory {
        idle_kib,
        after_kib,
        lookups,
        per_second: f64::from(u32::try_from(lookups).unwrap_or(u32::MAX)) / f64::max(seconds, 1e-9),
    })
}
