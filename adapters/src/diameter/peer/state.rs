//! What is configured of a peer, its states, and why there is no connection or no answer.

use std::time::Duration;

use rustls_pki_types::ServerName;

use crate::diameter::codec::CodecError;
use crate::diameter::tls::TlsConfig;
use crate::diameter::watchdog::Trust;
use crate::unreached::Unreached;

/// Disconnect-Cause DO_NOT_WANT_TO_TALK_TO_YOU (RFC 6733 section 5.4.3).
const NOT_WANTED: u32 = 2;

/// How to reach a peer, and its limits.
#[derive(Clone, Debug)]
pub struct PeerSettings {
    /// `host:port`.
    pub address: String,
    /// Its Origin-Host, if it must be this one.
    pub host: Option<String>,
    /// Lower ones are asked first.
    pub priority: u8,
    /// TLS, and the name in the peer's certificate.
    pub tls: Option<(TlsConfig, ServerName<'static>)>,
    /// The longest message.
    pub message_bytes_max: usize,
    /// Requests that wait for their answers at once.
    pub in_flight_max: usize,
    /// For each of: dialling with TLS, exchanging capabilities.
    pub connect_max: Duration,
    /// Tw of RFC 3539.
    pub watchdog: Duration,
    /// The longest pause before dialling again.
    pub reconnect_max: Duration,
}

/// Why there is no connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Cause {
    /// Not tried yet.
    #[error("not dialled yet")]
    NotYet,
    /// TCP.
    #[error("it can't be reached: {0}")]
    Unreachable(Unreached),
    /// Dialling or the exchange of capabilities took too long.
    #[error("it did not answer in time")]
    Silent,
    /// TLS: its certificate, its name, or ours.
    #[error("no TLS with it: {0}")]
    Tls(&'static str),
    /// The capabilities were refused, with this result (3010: it does not know our `origin_host`).
    #[error("it refused us with result {0}")]
    Refused(u32),
    /// It neither serves nor relays Sh.
    #[error("it has no Sh application")]
    NoSh,
    /// Its Origin-Host is another than the configured one.
    #[error("its Origin-Host is not the configured one")]
    OtherHost,
    /// It broke the protocol.
    #[error("it broke the protocol: {0}")]
    Protocol(#[from] CodecError),
    /// It ended the connection.
    #[error("it closed the connection")]
    Ended,
    /// It disconnected, with this cause (0 reboots, 1 busy, 2 does not want to talk).
    #[error("it disconnected with cause {0}")]
    Disconnected(u32),
    /// It left watchdogs unanswered.
    #[error("it left its watchdogs unanswered")]
    WatchdogExpired,
    /// The adapter stops.
    #[error("the adapter stops")]
    Stopped,
}

impl Cause {
    /// Dialling soon again would be refused again.
    pub(super) const fn is_a_refusal(self) -> bool {
        matches!(
            self,
            Self::Refused(_) | Self::NoSh | Self::OtherHost | Self::Disconnected(NOT_WANTED)
        )
    }
}

/// The state of a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PeerState {
    /// No connection, and why.
    Closed(Cause),
    /// Being dialled.
    Connecting,
    /// The capabilities are sent.
    WaitCea,
    /// In use.
    Open(Trust),
}

/// Why a request has no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// No connection.
    #[error("there is no connection")]
    NotOpen,
    /// Too many requests wait.
    #[error("too many requests wait for their answers")]
    Full,
    /// The connection was lost before the answer came.
    #[error("the connection was lost")]
    Lost,
    /// No answer at the deadline.
    #[error("no answer in time")]
    Timeout,
    /// The request can't be written, or the answer can't be read.
    #[error(transparent)]
    Codec(#[from] CodecError),
}
