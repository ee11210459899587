//! The spellings in which a number could lie in a file, and a search for all of them at once.

use std::path::Path;

use accord_proto::hex;
use aho_corasick::AhoCorasick;
use base64::{Engine as _, prelude::BASE64_STANDARD};

/// Looks for numbers in every common spelling, and for bearer tokens.
pub(crate) struct Search {
    automaton: AhoCorasick,
    names: Vec<String>,
}

impl Search {
    /// For numbers in E.164 form with a country code of two digits.
    pub(crate) fn new<'a>(numbers: impl IntoIterator<Item = &'a str>) -> Self {
        let mut patterns = Vec::new();
        let mut names = Vec::new();
        for number in numbers {
            for (how, bytes) in spellings(number) {
                names.push(format!("{number} as {how}"));
                patterns.push(bytes);
            }
        }
        // `{"alg":` and `{"typ":` in base64, with which every JWT begins.
        for token in ["eyJhbGciOi", "eyJ0eXAiOi"] {
            names.push("a bearer token".to_owned());
            patterns.push(token.as_bytes().to_vec());
        }
        Self {
            automaton: AhoCorasick::new(&patterns).unwrap(),
            names,
        }
    }

    /// What stands in these bytes, each once, with its offset and what is around it.
    pub(crate) fn find(&self, bytes: &[u8]) -> Vec<String> {
        let mut found: Vec<(usize, String)> = Vec::new();
        for hit in self.automaton.find_overlapping_iter(bytes) {
            let pattern = hit.pattern().as_usize();
            if found.iter().all(|(known, _)| *known != pattern) {
                let around =
                    &bytes[hit.start().saturating_sub(120)..bytes.len().min(hit.end() + 60)];
                let around = String::from_utf8_lossy(around).into_owned();
                let name = &self.names[pattern];
                found.push((pattern, format!("{name} at {}: …{around:?}…", hit.start())));
            }
        }
        found.into_iter().map(|(_, what)| what).collect()
    }

    /// As [`find`](Self::find), for a file.
    pub(crate) fn find_in(&self, path: &Path) -> Vec<String> {
        let found = self.find(&std::fs::read(path).unwrap());
        let name = path.display();
        found
            .into_iter()
            .map(|what| format!("{name}: {what}"))
            .collect()
    }
}

/// Every spelling, with its name.
fn spellings(number: &str) -> Vec<(&'static str, Vec<u8>)> {
    let digits = number.trim_start_matches('+');
    // Without the country code; `0` and this is the national form.
    let subscriber = &digits[2..];
    let national = format!("0{subscriber}");
    let mut all = Vec::new();
    // These also find the forms with `+`, `00`, `tel:` or a `0` in front.
    all.push(("digits", digits.as_bytes().to_vec()));
    all.push(("national digits", subscriber.as_bytes().to_vec()));
    for separator in [" ", "-", ".", "\u{a0}"] {
        for groups in groupings(subscriber) {
            all.push(("grouped digits", groups.join(separator).into_bytes()));
        }
    }
    all.push(("digits with a space after the country code", {
        format!("{} {subscriber}", &digits[..2]).into_bytes()
    }));
    all.push((
        "UTF-16, little-endian",
        subscriber
            .encode_utf16()
            .flat_map(u16::to_le_bytes)
            .collect(),
    ));
    all.push((
        "UTF-16, big-endian",
        subscriber
            .encode_utf16()
            .flat_map(u16::to_be_bytes)
            .collect(),
    ));
    all.push((
        "hexadecimal of its digits",
        hex::encode(subscriber.as_bytes()).into_bytes(),
    ));
    all.push((
        "a list of bytes",
        format!("{:?}", subscriber.as_bytes())[1..]
            .trim_end_matches(']')
            .into(),
    ));
    all.push((
        "reversed digits",
        digits.chars().rev().collect::<String>().into_bytes(),
    ));
    for text in [digits, national.as_str()] {
        all.push(("packed decimal", packed(text, false)));
        all.push(("TBCD, nibbles swapped", packed(text, true)));
        all.push((
            "hexadecimal of TBCD",
            hex::encode(&packed(text, true)).into_bytes(),
        ));
    }
    for value in [digits, subscriber] {
        let value: u64 = value.parse().unwrap();
        all.push(("u64, little-endian", value.to_le_bytes().to_vec()));
        all.push(("u64, big-endian", value.to_be_bytes().to_vec()));
        all.push(("protobuf varint", varint(value)));
    }
    for skip in 0..3 {
        all.push(("base64", base64_at(digits, skip)));
    }
    all
}

