//! C2SP `tlog-witness`: requests, and what a witness answers.

#![no_main]

use accord_proto::c2sp::{
    AddCheckpoint,
    witness::{parse_cosignatures, parse_size},
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &str| {
    if let Ok(request) = AddCheckpoint::parse(data) {
        assert_eq!(request.to_string(), data);
    }
    if let Ok(lines) = parse_cosignatures(data) {
        let again: String = lines.iter().map(|line| format!("{line}\n")).collect();
        assert_eq!(again, data);
    }
    if let Some(size) = parse_size(data) {
        assert_eq!(size.to_string(), data);
    }
});
