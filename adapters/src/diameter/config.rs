//! The section of the configuration, and its rules.

use std::path::PathBuf;
use std::time::Duration;

use accord_proto::msisdn::Msisdn;
use jiff::SignedDuration;
use rustls_pki_types::ServerName;

use super::diversion::{DiversionConfig, DiversionRules};
use super::location::Places;
use super::node::Node;
use super::peer::{Cause, PeerSettings};
use super::peers::PEERS_MAX;
use super::sh::{Domain, Manner, PacketNode, Reference};
use super::tls::{TlsConfig, TlsError};
use crate::interval_journal::{FlushError, JournalError, Settings, Watching};
use crate::osmo_hlr::{ServingNetwork, default_registration_ms, vouched};
use crate::unreached::host_of;

/// A DiameterIdentity is a name of the DNS.
const IDENTITY_BYTES_MAX: usize = 255;

/// How to reach an HSS by Sh, what it is asked, and what to watch. Unknown keys are refused.
#[derive(Clone, Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DiameterConfig {
    /// The name under which the HSS knows this application server.
    pub origin_host: String,
    /// Its realm.
    pub origin_realm: String,
    /// The realm of the HSS; without it, `origin_realm`.
    pub destination_realm: Option<String>,
    /// The HSS itself, where relays must not choose.
    pub destination_host: Option<String>,
    /// The HSS, or the relays before it.
    #[serde(rename = "peer")]
    pub peers: Vec<PeerConfig>,
    /// TLS with every peer.
    pub tls: Option<TlsConfig>,
    /// Directory of the interval journals.
    pub journal_dir: PathBuf,
    /// Their key, 64 hexadecimal digits; made at the first start.
    pub journal_key_file: PathBuf,
    /// Whether the IMSI is asked (Data-Reference 32), for `sim_swap`.
    #[serde(default = "yes")]
    pub sim_swap: bool,
    /// Whether the IMEI is asked (Data-Reference 34), for `device_swap`.
    #[serde(default)]
    pub device_swap: bool,
    /// Where call diversion is kept (Data-Reference 0). Without it there is no `call_forwarding`.
    pub forwarding: Option<DiversionConfig>,
    /// The domains that are asked (Data-Reference 14), for `roaming`.
    #[serde(default = "both_domains")]
    pub location_domains: Vec<Domain>,
    /// The nodes of the packet domain that the HSS asks; without it, its own choice.
    #[serde(default)]
    pub packet_nodes: Vec<PacketNode>,
    /// Which VLRs, MSCs, SGSNs and MMEs are home and which are visited.
    #[serde(default)]
    pub serving: Vec<ServingNetwork>,
    /// The operator's own networks, MCC and MNC. Without them and `serving` there is no `roaming`.
    #[serde(default)]
    pub home_plmns: Vec<String>,
    /// How long after the network last heard of a phone its registration is vouched for, 1 minute to 30
    /// days. Of an older one the bank is told as of then, so that the agreement's `age_max` decides.
    #[serde(default = "default_registration_ms")]
    pub registration_ms: u64,
    /// Of which data the HSS is asked to notify.
    #[serde(default)]
    pub subscribe: Vec<Reference>,
    /// Whether one request asks for all data but locations.
    #[serde(default)]
    pub combine: bool,
    /// Whether a document in AVP 606 (of Cx) is taken for one in 702.
    #[serde(default)]
    pub tolerate_606: bool,
    /// Numbers to watch from the start, E.164 with `+`. Others are watched once asked about.
    #[serde(default)]
    pub watch: Vec<String>,
    /// The most numbers watched.
    #[serde(default = "watched_max_default")]
    pub watched_max: usize,
    /// From the start of one poll to the next.
    #[serde(default = "poll_ms_default")]
    pub poll_ms: u64,
    /// Numbers asked about at once by a poll.
    #[serde(default = "poll_in_flight_default")]
    pub poll_in_flight: usize,
    /// The longest time between two samples of a number in which a swap and back may go unseen.
    #[serde(default = "gap_max_ms_default")]
    pub gap_max_ms: u64,
    /// For one question, at most 10 s.
    #[serde(default = "request_timeout_ms_default")]
    pub request_timeout_ms: u64,
    /// The most asks at once; more are answered `overloaded`.
    #[serde(default = "asks_max_default")]
    pub asks_max: usize,
    /// Requests that wait for their answers at once, on each connection.
    #[serde(default = "asks_max_default")]
    pub unanswered_max: usize,
    /// The longest message that a peer may send.
    #[serde(default = "message_bytes_max_default")]
    pub message_bytes_max: usize,
    /// For dialling, and again for the exchange of capabilities.
    #[serde(default = "connect_timeout_ms_default")]
    pub connect_timeout_ms: u64,
    /// Tw of RFC 3539.
    #[serde(default = "watchdog_ms_default")]
    pub watchdog_ms: u64,
    /// The longest pause before a peer is dialled again.
    #[serde(default = "reconnect_ms_max_default")]
    pub reconnect_ms_max: u64,
}

