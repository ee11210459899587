//! The broker's configuration: one TOML file, parsed into types. `broker.full.toml` shows every key
//! with its default.

mod anomalies;
mod apart;
mod bounds;
mod camara;
mod index;
mod keys;
mod limits;
mod replay;
mod routing;
mod witnesses;

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use accord_proto::{
    c2sp::VerifierKey,
    digest::sha256,
    document::{Authorities, AuthoritiesError},
};
use serde::Deserialize;

use bounds::Bound;

pub use anomalies::AnomaliesSection;
pub use camara::{AuthorizationServerSection, CamaraSection};
pub use index::IndexSection;
pub use keys::KeysSection;
pub use limits::Limits;
pub use replay::ReplaySection;
pub use routing::{Absent, EnumSection, PortabilitySection, SupplierNames, SupplierSection};
pub use witnesses::WitnessesSection;

/// Everything that the broker is told.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Who this broker is.
    pub broker: BrokerSection,
    /// Where it listens.
    pub listen: ListenSection,
    /// Its certificate and whom it trusts.
    pub tls: TlsSection,
    /// The signed documents.
    pub documents: DocumentsSection,
    /// The database of ported numbers.
    #[serde(default)]
    pub portability: PortabilitySection,
    /// Suppliers of portability data that are asked.
    #[serde(default, rename = "enum")]
    pub enums: EnumSection,
    /// The authorities' keys.
    pub authorities: AuthoritiesSection,
    /// The ledger.
    pub ledger: LedgerSection,
    /// Where the months' keys lie: never beside the ledger.
    pub keys: KeysSection,
    /// The view of fresh observations.
    pub views: ViewsSection,
    /// Answers kept for repeated questions.
    pub replay: ReplaySection,
    /// What finds entries of the ledger.
    #[serde(default)]
    pub index: IndexSection,
    /// Who remembers how far the ledger had come.
    #[serde(default)]
    pub witnesses: WitnessesSection,
    /// The CAMARA door, where it listens.
    pub camara: Option<CamaraSection>,
    /// From when on something is unusual.
    #[serde(default)]
    pub anomalies: AnomaliesSection,
    /// Limits.
    #[serde(default)]
    pub limits: Limits,
    /// SHA-256 of the file, for the record.
    #[serde(skip)]
    pub sha256: [u8; 32],
}

/// Who this broker is.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BrokerSection {
    /// The audience that tokens must name.
    pub audience: String,
    /// The trust domain of every party's SPIFFE id.
    pub trust_domain: String,
}

/// Where it listens.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListenSection {
    /// gRPC over mTLS.
    pub grpc: SocketAddr,
    /// Metrics, health and readiness, in clear; a loopback address.
    pub admin: SocketAddr,
    /// Checkpoints, hash tiles and entry bundles over HTTPS with client certificates; optional.
    pub tiles: Option<SocketAddr>,
    /// The CAMARA APIs and the authorisation server over HTTPS; optional, with `[camara]`.
    pub camara: Option<SocketAddr>,
}

/// Certificate files, in PEM, read again when they change.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsSection {
    /// The broker's certificate chain.
    pub certificate: PathBuf,
    /// Its private key, PKCS#8.
    pub key: PathBuf,
    /// The CAs of the parties' certificates.
    pub client_roots: PathBuf,
    /// A revocation list for each of those CAs.
    pub revocation_lists: Vec<PathBuf>,
}

/// The signed documents, read again when they change.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DocumentsSection {
    /// The agreement.
    pub agreement: PathBuf,
    /// The list of parties.
    pub parties: PathBuf,
    /// Ported numbers, `number,operator` on each line.
    pub ported: Option<PathBuf>,
}

/// The authorities' keys, as C2SP verifier keys.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuthoritiesSection {
    /// Licenses operators.
    pub telecom_regulator: String,
    /// Licenses banks.
    pub central_bank: String,
}

/// The ledger.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LedgerSection {
    /// Its directory, made by `accord-broker ledger init`.
    pub dir: PathBuf,
    /// The key that signs its checkpoints.
    pub signing_key: PathBuf,
    /// The log's name; each month's origin is `<name>/<yyyy-mm>`.
    pub name: String,
    /// Size of a preallocated segment.
    #[serde(default = "default_segment_mib")]
    pub segment_mib: u32,
    /// Below this much free space the broker answers nothing; 0 to 16,777,216.
    #[serde(default = "default_free_mib_min")]
    pub free_mib_min: u64,
    /// A wall clock that steps by more than this stops answers; 1 to 3,600.
    #[serde(default = "default_clock_step_seconds_max")]
    pub clock_step_seconds_max: u32,
}

/// The view.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ViewsSection {
    /// Its directory; it may be lost.
    pub dir: PathBuf,
    /// Page cache of the store; 1 to 65,536.
    #[serde(default = "default_cache_mib")]
    pub cache_mib: u32,
}

const fn default_segment_mib() -> u32 {
    64
}

const fn default_free_mib_min() -> u64 {
    512
}

const fn default_clock_step_seconds_max() -> u32 {
    5
}

const fn default_cache_mib() -> u32 {
    16
}

