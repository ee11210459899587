//! What proves that an access is on the record, checked.

use accord_proto::{
    c2sp::{VerifierKey, proof::LogProof},
    v1,
};

use crate::answer::Mistrust;

/// The ledger that receipts must come from.
#[derive(Clone, Debug, Default)]
pub struct LogTrust {
    pub(crate) origin: Option<String>,
    pub(crate) keys: Vec<VerifierKey>,
}

impl LogTrust {
    /// Receipts must come from the log of this name, or from one below it: a ledger named
    /// `accord-sandbox` has the logs `accord-sandbox/2026-11` and so on.
    #[must_use]
    pub fn of_ledger(origin: &str) -> Self {
        Self {
            origin: Some(origin.to_owned()),
            keys: Vec::new(),
        }
    }

    /// One of these keys must have signed each checkpoint.
    #[must_use]
    pub fn signed_by(mut self, keys: impl IntoIterator<Item = VerifierKey>) -> Self {
        self.keys.extend(keys);
        self
    }

    fn check_origin(&self, found: &str) -> Result<(), Mistrust> {
        let Some(expected) = &self.origin else {
            return Ok(());
        };
        let rest = found.strip_prefix(expected.as_str());
        if rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/')) {
            return Ok(());
        }
        Err(Mistrust::Origin {
            found: found.chars().take(100).collect(),
            expected: expected.clone(),
        })
    }
}

/// How far a receipt was checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Assurance {
    /// Origin and form. The proof can be fetched later, with
    /// [`Auditor::prove_inclusion`](crate::Auditor::prove_inclusion).
    Form,
    /// The proof leads from the leaf hash to a checkpoint that a known key signed.
    Proven,
    /// There is a proof, but no key of the log is configured to hold it against.
    Unverified,
}

impl Assurance {
    /// In words.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::Form => "on the record; the proof can be fetched at any time",
            Self::Proven => "on the record; proof verified",
            Self::Unverified => "proof not verified: no key of the log is configured",
        }
    }
}

/// What proves that an access is on the record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// The log's name.
    pub origin: String,
    /// The entry's index in that log.
    pub index: u64,
    /// RFC 6962 leaf hash of the entry.
    pub leaf_hash: [u8; 32],
    /// A C2SP `tlog-proof`, where it was asked for.
    pub proof: Option<String>,
    /// How far it was checked.
    pub assurance: Assurance,
}

impl Receipt {
    pub(crate) fn check(
        wire: v1::Receipt,
        proof_asked: bool,
        trust: &LogTrust,
    ) -> Result<Self, Mistrust> {
        if wire.origin.is_empty() {
            return Err(Mistrust::Malformed("receipt.origin"));
        }
        trust.check_origin(&wire.origin)?;
        let leaf_hash: [u8; 32] = wire
            .leaf_hash
            .try_into()
            .map_err(|_| Mistrust::Malformed("receipt.leaf_hash"))?;
        if proof_asked && wire.proof.is_empty() {
            return Err(Mistrust::Malformed("receipt.proof"));
        }
        let proof = (!wire.proof.is_empty()).then_some(wire.proof);
        let assurance = match &proof {
            None => Assurance::Form,
            Some(proof) => check_proof(proof, &wire.origin, wire.index, &leaf_hash, trust)?,
        };
        Ok(Self {
            origin: wire.origin,
            index: wire.index,
            leaf_hash,
            proof,
            assurance,
        })
    }
}

/// Holds a proof against a leaf hash.
pub(crate) fn check_proof(
    text: &str,
    origin: &str,
    index: u64,
    leaf_hash: &[u8; 32],
    trust: &LogTrust,
) -> Result<Assurance, Mistrust> {
    let broken = |error: &dyn std::error::Error| Mistrust::Proof(chain(error));
    let proof = LogProof::parse(text).map_err(|error| broken(&error))?;
    if proof.index != index {
        return Err(Mistrust::Proof("it is for another index".to_owned()));
    }
    if trust.keys.is_empty() {
        return Ok(Assurance::Unverified);
    }
    let checkpoint = proof
        .verify_leaf(leaf_hash, &trust.keys)
        .map_err(|error| broken(&error))?;
    if checkpoint.origin != origin {
        return Err(Mistrust::Proof("it is from another log".to_owned()));
    }
    Ok(Assurance::Proven)
}

/// An error with its causes, in one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let cause_text = cause.to_string();
        if !text.ends_with(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        next = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use accord_proto::{
        c2sp::{SigningKey, checkpoint::Checkpoint},
        merkle::{leaf_hash, node_hash},
    };

    use super::*;

    fn wire(origin: &str) -> v1::Receipt {
        v1::Receipt {
            origin: origin.to_owned(),
            index: 1,
            leaf_hash: leaf_hash(b"right").to_vec(),
            proof: String::new(),
        }
    }

    fn proof(origin: &str) -> (String, VerifierKey) {
        let key = SigningKey::generate(origin).unwrap();
        let left = leaf_hash(b"left");
        let checkpoint = Checkpoint {
            origin: origin.to_owned(),
            size: 2,
            root: node_hash(&left, &leaf_hash(b"right")),
        };
        let proof = LogProof {
            extra: None,
            index: 1,
            hashes: vec![left],
            checkpoint: checkpoint.sign(&key).unwrap(),
        };
        (proof.to_string(), key.verifier().clone())
    }

    #[test]
    fn a_receipt_must_come_from_the_expected_ledger() {
        let trust = LogTrust::of_ledger("accord-sandbox");
        for origin in ["accord-sandbox", "accord-sandbox/2026-11"] {
            let receipt = Receipt::check(wire(origin), false, &trust).unwrap();
            assert_eq!(receipt.assurance, Assurance::Form);
        }
        for origin in ["accord-sandbox-2", "elsewhere", "accord"] {
            let refused = Receipt::check(wire(origin), false, &trust);
            assert!(matches!(refused, Err(Mistrust::Origin { .. })), "{origin}");
        }
        assert!(Receipt::check(wire(""), false, &LogTrust::default()).is_err());
    }

    #[test]
    fn a_short_leaf_hash_is_not_believed() {
        let mut short = wire("log");
        short.leaf_hash.pop();
        let refused = Receipt::check(short, false, &LogTrust::default());
        assert_eq!(refused, Err(Mistrust::Malformed("receipt.leaf_hash")));
    }

    #[test]
    fn a_proof_is_verified_against_the_log_key() {
        let (text, key) = proof("log/2026-11");
        let trust = LogTrust::of_ledger("log").signed_by([key]);
        let mut receipt = wire("log/2026-11");
        assert!(Receipt::check(receipt.clone(), true, &trust).is_err());
        receipt.proof = text;
        let checked = Receipt::check(receipt.clone(), true, &trust).unwrap();
        assert_eq!(checked.assurance, Assurance::Proven);

        let mut other_leaf = receipt.clone();
        other_leaf.leaf_hash = leaf_hash(b"another").to_vec();
        let mut other_index = receipt.clone();
        other_index.index = 0;
        for wrong in [other_leaf, other_index] {
            let refused = Receipt::check(wrong, true, &trust);
            assert!(matches!(refused, Err(Mistrust::Proof(_))));
        }
        let stranger = LogTrust::of_ledger("log").signed_by([proof("log/2026-11").1]);
        let refused = Receipt::check(receipt, true, &stranger);
        assert!(matches!(refused, Err(Mistrust::Proof(_))));
    }
}
