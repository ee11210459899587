//! Looks for a new file, and takes it whole or not at all.

use std::sync::{Arc, MutexGuard, PoisonError};

use accord_proto::msisdn::Msisdn;
use jiff::Timestamp;

use super::files::{self, Accepted, Candidate};
use super::hashed::Hashed;
use super::table::Table;
use super::{Inner, Refusal, Reload, Report, State, answer, load};
use crate::source::Withdrawals;

impl Inner {
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks for a new file; and what it says otherwise than the one before.
    pub(super) fn reload_and_compare(&self) -> (Result<Reload, Refusal>, Withdrawals) {
        let before = self.state().table.clone();
        let reloaded = self.reload();
        let mut differs = Withdrawals::default();
        if matches!(reloaded, Ok(Reload::Taken(_))) {
            let after = self.state().table.clone();
            let said = |table: &Option<Arc<Table>>, msisdn: &Msisdn| {
                answer::said(&self.plan, table.as_deref(), msisdn, &self.signals)
            };
            for msisdn in self.asked.numbers(self.clock.now()) {
                differs.compare(msisdn, &said(&before, &msisdn), &said(&after, &msisdn));
            }
        }
        (reloaded, differs)
    }

    fn reload(&self) -> Result<Reload, Refusal> {
        let _one = self
            .reloading
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let (mut first, mut standing) = (None, None);
        for candidate in files::candidates(&self.plan, self.clock.now())? {
            let (in_force, at, refused) = {
                let state = self.state();
                let at = state.table.as_ref().map(|table| table.exported_at);
                let refused = state.refused.get(&candidate.stamp).cloned();
                (state.stamp.as_ref() == Some(&candidate.stamp), at, refused)
            };
            // What follows is older.
            if candidate.exported_at.is_some() && candidate.exported_at < at {
                break;
            }
            if let Some(why) = refused {
                standing = standing.or(why);
                continue;
            }
            if in_force {
                continue;
            }
            match self.take(&candidate, at) {
                Ok(Some(report)) => {
                    self.state().standing = standing;
                    return Ok(Reload::Taken(report));
                }
                Ok(None) => self.refuse(&candidate, None),
                Err(refusal) => {
                    let why = refusal.to_string();
                    if !refusal.may_pass() {
                        self.refuse(&candidate, Some(why.clone()));
                    }
                    standing = standing.or(Some(why));
                    first.get_or_insert(refusal);
                }
            }
        }
        self.state().standing = standing;
        first.map_or(Ok(Reload::Unchanged), Err)
    }

    fn refuse(&self, candidate: &Candidate, why: Option<String>) {
        /// Files are few; this many refused ones mean that names are being made up.
        const REFUSED_MAX: usize = 1024;
        let mut state = self.state();
        if state.refused.len() >= REFUSED_MAX {
            state.refused.clear();
        }
        state.refused.insert(candidate.stamp.clone(), why);
    }

    /// Takes a file; `None`: it is the one in force once more.
    fn take(
        &self,
        candidate: &Candidate,
        in_force: Option<Timestamp>,
    ) -> Result<Option<Arc<Report>>, Refusal> {
        if let Some(at) = candidate.exported_at.filter(|at| *at > self.clock.now()) {
            return Err(Refusal::Future(at));
        }
        let declared = candidate.declared(&self.plan)?;
        let before = load::Before {
            exported_at: candidate.exported_at,
            rows: declared.rows,
            previous_rows: self.state().previous_rows,
            now: self.clock.now(),
        };
        let file = std::fs::File::open(&candidate.path);
        let file = file.map_err(|error| Refusal::Io("open the file", error))?;
        let mut file = Hashed::new(file);
        let loaded = load::load(&self.plan, before, &mut file);
        // Whatever was found in a file that is being written is not to be remembered.
        if !candidate.is_unchanged() {
            return Err(Refusal::Changing);
        }
        // What is wrong with a file that is not the one that was sent is no matter.
        let loaded = match declared.sha256 {
            None => Ok(loaded?),
            Some(_) => loaded,
        };
        let content = file.finish_reading();
        let content = content.map_err(|error| Refusal::Io("read the file", error))?;
        if declared.sha256.is_some_and(|sha256| sha256 != content) {
            return Err(Refusal::Checksum);
        }
        let (table, report) = loaded?;
        if Some(report.exported_at) < in_force {
            return Err(Refusal::Older(report.exported_at));
        }
        if Some(report.exported_at) == in_force {
            return if self.state().content == Some(content) {
                Ok(None)
            } else {
                Err(Refusal::SameTime(report.exported_at))
            };
        }
        if let Some(path) = &self.plan.config.state_file
            && let Err(error) = (Accepted { rows: report.rows }).store(path)
        {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "can't remember the size of the export"
            );
        }
        let report = Arc::new(report);
        let restrictions = Arc::new(table.restrictions());
        let mut state = self.state();
        state.previous_rows = Some(report.rows);
        state.table = Some(Arc::new(table));
        state.report = Some(Arc::clone(&report));
        state.stamp = Some(candidate.stamp.clone());
        state.content = Some(content);
        drop(state);
        self.restrictions.send_replace(Some(restrictions));
        Ok(Some(report))
    }
}
