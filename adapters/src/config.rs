//! The adapter's configuration file.
//!
//! ```toml
//! operator = "north-mobile"
//! instance = "a"                        # unique within the operator
//! credit = 1024                         # asks in flight on each link
//!
//! [[broker]]                            # one for each broker node
//! endpoint = "https://broker.example:7443"
//! domain = "broker.example"             # the name in its certificate, if it isn't the host
//!
//! [tls]                                 # PEM; read for each dial, so they can be replaced
//! roots = "roots.pem"
//! certificate = "adapter.pem"
//! key = "adapter.key"
//!
//! [journal]
//! dir = "journal"
//! subject_key_file = "keys/subject.key"         # made at the first start, like the next
//! checkpoint_key_file = "keys/checkpoint.key"
//! file_mib_max = 64
//! files_max = 256
//!
//! [restrictions]
//! file = "restrictions.toml"            # optional; see below
//!
//! [check]
//! numbers_file = "known-subscribers.txt"        # optional: what `accord-adapter check` asks about
//! scratch_dir = "scratch"               # optional: where it keeps what it fetches, until it ends
//!
//! [status]
//! listen = "127.0.0.1:9465"             # page and metrics; loopback only; left out: none
//!
//! [log]
//! filter = "info"
//! format = "text"                       # or "json"
//!
//! [[source]]                            # one for each system; `sources` has the common keys
//! kind = "virtual"                      # or "camara_upstream", "csv", "diameter_sh", "events",
//!                                       # "number_list", "osmo_hlr", "portability", "sql"; each has
//!                                       # keys of its own: docs/operators
//! prefix = "+447700900"
//! ```
//!
//! Unknown keys are refused. Relative paths begin at the folder of the file.
//!
//! The restrictions file is looked at twice a second. One that became wrong changes nothing:
//!
//! ```toml
//! opted_out_file = "opted-out.txt"      # one number a line, E.164 with its plus sign
//! swap_locked_file = "swap-locked.txt"
//!
//! [[kill]]                              # without `bank`: every bank; without `signal`: every signal
//! bank = "first-bank"
//! signal = "sim_swap"
//! ```

mod describe;
mod sections;

use std::{
    collections::HashSet,
    fs, io,
    path::{Path, PathBuf},
};

use accord_proto::{c2sp::VerifierKey, party::OrgName};
use serde::Deserialize;
use tracing_subscriber::{EnvFilter, filter::ParseError};

use crate::{
    journal::{JournalSettings, KeyFileError, SubjectKey, is_begun, load_or_make_checkpoint_key},
    runtime::{
        BrokerEndpoint, CREDIT_DEFAULT, CredentialsError, RuntimeConfig, RuntimeError, TlsFiles,
        check_settings,
    },
    sources::{SOURCES_MAX, SourceSection},
};

pub(crate) use describe::describe;
pub use sections::{
    BrokerSection, CheckSection, JournalSection, LogFormat, LogSection, RestrictionsSection,
    StatusSection, TlsSection,
};

/// What is wrong with a configuration: the file, and the key and the rule or the line.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The adapter's certificate, its key or its roots can't be used.
    #[error(transparent)]
    Credentials(#[from] CredentialsError),
    /// A key file can't be used.
    #[error(transparent)]
    Key(#[from] KeyFileError),
    /// The filter of the log is none.
    #[error("`{}`: log.filter", path.display())]
    LogFilter {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        error: ParseError,
    },
    /// The journal was begun, and a key of it is not there.
    #[error(
        "`{}` is not there, and the journal in `{}` was written with it: put it back (is the volume \
         mounted?), or move the journal away to begin another",
        key.display(),
        journal.display()
    )]
    KeyLost {
        /// The key file.
        key: PathBuf,
        /// The folder of the journal.
        journal: PathBuf,
    },
    /// The key of the journal's checkpoints is not there.
    #[error(
        "journal.checkpoint_key_file: `{}` is not there; `accord-adapter run` makes it at its first start",
        .0.display()
    )]
    NoKey(PathBuf),
    /// The file can't be read.
    #[error("cannot read `{}`", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        error: io::Error,
    },
    /// A value breaks a rule.
    #[error("`{}`: {key}: {rule}", path.display())]
    Rule {
        /// The file.
        path: PathBuf,
        /// The key.
        key: &'static str,
        /// Its rule.
        rule: &'static str,
    },
    /// It isn't TOML of this form.
    #[error("`{}`: {what}", path.display())]
    Toml {
        /// The file.
        path: PathBuf,
        /// The line and what is wrong with it.
        what: String,
    },
}

