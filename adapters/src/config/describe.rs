//! What is wrong with a text in TOML, for people.

/// The line and the rule of a mistake in TOML, without the text around it and without any number:
/// a configuration may list subscribers.
pub(crate) fn describe(text: &str, error: &toml::de::Error) -> String {
    let mut message = String::new();
    for part in error
        .message()
        .split_inclusive(|c: char| !c.is_ascii_digit())
    {
        let digits = part.trim_end_matches(|c: char| !c.is_ascii_digit());
        if digits.len() >= 6 {
            message.push_str("[digits]");
            message.extend(part.chars().skip(digits.len()));
        } else {
            message.push_str(part);
        }
    }
    let message = plain(message);
    let line = error.span().map(|span| {
        let before = text.get(..span.start).unwrap_or_default();
        before.matches('\n').count() + 1
    });
    line.map_or_else(|| message.clone(), |line| format!("line {line}: {message}"))
}

/// Without the names that types have in the program.
fn plain(message: String) -> String {
    let mut plain = message.replace(" as i128", "");
    for kind in ["u8", "u16", "u32", "u64", "usize", "i64"] {
        let expected = format!("expected {kind}");
        if let Some(before) = plain.strip_suffix(&expected) {
            plain = format!("{before}expected a whole number that is not negative or too large");
        }
    }
    plain.replace(
        "invalid socket address syntax",
        "expected an address and a port, such as `127.0.0.1:9465`",
    )
}