/// The groups in which people write a number down.
fn groupings(digits: &str) -> Vec<Vec<&str>> {
    let cut = |sizes: &[usize]| {
        let mut rest = digits;
        let mut groups = Vec::new();
        for size in sizes {
            let (group, more) = rest.split_at((*size).min(rest.len()));
            groups.push(group);
            rest = more;
        }
        groups.push(rest);
        groups.retain(|group| !group.is_empty());
        groups
    };
    vec![
        cut(&[4]),
        cut(&[4, 3]),
        cut(&[3, 3]),
        cut(&[1, 2, 2, 2]),
        cut(&[2, 2, 2, 2]),
    ]
}

/// Two digits a byte, as 3GPP TS 29.002 has them when `swapped`; an odd one is filled with `F`.
fn packed(digits: &str, swapped: bool) -> Vec<u8> {
    let digits: Vec<u8> = digits.bytes().map(|digit| digit - b'0').collect();
    let pairs = digits
        .chunks(2)
        .map(|pair| (pair[0], pair.get(1).copied().unwrap_or(15)));
    pairs
        .map(|(one, two)| {
            if swapped {
                two << 4 | one
            } else {
                one << 4 | two
            }
        })
        .collect()
}

fn varint(mut value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value >= 0x80 {
        bytes.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
}

/// The characters that stand for the digits in base64, whatever stands around them, when they begin
/// `skip` bytes after a group of three.
fn base64_at(digits: &str, skip: usize) -> Vec<u8> {
    let text = BASE64_STANDARD.encode(format!("{}{digits}", &"xxx"[..skip]));
    let begin = [0, 2, 3][skip];
    let end = (skip + digits.len()) * 8 / 6;
    text.as_bytes()[begin..end].to_vec()
}

#[test]
fn a_number_is_found_in_every_spelling() {
    let search = Search::new(["+447700900123"]);
    for text in [
        "+447700900123",
        "00447700900123",
        "tel:+447700900123;ext=1",
        "07700900123",
        "+44 7700 900123",
        "+44 7700 900 123",
        "0770-090-0123",
        "07700 900123",
        "+44 (0)7700-900-123",
        "321009007744",
        "NDQ3NzAwOTAwMTIz",
        "x 52, 52, 55, 55, 48, 48, 57, 48, 48, 49, 50, 51 x",
        "447700900123@s.example",
    ] {
        assert!(!search.find(text.as_bytes()).is_empty(), "{text}");
    }
    let tbcd = [0x91, 0x44, 0x77, 0x00, 0x09, 0x10, 0x32];
    let packed = [0x07, 0x70, 0x09, 0x00, 0x12, 0x3f];
    let value = 447_700_900_123_u64;
    for bytes in [
        &tbcd[..],
        &packed,
        &value.to_le_bytes(),
        &value.to_be_bytes(),
        &varint(value),
        b"\x007\x007\x000\x000\x009\x000\x000\x001\x002\x003",
    ] {
        assert!(!search.find(bytes).is_empty(), "{bytes:x?}");
    }
    for before in ["", "a", "ab"] {
        let text = BASE64_STANDARD.encode(format!("{before}447700900123 and more"));
        assert!(!search.find(text.as_bytes()).is_empty(), "{text}");
    }
    assert!(
        !search
            .find(b"Bearer eyJhbGciOiJFUzI1NiJ9.e30.c2ln")
            .is_empty()
    );
    assert_eq!(
        search.find(b"+447700900124, 447700, 900123 and 123"),
        [""; 0]
    );
}
