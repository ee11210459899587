//! The agreement as it stands in a file: a note with the signatures of both authorities.

use super::{AgreementDocument, CompiledAgreement};
use crate::{
    c2sp::NoteError,
    document::{Authorities, Authority, Loaded, Mistakes, NotNewer, Opened, open},
    party::PartyId,
};

/// Why a text does not become the agreement.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AgreementError {
    /// It is no signed note: unsigned, holds a tab or a carriage return, or a signature by an
    /// authority does not match the text.
    #[error("the agreement is not a signed note that can be believed: {0}")]
    Note(NoteError),
    /// Others signed it, and neither authority did.
    #[error(
        "the agreement is signed by a stranger, {strangers}, and by neither `{telecom_regulator}` \
         nor `{central_bank}`"
    )]
    Stranger {
        /// Who signed, by their own account.
        strangers: String,
        /// The telecom regulator.
        telecom_regulator: String,
        /// The central bank.
        central_bank: String,
    },
    /// One authority's signature is missing.
    #[error("the agreement is signed by `{signer}` only; the signature of `{missing}` is missing")]
    SignedOnce {
        /// Who signed.
        signer: String,
        /// Who did not.
        missing: String,
    },
    /// The text has mistakes.
    #[error("the agreement has mistakes: {0}")]
    Mistakes(#[from] Mistakes),
    /// The text names another authority than the one whose key is known.
    #[error("the agreement names the {role} `{named}`, but the known key is that of `{known}`")]
    OtherAuthority {
        /// `telecom regulator` or `central bank`.
        role: &'static str,
        /// As the text names it.
        named: PartyId,
        /// As the key is named.
        known: String,
    },
    /// It would take the place of one at least as new.
    #[error("the agreement is not newer than the last one: {0}")]
    NotNewer(#[from] NotNewer),
}

/// An agreement that both authorities signed.
#[derive(Clone, Debug)]
pub struct SignedAgreement {
    agreement: CompiledAgreement,
    note: String,
    loaded: Loaded,
    signers: Vec<String>,
}

impl SignedAgreement {
    /// Opens a note. `last` is the last agreement that was in force; the very same note may be
    /// opened again. Whether it is in force now is a state that comes and goes by itself: see
    /// [`super::Term`].
    ///
    /// # Errors
    /// [`AgreementError`]; signatures are checked before the text is read.
    pub fn open(
        note: &str,
        authorities: &Authorities,
        last: Option<Loaded>,
    ) -> Result<Self, AgreementError> {
        let opened = open(note, authorities).map_err(AgreementError::Note)?;
        check_signers(&opened, authorities)?;
        let document = AgreementDocument::parse(&opened.text)?;
        check_names(&document, authorities)?;
        let loaded = Loaded {
            version: document.version(),
            sha256: opened.sha256,
        };
        loaded.follows(last)?;
        Ok(Self {
            agreement: CompiledAgreement::new(document),
            note: note.to_owned(),
            loaded,
            signers: opened.signers(authorities),
        })
    }

    /// Ready to decide.
    #[must_use]
    pub const fn agreement(&self) -> &CompiledAgreement {
        &self.agreement
    }

    /// The parsed text.
    #[must_use]
    pub const fn document(&self) -> &AgreementDocument {
        self.agreement.document()
    }

    /// The note, to the byte.
    #[must_use]
    pub fn note(&self) -> &str {
        &self.note
    }

    /// SHA-256 of the note's bytes.
    #[must_use]
    pub const fn sha256(&self) -> &[u8; 32] {
        &self.loaded.sha256
    }

    /// Version and digest, against which the next one is held.
    #[must_use]
    pub const fn loaded(&self) -> Loaded {
        self.loaded
    }

    /// Names of the authorities that signed: both.
    #[must_use]
    pub fn signers(&self) -> &[String] {
        &self.signers
    }
}

/// An agreement that one authority has signed, or both; it allows nothing.
#[derive(Clone, Debug)]
pub struct ProposedAgreement {
    /// What it says.
    pub document: AgreementDocument,
    /// Its text, without the signatures.
    pub text: String,
    /// The authorities that signed.
    pub signers: Vec<Authority>,
}

impl ProposedAgreement {
    /// Opens a note that at least one authority signed.
    ///
    /// # Errors
    /// [`AgreementError`]; signatures are checked before the text is read.
    pub fn open(note: &str, authorities: &Authorities) -> Result<Self, AgreementError> {
        let opened = open(note, authorities).map_err(AgreementError::Note)?;
        let telecom = opened
            .by_telecom_regulator
            .then_some(Authority::TelecomRegulator);
        let central = opened.by_central_bank.then_some(Authority::CentralBank);
        let signers: Vec<Authority> = telecom.into_iter().chain(central).collect();
        if signers.is_empty() {
            check_signers(&opened, authorities)?;
        }
        let document = AgreementDocument::parse(&opened.text)?;
        check_names(&document, authorities)?;
        Ok(Self {
            document,
            text: opened.text,
            signers,
        })
    }
}

fn check_signers(opened: &Opened, authorities: &Authorities) -> Result<(), AgreementError> {
    let telecom_regulator = authorities.telecom_regulator().name().to_owned();
    let central_bank = authorities.central_bank().name().to_owned();
    match (opened.by_telecom_regulator, opened.by_central_bank) {
        (true, true) => Ok(()),
        (false, false) => Err(AgreementError::Stranger {
            strangers: opened.strangers.join(", "),
            telecom_regulator,
            central_bank,
        }),
        (true, false) => Err(AgreementError::SignedOnce {
            signer: telecom_regulator,
            missing: central_bank,
        }),
        (false, true) => Err(AgreementError::SignedOnce {
            signer: central_bank,
            missing: telecom_regulator,
        }),
    }
}

fn check_names(
    document: &AgreementDocument,
    authorities: &Authorities,
) -> Result<(), AgreementError> {
    let pairs = [
        (
            "telecom regulator",
            document.telecom_regulator(),
            authorities.telecom_regulator(),
        ),
        (
            "central bank",
            document.central_bank(),
            authorities.central_bank(),
        ),
    ];
    for (role, named, known) in pairs {
        if named.org().as_str() != known.name() {
            return Err(AgreementError::OtherAuthority {
                role,
                named: named.clone(),
                known: known.name().to_owned(),
            });
        }
    }
    Ok(())
}
