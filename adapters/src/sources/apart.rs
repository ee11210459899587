//! A source that is tried while the adapter runs, and leaves nothing behind.

use std::path::{Path, PathBuf};

use super::SourceConfig;
use crate::{
    conformance::{Scratch, ScratchError},
    file_drop::SftpConfig,
};

impl SourceConfig {
    /// Has the source keep what it writes elsewhere, beginning with a copy of what it has, so that it
    /// can be tried while the adapter runs and leaves nothing behind. A key that there is, is read. From
    /// a server comes only the newest that can be used, not its history.
    ///
    /// # Errors
    /// Those of making a place for it, and of copying.
    pub fn keep_apart(&mut self, name: &str, scratch: &mut Scratch) -> Result<(), ScratchError> {
        match self {
            Self::Csv(config) => {
                if let Some(file) = &mut config.state_file {
                    file_apart(name, scratch, "state", file)?;
                }
                let config = &mut **config;
                spool_apart(name, scratch, &mut config.sftp, &mut config.directory)?;
            }
            Self::DiameterSh(config) => {
                // The server would go on notifying.
                config.subscribe.clear();
                let config = &mut **config;
                let key_file = &mut config.journal_key_file;
                journal_apart(name, scratch, &mut config.journal_dir, key_file)?;
            }
            Self::Events(config) => {
                // Two that take the same events take them from each other.
                config.apart = true;
                let config = &mut **config;
                let key_file = &mut config.journal_key_file;
                journal_apart(name, scratch, &mut config.journal_dir, key_file)?;
            }
            Self::NumberList(config) => {
                let config = &mut **config;
                spool_apart(name, scratch, &mut config.sftp, &mut config.directory)?;
            }
            Self::OsmoHlr(config) => {
                let config = &mut **config;
                let key_file = &mut config.journal_key_file;
                journal_apart(name, scratch, &mut config.journal_dir, key_file)?;
            }
            Self::Portability(config) => {
                if let Some(file) = config.file.file_name().map(ToOwned::to_owned) {
                    let mut spool = config.file.clone();
                    spool_apart(name, scratch, &mut config.sftp, &mut spool)?;
                    if config.sftp.is_some() {
                        config.file = spool.join(file);
                    }
                }
            }
            Self::Sql(config) => {
                if let Some(changes) = &mut config.changes {
                    file_apart(name, scratch, "bookmark", &mut changes.bookmark_file)?;
                }
            }
            // They keep nothing.
            Self::CamaraUpstream(_) | Self::Virtual(_) => {}
        }
        Ok(())
    }
}

/// Has a source go on from a copy of a file.
fn file_apart(
    name: &str,
    scratch: &mut Scratch,
    what: &str,
    file: &mut PathBuf,
) -> Result<(), ScratchError> {
    let apart = scratch.place(file, name, what)?;
    scratch.copy(file, &apart)?;
    *file = apart;
    Ok(())
}

/// Has a source whose files come from a server fetch them anew, into an empty directory.
fn spool_apart(
    name: &str,
    scratch: &mut Scratch,
    sftp: &mut Option<SftpConfig>,
    spool: &mut PathBuf,
) -> Result<(), ScratchError> {
    let Some(sftp) = sftp else {
        return Ok(());
    };
    sftp.newest_only = true;
    let apart = scratch.place(spool, name, "spool")?;
    make(&apart)?;
    *spool = apart;
    Ok(())
}

fn make(directory: &Path) -> Result<(), ScratchError> {
    std::fs::create_dir_all(directory).map_err(|error| ScratchError::Make {
        directory: directory.to_owned(),
        error,
    })
}

/// Has an interval journal, or several in one folder, continue in a copy.
fn journal_apart(
    name: &str,
    scratch: &mut Scratch,
    dir: &mut PathBuf,
    key_file: &mut PathBuf,
) -> Result<(), ScratchError> {
    let apart = scratch.place(dir, name, "journal")?;
    if key_file.exists() {
        scratch.copy(dir, &apart)?;
    } else {
        *key_file = scratch.place(dir, name, "key")?;
    }
    *dir = apart;
    Ok(())
}
