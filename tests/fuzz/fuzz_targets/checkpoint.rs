//! C2SP `tlog-checkpoint`: what is read is written alike, and no checkpoint is believed that the log's
//! key did not sign.

#![no_main]

use accord_proto::c2sp::{Checkpoint, SignedNote, VerifierKey};
use libfuzzer_sys::fuzz_target;

const LOG: &str = include_str!("../../../proto/tests/vectors/log.vkey");
/// The one checkpoint that the fuzzer can know a signature of.
const SIGNED: &str = include_str!("../../../proto/tests/vectors/checkpoint");

fuzz_target!(|data: &str| {
    if let Ok(checkpoint) = Checkpoint::parse(data) {
        assert_eq!(checkpoint.to_string(), data);
    }
    let key = VerifierKey::parse(LOG.trim()).expect("a key");
    if let Ok(note) = SignedNote::parse(data)
        && let Ok(checkpoint) = Checkpoint::open(&note, &[key])
    {
        assert!(
            SIGNED.starts_with(&checkpoint.to_string()),
            "a forgery is believed"
        );
    }
});
