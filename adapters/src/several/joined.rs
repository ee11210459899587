//! What several sources push, joined: changes, and opt-outs with swap locks.

use std::{sync::Arc, time::Duration};

use accord_proto::{
    msisdn::Msisdn,
    observation::{Forwarding, Observation, Observed},
    reason::Reason,
    signal::Signal,
};
use futures_util::{
    StreamExt as _,
    future::{join_all, select_all},
    stream,
};
use jiff::Timestamp;
use tokio::{
    sync::{mpsc, watch},
    time::{Instant, timeout},
};

use super::{Part, joint::Joint};
use crate::{
    merge::{self, Said},
    source::{Observations, RestrictionsWatch, SourceChange, SourceRestrictions, signal_bit},
};

/// Changes that may wait for the runtime.
const CHANGES_MAX: usize = 1_024;
/// Changes of one source of which the others are asked at once.
const ASKED_MAX: usize = 16;
/// How long the others have to say what they know of a change.
const ASK_MAX: Duration = Duration::from_secs(2);
/// How long the first word of every source is waited for. The runtime waits a little longer.
const FIRST_MAX: Duration = Duration::from_secs(8);

/// The changes of all sources, each with its bounds moved by the error of its source's clock, and
/// made one with what the others know of it: a broker keeps what it was told last, so what one source
/// has not heard of must not take away what another has seen.
pub(super) fn changes(joint: &Arc<Joint>) -> Option<mpsc::Receiver<SourceChange>> {
    let pushing: Vec<_> = (0..)
        .zip(&joint.parts)
        .filter_map(|(place, part)| Some((place, part.source().changes()?)))
        .collect();
    if pushing.is_empty() {
        return None;
    }
    let (joined, out) = mpsc::channel(CHANGES_MAX);
    for (place, changes) in pushing {
        tokio::spawn(forward(Arc::clone(joint), place, changes, joined.clone()));
    }
    Some(out)
}

/// Ends when the source or the runtime does.
async fn forward(
    joint: Arc<Joint>,
    place: usize,
    mut changes: mpsc::Receiver<SourceChange>,
    joined: mpsc::Sender<SourceChange>,
) {
    let coming = stream::poll_fn(|context| changes.poll_recv(context));
    let mut merged = coming
        .map(|change| merged(&joint, place, change))
        .buffer_unordered(ASKED_MAX);
    while let Some(change) = merged.next().await {
        let Some(change) = change else { continue };
        if joined.send(change).await.is_err() {
            return;
        }
    }
}

/// A change of one source as all know it; `None`: nothing is to be told. What one withdraws holds no
/// more, whatever the others know: who asks then is told by all of them. So it is where a line begins and
/// nothing can be told of it.
async fn merged(joint: &Joint, place: usize, change: SourceChange) -> Option<SourceChange> {
    let (msisdn, signal) = (change.msisdn, change.signal);
    let joined = match change.observation {
        Some(pushed) => joined(joint, place, (msisdn, signal), pushed).await,
        None => Joined::Withdrawn,
    };
    match joined {
        Joined::Told(observation) => Some(SourceChange {
            observation: Some(observation),
            ..change
        }),
        Joined::Nothing if !change.begins => None,
        Joined::Withdrawn | Joined::Nothing => {
            let mut parts = joint.parts.iter();
            let known = parts.any(|part| part.believed().contains(&signal));
            known.then(|| SourceChange::withdrawal(msisdn, signal))
        }
    }
}

/// What becomes of an observation that one source pushes.
enum Joined {
    /// It says nothing that all could be told.
    Nothing,
    /// What all say.
    Told(Observation),
    /// What was said before holds no more.
    Withdrawn,
}

