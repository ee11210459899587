//! How the source is, and what is logged of a file.

use jiff::SignedDuration;

use super::{Inner, Refusal, Reload, Report};
use crate::source::{Condition, SourceState, words};

impl Inner {
    /// Says how the source is, after a look at the files.
    pub(super) fn tell(&self, reloaded: &Result<Reload, Refusal>) {
        let (in_force, standing) = {
            let state = self.state();
            let at = state.table.as_ref().map(|table| table.exported_at);
            (at, state.standing.clone())
        };
        let (condition, why) = match (reloaded, in_force) {
            // Nothing is new, and a newer file is refused all the same.
            (Ok(_), Some(_)) => match standing {
                Some(why) => (Condition::Behind, why),
                None => (Condition::Up, String::new()),
            },
            // What was said of the one that was refused holds.
            (Ok(_), None) if standing.is_some() => return,
            (Ok(_), None) => (Condition::Starting, "no export has come yet".to_owned()),
            (Err(refusal), Some(_)) => (Condition::Behind, words(refusal)),
            (Err(Refusal::Absent), None) => (Condition::Starting, words(&Refusal::Absent)),
            (Err(refusal), None) if refusal.may_pass() => (Condition::Down, words(refusal)),
            (Err(refusal), None) => (Condition::Unusable, words(refusal)),
        };
        self.told.set(condition, why, self.clock.now());
        if let Some(at) = in_force {
            self.told.observed_to(at);
        }
    }

    /// How the source is now: where no file comes at all, what is in force gets old.
    pub(super) fn tell_age(&self) -> SourceState {
        let mut state = self.told.get();
        let old = self.plan.config.old_after_hours.zip(state.observed_to);
        let is_old = old.is_some_and(|(hours, at)| {
            self.clock.now().duration_since(at) > SignedDuration::from_hours(i64::from(hours))
        });
        if is_old && state.condition == Condition::Up {
            state.condition = Condition::Behind;
            state.why = "no export has come for longer than `old_after_hours`".into();
        }
        state
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
