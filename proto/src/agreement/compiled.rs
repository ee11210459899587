//! The agreement as a table: two hashes and one index for each decision.

use std::{collections::HashMap, sync::Arc};

use super::{AgreementDocument, Clause, ClauseId};
use crate::{party::OrgName, purpose::Purpose, signal::Signal};

const SIGNALS: usize = Signal::ALL.len();
const PURPOSES: usize = Purpose::ALL.len();
const CELLS: usize = SIGNALS * PURPOSES;

/// What the agreement says about one question. All of it is borrowed: a decision allocates nothing.
#[derive(Clone, Copy, Debug)]
pub enum Decision<'a> {
    /// This clause allows it.
    Granted(&'a Arc<Clause>),
    /// Clauses stand between the two, none of which allows this.
    NotAuthorised(&'a Nearest),
    /// No clause stands between the two.
    NotContracted,
}

/// What the clauses between two parties allow instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Nearest {
    clauses: Vec<ClauseId>,
    detail: String,
}

impl Nearest {
    /// The clauses that come nearest: of the same purpose, else of the same signal, else all
    /// between the two parties. Never empty.
    #[must_use]
    pub fn clauses(&self) -> &[ClauseId] {
        &self.clauses
    }

    /// In words, such as `clause 4.2 allows number_recycling only`.
    #[must_use]
    pub fn detail(&self) -> &str {
        &self.detail
    }
}

/// One cell of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cell {
    Granted(u32),
    NotAuthorised(u32),
    NotContracted,
}

/// An agreement, ready to decide.
#[derive(Clone, Debug)]
pub struct CompiledAgreement {
    document: AgreementDocument,
    clauses: Vec<Arc<Clause>>,
    nearest: Vec<Nearest>,
    /// Row of each bank that a clause names; row 0 is every other bank.
    banks: HashMap<OrgName, usize>,
    /// Likewise.
    operators: HashMap<OrgName, usize>,
    /// `[bank][operator][purpose][signal]`.
    cells: Vec<Cell>,
    /// For each bank one bit for each purpose that some clause grants it.
    purposes: Vec<u16>,
}

impl CompiledAgreement {
    /// Compiles a document.
    #[must_use]
    pub fn new(document: AgreementDocument) -> Self {
        let clauses: Vec<Arc<Clause>> = document.clauses().iter().cloned().map(Arc::new).collect();
        let bank_names = named(&clauses, |clause| clause.banks.named());
        let operator_names = named(&clauses, |clause| clause.operators.named());
        let mut table = Self {
            document,
            clauses,
            nearest: Vec::new(),
            banks: rows(&bank_names),
            operators: rows(&operator_names),
            cells: Vec::new(),
            purposes: Vec::new(),
        };
        let mut seen = HashMap::new();
        for bank in std::iter::once(None).chain(bank_names.iter().map(Some)) {
            table.purposes.push(table.purposes_of(bank));
            for operator in std::iter::once(None).chain(operator_names.iter().map(Some)) {
                table.fill(bank, operator, &mut seen);
            }
        }
        table
    }

