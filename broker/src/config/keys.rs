//! The section of the months' keys.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::apart::lies_within;

/// Where the months' keys lie, and what is left of them when they are split.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeysSection {
    /// The keys' directory: never beside the ledger, and never in a backup.
    pub dir: PathBuf,
    /// The directory of the sealed halves, which belongs into backups.
    #[serde(default = "default_sealed_dir")]
    pub sealed_dir: PathBuf,
}

fn default_sealed_dir() -> PathBuf {
    PathBuf::from("sealed")
}

impl KeysSection {
    /// The ledger's directory is copied as evidence, and that of the halves is backed up.
    pub(super) fn check(&self, ledger: &Path) -> Result<(), (&'static str, String)> {
        if lies_within(&self.dir, ledger) {
            return Err(("keys.dir", "not inside the ledger's directory".to_owned()));
        }
        if lies_within(&self.sealed_dir, ledger) {
            let rule = "not inside the ledger's directory".to_owned();
            return Err(("keys.sealed_dir", rule));
        }
        let (keys, sealed) = (&self.dir, &self.sealed_dir);
        if lies_within(sealed, keys) || lies_within(keys, sealed) {
            let rule = "neither inside `keys.dir` nor around it: halves belong into backups, and \
                        keys must not get there"
                .to_owned();
            return Err(("keys.sealed_dir", rule));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::Config;

    const FULL: &str = include_str!("../../broker.full.toml");

    #[test]
    fn halves_lie_apart_from_keys_and_ledger() {
        let with = |keys: &str, sealed: &str| {
            let text = FULL.replace("\ndir = \"keys\"", &format!("\ndir = \"{keys}\""));
            let sealed = format!("sealed_dir = \"{sealed}\"");
            text.replace("sealed_dir = \"sealed\"", &sealed)
        };
        for (keys, sealed) in [
            ("keys", "keys"),
            ("keys", "keys/sealed"),
            ("sealed/keys", "sealed"),
            ("keys", "ledger/sealed"),
            ("keys", "./keys/sealed"),
            ("./sealed/keys", "sealed"),
            ("keys", "keys/../ledger/sealed"),
        ] {
            let config = Config::parse(&with(keys, sealed)).unwrap();
            let (key, _) = config.check().unwrap_err();
            assert_eq!(key, "keys.sealed_dir", "{keys} {sealed}");
        }
    }

    #[test]
    fn a_configuration_that_names_no_place_for_halves_has_one() {
        let config = Config::parse(&FULL.replace("sealed_dir = \"sealed\"", "")).unwrap();
        assert_eq!(config.keys.sealed_dir.to_str(), Some("sealed"));
        config.keys.check(&config.ledger.dir).unwrap();
    }
}
