//! One connection to an SFTP server whose key is known beforehand.

use std::{sync::Arc, time::Duration};

use accord_proto::secret::Secret;
use russh::{
    client::{self, AuthResult, Handle},
    keys::{HashAlg, PrivateKey, PrivateKeyWithHashAlg, PublicKey, PublicKeyOrCertificate},
};
use russh_sftp::{
    client::{Config as RawConfig, RawSftpSession, error::Error as RawError},
    protocol::{FileAttributes, OpenFlags, StatusCode},
};
use tokio::time::timeout;

use super::Role;
use crate::source::Condition;

/// How much is asked for at once.
const READ_BYTES: u32 = 128 << 10;

/// Why nothing was fetched, or not all.
#[derive(Debug, thiserror::Error)]
pub enum SftpError {
    /// Nobody is there.
    #[error("the server can't be reached")]
    Connect(#[source] Box<russh::Error>),
    /// It has another key than the configured one.
    #[error("the server's key is not `host_key`: it is another server, or somebody in between")]
    HostKey,
    /// It does not let us in.
    #[error("the server refuses user and key, or password")]
    Refused,
    /// It offers no SFTP.
    #[error("the server offers no SFTP")]
    Subsystem(#[source] Box<russh::Error>),
    /// A request failed.
    #[error("the server can't {act}: {why}")]
    Request {
        /// What was asked.
        act: &'static str,
        /// What it said, as far as that is ours to repeat.
        why: &'static str,
    },
    /// It does not give one file.
    #[error("the server does not give `{name}`: {why}")]
    File {
        /// Which file.
        name: String,
        /// What it said, as far as that is ours to repeat.
        why: &'static str,
    },
    /// Too many names.
    #[error("the directory has more than {0} names (`names_max`)")]
    Crowded(u32),
    /// Too large.
    #[error("`{name}` is larger than {mib} MiB (`file_mib_max`)")]
    TooLarge {
        /// Which file.
        name: String,
        /// The limit.
        mib: u32,
    },
    /// It did not stay as it was.
    #[error("`{0}` changed or ended while it was fetched")]
    Changed(String),
    /// The spool.
    #[error("can't {act} in the spool directory")]
    Spool {
        /// What was tried.
        act: &'static str,
        /// What the system said.
        #[source]
        error: std::io::Error,
    },
    /// The whole round took too long.
    #[error("the round took longer than `round_seconds_max`")]
    Timeout,
}

impl SftpError {
    /// Whether it is about one file, and the others may be had.
    pub(super) const fn is_of_one_file(&self) -> bool {
        match self {
            Self::Changed(_) | Self::File { .. } | Self::TooLarge { .. } => true,
            Self::Connect(_)
            | Self::Crowded(_)
            | Self::HostKey
            | Self::Refused
            | Self::Request { .. }
            | Self::Spool { .. }
            | Self::Subsystem(_)
            | Self::Timeout => false,
        }
    }

    /// What it makes of the source.
    pub(super) const fn condition(&self) -> Condition {
        match self {
            Self::HostKey | Self::Refused => Condition::Refused,
            Self::Crowded(_) | Self::TooLarge { .. } => Condition::Unusable,
            Self::Connect(_)
            | Self::Subsystem(_)
            | Self::Request { .. }
            | Self::File { .. }
            | Self::Changed(_)
            | Self::Spool { .. }
            | Self::Timeout => Condition::Down,
        }
    }
}

/// With what we come.
pub(super) enum Credential {
    Key(Box<PrivateKey>),
    Password(Secret<String>),
}

/// Where we go.
pub(super) struct Server {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) user: String,
    pub(super) host_key: PublicKey,
    pub(super) credential: Credential,
    pub(super) request_seconds_max: u32,
}

/// A file there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Remote {
    pub(super) role: Role,
    pub(super) name: String,
    pub(super) bytes: u64,
    /// Seconds since 1970.
    pub(super) modified: u32,
}

impl Remote {
    pub(super) const fn is_content(&self) -> bool {
        matches!(self.role, Role::Content(_))
    }
}

/// An open connection.
pub(super) struct Session {
    sftp: RawSftpSession,
    /// The connection ends with it.
    _connection: Handle<Pinned>,
}

