//! C2SP `tlog-cosignature`: keys have one spelling, and no cosignature is believed but the one that
//! was made.

#![no_main]

use accord_proto::c2sp::{CosignerKey, SignedNote};
use libfuzzer_sys::fuzz_target;

const WITNESS: &str = include_str!("../../../proto/tests/vectors/witness.vkey");
/// The one cosignature that the fuzzer can know.
const COSIGNED: &str = include_str!("../../../proto/tests/vectors/cosigned");

fuzz_target!(|data: &str| {
    if let Ok(key) = CosignerKey::parse(data) {
        assert_eq!(key.to_string(), data);
    }
    let witness = CosignerKey::parse(WITNESS.trim()).expect("a key");
    let made = SignedNote::parse(COSIGNED).expect("a note");
    if let Ok(note) = SignedNote::parse(data) {
        for line in note.signatures() {
            if let Some(time) = witness.verify(note.text(), line) {
                assert_eq!((note.text(), time), (made.text(), 1_700_000_000));
            }
        }
    }
});
