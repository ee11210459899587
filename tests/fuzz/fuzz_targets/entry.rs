//! Entries as an auditor decodes them: whatever bytes a log holds, they decode or are refused, and
//! what decodes is the same after it was written again.

#![no_main]

use accord_proto::{segment::time_of, v1};
use libfuzzer_sys::fuzz_target;
use prost::Message as _;

fuzz_target!(|data: &[u8]| {
    let _ = time_of(data);
    if let Ok(entry) = v1::Entry::decode(data) {
        let again = entry.encode_to_vec();
        let decoded = v1::Entry::decode(again.as_slice()).expect("what was written is read");
        assert_eq!(decoded.encode_to_vec(), again);
    }
});
