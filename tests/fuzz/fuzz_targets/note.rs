//! C2SP `signed-note`: what is read has one spelling, and no key that nobody knows is believed.

#![no_main]

use accord_proto::c2sp::{SignedNote, VerifierKey};
use libfuzzer_sys::fuzz_target;

/// From the documentation of `golang.org/x/mod/sumdb/note`.
const KNOWN: &str = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
const TEXT: &str = "If you think cryptography is the answer to your problem,\n\
                    then you don't know what your problem is.\n";

fuzz_target!(|data: &str| {
    let known = VerifierKey::parse(KNOWN).expect("a key");
    if let Ok(note) = SignedNote::parse(data) {
        assert_eq!(note.to_string(), data);
        if note.verify(&[known]).is_ok_and(|names| !names.is_empty()) {
            assert_eq!(
                note.text(),
                TEXT,
                "a signature over another text is believed"
            );
        }
    }
    if let Ok(key) = VerifierKey::parse(data) {
        // One newline at the end is the file's, not the key's.
        assert_eq!(key.to_string(), data.strip_suffix('\n').unwrap_or(data));
    }
});
