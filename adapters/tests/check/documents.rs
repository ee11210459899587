//! The pages for operators: what they say of configurations is true.

use std::path::{Path, PathBuf};

use accord_adapters::config::AdapterConfig;

use crate::{CONFIG, VIRTUAL};

fn pages() -> Vec<PathBuf> {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/operators");
    let entries = std::fs::read_dir(docs).unwrap();
    let mut pages: Vec<_> = entries
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "md"))
        .collect();
    pages.sort();
    assert!(pages.len() >= 2);
    pages
}

/// The blocks of TOML on a page, each with its first line.
fn blocks(page: &str) -> Vec<(usize, String)> {
    let mut blocks = Vec::new();
    let mut open: Option<(usize, String)> = None;
    for (number, line) in (1..).zip(page.lines()) {
        match (&mut open, line.trim()) {
            (None, "```toml") => open = Some((number + 1, String::new())),
            (Some(_), "```") => blocks.extend(open.take()),
            (Some((_, text)), _) => {
                text.push_str(line);
                text.push('\n');
            }
            (None, _) => {}
        }
    }
    blocks
}

#[test]
fn every_block_of_toml_is_toml_and_every_source_in_one_loads() {
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("adapter.toml");
    let mut sources = 0;
    for page in pages() {
        // The last block that begins a source; one of `[source.…]` alone goes on with it.
        let mut begun = String::new();
        for (line, block) in blocks(&std::fs::read_to_string(&page).unwrap()) {
            let place = format!("{}:{line}", page.display());
            let table: toml::Table = block.parse().unwrap_or_else(|why| panic!("{place}: {why}"));
            let goes_on = table.get("source").is_some_and(toml::Value::is_table);
            let block = match goes_on {
                true => format!("{begun}{block}"),
                false => block,
            };
            if table.contains_key("source") && !goes_on {
                begun.clone_from(&block);
            }
            // Whole configurations, or a section to be put into one.
            let text = match (table.contains_key("operator"), table.contains_key("source")) {
                (true, _) => block,
                (false, true) => format!("{CONFIG}{block}"),
                (false, false) if table.contains_key("check") => {
                    format!("{CONFIG}{block}{VIRTUAL}")
                }
                (false, false) => continue,
            };
            std::fs::write(&config, text).unwrap();
            let loaded = AdapterConfig::load(&config);
            let loaded = loaded.unwrap_or_else(|why| panic!("{place}: {why}"));
            sources += loaded.sources.len();
        }
    }
    assert!(sources > 0, "no page shows a source");
}
