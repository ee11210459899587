//! The kinds of source that a configuration can name. A new kind is a module, a variant of
//! [`SourceConfig`], and an arm of each of its functions.

mod apart;
mod error;
mod section;

use std::{fmt, future::Future, path::PathBuf, pin::Pin, sync::Arc, time::Duration};

use accord_proto::clock::SharedClock;
use serde::Deserialize;

use crate::{
    camara_upstream::{CamaraConfig, CamaraUpstream},
    csv_export::{CsvConfig, CsvExport},
    diameter::{DiameterConfig, DiameterSh},
    events::{EventSource, EventsConfig},
    file_drop::{FileDrop, SftpConfig},
    number_list::{ListConfig, NumberList},
    osmo_hlr::{OsmoHlr, OsmoHlrConfig},
    portability::{Portability, PortabilityConfig},
    several::{Part, Several},
    source::Source,
    sql::{SqlConfig, SqlSource},
    virtual_operator::VirtualOperator,
};

pub use error::{OpenError, SourceError};
pub use section::{SOURCES_MAX, SourceSection};

/// How far an order's time may lie from when the network carried it out.
const ORDER_ERROR_MS: u64 = 300_000;

/// The keys of one kind of source.
#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum SourceConfig {
    /// Another operator's or an aggregator's CAMARA APIs.
    CamaraUpstream(Box<CamaraConfig>),
    /// A periodic export of a billing system.
    Csv(Box<CsvConfig>),
    /// An HSS by Diameter Sh.
    DiameterSh(Box<DiameterConfig>),
    /// A stream of events.
    Events(Box<EventsConfig>),
    /// A regulator's lists of disconnected numbers.
    NumberList(Box<ListConfig>),
    /// A real osmo-hlr.
    OsmoHlr(Box<OsmoHlrConfig>),
    /// The national database of ported numbers.
    Portability(Box<PortabilityConfig>),
    /// A PostgreSQL database.
    Sql(Box<SqlConfig>),
    /// Invented subscribers.
    Virtual(VirtualConfig),
}

/// A virtual operator.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VirtualConfig {
    /// What its thousand numbers begin with.
    pub prefix: String,
}

/// How long a check waits for the first Diameter connection.
const READY_MAX: Duration = Duration::from_secs(10);

/// Work that a source does beside answering, for as long as the adapter runs.
pub type Background = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Brings a source its first data, or says why there is none.
pub type Prepare = Pin<Box<dyn Future<Output = Result<(), SourceError>> + Send>>;

/// A source, ready to be asked.
pub struct OpenSource {
    /// The source.
    pub source: Arc<dyn Source>,
    /// To be run beside it.
    pub background: Option<Background>,
    /// To be awaited by who can't wait until the background work has the first data.
    pub prepare: Option<Prepare>,
}

impl fmt::Debug for OpenSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenSource")
            .field("source", &self.source)
            .finish_non_exhaustive()
    }
}

/// All sources of an adapter, ready to be asked as one.
pub struct Opened {
    /// The sources.
    pub sources: Arc<Several>,
    /// To be run beside them.
    pub background: Vec<Background>,
    /// To be awaited by who can't wait until the background work has the first data, each with the
    /// name of its source.
    pub prepare: Vec<(String, Prepare)>,
}

impl fmt::Debug for Opened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Opened")
            .field("sources", &self.sources)
            .finish_non_exhaustive()
    }
}

impl Opened {
    /// Brings every source its first data.
    ///
    /// # Errors
    /// The first source that has none, and why.
    pub async fn prepare(&mut self) -> Result<(), OpenError> {
        for (name, prepare) in self.prepare.drain(..) {
            prepare.await.map_err(|error| OpenError { name, error })?;
        }
        Ok(())
    }
}

/// Opens every source of a configuration.
///
/// # Errors
/// The first that can't be opened, and why.
pub fn open(sections: &[SourceSection], clock: &SharedClock) -> Result<Opened, OpenError> {
    let mut parts = Vec::with_capacity(sections.len());
    let mut background = Vec::new();
    let mut prepare = Vec::new();
    for section in sections {
        let name = section.name.clone();
        let opened = section.kind.open(clock.clone());
        let opened = opened.map_err(|error| OpenError {
            name: name.clone(),
            error,
        })?;
        parts.push(Part::new(section, opened.source));
        background.extend(opened.background);
        prepare.extend(opened.prepare.map(|prepare| (name, prepare)));
    }
    Ok(Opened {
        sources: Arc::new(Several::new(parts, clock.clone())),
        background,
        prepare,
    })
}

