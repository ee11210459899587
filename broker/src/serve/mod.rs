//! Puts the broker together, serves, and drains.
//!
//! [`start`] is all that `accord-broker serve` does; the sandbox and the tests start the broker the
//! same way.

mod acts;
mod admin;
mod assemble;
mod authorisation;
mod check;
mod drain;
mod error;
mod gauges;
mod housekeeping;
mod keys;
mod listeners;
mod recall;
mod routing;
mod server;
mod witnessing;

use std::{net::SocketAddr, sync::Arc};

use accord_proto::clock::SharedClock;
use tokio::{
    sync::{Semaphore, watch},
    task::{JoinHandle, JoinSet},
};

pub use assemble::start;
pub use check::{Checked, check};
pub use drain::Drained;
pub use error::StartError;
use listeners::Addresses;

use crate::{
    config::Limits, identity::Connections, index::Index, ledger::Ledger, link::Links,
    metrics::Metrics, views::Views,
};

/// A broker that serves.
#[derive(Debug)]
pub struct Running {
    at: Addresses,
    shutdown: watch::Sender<bool>,
    server: JoinHandle<Result<(), tonic::transport::Error>>,
    /// Reloads, counts, heartbeats of the house: they end with the broker.
    housekeeping: JoinSet<()>,
    permits: Arc<Semaphore>,
    ledger: Arc<Ledger>,
    links: Arc<Links>,
    connections: Arc<Connections>,
    views: Arc<Views>,
    index: Arc<Index>,
    metrics: Arc<Metrics>,
    clock: SharedClock,
    limits: Limits,
}

impl Running {
    /// Where it serves gRPC.
    #[must_use]
    pub const fn grpc_address(&self) -> SocketAddr {
        self.at.grpc
    }

    /// Where it serves metrics, health and readiness.
    #[must_use]
    pub const fn admin_address(&self) -> SocketAddr {
        self.at.admin
    }

    /// Where it serves checkpoints, tiles and entry bundles, where it does.
    #[must_use]
    pub const fn tiles_address(&self) -> Option<SocketAddr> {
        self.at.tiles
    }

    /// Where it serves the CAMARA APIs, where it does.
    #[must_use]
    pub const fn camara_address(&self) -> Option<SocketAddr> {
        self.at.camara
    }

    /// The record.
    #[must_use]
    pub const fn ledger(&self) -> &Arc<Ledger> {
        &self.ledger
    }

    /// What finds entries in it.
    #[must_use]
    pub const fn index(&self) -> &Arc<Index> {
        &self.index
    }

    /// The adapters attached.
    #[must_use]
    pub const fn links(&self) -> &Arc<Links> {
        &self.links
    }

    /// The counters.
    #[must_use]
    pub const fn metrics(&self) -> &Arc<Metrics> {
        &self.metrics
    }
}
