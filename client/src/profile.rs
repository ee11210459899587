//! The profile: a directory that says where the broker is and as whom one may ask.
//!
//! ```toml
//! # profile.toml; every path is relative to the directory that holds this file
//! [broker]
//! endpoints = ["https://127.0.0.1:7443"]     # tried in this order
//! server_name = "broker.accord.test"         # DNS name in the broker's certificate
//! tiles = "https://127.0.0.1:7444"           # where mirrors fetch; same name in the certificate
//! camara = "https://127.0.0.1:7445"          # CAMARA and its tokens; same name in the certificate
//! audience = "accord-sandbox"                # `aud` of the tokens
//! roots = "pki/roots.pem"                    # CAs that the broker's certificate may come from
//!
//! [ledger]
//! origin = "accord-sandbox"                  # logs are named `accord-sandbox/2026-11`
//! vkeys = ["accord-sandbox+1a2b3c4d+AQ…"]    # C2SP verifier keys of the log
//! dir = "ledger"                             # only where the ledger lies on this machine
//!
//! [agreement]
//! file = "agreement.note"                    # the signed agreement
//! authority_vkeys = ["central-bank+…", "telecom-regulator+…"]
//!
//! [[party]]
//! name = "first-bank"
//! role = "bank"                              # `bank`, `operator` or `authority`
//! spiffe_id = "spiffe://accord.test/bank/first-bank"
//! certificate = "pki/first-bank.pem"
//! key = "pki/first-bank.key"
//! token_key = "pki/first-bank.token.key"     # only banks need one
//! kid = "first-bank-1"
//! alg = "ES256"                              # or `EdDSA`
//! purpose = "payment"                        # where `--purpose` is not given
//! ```

mod error;
mod statement;

use std::{
    fs,
    path::{Path, PathBuf},
};

use accord_proto::purpose::Purpose;
use serde::{Deserialize, Serialize};

pub use error::ProfileError;
pub use statement::{STATEMENT_FILE_NAME, StatementError, StatementFile, read_joint};

/// Name of the file in a profile's directory.
pub const FILE_NAME: &str = "profile.toml";
/// Name of the directory that is looked for in the working directory and its ancestors.
pub const DIR_NAME: &str = ".accord";
/// The most bytes of a profile.
const PROFILE_BYTES_MAX: u64 = 1 << 20;

/// A whole profile, as it stands in `profile.toml`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    /// Where to ask.
    pub broker: BrokerSection,
    /// The ledger that the receipts come from.
    pub ledger: LedgerSection,
    /// The agreement; absent where this machine has no copy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agreement: Option<AgreementSection>,
    /// As whom to ask.
    #[serde(default, rename = "party")]
    pub parties: Vec<PartySection>,
}

/// Where the broker is, and how to know it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct BrokerSection {
    /// `https://host:port`, one or more, tried in this order.
    pub endpoints: Vec<String>,
    /// The DNS name that the broker's certificate must carry.
    pub server_name: String,
    /// `https://host:port` of the checkpoints, tiles and entry bundles, where the broker serves
    /// them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tiles: Option<String>,
    /// `https://host:port` of the CAMARA APIs and the authorisation server, where the broker serves
    /// them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub camara: Option<String>,
    /// `aud` of the tokens: the broker's name.
    pub audience: String,
    /// PEM file of the CAs that the broker's certificate may come from.
    pub roots: PathBuf,
}

/// The ledger, as this party knows it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct LedgerSection {
    /// A receipt's origin is this text, or begins with it and a `/`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<String>,
    /// C2SP verifier keys, `name+hash+key`. One must have signed each checkpoint.
    #[serde(default)]
    pub vkeys: Vec<String>,
    /// The ledger's directory, where it lies on this machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dir: Option<PathBuf>,
}

/// The agreement, as this party knows it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct AgreementSection {
    /// The signed note.
    pub file: PathBuf,
    /// C2SP verifier keys of the two authorities.
    #[serde(default)]
    pub authority_vkeys: Vec<String>,
}