/// Trusts one key.
struct Pinned(PublicKey);

impl client::Handler for Pinned {
    type Error = russh::Error;

    async fn check_server_key(
        &mut self,
        key: &PublicKeyOrCertificate,
    ) -> Result<bool, russh::Error> {
        let known = key.public_key().key_data() == self.0.key_data();
        known.then_some(true).ok_or(russh::Error::UnknownKey)
    }
}

impl Session {
    pub(super) async fn open(server: &Server) -> Result<Self, SftpError> {
        let patience = Duration::from_secs(u64::from(server.request_seconds_max));
        let config = client::Config {
            inactivity_timeout: Some(patience),
            nodelay: true,
            ..client::Config::default()
        };
        let handler = Pinned(server.host_key.clone());
        let connecting = client::connect(
            Arc::new(config),
            (server.host.as_str(), server.port),
            handler,
        );
        let silent = || connect(russh::Error::ConnectionTimeout);
        let connection = timeout(patience, connecting).await.map_err(|_| silent())?;
        let mut connection = connection.map_err(|error| {
            if matches!(error, russh::Error::UnknownKey) {
                SftpError::HostKey
            } else {
                connect(error)
            }
        })?;
        let entering = enter(&mut connection, server);
        timeout(patience, entering).await.map_err(|_| silent())??;
        let opening = async {
            let channel = connection.channel_open_session().await?;
            channel.request_subsystem(true, "sftp").await?;
            Ok::<_, russh::Error>(channel)
        };
        let channel = timeout(patience, opening).await.map_err(|_| silent())?;
        let channel = channel.map_err(|error| SftpError::Subsystem(Box::new(error)))?;
        let config = RawConfig {
            request_timeout_secs: u64::from(server.request_seconds_max),
            ..RawConfig::default()
        };
        let sftp = RawSftpSession::new_with_config(channel.into_stream(), config);
        sftp.init().await.map_err(said("begin SFTP"))?;
        Ok(Self {
            sftp,
            _connection: connection,
        })
    }

    /// The plain files of a directory, with the names that are wanted.
    pub(super) async fn list(
        &self,
        directory: &str,
        names_max: u32,
        wanted: &(dyn Fn(&str) -> Option<Role> + Send + Sync),
    ) -> Result<Vec<Remote>, SftpError> {
        let act = "list the directory";
        let opened = self.sftp.opendir(directory).await.map_err(said(act))?;
        let (mut found, mut seen) = (Vec::new(), 0);
        loop {
            let names = match self.sftp.readdir(opened.handle.as_str()).await {
                Ok(names) => names.files,
                Err(RawError::Status(status)) if status.status_code == StatusCode::Eof => break,
                Err(error) => return Err(said(act)(error)),
            };
            for file in names {
                seen += 1;
                if seen > names_max {
                    return Err(SftpError::Crowded(names_max));
                }
                let plain = file.attrs.is_regular() && !file.filename.contains(['/', '\0']);
                let role = wanted(&file.filename).filter(|_| plain);
                if let (Some(role), Some(bytes), Some(modified)) =
                    (role, file.attrs.size, file.attrs.mtime)
                {
                    found.push(Remote {
                        role,
                        name: file.filename,
                        bytes,
                        modified,
                    });
                }
            }
        }
        // It is gone with the connection at the latest.
        let _ = self.sftp.close(opened.handle).await;
        Ok(found)
    }

    /// Gives a file piece by piece, and fails if it is not the one that was listed, to its end.
    pub(super) async fn read(
        &self,
        directory: &str,
        file: &Remote,
        mut took: impl FnMut(&[u8]) -> Result<(), SftpError>,
    ) -> Result<(), SftpError> {
        let act = "read the file";
        let path = format!("{}/{}", directory.trim_end_matches('/'), file.name);
        let changed = || SftpError::Changed(file.name.clone());
        let opened = self
            .sftp
            .open(path, OpenFlags::READ, FileAttributes::empty())
            .await
            .map_err(said_of(&file.name, act))?;
        let handle = opened.handle.as_str();
        let mut at = 0;
        while at < file.bytes {
            let left = u32::try_from(file.bytes - at).unwrap_or(u32::MAX);
            let piece = match self.sftp.read(handle, at, left.min(READ_BYTES)).await {
                Ok(piece) => piece.data,
                Err(RawError::Status(status)) if status.status_code == StatusCode::Eof => {
                    return Err(changed());
                }
                Err(error) => return Err(said_of(&file.name, act)(error)),
            };
            at += u64::try_from(piece.len()).unwrap_or(u64::MAX);
            if piece.is_empty() || at > file.bytes {
                return Err(changed());
            }
            took(&piece)?;
        }
        let now = self.sftp.fstat(handle).await;
        let now = now.map_err(said_of(&file.name, act))?.attrs;
        // It is gone with the connection at the latest.
        let _ = self.sftp.close(opened.handle.as_str()).await;
        let same = now.size == Some(file.bytes) && now.mtime == Some(file.modified);
        same.then_some(()).ok_or_else(changed)
    }
}

