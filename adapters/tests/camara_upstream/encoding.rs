//! Answers in other encodings than JSON's.

use accord_adapters::source::{Condition, Source as _};

use crate::server::{Upstream, say};
use crate::{ASSERTION, SWAPPED, open, sim};

/// In Latin-1, of whose letters this text has one above ASCII.
fn latin_1(text: &str) -> Vec<u8> {
    text.chars()
        .map(|letter| u8::try_from(u32::from(letter)).unwrap())
        .collect()
}

/// In UTF-16 of either order of bytes, which the first two tell.
fn utf_16(text: &str, bytes_of: fn(u16) -> [u8; 2]) -> Vec<u8> {
    let units = [0xfeff].into_iter().chain(text.encode_utf16());
    units.flat_map(bytes_of).collect()
}

#[tokio::test]
async fn an_answer_in_another_encoding_is_no_answer_and_nobody_is_unknown_by_it() {
    let upstream = Upstream::start().await;
    let source = open(&upstream, "", ASSERTION);
    // RFC 8259 section 8.1: JSON is UTF-8.
    let swapped = SWAPPED.replace('}', ",\"reason\":\"gewünscht\"}");
    let unknown = r#"{"status":404,"code":"IDENTIFIER_NOT_FOUND","message":"kein Anschluß"}"#;
    let in_utf_8 = [("seen", 200, &*swapped), ("unknown_number", 404, unknown)];
    for (told, status, body) in in_utf_8 {
        upstream.answers([say(status, body)]);
        assert_eq!(sim(&source).await, told);
        for other in [
            latin_1(body),
            utf_16(body, u16::to_le_bytes),
            utf_16(body, u16::to_be_bytes),
        ] {
            upstream.answers([say(status, &other)]);
            assert_eq!(sim(&source).await, "source_down", "{other:?}");
            let state = source.state();
            let why = match status {
                200 => "sim_swap: an answer is no JSON",
                _ => "sim_swap: there is no such API",
            };
            assert_eq!(state.condition, Condition::Unusable, "{other:?}");
            assert_eq!(state.why, why, "{other:?}");
            upstream.answers([say(status, body)]);
            assert_eq!(sim(&source).await, told);
            assert_eq!(source.state().condition, Condition::Up);
        }
    }
    assert_eq!(*upstream.script.connections.lock().unwrap(), 1);
}

#[tokio::test]
async fn a_token_in_another_encoding_is_none() {
    let upstream = Upstream::start().await;
    upstream.answers([say(200, SWAPPED)]);
    let token = r#"{"access_token":"t","token_type":"Bearer","expires_in":300}"#;
    let token = say(200, &utf_16(token, u16::to_le_bytes));
    upstream.script.tokens.lock().unwrap().push_back(token);
    let source = open(&upstream, "", ASSERTION);
    assert_eq!(sim(&source).await, "source_down");
    let state = source.state();
    assert_eq!(state.condition, Condition::Unusable);
    assert_eq!(state.why, "token: the token can't be used");
    assert!(upstream.script.asked("/retrieve-date").is_empty());
}
