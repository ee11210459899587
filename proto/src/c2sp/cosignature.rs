//! C2SP `tlog-cosignature`: a witness says that, at some time, it saw a checkpoint that continues
//! all that it had seen of the log before.
//!
//! ```text
//! what is signed    cosignature/v1
//!                   time 1679315147
//!                   the three lines of the checkpoint
//! signature line    — name base64(key ID ‖ time, 8 bytes big-endian ‖ Ed25519 signature, 64 bytes)
//! ```

use std::fmt;
use std::str::FromStr;

use super::key::{KeyError, SignatureType, SigningKey, VerifierKey, checked_name};
use super::key::{encode_key, key_bytes, key_id_of};
use super::signature::NoteSignature;
use crate::key_text::Parts;
use crate::secret::Secret;

/// Bytes of a cosignature after the key ID: a time and an Ed25519 signature.
const COSIGNATURE_BYTES: usize = 72;

/// A witness's public key: `name+hexid+base64(0x04 || 32 bytes)`.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct CosignerKey {
    /// The same bytes as a key of plain signatures.
    plain: VerifierKey,
    key_id: u32,
}

impl CosignerKey {
    /// Parses the text form. One trailing newline is allowed, since the text may come from a file.
    ///
    /// # Errors
    /// [`KeyError`] names what is wrong; only Ed25519 cosigners (0x04) are known.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        let parts = Parts::split(text).ok_or(KeyError::Form)?;
        let name = checked_name(parts.name)?;
        let public = key_bytes(&parts, &name, SignatureType::Cosignature, KeyError::Form)?;
        let key = Self::of(VerifierKey::of(name, public));
        let id_matches = parts.key_id == key.key_id;
        let Self { plain, key_id } = key;
        let plain = plain.checked(id_matches)?;
        Ok(Self { plain, key_id })
    }

    fn of(plain: VerifierKey) -> Self {
        Self {
            key_id: key_id_of(plain.name(), SignatureType::Cosignature, plain.public()),
            plain,
        }
    }

    /// The witness's name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.plain.name()
    }

    /// The first four bytes of `SHA-256(name || 0x0A || 0x04 || public key)`, big-endian.
    #[must_use]
    pub const fn key_id(&self) -> u32 {
        self.key_id
    }

    /// Whether it is the same key, whatever its name.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        self.plain.public() == other.plain.public()
    }

    /// Whether a signature line claims to be this witness's.
    #[must_use]
    pub fn is_of(&self, signature: &NoteSignature) -> bool {
        signature.name() == self.name() && signature.key_id() == self.key_id
    }

    /// When this witness saw the checkpoint with this text, in seconds since 1970, if the line is
    /// its cosignature; `None` if it is not.
    #[must_use]
    pub fn verify(&self, checkpoint: &str, signature: &NoteSignature) -> Option<u64> {
        let blob: &[u8; COSIGNATURE_BYTES] = signature.bytes().try_into().ok()?;
        let (time, bytes) = blob.split_first_chunk::<8>()?;
        let time = u64::from_be_bytes(*time);
        let known = self.is_of(signature) && self.plain.verify(&message(time, checkpoint), bytes);
        known.then_some(time)
    }
}

impl fmt::Display for CosignerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = encode_key(SignatureType::Cosignature, self.plain.public());
        write!(f, "{}+{:08x}+{key}", self.name(), self.key_id)
    }
}

impl fmt::Debug for CosignerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CosignerKey({self})")
    }
}

impl FromStr for CosignerKey {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

/// A witness's private key. `Debug` redacts it and there is no `Display`.
pub struct Cosigner {
    key: CosignerKey,
    signing: SigningKey,
}

impl Cosigner {
    /// A fresh random key.
    ///
    /// # Errors
    /// [`KeyError::Name`], or [`KeyError::Crypto`] when there is no randomness.
    pub fn generate(name: &str) -> Result<Self, KeyError> {
        SigningKey::generate(name).map(Self::of)
    }

    /// Parses `PRIVATE+KEY+name+hexid+base64(0x04 || 32-byte seed)`. One trailing newline is
    /// allowed, since the text usually comes from a file.
    ///
    /// # Errors
    /// [`KeyError`], which never holds key material.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        let (signing, id) = SigningKey::parse_typed(text, SignatureType::Cosignature)?;
        let cosigner = Self::of(signing);
        if cosigner.key.key_id != id {
            return Err(KeyError::Id {
                name: cosigner.key.name().to_owned(),
            });
        }
        Ok(cosigner)
    }

    fn of(signing: SigningKey) -> Self {
        Self {
            key: CosignerKey::of(signing.verifier().clone()),
            signing,
        }
    }

    /// The text form that [`Self::parse`] reads, for a file of mode 0600.
    #[must_use]
    pub fn to_secret_text(&self) -> Secret<String> {
        let of = SignatureType::Cosignature;
        self.signing.to_typed_text(of, self.key.key_id)
    }

    /// The public half.
    #[must_use]
    pub const fn key(&self) -> &CosignerKey {
        &self.key
    }

