//! Two authorities, and strangers.

use accord_proto::c2sp::{SignedNote, SigningKey};
use accord_proto::document::Authorities;

pub(crate) struct Pair {
    pub(crate) telecom_regulator: SigningKey,
    pub(crate) central_bank: SigningKey,
}

impl Pair {
    pub(crate) fn new() -> Self {
        Self {
            telecom_regulator: SigningKey::generate("telecom-regulator").unwrap(),
            central_bank: SigningKey::generate("central-bank").unwrap(),
        }
    }

    pub(crate) fn authorities(&self) -> Authorities {
        let telecom_regulator = self.telecom_regulator.verifier().clone();
        Authorities::new(telecom_regulator, self.central_bank.verifier().clone()).unwrap()
    }

    pub(crate) fn sign(&self, text: &str) -> String {
        signed(text, &[&self.telecom_regulator, &self.central_bank])
    }
}

pub(crate) fn signed(text: &str, keys: &[&SigningKey]) -> String {
    let mut note = SignedNote::unsigned(text).unwrap();
    for key in keys {
        note.sign(key).unwrap();
    }
    note.to_string()
}

pub(crate) fn stranger() -> SigningKey {
    SigningKey::generate("stranger").unwrap()
}
