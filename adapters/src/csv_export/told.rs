//! How the source is, and what is logged of a file.

use super::{Inner, Refusal, Reload, Report};
use crate::source::{Condition, SourceState};

impl Inner {
    /// Says how the source is, after a look at the files.
    pub(super) fn tell(&self, reloaded: &Result<Reload, Refusal>) {
        let in_force = self.state().table.as_ref().map(|table| table.exported_at);
        let (condition, why) = match (reloaded, in_force) {
            (Ok(_), Some(_)) => (Condition::Up, String::new()),
            (Ok(_), None) => return,
            (Err(refusal), Some(_)) => (Condition::Behind, refusal.to_string()),
            (Err(Refusal::Absent), None) => (Condition::Starting, Refusal::Absent.to_string()),
            (Err(refusal), None) if refusal.may_pass() => (Condition::Down, refusal.to_string()),
            (Err(refusal), None) => (Condition::Unusable, refusal.to_string()),
        };
        self.told.set(condition, why, self.clock.now());
        if let Some(at) = in_force {
            self.told.observed_to(at);
        }
    }
}

/// What the source says of itself: where files don't come any more, what lies here gets old.
pub(super) fn state(own: SourceState, server: Option<SourceState>) -> SourceState {
    match server {
        Some(server) if !matches!(server.condition, Condition::Up | Condition::Starting) => {
            let condition = match own.observed_to {
                Some(_) => Condition::Behind,
                None => server.condition,
            };
            let observed_to = own.observed_to;
            SourceState {
                condition,
                observed_to,
                ..server
            }
        }
        Some(_) | None => own,
    }
}

pub(super) fn log(report: &Report) {
    tracing::info!(
        rows = report.rows,
        numbers = report.numbers,
        exported_at = %report.exported_at,
        bad_rows = report.bad_rows,
        identical = report.identical,
        former = report.former,
        contradicted = report.contradicted,
        unmapped_kinds = report.unmapped_kinds,
        extra_columns = ?report.extra_columns,
        "took an export"
    );
    for cell in &report.bad_cells {
        tracing::warn!(
            line = cell.line,
            column = cell.column,
            what = cell.what,
            "unreadable row"
        );
    }
}
