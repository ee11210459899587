//! For how long an operator had an adapter attached, of the time that the broker ran.
//!
//! Told by the entries of the links and of the broker's own starts and stops. What was before the
//! first entry is inferred: who leaves, or replies, had been attached. A broker that was killed left
//! no stop, so it counts as running until the last entry before its next start.

use std::collections::{BTreeMap, BTreeSet};

/// A half-open stretch of time, in milliseconds since 1970.
type Span = (u64, u64);

/// Who was there when, as far as entries tell.
#[derive(Clone, Debug, Default)]
pub(super) struct Presence {
    /// The first moment that is looked at, where one was asked for.
    begin: Option<u64>,
    /// Something is known already.
    seen: bool,
    last: u64,
    /// Since when the broker runs.
    running: Option<u64>,
    ran: Vec<Span>,
    operators: BTreeMap<String, Attached>,
}

#[derive(Clone, Debug, Default)]
struct Attached {
    /// Since when each instance is attached, and how many links it has: one that attaches again
    /// replaces its old link, which leaves afterwards.
    now: BTreeMap<String, (u64, u32)>,
    /// Instances of which something is known.
    known: BTreeSet<String>,
    spans: Vec<Span>,
}

impl Presence {
    /// An entry at this time: something ran, and where it is the first one, since the period began.
    pub(super) fn saw(&mut self, at: u64) {
        if !self.seen {
            self.seen = true;
            self.running = Some(self.begin.unwrap_or(at));
        }
        self.last = self.last.max(at);
    }

    /// The period that was asked for begins here, even if nothing happened then.
    pub(super) fn begins(&mut self, at: u64) {
        self.begin = Some(at);
    }

    /// The first log of all was opened: before that there was no broker.
    pub(super) fn first_log(&mut self, at: u64) {
        self.seen = true;
        self.running = None;
        self.last = self.last.max(at);
    }

    /// The broker started. Whatever it did not end itself had ended with its last entry; where this
    /// is the first entry it did not run before.
    pub(super) fn started(&mut self, at: u64) {
        let last = self.last;
        self.stop(last);
        self.first_log(at);
        self.running = Some(at);
    }

    /// The broker stopped.
    pub(super) fn stopped(&mut self, at: u64) {
        self.saw(at);
        self.stop(at);
    }

    fn stop(&mut self, at: u64) {
        if let Some(since) = self.running.take() {
            self.ran.push((since, at));
        }
        for operator in self.operators.values_mut() {
            let ended = std::mem::take(&mut operator.now);
            operator
                .spans
                .extend(ended.into_values().map(|(since, _)| (since, at)));
        }
    }

    /// An adapter attached.
    pub(super) fn attached(&mut self, operator: &str, instance: &str, at: u64) {
        self.saw(at);
        let one = self.operators.entry(operator.to_owned()).or_default();
        one.known.insert(instance.to_owned());
        one.now.entry(instance.to_owned()).or_insert((at, 0)).1 += 1;
    }

    /// An adapter replied, so it is attached.
    pub(super) fn replied(&mut self, operator: &str, instance: &str, at: u64) {
        self.saw(at);
        let one = self.operators.entry(operator.to_owned()).or_default();
        if one.known.insert(instance.to_owned()) {
            let since = self.running.unwrap_or(at);
            one.now.insert(instance.to_owned(), (since, 1));
        }
    }

    /// An adapter left.
    pub(super) fn left(&mut self, operator: &str, instance: &str, at: u64) {
        self.replied(operator, instance, at);
        if let Some(one) = self.operators.get_mut(operator)
            && let Some((since, links)) = one.now.get_mut(instance)
        {
            *links = links.saturating_sub(1);
            if *links == 0 {
                one.spans.push((*since, at));
                one.now.remove(instance);
            }
        }
    }

