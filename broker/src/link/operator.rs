//! One operator's adapters: least in flight first, a breaker for each, and what they restrict,
//! which stays in force when they go.

use std::{
    collections::HashMap,
    sync::{Arc, RwLock},
};

use accord_proto::{
    clock::SharedClock, party::OrgName, reason::Reason, signal::Signal, wire::FieldError,
};
use tokio::time::Duration;

use super::{
    adapter::{Adapter, AttachInfo, Outgoing},
    ask::{AskDraft, Asked, Patience, hedged, settle},
    pace::Pace,
    reports::{ReportPermit, Reports},
    restrictions::{Budget, KillSwitch, NumberDigest, Restrictions, Subject, TooMany},
};

use crate::unpoisoned;

/// Instances of one operator that may be attached together.
pub const INSTANCES_MAX: usize = 16;
/// Instances that left, whose restrictions are still in force.
pub const INSTANCES_GONE_MAX: usize = 64;

/// The adapters of one operator.
#[derive(Debug, Default)]
pub struct Operator {
    links: RwLock<Links>,
    budget: Arc<Budget>,
    reports: Arc<Reports>,
    pace: Pace,
}

#[derive(Debug, Default)]
struct Links {
    adapters: Vec<Arc<Adapter>>,
    /// What each instance restricts, attached or not, once it has said all, or what it had said
    /// when it left.
    held: HashMap<String, Arc<Restrictions>>,
}

impl Operator {
    /// Whether an adapter of this name might attach now.
    ///
    /// # Errors
    /// The field that stands against it.
    pub fn check_room(&self, instance: &str) -> Result<(), FieldError> {
        unpoisoned::read(&self.links).check_room(instance)
    }

    /// Adds an adapter; an earlier one of the same instance is replaced.
    ///
    /// # Errors
    /// The field that stands against it.
    pub fn attach(&self, info: AttachInfo) -> Result<(Arc<Adapter>, Outgoing), FieldError> {
        let restrictions = Arc::new(Restrictions::new(Arc::clone(&self.budget)));
        let (adapter, outgoing) = Adapter::new(info, restrictions, Arc::clone(&self.reports));
        let mut links = unpoisoned::write(&self.links);
        links.check_room(&adapter.info().instance)?;
        links.part(|other| other.info().instance == adapter.info().instance);
        links.adapters.push(Arc::clone(&adapter));
        Ok((adapter, outgoing))
    }

    /// Removes an adapter whose stream has ended. What it restricts stays in force until the same
    /// instance is back and has said all that it restricts.
    pub fn detach(&self, adapter: &Arc<Adapter>) {
        adapter.detach();
        unpoisoned::write(&self.links).part(|other| Arc::ptr_eq(other, adapter));
    }

    /// The kill switches of this instance that end when the adapter settles, since it did not set
    /// them again.
    #[must_use]
    pub fn kills_to_lift(&self, adapter: &Adapter) -> Vec<KillSwitch> {
        unpoisoned::read(&self.links)
            .held(adapter)
            .map_or_else(Vec::new, |held| held.kills_beyond(&adapter.restrictions))
    }

    /// The adapter has sent every restriction in force: they replace what its instance had set
    /// before, at once.
    pub fn settle(&self, adapter: &Arc<Adapter>) {
        let mut links = unpoisoned::write(&self.links);
        if links
            .adapters
            .iter()
            .any(|other| Arc::ptr_eq(other, adapter))
        {
            links.held.insert(
                adapter.info().instance.clone(),
                Arc::clone(&adapter.restrictions),
            );
            adapter.settle();
        }
    }

    /// Sets or lifts a subject's restriction.
    ///
    /// # Errors
    /// If there would be too many; then the view serves nothing until the adapter has attached
    /// again.
    pub fn restrict(
        &self,
        adapter: &Adapter,
        subject: Subject,
        digest: NumberDigest,
        lifted: bool,
    ) -> Result<(), TooMany> {
        self.change(adapter, lifted, |set| set.subject(subject, digest, lifted))
    }

