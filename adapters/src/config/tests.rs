//! Whole files, and files with one mistake each.

use super::*;
use crate::source::words;

const WHOLE: &str = r#"
operator = "north-mobile"
instance = "a"
[[broker]]
endpoint = "https://127.0.0.1:7443"
[tls]
roots = "roots.pem"
certificate = "adapter.pem"
key = "/etc/adapter.key"
[journal]
dir = "journal"
subject_key_file = "keys/subject.key"
checkpoint_key_file = "keys/checkpoint.key"
[[source]]
kind = "virtual"
prefix = "+447700900"
"#;

fn load(text: &str) -> Result<AdapterConfig, String> {
    let dir = tempfile::TempDir::new().unwrap();
    let path = dir.path().join("adapter.toml");
    fs::write(&path, text).unwrap();
    AdapterConfig::load(&path).map_err(|error| {
        error
            .to_string()
            .replace(&*dir.path().to_string_lossy(), "")
    })
}

#[test]
fn relative_paths_begin_at_the_file() {
    let dir = tempfile::TempDir::new().unwrap();
    let path = dir.path().join("adapter.toml");
    fs::write(&path, WHOLE).unwrap();
    let config = AdapterConfig::load(&path).unwrap();
    assert_eq!(config.tls.roots, dir.path().join("roots.pem"));
    assert_eq!(config.tls.key, Path::new("/etc/adapter.key"));
    assert_eq!(config.journal.dir, dir.path().join("journal"));
    assert_eq!(
        (config.credit, config.log.format),
        (CREDIT_DEFAULT, LogFormat::Text)
    );
    let absent = words(&config.runtime().unwrap_err());
    assert!(absent.contains("roots.pem`: No such file"), "{absent}");
}

#[test]
fn mistakes_name_the_file_the_key_and_the_rule() {
    for (from, to, said) in [
        ("credit", "credit", ""),
        (
            "instance = \"a\"",
            "instanze = \"a\"",
            "`/adapter.toml`: line 3: unknown field `instanze`",
        ),
        (
            "https://",
            "http://",
            "`/adapter.toml`: broker.endpoint: reads `https://host:port`",
        ),
        ("north-mobile", "North", "line 2: an organisation's name is"),
        ("\"virtual\"", "\"psychic\"", "unknown variant `psychic`"),
        ("prefix =", "prefixes =", "unknown field `prefixes`"),
        ("kind = \"virtual\"", "", "missing field `kind`"),
        ("kind =", "timeout_ms = 0\nkind =", "`timeout_ms`: lies in"),
        (
            "[[source]]",
            "[[source]]\nkind = \"virtual\"\nprefix = \"+99900\"\n[[source]]",
            "source.name: two sources have one name",
        ),
        ("dir = \"journal\"", "", "missing field `dir`"),
        (
            "instance =",
            "credit = -1\ninstance =",
            "line 3: invalid value: integer `-1`, expected a whole number",
        ),
        (
            "instance =",
            "credit = 99999999999999999999\ninstance =",
            "integer `[digits]`, expected a whole number",
        ),
        (
            "[[source]]",
            "[status]\nlisten = \"localhost:9465\"\n[[source]]",
            "expected an address and a port",
        ),
        (
            "kind =",
            "asks_per_second = 0\nkind =",
            "`asks_per_second`: lies in 1 to 1,000,000",
        ),
        (
            "dir = \"journal\"",
            "dir = \"j\"\nfiles_max = 1",
            "journal.files_max: 2 to 100000 files",
        ),
    ] {
        match load(&WHOLE.replace(from, to)) {
            Ok(_) => assert!(said.is_empty(), "{to} was accepted"),
            Err(error) => assert!(!said.is_empty() && error.contains(said), "{error}"),
        }
    }
}

#[test]
fn a_mistake_repeats_no_number() {
    let text = WHOLE.replace("instance = \"a\"", "instance = 447700900001");
    let error = load(&text).unwrap_err();
    assert!(
        error.contains("line 3: ") && error.contains("[digits]"),
        "{error}"
    );
    assert!(!error.contains("7700900"), "{error}");
}
