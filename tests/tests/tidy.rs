//! What the house keeps in order by machine: sizes of files, the direction of dependencies, and
//! what must not lie in the tree.

#![expect(clippy::unwrap_used, reason = "tests end where they fail")]

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use accord_adapters::virtual_operator::TEST_NUMBERS;

/// A file that grows beyond this is split.
const LINES_MAX: usize = 400;

/// Files that may be longer, each with its reason. The list may only shrink.
const LONGER: [(&str, usize, &str); 0] = [];

/// Which crates of the workspace each crate may use, tests aside.
const MAY_USE: [(&str, &[&str]); 6] = [
    ("accord-proto", &[]),
    ("accord-certs", &[]),
    ("accord-adapters", &["accord-proto"]),
    ("accord-client", &["accord-proto"]),
    ("accord-broker", &["accord-proto"]),
    (
        "accord-tests",
        &[
            "accord-proto",
            "accord-certs",
            "accord-adapters",
            "accord-client",
            "accord-broker",
        ],
    ),
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap()
        .to_owned()
}

/// Files that git knows or would know, so that a build directory is left out.
fn files() -> Vec<PathBuf> {
    let root = root();
    let listed = Command::new("git")
        .args(["ls-files", "--cached", "--others", "--exclude-standard"])
        .current_dir(&root)
        .output()
        .unwrap();
    assert!(listed.status.success(), "the tree is no git checkout");
    let names = String::from_utf8(listed.stdout).unwrap();
    names
        .lines()
        .map(|name| root.join(name))
        .filter(|path| path.is_file())
        .collect()
}

fn name(path: &Path) -> String {
    path.strip_prefix(root())
        .unwrap()
        .to_string_lossy()
        .into_owned()
}

#[test]
fn no_source_file_is_longer_than_one_can_read_in_one_go() {
    let mut long = Vec::new();
    for path in files()
        .into_iter()
        .filter(|path| path.extension().is_some_and(|e| e == "rs"))
    {
        let lines = fs::read_to_string(&path).unwrap().lines().count();
        let name = name(&path);
        let max = LONGER
            .iter()
            .find(|(file, ..)| *file == name)
            .map_or(LINES_MAX, |(_, max, _)| *max);
        if lines > max {
            long.push(format!("{name}: {lines} lines"));
        }
    }
    assert!(long.is_empty(), "split these:\n{}", long.join("\n"));
}

#[test]
fn the_architecture_page_has_a_line_for_each_file() {
    let page = fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    let is_ours = |name: &str| {
        let is_source =
            name.ends_with(".rs") && (name.contains("/src/") || name.contains("/tests/"));
        is_source || name.ends_with(".proto")
    };
    let names: Vec<String> = files().iter().map(|path| name(path)).collect();
    let ours = names.iter().filter(|name| is_ours(name));
    let missing: Vec<_> = ours
        .filter(|name| !page.contains(&format!("`{name}`")))
        .collect();
    assert!(missing.is_empty(), "not in ARCHITECTURE.md: {missing:#?}");
    let listed = page.split('`').filter(|name| is_ours(name));
    let stale: Vec<_> = listed.filter(|name| !root().join(name).exists()).collect();
    assert!(
        stale.is_empty(),
        "ARCHITECTURE.md lists what is not there: {stale:#?}"
    );
    let empty: Vec<_> = page.lines().filter(|line| says_nothing(line)).collect();
    assert!(
        empty.is_empty(),
        "ARCHITECTURE.md names these and says nothing: {empty:#?}"
    );
}

/// Whether a line of a list names a file and stops there.
fn says_nothing(line: &str) -> bool {
    let item = line
        .strip_prefix("* `")
        .and_then(|item| item.split_once('`'));
    item.is_some_and(|(_, rest)| rest.trim_start_matches(':').trim().is_empty())
}

#[test]
fn a_line_without_words_is_found() {
    assert!(says_nothing("* `tests/src/lib.rs`: "));
    assert!(says_nothing("* `tests/src/lib.rs`"));
    assert!(!says_nothing("* `tests/src/lib.rs`: Accord put together"));
}

#[test]
fn the_readme_is_short() {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let lines = readme.lines().count();
    assert!(lines <= 150, "{lines} lines");
}

#[test]
fn every_test_number_is_told() {
    let page = fs::read_to_string(root().join("docs/test-numbers.md")).unwrap();
    for number in TEST_NUMBERS {
        let row = format!("| {:03} | {} |", number.digits, number.story);
        assert!(page.contains(&row), "docs/test-numbers.md lacks `{row}`");
    }
}

