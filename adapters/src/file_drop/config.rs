//! The section `sftp` of a source.

use std::{fs, path::PathBuf};

use accord_proto::secret::Secret;
use russh::keys::{PublicKey, decode_secret_key, parse_public_key_base64};

use super::session::{Credential, Server};

/// The longest credential.
const CREDENTIAL_BYTES_MAX: u64 = 64 << 10;

/// A server, and what is fetched from it.
#[derive(Clone, Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SftpConfig {
    /// Its name or address.
    pub host: String,
    /// Its port.
    #[serde(default = "default_port")]
    pub port: u16,
    /// The user there.
    pub user: String,
    /// The server's public key, as it stands in `/etc/ssh/ssh_host_ed25519_key.pub`. Another key is
    /// another server.
    pub host_key: String,
    /// A private key in OpenSSH's or PKCS#8 form, without a passphrase.
    pub key_file: Option<PathBuf>,
    /// A file that holds a password.
    pub password_file: Option<PathBuf>,
    /// A variable of the environment that holds a password.
    pub password_env: Option<String>,
    /// Where the files lie there.
    pub directory: String,
    /// How often to look.
    #[serde(default = "default_every_ms")]
    pub every_ms: u32,
    /// A round that takes longer is given up.
    #[serde(default = "default_round_seconds_max")]
    pub round_seconds_max: u32,
    /// A server that is silent for so long in the middle is given up.
    #[serde(default = "default_request_seconds_max")]
    pub request_seconds_max: u32,
    /// The largest file.
    #[serde(default = "default_file_mib_max")]
    pub file_mib_max: u32,
    /// The most names of the directory that are looked at.
    #[serde(default = "default_names_max")]
    pub names_max: u32,
    /// Of what is read only the newest comes, with what is said about it: for a check.
    #[serde(skip)]
    pub(crate) newest_only: bool,
}

/// A rule that is broken.
#[derive(Debug, thiserror::Error)]
#[error("sftp.{key}: {rule}")]
pub struct SftpConfigError {
    /// The key.
    pub key: &'static str,
    /// The rule.
    pub rule: String,
}

/// Why the section of a source that reads files can't be used.
#[derive(Debug, thiserror::Error)]
pub enum FilesConfigError {
    /// Of the source itself.
    #[error("`{key}`: {rule}")]
    Rule {
        /// The key.
        key: &'static str,
        /// The rule.
        rule: &'static str,
    },
    /// Of the server that the files come from.
    #[error(transparent)]
    Sftp(#[from] SftpConfigError),
}

fn broken(key: &'static str, rule: impl Into<String>) -> SftpConfigError {
    SftpConfigError {
        key,
        rule: rule.into(),
    }
}

impl SftpConfig {
    /// The paths of the section, to be resolved.
    pub(crate) fn paths(&mut self) -> impl Iterator<Item = &mut PathBuf> {
        self.key_file.iter_mut().chain(&mut self.password_file)
    }

    /// The server, with what it is trusted by and what it trusts.
    pub(super) fn server(&self) -> Result<Server, SftpConfigError> {
        for (key, value, least, most) in [
            ("every_ms", self.every_ms, 10, 86_400_000),
            ("round_seconds_max", self.round_seconds_max, 1, 86_400),
            ("request_seconds_max", self.request_seconds_max, 1, 600),
            ("file_mib_max", self.file_mib_max, 1, 1 << 20),
            ("names_max", self.names_max, 1, 1_000_000),
        ] {
            if !(least..=most).contains(&value) {
                return Err(broken(key, format!("{least} to {most}")));
            }
        }
        if self.host.is_empty() || self.user.is_empty() || self.directory.is_empty() {
            return Err(broken("host", "host, user and directory are not empty"));
        }
        Ok(Server {
            host: self.host.clone(),
            port: self.port,
            user: self.user.clone(),
            host_key: self.pinned()?,
            credential: self.credential()?,
            request_seconds_max: self.request_seconds_max,
        })
    }

    fn pinned(&self) -> Result<PublicKey, SftpConfigError> {
        let rule = "is the server's public key, such as `ssh-ed25519 AAAA…`";
        let mut words = self.host_key.split_ascii_whitespace();
        let (Some(kind), Some(key)) = (words.next(), words.next()) else {
            return Err(broken("host_key", rule));
        };
        let parsed = parse_public_key_base64(key).ok();
        parsed
            .filter(|parsed| parsed.algorithm().as_str() == kind)
            .ok_or_else(|| broken("host_key", rule))
    }

    fn credential(&self) -> Result<Credential, SftpConfigError> {
        match (&self.key_file, &self.password_file, &self.password_env) {
            (Some(path), None, None) => {
                let text = read("key_file", path)?;
                let key = decode_secret_key(text.expose(), None);
                let rule = "holds no private key without a passphrase";
                let key = key.map_err(|_| broken("key_file", rule))?;
                Ok(Credential::Key(Box::new(key)))
            }
            (None, Some(path), None) => Ok(Credential::Password(read("password_file", path)?)),
            (None, None, Some(name)) => {
                let value = std::env::var(name);
                let rule = format!("`{name}` is not set in the environment");
                let value = value.map_err(|_| broken("password_env", rule))?;
                Ok(Credential::Password(Secret::new(value)))
            }
            (_, _, _) => Err(broken(
                "key_file",
                "exactly one of `key_file`, `password_file` and `password_env` is given",
            )),
        }
    }
}

fn read(key: &'static str, path: &PathBuf) -> Result<Secret<String>, SftpConfigError> {
    let failed =
        |error: std::io::Error| broken(key, format!("can't read `{}`: {error}", path.display()));
    if fs::metadata(path).map_err(failed)?.len() > CREDENTIAL_BYTES_MAX {
        return Err(broken(key, "is too long for a credential"));
    }
    let text = fs::read_to_string(path).map_err(failed)?;
    Ok(Secret::new(text.trim_end_matches(['\r', '\n']).to_owned()))
}

const fn default_port() -> u16 {
    22
}

const fn default_every_ms() -> u32 {
    60_000
}

const fn default_round_seconds_max() -> u32 {
    3_600
}

const fn default_request_seconds_max() -> u32 {
    30
}

const fn default_file_mib_max() -> u32 {
    8_192
}

const fn default_names_max() -> u32 {
    10_000
}
