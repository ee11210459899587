//! The section of the configuration, and its rules.

use std::path::PathBuf;

use accord_proto::signal::Signal;
use serde::{Deserialize, Deserializer};

use super::{http::Place, token::KeyAlg};
use crate::tls_files::TlsFileError;

/// The oldest knowledge of an upstream, in seconds: thirty days.
pub(super) const KNOWS_WITHIN_S_MAX: u32 = 30 * 86_400;
/// The most windows or days that are asked about, one after the other.
const QUESTIONS_MAX: usize = 8;

/// How to reach another operator's or an aggregator's CAMARA APIs. Unknown keys are refused.
#[derive(Clone, Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CamaraConfig {
    /// The roots that the upstream's certificates must lead to, PEM.
    pub roots_file: PathBuf,
    /// Our certificate, PEM, where the upstream wants one; with `key_file`.
    pub certificate_file: Option<PathBuf>,
    /// Its key, PEM.
    pub key_file: Option<PathBuf>,
    /// Where tokens come from.
    pub token: TokenSection,
    /// SIM Swap up to its version, such as `https://api.example/sim-swap/v2`.
    pub sim_swap: Option<String>,
    /// Device Swap, likewise.
    pub device_swap: Option<String>,
    /// Call Forwarding Signal, likewise.
    pub call_forwarding: Option<String>,
    /// Device Roaming Status, likewise.
    pub roaming: Option<String>,
    /// Number Recycling, likewise.
    pub number_recycling: Option<String>,
    /// KYC Tenure, likewise.
    pub tenure: Option<String>,
    /// How old what it knows may be when it answers, in seconds. It can't be left out.
    pub knows_within_s: Option<u32>,
    /// The upstream is another Accord: what it says in `Accord-Answer` is read, and stands before what
    /// the body says less precisely.
    #[serde(default)]
    pub accord_answer: bool,
    /// How swaps are asked.
    #[serde(default)]
    pub swaps_by: SwapsBy,
    /// The window of `check`, in hours, or several.
    #[serde(default = "default_check_hours", deserialize_with = "one_or_more")]
    pub check_max_age_hours: Vec<u32>,
    /// How far a date of a swap may lie from the true instant, in seconds.
    #[serde(default = "default_precision_s")]
    pub precision_s: u32,
    /// The name of the operation that lists forwardings: it changed with version 0.5.
    #[serde(default)]
    pub forwarding_operation: ForwardingOperation,
    /// How many days back the holder is asked about, once or several times.
    #[serde(default = "default_since_days", deserialize_with = "one_or_more")]
    pub since_days: Vec<u32>,
    /// For one exchange with the upstream.
    #[serde(default = "default_request_timeout_ms")]
    pub request_timeout_ms: u64,
    /// The most exchanges at once; more are answered `overloaded`.
    #[serde(default = "default_requests_max")]
    pub requests_max: usize,
    /// The most requests a second, whatever the questions that they are for; `None`: no limit.
    pub requests_per_second: Option<u32>,
}

/// OAuth 2.0 client credentials.
#[derive(Clone, Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenSection {
    /// The token endpoint.
    pub url: String,
    /// Who we are there.
    pub client_id: String,
    /// Scopes, and the purpose that the upstream wants, such as
    /// `dpv:FraudPreventionAndDetection sim-swap:retrieve-date`.
    pub scope: String,
    /// A file with the shared secret, or
    pub client_secret_file: Option<PathBuf>,
    /// the key that signs our assertions (`private_key_jwt`), PEM.
    pub assertion_key_file: Option<PathBuf>,
    /// The `kid` of that key.
    pub assertion_key_id: Option<String>,
    /// Its algorithm.
    #[serde(default)]
    pub assertion_alg: KeyAlg,
}

/// How swaps are asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SwapsBy {
    /// `retrieve-date`: the date of the last one.
    #[default]
    RetrieveDate,
    /// `check`: yes or no within `check_max_age_hours`.
    Check,
}

/// What the operation that lists forwardings is called.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ForwardingOperation {
    /// Until version 0.4.
    #[default]
    CallForwardings,
    /// From version 0.5 on.
    RetrieveForwardings,
}

impl ForwardingOperation {
    pub(super) const fn path(self) -> &'static str {
        match self {
            Self::CallForwardings => "call-forwardings",
            Self::RetrieveForwardings => "retrieve-forwardings",
        }
    }
}

/// A number, or a list of them.
fn one_or_more<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u32>, D::Error> {
    #[derive(Deserialize)]
    #[serde(
        untagged,
        expecting = "a whole number, or a list of them such as `[730, 365, 90]`"
    )]
    enum OneOrMore {
        One(u32),
        More(Vec<u32>),
    }
    Ok(match OneOrMore::deserialize(from)? {
        OneOrMore::One(one) => vec![one],
        OneOrMore::More(more) => more,
    })
}

