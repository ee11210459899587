//! Faults, shown: every fault that the ledger must survive, tried on a ledger under load, and a
//! table of what became of it.
//!
//! ```text
//!   soak ──▶ writer (a process of its own: a ledger under load) ──acknowledgements──▶ soak
//!     │        ▲ strace, kill -9, a disk that is copied
//!     └──▶ the ledger is opened, read, proven, appended to, and verified offline
//! ```
//!
//! Each round comes to one of two ends: *nothing acknowledged is lost*, or *it is refused, with the
//! reason*. Anything else is bad, and so is a fault that was never met.

mod beside;
mod broker;
mod child;
mod error;
mod flips;
mod inject;
mod kills;
mod power;
mod stalled;
mod table;
mod told;
mod torn;
mod witnessed;
mod writer;

use std::path::{Path, PathBuf};

pub use error::SoakError;
pub use table::{Expected, Name, Outcome, Row, Table};
pub use writer::{Order, write};

/// Told what goes on.
type Progress<'a> = &'a (dyn Fn(&str) + Sync);

/// How much is tried.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The program that can be a writer: `accord-bench`.
    pub writer: PathBuf,
    /// `accord-broker`.
    pub broker: PathBuf,
    /// Every system call fails once, and not only the first and the last of each place.
    pub every_call: bool,
    /// Rounds of `kill -9` of a ledger.
    pub ledger_kills: u32,
    /// Rounds of `kill -9` of a broker that banks ask.
    pub broker_kills: u32,
    /// Images of a disk.
    pub images: u32,
    /// A torn tail at each so manieth byte.
    pub tear_step: usize,
    /// Flipped bits of each kind of byte.
    pub flips: usize,
    /// Flipped bits of each kind where a whole broker has to start to see it.
    pub worlds: usize,
}

impl Plan {
    /// All of it, which takes its time.
    #[must_use]
    pub const fn full(writer: PathBuf, broker: PathBuf) -> Self {
        Self {
            writer,
            broker,
            every_call: true,
            ledger_kills: 1_000,
            broker_kills: 1_000,
            images: 200,
            tear_step: 1,
            flips: 64,
            worlds: 16,
        }
    }

    /// Each fault, a few times: for CI.
    #[must_use]
    pub fn short(writer: PathBuf, broker: PathBuf) -> Self {
        Self {
            every_call: false,
            ledger_kills: 40,
            broker_kills: 10,
            images: 10,
            tear_step: 23,
            flips: 3,
            worlds: 2,
            ..Self::full(writer, broker)
        }
    }
}

/// The table with all its rows, and nothing tried yet.
#[must_use]
pub fn rows() -> Table {
    let mut table = Table::default();
    table.expect(&inject::ROWS, &inject::KINDS);
    table.expect(&kills::ROWS, &[]);
    table.expect(&broker::ROWS, &[]);
    table.expect(&power::ROWS, &[]);
    table.expect(&torn::ROWS, &[]);
    table.expect(&flips::ROWS, &[]);
    table.expect(&beside::ROWS, &[]);
    table.expect(&witnessed::ROWS, &[]);
    table.expect(&stalled::ROWS, &[]);
    table
}

/// Tries every fault, in a directory that is empty, and counts what became of it in `table`, which
/// has [`rows`]. Hours of work are not lost with the last of it: the table is the caller's.
///
/// # Errors
/// [`SoakError`]: a fault could not be tried. What the faults did until then is in the table.
pub async fn run(
    plan: &Plan,
    dir: &Path,
    table: &mut Table,
    progress: Progress<'_>,
) -> Result<(), SoakError> {
    table.dir = dir.display().to_string();
    let within = |name: &str| -> Result<PathBuf, SoakError> {
        let path = dir.join(name);
        std::fs::create_dir_all(&path).map_err(SoakError::io("make", &path))?;
        Ok(path)
    };
    let writer = &plan.writer;
    let every = plan.every_call;
    inject::run(table, writer, &within("inject")?, every, progress)?;
    let kills = plan.ledger_kills;
    kills::run(table, writer, &within("kills")?, kills, progress)?;
    power::run(table, writer, &within("power")?, plan.images, progress)?;
    torn::run(table, &within("torn")?, plan.tear_step)?;
    flips::run(table, writer, &within("flips")?, plan.flips, progress)?;
    witnessed::run(table, &within("witnessed")?, plan.flips)?;
    stalled::run(table, &within("stalled")?).await?;
    beside::run(table, &within("beside")?, plan.worlds, progress).await?;
    broker::run(table, plan, &within("broker")?, progress).await
}