#[test]
fn dependencies_point_one_way() {
    for (member, may_use) in MAY_USE {
        let folder = member.trim_start_matches("accord-");
        let manifest = fs::read_to_string(root().join(folder).join("Cargo.toml")).unwrap();
        let manifest: toml::Table = manifest.parse().unwrap();
        let uses = manifest
            .get("dependencies")
            .and_then(toml::Value::as_table)
            .unwrap();
        for used in uses.keys().filter(|used| used.starts_with("accord-")) {
            assert!(
                may_use.contains(&used.as_str()),
                "{member} must not use {used}"
            );
        }
    }
}

#[test]
fn no_private_key_lies_in_the_tree() {
    for path in files() {
        let content = String::from_utf8_lossy(&fs::read(&path).unwrap()).into_owned();
        let found = holds_private_key(&content);
        assert!(!found, "{} holds a private key", name(&path));
    }
}

/// The example key in the documentation of Go's package `note`, which everybody has.
const PUBLISHED: &str = "PeterNeumann+c74f20a3+";

/// Whether a text holds a key, and not only the words that a parser or a comment looks for: a key
/// has its material on the same line (C2SP) or on the next (PEM of any kind).
fn holds_private_key(content: &str) -> bool {
    // Put together here, so that this file does not find itself.
    let (pem, c2sp) = (
        ["PRIVATE ", "KEY-----"].concat(),
        ["PRIVATE", "+KEY+"].concat(),
    );
    let is_material = |text: &str| {
        let letters = text.bytes().take_while(|byte| {
            byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=' | b'-' | b'.')
        });
        letters.count() >= 40
    };
    let lines: Vec<&str> = content.lines().map(str::trim).collect();
    let in_pem = lines.windows(2).any(|pair| match pair {
        [mark, material] => {
            mark.starts_with("-----BEGIN ") && mark.ends_with(&pem) && is_material(material)
        }
        _ => false,
    });
    let in_c2sp = content
        .match_indices(&c2sp)
        .map(|(at, mark)| content.get(at + mark.len()..).unwrap_or_default())
        .any(|key| is_material(key) && !key.starts_with(PUBLISHED));
    in_pem || in_c2sp
}

#[test]
fn a_private_key_of_any_kind_is_found() {
    let material = "MC4CAQAwBQYDK2VwBCIEIGhhbmRtYWRlIG5vdCBhIGtleSBhdCBhbGwh";
    for kind in ["", "EC ", "RSA ", "OPENSSH ", "ENCRYPTED "] {
        let mark = format!("-----BEGIN {kind}{}", ["PRIVATE ", "KEY-----"].concat());
        assert!(
            holds_private_key(&format!("a\n  {mark}\n  {material}\n")),
            "{kind}"
        );
        assert!(
            !holds_private_key(&format!("a comment on {mark}\nand no more")),
            "{kind}"
        );
    }
    let c2sp = ["PRIVATE", "+KEY+"].concat();
    assert!(holds_private_key(&format!(
        "key = \"{c2sp}name+12345678+{material}\""
    )));
    assert!(!holds_private_key(&format!(
        "a key reads `{c2sp}name+hash+material`"
    )));
}

#[test]
fn only_numbers_reserved_for_drama_and_tests_are_used() {
    // Ofcom's and Arcep's ranges for drama, and +999, which ITU-T E.164 leaves unassigned.
    let reserved = ["+447700900", "+33639980", "+999", "+990"];
    let mut found = Vec::new();
    for path in files() {
        let is_text = path.extension().is_some_and(|e| {
            ["rs", "md", "toml", "proto", "csv", "txt"]
                .iter()
                .any(|k| e == *k)
        });
        if !is_text {
            continue;
        }
        let content = fs::read_to_string(&path).unwrap_or_default();
        for number in numbers(&content) {
            let is_example = number.starts_with("+1234567") || number.starts_with("+0");
            if !is_example && !reserved.iter().any(|range| number.starts_with(range)) {
                found.push(format!("{}: {number}", name(&path)));
            }
        }
    }
    assert!(
        found.is_empty(),
        "not reserved for drama or tests:\n{}",
        found.join("\n")
    );
}

/// What looks like a whole international number: a plus sign and at least ten digits.
fn numbers(text: &str) -> Vec<String> {
    let mut numbers = Vec::new();
    for (at, _) in text.match_indices('+') {
        let digits: String = text
            .get(at + 1..)
            .unwrap_or_default()
            .chars()
            .take_while(char::is_ascii_digit)
            .collect();
        if digits.len() >= 10 {
            numbers.push(format!("+{digits}"));
        }
    }
    numbers
}