async fn enter(connection: &mut Handle<Pinned>, server: &Server) -> Result<(), SftpError> {
    let user = server.user.as_str();
    let entered = match &server.credential {
        Credential::Password(password) => {
            connection
                .authenticate_password(user, password.expose())
                .await
        }
        Credential::Key(key) => {
            let key = Arc::new(key.as_ref().clone());
            let key = PrivateKeyWithHashAlg::new(key, Some(HashAlg::Sha512));
            connection.authenticate_publickey(user, key).await
        }
    };
    match entered.map_err(connect)? {
        AuthResult::Success => Ok(()),
        AuthResult::Failure { .. } => Err(SftpError::Refused),
    }
}

fn connect(error: russh::Error) -> SftpError {
    SftpError::Connect(Box::new(error))
}

/// As [`said`], of one file: a status about it says nothing of the others, unless it says that the
/// connection is gone.
fn said_of(name: &str, act: &'static str) -> impl Fn(RawError) -> SftpError {
    let name = name.to_owned();
    move |error| {
        let of_file = matches!(&error, RawError::Status(status) if !matches!(
            status.status_code,
            StatusCode::NoConnection | StatusCode::ConnectionLost
        ));
        let why = words(&error);
        if of_file {
            let name = name.clone();
            SftpError::File { name, why }
        } else {
            SftpError::Request { act, why }
        }
    }
}

fn said(act: &'static str) -> impl Fn(RawError) -> SftpError {
    move |error| {
        let why = words(&error);
        SftpError::Request { act, why }
    }
}

/// What a server says may hold anything, so only its code is repeated.
const fn words(error: &RawError) -> &'static str {
    match error {
        RawError::Status(status) => match status.status_code {
            StatusCode::NoSuchFile => "there is none of that name",
            StatusCode::PermissionDenied => "permission denied",
            StatusCode::Ok
            | StatusCode::Eof
            | StatusCode::Failure
            | StatusCode::BadMessage
            | StatusCode::NoConnection
            | StatusCode::ConnectionLost
            | StatusCode::OpUnsupported => "it failed",
        },
        RawError::Timeout => "no answer in time (`request_seconds_max`)",
        RawError::IO(_) => "the connection broke",
        RawError::Limited(_) => "it is at its limits",
        RawError::UnexpectedPacket | RawError::UnexpectedBehavior(_) => {
            "it does not keep to the protocol, or the connection broke"
        }
    }
}

#[cfg(test)]
mod tests {
    use russh_sftp::protocol::Status;

    use super::*;

    #[test]
    fn what_a_server_says_of_one_file_is_not_said_of_the_others() {
        let status = |status_code| {
            let said = said_of("one.csv", "read the file");
            said(RawError::Status(Status {
                id: 1,
                status_code,
                error_message: "+447700900001".to_owned(),
                language_tag: String::new(),
            }))
        };
        for code in [
            StatusCode::NoSuchFile,
            StatusCode::PermissionDenied,
            StatusCode::Failure,
        ] {
            let error = status(code);
            assert!(error.is_of_one_file() && !error.to_string().contains("7700900"));
            assert!(error.to_string().contains("`one.csv`"), "{error}");
        }
        for error in [
            status(StatusCode::ConnectionLost),
            said_of("one.csv", "read the file")(RawError::Timeout),
        ] {
            assert!(!error.is_of_one_file(), "{error}");
        }
    }
}
