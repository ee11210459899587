//! C2SP `tlog-policy`: which logs are believed, and whose cosignatures a checkpoint needs.
//!
//! ```text
//! # comment
//! log accord-sandbox+5f9a1c22+ARpc… [https://log.example]
//! witness regulator regulator.example/w+0a1b2c3d+BAbc… [https://witness.example]
//! witness bank-of-x …
//! group authorities any regulator bank-of-x
//! quorum authorities
//! ```
//!
//! Names are defined before they are used; `quorum` is required, and is `none` where no
//! cosignature is needed.

mod parse;

use std::collections::BTreeMap;

use super::checkpoint::{Checkpoint, CheckpointError};
use super::cosignature::CosignerKey;
use super::key::{KeyError, VerifierKey};
use super::note::SignedNote;

/// Most bytes of a policy.
pub const POLICY_BYTES_MAX: usize = 64 * 1_024;
/// Most logs, witnesses and groups of a policy, each. C2SP asks for at least 32.
pub const POLICY_NAMES_MAX: usize = 256;

/// Why a text is no policy, or a checkpoint does not satisfy one. Lines count from 1.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    /// Beyond [`POLICY_BYTES_MAX`] or [`POLICY_NAMES_MAX`].
    #[error("a policy has at most {POLICY_BYTES_MAX} bytes and {POLICY_NAMES_MAX} names")]
    TooLong,
    /// A line that is none of a policy.
    #[error("line {line} of the policy is not {expected}")]
    Line {
        /// The line, from 1.
        line: usize,
        /// What should stand there.
        expected: &'static str,
    },
    /// A key.
    #[error("line {line} of the policy holds a key that can't be used")]
    Key {
        /// The line, from 1.
        line: usize,
        /// What is wrong with it.
        #[source]
        source: KeyError,
    },
    /// A name that was given before, or that is nothing's.
    #[error("line {line} of the policy: `{name}` {rule}")]
    Name {
        /// The line, from 1.
        line: usize,
        /// The name.
        name: String,
        /// What is wrong with it.
        rule: &'static str,
    },
    /// No line says which cosignatures are needed.
    #[error("the policy has no `quorum` line")]
    NoQuorum,
    /// The log's own signature.
    #[error("the checkpoint is not believed")]
    Checkpoint(#[from] CheckpointError),
    /// A known witness's cosignature that doesn't verify.
    #[error("the cosignature of the witness `{witness}` does not match the checkpoint")]
    BadCosignature {
        /// The witness's name in the policy.
        witness: String,
    },
    /// Too few.
    #[error(
        "the checkpoint lacks cosignatures: `{quorum}` is not satisfied, {have} witnesses of the policy cosigned"
    )]
    Quorum {
        /// What is needed.
        quorum: String,
        /// How many known witnesses cosigned.
        have: usize,
    },
}

/// A log that is believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyLog {
    /// Its key; a key named `accord-sandbox` is believed for each month's log below that name.
    pub key: VerifierKey,
    /// Where it is served, where the policy says so.
    pub url: Option<String>,
}

/// A witness that is believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyWitness {
    /// Its name in the policy.
    pub name: String,
    /// Its key.
    pub key: CosignerKey,
    /// Where it takes checkpoints, where the policy says so.
    pub url: Option<String>,
}

/// One cosignature that holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cosigned {
    /// The witness's name in the policy.
    pub witness: String,
    /// When it saw the checkpoint, in seconds since 1970.
    pub unix_s: u64,
}

/// A group: so many of these.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Group {
    needed: usize,
    members: Vec<String>,
}

/// Which logs are believed, and whose cosignatures a checkpoint needs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    logs: Vec<PolicyLog>,
    witnesses: Vec<PolicyWitness>,
    groups: BTreeMap<String, Group>,
    /// A witness or a group; `None` where no cosignature is needed.
    quorum: Option<String>,
}

