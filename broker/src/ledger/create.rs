//! How a month's log comes into being: with entry 0, or not at all.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;

use accord_proto::c2sp::{Checkpoint, SigningKey, VerifierKey};
use accord_proto::merkle::Frontier;
use accord_proto::segment::{SegmentHeader, encode_checkpoint, encode_entry};
use accord_proto::subject::Month;
use accord_proto::v1;
use prost::Message as _;

use super::error::LedgerError;
use super::layout::{self, CHECKPOINT_FILE, segment_path};

/// What a month's log begins with.
pub(super) struct Opening<'a> {
    pub(super) key: &'a SigningKey,
    pub(super) month: Month,
    pub(super) time_unix_ms: u64,
    pub(super) authorities: &'a [VerifierKey],
    pub(super) previous_checkpoint: &'a str,
}

/// Makes a month's directory with a first segment that holds entry 0 and its checkpoint. The
/// directory gets its name last, so a crash leaves either none or a whole log.
pub(super) fn create_month(root: &Path, opening: &Opening<'_>) -> Result<(), LedgerError> {
    let new = layout::new_month_path(root, opening.month);
    if new.exists() {
        fs::remove_dir_all(&new).map_err(LedgerError::io("remove", &new))?;
    }
    fs::create_dir(&new).map_err(LedgerError::io("make", &new))?;
    let (segment, checkpoint) = first_segment(opening)?;
    let path = segment_path(&new, 0);
    File::create(&path)
        .and_then(|mut file| {
            file.write_all(&segment)?;
            file.sync_all()
        })
        .map_err(LedgerError::io("write", &path))?;
    layout::write_durable(&new.join(CHECKPOINT_FILE), checkpoint.as_bytes())?;
    let dir = root.join(opening.month.to_string());
    fs::rename(&new, &dir).map_err(LedgerError::io("name", &dir))?;
    layout::sync_dir(root)
}

fn first_segment(opening: &Opening<'_>) -> Result<(Vec<u8>, String), LedgerError> {
    let origin = format!("{}/{}", opening.key.verifier().name(), opening.month);
    let key = opening.key.renamed(&origin)?;
    let mut salt = vec![0; 32];
    aws_lc_rs::rand::fill(&mut salt).map_err(|_| accord_proto::c2sp::KeyError::Crypto)?;
    let event = v1::LogOpened {
        origin: origin.clone(),
        authority_vkeys: opening
            .authorities
            .iter()
            .map(ToString::to_string)
            .collect(),
        previous_checkpoint: opening.previous_checkpoint.to_owned(),
    };
    let entry = v1::Entry {
        salt,
        event: Some(v1::entry::Event::LogOpened(event)),
        time_unix_ms: 0,
    };
    let header = SegmentHeader {
        origin: origin.clone(),
        first_index: 0,
    };
    let too_long = |_| LedgerError::EntryTooLong;
    let mut bytes = header.encode().map_err(too_long)?;
    let prefix = entry.encode_to_vec();
    let leaf = encode_entry(&mut bytes, 0, &prefix, opening.time_unix_ms).map_err(too_long)?;
    let mut frontier = Frontier::new();
    frontier.append(leaf);
    let checkpoint = Checkpoint {
        origin,
        size: 1,
        root: frontier.root(),
    };
    let note = checkpoint
        .sign(&key)
        .map_err(|_| accord_proto::c2sp::KeyError::Name)?
        .to_string();
    encode_checkpoint(&mut bytes, 1, &note).map_err(too_long)?;
    Ok((bytes, note))
}