    /// The period ends with the last entry. For how long the broker ran, and for how long each operator was attached
    /// meanwhile, in milliseconds.
    pub(super) fn finish(mut self) -> (u64, BTreeMap<String, u64>) {
        let last = self.last;
        self.stop(last);
        let ran = merged(self.ran);
        let attached = self
            .operators
            .into_iter()
            .map(|(name, one)| (name, shared(&merged(one.spans), &ran)));
        (
            ran.iter().map(|(from, until)| until - from).sum(),
            attached.collect(),
        )
    }
}

/// Overlapping spans become one.
fn merged(mut spans: Vec<Span>) -> Vec<Span> {
    spans.sort_unstable();
    let mut merged: Vec<Span> = Vec::new();
    for (from, until) in spans.into_iter().filter(|(from, until)| from < until) {
        match merged.last_mut() {
            Some(last) if from <= last.1 => last.1 = last.1.max(until),
            Some(_) | None => merged.push((from, until)),
        }
    }
    merged
}

/// How long both were.
fn shared(some: &[Span], others: &[Span]) -> u64 {
    let mut sum = 0;
    let mut rest = others;
    for (from, until) in some {
        while let Some((first, after)) = rest.split_first() {
            sum += first.1.min(*until).saturating_sub(first.0.max(*from));
            // The next of `some` may still overlap with one that goes on.
            if first.1 > *until {
                break;
            }
            rest = after;
        }
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attached(mut presence: Presence, end: u64) -> (u64, u64) {
        presence.saw(end);
        let (ran, all) = presence.finish();
        (ran, all.get("north").copied().unwrap_or(0))
    }

    #[test]
    fn one_of_two_adapters_is_enough() {
        let mut presence = Presence::default();
        presence.started(100);
        presence.attached("north", "a", 200);
        presence.attached("north", "b", 300);
        presence.left("north", "a", 400);
        presence.left("north", "b", 600);
        presence.attached("north", "a", 700);
        assert_eq!(attached(presence, 1_100), (1_000, 800));
    }

    #[test]
    fn who_leaves_or_replies_first_had_been_there() {
        let mut presence = Presence::default();
        presence.begins(0);
        presence.left("north", "a", 400);
        assert_eq!(attached(presence.clone(), 1_000), (1_000, 400));
        presence.attached("north", "a", 500);
        presence.replied("north", "b", 900);
        assert_eq!(attached(presence, 1_000), (1_000, 1_000));
    }

    #[test]
    fn before_the_first_log_was_opened_nobody_was_missing() {
        let mut presence = Presence::default();
        presence.begins(0);
        presence.first_log(600);
        presence.started(601);
        presence.attached("north", "a", 601);
        assert_eq!(attached(presence, 1_000), (399, 399));
        // And a period that begins while the broker is stopped.
        let mut presence = Presence::default();
        presence.begins(0);
        presence.started(600);
        presence.attached("north", "a", 700);
        assert_eq!(attached(presence, 1_000), (400, 300));
    }

    #[test]
    fn a_broker_that_was_killed_takes_its_links_along() {
        let mut presence = Presence::default();
        presence.started(0);
        presence.attached("north", "a", 100);
        presence.saw(500);
        // Killed after 500; started again at 800.
        presence.started(800);
        presence.attached("north", "a", 900);
        assert_eq!(attached(presence, 1_000), (700, 500));
    }

    #[test]
    fn while_the_broker_is_stopped_nobody_is_missing() {
        let mut presence = Presence::default();
        presence.started(0);
        presence.attached("north", "a", 0);
        presence.stopped(500);
        presence.started(900);
        presence.attached("north", "a", 900);
        assert_eq!(attached(presence, 1_000), (600, 600));
    }

    #[test]
    fn an_adapter_that_replaces_its_own_link_is_there_until_the_new_one_leaves() {
        let mut presence = Presence::default();
        presence.started(0);
        presence.attached("north", "a", 0);
        presence.attached("north", "a", 500);
        presence.left("north", "a", 501);
        presence.left("north", "a", 600);
        assert_eq!(attached(presence, 1_000), (1_000, 600));
    }
}
