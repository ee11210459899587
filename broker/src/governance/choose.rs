//! Which of several agreements governs: the newest that is in force, whether it stands in the
//! configured file, was activated by the authorities, or is the one kept.

use std::{path::Path, sync::Arc};

use accord_proto::{
    agreement::{AgreementError, SignedAgreement},
    document::{Authorities, Loaded},
};
use jiff::Timestamp;

use super::documents::{DocumentError, read_agreement};

/// Agreements that both authorities signed.
pub(super) type Candidates = Vec<Arc<SignedAgreement>>;

/// The newest of those that are in force now.
pub(super) fn newest_in_force(
    candidates: &[Arc<SignedAgreement>],
    now: Timestamp,
) -> Option<Arc<SignedAgreement>> {
    let in_force = candidates
        .iter()
        .filter(|one| one.document().term().check_in_force(now).is_ok());
    in_force.max_by_key(|one| one.document().version()).cloned()
}

/// Among those above a version, the one whose day comes first.
pub(super) fn next_to_come(
    candidates: &[Arc<SignedAgreement>],
    above: u64,
    now: Timestamp,
) -> Option<Arc<SignedAgreement>> {
    let coming = candidates.iter().filter(|one| {
        one.document().version() > above && one.document().term().effective_at() > now
    });
    coming
        .min_by_key(|one| one.document().term().effective_at())
        .cloned()
}

/// Whether an agreement may come after the newest that was in force: above it, or the very same.
pub(super) fn may_follow(agreement: &SignedAgreement, floor: Option<Loaded>) -> bool {
    floor.is_none_or(|floor| {
        agreement.loaded() == floor || agreement.document().version() > floor.version
    })
}

/// The agreement in the configured file. `None` where the authorities have activated one that takes
/// its place: the file stays what the broker began with, and that is no mistake.
pub(super) fn configured(
    path: &Path,
    authorities: &Authorities,
    floor: Option<Loaded>,
    activated: &[Arc<SignedAgreement>],
) -> Result<Option<Arc<SignedAgreement>>, Box<DocumentError>> {
    let error = match read_agreement(path, authorities, floor) {
        Ok(agreement) => return Ok(Some(Arc::new(agreement))),
        Err(error) => error,
    };
    let not_newer = matches!(
        &*error,
        DocumentError::Agreement {
            error: AgreementError::NotNewer(_),
            ..
        }
    );
    let by_act = activated.iter().find(|one| Some(one.loaded()) == floor);
    let (true, Some(by_act)) = (not_newer, by_act) else {
        return Err(error);
    };
    let configured = read_agreement(path, authorities, None)?;
    let (version, newer) = (configured.document().version(), by_act.document().version());
    if version == newer && configured.document() != by_act.document() {
        return Err(error);
    }
    tracing::debug!(
        version,
        newer,
        "the configured agreement was replaced by act"
    );
    Ok(None)
}
