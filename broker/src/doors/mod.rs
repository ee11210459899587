//! The doors: thin ways into the path, the link and the ledger. A door translates, nothing else.

mod adapter_service;
mod agreement_service;
mod audit_service;
mod camara;
mod guarded;
mod https;
mod proving;
mod screen;
mod signal_service;
mod status;
mod subject_service;
mod tiles;
mod unread;

use std::sync::Arc;

use tonic::{Request, Status};

pub use adapter_service::{AdapterDoor, AdapterParts};
pub use agreement_service::{ACT_MESSAGE_BYTES_MAX, AgreementDoor, AgreementParts};
pub use audit_service::{AuditDoor, AuditParts, Tails};
pub use camara::{Bodies, CamaraDoor, CamaraParts, OauthEnd, Tokens};
pub use guarded::{Guard, Guarded};
pub use signal_service::SignalDoor;
pub use status::status;
pub use subject_service::{SubjectDoor, SubjectParts};
pub use tiles::{TilesDoor, TilesParts};
pub use unread::UnreadLayer;

use crate::{identity::Peer, ledger::LedgerError, path::Refusal};

/// Whose connection a request came over.
fn peer<T>(request: &Request<T>) -> Result<Arc<Peer>, Status> {
    request
        .extensions()
        .get::<Arc<Peer>>()
        .cloned()
        .ok_or_else(status::no_peer)
}

/// Reads the ledger's files where that may block.
async fn read_blocking<T: Send + 'static>(
    read: impl FnOnce() -> Result<T, LedgerError> + Send + 'static,
) -> Result<T, Refusal> {
    tokio::task::spawn_blocking(read)
        .await
        .map_err(|_| Refusal::NotReady("the reading of its ledger broke off"))?
        .map_err(Refusal::from)
}
