//! The section of the source.

use std::path::PathBuf;

use crate::file_drop::{FilesConfigError, SftpConfig};

/// Which file, and who the operator is in it.
#[derive(Clone, Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PortabilityConfig {
    /// The database; `docs/portability.md` describes it.
    pub file: PathBuf,
    /// The recipients that are this operator: its name, its codes, its brands.
    pub own: Vec<String>,
    /// The most rows.
    #[serde(default = "default_rows_max")]
    pub rows_max: u64,
    /// How often to look for a new file.
    #[serde(default = "default_reload_ms")]
    pub reload_ms: u64,
    /// A server from which the file comes.
    pub sftp: Option<SftpConfig>,
}

impl PortabilityConfig {
    /// The paths of the section, to be resolved.
    pub(crate) fn paths(&mut self) -> impl Iterator<Item = &mut PathBuf> {
        let sftp = self.sftp.iter_mut().flat_map(SftpConfig::paths);
        std::iter::once(&mut self.file).chain(sftp)
    }

    /// Checks each rule; the name of the file.
    pub(super) fn check(&self) -> Result<String, FilesConfigError> {
        let broken = |key, rule| Err(FilesConfigError::Rule { key, rule });
        if self.own.is_empty() || self.own.iter().any(String::is_empty) {
            return broken("own", "at least one recipient, or every number is lost");
        }
        if !(1..=200_000_000).contains(&self.rows_max) {
            return broken("rows_max", "1 to 200000000");
        }
        if !(10..=86_400_000).contains(&self.reload_ms) {
            return broken("reload_ms", "10 to 86400000");
        }
        let name = self.file.file_name().and_then(|name| name.to_str());
        match name {
            Some(name) => Ok(name.to_owned()),
            None => broken("file", "the name of a file, in UTF-8"),
        }
    }
}

const fn default_rows_max() -> u64 {
    20_000_000
}

const fn default_reload_ms() -> u64 {
    1_000
}
