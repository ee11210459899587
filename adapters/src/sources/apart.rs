//! A source that is tried while the adapter runs, and leaves nothing behind.

use std::{io, path::PathBuf};

use super::SourceConfig;
use crate::conformance::Scratch;

impl SourceConfig {
    /// Has the source keep what it writes elsewhere, beginning with a copy of what it has, so that it
    /// can be tried while the adapter runs and leaves nothing behind. A key that there is, is read.
    ///
    /// # Errors
    /// Those of copying.
    pub fn keep_apart(&mut self, name: &str, scratch: &Scratch) -> io::Result<()> {
        match self {
            Self::Csv(config) => {
                if let Some(file) = &mut config.state_file {
                    let apart = scratch.place(name, "state");
                    scratch.copy(file, &apart)?;
                    *file = apart;
                }
                if config.sftp.is_some() {
                    config.directory = spool_apart(name, scratch)?;
                }
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
                if config.sftp.is_some() {
                    config.directory = spool_apart(name, scratch)?;
                }
            }
            Self::OsmoHlr(config) => {
                let config = &mut **config;
                let key_file = &mut config.journal_key_file;
                journal_apart(name, scratch, &mut config.journal_dir, key_file)?;
            }
            Self::Portability(config) => {
                if let (Some(_), Some(file)) = (&config.sftp, config.file.file_name()) {
                    config.file = spool_apart(name, scratch)?.join(file);
                }
            }
            Self::Sql(config) => {
                if let Some(changes) = &mut config.changes {
                    let apart = scratch.place(name, "bookmark");
                    scratch.copy(&changes.bookmark_file, &apart)?;
                    changes.bookmark_file = apart;
                }
            }
            // They keep nothing.
            Self::CamaraUpstream(_) | Self::Virtual(_) => {}
        }
        Ok(())
    }
}

/// An empty directory, into which a check fetches files anew.
fn spool_apart(name: &str, scratch: &Scratch) -> io::Result<PathBuf> {
    let apart = scratch.place(name, "spool");
    std::fs::create_dir_all(&apart)?;
    Ok(apart)
}

/// Has an interval journal, or several in one folder, continue in a copy.
fn journal_apart(
    name: &str,
    scratch: &Scratch,
    dir: &mut PathBuf,
    key_file: &mut PathBuf,
) -> io::Result<()> {
    let apart = scratch.place(name, "journal");
    if key_file.exists() {
        scratch.copy(dir, &apart)?;
    } else {
        *key_file = scratch.place(name, "key");
    }
    *dir = apart;
    Ok(())
}
