//! The section of the index.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::apart::lies_within;

/// What finds entries of the ledger.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct IndexSection {
    /// Its directory; it may be lost, and is then made anew.
    pub dir: PathBuf,
}

impl IndexSection {
    /// The ledger's directory is copied as evidence, and holds nothing else.
    pub(super) fn check(&self, ledger: &Path) -> Result<(), (&'static str, String)> {
        if lies_within(&self.dir, ledger) {
            return Err(("index.dir", "not inside the ledger's directory".to_owned()));
        }
        Ok(())
    }
}

impl Default for IndexSection {
    fn default() -> Self {
        Self {
            dir: PathBuf::from("index"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Config;

    const FULL: &str = include_str!("../../broker.full.toml");

    #[test]
    fn an_index_inside_the_ledger_is_refused() {
        for dir in ["ledger/index", "./ledger/index", "keys/../ledger"] {
            let text = FULL.replace("dir = \"index\"", &format!("dir = \"{dir}\""));
            let (key, _) = Config::parse(&text).unwrap().check().unwrap_err();
            assert_eq!(key, "index.dir", "{dir}");
        }
    }

    #[test]
    fn a_configuration_without_the_section_has_an_index_too() {
        let text = FULL.replace("[index]\n", "");
        let text = text.replace("dir = \"index\"", "");
        let config = Config::parse(&text).unwrap();
        assert_eq!(config.index.dir.to_str(), Some("index"));
    }
}