/// One peer. Unknown keys are refused.
#[derive(Clone, Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PeerConfig {
    /// `host:port`.
    pub address: String,
    /// Its Origin-Host, if it must be this one.
    pub host: Option<String>,
    /// Lower ones are asked first; equal ones in turn.
    #[serde(default)]
    pub priority: u8,
    /// The name in its certificate, if it isn't the host of `address`.
    pub tls_name: Option<String>,
}

const fn yes() -> bool {
    true
}

fn both_domains() -> Vec<Domain> {
    vec![Domain::Cs, Domain::Ps]
}

const fn watched_max_default() -> usize {
    1_000_000
}

const fn poll_ms_default() -> u64 {
    300_000
}

const fn poll_in_flight_default() -> usize {
    8
}

const fn gap_max_ms_default() -> u64 {
    3_600_000
}

const fn request_timeout_ms_default() -> u64 {
    2_000
}

const fn asks_max_default() -> usize {
    1_024
}

const fn message_bytes_max_default() -> usize {
    65_536
}

const fn connect_timeout_ms_default() -> u64 {
    5_000
}

const fn watchdog_ms_default() -> u64 {
    30_000
}

const fn reconnect_ms_max_default() -> u64 {
    30_000
}

/// What stops the source.
#[derive(Debug, thiserror::Error)]
pub enum DiameterError {
    /// A key of the configuration breaks a rule.
    #[error("`{key}`: {rule}")]
    Config {
        /// The key.
        key: &'static str,
        /// The rule.
        rule: String,
    },
    /// TLS.
    #[error("`tls`: {0}")]
    Tls(#[from] TlsError),
    /// The interval journal.
    #[error("the interval journal can't be used")]
    Journal(#[from] JournalError),
    /// No peer came to be open.
    #[error("`peer`: no Diameter connection: {0}")]
    NoPeer(Cause),
    /// The server did not answer a poll.
    #[error("the server gave no answer")]
    Sh(#[from] super::sh::ShError),
    /// The program is stopping.
    #[error("the program is stopping")]
    Interrupted,
}

impl From<FlushError> for DiameterError {
    fn from(error: FlushError) -> Self {
        match error {
            FlushError::Journal(error) => Self::Journal(error),
            FlushError::Interrupted => Self::Interrupted,
        }
    }
}

pub(super) struct Checked {
    pub(super) node: Node,
    pub(super) peers: Vec<PeerSettings>,
    pub(super) manner: Manner,
    pub(super) forwarding: Option<DiversionRules>,
    pub(super) places: Places,
    /// How long after a phone was heard of its registration is vouched for.
    pub(super) vouched: SignedDuration,
    pub(super) watch: Vec<Msisdn>,
    pub(super) poll_every: Duration,
    pub(super) request_timeout: Duration,
}

fn refuse<T>(key: &'static str, rule: impl Into<String>) -> Result<T, DiameterError> {
    let rule = rule.into();
    Err(DiameterError::Config { key, rule })
}

impl DiameterConfig {
    /// Every path of the section, to be resolved.
    pub(crate) fn paths(&mut self) -> Vec<&mut PathBuf> {
        let tls = self.tls.iter_mut().flat_map(TlsConfig::paths);
        tls.chain([&mut self.journal_dir, &mut self.journal_key_file])
            .collect()
    }

    /// # Errors
    /// [`DiameterError`] names key and rule, and a number by its place only.
    pub(super) fn check(&self) -> Result<Checked, DiameterError> {
        self.check_ranges()?;
        let identities = [
            ("origin_host", Some(&self.origin_host)),
            ("origin_realm", Some(&self.origin_realm)),
            ("destination_realm", self.destination_realm.as_ref()),
            ("destination_host", self.destination_host.as_ref()),
        ];
        for (key, name) in identities {
            if name.is_some_and(|name| !is_identity(name)) {
                return refuse(key, "is a name of the DNS, such as `as.ims.example`");
            }
        }
        let forwarding = self.forwarding.as_ref().map(DiversionConfig::check);
        let forwarding = forwarding
            .transpose()
            .map_err(|(key, rule)| DiameterError::Config { key, rule })?;
        let places = Places::new(&self.serving, &self.home_plmns)
            .map_err(|(key, rule)| DiameterError::Config { key, rule })?;
        if !self.sim_swap && !self.device_swap && forwarding.is_none() && places.is_empty() {
            return refuse("sim_swap", "the section leaves nothing to answer");
        }
        let vouched = vouched(self.registration_ms);
        let indications = forwarding
            .as_ref()
            .map(|rules| rules.service_indications.clone());
        Ok(Checked {
            node: Node {
                host: self.origin_host.clone(),
                realm: self.origin_realm.clone(),
            },
            peers: self.peer_settings()?,
            manner: Manner {
                destination_realm: self
                    .destination_realm
                    .clone()
                    .unwrap_or_else(|| self.origin_realm.clone()),
                destination_host: self.destination_host.clone(),
                service_indications: indications.unwrap_or_default(),
                packet_nodes: self.packet_nodes.clone(),
                tolerate_606: self.tolerate_606,
            },
            forwarding,
            places,
            vouched: vouched.or_else(|rule| refuse("registration_ms", rule))?,
            watch: self.numbers()?,
            poll_every: Duration::from_millis(self.poll_ms),
            request_timeout: Duration::from_millis(self.request_timeout_ms),
        })
    }

    fn check_ranges(&self) -> Result<(), DiameterError> {
        if !(1..=256).contains(&self.poll_in_flight) {
            return refuse("poll_in_flight", "lies in 1 to 256");
        }
        if !(1..=65_536).contains(&self.unanswered_max) {
            return refuse("unanswered_max", "lies in 1 to 65536");
        }
        if !(4_096..=1_048_576).contains(&self.message_bytes_max) {
            return refuse("message_bytes_max", "lies in 4096 to 1048576");
        }
        if !(100..=60_000).contains(&self.connect_timeout_ms) {
            return refuse("connect_timeout_ms", "lies in 100 to 60000");
        }
        if !(6_000..=300_000).contains(&self.watchdog_ms) {
            return refuse("watchdog_ms", "lies in 6000 (RFC 3539) to 300000");
        }
        if !(200..=600_000).contains(&self.reconnect_ms_max) {
            return refuse("reconnect_ms_max", "lies in 200 to 600000");
        }
        Ok(())
    }

    fn peer_settings(&self) -> Result<Vec<PeerSettings>, DiameterError> {
        if !(1..=PEERS_MAX).contains(&self.peers.len()) {
            return refuse("peer", "there are 1 to 16 peers");
        }
        if let Some(tls) = &self.tls {
            tls.load()?;
        }
        let settings = |peer: &PeerConfig| {
            let Some(host) = host_of(&peer.address) else {
                return refuse("peer.address", "is `host:port`");
            };
            if peer.host.as_ref().is_some_and(|name| !is_identity(name)) {
                return refuse(
                    "peer.host",
                    "is a name of the DNS, such as `hss.ims.example`",
                );
            }
            let bare = host.trim_matches(['[', ']']).to_owned();
            let name = peer.tls_name.clone().unwrap_or(bare);
            let tls = match (&self.tls, ServerName::try_from(name)) {
                (None, _) => None,
                (Some(tls), Ok(name)) => Some((tls.clone(), name)),
                (Some(_), Err(_)) => return refuse("peer.tls_name", "is a name or an IP address"),
            };
            Ok(PeerSettings {
                address: peer.address.clone(),
                host: peer.host.clone(),
                priority: peer.priority,
                tls,
                message_bytes_max: self.message_bytes_max,
                in_flight_max: self.unanswered_max,
                connect_max: Duration::from_millis(self.connect_timeout_ms),
                watchdog: Duration::from_millis(self.watchdog_ms),
                reconnect_max: Duration::from_millis(self.reconnect_ms_max),
            })
        };
        self.peers.iter().map(settings).collect()
    }

    fn numbers(&self) -> Result<Vec<Msisdn>, DiameterError> {
        let watching = Watching {
            request_timeout_ms: self.request_timeout_ms,
            poll_ms: self.poll_ms,
            gap_max_ms: self.gap_max_ms,
            watched_max: self.watched_max,
            asks_max: self.asks_max,
            watch: &self.watch,
        };
        let broken = |(key, rule)| DiameterError::Config { key, rule };
        watching.check().map_err(broken)
    }

    /// Of the interval journal of one identity, in a folder of its own.
    pub(super) fn journal(&self, folder: &str) -> Settings {
        let gap_max = i64::try_from(self.gap_max_ms).unwrap_or(i64::MAX);
        Settings {
            directory: self.journal_dir.join(folder),
            key_file: self.journal_key_file.clone(),
            gap_max: SignedDuration::from_millis(gap_max),
            watched_max: self.watched_max,
        }
    }
}

fn is_identity(name: &str) -> bool {
    let usable = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
    !name.is_empty() && name.len() <= IDENTITY_BYTES_MAX && name.chars().all(usable)
}

#[cfg(test)]
mod tests;