fn default_check_hours() -> Vec<u32> {
    vec![240]
}

const fn default_precision_s() -> u32 {
    60
}

fn default_since_days() -> Vec<u32> {
    vec![365]
}

const fn default_request_timeout_ms() -> u64 {
    2_000
}

const fn default_requests_max() -> usize {
    32
}

/// What stops the source. No text holds a secret.
#[derive(Debug, thiserror::Error)]
pub enum CamaraError {
    /// A key of the configuration breaks a rule.
    #[error("`{key}`: {rule}")]
    Config {
        /// The key.
        key: &'static str,
        /// The rule.
        rule: String,
    },
    /// A certificate, a key or the roots of TLS.
    #[error(transparent)]
    Tls(#[from] TlsFileError),
    /// A file of the configuration can't be read.
    #[error("`{key}`: can't read `{}`", path.display())]
    Read {
        /// The key.
        key: &'static str,
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        error: std::io::Error,
    },
}

pub(super) fn refuse(key: &'static str, rule: impl Into<String>) -> CamaraError {
    let rule = rule.into();
    CamaraError::Config { key, rule }
}

/// Where an API is, for each signal that is configured.
pub(super) type Places = Vec<(Signal, Place)>;

impl CamaraConfig {
    /// Every path of the section, to be resolved.
    pub(crate) fn paths(&mut self) -> Vec<&mut PathBuf> {
        std::iter::once(&mut self.roots_file)
            .chain(&mut self.certificate_file)
            .chain(&mut self.key_file)
            .chain(&mut self.token.client_secret_file)
            .chain(&mut self.token.assertion_key_file)
            .collect()
    }

    /// # Errors
    /// [`CamaraError::Config`] names key and rule.
    pub(super) fn check(&self) -> Result<Places, CamaraError> {
        let Some(knows_within_s) = self.knows_within_s else {
            let rule = "is needed: how old what the upstream knows may be when it answers, in \
                seconds. Its contract says so: 0 if it asks its network each time, 93600 if it reads \
                a nightly file";
            return Err(refuse("knows_within_s", rule));
        };
        let ranges = [
            (
                "knows_within_s",
                knows_within_s.into(),
                0..=KNOWS_WITHIN_S_MAX.into(),
            ),
            ("precision_s", self.precision_s.into(), 0..=86_400),
            ("request_timeout_ms", self.request_timeout_ms, 50..=10_000),
            ("requests_max", self.requests_max as u64, 1..=1_024),
            (
                "requests_per_second",
                self.requests_per_second.unwrap_or(1).into(),
                1..=100_000,
            ),
        ];
        for (key, value, range) in ranges {
            if !range.contains(&value) {
                let (from, to) = range.into_inner();
                return Err(refuse(key, format!("lies in {from} to {to}")));
            }
        }
        several("check_max_age_hours", &self.check_max_age_hours, 2_400)?;
        several("since_days", &self.since_days, 3_650)?;
        if self.certificate_file.is_some() != self.key_file.is_some() {
            let rule = "`certificate_file` and `key_file` stand together";
            return Err(refuse("key_file", rule));
        }
        let apis = [
            ("sim_swap", Signal::SimSwap, &self.sim_swap),
            ("device_swap", Signal::DeviceSwap, &self.device_swap),
            (
                "call_forwarding",
                Signal::CallForwarding,
                &self.call_forwarding,
            ),
            ("roaming", Signal::Roaming, &self.roaming),
            (
                "number_recycling",
                Signal::NumberRecycling,
                &self.number_recycling,
            ),
            ("tenure", Signal::Tenure, &self.tenure),
        ];
        let mut places = Vec::new();
        for (key, signal, url) in apis {
            let Some(url) = url else { continue };
            let place = Place::parse(url).map_err(|rule| refuse(key, rule))?;
            places.push((signal, place));
        }
        if places.is_empty() {
            return Err(refuse("sim_swap", "at least one API is needed"));
        }
        Ok(places)
    }
}

/// # Errors
/// [`CamaraError::Config`] names key and rule.
fn several(key: &'static str, some: &[u32], most: u32) -> Result<(), CamaraError> {
    if !(1..=QUESTIONS_MAX).contains(&some.len()) {
        return Err(refuse(
            key,
            format!("is one number, or up to {QUESTIONS_MAX}"),
        ));
    }
    if !some.iter().all(|one| (1..=most).contains(one)) {
        return Err(refuse(key, format!("lies in 1 to {most}")));
    }
    let mut sorted = some.to_vec();
    sorted.sort_unstable();
    sorted.dedup();
    if sorted.len() < some.len() {
        return Err(refuse(key, "names one of them twice"));
    }
    Ok(())
}
