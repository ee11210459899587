//! Changes one bit of a ledger's copy, and lets the verifier find it.

use std::{
    fs,
    path::{Path, PathBuf},
};

use accord_client::{profile::LoadedProfile, verify_dir};
use accord_proto::segment::{Decoded, FRAME_HEADER_BYTES, FrameKind, SegmentHeader, decode};

use super::{
    SandboxError,
    home::{DAMAGED_DIR, remove_dir},
    paste::{profile_flag, word},
    table::Screen,
};
use crate::world::WorldError;

/// Where one byte of one entry lies.
struct Spot {
    segment: PathBuf,
    entry: u64,
    offset: usize,
}

/// Copies the ledger of a sandbox, flips a bit in the middle of an entry, and verifies the copy.
pub(super) fn run(dir: &Path, screen: &mut Screen) -> Result<(), SandboxError> {
    let (from, to) = (dir.join("ledger"), dir.join(DAMAGED_DIR));
    if !from.is_dir() {
        let dir = dir.to_owned();
        return Err(SandboxError::NoLedger { dir });
    }
    remove_dir(&to)?;
    copy(&from, &to)?;
    let spot = find(&to)?.ok_or_else(|| SandboxError::NoLedger {
        dir: dir.to_owned(),
    })?;
    flip(&spot)?;
    let segment = spot.segment.strip_prefix(&to).unwrap_or(&spot.segment);
    screen.line(&format!(
        "copied {} to {}, and changed one bit in the copy: byte {} of {}, inside entry {}",
        from.display(),
        to.display(),
        spot.offset,
        segment.display(),
        spot.entry
    ))?;
    let profile = LoadedProfile::load(dir).map_err(WorldError::from)?;
    let keys = profile.log_keys().map_err(WorldError::from)?;
    let Err(found) = verify_dir(&to, &keys) else {
        return Err(SandboxError::NotFoundOut);
    };
    screen.paragraph(&format!("verified the copy: {found}"), 2)?;
    screen.line(&format!(
        "the same by the auditor's own hand: cargo accord audit verify --dir {}{}",
        word(&to),
        profile_flag(dir)
    ))?;
    Ok(screen.flush()?)
}

fn copy(from: &Path, to: &Path) -> Result<(), SandboxError> {
    fs::create_dir(to).map_err(WorldError::io("make", to))?;
    let entries = fs::read_dir(from).map_err(WorldError::io("list", from))?;
    for entry in entries {
        let entry = entry.map_err(WorldError::io("list", from))?;
        let (path, target) = (entry.path(), to.join(entry.file_name()));
        if path.is_dir() {
            copy(&path, &target)?;
        } else {
            fs::copy(&path, &target).map_err(WorldError::io("copy", &path))?;
        }
    }
    Ok(())
}

/// The middle of the entry in the middle of the newest segment.
fn find(ledger: &Path) -> Result<Option<Spot>, SandboxError> {
    let Some(segment) = segments(ledger)?.pop() else {
        return Ok(None);
    };
    let bytes = fs::read(&segment).map_err(WorldError::io("read", &segment))?;
    let malformed = |_| WorldError::malformed(&segment, "a segment of a ledger");
    let (_, mut at) = SegmentHeader::decode(&bytes).map_err(malformed)?;
    let mut entries = Vec::new();
    while let Ok(Decoded::Frame(frame)) = decode(bytes.get(at..).unwrap_or_default()) {
        if frame.kind == FrameKind::Entry {
            let middle = at + FRAME_HEADER_BYTES + frame.payload().len() / 2;
            entries.push((frame.index, middle));
        }
        at += frame.len();
    }
    let spot = entries.get(entries.len() / 2);
    Ok(spot.map(|(entry, offset)| Spot {
        entry: *entry,
        offset: *offset,
        segment: segment.clone(),
    }))
}

/// The segments of a ledger, oldest first: a directory for each month, named so that they sort.
fn segments(ledger: &Path) -> Result<Vec<PathBuf>, SandboxError> {
    let mut segments = Vec::new();
    for month in children(ledger)?.into_iter().filter(|path| path.is_dir()) {
        let files = children(&month)?.into_iter();
        segments.extend(files.filter(|path| path.extension().is_some_and(|e| e == "segment")));
    }
    segments.sort();
    Ok(segments)
}

fn children(dir: &Path) -> Result<Vec<PathBuf>, SandboxError> {
    let entries = fs::read_dir(dir).map_err(WorldError::io("list", dir))?;
    let paths = entries.map(|entry| entry.map(|entry| entry.path()));
    let paths: Result<_, _> = paths.collect();
    Ok(paths.map_err(WorldError::io("list", dir))?)
}

fn flip(spot: &Spot) -> Result<(), SandboxError> {
    let mut bytes = fs::read(&spot.segment).map_err(WorldError::io("read", &spot.segment))?;
    if let Some(byte) = bytes.get_mut(spot.offset) {
        *byte ^= 1;
    }
    Ok(fs::write(&spot.segment, bytes).map_err(WorldError::io("write", &spot.segment))?)
}
