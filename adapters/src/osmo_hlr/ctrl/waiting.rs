//! Requests that wait for the next exchange: whoever has the connection asks for all of them.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use super::{CtrlError, EXCHANGE_MAX, Reply};

type Replies = Result<Vec<Reply>, CtrlError>;

/// The requests of one who waits.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) verb: &'static str,
    pub(super) texts: Arc<[String]>,
    done: oneshot::Sender<Replies>,
}

/// All that wait, in the order in which they came.
#[derive(Debug, Default)]
pub(super) struct Waiting(Mutex<VecDeque<Job>>);

impl Waiting {
    /// The replies come by what is returned; an error of that means that whoever asked for all
    /// stopped half-way.
    pub(super) fn enqueue(
        &self,
        verb: &'static str,
        texts: &Arc<[String]>,
    ) -> oneshot::Receiver<Replies> {
        let (done, replies) = oneshot::channel();
        let texts = Arc::clone(texts);
        self.queue().push_back(Job { verb, texts, done });
        replies
    }

    /// The next ones that are of one kind and fit into one exchange, and one at least.
    pub(super) fn next(&self) -> Vec<Job> {
        let mut queue = self.queue();
        let (mut jobs, mut count) = (Vec::<Job>::new(), 0);
        while let Some(job) = queue.pop_front() {
            // Whoever stopped waiting needs no answer.
            if job.done.is_closed() {
                continue;
            }
            let fits = jobs.first().is_none_or(|first| {
                first.verb == job.verb && count + job.texts.len() <= EXCHANGE_MAX
            });
            if !fits {
                queue.push_front(job);
                break;
            }
            count += job.texts.len();
            jobs.push(job);
        }
        jobs
    }

    fn queue(&self) -> MutexGuard<'_, VecDeque<Job>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Gives each its own part of the replies, or the error that befell all.
pub(super) fn tell(jobs: Vec<Job>, replies: Replies) {
    let mut replies = replies.map(Vec::into_iter);
    for job in jobs {
        let of_job = match &mut replies {
            Ok(replies) => Ok(replies.by_ref().take(job.texts.len()).collect()),
            Err(error) => Err(*error),
        };
        // Fails only where nobody waits any more.
        let _ = job.done.send(of_job);
    }
}
