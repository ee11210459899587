//! The key file, and what is derived from it.

use std::path::Path;

use accord_proto::{msisdn::Msisdn, secret::Secret};
use aws_lc_rs::aead::{AES_256_GCM_SIV, Aad, Nonce, RandomizedNonceKey};
use aws_lc_rs::{hmac, rand};

use super::{JournalError, entry::IdentityDigest};
use crate::disk;

const KEY_LEN: usize = 32;
const NONCE_LEN: usize = 12;
const NUMBER_LEN: usize = 16;
const TAG_LEN: usize = 16;

/// A sealed number: nonce, the number padded to 16 bytes, tag.
pub(super) const SEALED_LEN: usize = NONCE_LEN + NUMBER_LEN + TAG_LEN;
pub(super) type Sealed = [u8; SEALED_LEN];

/// Length of the text that shows whether a journal was written under this key.
pub(super) const CHECK_LEN: usize = 16;

pub(super) struct Keys {
    digest: hmac::Key,
    seal: RandomizedNonceKey,
}

impl Keys {
    /// Reads the key file; makes it if it is absent and there is no journal yet.
    pub(super) fn load(path: &Path, journal_exists: bool) -> Result<Self, JournalError> {
        let key = match std::fs::read_to_string(path) {
            Ok(text) => {
                let bad = || JournalError::BadKey(path.to_owned());
                Secret::new(accord_proto::hex::decode(text.trim()).ok_or_else(bad)?)
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                if journal_exists {
                    return Err(JournalError::KeyMissing(path.to_owned()));
                }
                make(path)?
            }
            Err(source) => return Err(io("read", path, source)),
        };
        let root = hmac::Key::new(hmac::HMAC_SHA256, key.expose());
        let seal = derive(&root, b"accord interval journal: seal");
        let digest = derive(&root, b"accord interval journal: digest");
        Ok(Self {
            digest: hmac::Key::new(hmac::HMAC_SHA256, digest.as_ref()),
            seal: RandomizedNonceKey::new(&AES_256_GCM_SIV, seal.as_ref())
                .map_err(|_| JournalError::Crypto)?,
        })
    }

    /// A keyed digest of an identity.
    pub(super) fn identity(&self, identity: &str) -> IdentityDigest {
        self.mac(b"identity", identity.as_bytes())
    }

    /// The same text for the same key, in the header of each journal.
    pub(super) fn check(&self) -> [u8; CHECK_LEN] {
        self.mac(b"check", b"")
    }

    fn mac(&self, what: &[u8], text: &[u8]) -> [u8; 16] {
        let mut context = hmac::Context::with_key(&self.digest);
        context.update(what);
        context.update(&[0]);
        context.update(text);
        let mut first = [0; 16];
        for (to, from) in first.iter_mut().zip(context.sign().as_ref()) {
            *to = *from;
        }
        first
    }

    pub(super) fn seal(&self, msisdn: &Msisdn) -> Result<Sealed, JournalError> {
        let mut number = [0; NUMBER_LEN];
        for (to, from) in number.iter_mut().zip(msisdn.expose().bytes()) {
            *to = from;
        }
        let (nonce, tag) = self
            .seal
            .seal_in_place_separate_tag(Aad::empty(), &mut number)
            .map_err(|_| JournalError::Crypto)?;
        let mut sealed = [0; SEALED_LEN];
        let parts = nonce.as_ref().iter().chain(&number).chain(tag.as_ref());
        for (to, from) in sealed.iter_mut().zip(parts) {
            *to = *from;
        }
        Ok(sealed)
    }

    pub(super) fn unseal(&self, mut sealed: Sealed) -> Result<Msisdn, JournalError> {
        let (nonce, rest) = sealed.split_at_mut(NONCE_LEN);
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| JournalError::Crypto)?;
        let number = self
            .seal
            .open_in_place(nonce, Aad::empty(), rest)
            .map_err(|_| JournalError::Crypto)?;
        let text = std::str::from_utf8(number).map_err(|_| JournalError::Crypto)?;
        Msisdn::parse(text.trim_end_matches('\0')).map_err(|_| JournalError::Crypto)
    }
}

fn derive(root: &hmac::Key, label: &[u8]) -> hmac::Tag {
    hmac::sign(root, label)
}

fn make(path: &Path) -> Result<Secret<[u8; KEY_LEN]>, JournalError> {
    let mut key = [0; KEY_LEN];
    rand::fill(&mut key).map_err(|_| JournalError::Crypto)?;
    let mut text = accord_proto::hex::encode(&key);
    text.push('\n');
    if let Some(dir) = path.parent() {
        std::fs::create_dir_all(dir).map_err(|source| io("make the folder of", path, source))?;
    }
    // Whole and durable, or not at all: a part of a key would keep the adapter from starting ever
    // again, and losing the key to a power cut would lose the journal too.
    disk::make(path, text.as_bytes()).map_err(|source| io("make the key file", path, source))?;
    Ok(Secret::new(key))
}

pub(super) fn io(doing: &'static str, path: &Path, source: std::io::Error) -> JournalError {
    let path = path.to_owned();
    JournalError::Io {
        doing,
        path,
        source,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number() -> Msisdn {
        Msisdn::parse("+447700900001").unwrap()
    }

    #[test]
    fn a_key_is_made_once_and_read_back() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        let made = Keys::load(&path, false).unwrap();
        let read = Keys::load(&path, true).unwrap();
        assert_eq!(made.check(), read.check());
        let sealed = made.seal(&number()).unwrap();
        assert!(read.unseal(sealed).unwrap() == number());
        assert_ne!(sealed, made.seal(&number()).unwrap(), "nonces differ");
    }

    #[test]
    fn a_key_that_a_crash_left_half_written_is_made_anew() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        let partial = dir.path().join("key.partial");
        std::fs::write(&partial, "00ff").unwrap();
        let made = Keys::load(&path, false).unwrap();
        assert!(!partial.exists());
        assert_eq!(made.check(), Keys::load(&path, true).unwrap().check());
    }

    #[test]
    fn the_folder_of_a_key_is_made_with_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("keys/of/this/source.key");
        let made = Keys::load(&path, false).unwrap();
        assert_eq!(made.check(), Keys::load(&path, true).unwrap().check());
    }

    #[test]
    fn a_journal_without_its_key_gets_no_new_one() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        assert!(matches!(
            Keys::load(&path, true),
            Err(JournalError::KeyMissing(_))
        ));
        std::fs::write(&path, "00ff").unwrap();
        assert!(matches!(
            Keys::load(&path, true),
            Err(JournalError::BadKey(_))
        ));
    }

    #[test]
    fn a_sealed_number_that_was_altered_does_not_open() {
        let dir = tempfile::tempdir().unwrap();
        let keys = Keys::load(&dir.path().join("key"), false).unwrap();
        let mut sealed = keys.seal(&number()).unwrap();
        sealed[20] ^= 1;
        assert!(keys.unseal(sealed).is_err());
    }
}
