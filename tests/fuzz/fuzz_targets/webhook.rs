//! The headers of a signed webhook: what the secret did not sign is never believed, and what it signed
//! just now always is, whatever else stands in the header.

#![no_main]

use accord_adapters::events::webhook::{is_signed, sign};
use jiff::Timestamp;
use libfuzzer_sys::fuzz_target;

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
/// The secret's bytes.
const KEY: [u8; 24] = [
    0x31, 0xf2, 0x90, 0xf6, 0xbf, 0x06, 0x29, 0x8a, 0xab, 0x4f, 0x08, 0xd4, 0x3c, 0x3f, 0x08, 0x2c,
    0xf6, 0x48, 0xa3, 0x62, 0xda, 0x2d, 0xa4, 0xb0,
];
const SECONDS: i64 = 1_795_000_000;

fuzz_target!(|data: &[u8]| {
    // Four lines: id, time, signatures, body.
    let mut parts = data.splitn(4, |byte| *byte == b'\n');
    let mut part = || parts.next().unwrap_or_default();
    let (id, at, signatures, body) = (part(), part(), part(), part());
    let now = Timestamp::from_second(SECONDS).expect("it is a time");
    assert!(
        !is_signed([id, at, signatures], body, &KEY, now),
        "a forgery"
    );
    let Ok(id) = str::from_utf8(id) else { return };
    let visible = |byte: u8| (0x20..0x7f).contains(&byte) && byte != b' ';
    if id.is_empty() || !id.bytes().all(visible) || !signatures.iter().all(|byte| visible(*byte)) {
        return;
    }
    let seconds = str::from_utf8(at)
        .ok()
        .and_then(|at| at.parse::<i64>().ok());
    let seconds = seconds.unwrap_or(SECONDS);
    let Ok(at) = Timestamp::from_second(seconds) else {
        return;
    };
    let [_, (_, time), (_, good)] = sign(SECRET, id, at, body).expect("it is a secret");
    let both = [signatures, b" ", good.as_bytes()].concat();
    let fresh = (seconds - SECONDS).abs() <= 300;
    for header in [good.as_bytes(), &both] {
        let headers = [id.as_bytes(), time.as_bytes(), header];
        assert_eq!(is_signed(headers, body, &KEY, now), fresh);
        let more = [body, b"x"].concat();
        assert!(!is_signed(headers, &more, &KEY, now), "another body");
    }
});
