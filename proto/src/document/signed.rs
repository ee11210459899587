//! Who signed a document, and whether it is newer than the last one.

use std::fmt;

use crate::{
    c2sp::{NoteError, SignedNote, VerifierKey},
    digest::sha256,
};

/// Which of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Authority {
    /// Licenses operators.
    TelecomRegulator,
    /// Licenses banks.
    CentralBank,
}

impl Authority {
    /// The one that is not this one.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::TelecomRegulator => Self::CentralBank,
            Self::CentralBank => Self::TelecomRegulator,
        }
    }
}

impl fmt::Display for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TelecomRegulator => "telecom regulator",
            Self::CentralBank => "central bank",
        })
    }
}

/// The two authorities' keys. A key's name is the authority's organisation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authorities {
    telecom_regulator: VerifierKey,
    central_bank: VerifierKey,
}

/// Why two keys can't be the two authorities'.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AuthoritiesError {
    /// Both keys have one name.
    #[error("both authorities' keys are named `{name}`: two authorities sign, with a key each")]
    SameName {
        /// The name.
        name: String,
    },
    /// One key under two names could sign for both.
    #[error("`{one}` and `{other}` are one key under two names: two authorities sign")]
    SameKey {
        /// The telecom regulator's name.
        one: String,
        /// The central bank's name.
        other: String,
    },
}

impl Authorities {
    /// The two keys.
    ///
    /// # Errors
    /// [`AuthoritiesError`] if one of them could sign for both.
    pub fn new(
        telecom_regulator: VerifierKey,
        central_bank: VerifierKey,
    ) -> Result<Self, AuthoritiesError> {
        if telecom_regulator.name() == central_bank.name() {
            let name = central_bank.name().to_owned();
            return Err(AuthoritiesError::SameName { name });
        }
        if public_part(&telecom_regulator) == public_part(&central_bank) {
            return Err(AuthoritiesError::SameKey {
                one: telecom_regulator.name().to_owned(),
                other: central_bank.name().to_owned(),
            });
        }
        Ok(Self {
            telecom_regulator,
            central_bank,
        })
    }

    /// The key of one of them.
    #[must_use]
    pub const fn key(&self, authority: Authority) -> &VerifierKey {
        match authority {
            Authority::TelecomRegulator => &self.telecom_regulator,
            Authority::CentralBank => &self.central_bank,
        }
    }

    /// Licenses operators.
    #[must_use]
    pub const fn telecom_regulator(&self) -> &VerifierKey {
        &self.telecom_regulator
    }

    /// Licenses banks.
    #[must_use]
    pub const fn central_bank(&self) -> &VerifierKey {
        &self.central_bank
    }
}

/// `name+id+key`: the key without its name. Neither name nor id holds a plus sign.
fn public_part(key: &VerifierKey) -> Option<String> {
    key.to_string().splitn(3, '+').nth(2).map(str::to_owned)
}

/// SHA-256 of a document's text, without its signatures: what the authorities' acts name it by.
#[must_use]
pub fn text_sha256(text: &str) -> [u8; 32] {
    sha256(&[text.as_bytes()])
}

/// A note whose signatures were checked.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) text: String,
    pub(crate) sha256: [u8; 32],
    pub(crate) by_telecom_regulator: bool,
    pub(crate) by_central_bank: bool,
    /// Names on signature lines by neither authority's key, for messages.
    pub(crate) strangers: Vec<String>,
}

impl Opened {
    /// The authorities that signed.
    pub(crate) fn signers(&self, authorities: &Authorities) -> Vec<String> {
        let telecom = self
            .by_telecom_regulator
            .then_some(authorities.telecom_regulator());
        let bank = self.by_central_bank.then_some(authorities.central_bank());
        let keys = telecom.into_iter().chain(bank);
        keys.map(|key| key.name().to_owned()).collect()
    }
}

/// Opens a note and says which authorities signed it.
///
/// # Errors
/// If it is no signed note, or a signature by an authority does not match the text.
pub(crate) fn open(note_text: &str, authorities: &Authorities) -> Result<Opened, NoteError> {
    let note = SignedNote::parse(note_text)?;
    let keys = [
        authorities.telecom_regulator.clone(),
        authorities.central_bank.clone(),
    ];
    let signers = note.verify(&keys)?;
    let signed_by = |key: &VerifierKey| signers.iter().any(|name| name == key.name());
    let known = |name: &str, id: u32| {
        keys.iter()
            .any(|key| (key.name(), key.key_id()) == (name, id))
    };
    let strangers = note
        .signatures()
        .iter()
        .filter(|line| !known(line.name(), line.key_id()))
        .map(|line| format!("{} (key {:08x})", line.name(), line.key_id()))
        .collect();
    Ok(Opened {
        text: note.text().to_owned(),
        sha256: sha256(&[note_text.as_bytes()]),
        by_telecom_regulator: signed_by(&authorities.telecom_regulator),
        by_central_bank: signed_by(&authorities.central_bank),
        strangers,
    })
}

/// The last document that came into force, as the ledger knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Loaded {
    /// Its version.
    pub version: u64,
    /// SHA-256 of its note's bytes.
    pub sha256: [u8; 32],
}

/// A document that would take the place of one at least as new.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotNewer {
    /// An older version.
    #[error("version {version} is not above version {last}, which was in force already")]
    Older {
        /// The document's version.
        version: u64,
        /// The last one's.
        last: u64,
    },
    /// The same version with other bytes.
    #[error("version {version} was in force already with another text or other signatures")]
    Changed {
        /// The version of both.
        version: u64,
    },
}

impl Loaded {
    /// Whether this may follow `last`. The very same document may: the broker starts again.
    pub(crate) fn follows(self, last: Option<Self>) -> Result<(), NotNewer> {
        let version = self.version;
        match last {
            Some(last) if version < last.version => {
                let last = last.version;
                Err(NotNewer::Older { version, last })
            }
            Some(last) if version == last.version && self.sha256 != last.sha256 => {
                Err(NotNewer::Changed { version })
            }
            Some(_) | None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::c2sp::SigningKey;

    #[test]
    fn one_key_is_not_two_authorities() {
        let key = SigningKey::generate("telecom-regulator").unwrap();
        let renamed = key.renamed("central-bank").unwrap();
        let other = SigningKey::generate("telecom-regulator").unwrap();
        assert!(matches!(
            Authorities::new(key.verifier().clone(), renamed.verifier().clone()),
            Err(AuthoritiesError::SameKey { .. })
        ));
        assert!(matches!(
            Authorities::new(key.verifier().clone(), other.verifier().clone()),
            Err(AuthoritiesError::SameName { .. })
        ));
    }

    #[test]
    fn a_version_only_goes_up_or_stays_with_the_same_bytes() {
        let loaded = |version, byte| Loaded {
            version,
            sha256: [byte; 32],
        };
        assert!(loaded(1, 1).follows(None).is_ok());
        assert!(loaded(2, 2).follows(Some(loaded(1, 1))).is_ok());
        assert!(loaded(2, 2).follows(Some(loaded(2, 2))).is_ok());
        assert_eq!(
            loaded(2, 3).follows(Some(loaded(2, 2))),
            Err(NotNewer::Changed { version: 2 })
        );
        assert_eq!(
            loaded(1, 1).follows(Some(loaded(2, 2))),
            Err(NotNewer::Older {
                version: 1,
                last: 2
            })
        );
    }
}
