//! The writer as a process of its own, alone or under `strace`.

use std::{
    io::{ErrorKind, Read as _},
    os::{fd::OwnedFd, unix::net::UnixStream},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};
use tokio::time::Instant;

use super::{SoakError, told::Told, writer::Order};

/// How long a writer may say nothing while something is expected of it.
const SILENCE_MAX: Duration = Duration::from_secs(30);

/// A writer that runs. It is killed when this is dropped.
#[derive(Debug)]
pub(super) struct Writer {
    child: Child,
    stream: UnixStream,
    partial: Vec<u8>,
    /// What it told so far.
    pub(super) told: Told,
}

impl Writer {
    /// Runs `program` (this one, as a rule) as a writer; `wrap` is what runs it, as `strace` does.
    pub(super) fn start(program: &Path, order: &Order, wrap: &[String]) -> Result<Self, SoakError> {
        let (stream, theirs) =
            UnixStream::pair().map_err(SoakError::io("make a socket for", program))?;
        stream
            .set_read_timeout(Some(SILENCE_MAX))
            .map_err(SoakError::io("listen to", program))?;
        let mut command = match wrap.split_first() {
            Some((first, rest)) => {
                let mut command = Command::new(first);
                command.args(rest).arg(program);
                command
            }
            None => Command::new(program),
        };
        let Order {
            dir,
            key,
            waiters,
            entries,
            bytes,
            turn_at,
        } = order;
        let numbers = [
            ("--waiters", waiters.to_string()),
            ("--entries", entries.to_string()),
            ("--bytes", bytes.to_string()),
            ("--turn-at", turn_at.to_string()),
        ];
        command.arg("soak-writer").arg("--dir").arg(dir);
        command.arg("--key").arg(key);
        for (flag, number) in numbers {
            command.arg(flag).arg(number);
        }
        let child = command
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(SoakError::io("run", program))?;
        // The command holds the other end of the socket, and would hold it open.
        drop(command);
        Ok(Self {
            child,
            stream,
            partial: Vec::new(),
            told: Told::default(),
        })
    }

    /// Listens until so many entries are acknowledged, or the writer ended; false then.
    pub(super) fn listen(&mut self, acknowledged: usize) -> Result<bool, SoakError> {
        while self.told.len() < acknowledged {
            if !self.hear()? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Listens to the end.
    pub(super) fn listen_out(&mut self) -> Result<ExitStatus, SoakError> {
        while self.hear()? {}
        self.child
            .wait()
            .map_err(SoakError::io("wait for", &self.name()))
    }

    /// Takes in what was told already, without waiting for more.
    pub(super) fn drain(&mut self) -> Result<(), SoakError> {
        let name = self.name();
        let set = |stream: &UnixStream, is: bool| {
            let set = stream.set_nonblocking(is);
            set.map_err(SoakError::io("listen to", &name))
        };
        set(&self.stream, true)?;
        let heard = loop {
            match self.hear() {
                Ok(true) => {}
                Ok(false) => break Ok(()),
                Err(SoakError::Io { source, .. }) if source.kind() == ErrorKind::WouldBlock => {
                    break Ok(());
                }
                Err(error) => break Err(error),
            }
        };
        set(&self.stream, false)?;
        heard
    }

    /// `kill -9`, and all that it told before.
    pub(super) fn kill(mut self) -> Result<Told, SoakError> {
        let name = self.name();
        self.child.kill().map_err(SoakError::io("kill", &name))?;
        self.listen_out()?;
        Ok(std::mem::take(&mut self.told))
    }

    /// Stops the process where it is, and waits until it stands.
    pub(super) fn freeze(&mut self) -> Result<(), SoakError> {
        self.signal(Signal::STOP)?;
        let stat = PathBuf::from(format!("/proc/{}/task", self.child.id()));
        let until = Instant::now() + SILENCE_MAX;
        while !stands(&stat) {
            if Instant::now() > until {
                let why = "did not stop".to_owned();
                let program = "the writer".to_owned();
                return Err(SoakError::Program { program, why });
            }
            std::thread::yield_now();
        }
        Ok(())
    }

    /// Lets it go on.
    pub(super) fn thaw(&self) -> Result<(), SoakError> {
        self.signal(Signal::CONT)
    }

    fn signal(&self, signal: Signal) -> Result<(), SoakError> {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        let sent = pid.map_or(Ok(()), |pid| kill_process(pid, signal));
        sent.map_err(|error| SoakError::io("signal", &self.name())(error.into()))
    }

    fn name(&self) -> PathBuf {
        PathBuf::from(format!("writer {}", self.child.id()))
    }

    /// Takes in some lines; false at the end. A line that a kill cut short was not told.
    fn hear(&mut self) -> Result<bool, SoakError> {
        let mut piece = [0; 4096];
        let read = match self.stream.read(&mut piece) {
            Ok(read) => read,
            Err(error) if error.kind() == ErrorKind::Interrupted => return Ok(true),
            // What a killed process did not read of us ends like this.
            Err(error) if error.kind() == ErrorKind::ConnectionReset => 0,
            Err(error) => return Err(SoakError::io("hear", &self.name())(error)),
        };
        self.partial
            .extend_from_slice(piece.get(..read).unwrap_or_default());
        while let Some(end) = self.partial.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.partial.drain(..=end).collect();
            let line = String::from_utf8_lossy(&line);
            self.told.hear(line.trim_end());
        }
        Ok(read > 0)
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        // It may have ended by itself.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Whether every thread of a process is stopped.
fn stands(tasks: &Path) -> bool {
    let Ok(listing) = std::fs::read_dir(tasks) else {
        return true;
    };
    listing.flatten().all(|task| {
        let stat = std::fs::read_to_string(task.path().join("stat")).unwrap_or_default();
        let state = stat.rsplit_once(") ").map_or("T", |(_, rest)| rest);
        state.starts_with('T')
    })
}
