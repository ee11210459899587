//! On what machine it was measured, and how busy that was with other things.

use std::{fmt, fs, path::Path, thread};

use rustix::fs::statfs;
use serde::Serialize;

/// What the figures depend on.
#[derive(Clone, Debug, Serialize)]
pub struct Machine {
    /// Processors that this program may use.
    pub cpus: usize,
    /// Their model.
    pub model: String,
    /// The kernel's release.
    pub kernel: String,
    /// Runnable processes in the minute before it began: what else was going on.
    pub load_before: f64,
    /// The ledger lies in memory, so its syncs cost nothing and the figures mean little.
    pub on_tmpfs: bool,
}

/// `TMPFS_MAGIC` of `linux/magic.h`.
const TMPFS_MAGIC: u64 = 0x0102_1994;

impl Machine {
    /// Looks at the machine, and at the disk on which a directory lies.
    #[must_use]
    pub fn look(dir: &Path) -> Self {
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let cpus = read("/proc/cpuinfo");
        let model = cpus.lines().find(|line| line.starts_with("model name"));
        let model = model.and_then(|line| Some(line.split_once(':')?.1.trim().to_owned()));
        let load = read("/proc/loadavg");
        let magic = statfs(dir).map(|found| u64::try_from(found.f_type).unwrap_or(0));
        Self {
            cpus: thread::available_parallelism().map_or(1, usize::from),
            model: model.unwrap_or_else(|| "unknown processor".to_owned()),
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
            load_before: load
                .split(' ')
                .next()
                .and_then(|one| one.parse().ok())
                .unwrap_or(0.0),
            on_tmpfs: magic.is_ok_and(|magic| magic == TMPFS_MAGIC),
        }
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            cpus,
            model,
            kernel,
            load_before,
            on_tmpfs,
        } = self;
        write!(
            f,
            "{cpus} × {model}, Linux {kernel}, load {load_before:.2} before"
        )?;
        if *on_tmpfs {
            f.write_str("; the ledger lies in memory (tmpfs): choose another --dir")?;
        }
        Ok(())
    }
}
