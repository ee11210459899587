//! The agreement as rows: who may ask what of whom, what for, and how precisely.

use std::fmt;

use super::{AgreementDocument, Clause, Consent, Scope};
use crate::{party::OrgName, purpose::Purpose, signal::Signal};

/// An organisation, or all that no clause between the two names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Who<'a> {
    /// This one.
    Named(&'a OrgName),
    /// Every other one, by a clause for `*`.
    Other,
}

impl Who<'_> {
    pub(super) const fn org(&self) -> Option<&OrgName> {
        match self {
            Self::Named(org) => Some(org),
            Self::Other => None,
        }
    }
}

impl fmt::Display for Who<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Named(org) => f.pad(org.as_str()),
            Self::Other => f.pad("any other"),
        }
    }
}

/// The authorities that may keep a whole copy of the ledger, in words.
#[must_use]
pub fn mirrors(document: &AgreementDocument) -> String {
    let names: Vec<_> = document
        .mirrors()
        .iter()
        .map(|id| id.org().as_str())
        .collect();
    if names.is_empty() {
        "nobody".to_owned()
    } else {
        names.join(", ")
    }
}

/// One permission, with the clause that gives it.
#[derive(Clone, Copy, Debug)]
pub struct Row<'a> {
    /// Who may ask.
    pub bank: Who<'a>,
    /// Of whom.
    pub operator: Who<'a>,
    /// What for.
    pub purpose: Purpose,
    /// What.
    pub signal: Signal,
    /// By which clause, which says how precisely.
    pub clause: &'a Clause,
}

impl Row<'_> {
    /// The headings of [`Self::cells`].
    pub const HEADINGS: [&'static str; 14] = [
        "bank",
        "operator",
        "purpose",
        "signal",
        "how precisely",
        "thresholds",
        "one threshold or date per",
        "looks back",
        "observed within",
        "cached up to",
        "consent",
        "told besides",
        "quota",
        "clause",
    ];

    /// The row as text, for a table.
    #[must_use]
    pub fn cells(&self) -> [String; 14] {
        let clause = self.clause;
        let swap = matches!(self.signal, Signal::SimSwap | Signal::DeviceSwap);
        let attack = self.signal == Signal::SignallingAnomaly;
        let dated = attack || matches!(self.signal, Signal::NumberRecycling | Signal::Tenure);
        let if_any = |shown: bool, text: String| if shown { text } else { "-".to_owned() };
        let windowed = clause.threshold_window_hours > 0 && (swap || dated);
        [
            self.bank.to_string(),
            self.operator.to_string(),
            self.purpose.to_string(),
            self.signal.to_string(),
            clause.granularity.to_string(),
            if_any(swap, clause.thresholds.to_string()),
            if_any(windowed, format!("{} h", clause.threshold_window_hours)),
            if_any(swap || dated, format!("{} days", clause.look_back_days)),
            minutes(clause.age_max_minutes),
            if_any(clause.caching_minutes > 0, minutes(clause.caching_minutes)),
            consent(clause),
            told_besides(clause, swap, attack),
            quota(clause),
            clause.id.to_string(),
        ]
    }
}

pub(super) fn minutes(minutes: u32) -> String {
    match minutes {
        0 => "-".to_owned(),
        days if days.is_multiple_of(1440) => format!("{} d", days / 1440),
        hours if hours.is_multiple_of(60) => format!("{} h", hours / 60),
        minutes => format!("{minutes} min"),
    }
}

pub(super) fn consent(clause: &Clause) -> String {
    match clause.consent {
        Consent::NotRequired => "-".to_owned(),
        Consent::ReferenceRequired => "reference".to_owned(),
    }
}

/// What is told beside a value: of a swap, of an attack.
pub(super) fn told_besides(clause: &Clause, swap: bool, attack: bool) -> String {
    let told = [
        ("kind", swap && clause.swap_kind),
        ("lock", swap && clause.customer_lock),
        ("kind of attack", attack && clause.attack_kind),
    ];
    let told: Vec<&str> = told
        .iter()
        .filter(|(_, told)| *told)
        .map(|(what, _)| *what)
        .collect();
    if told.is_empty() {
        return "-".to_owned();
    }
    told.join(", ")
}

pub(super) fn quota(clause: &Clause) -> String {
    let per_second = format!("{}/s", clause.per_second);
    match clause.per_subject_per_day {
        Some(per_day) => format!("{per_second}, {per_day} a day for each subject"),
        None => per_second,
    }
}

/// Every permission of the agreement, by bank, operator, purpose and signal. What is in no row is
/// refused.
#[must_use]
pub fn explain(document: &AgreementDocument) -> Vec<Row<'_>> {
    let clauses = document.clauses();
    let mut rows = Vec::new();
    for bank in everyone(clauses, |clause| &clause.banks) {
        for operator in everyone(clauses, |clause| &clause.operators) {
            for purpose in Purpose::ALL {
                for signal in Signal::ALL {
                    let clause = clauses.iter().find(|clause| {
                        clause.banks.covers(bank.org())
                            && clause.operators.covers(operator.org())
                            && clause.purposes.contains(purpose)
                            && clause.signals.contains(signal)
                    });
                    rows.extend(clause.map(|clause| Row {
                        bank,
                        operator,
                        purpose: *purpose,
                        signal: *signal,
                        clause,
                    }));
                }
            }
        }
    }
    rows
}

/// All that some clause names, sorted, then all others if a clause is for all.
pub(super) fn everyone(clauses: &[Clause], scope: impl Fn(&Clause) -> &Scope) -> Vec<Who<'_>> {
    let mut names: Vec<&OrgName> = clauses
        .iter()
        .flat_map(|clause| scope(clause).named())
        .collect();
    names.sort();
    names.dedup();
    let all = clauses.iter().any(|clause| *scope(clause) == Scope::All);
    let named = names.into_iter().map(Who::Named);
    named.chain(all.then_some(Who::Other)).collect()
}
