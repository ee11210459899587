//! What several sources push, joined: changes, and opt-outs with swap locks.

use std::{sync::Arc, time::Duration};

use accord_proto::clock::SharedClock;
use futures_util::future::{join_all, select_all};
use tokio::{
    sync::{mpsc, watch},
    time::timeout,
};

use super::Part;
use crate::{
    merge::{self, Said},
    source::{RestrictionsWatch, SourceChange, SourceRestrictions},
};

/// Changes that may wait for the runtime.
const CHANGES_MAX: usize = 1_024;
/// How long the first word of every source is waited for. The runtime waits a little longer.
const FIRST_MAX: Duration = Duration::from_secs(8);

/// The changes of all sources, each with its bounds moved by the error of its source's clock. Each
/// is true by itself; what the others know of it is asked with the next question.
pub(super) fn changes(
    parts: &[Arc<Part>],
    clock: &SharedClock,
) -> Option<mpsc::Receiver<SourceChange>> {
    let pushing: Vec<_> = parts
        .iter()
        .filter_map(|part| Some((Arc::clone(part), part.source().changes()?)))
        .collect();
    if pushing.is_empty() {
        return None;
    }
    let (joined, out) = mpsc::channel(CHANGES_MAX);
    for (part, changes) in pushing {
        tokio::spawn(forward(part, changes, clock.clone(), joined.clone()));
    }
    Some(out)
}

/// Ends when the source or the runtime does.
async fn forward(
    part: Arc<Part>,
    mut changes: mpsc::Receiver<SourceChange>,
    clock: SharedClock,
    joined: mpsc::Sender<SourceChange>,
) {
    while let Some(change) = changes.recv().await {
        if !part.believed().contains(&change.signal) {
            continue;
        }
        let said = Said {
            trust: part.trust(),
            outcome: Ok(change.observation),
        };
        let Ok(observation) = merge::merge(change.signal, &[said], clock.now()) else {
            tracing::error!(
                source = part.name(),
                signal = %change.signal,
                "the source pushed a change that can't be: it lies in the future, or ends before it begins"
            );
            continue;
        };
        let change = SourceChange {
            observation,
            ..change
        };
        if joined.send(change).await.is_err() {
            return;
        }
    }
}

/// The opt-outs and locks of all sources. The first word comes when each has said its own, or
/// after a while without those that have not.
pub(super) fn restrictions(parts: &[Arc<Part>]) -> Option<RestrictionsWatch> {
    let knowing: Vec<_> = parts
        .iter()
        .filter_map(|part| Some((part.name().to_owned(), part.source().restrictions()?)))
        .collect();
    match knowing.as_slice() {
        [] => return None,
        [(_, only)] => return Some(only.clone()),
        _ => {}
    }
    let (joined, out) = watch::channel(None);
    tokio::spawn(join(knowing, joined));
    Some(out)
}

/// Ends when the runtime does.
async fn join(
    mut knowing: Vec<(String, RestrictionsWatch)>,
    joined: watch::Sender<Option<Arc<SourceRestrictions>>>,
) {
    let all = join_all(knowing.iter_mut().map(|(_, told)| async {
        // An error: the source is gone, and says nothing any more.
        told.wait_for(Option::is_some).await.ok();
    }));
    if timeout(FIRST_MAX, all).await.is_err() {
        for (source, told) in &knowing {
            if told.borrow().is_none() {
                tracing::warn!(source, "does not know its restrictions yet");
            }
        }
    }
    // What sources said that are gone stays in force.
    let mut gone = Vec::new();
    loop {
        joined.send_replace(union(&mut knowing, &gone));
        let changed = knowing
            .iter_mut()
            .map(|(_, told)| Box::pin(told.changed()))
            .collect::<Vec<_>>();
        if changed.is_empty() {
            return;
        }
        let (one, at) = tokio::select! {
            (one, at, _) = select_all(changed) => (one, at),
            () = joined.closed() => return,
        };
        if one.is_err() {
            let (_, told) = knowing.swap_remove(at);
            gone.extend(told.borrow().clone());
        }
    }
}

/// What all know together; `None` if none knows anything yet.
fn union(
    knowing: &mut [(String, RestrictionsWatch)],
    gone: &[Arc<SourceRestrictions>],
) -> Option<Arc<SourceRestrictions>> {
    let told = knowing
        .iter_mut()
        .filter_map(|(_, told)| told.borrow_and_update().clone());
    let told: Vec<_> = told.chain(gone.iter().cloned()).collect();
    if told.is_empty() {
        return None;
    }
    let mut all = SourceRestrictions::default();
    for one in told {
        all.opted_out.extend_from_slice(&one.opted_out);
        all.swap_locked.extend_from_slice(&one.swap_locked);
    }
    Some(Arc::new(all))
}
