//! Opt-outs and swap locks that the source itself knows, imposed as those of the file are.

use std::{collections::HashSet, sync::Arc, time::Duration};

use tokio::{sync::watch, time::timeout};

use super::{
    RuntimeError, Shared,
    link::stopped,
    restrictions::{By, Restriction, RestrictionsError},
};
use crate::source::{RestrictionsWatch, SourceRestrictions};

/// How long the links wait for the first word of the source. A broker serves from its view once it
/// was told what there is, so it is better told a little later than too little.
const FIRST_MAX: Duration = Duration::from_secs(10);

/// Keeps what the source says in force.
pub(super) struct Follower {
    shared: Arc<Shared>,
    told: RestrictionsWatch,
    /// The links may begin.
    known: watch::Sender<bool>,
    imposed: HashSet<Restriction>,
}

impl Follower {
    pub(super) fn new(
        shared: Arc<Shared>,
        told: RestrictionsWatch,
        known: watch::Sender<bool>,
    ) -> Self {
        Self {
            shared,
            told,
            known,
            imposed: HashSet::new(),
        }
    }

    pub(super) async fn run(
        mut self,
        mut stopping: watch::Receiver<bool>,
    ) -> Result<(), RuntimeError> {
        let first = self.told.wait_for(Option::is_some);
        let first = tokio::select! {
            first = timeout(FIRST_MAX, first) => matches!(first, Ok(Ok(_))),
            () = stopped(&mut stopping) => return Ok(()),
        };
        if first {
            self.told.mark_changed();
        } else {
            tracing::warn!("the source does not know its restrictions yet; attaching without them");
            self.known.send_replace(true);
        }
        loop {
            tokio::select! {
                changed = self.told.changed() => if changed.is_err() {
                    return Ok(());
                },
                () = stopped(&mut stopping) => return Ok(()),
            }
            let newest = self.told.borrow_and_update().clone();
            if let Some(newest) = newest {
                self.impose(newest).await?;
                self.known.send_replace(true);
            }
        }
    }

    /// Imposes and lifts the difference; there may be hundreds of thousands.
    async fn impose(&mut self, newest: Arc<SourceRestrictions>) -> Result<(), RuntimeError> {
        let shared = Arc::clone(&self.shared);
        let imposed = std::mem::take(&mut self.imposed);
        let imposing = tokio::task::spawn_blocking(move || difference(&shared, imposed, &newest));
        let (imposed, done) = imposing.await.map_err(|_| RuntimeError::Task)?;
        self.imposed = imposed;
        match done {
            Ok(()) => {
                let restrictions = self.imposed.len();
                tracing::info!(restrictions, "restrictions of the source in force");
                Ok(())
            }
            Err(RestrictionsError::Journal(error)) => Err(error.into()),
            Err(error @ RestrictionsError::TooMany) => {
                // The source still withholds what it is asked; views may serve the rest.
                tracing::error!(%error, "not all restrictions of the source are told to brokers");
                Ok(())
            }
        }
    }
}

fn difference(
    shared: &Shared,
    imposed: HashSet<Restriction>,
    newest: &SourceRestrictions,
) -> (HashSet<Restriction>, Result<(), RestrictionsError>) {
    let opted_out = newest.opted_out.iter().copied();
    let locked = newest.swap_locked.iter().copied();
    let wanted: HashSet<_> = opted_out
        .map(Restriction::OptedOut)
        .chain(locked.map(Restriction::SwapLocked))
        .collect();
    let lifted: Vec<_> = imposed.difference(&wanted).cloned().collect();
    let new: Vec<_> = wanted.difference(&imposed).cloned().collect();
    let restrictions = &shared.restrictions;
    // Lifted ones first, which makes room.
    let done = restrictions.set(&lifted, By::Source, true);
    let imposing = restrictions.set(&new, By::Source, false);
    let done = done.and(imposing);
    if done.is_ok() {
        return (wanted, done);
    }
    // What found no room is tried again with the next export.
    let is_imposed = |one: &Restriction| restrictions.is_imposed(one, By::Source);
    let imposed = wanted.union(&imposed).filter(|one| is_imposed(one));
    (imposed.cloned().collect(), done)
}