/// The whole file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AdapterConfig {
    #[serde(skip)]
    path: PathBuf,
    /// The operator.
    pub operator: OrgName,
    /// Name of this adapter instance.
    pub instance: String,
    /// Asks in flight on each link.
    #[serde(default = "credit_default")]
    pub credit: u32,
    /// The broker nodes.
    #[serde(rename = "broker")]
    pub brokers: Vec<BrokerSection>,
    /// The adapter's certificate.
    pub tls: TlsSection,
    /// The journal.
    pub journal: JournalSection,
    /// Where restrictions come from.
    #[serde(default)]
    pub restrictions: RestrictionsSection,
    /// The status page.
    pub status: Option<StatusSection>,
    /// What is logged, and how.
    #[serde(default)]
    pub log: LogSection,
    /// What `accord-adapter check` asks about.
    #[serde(default)]
    pub check: CheckSection,
    /// Where answers come from.
    #[serde(rename = "source")]
    pub sources: Vec<SourceSection>,
}

const fn credit_default() -> u32 {
    CREDIT_DEFAULT
}

impl AdapterConfig {
    /// Reads a configuration and resolves its paths.
    ///
    /// # Errors
    /// [`ConfigError`] names the file and the line or key.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let text = fs::read_to_string(path).map_err(|error| ConfigError::Read {
            path: path.to_owned(),
            error,
        })?;
        let mut config: Self = toml::from_str(&text).map_err(|error| ConfigError::Toml {
            path: path.to_owned(),
            what: describe(&text, &error),
        })?;
        path.clone_into(&mut config.path);
        config.check()?;
        let dir = path.parent().unwrap_or_else(|| Path::new("")).to_owned();
        config.resolve(&dir);
        Ok(config)
    }

    fn check(&self) -> Result<(), ConfigError> {
        let rule = |key, rule| {
            let path = self.path.clone();
            Err(ConfigError::Rule { path, key, rule })
        };
        let settings = check_settings(&self.instance, self.credit, self.brokers.len());
        if let Err(RuntimeError::Setting { key, rule: broken }) = settings {
            return rule(key, broken);
        }
        if let Some((key, broken)) = self.brokers.iter().find_map(BrokerSection::broken) {
            return rule(key, broken);
        }
        if !all_differ(self.brokers.iter().map(|broker| &broker.endpoint)) {
            return rule("broker.endpoint", "two brokers have one; give each its own");
        }
        if !(1..=4_096).contains(&self.journal.file_mib_max) {
            return rule("journal.file_mib_max", "1 to 4096 MiB");
        }
        if !(2..=100_000).contains(&self.journal.files_max) {
            return rule("journal.files_max", "2 to 100000 files");
        }
        if self
            .status
            .is_some_and(|status| !status.listen.ip().is_loopback())
        {
            return rule(
                "status.listen",
                "an address of loopback, such as `127.0.0.1:9465`: the page is in clear",
            );
        }
        if !(1..=SOURCES_MAX).contains(&self.sources.len()) {
            return rule("source", "1 to 16 sources");
        }
        if !all_differ(self.sources.iter().map(|source| &source.name)) {
            return rule(
                "source.name",
                "two sources have one name; give each its own",
            );
        }
        self.log_filter().map(drop)
    }

    /// The filter of the log.
    ///
    /// # Errors
    /// [`ConfigError::LogFilter`]; a configuration that was loaded has none.
    pub fn log_filter(&self) -> Result<EnvFilter, ConfigError> {
        let parsed = EnvFilter::builder().parse(&self.log.filter);
        parsed.map_err(|error| ConfigError::LogFilter {
            path: self.path.clone(),
            error,
        })
    }

    fn resolve(&mut self, dir: &Path) {
        let paths = [
            &mut self.tls.roots,
            &mut self.tls.certificate,
            &mut self.tls.key,
            &mut self.journal.dir,
            &mut self.journal.subject_key_file,
            &mut self.journal.checkpoint_key_file,
        ];
        let all = paths.into_iter().chain(&mut self.restrictions.file);
        let all = all.chain(&mut self.check.numbers_file);
        let all = all.chain(&mut self.check.scratch_dir);
        let sources = self.sources.iter_mut();
        for path in all.chain(sources.flat_map(|source| source.kind.paths())) {
            *path = dir.join(&*path);
        }
    }

    /// The files of the adapter's certificate, for a broker whose own has its host's name.
    #[must_use]
    pub fn tls_files(&self) -> TlsFiles {
        TlsFiles {
            roots: self.tls.roots.clone(),
            certificate: self.tls.certificate.clone(),
            key: self.tls.key.clone(),
            domain: None,
        }
    }

    /// What the runtime needs. Keys of the journal that don't exist yet are made.
    ///
    /// # Errors
    /// [`ConfigError::Key`] for a key file, [`ConfigError::Credentials`] for a certificate that can't
    /// be used at all; one that expired can be replaced while the adapter runs.
    pub fn runtime(&self) -> Result<RuntimeConfig, ConfigError> {
        let endpoint = |broker: &BrokerSection| BrokerEndpoint {
            uri: broker.endpoint.clone(),
            tls: Some(TlsFiles {
                domain: broker.domain.clone(),
                ..self.tls_files()
            }),
        };
        self.tls_files().load(&self.operator)?;
        Ok(RuntimeConfig {
            operator: self.operator.clone(),
            instance: self.instance.clone(),
            credit: self.credit,
            brokers: self.brokers.iter().map(endpoint).collect(),
            journal: self.journal_settings()?,
            restrictions_file: self.restrictions.file.clone(),
        })
    }

    fn journal_settings(&self) -> Result<JournalSettings, ConfigError> {
        self.check_journal_keys()?;
        let name = format!("{}/{}", self.operator, self.instance);
        let checkpoint_key = &self.journal.checkpoint_key_file;
        Ok(JournalSettings {
            dir: self.journal.dir.clone(),
            subject_key: SubjectKey::load_or_make(&self.journal.subject_key_file)?,
            checkpoint_key: load_or_make_checkpoint_key(checkpoint_key, &name)?,
            file_bytes_max: self.journal.file_mib_max << 20,
            files_max: self.journal.files_max,
        })
    }

    /// Looks at those keys of the journal that were made, and makes none.
    ///
    /// # Errors
    /// [`ConfigError::Key`], if one can't be used, and [`ConfigError::KeyLost`].
    pub fn check_journal_keys(&self) -> Result<(), ConfigError> {
        let (subject, checkpoint) = (
            &self.journal.subject_key_file,
            &self.journal.checkpoint_key_file,
        );
        let begun = is_begun(&self.journal.dir);
        if let Some(lost) = [subject, checkpoint]
            .into_iter()
            .find(|key| begun && !key.exists())
        {
            return Err(ConfigError::KeyLost {
                key: lost.clone(),
                journal: self.journal.dir.clone(),
            });
        }
        if subject.exists() {
            SubjectKey::load_or_make(subject)?;
        }
        if checkpoint.exists() {
            load_or_make_checkpoint_key(checkpoint, self.operator.as_str())?;
        }
        Ok(())
    }

    /// The public key of the journal's checkpoints. It makes no key.
    ///
    /// # Errors
    /// If the key file is absent or holds something else.
    pub fn checkpoint_verifier(&self) -> Result<VerifierKey, ConfigError> {
        let path = &self.journal.checkpoint_key_file;
        match exists(path) {
            Err(ConfigError::Read { error, .. }) if error.kind() == io::ErrorKind::NotFound => {
                self.check_journal_keys()?;
                return Err(ConfigError::NoKey(path.clone()));
            }
            looked => looked?,
        }
        let key = load_or_make_checkpoint_key(path, self.operator.as_str())?;
        Ok(key.verifier().clone())
    }
}

fn all_differ<'a>(names: impl Iterator<Item = &'a String> + Clone) -> bool {
    let different: HashSet<_> = names.clone().collect();
    different.len() == names.count()
}

fn exists(path: &Path) -> Result<(), ConfigError> {
    fs::metadata(path)
        .map(drop)
        .map_err(|error| ConfigError::Read {
            path: path.to_owned(),
            error,
        })
}

#[cfg(test)]
mod tests;
