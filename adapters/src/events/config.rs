//! The section of the configuration, and its rules.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

use accord_proto::signal::Signal;
use jiff::{Timestamp, civil::Date, tz::TimeZone};

use super::envelope::NAME_BYTES_MAX;
use crate::unreached::host_of;

/// The most producers of one source.
const PRODUCERS_MAX: usize = 16;

/// A stream of events. Unknown keys are refused. It has `nats` or `webhook`: what comes by one says
/// nothing of what waits at the other.
#[derive(Clone, Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EventsConfig {
    /// Who tells, by the `source` of their events, and what each carries, of every subscriber: the
    /// signals that it answers follow from that. A signal is known as far as all have told that
    /// carry it.
    pub producers: BTreeMap<String, Vec<Carried>>,
    /// Directory of the journal of events.
    pub journal_dir: PathBuf,
    /// The key of its digests, 64 hexadecimal digits; made at the first start.
    pub journal_key_file: PathBuf,
    /// The most numbers that events may tell of.
    #[serde(default = "default_subscribers_max")]
    pub subscribers_max: usize,
    /// How much later than another event, or than a heartbeat, an event may come.
    #[serde(default = "default_lateness_ms")]
    pub lateness_ms: u64,
    /// How often the producer tells at least that it lives. Without a word for longer the stream is
    /// behind.
    #[serde(default = "default_heartbeat_max_ms")]
    pub heartbeat_max_ms: u64,
    /// The longest silence of the producer that is no gap in the watch.
    #[serde(default = "default_gap_max_ms")]
    pub gap_max_ms: u64,
    /// How far ahead of the adapter's clock an event may lie.
    #[serde(default = "default_clock_tolerance_ms")]
    pub clock_tolerance_ms: u64,
    /// Events before this day are not believed: a clock that was never set, most likely.
    #[serde(default = "default_earliest")]
    pub earliest: String,
    /// NATS JetStream.
    pub nats: Option<NatsSection>,
    /// Signed webhooks.
    pub webhook: Option<WebhookSection>,
    /// Nothing is taken: the source is only tried, beside an adapter that runs.
    #[serde(skip)]
    pub apart: bool,
}

/// What a stream can carry. It must do so for every subscriber of the operator: a number of which
/// nothing was told counts as unchanged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Carried {
    /// `device_change`: the signal `device_swap`.
    Devices,
    /// `signalling_alarm` of the signalling firewall: `signalling_anomaly`.
    Firewall,
    /// `forward_set` and `forward_cleared`: `call_forwarding`.
    Forwarding,
    /// `activate`, `cease`, `port_in`, `port_out`: `number_recycling` and `tenure`.
    Holders,
    /// `sim_swap`, `activate`, `port_in`: `sim_swap`.
    Swaps,
}

impl Carried {
    /// All of them, in the order of the journal.
    pub const ALL: [Self; 5] = [
        Self::Devices,
        Self::Firewall,
        Self::Forwarding,
        Self::Holders,
        Self::Swaps,
    ];

    /// What must be carried so that a signal can be answered; `None`: events never can.
    pub(super) const fn of(signal: Signal) -> Option<Self> {
        match signal {
            Signal::SimSwap => Some(Self::Swaps),
            Signal::DeviceSwap => Some(Self::Devices),
            Signal::CallForwarding => Some(Self::Forwarding),
            Signal::NumberRecycling | Signal::Tenure => Some(Self::Holders),
            Signal::SignallingAnomaly => Some(Self::Firewall),
            Signal::Roaming => None,
        }
    }
}

/// A stream of NATS JetStream, read by a durable pull consumer.
#[derive(Clone, Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NatsSection {
    /// `nats://host:port`, or `tls://host:port`; several of one cluster. Without TLS only loopback.
    pub servers: Vec<String>,
    /// Name of the stream.
    pub stream: String,
    /// Name of the durable consumer, which the adapter makes if it is not there.
    #[serde(default = "default_durable")]
    pub durable: String,
    /// Only messages of this subject, wildcards allowed. Without it all of the stream's.
    pub subject: Option<String>,
    /// PEM: the roots that the server's certificate must lead to.
    pub roots: Option<PathBuf>,
    /// PEM: the adapter's own certificate, where the server asks for one.
    pub certificate: Option<PathBuf>,
    /// PEM: its key.
    pub key: Option<PathBuf>,
    /// A credentials file (`.creds`) of NATS.
    pub credentials_file: Option<PathBuf>,
    /// A user, instead.
    pub user: Option<String>,
    /// The file of the user's password.
    pub password_file: Option<PathBuf>,
}

