//! The golden permission matrix: the whole agreement in plain text with a stable layout, so that a
//! change of policy shows in review.

use std::fmt::Write as _;

use super::{
    AgreementDocument, Clause,
    explain::{Row, consent, everyone, explain, minutes, mirrors, quota, told_besides},
};
use crate::{purpose::Purpose, signal::Signal};

/// The matrix: for each bank and operator a table of purposes and signals, in which `✔` stands
/// with granularity and clause and `✘` for refused; below it the terms of each clause.
#[must_use]
pub fn permission_matrix(document: &AgreementDocument) -> String {
    let mut text = format!(
        "Permissions of {}: purposes down, signals across; ✔ with granularity and clause, ✘ refused\n",
        document.id(),
    );
    let _ = writeln!(text, "Whole copies of the ledger: {}", mirrors(document));
    let rows = explain(document);
    let clauses = document.clauses();
    for bank in everyone(clauses, |clause| &clause.banks) {
        for operator in everyone(clauses, |clause| &clause.operators) {
            let between: Vec<&Row<'_>> = rows
                .iter()
                .filter(|row| (row.bank, row.operator) == (bank, operator))
                .collect();
            let _ = write!(text, "\n{bank} asks {operator}");
            if between.is_empty() {
                text.push_str(": ✘ everything\n");
            } else {
                text.push('\n');
                text.push_str(&lay_out(&pair_table(&between)));
            }
        }
    }
    text.push_str("\nTerms of the clauses\n");
    text.push_str(&lay_out(&terms_table(clauses)));
    text
}

fn pair_table(between: &[&Row<'_>]) -> Vec<Vec<String>> {
    let names = Signal::ALL.iter().map(|signal| signal.to_string());
    let mut table = vec![std::iter::once(String::new()).chain(names).collect()];
    for purpose in Purpose::ALL {
        let mut line = vec![purpose.to_string()];
        for signal in Signal::ALL {
            let row = between
                .iter()
                .find(|row| (row.purpose, row.signal) == (*purpose, *signal));
            line.push(row.map_or_else(
                || "✘".to_owned(),
                |row| format!("✔ {} {}", row.clause.granularity, row.clause.id),
            ));
        }
        table.push(line);
    }
    table
}

fn terms_table(clauses: &[Clause]) -> Vec<Vec<String>> {
    let headings = [
        "clause",
        "basis",
        "thresholds",
        "one per",
        "looks back",
        "observed within",
        "cached",
        "consent",
        "opt-out",
        "told besides",
        "on behalf of",
        "kept",
        "quota",
    ];
    let mut table = vec![headings.map(str::to_owned).to_vec()];
    for clause in clauses {
        let principals: Vec<&str> = clause.on_behalf_of.iter().map(|org| org.as_str()).collect();
        let hours = |hours: u32| {
            if hours == 0 {
                "-".to_owned()
            } else {
                format!("{hours} h")
            }
        };
        let days = |days: u32| {
            if days == 0 {
                "-".to_owned()
            } else {
                format!("{days} d")
            }
        };
        table.push(vec![
            clause.id.to_string(),
            clause.legal_basis.to_string(),
            clause.thresholds.to_string(),
            hours(clause.threshold_window_hours),
            days(clause.look_back_days),
            minutes(clause.age_max_minutes),
            minutes(clause.caching_minutes),
            consent(clause),
            if clause.opt_out_honoured {
                "honoured"
            } else {
                "overridden"
            }
            .to_owned(),
            told_besides(clause, true, true),
            if principals.is_empty() {
                "-".to_owned()
            } else {
                principals.join(", ")
            },
            days(clause.retention_days),
            quota(clause),
        ]);
    }
    table
}

/// Columns as wide as their widest cell, two spaces between, none at the end of a line.
fn lay_out(table: &[Vec<String>]) -> String {
    let mut widths: Vec<usize> = Vec::new();
    for line in table {
        widths.resize(widths.len().max(line.len()), 0);
        for (width, cell) in widths.iter_mut().zip(line) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut text = String::new();
    for line in table {
        let cells = line.iter().zip(&widths);
        let laid: String = cells
            .map(|(cell, width)| format!("  {cell:<width$}"))
            .collect();
        let _ = writeln!(text, "{}", laid.trim_end());
    }
    text
}