/// Why a configuration can't be used. It names the file, the key and the rule.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// It can't be read.
    #[error("can't read `{path}`: {source}")]
    Read {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// It is no TOML, or a key is unknown, missing or of the wrong kind.
    #[error("`{path}`: {error}")]
    Parse {
        /// Which file.
        path: PathBuf,
        /// Line, key and rule.
        error: toml::de::Error,
    },
    /// A key breaks a rule.
    #[error("`{path}`: {key}: {rule}")]
    Rule {
        /// Which file.
        path: PathBuf,
        /// Which key.
        key: &'static str,
        /// The rule.
        rule: String,
    },
}

impl Config {
    /// Reads a configuration. Relative paths in it are relative to the file.
    ///
    /// # Errors
    /// [`ConfigError`] names file, key and rule.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let text = fs::read_to_string(path).map_err(|source| ConfigError::Read {
            path: path.to_owned(),
            source,
        })?;
        let parsed = Self::parse(&text);
        let mut config = parsed.map_err(|error| ConfigError::Parse {
            path: path.to_owned(),
            error,
        })?;
        let base = path.parent().unwrap_or_else(|| Path::new(""));
        config
            .paths_mut()
            .into_iter()
            .for_each(|relative| *relative = base.join(&*relative));
        // Not before: which directory lies inside of another is seen by where they are.
        config.check().map_err(|(key, rule)| ConfigError::Rule {
            path: path.to_owned(),
            key,
            rule,
        })?;
        Ok(config)
    }

    /// Parses a configuration's text; paths stay as they are.
    ///
    /// # Errors
    /// Line, key and rule.
    pub fn parse(text: &str) -> Result<Self, toml::de::Error> {
        let mut config: Self = toml::from_str(text)?;
        config.sha256 = sha256(&[text.as_bytes()]);
        Ok(config)
    }

    /// The authorities' keys.
    ///
    /// # Errors
    /// The key and the rule that it breaks.
    pub fn authorities(&self) -> Result<Authorities, (&'static str, String)> {
        let key =
            |name, text: &str| VerifierKey::parse(text).map_err(|error| (name, error.to_string()));
        let telecom = key(
            "authorities.telecom_regulator",
            &self.authorities.telecom_regulator,
        )?;
        let central = key("authorities.central_bank", &self.authorities.central_bank)?;
        Authorities::new(telecom, central)
            .map_err(|error: AuthoritiesError| ("authorities", error.to_string()))
    }

    fn check(&self) -> Result<(), (&'static str, String)> {
        if !self.listen.admin.ip().is_loopback() {
            return Err((
                "listen.admin",
                "a loopback address: it speaks in clear".to_owned(),
            ));
        }
        if self.tls.revocation_lists.is_empty() {
            return Err((
                "tls.revocation_lists",
                "at least one list is required".to_owned(),
            ));
        }
        self.keys.check(&self.ledger.dir)?;
        self.index.check(&self.ledger.dir)?;
        bounds::check(self.bounds())?;
        camara::check(self.listen.camara.is_some(), self.camara.as_ref())?;
        self.portability.check()?;
        self.enums.check()?;
        self.limits.check()?;
        self.anomalies.check()?;
        self.authorities().map(drop)
    }

    /// Those of the numbers that no section checks by itself.
    fn bounds(&self) -> [Bound<u64>; 7] {
        let (ledger, witnesses) = (&self.ledger, &self.witnesses);
        let step_max = ledger.clock_step_seconds_max.into();
        let start_max = witnesses.start_seconds_max.into();
        [
            ("ledger.segment_mib", ledger.segment_mib.into(), 1, 1_024),
            // 0 where only a full disk is to stop it; 16 TiB.
            ("ledger.free_mib_min", ledger.free_mib_min, 0, 1 << 24),
            // Clocks are compared by the millisecond, so without any step nothing would be taken.
            ("ledger.clock_step_seconds_max", step_max, 1, 3_600),
            ("views.cache_mib", self.views.cache_mib.into(), 1, 65_536),
            ("replay.mib_max", self.replay.mib_max.into(), 1, 1 << 20),
            (
                "witnesses.deadline_ms",
                witnesses.deadline_ms.into(),
                1,
                60_000,
            ),
            ("witnesses.start_seconds_max", start_max, 1, 3_600),
        ]
    }

    fn paths_mut(&mut self) -> Vec<&mut PathBuf> {
        let mut paths = vec![
            &mut self.tls.certificate,
            &mut self.tls.key,
            &mut self.tls.client_roots,
            &mut self.documents.agreement,
            &mut self.documents.parties,
            &mut self.ledger.dir,
            &mut self.ledger.signing_key,
            &mut self.keys.dir,
            &mut self.keys.sealed_dir,
            &mut self.views.dir,
            &mut self.replay.dir,
            &mut self.index.dir,
        ];
        paths.extend(&mut self.tls.revocation_lists);
        paths.extend(&mut self.documents.ported);
        paths.extend(&mut self.portability.file);
        paths.extend(&mut self.witnesses.policy);
        paths.extend(&mut self.witnesses.roots);
        let other = self.camara.as_mut();
        let other = other.and_then(|section| section.authorization_server.as_mut());
        paths.extend(other.map(|other| &mut other.jwks));
        paths
    }
}

#[cfg(test)]
mod tests;