/// One party as whom this machine may ask.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct PartySection {
    /// What `--as` takes.
    pub name: String,
    /// What the party does with Accord.
    pub role: ProfileRole,
    /// The URI SAN of the certificate.
    pub spiffe_id: String,
    /// PEM file: the certificate and the intermediates above it.
    pub certificate: PathBuf,
    /// PEM file: the certificate's key, PKCS #8.
    pub key: PathBuf,
    /// PEM file: the key that signs tokens, PKCS #8.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_key: Option<PathBuf>,
    /// The token key's id, as it is registered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kid: Option<String>,
    /// How the token key signs.
    #[serde(default)]
    pub alg: TokenAlg,
    /// Where `--purpose` is not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub purpose: Option<Purpose>,
}

/// The roles that a profile can hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ProfileRole {
    /// Audits, signs the agreement, witnesses the ledger.
    Authority,
    /// Asks.
    Bank,
    /// Answers.
    Operator,
}

impl ProfileRole {
    /// The word, as it stands in the file.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Authority => "authority",
            Self::Bank => "bank",
            Self::Operator => "operator",
        }
    }
}

/// How a token is signed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub enum TokenAlg {
    /// ECDSA on P-256 with SHA-256.
    #[default]
    #[serde(rename = "ES256")]
    Es256,
    /// Ed25519.
    #[serde(rename = "EdDSA")]
    EdDsa,
}

/// A profile and the directory that its paths are relative to.
#[derive(Clone, Debug)]
pub struct LoadedProfile {
    /// The directory.
    pub dir: PathBuf,
    /// What the file says.
    pub profile: Profile,
}

impl Profile {
    /// Writes `profile.toml` into a directory, which must exist.
    ///
    /// # Errors
    /// [`ProfileError::Write`] or, for a profile that TOML can't hold, [`ProfileError::Malformed`].
    pub fn write(&self, dir: &Path) -> Result<(), ProfileError> {
        let path = dir.join(FILE_NAME);
        let text = toml::to_string_pretty(self).map_err(|error| ProfileError::Malformed {
            path: path.clone(),
            message: error.to_string(),
        })?;
        fs::write(&path, text).map_err(|source| ProfileError::Write { path, source })
    }

    /// The party of a name.
    ///
    /// # Errors
    /// [`ProfileError::UnknownParty`] lists the known ones.
    pub fn party(&self, name: &str) -> Result<&PartySection, ProfileError> {
        let found = self.parties.iter().find(|party| party.name == name);
        found.ok_or_else(|| ProfileError::UnknownParty {
            name: name.chars().take(64).collect(),
            known: self.known(),
        })
    }

    /// The first party of a role.
    ///
    /// # Errors
    /// [`ProfileError::NoSuchRole`] lists the known parties.
    pub fn first(&self, role: ProfileRole) -> Result<&PartySection, ProfileError> {
        let found = self.parties.iter().find(|party| party.role == role);
        found.ok_or_else(|| ProfileError::NoSuchRole {
            role: role.name(),
            known: self.known(),
        })
    }

    fn known(&self) -> String {
        let names: Vec<_> = self
            .parties
            .iter()
            .map(|party| format!("{} ({})", party.name, party.role.name()))
            .collect();
        if names.is_empty() {
            "nobody".to_owned()
        } else {
            names.join(", ")
        }
    }
}

impl LoadedProfile {
    /// Reads `profile.toml` in a directory.
    ///
    /// # Errors
    /// [`ProfileError`] names the file, and the line of a mistake.
    pub fn load(dir: &Path) -> Result<Self, ProfileError> {
        let path = dir.join(FILE_NAME);
        let read_error = |source| ProfileError::Read {
            path: path.clone(),
            source,
        };
        let bytes = fs::metadata(&path).map_err(read_error)?.len();
        if bytes > PROFILE_BYTES_MAX {
            return Err(ProfileError::Malformed {
                path,
                message: format!("it is longer than {PROFILE_BYTES_MAX} bytes"),
            });
        }
        let text = fs::read_to_string(&path).map_err(read_error)?;
        let profile = toml::from_str(&text).map_err(|error| ProfileError::Malformed {
            path: path.clone(),
            message: error.to_string().trim_end().to_owned(),
        })?;
        Ok(Self {
            dir: dir.to_owned(),
            profile,
        })
    }