/// A small server that takes signed webhooks (<https://www.standardwebhooks.com>).
#[derive(Clone, Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WebhookSection {
    /// Address and port. Without TLS only on loopback, behind a proxy of the operator's.
    pub listen: SocketAddr,
    /// PEM: the server's certificate chain.
    pub certificate: Option<PathBuf>,
    /// PEM: its key.
    pub key: Option<PathBuf>,
    /// The secret of the signatures, `whsec_` and base64 of 24 to 64 bytes, a line for each that is
    /// in force: two while one is replaced by another. Read for each request.
    pub secret_file: PathBuf,
    /// How old a request may be, and how far ahead.
    #[serde(default = "default_replay_window_s")]
    pub replay_window_s: u32,
    /// The most requests each second; more are told to come again.
    #[serde(default = "default_requests_per_second")]
    pub requests_per_second: u32,
    /// Connections at once.
    #[serde(default = "default_connections_max")]
    pub connections_max: usize,
}

/// What a key of the configuration breaks.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{key}`: {rule}")]
pub struct EventsConfigError {
    /// The key.
    pub key: &'static str,
    /// Its rule.
    pub rule: &'static str,
}

const fn default_subscribers_max() -> usize {
    10_000_000
}

const fn default_lateness_ms() -> u64 {
    5_000
}

const fn default_heartbeat_max_ms() -> u64 {
    60_000
}

const fn default_gap_max_ms() -> u64 {
    300_000
}

const fn default_clock_tolerance_ms() -> u64 {
    5_000
}

fn default_earliest() -> String {
    // As of exports: the first public GSM networks opened in 1991, analogue ones about 1980.
    "1980-01-01".to_owned()
}

fn default_durable() -> String {
    "accord-adapter".to_owned()
}

const fn default_replay_window_s() -> u32 {
    300
}

const fn default_requests_per_second() -> u32 {
    500
}

const fn default_connections_max() -> usize {
    64
}

impl EventsConfig {
    /// Every path of the section, to be resolved.
    pub(crate) fn paths(&mut self) -> Vec<&mut PathBuf> {
        let mut paths = vec![&mut self.journal_dir, &mut self.journal_key_file];
        if let Some(nats) = &mut self.nats {
            paths.extend(&mut nats.roots);
            paths.extend(&mut nats.certificate);
            paths.extend(&mut nats.key);
            paths.extend(&mut nats.credentials_file);
            paths.extend(&mut nats.password_file);
        }
        if let Some(webhook) = &mut self.webhook {
            paths.push(&mut webhook.secret_file);
            paths.extend(&mut webhook.certificate);
            paths.extend(&mut webhook.key);
        }
        paths
    }

    /// The signals that it answers.
    pub(super) fn signals(&self) -> Vec<Signal> {
        let carries = |what| self.producers.values().any(|all| all.contains(&what));
        let known = |signal: &&Signal| Carried::of(**signal).is_some_and(carries);
        Signal::ALL.iter().filter(known).copied().collect()
    }

    /// The beginning of the day before which no event is believed.
    pub(super) fn earliest(&self) -> Result<Timestamp, EventsConfigError> {
        let day: Option<Date> = self.earliest.parse().ok();
        let start = day.and_then(|day| day.to_zoned(TimeZone::UTC).ok());
        let start = start.map(|start| start.timestamp());
        // Zero is *never* in the journal.
        start
            .filter(|start| *start > Timestamp::UNIX_EPOCH)
            .ok_or(EventsConfigError {
                key: "earliest",
                rule: "is a day after 1970-01-01, written `1980-01-01`",
            })
    }

