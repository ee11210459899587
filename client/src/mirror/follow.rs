//! Follows a ledger from month to month, round by round.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use accord_proto::c2sp::{Checkpoint, Policy, PolicyError, SignedNote, VerifierKey};
use accord_proto::statement::Statement;
use accord_proto::subject::Month;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use http::HeaderValue;
use jiff::{SignedDuration, Timestamp};
use prost::Message as _;

use super::copy::Copy;
use super::entries::{Before, Entries, Wrong};
use super::error::MirrorError;
use super::fresh::{self, Stale};
use super::hashes::{HashError, Hashes, edge_tiles};
use super::https::Https;
use super::layout::{Holds, LayoutError, bundle_of};
use super::store::{Store, blocking};
use super::verify::MirrorFault;
use crate::builder::BuildError;
use crate::connected::ConnectError;
use crate::identity::Endpoints;
use crate::profile::{LoadedProfile, PartySection};

/// The most bytes of the list of logs: a century of months with long names.
const LOGS_BYTES_MAX: usize = 512 << 10;

/// What a mirror is made of.
#[derive(Debug)]
pub struct MirrorConfig {
    /// Its directory.
    pub dir: PathBuf,
    /// What it is to hold.
    pub holds: Holds,
    /// Only this log; else all.
    pub only: Option<String>,
    /// The keys of the log. The first one names the ledger.
    pub keys: Vec<VerifierKey>,
    /// Whose cosignatures each checkpoint must have; none: the log's signature is enough.
    pub policy: Option<Policy>,
    /// What the entries are read for; entries are not given without.
    pub statement: Option<Statement>,
}

/// How far one log is here, verified.
#[derive(Clone, Debug)]
pub struct HeldLog {
    /// The signed checkpoint up to which all is here.
    pub checkpoint: Checkpoint,
    /// Since when a quorum of the policy has cosigned that; `None` without a policy that asks for
    /// cosignatures.
    pub cosigned_at: Option<Timestamp>,
    pub(super) last_ms: u64,
    pub(super) authorities: Option<Vec<String>>,
    pub(super) previous: Option<Checkpoint>,
}

/// What the copying of each log needs.
#[derive(Debug)]
pub(super) struct Parts {
    pub(super) source: Https,
    pub(super) store: Arc<Store>,
    pub(super) keys: Vec<VerifierKey>,
    pub(super) policy: Option<Policy>,
    pub(super) holds: Holds,
}

impl Parts {
    /// Reads a checkpoint that is signed, and cosigned where the policy says so; and when that
    /// was.
    pub(super) fn open(
        &self,
        note: &SignedNote,
    ) -> Result<(Checkpoint, Option<Timestamp>), PolicyError> {
        let checkpoint = Checkpoint::open(note, &self.keys)?;
        let Some(policy) = &self.policy else {
            return Ok((checkpoint, None));
        };
        let (_, cosigned) = policy.open(note)?;
        let at = policy.cosigned_at(&cosigned);
        let at = at.and_then(|at| Timestamp::from_second(i64::try_from(at).ok()?).ok());
        Ok((checkpoint, at))
    }
}

/// A mirror that is being written.
#[derive(Debug)]
pub struct Mirror {
    parts: Parts,
    ledger: String,
    only: Option<String>,
    held: BTreeMap<String, HeldLog>,
    /// The newest log that was shown last.
    newest: Option<String>,
}

impl Mirror {
    /// Opens or begins a mirror; what it holds already is looked at up to its right edge. `from`
    /// is where the tiles are, such as `https://broker.example:7444`; else the profile says.
    ///
    /// # Errors
    /// [`MirrorError`] for the directory, or [`ConnectError`] for the profile.
    pub async fn open(
        config: MirrorConfig,
        profile: &LoadedProfile,
        party: &PartySection,
        from: Option<&str>,
    ) -> Result<Result<Self, MirrorError>, ConnectError> {
        let MirrorConfig {
            dir,
            holds,
            only,
            keys,
            policy,
            statement,
        } = config;
        let source = source(profile, party, from, statement.as_ref())?;
        let key = keys.first().cloned().ok_or(ConnectError::NoLogKey)?;
        let ledger = key.name().to_owned();
        let opened = blocking(move || {
            let store = Store::open(&dir, holds, &key)?;
            Ok(store)
        });
        let store = match opened.await {
            Ok(store) => Arc::new(store),
            Err(error) => return Ok(Err(error)),
        };
        let parts = Parts {
            source,
            store,
            keys,
            policy,
            holds,
        };
        let held = match held(&parts).await {
            Ok(held) => held,
            Err(error) => return Ok(Err(error)),
        };
        Ok(Ok(Self {
            parts,
            ledger,
            only,
            held,
            newest: None,
        }))
    }