    /// Finds `.accord/profile.toml` in a directory or the nearest of its ancestors.
    ///
    /// # Errors
    /// [`ProfileError::NotFound`], or the mistakes of [`load`](Self::load).
    pub fn find_from(start: &Path) -> Result<Self, ProfileError> {
        let found = start
            .ancestors()
            .map(|dir| dir.join(DIR_NAME))
            .find(|dir| dir.join(FILE_NAME).is_file());
        Self::load(&found.ok_or(ProfileError::NotFound)?)
    }

    /// A path of the profile, from its directory.
    #[must_use]
    pub fn path(&self, relative: &Path) -> PathBuf {
        self.dir.join(relative)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Profile {
        let party = |name: &str, role: ProfileRole| PartySection {
            name: name.to_owned(),
            role,
            spiffe_id: format!("spiffe://accord.test/{}/{name}", role.name()),
            certificate: format!("pki/{name}.pem").into(),
            key: format!("pki/{name}.key").into(),
            token_key: Some(format!("pki/{name}.token.key").into()),
            kid: Some(format!("{name}-1")),
            alg: TokenAlg::EdDsa,
            purpose: Some(Purpose::Payment),
        };
        Profile {
            broker: BrokerSection {
                endpoints: vec!["https://127.0.0.1:7443".to_owned()],
                server_name: "broker.accord.test".to_owned(),
                tiles: None,
                camara: None,
                audience: "accord-sandbox".to_owned(),
                roots: "pki/roots.pem".into(),
            },
            ledger: LedgerSection {
                origin: Some("accord-sandbox".to_owned()),
                vkeys: vec![],
                dir: Some("ledger".into()),
            },
            agreement: Some(AgreementSection {
                file: "agreement.note".into(),
                authority_vkeys: vec![],
            }),
            parties: vec![
                party("first-bank", ProfileRole::Bank),
                party("central-bank", ProfileRole::Authority),
            ],
        }
    }

    #[test]
    fn a_written_profile_is_found_from_below_and_reads_the_same() {
        let root = tempfile::tempdir().unwrap();
        let dir = root.path().join(DIR_NAME);
        let below = root.path().join("some/where");
        fs::create_dir_all(&dir).unwrap();
        fs::create_dir_all(&below).unwrap();
        sample().write(&dir).unwrap();
        let found = LoadedProfile::find_from(&below).unwrap();
        assert_eq!(found.profile, sample());
        assert_eq!(found.path(Path::new("ledger")), dir.join("ledger"));
    }

    #[test]
    fn no_profile_says_what_to_do() {
        let root = tempfile::tempdir().unwrap();
        let error = LoadedProfile::find_from(root.path()).unwrap_err();
        assert!(error.to_string().contains("cargo sandbox"), "{error}");
    }

    #[test]
    fn an_unknown_key_is_named() {
        let root = tempfile::tempdir().unwrap();
        fs::write(root.path().join(FILE_NAME), "[brocker]\n").unwrap();
        let error = LoadedProfile::load(root.path()).unwrap_err().to_string();
        assert!(
            error.contains("brocker") && error.contains("line 1"),
            "{error}"
        );
    }

    #[test]
    fn an_unknown_party_lists_the_known() {
        let error = sample().party("third-bank").unwrap_err().to_string();
        assert!(error.contains("`third-bank`"), "{error}");
        assert!(error.contains("first-bank (bank)"), "{error}");
        let error = sample().first(ProfileRole::Operator).unwrap_err();
        assert!(error.to_string().contains("no operator"), "{error}");
    }
}
