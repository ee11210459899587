//! The accesses about one number in a closed month, in a copy of the ledger.

use std::path::{Path, PathBuf};

use accord_proto::{
    c2sp::VerifierKey,
    subject::{Month, SubjectTag},
    v1::{Access, entry::Event},
};

use crate::{
    LedgerEntry,
    held::{Held, HeldError},
};

/// Why a copy can't be searched.
#[derive(Debug, thiserror::Error)]
pub enum FindError {
    /// It does not verify, so nothing in it is believed, or it can't be read.
    #[error(transparent)]
    Held(#[from] HeldError),
    /// No log of that month.
    #[error("`{}` holds no log of {month}", .dir.display())]
    NoMonth {
        /// The directory.
        dir: PathBuf,
        /// The month.
        month: Month,
    },
}

/// The accesses about a subject in a month's log and in the next one's, whose first entries may still
/// be tagged with the month's key; oldest first. The whole copy, a ledger's directory or a mirror, is
/// verified first: with these keys of the log, or with its own where there are none.
///
/// # Errors
/// [`FindError`].
pub fn find(
    dir: &Path,
    log_keys: &[VerifierKey],
    month: Month,
    tag: SubjectTag,
) -> Result<Vec<LedgerEntry>, FindError> {
    let mut held = Held::verify(dir, log_keys)?;
    let is_of = |origin: &str, month: Month| origin.ends_with(&format!("/{month}"));
    if !held.origins().iter().any(|origin| is_of(origin, month)) {
        let dir = dir.to_owned();
        return Err(FindError::NoMonth { dir, month });
    }
    held.retain(|origin| is_of(origin, month) || is_of(origin, month.next()));
    let mut found = Vec::new();
    held.entries(|entry| {
        if about(&entry).is_some_and(|access| is_about(access, month, tag)) {
            found.push(entry);
        }
        Ok::<_, HeldError>(())
    })?;
    Ok(found)
}

/// What was asked, where an entry is an access.
pub(crate) fn about(entry: &LedgerEntry) -> Option<&Access> {
    match &entry.entry.event {
        Some(Event::Access(access)) => Some(access),
        Some(_) | None => None,
    }
}

fn is_about(access: &Access, month: Month, tag: SubjectTag) -> bool {
    access.subject_tag == tag.0 && access.tag_month == month.to_string()
}
