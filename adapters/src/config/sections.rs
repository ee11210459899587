//! The sections of the configuration that are not a source's.

use std::{net::SocketAddr, path::PathBuf};

use http::Uri;
use rustls_pki_types::ServerName;
use serde::Deserialize;

use crate::unreached::has_good_port;

/// One broker node.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BrokerSection {
    /// `https://host:port`.
    pub endpoint: String,
    /// The name in its certificate, if it isn't the host.
    pub domain: Option<String>,
}

impl BrokerSection {
    /// The key and the rule that it breaks.
    pub(super) fn broken(&self) -> Option<(&'static str, &'static str)> {
        let uri: Option<Uri> = self.endpoint.parse().ok();
        let is_name = |name: &str| ServerName::try_from(name).is_ok();
        let good = uri.as_ref().is_some_and(|uri| {
            let bare = matches!(uri.path(), "" | "/") && uri.query().is_none();
            let at = uri.authority().filter(|at| {
                has_good_port(at)
                    && !at.as_str().contains('@')
                    && is_name(at.host().trim_matches(['[', ']']))
            });
            uri.scheme_str() == Some("https") && bare && at.is_some()
        });
        if !good {
            return Some(("broker.endpoint", "reads `https://host:port`"));
        }
        if !self.domain.as_deref().is_none_or(is_name) {
            let rule = "is the DNS name or the address in the broker's certificate";
            return Some(("broker.domain", rule));
        }
        None
    }
}

/// PEM files.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsSection {
    /// Roots that a broker's certificate must lead to.
    pub roots: PathBuf,
    /// The adapter's certificate chain.
    pub certificate: PathBuf,
    /// Its key.
    pub key: PathBuf,
}

/// The journal.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JournalSection {
    /// Its folder.
    pub dir: PathBuf,
    /// The key of its pseudonyms.
    pub subject_key_file: PathBuf,
    /// The key that signs its checkpoints.
    pub checkpoint_key_file: PathBuf,
    /// A file is closed at this size.
    #[serde(default = "file_mib_default")]
    pub file_mib_max: u64,
    /// With more files the oldest goes.
    #[serde(default = "files_default")]
    pub files_max: usize,
}

/// Where restrictions come from.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RestrictionsSection {
    /// A file of opt-outs, locks and kill switches.
    pub file: Option<PathBuf>,
}

/// What `accord-adapter check` asks about.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CheckSection {
    /// Known subscribers, one number a line, E.164 with its plus sign; `#` begins a comment.
    pub numbers_file: Option<PathBuf>,
    /// Where what sources write meanwhile is kept until the check ends. Left out: beside each source's
    /// own spool or journal.
    pub scratch_dir: Option<PathBuf>,
}

/// The status page.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StatusSection {
    /// Where it listens, on loopback: it is in clear and asks nobody who he is.
    pub listen: SocketAddr,
}

/// What is logged, and how.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LogSection {
    /// A filter of `tracing`, such as `info` or `accord_adapters=debug`.
    pub filter: String,
    /// The form of a line.
    pub format: LogFormat,
}

impl Default for LogSection {
    fn default() -> Self {
        Self {
            filter: "info".to_owned(),
            format: LogFormat::Text,
        }
    }
}

/// The form of a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For machines.
    Json,
    /// For people.
    Text,
}

const fn file_mib_default() -> u64 {
    64
}

const fn files_default() -> usize {
    256
}
