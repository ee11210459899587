//! Servers in processes of their own, and what the system says of a process.

use std::{
    env, fs,
    io::{Read as _, Write as _},
    path::Path,
    process::Stdio,
    thread,
};

use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::{Child as Process, Command},
    time::timeout,
};

use super::BenchError;
use crate::world::WAIT_MAX;

/// A process of the benchmark. It is killed when this is dropped, and ends by itself when the
/// benchmark does.
#[derive(Debug)]
pub(super) struct Child {
    process: Process,
    /// What it said when it was ready.
    pub(super) said: String,
}

impl Child {
    /// Runs this program again with other arguments, and waits until it says that it is ready.
    pub(super) async fn spawn(
        what: &'static str,
        arguments: &[&str],
        path: &Path,
    ) -> Result<Self, BenchError> {
        let program = this_program()?;
        let spawned = Command::new(&program)
            .args(arguments)
            .arg(path)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn();
        let mut process = spawned.map_err(BenchError::io("run", &program))?;
        let stdout = process.stdout.take().ok_or(BenchError::Child { what })?;
        let mut said = String::new();
        let mut lines = BufReader::new(stdout);
        let line = timeout(WAIT_MAX, lines.read_line(&mut said)).await;
        match line {
            Ok(Ok(length)) if length > 0 => Ok(Self {
                process,
                said: said.trim_end().to_owned(),
            }),
            Ok(_) | Err(_) => Err(BenchError::Child { what }),
        }
    }

    pub(super) fn pid(&self) -> Option<u32> {
        self.process.id()
    }
}

/// The program that runs.
pub(super) fn this_program() -> Result<std::path::PathBuf, BenchError> {
    env::current_exe().map_err(BenchError::io("find", Path::new("this program")))
}

/// Tells the benchmark that this process is ready, and sees to it that this process ends when the
/// benchmark does.
pub(super) fn say_ready(text: &str) -> Result<(), BenchError> {
    let mut stdout = std::io::stdout();
    writeln!(stdout, "{text}")
        .and_then(|()| stdout.flush())
        .map_err(BenchError::io("write", Path::new("standard output")))?;
    thread::spawn(|| {
        let mut nothing = [0];
        // The pipe ends with the process that holds the other end.
        while matches!(std::io::stdin().read(&mut nothing), Ok(1..)) {}
        std::process::exit(0);
    });
    Ok(())
}

/// Processor time that a process has used, in microseconds.
pub(super) fn cpu_us(pid: u32) -> u64 {
    /// Linux shows processor time in hundredths of a second on every architecture.
    const US_PER_TICK: u64 = 10_000;
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // The name in parentheses may hold anything; after it come the state and 10 more fields.
    let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields);
    let ticks = fields.split_ascii_whitespace().skip(11).take(2);
    ticks
        .filter_map(|field| field.parse::<u64>().ok())
        .sum::<u64>()
        * US_PER_TICK
}

/// Resident memory of a process in KiB; 0 if the system does not say.
pub(super) fn resident_kib(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|value| value.split_ascii_whitespace().next()?.parse().ok())
        .unwrap_or(0)
}
