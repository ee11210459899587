//! A report for one bank or operator: its own figures in full, and of others nothing that tells
//! their volume (rule R25).

use super::{Count, Questions, Report};

/// A count below this is withheld.
pub(super) const CELL_MIN: u64 = 10;
/// A sum is told only if it is of so many other parties at least: with fewer, whoever knows one part
/// knows the rest.
pub(super) const PARTIES_MIN: usize = 3;

impl Report {
    /// The same for a bank or an operator: its own row in full, others' quality (how long, how
    /// often attached) without their volumes, and sums only of `PARTIES_MIN` others or more, with
    /// small counts withheld. What names others is left out. Where no other of its kind is counted,
    /// all is the party's own, and told. `None`: nothing of this party is counted.
    #[must_use]
    pub fn for_party(mut self, party: &str) -> Option<Self> {
        let is_bank = self.banks.iter().any(|row| row.bank == party);
        let is_operator = self.operators.iter().any(|row| row.operator == party);
        let all = match (is_bank, is_operator) {
            (true, _) => self.banks.len(),
            (false, true) => self.operators.len(),
            (false, false) => return None,
        };
        party.clone_into(&mut self.audience);
        let others = all - 1;
        if others == 0 {
            return Some(self);
        }
        let sums = |count: &mut Count| {
            *count = count.filter(|count| others >= PARTIES_MIN && *count >= CELL_MIN);
        };
        self.banks.retain(|row| row.bank == party);
        self.fairness.retain(|row| row.bank == party);
        // Rivals' quality is not an operator's to know either.
        self.operators
            .retain(|row| is_bank || row.operator == party);
        for row in self
            .operators
            .iter_mut()
            .filter(|row| row.operator != party)
        {
            for count in [
                &mut row.answered,
                &mut row.timeout,
                &mut row.source_down,
                &mut row.overloaded,
                &mut row.not_known,
                &mut row.replies,
                &mut row.not_believed,
            ] {
                *count = None;
            }
        }
        each(&mut self.questions, sums);
        self.activity
            .iter_mut()
            .for_each(|row| each(&mut row.questions, sums));
        self.reasons
            .iter_mut()
            .for_each(|row| sums(&mut row.signals));
        self.refusals
            .iter_mut()
            .for_each(|row| sums(&mut row.count));
        self.purposes
            .iter_mut()
            .for_each(|row| sums(&mut row.count));
        sums(&mut self.period.entries);
        self.anomalies.clear();
        self.acts.clear();
        self.readers.clear();
        self.unlisted = 0;
        Some(self)
    }
}

fn each(questions: &mut Questions, change: impl Fn(&mut Count)) {
    change(&mut questions.answered);
    change(&mut questions.partly_answered);
    change(&mut questions.unanswered);
    change(&mut questions.refused);
}