    /// What the agreement says about one question. Whether the agreement is in force, the parties
    /// licensed and nothing suspended is for others to say.
    #[must_use]
    pub fn decide(
        &self,
        bank: &OrgName,
        operator: &OrgName,
        signal: Signal,
        purpose: Purpose,
    ) -> Decision<'_> {
        let bank = self.banks.get(bank).copied().unwrap_or(0);
        let operator = self.operators.get(operator).copied().unwrap_or(0);
        let pair = bank * (self.operators.len() + 1) + operator;
        let cell = pair * CELLS + purpose as usize * SIGNALS + signal as usize;
        match self.cells.get(cell).copied() {
            Some(Cell::Granted(at)) => {
                let clause = self.clauses.get(at as usize);
                clause.map_or(Decision::NotContracted, Decision::Granted)
            }
            Some(Cell::NotAuthorised(at)) => {
                let nearest = self.nearest.get(at as usize);
                nearest.map_or(Decision::NotContracted, Decision::NotAuthorised)
            }
            Some(Cell::NotContracted) | None => Decision::NotContracted,
        }
    }

    /// Whether some clause grants the bank anything for this purpose, whoever the operator.
    #[must_use]
    pub fn has_any_clause(&self, bank: &OrgName, purpose: Purpose) -> bool {
        let row = self.banks.get(bank).copied().unwrap_or(0);
        let granted = self.purposes.get(row).copied().unwrap_or(0);
        granted & (1 << purpose as u16) != 0
    }

    /// A clause by its number.
    #[must_use]
    pub fn clause(&self, id: &ClauseId) -> Option<&Arc<Clause>> {
        self.clauses.iter().find(|clause| clause.id == *id)
    }

    /// The clauses, in the order of the text.
    #[must_use]
    pub fn clauses(&self) -> &[Arc<Clause>] {
        &self.clauses
    }

    /// What it was compiled from.
    #[must_use]
    pub const fn document(&self) -> &AgreementDocument {
        &self.document
    }

    fn purposes_of(&self, bank: Option<&OrgName>) -> u16 {
        let theirs = self
            .clauses
            .iter()
            .filter(|clause| clause.banks.covers(bank));
        theirs
            .flat_map(|clause| &clause.purposes)
            .fold(0, |bits, purpose| bits | (1 << *purpose as u16))
    }

    fn fill(
        &mut self,
        bank: Option<&OrgName>,
        operator: Option<&OrgName>,
        seen: &mut HashMap<String, u32>,
    ) {
        let between: Vec<(u32, Arc<Clause>)> = (0..)
            .zip(&self.clauses)
            .filter(|(_, clause)| clause.banks.covers(bank) && clause.operators.covers(operator))
            .map(|(at, clause)| (at, Arc::clone(clause)))
            .collect();
        for purpose in Purpose::ALL {
            for signal in Signal::ALL {
                let granted = between.iter().find(|(_, clause)| {
                    clause.signals.contains(signal) && clause.purposes.contains(purpose)
                });
                let cell = match granted {
                    Some((at, _)) => Cell::Granted(*at),
                    None if between.is_empty() => Cell::NotContracted,
                    None => {
                        let nearest = nearest(&between, *signal, *purpose);
                        let nearest_all = &mut self.nearest;
                        let at = *seen.entry(nearest.detail.clone()).or_insert_with(|| {
                            nearest_all.push(nearest);
                            u32::try_from(nearest_all.len() - 1).unwrap_or(u32::MAX)
                        });
                        Cell::NotAuthorised(at)
                    }
                };
                self.cells.push(cell);
            }
        }
    }
}

fn nearest(between: &[(u32, Arc<Clause>)], signal: Signal, purpose: Purpose) -> Nearest {
    let clauses = || between.iter().map(|(_, clause)| clause);
    let same_purpose: Vec<_> = clauses()
        .filter(|c| c.purposes.contains(&purpose))
        .collect();
    let same_signal: Vec<_> = clauses().filter(|c| c.signals.contains(&signal)).collect();
    let (chosen, only): (Vec<_>, fn(&Clause) -> String) = if !same_purpose.is_empty() {
        (same_purpose, Clause::signal_names)
    } else if !same_signal.is_empty() {
        (same_signal, |clause| {
            format!("the purposes {}", clause.purpose_names())
        })
    } else {
        let only =
            |clause: &Clause| format!("{} for {}", clause.signal_names(), clause.purpose_names());
        (clauses().collect(), only)
    };
    /// The most clauses that one message lists.
    const LISTED_MAX: usize = 8;
    let says = |clause: &&Arc<Clause>| format!("clause {} allows {}", clause.id, only(clause));
    let listed: Vec<String> = chosen.iter().take(LISTED_MAX).map(says).collect();
    let more = if chosen.len() > LISTED_MAX {
        "; and more"
    } else {
        " only"
    };
    Nearest {
        clauses: chosen.iter().map(|clause| clause.id.clone()).collect(),
        detail: format!("{}{more}", listed.join("; ")),
    }
}

/// The names in all clauses, each once, sorted.
fn named(clauses: &[Arc<Clause>], names: impl Fn(&Clause) -> &[OrgName]) -> Vec<OrgName> {
    let mut all: Vec<OrgName> = clauses
        .iter()
        .flat_map(|clause| names(clause))
        .cloned()
        .collect();
    all.sort();
    all.dedup();
    all
}

fn rows(names: &[OrgName]) -> HashMap<OrgName, usize> {
    names.iter().cloned().zip(1..).collect()
}
