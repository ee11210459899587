//! The kinds of source that a configuration can name. A new kind is a module, a variant of
//! [`SourceConfig`], and an arm of [`SourceConfig::open`].

use std::{fmt, future::Future, path::PathBuf, pin::Pin, sync::Arc};

use accord_proto::clock::SharedClock;
use serde::Deserialize;

use crate::{
    csv_export::{CsvConfig, CsvError, CsvExport, Refusal},
    osmo_hlr::{OsmoHlr, OsmoHlrConfig, OsmoHlrError},
    source::Source,
    virtual_operator::{PrefixError, VirtualOperator},
};

/// The section `source`.
#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum SourceConfig {
    /// A periodic export of a billing system.
    Csv(Box<CsvConfig>),
    /// A real osmo-hlr.
    OsmoHlr(Box<OsmoHlrConfig>),
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

/// Why a source can't be opened.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The CSV source.
    #[error("source: {0}")]
    Csv(#[from] CsvError),
    /// The newest export was refused.
    #[error("the newest export was refused")]
    Export(#[from] Refusal),
    /// The osmo-hlr source.
    #[error("source.{0}")]
    OsmoHlr(#[from] OsmoHlrError),
    /// The virtual operator.
    #[error("source.prefix: {0}")]
    Virtual(#[from] PrefixError),
}

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

impl SourceConfig {
    /// Opens the source.
    ///
    /// # Errors
    /// [`SourceError`] names the key.
    pub fn open(&self, clock: SharedClock) -> Result<OpenSource, SourceError> {
        Ok(match self {
            Self::Csv(config) => {
                let source = Arc::new(CsvExport::open(config.as_ref().clone(), clock)?);
                let (watching, loading) = (Arc::clone(&source), Arc::clone(&source));
                OpenSource {
                    source,
                    background: Some(Box::pin(async move { watching.watch().await })),
                    prepare: Some(Box::pin(async move {
                        loading.reload_once().await?;
                        Ok(())
                    })),
                }
            }
            Self::OsmoHlr(config) => {
                let source = Arc::new(OsmoHlr::open(config, clock)?);
                let watching = Arc::clone(&source);
                OpenSource {
                    source,
                    background: Some(Box::pin(async move { watching.watch().await })),
                    prepare: None,
                }
            }
            Self::Virtual(config) => OpenSource {
                source: Arc::new(VirtualOperator::new(&config.prefix, clock)?),
                background: None,
                prepare: None,
            },
        })
    }

    /// Every path of the section, to be resolved.
    pub(crate) fn paths(&mut self) -> Vec<&mut PathBuf> {
        match self {
            Self::Csv(config) => std::iter::once(&mut config.directory)
                .chain(&mut config.state_file)
                .collect(),
            Self::OsmoHlr(config) => [&mut config.journal_dir, &mut config.journal_key_file]
                .into_iter()
                .chain(&mut config.sqlite_file)
                .collect(),
            Self::Virtual(_) => Vec::new(),
        }
    }
}
