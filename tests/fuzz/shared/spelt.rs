//! Tokens out of what a fuzzer finds.

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD as BASE64};

/// Tries a text as it is; and, since a fuzzer finds JSON more easily than base64 of it, its first two lines
/// as a token's header and claims.
pub fn each_spelling(text: &str, hold: fn(&str)) {
    hold(text);
    let mut parts = text.split('\n').map(|part| BASE64.encode(part));
    if let (Some(header), Some(claims)) = (parts.next(), parts.next()) {
        hold(&format!("{header}.{claims}.AAAA"));
    }
}
