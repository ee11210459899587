//! The section of the configuration, and its rules.

use std::path::PathBuf;
use std::time::Duration;

use accord_proto::msisdn::Msisdn;
use jiff::SignedDuration;

use super::ctrl::CtrlError;
use super::database::DatabaseError;
use super::serving::{Serving, ServingNetwork, default_registration_ms, vouched};
use crate::interval_journal::{FlushError, JournalError, Settings, Watching};
use crate::unreached::host_of;

/// Where the journal of devices lies, within that of cards.
const DEVICE_DIR: &str = "device";

/// How to reach an osmo-hlr, and what to watch. Unknown keys are refused.
#[derive(Clone, Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OsmoHlrConfig {
    /// The control interface, `host:port`. It has no authentication: keep it on loopback or on a
    /// network of its own.
    #[serde(default = "default_address")]
    pub address: String,
    /// Directory of the interval journal.
    pub journal_dir: PathBuf,
    /// The key of the interval journal, 64 hexadecimal digits; made at the first start.
    pub journal_key_file: PathBuf,
    /// Numbers to watch from the start, E.164 with `+`. Others are watched once asked about.
    #[serde(default)]
    pub watch: Vec<String>,
    /// The most numbers watched.
    #[serde(default = "default_watched_max")]
    pub watched_max: usize,
    /// From the start of one poll to the next.
    #[serde(default = "default_poll_ms")]
    pub poll_ms: u64,
    /// The longest time between two samples of a number in which a swap and back may go unseen.
    /// Anything longer is a gap, and the watch restarts.
    #[serde(default = "default_gap_max_ms")]
    pub gap_max_ms: u64,
    /// For one exchange with the control interface, at most 10 s.
    #[serde(default = "default_request_timeout_ms")]
    pub request_timeout_ms: u64,
    /// The most asks that wait at once; more are answered `overloaded`.
    #[serde(default = "default_asks_max")]
    pub asks_max: usize,
    /// Which VLRs and SGSNs are home and which are visited. Without it there is no `roaming`.
    #[serde(default)]
    pub serving: Vec<ServingNetwork>,
    /// The SQLite file of the HLR, read only, for the IMEI and the last location update; the file
    /// itself and no copy. Without it there is no `device_swap`, and `roaming` has no age.
    pub sqlite_file: Option<PathBuf>,
    /// How long after a location update the registration is vouched for, 1 minute to 30 days. Of an
    /// older one the bank is told as of then, so that the agreement's `age_max` decides.
    #[serde(default = "default_registration_ms")]
    pub registration_ms: u64,
}

fn default_address() -> String {
    "127.0.0.1:4259".to_owned()
}

const fn default_watched_max() -> usize {
    1_000_000
}

const fn default_poll_ms() -> u64 {
    10_000
}

const fn default_gap_max_ms() -> u64 {
    60_000
}

const fn default_request_timeout_ms() -> u64 {
    2_000
}

const fn default_asks_max() -> usize {
    1_024
}

