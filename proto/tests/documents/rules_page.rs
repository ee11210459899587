//! Keeps `docs/rules.md` true.

use std::{collections::BTreeSet, fs, path::PathBuf};

/// The rules that the page must hold.
const RULES: [&str; 24] = [
    "R01", "R03", "R05", "R06", "R07", "R08", "R10", "R11", "R13", "R14", "R22", "R23", "R25",
    "R30", "R35", "R36", "R37", "R38", "R39", "R40", "R43", "R44", "R45", "R47",
];

/// Rules that only documents can break: no question does.
const IN_DOCUMENTS_ONLY: [&str; 1] = ["R08"];

/// Rules for those who read the record: no question breaks them.
const IN_READING_ONLY: [&str; 10] = [
    "R22", "R23", "R25", "R35", "R36", "R37", "R38", "R39", "R43", "R45",
];

/// One row that names who holds a rule.
struct Row {
    rule: String,
    enforced_in: Vec<String>,
    /// File and test.
    held_by: Vec<(String, String)>,
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn page() -> String {
    fs::read_to_string(root().join("docs/rules.md")).unwrap()
}

/// The text under a heading, up to the next one.
fn section<'a>(page: &'a str, heading: &str) -> &'a str {
    let (_, rest) = page.split_once(&format!("\n## {heading}\n")).unwrap();
    rest.split_once("\n## ")
        .map_or(rest, |(section, _)| section)
}

/// What stands in backticks.
fn quoted(cell: &str) -> Vec<String> {
    cell.split('`')
        .skip(1)
        .step_by(2)
        .map(str::to_owned)
        .collect()
}

fn table(section: &str) -> Vec<Vec<&str>> {
    let rows = section.lines().filter(|line| line.starts_with("| R"));
    rows.map(|row| row.trim_matches('|').split('|').map(str::trim).collect())
        .filter(|cells: &Vec<&str>| cells[0] != "Rule")
        .collect()
}

fn rows(section: &str) -> Vec<Row> {
    let row = |cells: Vec<&str>| {
        let [rule, _, enforced_in, held_by] = cells.as_slice() else {
            panic!("a row of rules.md has four cells: {cells:?}");
        };
        let held_by = quoted(held_by);
        let pairs = held_by.chunks(2).map(|pair| {
            let [file, test] = pair else {
                panic!("{rule}: file and test: {pair:?}")
            };
            (file.clone(), test.clone())
        });
        Row {
            rule: (*rule).to_owned(),
            enforced_in: quoted(enforced_in),
            held_by: pairs.collect(),
        }
    };
    table(section).into_iter().map(row).collect()
}

fn ids(rows: &[Row]) -> BTreeSet<&str> {
    rows.iter().map(|row| row.rule.as_str()).collect()
}

#[test]
fn each_rule_stands_on_the_page_with_its_basis() {
    let page = page();
    let rules = table(section(&page, "The rules"));
    let found: Vec<&str> = rules.iter().map(|cells| cells[0]).collect();
    assert_eq!(found, RULES);
    for cells in rules {
        assert!(
            cells.len() == 3 && cells.iter().all(|cell| !cell.is_empty()),
            "{cells:?}"
        );
    }
}

#[test]
fn each_file_and_each_test_on_the_page_exists() {
    let page = page();
    let documents = rows(section(&page, "Enforced in the documents"));
    let path = rows(section(&page, "Enforced in the path of a question"));
    let reading = rows(section(&page, "Enforced in reading the record"));
    for row in documents.iter().chain(&path).chain(&reading) {
        assert!(
            !row.enforced_in.is_empty() && !row.held_by.is_empty(),
            "{}",
            row.rule
        );
        for file in &row.enforced_in {
            assert!(
                root().join(file).is_file(),
                "{}: `{file}` does not exist",
                row.rule
            );
        }
        for (file, test) in &row.held_by {
            let text = fs::read_to_string(root().join(file));
            let text = text.unwrap_or_else(|_| panic!("{}: no file `{file}`", row.rule));
            assert!(
                runs(&text, test),
                "{}: no test `{test}` that runs in {file}",
                row.rule
            );
        }
    }
}

/// Whether a file has a test of this name that is not left out.
fn runs(text: &str, test: &str) -> bool {
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let begins = [format!("fn {test}("), format!("async fn {test}(")];
    let is_it = |line: &&str| begins.iter().any(|begin| line.starts_with(begin));
    let Some(at) = lines.iter().position(is_it) else {
        return false;
    };
    let above: Vec<&str> = lines[..at]
        .iter()
        .rev()
        .copied()
        .take_while(|line| line.starts_with("#[") || line.starts_with("//"))
        .filter(|line| line.starts_with("#["))
        .collect();
    let is_test = |line: &&str| line.starts_with("#[test]") || line.starts_with("#[tokio::test");
    let is_left_out = |line: &&str| line.contains("ignore") || line.starts_with("#[cfg");
    above.iter().any(is_test) && !above.iter().any(is_left_out)
}

#[test]
fn a_test_that_is_ignored_renamed_or_no_test_holds_nothing() {
    let good = "#[tokio::test(start_paused = true)]\nasync fn it_holds() {\n}\n";
    assert!(runs(good, "it_holds"));
    assert!(runs("#[test]\n/// Why.\nfn it_holds() {}", "it_holds"));
    for bad in [
        "#[test]\n#[ignore]\nfn it_holds() {}",
        "#[ignore = \"slow\"]\n#[test]\nfn it_holds() {}",
        "#[test]\n#[cfg_attr(debug_assertions, ignore)]\nfn it_holds() {}",
        "#[test]\n#[cfg(feature = \"slow\")]\nfn it_holds() {}",
        "fn it_holds() {}",
        "#[test]\nfn it_holds_well() {}",
        "// fn it_holds() {}",
        "#[test]\nfn other() {\n    let it = \"fn it_holds()\";\n}",
    ] {
        assert!(!runs(bad, "it_holds"), "{bad}");
    }
}

#[test]
fn each_rule_is_enforced_in_the_path_unless_no_question_can_break_it() {
    let page = page();
    let documents = rows(section(&page, "Enforced in the documents"));
    let path = rows(section(&page, "Enforced in the path of a question"));
    let reading = rows(section(&page, "Enforced in reading the record"));
    let (documents, path, reading) = (ids(&documents), ids(&path), ids(&reading));
    for rule in RULES {
        let in_path = path.contains(rule);
        let by_documents = IN_DOCUMENTS_ONLY.contains(&rule) && documents.contains(rule);
        let by_reading = IN_READING_ONLY.contains(&rule) && reading.contains(rule);
        assert!(
            in_path || by_documents || by_reading,
            "{rule} has no row in the path"
        );
    }
    let known: BTreeSet<&str> = RULES.into_iter().collect();
    let mut named = documents.iter().chain(&path).chain(&reading);
    assert!(named.all(|rule| known.contains(rule)));
}
