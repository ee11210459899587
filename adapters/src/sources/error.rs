//! Why a source can't be opened, or has no data.

use crate::{
    camara_upstream::CamaraError,
    csv_export::{CsvError, Refusal},
    diameter::DiameterError,
    events::EventsError,
    file_drop::{FilesConfigError, SftpError},
    number_list::ListError,
    osmo_hlr::OsmoHlrError,
    portability::PortabilityError,
    sql::{SqlError, SqlFault},
    virtual_operator::PrefixError,
};

/// Why a source can't be opened.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The CAMARA upstream.
    #[error(transparent)]
    CamaraUpstream(#[from] CamaraError),
    /// The CSV source.
    #[error(transparent)]
    Csv(#[from] CsvError),
    /// The Diameter source.
    #[error("{0}")]
    Diameter(#[from] DiameterError),
    /// The stream of events.
    #[error(transparent)]
    Events(#[from] EventsError),
    /// The portability database was refused.
    #[error("the portability database was refused")]
    Database(#[from] PortabilityError),
    /// The newest export was refused.
    #[error("the newest export was refused")]
    Export(#[from] Refusal),
    /// Nothing was fetched from the server that files come from.
    #[error("nothing was fetched")]
    Fetch(#[from] SftpError),
    /// The configuration of a source that reads files.
    #[error(transparent)]
    Files(#[from] FilesConfigError),
    /// A list of disconnected numbers was refused.
    #[error("a list was refused")]
    List(#[from] ListError),
    /// The osmo-hlr source.
    #[error("{0}")]
    OsmoHlr(#[from] OsmoHlrError),
    /// The configuration of the database.
    #[error("{0}")]
    Sql(#[from] SqlError),
    /// The database gives no answers.
    #[error("no answers, `{name}`", name = .0.name())]
    SqlFault(#[from] SqlFault),
    /// The virtual operator.
    #[error("`prefix`: {0}")]
    Virtual(#[from] PrefixError),
}

/// A source can't be opened.
#[derive(Debug, thiserror::Error)]
#[error("source `{name}`: {error}")]
pub struct OpenError {
    /// Its name.
    pub name: String,
    /// Why not.
    #[source]
    pub error: SourceError,
}
