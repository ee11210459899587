//! What stands suspended or ended, looked at for each question.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::Target;
use crate::{document::Authority, party::OrgName, signal::Signal};

/// One authority asked; the other has not yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asked {
    /// Who.
    pub by: Authority,
    /// When.
    pub at: Timestamp,
}

/// A suspension that stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Suspension {
    /// Who suspended first.
    pub by: Authority,
    /// When.
    pub since: Timestamp,
    /// Why, in that authority's words.
    pub reason: String,
    /// The other suspended it as well.
    pub by_both: bool,
    /// One of the two has asked to lift it.
    pub lift_asked: Option<Asked>,
}

/// The end of an agreement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ended {
    /// No agreement of this version or an older one allows anything.
    pub version: u64,
    /// Since when.
    pub at: Timestamp,
}

/// What stands suspended or ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    pub(super) all: Option<Suspension>,
    pub(super) banks: BTreeMap<OrgName, Suspension>,
    pub(super) operators: BTreeMap<OrgName, Suspension>,
    pub(super) signals: BTreeMap<Signal, Suspension>,
    pub(super) ended: Option<Ended>,
    pub(super) end_asked: Option<(u64, Asked)>,
}

impl Standing {
    /// Whether the whole agreement is suspended.
    #[must_use]
    pub const fn all(&self) -> Option<&Suspension> {
        self.all.as_ref()
    }

    /// Whether a bank is.
    #[must_use]
    pub fn bank(&self, bank: &OrgName) -> Option<&Suspension> {
        self.banks.get(bank)
    }

    /// Whether an operator is.
    #[must_use]
    pub fn operator(&self, operator: &OrgName) -> Option<&Suspension> {
        self.operators.get(operator)
    }

    /// Whether a signal is.
    #[must_use]
    pub fn signal(&self, signal: Signal) -> Option<&Suspension> {
        self.signals.get(&signal)
    }

    /// Whether an agreement of this version was ended.
    #[must_use]
    pub fn ended(&self, version: u64) -> Option<Ended> {
        self.ended.filter(|ended| version <= ended.version)
    }

    /// Whether one of the two has asked to end the agreement of this version.
    #[must_use]
    pub fn end_asked(&self, version: u64) -> Option<Asked> {
        let (asked, by) = self.end_asked?;
        (asked == version).then_some(by)
    }

    /// What stands on a target.
    #[must_use]
    pub fn on(&self, target: &Target) -> Option<&Suspension> {
        match target {
            Target::All => self.all(),
            Target::Bank(bank) => self.bank(bank),
            Target::Operator(operator) => self.operator(operator),
            Target::Signal(signal) => self.signal(*signal),
        }
    }

    /// Each suspension, the whole first.
    #[must_use]
    pub fn suspensions(&self) -> Vec<(Target, &Suspension)> {
        let all = self.all.iter().map(|one| (Target::All, one));
        let banks = self.banks.iter();
        let banks = banks.map(|(name, one)| (Target::Bank(name.clone()), one));
        let operators = self.operators.iter();
        let operators = operators.map(|(name, one)| (Target::Operator(name.clone()), one));
        let signals = self.signals.iter();
        let signals = signals.map(|(signal, one)| (Target::Signal(*signal), one));
        all.chain(banks).chain(operators).chain(signals).collect()
    }

    pub(super) fn put(&mut self, target: &Target, suspension: Suspension) {
        match target {
            Target::All => self.all = Some(suspension),
            Target::Bank(bank) => drop(self.banks.insert(bank.clone(), suspension)),
            Target::Operator(name) => drop(self.operators.insert(name.clone(), suspension)),
            Target::Signal(signal) => drop(self.signals.insert(*signal, suspension)),
        }
    }

    pub(super) fn lift(&mut self, target: &Target) {
        match target {
            Target::All => self.all = None,
            Target::Bank(bank) => drop(self.banks.remove(bank)),
            Target::Operator(operator) => drop(self.operators.remove(operator)),
            Target::Signal(signal) => drop(self.signals.remove(signal)),
        }
    }
}
