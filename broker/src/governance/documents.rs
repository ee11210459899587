//! Reading the signed documents from their files.

use std::{
    fs,
    path::{Path, PathBuf},
};

use accord_proto::{
    agreement::{AgreementError, NotInForce, SignedAgreement},
    document::{Authorities, Loaded},
    msisdn::{Msisdn, MsisdnError},
    parties::{Parties, PartiesError},
    party::{OrgName, OrgNameError},
};

/// The most bytes of a signed document.
const DOCUMENT_BYTES_MAX: u64 = 1 << 20;
/// The most bytes of the file of ported numbers.
const PORTED_BYTES_MAX: u64 = 1 << 30;

/// Why a document does not come into force. It names the file, and the line where there is one.
#[derive(Debug, thiserror::Error)]
pub enum DocumentError {
    /// It can't be read.
    #[error("can't read `{path}`")]
    Read {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// Too long.
    #[error("`{path}` is longer than {bytes_max} bytes")]
    TooLong {
        /// Which file.
        path: PathBuf,
        /// The limit.
        bytes_max: u64,
    },
    /// Not an agreement to believe.
    #[error("`{path}`: {error}")]
    Agreement {
        /// Which file.
        path: PathBuf,
        /// Why.
        error: AgreementError,
    },
    /// Its term is over.
    #[error("`{path}`: {state}")]
    Expired {
        /// Which file.
        path: PathBuf,
        /// Since when.
        state: NotInForce,
    },
    /// Not a list to believe.
    #[error("`{path}`: {error}")]
    Parties {
        /// Which file.
        path: PathBuf,
        /// Why.
        error: PartiesError,
    },
    /// A line of the ported numbers.
    #[error("`{path}` line {line}: {error}")]
    Ported {
        /// Which file.
        path: PathBuf,
        /// Which line, from 1.
        line: usize,
        /// Why.
        error: PortedError,
    },
}

/// Why a line of ported numbers is no such line.
#[derive(Debug, thiserror::Error)]
pub enum PortedError {
    /// Not two fields.
    #[error("a line reads `number,operator`")]
    Shape,
    /// The number.
    #[error(transparent)]
    Number(#[from] MsisdnError),
    /// The operator.
    #[error(transparent)]
    Operator(#[from] OrgNameError),
}

/// Reads the agreement.
///
/// # Errors
/// [`DocumentError`].
pub fn read_agreement(
    path: &Path,
    authorities: &Authorities,
    last: Option<Loaded>,
) -> Result<SignedAgreement, Box<DocumentError>> {
    let text = read(path, DOCUMENT_BYTES_MAX)?;
    SignedAgreement::open(&text, authorities, last).map_err(|error| {
        Box::new(DocumentError::Agreement {
            path: path.to_owned(),
            error,
        })
    })
}

/// Reads the list of parties.
///
/// # Errors
/// [`DocumentError`].
pub fn read_parties(
    path: &Path,
    authorities: &Authorities,
    last: Option<Loaded>,
) -> Result<Parties, Box<DocumentError>> {
    let text = read(path, DOCUMENT_BYTES_MAX)?;
    Parties::open(&text, authorities, last).map_err(|error| {
        Box::new(DocumentError::Parties {
            path: path.to_owned(),
            error,
        })
    })
}

/// Reads ported numbers, `number,operator` on each line; `#` begins a comment.
///
/// # Errors
/// [`DocumentError`] with the line.
pub fn read_ported(path: Option<&Path>) -> Result<Vec<(Msisdn, OrgName)>, Box<DocumentError>> {
    let Some(path) = path else {
        return Ok(Vec::new());
    };
    let text = read(path, PORTED_BYTES_MAX)?;
    let mut ported = Vec::new();
    for (at, line) in text.lines().enumerate() {
        if line.trim().is_empty() || line.starts_with('#') {
            continue;
        }
        let parsed = parse_ported(line).map_err(|error| {
            Box::new(DocumentError::Ported {
                path: path.to_owned(),
                line: at + 1,
                error,
            })
        })?;
        ported.push(parsed);
    }
    Ok(ported)
}

fn parse_ported(line: &str) -> Result<(Msisdn, OrgName), PortedError> {
    let (number, operator) = line.split_once(',').ok_or(PortedError::Shape)?;
    Ok((
        Msisdn::parse(number.trim())?,
        OrgName::parse(operator.trim())?,
    ))
}

fn read(path: &Path, bytes_max: u64) -> Result<String, Box<DocumentError>> {
    let failed = |source| {
        Box::new(DocumentError::Read {
            path: path.to_owned(),
            source,
        })
    };
    if fs::metadata(path).map_err(failed)?.len() > bytes_max {
        return Err(Box::new(DocumentError::TooLong {
            path: path.to_owned(),
            bytes_max,
        }));
    }
    fs::read_to_string(path).map_err(failed)
}
