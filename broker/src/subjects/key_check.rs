//! What a tag key is checked against: a file beside it, with a digest under the key itself. A key of
//! which one bit flipped is a good key too, but nobody would find under it what was tagged before.

use std::path::{Path, PathBuf};

use accord_proto::subject::TagKey;

use super::tag_keys::TagKeyError;
use crate::durable;

/// Separates this digest from those of the ledger's fields.
const WHAT: &str = "key_check";

/// Compares a key with its check; makes the check where there is none yet.
pub(super) fn hold(key_path: &Path, key: &TagKey) -> Result<(), TagKeyError> {
    if compare(key_path, key)? {
        return Ok(());
    }
    durable::replace(&path_of(key_path), text(key).as_bytes())?;
    Ok(())
}

/// Compares a key with its check; false where there is none.
pub(super) fn compare(key_path: &Path, key: &TagKey) -> Result<bool, TagKeyError> {
    match durable::read_if_present(&path_of(key_path))? {
        Some(found) if found == text(key).into_bytes() => Ok(true),
        Some(_) => Err(TagKeyError::Damaged(key_path.to_owned())),
        None => Ok(false),
    }
}

/// Where the check of a key lies.
pub(super) fn path_of(key_path: &Path) -> PathBuf {
    key_path.with_extension("check")
}

fn text(key: &TagKey) -> String {
    let mac = key.mac(WHAT, b"");
    format!("{}\n", accord_proto::hex::encode(&mac))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use accord_proto::subject::Month;

    use super::*;

    #[test]
    fn each_flipped_bit_of_a_key_and_of_its_check_is_noticed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("tag-2026-11.key");
        let month = Month::parse("2026-11").unwrap();
        let bytes = [7; TagKey::LEN];
        let key = TagKey::new(month, &bytes);
        assert!(!compare(&path, &key).unwrap());
        hold(&path, &key).unwrap();
        hold(&path, &key).unwrap();
        assert!(compare(&path, &key).unwrap());
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes;
            flipped[bit / 8] ^= 1 << (bit % 8);
            let other = TagKey::new(month, &flipped);
            let error = hold(&path, &other).unwrap_err();
            assert!(matches!(error, TagKeyError::Damaged(_)), "bit {bit}");
        }
        let check = fs::read(path_of(&path)).unwrap();
        for bit in 0..check.len() * 8 {
            let mut flipped = check.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            fs::write(path_of(&path), flipped).unwrap();
            assert!(hold(&path, &key).is_err(), "bit {bit}");
        }
    }
}