impl Policy {
    /// Parses a policy.
    ///
    /// # Errors
    /// [`PolicyError`] names the line.
    pub fn parse(text: &str) -> Result<Self, PolicyError> {
        parse::parse(text)
    }

    /// The logs, in the policy's order.
    #[must_use]
    pub fn logs(&self) -> &[PolicyLog] {
        &self.logs
    }

    /// The witnesses, in the policy's order.
    #[must_use]
    pub fn witnesses(&self) -> &[PolicyWitness] {
        &self.witnesses
    }

    /// The name of the witness or group whose cosignatures are needed.
    #[must_use]
    pub fn quorum(&self) -> Option<&str> {
        self.quorum.as_deref()
    }

    /// Reads the checkpoint of a note by a log of the policy with enough cosignatures, and says
    /// which those are.
    ///
    /// # Errors
    /// [`PolicyError`]: who or what is not believed.
    pub fn open(&self, note: &SignedNote) -> Result<(Checkpoint, Vec<Cosigned>), PolicyError> {
        let keys: Vec<_> = self.logs.iter().map(|log| log.key.clone()).collect();
        let checkpoint = Checkpoint::open(note, &keys)?;
        let cosigned = self.cosigned(note)?;
        if self.is_satisfied(&cosigned) {
            return Ok((checkpoint, cosigned));
        }
        Err(PolicyError::Quorum {
            quorum: self.quorum.clone().unwrap_or_default(),
            have: cosigned.len(),
        })
    }

    /// The cosignatures of known witnesses on a note, each witness once.
    ///
    /// # Errors
    /// [`PolicyError::BadCosignature`]; signatures by others are ignored.
    pub fn cosigned(&self, note: &SignedNote) -> Result<Vec<Cosigned>, PolicyError> {
        let mut found: Vec<Cosigned> = Vec::new();
        for line in note.signatures() {
            let Some(witness) = self.witnesses.iter().find(|one| one.key.is_of(line)) else {
                continue;
            };
            let name = witness.name.clone();
            let Some(unix_s) = witness.key.verify(note.text(), line) else {
                return Err(PolicyError::BadCosignature { witness: name });
            };
            if found.iter().all(|one| one.witness != name) {
                found.push(Cosigned {
                    witness: name,
                    unix_s,
                });
            }
        }
        Ok(found)
    }

    /// Whether these cosignatures are enough.
    #[must_use]
    pub fn is_satisfied(&self, cosigned: &[Cosigned]) -> bool {
        let quorum = self.quorum.as_deref();
        let mut known = BTreeMap::new();
        quorum.is_none_or(|name| self.holds(name, cosigned, &mut known))
    }

    /// The last instant, in seconds since 1970, since which enough of these cosigned: so late a
    /// quorum knew of nothing newer. `None` where they are not enough, or no cosignature is needed.
    #[must_use]
    pub fn cosigned_at(&self, cosigned: &[Cosigned]) -> Option<u64> {
        self.quorum()?;
        let mut times: Vec<u64> = cosigned.iter().map(|one| one.unix_s).collect();
        times.sort_unstable();
        times.dedup();
        times.into_iter().rev().find(|time| {
            let since = cosigned.iter().filter(|one| one.unix_s >= *time);
            self.is_satisfied(&since.cloned().collect::<Vec<_>>())
        })
    }

    /// Whether a witness cosigned, or enough members of a group did. Groups were defined before
    /// they were used, so this ends; each is looked at once.
    fn holds<'a>(
        &'a self,
        name: &'a str,
        cosigned: &[Cosigned],
        known: &mut BTreeMap<&'a str, bool>,
    ) -> bool {
        if let Some(known) = known.get(name) {
            return *known;
        }
        let holds = match self.groups.get(name) {
            Some(group) => {
                let members = group.members.iter();
                let have = members.filter(|member| self.holds(member, cosigned, known));
                have.count() >= group.needed
            }
            None => cosigned.iter().any(|one| one.witness == name),
        };
        known.insert(name, holds);
        holds
    }
}

#[cfg(test)]
mod tests;
