//! What the broker trusts now, and when that changes.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use accord_proto::clock::SharedClock;
use arc_swap::ArcSwap;
use jiff::Timestamp;
use tokio::sync::watch;
use tracing::{info, warn};
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::error::IdentityError;
use super::material::{LoadedFile, TlsFiles, TrustError};
use super::metrics::IdentityMetrics;
use super::peer::Peer;
use super::tls::{Certificates, Speaks, Tls};
use crate::stamp::Stamp;

/// One load of the files.
#[derive(Debug)]
pub(super) struct Trust {
    /// Counts loads from 1.
    pub(super) generation: u64,
    /// When the first revocation list expires: from then on each check is a full one, and fails
    /// for the parties of that list's CA.
    pub(super) lists_expire: Timestamp,
    pub(super) tls: Tls,
    certificate_expires: Timestamp,
    digest: Vec<u8>,
    certificates: Vec<LoadedFile>,
    revocations: Vec<LoadedFile>,
}

impl Trust {
    fn load(files: &TlsFiles, clock: SharedClock, generation: u64) -> Result<Self, TrustError> {
        let material = files.read()?;
        let (_, lists_expire) = material.check_lists()?;
        let digest = material.digest.clone();
        let (certificates, revocations) =
            (material.certificates.clone(), material.revocations.clone());
        let certificate_expires = material
            .chain
            .iter()
            .filter_map(|certificate| X509Certificate::from_der(certificate).ok())
            .filter_map(|(_, parsed)| {
                Timestamp::from_second(parsed.validity().not_after.timestamp()).ok()
            })
            .min()
            .ok_or_else(|| TrustError::Malformed {
                path: files.certificate.clone(),
                what: "certificate",
            })?;
        let tls = Tls::new(files, material, clock)?;
        // Only to find out now what a handshake would.
        tls.config(tls.watched(Certificates::Required), Speaks::Https)?;
        Ok(Self {
            generation,
            lists_expire,
            tls,
            certificate_expires,
            digest,
            certificates,
            revocations,
        })
    }
}

/// What a look at the files found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reload {
    /// Something new, now in force.
    Loaded,
    /// Nothing new.
    Unchanged,
}

/// The files of one load.
#[derive(Clone, Debug)]
pub struct TrustLoaded {
    /// Counts loads from 1.
    pub generation: u64,
    /// The broker's chain and the CAs of parties.
    pub certificates: Vec<LoadedFile>,
    /// The revocation lists.
    pub revocations: Vec<LoadedFile>,
}

/// How long what is loaded will do.
#[derive(Clone, Copy, Debug)]
pub struct TrustStatus {
    /// Counts loads from 1.
    pub generation: u64,
    /// When the broker's own certificate chain expires.
    pub certificate_expires: Timestamp,
    /// When the first revocation list expires.
    pub lists_expire: Timestamp,
}

/// The broker's certificate, the CAs of parties and their revocation lists, reloaded when the files
/// change. A bad new file keeps what was loaded before, is counted and logged.
#[derive(Debug)]
pub struct TrustStore {
    files: TlsFiles,
    trust_domain: String,
    clock: SharedClock,
    current: ArcSwap<Trust>,
    changed: watch::Sender<u64>,
    seen: Mutex<Vec<Stamp>>,
    expiry_announced: AtomicU64,
    metrics: IdentityMetrics,
}

impl TrustStore {
    /// Loads the files. A revocation list that has expired is loaded, and refuses the parties of
    /// its CA.
    ///
    /// # Errors
    /// [`TrustError`] names the file and what is wrong with it.
    pub fn open(
        files: TlsFiles,
        trust_domain: &str,
        clock: SharedClock,
        metrics: IdentityMetrics,
    ) -> Result<Arc<Self>, TrustError> {
        // Stamps first: a file that changes while it is read then has another stamp.
        let seen = files.stamps();
        let trust = Trust::load(&files, Arc::clone(&clock), 1)?;
        Ok(Arc::new(Self {
            files,
            trust_domain: trust_domain.to_owned(),
            clock,
            current: ArcSwap::from_pointee(trust),
            changed: watch::Sender::new(1),
            seen: Mutex::new(seen),
            expiry_announced: AtomicU64::new(0),
            metrics,
        }))
    }

