//! The entries of a mirror, read offline.

use std::path::Path;

use accord_proto::c2sp::BundleEntries;

use super::entries::EntryFault;
use super::layout::{Holds, Layout, bundle_of};
use super::verify::{MirrorFault, VerifiedMirror};

/// Shows each entry, in order, of a mirror that was verified: its log, its index, its bytes.
///
/// # Errors
/// [`MirrorFault`]: it holds no entries, or is no longer as it was when it was verified.
pub fn mirrored_entries(
    dir: &Path,
    verified: &VerifiedMirror,
    mut each: impl FnMut(&str, u64, &[u8]),
) -> Result<(), MirrorFault> {
    if verified.holds == Holds::HashTiles {
        return Err(MirrorFault::NoEntries);
    }
    let layout = Layout::open(dir)?;
    for log in &verified.logs {
        let files = layout.log(&log.origin);
        let mut next = 0;
        while let Some(bundle) = bundle_of(next, log.entries).filter(|_| next < log.entries) {
            let path = files.dir.join(bundle.path());
            let bytes = files.bundle(bundle)?;
            let bytes = bytes.ok_or_else(|| MirrorFault::NoBundle { path: path.clone() })?;
            for entry in BundleEntries::new(&bytes) {
                let fault = |fault| MirrorFault::Entry {
                    path: path.clone(),
                    entry: next,
                    fault,
                };
                each(
                    &log.origin,
                    next,
                    entry.map_err(|error| fault(error.into()))?,
                );
                next += 1;
            }
            let end = bundle.first() + u64::from(bundle.width());
            if next != end {
                return Err(MirrorFault::Entry {
                    path,
                    entry: next,
                    fault: EntryFault::Count,
                });
            }
        }
    }
    Ok(())
}