    /// Sets or lifts a kill switch.
    ///
    /// # Errors
    /// As for [`Self::restrict`].
    pub fn kill(
        &self,
        adapter: &Adapter,
        switch: &KillSwitch,
        lifted: bool,
    ) -> Result<(), TooMany> {
        self.change(adapter, lifted, |set| set.kill(switch.clone(), lifted))
    }

    /// Whether this instance has set this very switch, now or before it attached again.
    #[must_use]
    pub fn has_kill(&self, adapter: &Adapter, switch: &KillSwitch) -> bool {
        adapter.restrictions.has_kill(switch)
            || unpoisoned::read(&self.links)
                .held(adapter)
                .is_some_and(|held| held.has_kill(switch))
    }

    /// A lift reaches what the instance had set before, too.
    fn change(
        &self,
        adapter: &Adapter,
        lifted: bool,
        change: impl Fn(&Restrictions) -> Result<(), TooMany>,
    ) -> Result<(), TooMany> {
        change(&adapter.restrictions)?;
        if lifted && !adapter.is_settled() {
            let links = unpoisoned::read(&self.links);
            links.held(adapter).map_or(Ok(()), |held| change(held))?;
        }
        Ok(())
    }

    /// Whether this adapter is still the one of its instance.
    #[must_use]
    pub fn holds(&self, adapter: &Arc<Adapter>) -> bool {
        let links = unpoisoned::read(&self.links);
        let mut adapters = links.adapters.iter();
        adapters.any(|other| Arc::ptr_eq(other, adapter))
    }

    /// How many are attached.
    #[must_use]
    pub fn attached(&self) -> usize {
        unpoisoned::read(&self.links).adapters.len()
    }

    /// Whether the operator stopped this bank's signal.
    #[must_use]
    pub fn kills(&self, bank: &OrgName, signal: Signal) -> bool {
        self.any(|set| set.kills(bank, signal))
    }

    /// Whether the subscriber has opted out.
    #[must_use]
    pub fn opted_out(&self, digest: &NumberDigest) -> bool {
        self.any(|set| set.opted_out(digest))
    }

    /// Whether the subscriber has locked the SIM.
    #[must_use]
    pub fn swap_locked(&self, digest: &NumberDigest) -> bool {
        self.any(|set| set.swap_locked(digest))
    }

    /// Room for a report of a view-served answer. `None` while no adapter is attached, or while one
    /// has not sent all its restrictions, or had too many: then an opt-out may not have arrived,
    /// and the view must not serve.
    #[must_use]
    pub fn reserve_report(&self) -> Option<ReportPermit> {
        let links = self.links.read().ok()?;
        let settled = links.adapters.iter().all(|adapter| adapter.is_settled());
        if links.adapters.is_empty() || !settled || links.any(Restrictions::has_overflowed) {
            return None;
        }
        self.reports.reserve()
    }

    /// How often this operator's links may add to the ledger.
    #[must_use]
    pub const fn pace(&self) -> &Pace {
        &self.pace
    }

    /// Asks for a line of a screening: it waits for its turn, and has `within` from then on.
    pub async fn ask_in_turn(
        &self,
        draft: &AskDraft,
        within: Duration,
        clock: &SharedClock,
    ) -> Asked {
        match self.candidates(draft) {
            Ok(candidates) => {
                let Some(adapter) = candidates.first() else {
                    return Asked::nobody(draft, Reason::SourceDown);
                };
                settle(
                    adapter,
                    adapter.ask_in_turn(draft, within).await,
                    draft,
                    clock,
                )
            }
            Err(reason) => Asked::nobody(draft, reason),
        }
    }