    /// # Errors
    /// [`EventsConfigError`] names the key and its rule.
    pub(super) fn check(&self) -> Result<(), EventsConfigError> {
        let broken = |key, rule| Err(EventsConfigError { key, rule });
        if !(1..=PRODUCERS_MAX).contains(&self.producers.len()) {
            return broken("producers", "names 1 to 16 of them");
        }
        for (name, carries) in &self.producers {
            if !(1..=NAME_BYTES_MAX).contains(&name.len()) {
                return broken("producers", "names each by 1 to 128 bytes");
            }
            if carries.is_empty() {
                return broken("producers", "says of each what it carries");
            }
        }
        self.earliest()?;
        if !(1..=100_000_000).contains(&self.subscribers_max) {
            return broken("subscribers_max", "lies in 1 to 100000000");
        }
        if !(1..=86_400_000).contains(&self.heartbeat_max_ms) {
            return broken("heartbeat_max_ms", "lies in 1 to 86400000");
        }
        if self.gap_max_ms < self.heartbeat_max_ms || self.gap_max_ms > 604_800_000 {
            return broken(
                "gap_max_ms",
                "is at least `heartbeat_max_ms` and at most a week",
            );
        }
        if self.lateness_ms > self.gap_max_ms {
            return broken("lateness_ms", "is at most `gap_max_ms`");
        }
        if !(100..=60_000).contains(&self.clock_tolerance_ms) {
            return broken("clock_tolerance_ms", "lies in 100 to 60000");
        }
        match (&self.nats, &self.webhook) {
            (None, None) => broken("nats", "or `webhook` must be there"),
            (Some(_), Some(_)) => broken(
                "webhook",
                "has a section of its own: what comes by it says nothing of what waits in `nats`",
            ),
            (nats, webhook) => {
                nats.as_ref().map_or(Ok(()), NatsSection::check)?;
                webhook.as_ref().map_or(Ok(()), WebhookSection::check)
            }
        }
    }
}

impl NatsSection {
    fn check(&self) -> Result<(), EventsConfigError> {
        let broken = |key, rule| Err(EventsConfigError { key, rule });
        if !(1..=16).contains(&self.servers.len()) {
            return broken("nats.servers", "has 1 to 16 of them");
        }
        for server in &self.servers {
            let address = server
                .strip_prefix("nats://")
                .or_else(|| server.strip_prefix("tls://"));
            if address.and_then(host_of).is_none() {
                return broken(
                    "nats.servers",
                    "read `tls://host:port`, or `nats://host:port` on loopback",
                );
            }
            let host = server.strip_prefix("nats://");
            let near = host.is_some_and(|host| {
                host.starts_with("127.")
                    || host.starts_with("localhost:")
                    || host.starts_with("[::1]")
            });
            if self.roots.is_none() && !near {
                return broken(
                    "nats.roots",
                    "is required, unless each server is `nats://` on loopback",
                );
            }
        }
        let word = |text: &str| {
            (1..=128).contains(&text.len())
                && text
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
        };
        if !word(&self.stream) {
            return broken("nats.stream", "has letters, digits, `-` and `_` only");
        }
        if !word(&self.durable) {
            return broken("nats.durable", "has letters, digits, `-` and `_` only");
        }
        if self.certificate.is_some() != self.key.is_some() {
            return broken("nats.certificate", "stands beside `key`");
        }
        if self.user.is_some() != self.password_file.is_some() {
            return broken("nats.user", "stands beside `password_file`");
        }
        if self.user.is_some() && self.credentials_file.is_some() {
            return broken("nats.user", "stands in place of `credentials_file`");
        }
        Ok(())
    }
}

impl WebhookSection {
    fn check(&self) -> Result<(), EventsConfigError> {
        let broken = |key, rule| Err(EventsConfigError { key, rule });
        if self.certificate.is_some() != self.key.is_some() {
            return broken("webhook.certificate", "stands beside `key`");
        }
        if self.certificate.is_none() && !self.listen.ip().is_loopback() {
            return broken(
                "webhook.certificate",
                "is required, unless `listen` is loopback",
            );
        }
        if !(10..=3_600).contains(&self.replay_window_s) {
            return broken("webhook.replay_window_s", "lies in 10 to 3600");
        }
        if !(1..=100_000).contains(&self.requests_per_second) {
            return broken("webhook.requests_per_second", "lies in 1 to 100000");
        }
        if !(1..=4_096).contains(&self.connections_max) {
            return broken("webhook.connections_max", "lies in 1 to 4096");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
