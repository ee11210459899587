//! C2SP `tlog-proof`, and proofs of inclusion and consistency with any hashes in any number.

#![no_main]

use accord_proto::{
    c2sp::{LogProof, VerifierKey},
    merkle::{Hash, verify_consistency, verify_inclusion},
};
use libfuzzer_sys::fuzz_target;

const LOG: &str = include_str!("../../../proto/tests/vectors/log.vkey");
/// The entry of the starting corpus, and where it stands.
const ENTRY: &[u8] = b"entry 3";
const INDEX: u64 = 3;

fuzz_target!(|data: &[u8]| {
    if let Ok(text) = str::from_utf8(data)
        && let Ok(proof) = LogProof::parse(text)
    {
        assert_eq!(proof.to_string(), text);
        let key = VerifierKey::parse(LOG.trim()).expect("a key");
        if proof.verify(ENTRY, &[key]).is_ok() {
            assert_eq!(
                proof.index, INDEX,
                "an entry is believed to be where it is not"
            );
        }
    }
    let (numbers, rest) = data.as_chunks::<8>();
    let [one, other, ..] = numbers else { return };
    let (one, other) = (u64::from_le_bytes(*one), u64::from_le_bytes(*other));
    let (hashes, _): (&[Hash], _) = rest.as_chunks();
    let all: Vec<Hash> = numbers[2..].as_flattened().as_chunks().0.to_vec();
    for hashes in [hashes, &all] {
        let root = [0; 32];
        // Whatever these say, they say it at once and don't panic.
        let _ = verify_inclusion(&[1; 32], one, other, hashes, &root);
        let _ = verify_consistency((one, &[1; 32]), (other, &root), hashes);
    }
});