/// An observation that one source pushes, as all know it.
async fn joined(joint: &Joint, place: usize, of: (Msisdn, Signal), pushed: Observation) -> Joined {
    let (_, signal) = of;
    let part = joint.parts.get(place);
    let Some(part) = part.filter(|part| part.believed().contains(&signal)) else {
        return Joined::Nothing;
    };
    let Some(alone) = alone(joint, part, signal, &pushed) else {
        tracing::error!(
            source = part.name(),
            %signal,
            "the source pushed a change that can't be: it lies in the future, or ends before it begins"
        );
        return Joined::Nothing;
    };
    let told = others(joint, place, of, pushed).await;
    match joint.merged(signal, &told, joint.clock.now()) {
        Ok(merged) if all_have_spoken(joint, &told, signal) => Joined::Told(merged),
        // Another one may have seen more, and does not say.
        Ok(_) => fact(alone).map_or(Joined::Nothing, Joined::Told),
        // A view can't hold *contradicted*, and would go on to hold what one of them denies.
        Err(Reason::Contradicted) => {
            worst(joint, &told, signal).map_or(Joined::Withdrawn, Joined::Told)
        }
        // The number left, or all together can't tell: what was said before holds no more.
        Err(_) => Joined::Withdrawn,
    }
}

/// What a part says, believed as far as it alone is.
fn alone(joint: &Joint, part: &Part, signal: Signal, said: &Observation) -> Option<Observation> {
    let said = Said {
        trust: part.trust(),
        outcome: Ok(said.clone()),
    };
    merge::merge(signal, &[said], joint.clock.now()).ok()
}

/// Of all that one says happened, the newest.
fn worst(joint: &Joint, told: &[Observations], signal: Signal) -> Option<Observation> {
    let said = joint.parts.iter().zip(told).filter_map(|(part, told)| {
        let said = told.signals.iter().find(|(of, _)| *of == signal);
        let (_, Ok(observation)) = said? else {
            return None;
        };
        alone(joint, part, signal, observation)
    });
    said.filter_map(|said| Some((happened(&said)?, said)))
        .max_by_key(|(at, _)| *at)
        .map(|(_, said)| said)
}

/// That it happened, and nothing of what came after; `None`: nothing did.
fn fact(mut said: Observation) -> Option<Observation> {
    let at = happened(&said)?;
    said.observed_at = at;
    match &mut said.what {
        Observed::Change(change) => {
            change.monitored_since = change.changed_in.map(|within| within.after());
        }
        Observed::Signalling(seen) => seen.monitored_since = at,
        Observed::Forwarding(_) | Observed::SomeForwarding(_) | Observed::Roaming(_) => {}
    }
    Some(said)
}

/// When that was which a bank would hear *yes* of; `None`: nothing of the kind is said.
fn happened(said: &Observation) -> Option<Timestamp> {
    match &said.what {
        Observed::Change(change) => change.changed_in.map(|within| within.before()),
        Observed::Signalling(seen) => seen.passed_in.map(|within| within.before()),
        Observed::Forwarding(active) | Observed::SomeForwarding(active) => active
            .iter()
            .any(Forwarding::leads_elsewhere)
            .then_some(said.observed_at),
        Observed::Roaming(roaming) => roaming.roaming.then_some(said.observed_at),
    }
}

/// What each part says, the one that pushes by its change. A push asks as a screening does: single
/// questions go before it.
async fn others(
    joint: &Joint,
    place: usize,
    (msisdn, signal): (Msisdn, Signal),
    pushed: Observation,
) -> Vec<Observations> {
    let bits = signal_bit(signal);
    let deadline = Instant::now() + ASK_MAX;
    let asking = (0..).zip(&joint.parts).map(async |(other, part)| {
        if other == place {
            return Observations {
                signals: vec![(signal, Ok(pushed.clone()))],
                ..Observations::default()
            };
        }
        part.ask(msisdn, bits, deadline, true).await
    });
    join_all(asking).await
}

/// Whether each part that can have seen something said what it knows, which may be nothing.
fn all_have_spoken(joint: &Joint, told: &[Observations], signal: Signal) -> bool {
    joint.parts.iter().zip(told).all(|(part, told)| {
        let said = told.signals.iter().find(|(of, _)| *of == signal);
        let silent = matches!(
            said,
            Some((
                _,
                Err(Reason::Overloaded | Reason::SourceDown | Reason::Timeout)
            ))
        );
        !silent || !part.answers(signal)
    })
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
