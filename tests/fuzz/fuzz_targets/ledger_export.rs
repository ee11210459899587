//! The export of a ledger that an operator's journal is compared with: whole or not at all, whatever of
//! it is missing.

#![no_main]

use std::path::Path;
use std::sync::LazyLock;

use accord_adapters::reconcile::{Scope, entries_in};
use accord_proto::c2sp::VerifierKey;
use libfuzzer_sys::fuzz_target;

static KEY: LazyLock<VerifierKey> = LazyLock::new(|| {
    let key = include_str!("../../../proto/tests/vectors/log.vkey");
    VerifierKey::parse(key.trim()).expect("a key")
});

fuzz_target!(|data: &[u8]| {
    let scope = Scope {
        operator: "north-mobile",
        instance: "a",
        journal_dir: Path::new("none"),
        journal_key: &KEY,
        export: Path::new("export.jsonl"),
        broker: None,
        from: None,
        until: None,
    };
    let Ok(entries) = entries_in(&scope, data) else {
        return;
    };
    let lines: Vec<&[u8]> = data.split_inclusive(|byte| *byte == b'\n').collect();
    assert!(entries > 0 && entries < lines.len() as u64);
    let footer = lines
        .iter()
        .position(|line| line.windows(8).any(|part| part == b"\"footer\""))
        .expect("the footer is there");
    // Without its end, without its first line, and with that twice.
    let without = lines.get(..footer).expect("it was found there").concat();
    assert!(entries_in(&scope, &without).is_err(), "it was cut off");
    let less = lines.get(1..=footer).expect("it has entries").concat();
    assert!(entries_in(&scope, &less).is_err(), "an entry is missing");
    let first = lines.first().copied().unwrap_or_default();
    let more = [first, data].concat();
    assert!(
        entries_in(&scope, &more).is_err(),
        "an entry stands there twice"
    );
});