    /// What it holds of each log, oldest first.
    pub fn held(&self) -> impl Iterator<Item = &HeldLog> {
        self.held.values()
    }

    /// Whether what is shown of the newest log is of now. Nothing is said of a mirror of an older
    /// log alone, nor before anything was shown.
    ///
    /// # Errors
    /// [`Stale`]: its cosignatures are older than `bound`, or its month is over for longer.
    pub fn check_fresh(&self, now: Timestamp, bound: SignedDuration) -> Result<(), Stale> {
        let newest = self
            .newest
            .as_ref()
            .and_then(|newest| self.held.get(newest));
        newest.map_or(Ok(()), |newest| fresh::judge(newest, now, bound))
    }

    /// Copies all that is shown now. `told` hears now and then how far it is.
    ///
    /// # Errors
    /// [`MirrorError`]; what was copied and verified before stays.
    pub async fn round(&mut self, told: &(dyn Fn(&str) + Sync)) -> Result<(), MirrorError> {
        let shown = self.logs().await?;
        self.newest = shown.last().cloned();
        for held in self.held.values() {
            let origin = &held.checkpoint.origin;
            let wanted = self.only.as_ref().is_none_or(|only| only == origin);
            if wanted && !shown.contains(origin) {
                return Err(MirrorError::LogGone {
                    origin: origin.clone(),
                    held: held.checkpoint.size,
                });
            }
        }
        if let Some(only) = &self.only {
            if !shown.contains(only) {
                return Err(MirrorError::UnknownLog {
                    origin: only.clone(),
                    known: shown.join(", "),
                });
            }
            let only = only.clone();
            return self.copy(&only, &Before::default(), told).await;
        }
        let mut before = Before::default();
        for (position, origin) in (1..).zip(&shown) {
            // A month that the next one continues to its end is over, and was looked at.
            let next = shown.get(position).and_then(|next| self.held.get(next));
            let over = next.and_then(|next| next.previous.as_ref());
            let held = self.held.get(origin);
            let done = held.is_some_and(|held| over == Some(&held.checkpoint));
            if !done {
                self.copy(origin, &before, told).await?;
            }
            before = self.before(origin);
        }
        Ok(())
    }

    async fn copy(
        &mut self,
        origin: &str,
        before: &Before,
        told: &(dyn Fn(&str) + Sync),
    ) -> Result<(), MirrorError> {
        let copy = Copy {
            parts: &self.parts,
            origin,
            before,
            told,
        };
        let held = copy.run(self.held.get(origin)).await?;
        let named = held.previous.clone();
        self.held.insert(origin.to_owned(), held);
        match (&before.checkpoint, named) {
            (Some(before), Some(named)) if named.size > before.size => {
                Err(MirrorError::MonthNotShown {
                    origin: before.origin.clone(),
                    held: before.size,
                    named: named.size,
                })
            }
            (Some(_) | None, _) => Ok(()),
        }
    }

    fn before(&self, origin: &str) -> Before {
        let Some(held) = self.held.get(origin) else {
            return Before::default();
        };
        Before {
            checkpoint: (self.parts.holds == Holds::Entries).then(|| held.checkpoint.clone()),
            last_ms: held.last_ms,
            authorities: held.authorities.clone(),
        }
    }

    /// The logs that are shown, oldest first.
    async fn logs(&self) -> Result<Vec<String>, MirrorError> {
        const PATH: &str = "/logs";
        let bytes = self.parts.source.get(PATH, LOGS_BYTES_MAX).await?;
        let wrong = |what| MirrorError::Answer {
            path: PATH.to_owned(),
            what,
        };
        let text = str::from_utf8(&bytes).map_err(|_| wrong("is no text"))?;
        let origins: Vec<String> = text.lines().map(str::to_owned).collect();
        let months: Option<Vec<Month>> = origins
            .iter()
            .map(|origin| {
                let month = origin.strip_prefix(&self.ledger)?.strip_prefix('/')?;
                Month::parse(month)
            })
            .collect();
        let what = "names logs of another ledger than the one whose key is known";
        let months = months.ok_or_else(|| wrong(what))?;
        if months.is_empty() || !months.is_sorted_by(|one, other| one < other) {
            return Err(wrong("is no list of months, oldest first"));
        }
        Ok(origins)
    }
}

