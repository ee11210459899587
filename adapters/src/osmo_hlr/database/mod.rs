//! The SQLite file of an osmo-hlr, read beside its control interface for what that does not tell:
//! the IMEI and the last location update.
//!
//! ```text
//!   ask, poll ──▶ queue ──▶ one thread: open ─▶ read all that waits ─▶ close
//! ```
//!
//! **It leaves no trace.** Nothing is held open between two reads: who holds a database in WAL mode
//! open keeps the HLR from folding the log into the main file when it stops, and an administrator
//! who then copies `hlr.db` alone copies an old state. Nothing is created: SQLite would make `-wal`
//! and `-shm` even for a reader, with an owner under whom the HLR might no longer write them.
//!
//! SQLite blocks, so a thread of its own reads. Its queue is bounded: a file system that hangs
//! costs those who ask their deadline, and the control interface nothing.

mod error;
mod file;
mod imei;
mod row;

use std::path::{Path, PathBuf};

use accord_proto::msisdn::Msisdn;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout_at};

pub use self::error::DatabaseError;
pub(super) use self::row::{Field, Row};

/// Reads that wait for the thread; more are turned away.
const QUEUE_MAX: usize = 256;
/// Reads that are answered from one opening of the file.
const TOGETHER_MAX: usize = 64;

type Answer = Result<Vec<Option<Row>>, DatabaseError>;

struct Job {
    numbers: Vec<Msisdn>,
    answer: oneshot::Sender<Answer>,
}

/// The file and the thread that reads it. The thread ends when this is dropped.
#[derive(Debug)]
pub(super) struct Database {
    path: PathBuf,
    jobs: mpsc::Sender<Job>,
}

impl Database {
    /// Starts the thread. The file need not be there yet.
    ///
    /// # Errors
    /// [`DatabaseError::Thread`].
    pub(super) fn new(path: &Path) -> Result<Self, DatabaseError> {
        let (jobs, waiting) = mpsc::channel(QUEUE_MAX);
        let (path, of_thread) = (path.to_owned(), path.to_owned());
        std::thread::Builder::new()
            .name("hlr-database".to_owned())
            .spawn(move || serve(&of_thread, waiting))
            .map_err(|error| DatabaseError::Thread(error.kind()))?;
        Ok(Self { path, jobs })
    }

    /// What the file says of some numbers, in their order; `None` for a number that nobody has. Ask
    /// it only while the HLR is known to run: that tells its file from a copy.
    ///
    /// # Errors
    /// [`DatabaseError`]; nothing was read then.
    pub(super) async fn read(&self, numbers: Vec<Msisdn>, deadline: Instant) -> Answer {
        let (answer, answered) = oneshot::channel();
        let job = Job { numbers, answer };
        self.jobs.try_send(job).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => DatabaseError::Queue,
            mpsc::error::TrySendError::Closed(_) => DatabaseError::Stopped,
        })?;
        let answered = timeout_at(deadline, answered).await;
        let answered = answered.map_err(|_| DatabaseError::Slow(self.path.clone()))?;
        answered.map_err(|_| DatabaseError::Stopped)?
    }
}

fn serve(path: &Path, mut waiting: mpsc::Receiver<Job>) {
    while let Some(first) = waiting.blocking_recv() {
        let mut jobs = vec![first];
        while jobs.len() < TOGETHER_MAX
            && let Ok(job) = waiting.try_recv()
        {
            jobs.push(job);
        }
        // Whoever stopped waiting needs no answer.
        jobs.retain(|job| !job.answer.is_closed());
        if jobs.is_empty() {
            continue;
        }
        let lists: Vec<&[Msisdn]> = jobs.iter().map(|job| job.numbers.as_slice()).collect();
        match file::read(path, &lists) {
            Ok(rows) => {
                for (job, rows) in jobs.into_iter().zip(rows) {
                    // Fails only where nobody waits any more.
                    let _ = job.answer.send(Ok(rows));
                }
            }
            Err(error) => {
                for job in jobs {
                    // The same.
                    let _ = job.answer.send(Err(error.clone()));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