impl OpenSource {
    /// A source that only answers.
    fn alone(source: Arc<dyn Source>) -> Self {
        Self {
            source,
            background: None,
            prepare: None,
        }
    }

    /// A source with work beside its answers.
    fn watched(
        source: Arc<dyn Source>,
        background: impl Future<Output = ()> + Send + 'static,
    ) -> Self {
        Self {
            background: Some(Box::pin(background)),
            ..Self::alone(source)
        }
    }

    /// The same, and how it gets its first data.
    fn prepared(
        self,
        first: impl Future<Output = Result<(), SourceError>> + Send + 'static,
    ) -> Self {
        Self {
            prepare: Some(Box::pin(first)),
            ..self
        }
    }
}

impl SourceConfig {
    /// Its kind, as the configuration has it.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::CamaraUpstream(_) => "camara_upstream",
            Self::Csv(_) => "csv",
            Self::DiameterSh(_) => "diameter_sh",
            Self::Events(_) => "events",
            Self::NumberList(_) => "number_list",
            Self::OsmoHlr(_) => "osmo_hlr",
            Self::Portability(_) => "portability",
            Self::Sql(_) => "sql",
            Self::Virtual(_) => "virtual",
        }
    }

    /// How far the instants of such a source lie from the true ones, where nothing else is
    /// configured. A billing system's are those of orders, which the network carries out a little
    /// before or after.
    pub(crate) const fn clock_error_ms(&self) -> u64 {
        match self {
            // A day, or the time of the export: its intervals say how far they reach. A poll's
            // instants are the adapter's own.
            // What an upstream's dates are worth stands in its `precision_s`.
            Self::CamaraUpstream(_)
            | Self::Csv(_)
            | Self::DiameterSh(_)
            | Self::NumberList(_)
            | Self::OsmoHlr(_)
            | Self::Portability(_)
            | Self::Virtual(_) => 0,
            Self::Events(_) | Self::Sql(_) => ORDER_ERROR_MS,
        }
    }

    /// Whether such a source has every subscriber of the operator, where nothing else is
    /// configured: a network's does, an export or a billing system may have some only.
    pub(crate) const fn every_subscriber(&self) -> bool {
        match self {
            Self::DiameterSh(_) | Self::OsmoHlr(_) => true,
            Self::CamaraUpstream(_)
            | Self::Csv(_)
            | Self::Events(_)
            | Self::NumberList(_)
            | Self::Portability(_)
            | Self::Sql(_)
            | Self::Virtual(_) => false,
        }
    }

    /// How often a check asks it about each number, where nothing else is said: an upstream charges
    /// for each question, or counts it against a limit.
    #[must_use]
    pub const fn check_rounds(&self) -> u32 {
        match self {
            Self::CamaraUpstream(_) => 3,
            Self::Csv(_)
            | Self::DiameterSh(_)
            | Self::Events(_)
            | Self::NumberList(_)
            | Self::OsmoHlr(_)
            | Self::Portability(_)
            | Self::Sql(_)
            | Self::Virtual(_) => 20,
        }
    }

    /// Opens the source.
    ///
    /// # Errors
    /// [`SourceError`] names the key.
    pub fn open(&self, clock: SharedClock) -> Result<OpenSource, SourceError> {
        Ok(match self {
            Self::CamaraUpstream(config) => {
                OpenSource::alone(Arc::new(CamaraUpstream::open(config, clock)?))
            }
            Self::Csv(config) => {
                let source = Arc::new(CsvExport::open(config.as_ref().clone(), clock)?);
                let (watching, loading) = (Arc::clone(&source), Arc::clone(&source));
                let first = move || {
                    let loading = Arc::clone(&loading);
                    async move { Ok(loading.reload_once().await.map(drop)?) }
                };
                from_files(
                    source.files(),
                    source,
                    async move { watching.watch().await },
                    first,
                )
            }
            Self::DiameterSh(config) => {
                let source = Arc::new(DiameterSh::open(config, clock)?);
                let (watching, waiting) = (Arc::clone(&source), Arc::clone(&source));
                OpenSource::watched(source, async move { watching.watch().await })
                    .prepared(async move { Ok(waiting.ready(READY_MAX).await?) })
            }
            Self::Events(config) => {
                let source = Arc::new(EventSource::open(config, clock)?);
                let (watching, trying) = (Arc::clone(&source), Arc::clone(&source));
                OpenSource::watched(source, async move { watching.watch().await }).prepared(
                    async move {
                        // What was found is its state.
                        trying.try_out().await;
                        Ok(())
                    },
                )
            }
            Self::NumberList(config) => {
                let source = Arc::new(NumberList::open(config.as_ref().clone(), clock)?);
                let (watching, loading) = (Arc::clone(&source), Arc::clone(&source));
                let first = move || {
                    let loading = Arc::clone(&loading).reload_now();
                    async move { Ok(loading.await?) }
                };
                from_files(source.files(), source, watching.watch(), first)
            }
            Self::OsmoHlr(config) => {
                let source = Arc::new(OsmoHlr::open(config, clock)?);
                let watching = Arc::clone(&source);
                OpenSource::watched(source, async move { watching.watch().await })
            }
            Self::Portability(config) => {
                let source = Arc::new(Portability::open(config.as_ref().clone(), clock)?);
                let (watching, loading) = (Arc::clone(&source), Arc::clone(&source));
                let first = move || {
                    let loading = Arc::clone(&loading).reload_now();
                    async move { Ok(loading.await?) }
                };
                from_files(source.files(), source, watching.watch(), first)
            }
            Self::Sql(config) => {
                let source = Arc::new(SqlSource::open(config, clock)?);
                let (watching, asking) = (Arc::clone(&source), Arc::clone(&source));
                OpenSource::watched(source, async move { watching.watch().await })
                    .prepared(async move { Ok(asking.try_out().await?) })
            }
            Self::Virtual(config) => {
                OpenSource::alone(Arc::new(VirtualOperator::new(&config.prefix, clock)?))
            }
        })
    }

    /// Every path of the section, to be resolved.
    pub(crate) fn paths(&mut self) -> Vec<&mut PathBuf> {
        match self {
            Self::CamaraUpstream(config) => config.paths(),
            Self::Csv(config) => {
                let config = config.as_mut();
                let sftp = config.sftp.iter_mut().flat_map(SftpConfig::paths);
                std::iter::once(&mut config.directory)
                    .chain(&mut config.state_file)
                    .chain(sftp)
                    .collect()
            }
            Self::DiameterSh(config) => config.paths(),
            Self::OsmoHlr(config) => [&mut config.journal_dir, &mut config.journal_key_file]
                .into_iter()
                .chain(&mut config.sqlite_file)
                .collect(),
            Self::Events(config) => config.paths(),
            Self::NumberList(config) => config.paths().collect(),
            Self::Portability(config) => config.paths().collect(),
            Self::Sql(config) => config.paths(),
            Self::Virtual(_) => Vec::new(),
        }
    }
}

/// A source whose files may come from a server.
fn from_files<F>(
    files: Option<Arc<FileDrop>>,
    source: Arc<dyn Source>,
    watching: impl Future<Output = ()> + Send + 'static,
    first: impl Fn() -> F + Send + Sync + 'static,
) -> OpenSource
where
    F: Future<Output = Result<(), SourceError>> + Send + 'static,
{
    let fetching = files.clone();
    OpenSource {
        source,
        background: Some(Box::pin(async move {
            match files {
                None => watching.await,
                Some(files) => {
                    let ((), ()) = tokio::join!(files.watch(), watching);
                }
            }
        })),
        prepare: Some(Box::pin(async move {
            let Some(files) = fetching else {
                return first().await;
            };
            let mut refused = None;
            loop {
                files.fetch().await?;
                match first().await {
                    Ok(()) => break,
                    // What is told is what is wrong with the newest.
                    Err(error) => refused.get_or_insert(error),
                };
                if !files.reach_further() {
                    break;
                }
            }
            refused.map_or(Ok(()), Err)
        })),
    }
}