pub(super) fn source(
    profile: &LoadedProfile,
    party: &PartySection,
    from: Option<&str>,
    statement: Option<&Statement>,
) -> Result<Https, ConnectError> {
    let broker = &profile.profile.broker;
    let url = from
        .or(broker.tiles.as_deref())
        .ok_or(ConnectError::NoTiles)?;
    let part = |what| move |source| ConnectError::Part { what, source };
    let endpoints = Endpoints::new(&broker.server_name, [url]).map_err(part("tiles' address"))?;
    let (roots, identity) = profile.tls(party)?;
    let statement = statement.map(|statement| {
        let bytes = statement.to_wire().encode_to_vec();
        HeaderValue::from_str(&BASE64_STANDARD.encode(bytes))
    });
    // Base64 is ASCII.
    let statement = statement.and_then(Result::ok);
    let source = Https::new(endpoints, roots, identity, statement);
    Ok(source.map_err(BuildError::Identity)?)
}

/// What a mirror holds already: each checkpoint's signatures, its right edge, and the first and the
/// last bundle under it.
async fn held(parts: &Parts) -> Result<BTreeMap<String, HeldLog>, MirrorError> {
    let store = Arc::clone(&parts.store);
    let keys = parts.keys.clone();
    blocking(move || {
        let mut held = BTreeMap::new();
        for origin in store.layout.origins()? {
            let log = held_log(&store, &origin, &keys).map_err(MirrorError::Own)?;
            held.insert(origin, log);
        }
        Ok(held)
    })
    .await
}

fn held_log(store: &Store, origin: &str, keys: &[VerifierKey]) -> Result<HeldLog, MirrorFault> {
    let log = store.layout.log(origin);
    let path = log.dir.join(super::layout::CHECKPOINT_FILE);
    let text = log.checkpoint()?.unwrap_or_default();
    let opened = SignedNote::parse(&text)
        .map_err(Into::into)
        .and_then(|note| Checkpoint::open(&note, keys));
    let checkpoint = match opened {
        Ok(checkpoint) if checkpoint.origin == origin => checkpoint,
        Ok(_) => return Err(MirrorFault::OtherLog { path }),
        Err(source) => return Err(MirrorFault::Checkpoint { path, source }),
    };
    let mut edge = Vec::new();
    for tile in edge_tiles(checkpoint.size) {
        let path = log.dir.join(tile.path());
        let hashes = log.tile(tile)?;
        edge.push((tile, hashes.ok_or(MirrorFault::NoTile { path })?));
    }
    let edge = Hashes::new(&checkpoint, edge);
    let mut hashes = edge.map_err(|_| MirrorFault::Edge {
        dir: log.dir.clone(),
        files: "those that are not full".to_owned(),
    })?;
    let before = Before::default();
    let mut entries = Entries::new(origin, keys, &before);
    if store.layout.holds == Holds::Entries {
        for index in [0, checkpoint.size.saturating_sub(1)] {
            let Some(bundle) = bundle_of(index, checkpoint.size) else {
                continue;
            };
            while let Some(tile) = hashes.missing(0, bundle.index()) {
                let path = log.dir.join(tile.path());
                let read: Result<_, LayoutError> = log.tile(tile);
                let given = read?.ok_or(HashError::Missing(tile));
                let given = given.and_then(|given| hashes.give(tile, given));
                given.map_err(|_| MirrorFault::Tile { path })?;
            }
            let path = || log.dir.join(bundle.path());
            let bytes = log.bundle(bundle)?;
            let bytes = bytes.ok_or_else(|| MirrorFault::NoBundle { path: path() })?;
            let leaves = hashes.tile(0, bundle.index()).unwrap_or_default();
            // Both may be the same bundle, whose times do not go back against themselves.
            entries.last_ms = 0;
            let checked: Result<(), Wrong> = entries.bundle(bundle.first(), &bytes, leaves);
            checked.map_err(|Wrong { index, fault }| MirrorFault::Entry {
                path: path(),
                entry: index,
                fault,
            })?;
        }
    }
    Ok(HeldLog {
        checkpoint,
        cosigned_at: None,
        last_ms: entries.last_ms,
        authorities: entries.authorities.take(),
        previous: entries.previous.take(),
    })
}