    /// Cosigns the text of a checkpoint, whose last line ends with a newline, at a time in seconds
    /// since 1970. Whoever calls this has checked that it continues what was cosigned before.
    #[must_use]
    pub fn cosign(&self, checkpoint: &str, unix_s: u64) -> NoteSignature {
        let mut blob = unix_s.to_be_bytes().to_vec();
        blob.extend(self.signing.sign_bytes(&message(unix_s, checkpoint)));
        NoteSignature::by(self.key.name().to_owned(), self.key.key_id, blob)
    }
}

impl fmt::Debug for Cosigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Cosigner({}, [secret])", self.key.name())
    }
}

fn message(unix_s: u64, checkpoint: &str) -> Vec<u8> {
    format!("cosignature/v1\ntime {unix_s}\n{checkpoint}").into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::c2sp::{Checkpoint, SignedNote};

    const TEXT: &str = "log/2026-11\n7\nCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQk=\n";

    /// Made with another implementation (Python's `hashlib` and `cryptography`) from the text of
    /// C2SP `tlog-cosignature`; the seed is the bytes 0 to 31.
    #[test]
    fn key_and_line_are_these_to_the_byte() {
        let public = "witness.example/w1+e75f6532+BAOhB7/zzhC+HXDdGOdLwJln5NYwm6UNXx3chmQSVTG4";
        let line = "— witness.example/w1 519lMgAAAABkGFDLBuRDazBLVac2NE+Y+IjbjQOcXLfF9CSDZVUIoS83rE1nFZsVE8YiWV6Ngr7lV8H6bdoBQGP/l73euDMQ9k+bBQ==\n";
        let text = "example.com/behind-the-sofa\n20852163\n\
                    CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n";
        let seed: [u8; 32] = std::array::from_fn(|at| u8::try_from(at).unwrap());
        let signing = SigningKey::from_seed("witness.example/w1", seed).unwrap();
        let witness = Cosigner::of(signing);
        assert_eq!(witness.key().to_string(), public);
        let mut note = SignedNote::unsigned(text).unwrap();
        note.add_signature(witness.cosign(text, 1_679_315_147))
            .unwrap();
        assert_eq!(note.to_string(), format!("{text}\n{line}"));
        let key = CosignerKey::parse(public).unwrap();
        assert_eq!(key.verify(text, &note.signatures()[0]), Some(1_679_315_147));
    }

    #[test]
    fn a_cosignature_stands_beside_the_log_s_own_and_says_when() {
        let log = SigningKey::generate("log/2026-11").unwrap();
        let witness = Cosigner::generate("central-bank.example/witness").unwrap();
        let mut note = Checkpoint::parse(TEXT).unwrap().sign(&log).unwrap();
        note.add_signature(witness.cosign(note.text(), 1_700_000_000))
            .unwrap();
        let note = SignedNote::parse(&note.to_string()).unwrap();
        let key = CosignerKey::parse(&witness.key().to_string()).unwrap();
        let times: Vec<_> = note
            .signatures()
            .iter()
            .filter_map(|line| key.verify(note.text(), line))
            .collect();
        assert_eq!(times, [1_700_000_000]);
        // The log's own signature holds as before, and nobody takes the witness's for one.
        assert!(Checkpoint::open(&note, &[log.verifier().clone()]).is_ok());
        let other = note.text().replace("\n7\n", "\n8\n");
        assert!(
            note.signatures()
                .iter()
                .all(|line| key.verify(&other, line).is_none())
        );
    }

    #[test]
    fn each_flipped_bit_of_a_cosignature_is_noticed() {
        let witness = Cosigner::generate("w").unwrap();
        let line = witness.cosign(TEXT, 5);
        for bit in 0..line.bytes().len() * 8 {
            let mut bytes = line.bytes().to_vec();
            bytes[bit / 8] ^= 1 << (bit % 8);
            let flipped = NoteSignature::new("w", line.key_id(), bytes).unwrap();
            assert_eq!(witness.key().verify(TEXT, &flipped), None, "bit {bit}");
        }
        let short = NoteSignature::new("w", line.key_id(), vec![0; 71]).unwrap();
        assert_eq!(witness.key().verify(TEXT, &short), None);
    }

    #[test]
    fn a_cosigner_s_key_and_a_log_s_key_are_not_taken_for_each_other() {
        let witness = Cosigner::generate("w").unwrap();
        let public = witness.key().to_string();
        let plain = SigningKey::generate("w").unwrap();
        assert!(matches!(
            VerifierKey::parse(&public),
            Err(KeyError::Type { .. })
        ));
        assert!(matches!(
            CosignerKey::parse(&plain.verifier().to_string()),
            Err(KeyError::Type { .. })
        ));
        let secret = witness.to_secret_text();
        assert!(matches!(
            SigningKey::parse(secret.expose()),
            Err(KeyError::Type { .. })
        ));
        let again = Cosigner::parse(&format!("{}\n", secret.expose())).unwrap();
        assert_eq!(again.key(), witness.key());
        let read = CosignerKey::parse(&format!("{public}\n")).unwrap();
        assert_eq!(&read, witness.key());
        assert_eq!(format!("{again:?}"), "Cosigner(w, [secret])");
        let id = public.replacen('+', "+f", 1);
        assert!(CosignerKey::parse(&id).is_err());
    }
}