    /// Loads the files again if one of them changed. Reads files, so call it where that may block.
    ///
    /// # Errors
    /// [`TrustError`] says why the new files were not taken; the old ones stay in force, and the
    /// same files are not tried again until one changes.
    pub fn reload(&self) -> Result<Reload, TrustError> {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let stamps = self.files.stamps();
        if *seen == stamps {
            return Ok(Reload::Unchanged);
        }
        *seen = stamps;
        let outcome = self.load_next();
        if let Err(error) = &outcome {
            self.metrics.reload_failures.inc();
            warn!(
                error = error as &dyn std::error::Error,
                "changed certificates or revocation lists not taken; the old ones stay in force"
            );
        }
        outcome
    }

    fn load_next(&self) -> Result<Reload, TrustError> {
        let current = self.current.load();
        let next = Trust::load(
            &self.files,
            Arc::clone(&self.clock),
            current.generation.saturating_add(1),
        )?;
        if next.digest == current.digest {
            return Ok(Reload::Unchanged);
        }
        let now = self.clock.now();
        if next.lists_expire <= now && current.lists_expire > now {
            return Err(self.expired_list());
        }
        let generation = next.generation;
        let lists_expire = next.lists_expire;
        self.current.store(Arc::new(next));
        self.changed.send_replace(generation);
        self.metrics.reloads.inc();
        info!(generation, %lists_expire, "certificates and revocation lists loaded");
        Ok(Reload::Loaded)
    }

    fn expired_list(&self) -> TrustError {
        self.files
            .read()
            .and_then(|material| material.check_lists())
            .map_or_else(|error| error, |(path, _)| TrustError::ListExpired { path })
    }

    /// Wakes running streams once, when a revocation list has just expired.
    pub(super) fn announce_expiry(&self, now: Timestamp) {
        let current = self.current.load();
        if now >= current.lists_expire
            && self
                .expiry_announced
                .swap(current.generation, Ordering::Relaxed)
                != current.generation
        {
            warn!(
                lists_expire = %current.lists_expire,
                "a revocation list has expired: the parties of its CA are refused"
            );
            self.announce();
        }
    }

    /// Wakes running streams, to look at their certificate again.
    pub(super) fn announce(&self) {
        self.changed.send_replace(self.generation());
    }

    /// Tells when to check peers again: certificates or lists were loaded, or expired. The value
    /// counts loads; a wake-up without a new value is a wake-up all the same.
    #[must_use]
    pub fn changed(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    /// Counts loads from 1.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.current.load().generation
    }

    /// How long what is loaded will do.
    #[must_use]
    pub fn status(&self) -> TrustStatus {
        let current = self.current.load();
        TrustStatus {
            generation: current.generation,
            certificate_expires: current.certificate_expires,
            lists_expire: current.lists_expire,
        }
    }

    /// The files that are in force now.
    #[must_use]
    pub fn loaded(&self) -> TrustLoaded {
        let current = self.current.load();
        TrustLoaded {
            generation: current.generation,
            certificates: current.certificates.clone(),
            revocations: current.revocations.clone(),
        }
    }

    pub(super) fn current(&self) -> arc_swap::Guard<Arc<Trust>> {
        self.current.load()
    }

    pub(super) fn trust_domain(&self) -> &str {
        &self.trust_domain
    }

    pub(super) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub(super) const fn metrics(&self) -> &IdentityMetrics {
        &self.metrics
    }

    /// Whether a peer is still trusted, for the sweep.
    pub(super) fn still_trusts(&self, peer: &Peer) -> Result<(), IdentityError> {
        peer.check_chain(self, self.clock.now())
    }
}
