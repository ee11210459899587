//! Tables of a list of parties, as they are written.

use std::fmt::Write as _;

use base64::{Engine as _, engine::general_purpose::STANDARD};

use super::args::{AddClient, LicenceArgs};

/// Characters of a line (RFC 7468 section 2).
const PEM_LINE_CHARS: usize = 64;

/// A text as TOML writes it.
pub(super) fn quoted(text: &str) -> String {
    toml::Value::from(text).to_string()
}

fn list(words: &[String]) -> String {
    let words: Vec<String> = words.iter().map(|word| quoted(word)).collect();
    format!("[{}]", words.join(", "))
}

/// `[[party]]`, with a blank line before it.
pub(super) fn party(id: &str, name: &str, licence: &LicenceArgs) -> String {
    let LicenceArgs {
        number,
        supervisor,
        from,
        until,
    } = licence;
    let until = until.map_or_else(String::new, |until| format!("until = {until}, "));
    format!(
        "\n[[party]]\nid = {}\nname = {}\nlicence = {{ number = {}, supervisor = {}, from = {from}, \
         {until}status = \"active\" }}\n",
        quoted(id),
        quoted(name),
        quoted(number),
        quoted(supervisor),
    )
}

/// `ranges`.
pub(super) fn ranges(ranges: &[String]) -> String {
    format!("ranges = {}\n", list(ranges))
}

/// `[[party.keys]]`, with a blank line before it. The key is a DER SubjectPublicKeyInfo: whatever else
/// stands in the file that it came from is not taken over.
pub(super) fn key(kid: &str, algorithm: &str, spki: &[u8]) -> String {
    let body = STANDARD.encode(spki);
    let lines = body.as_bytes().chunks(PEM_LINE_CHARS);
    let lines: Vec<_> = lines.map(String::from_utf8_lossy).collect();
    format!(
        "\n[[party.keys]]\nkid = {}\nalg = \"{algorithm}\"\npublic_key = \"\"\"\n\
         -----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n\"\"\"\n",
        quoted(kid),
        lines.join("\n"),
    )
}

/// `[[party.client]]`, with a blank line before it; `None` if a purpose has no `=`.
pub(super) fn client(client: &AddClient) -> Option<String> {
    let purposes = client.purposes.iter().map(|purpose| {
        let (stated, ours) = purpose.split_once('=')?;
        Some(format!("{} = {}", quoted(stated), quoted(ours)))
    });
    let purposes: Vec<String> = purposes.collect::<Option<_>>()?;
    let mut text = format!(
        "\n[[party.client]]\nid = {}\npurposes = {{ {} }}\nscopes = {}\n",
        quoted(&client.id),
        purposes.join(", "),
        list(&client.scopes),
    );
    if !client.keys.is_empty() {
        // Writing into a text can't fail.
        let _ = writeln!(text, "keys = {}", list(&client.keys));
    }
    Some(text)
}
