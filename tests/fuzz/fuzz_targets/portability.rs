//! The database of ported numbers: whole or not at all, and each row is found as it stands.

#![no_main]

use std::io::Cursor;

use accord_proto::portability::{PortabilityDatabase, ReadLimits, parse_row};
use jiff::Timestamp;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(now) = Timestamp::from_second(1_795_000_000) else {
        return;
    };
    let limits = ReadLimits {
        rows_max: 1_000,
        now,
    };
    // A fuzzer does not guess a checksum: so the rows are tried by themselves, too.
    let read = PortabilityDatabase::read(&mut Cursor::new(data), limits);
    if let Ok(database) = read {
        assert!(database.rows() <= limits.rows_max && database.bytes() <= 64 << 10);
    }
    for line in data.split(|byte| *byte == b'\n') {
        if let Ok(text) = str::from_utf8(line) {
            let _ = parse_row(text, 60, now);
        }
    }
});
