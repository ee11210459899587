//! The documents that the authorities proposed over the wire, each in a file named by the SHA-256 of
//! its text. The ledger says what became of each; this is only where the text lies.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use accord_proto::{c2sp::SignedNote, document::text_sha256};

use crate::durable;

/// Its folder, beside the broker's keys.
const DIR: &str = "agreements";

/// Proposed documents, with the signatures so far.
#[derive(Clone, Debug)]
pub(super) struct DocumentStore {
    dir: PathBuf,
}

impl DocumentStore {
    /// In the directory of the broker's keys, which outlives a restart as they do.
    pub(super) fn beside_keys(keys: &Path) -> Self {
        Self {
            dir: keys.join(DIR),
        }
    }

    /// Keeps a note, in place of one with fewer signatures.
    pub(super) fn put(&self, sha256: &[u8; 32], note: &str) -> io::Result<()> {
        fs::create_dir_all(&self.dir)?;
        durable::replace(&self.path(sha256), note.as_bytes()).map_err(|failed| failed.source)
    }

    /// The note over the text with this digest; `None` where there is none, or another text.
    pub(super) fn find(&self, sha256: &[u8; 32]) -> Option<SignedNote> {
        let path = self.path(sha256);
        let text = fs::read_to_string(&path).ok()?;
        let note = SignedNote::parse(&text)
            .ok()
            .filter(|note| text_sha256(note.text()) == *sha256);
        if note.is_none() {
            tracing::error!(path = %path.display(), "this is not the document that its name says");
        }
        note
    }

    /// Forgets one that nobody will sign any more.
    pub(super) fn remove(&self, sha256: &[u8; 32]) {
        if let Err(error) = fs::remove_file(self.path(sha256)) {
            tracing::warn!(%error, "a document that is of no use any more stays");
        }
    }

    /// Where it lies.
    pub(super) fn path(&self, sha256: &[u8; 32]) -> PathBuf {
        self.dir
            .join(format!("{}.toml", accord_proto::hex::encode(sha256)))
    }
}

#[cfg(test)]
mod tests {
    use accord_proto::c2sp::SigningKey;

    use super::*;

    #[test]
    fn a_file_that_holds_another_text_is_not_found() {
        let dir = tempfile::tempdir().unwrap();
        let store = DocumentStore::beside_keys(dir.path());
        let key = SigningKey::generate("central-bank").unwrap();
        let mut note = SignedNote::unsigned("text\n").unwrap();
        note.sign(&key).unwrap();
        let sha256 = text_sha256("text\n");
        assert!(store.find(&sha256).is_none());
        store.put(&sha256, &note.to_string()).unwrap();
        assert_eq!(store.find(&sha256).unwrap(), note);
        let other = note.to_string().replacen("text", "test", 1);
        fs::write(store.path(&sha256), other).unwrap();
        assert!(store.find(&sha256).is_none());
        store.remove(&sha256);
        assert!(!store.path(&sha256).exists());
    }
}