/// What stops the source.
#[derive(Debug, thiserror::Error)]
pub enum OsmoHlrError {
    /// A key of the configuration breaks a rule.
    #[error("`{key}`: {rule}")]
    Config {
        /// The key.
        key: &'static str,
        /// The rule.
        rule: String,
    },
    /// The control interface.
    #[error("the HLR gave no answer")]
    Ctrl(#[from] CtrlError),
    /// The HLR's SQLite file.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// The interval journal.
    #[error("the interval journal can't be used")]
    Journal(#[from] JournalError),
    /// The program is stopping.
    #[error("the program is stopping")]
    Interrupted,
}

impl From<FlushError> for OsmoHlrError {
    fn from(error: FlushError) -> Self {
        match error {
            FlushError::Journal(error) => Self::Journal(error),
            FlushError::Interrupted => Self::Interrupted,
        }
    }
}

pub(super) struct Checked {
    pub(super) watch: Vec<Msisdn>,
    pub(super) serving: Serving,
    pub(super) journal: Settings,
    pub(super) file: Option<CheckedFile>,
    pub(super) poll_every: Duration,
    pub(super) request_timeout: Duration,
}

pub(super) struct CheckedFile {
    pub(super) path: PathBuf,
    pub(super) journal: Settings,
    pub(super) vouched: SignedDuration,
}

impl OsmoHlrConfig {
    /// # Errors
    /// [`OsmoHlrError::Config`] names key and rule, and a number by its place only.
    pub(super) fn check(&self) -> Result<Checked, OsmoHlrError> {
        let refuse = |key, rule: &str| {
            let rule = rule.to_owned();
            Err(OsmoHlrError::Config { key, rule })
        };
        let watching = Watching {
            request_timeout_ms: self.request_timeout_ms,
            poll_ms: self.poll_ms,
            gap_max_ms: self.gap_max_ms,
            watched_max: self.watched_max,
            asks_max: self.asks_max,
            watch: &self.watch,
        };
        let broken = |(key, rule)| OsmoHlrError::Config { key, rule };
        let watch = watching.check().map_err(broken)?;
        if host_of(&self.address).is_none() {
            return refuse(
                "address",
                "is `host:port` of CTRL, such as `127.0.0.1:4259`",
            );
        }
        let vouched = vouched(self.registration_ms);
        let vouched = vouched.map_err(|rule| broken(("registration_ms", rule.to_owned())))?;
        let bad_line = |(place, rule)| OsmoHlrError::Config {
            key: "serving",
            rule: format!("line {place}: {rule}"),
        };
        Ok(Checked {
            watch,
            serving: Serving::new(&self.serving).map_err(bad_line)?,
            journal: self.journal(self.journal_dir.clone()),
            file: self.sqlite_file.as_ref().map(|path| CheckedFile {
                path: path.clone(),
                journal: self.journal(self.journal_dir.join(DEVICE_DIR)),
                vouched,
            }),
            poll_every: Duration::from_millis(self.poll_ms),
            request_timeout: Duration::from_millis(self.request_timeout_ms),
        })
    }

    fn journal(&self, directory: PathBuf) -> Settings {
        Settings {
            directory,
            key_file: self.journal_key_file.clone(),
            gap_max: millis(self.gap_max_ms),
            watched_max: self.watched_max,
        }
    }
}

fn millis(length: u64) -> SignedDuration {
    SignedDuration::from_millis(i64::try_from(length).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(more: &str) -> Result<OsmoHlrConfig, toml::de::Error> {
        toml::from_str(&format!(
            "journal_dir = \"j\"\njournal_key_file = \"k\"\n{more}"
        ))
    }

    #[test]
    fn what_is_not_given_has_a_default_that_holds() {
        assert!(config("").unwrap().check().is_ok());
    }

    #[test]
    fn each_rule_names_its_key() {
        for (more, key) in [
            ("request_timeout_ms = 0", "request_timeout_ms"),
            ("request_timeout_ms = 10001", "request_timeout_ms"),
            ("poll_ms = 1", "poll_ms"),
            ("gap_max_ms = 10000", "gap_max_ms"),
            ("watched_max = 0", "watched_max"),
            ("asks_max = 0", "asks_max"),
            ("registration_ms = 59999", "registration_ms"),
            ("address = \"127.0.0.1\"", "address"),
            ("address = \"127.0.0.1:ctrl\"", "address"),
            ("address = \":4259\"", "address"),
            ("address = \"127.0.0.1:0\"", "address"),
            ("address = \"127.0.0.1:65536\"", "address"),
            ("watch = [\"07700900001\"]", "watch"),
            ("serving = [{ home = true }]", "serving"),
        ] {
            let error = config(more).unwrap().check().err().unwrap().to_string();
            assert!(error.contains(&format!("`{key}`")), "{error}");
            assert!(!error.contains("7700900001"), "{error}");
        }
        assert!(config("pol_ms = 1").is_err());
    }
}
