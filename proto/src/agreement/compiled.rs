//! The agreement as a table: two hashes and three indices for each decision.

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
    /// `[bank][operator]`: which block holds.
    pairs: Vec<u32>,
    /// `[purpose][signal]`, once for all pairs between which the same clauses stand.
    blocks: Vec<[Cell; CELLS]>,
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
            pairs: Vec::new(),
            blocks: Vec::new(),
            purposes: Vec::new(),
        };
        let everyone =
            |names: Vec<OrgName>| std::iter::once(None).chain(names.into_iter().map(Some));
        let of_operators: Vec<Vec<u32>> = everyone(operator_names)
            .map(|operator| table.covering(|clause| clause.operators.covers(operator.as_ref())))
            .collect();
        let mut known = HashMap::new();
        for bank in everyone(bank_names) {
            let of_bank = table.covering(|clause| clause.banks.covers(bank.as_ref()));
            table.purposes.push(table.purposes_of(&of_bank));
            for of_operator in &of_operators {
                let both = |at: &u32| of_operator.binary_search(at).is_ok();
                let between: Vec<u32> = of_bank.iter().copied().filter(both).collect();
                let block = match known.get(&between) {
                    Some(block) => *block,
                    None => table.add_block(&between),
                };
                known.insert(between, block);
                table.pairs.push(block);
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
        let block = self
            .pairs
            .get(pair)
            .and_then(|block| self.blocks.get(*block as usize));
        let cell = purpose as usize * SIGNALS + signal as usize;
        match block.and_then(|block| block.get(cell)).copied() {
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

    /// The clauses that cover somebody, by their places.
    fn covering(&self, covers: impl Fn(&Clause) -> bool) -> Vec<u32> {
        let clauses = (0..).zip(&self.clauses);
        clauses
            .filter(|(_, clause)| covers(clause))
            .map(|(at, _)| at)
            .collect()
    }

    fn at(&self, places: &[u32]) -> Vec<(u32, Arc<Clause>)> {
        let clause = |at: &u32| Some((*at, Arc::clone(self.clauses.get(*at as usize)?)));
        places.iter().filter_map(clause).collect()
    }

    fn purposes_of(&self, places: &[u32]) -> u16 {
        let clauses = self.at(places);
        clauses
            .iter()
            .flat_map(|(_, clause)| &clause.purposes)
            .fold(0, |bits, purpose| bits | (1 << *purpose as u16))
    }

    /// Decides every question between two parties with these clauses between them.
    fn add_block(&mut self, places: &[u32]) -> u32 {
        let between = self.at(places);
        let mut block = [Cell::NotContracted; CELLS];
        let questions = Purpose::ALL
            .iter()
            .flat_map(|p| Signal::ALL.iter().map(move |s| (*p, *s)));
        for ((purpose, signal), cell) in questions.zip(&mut block) {
            let granted = between.iter().find(|(_, clause)| {
                clause.signals.contains(&signal) && clause.purposes.contains(&purpose)
            });
            *cell = match granted {
                Some((at, _)) => Cell::Granted(*at),
                None if between.is_empty() => Cell::NotContracted,
                None => Cell::NotAuthorised(self.add_nearest(nearest(&between, signal, purpose))),
            };
        }
        self.blocks.push(block);
        place(self.blocks.len())
    }

    fn add_nearest(&mut self, nearest: Nearest) -> u32 {
        self.nearest.push(nearest);
        place(self.nearest.len())
    }
}

/// The place of the last of so many.
fn place(len: usize) -> u32 {
    u32::try_from(len.saturating_sub(1)).unwrap_or(u32::MAX)
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