    /// Asks an adapter, and a second one if the first is slow.
    pub async fn ask(&self, draft: &AskDraft, patience: Patience, clock: &SharedClock) -> Asked {
        let mut candidates = match self.candidates(draft) {
            Ok(candidates) => candidates.into_iter(),
            Err(reason) => return Asked::nobody(draft, reason),
        };
        let Some(first) = candidates.next() else {
            return Asked::nobody(draft, Reason::SourceDown);
        };
        let Some(second) = candidates.next() else {
            return settle(&first, first.ask(draft, patience).await, draft, clock);
        };
        hedged(&first, &second, draft, patience, clock).await
    }

    /// Adapters that may be asked now, least in flight first.
    fn candidates(&self, draft: &AskDraft) -> Result<Vec<Arc<Adapter>>, Reason> {
        let links = unpoisoned::read(&self.links);
        let adapters = &links.adapters;
        let mut able: Vec<_> = adapters
            .iter()
            .filter(|adapter| adapter.is_open() && adapter.can_answer(draft))
            .cloned()
            .collect();
        if able.is_empty() {
            let attached = adapters.iter().any(|adapter| adapter.is_open());
            return Err(if attached {
                Reason::NotAvailable
            } else {
                Reason::SourceDown
            });
        }
        able.retain(|adapter| adapter.is_sound());
        if able.is_empty() {
            return Err(Reason::SourceDown);
        }
        able.retain(|adapter| draft.bulk || adapter.has_credit());
        able.sort_by_key(|adapter| adapter.in_flight());
        if able.is_empty() {
            Err(Reason::Overloaded)
        } else {
            Ok(able)
        }
    }

    #[cfg(test)]
    pub(super) fn budget_for_test(&self, subjects: usize) {
        self.budget.use_up(subjects);
    }

    fn any(&self, is: impl Fn(&Restrictions) -> bool) -> bool {
        // A poisoned list can't be trusted to hold every restriction: then all is restricted.
        self.links.read().map_or(true, |links| links.any(is))
    }
}

impl Links {
    /// Whether a set in force says so: of every instance remembered, and of those that are about
    /// to say all that they restrict.
    fn any(&self, is: impl Fn(&Restrictions) -> bool) -> bool {
        let settling = self.adapters.iter().filter(|one| !one.is_settled());
        self.held.values().any(|set| is(set))
            || settling.into_iter().any(|one| is(&one.restrictions))
    }

    fn held(&self, adapter: &Adapter) -> Option<&Arc<Restrictions>> {
        self.held.get(&adapter.info().instance)
    }

    fn check_room(&self, instance: &str) -> Result<(), FieldError> {
        let attached = |name: &str| self.adapters.iter().any(|one| one.info().instance == name);
        if attached(instance) {
            return Ok(());
        }
        if self.adapters.len() >= INSTANCES_MAX {
            let rule = format!("at most {INSTANCES_MAX} instances of an operator are attached");
            return Err(FieldError::new("hello.instance", rule));
        }
        let gone = self.held.keys().filter(|name| !attached(name)).count();
        if !self.held.contains_key(instance) && gone >= INSTANCES_GONE_MAX {
            let rule = format!(
                "the restrictions of {INSTANCES_GONE_MAX} instances that left are still in force; \
                 attach under the name of one of them"
            );
            return Err(FieldError::new("hello.instance", rule));
        }
        Ok(())
    }

    /// Removes adapters, and keeps what they restrict.
    fn part(&mut self, goes: impl Fn(&Arc<Adapter>) -> bool) {
        let Self { adapters, held } = self;
        adapters.retain(|adapter| {
            if !goes(adapter) {
                return true;
            }
            adapter.detach();
            let instance = &adapter.info().instance;
            match held.get(instance) {
                _ if adapter.is_settled() => {}
                // It went before it had said all: what it said is added to what was in force.
                Some(before) => before.absorb(&adapter.restrictions),
                None => {
                    held.insert(instance.clone(), Arc::clone(&adapter.restrictions));
                }
            }
            if held.get(instance).is_some_and(|set| set.is_empty()) {
                held.remove(instance);
            }
            false
        });
    }
}
