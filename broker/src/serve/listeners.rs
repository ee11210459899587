//! What the broker listens on.

use std::net::SocketAddr;

use tokio::net::TcpListener;

use super::error::StartError;
use crate::config::Config;

/// The listeners, each of which has its address already.
#[derive(Debug)]
pub(super) struct Listeners {
    pub(super) grpc: TcpListener,
    pub(super) admin: TcpListener,
    /// Where the configuration names a place for it.
    pub(super) tiles: Option<TcpListener>,
    /// Likewise.
    pub(super) camara: Option<TcpListener>,
}

/// Where a broker listens; where the configuration leaves the port open, it is known only now.
#[derive(Clone, Copy, Debug)]
pub(super) struct Addresses {
    pub(super) grpc: SocketAddr,
    pub(super) admin: SocketAddr,
    pub(super) tiles: Option<SocketAddr>,
    pub(super) camara: Option<SocketAddr>,
}

impl Listeners {
    /// Opens all of them before anything else is, since a port that is taken is found at once.
    pub(super) async fn open(config: &Config) -> Result<Self, StartError> {
        let listen_at = &config.listen;
        Ok(Self {
            grpc: listen(listen_at.grpc, "listen.grpc").await?,
            admin: listen(listen_at.admin, "listen.admin").await?,
            tiles: listen_where(listen_at.tiles, "listen.tiles").await?,
            camara: listen_where(listen_at.camara, "listen.camara").await?,
        })
    }

    /// Where they listen.
    pub(super) fn addresses(&self, config: &Config) -> Addresses {
        let of = |listener: &Option<TcpListener>| {
            let listener = listener.as_ref()?;
            listener.local_addr().ok()
        };
        let listen_at = &config.listen;
        Addresses {
            grpc: self.grpc.local_addr().unwrap_or(listen_at.grpc),
            admin: self.admin.local_addr().unwrap_or(listen_at.admin),
            tiles: of(&self.tiles),
            camara: of(&self.camara),
        }
    }
}

async fn listen_where(
    address: Option<SocketAddr>,
    key: &'static str,
) -> Result<Option<TcpListener>, StartError> {
    match address {
        Some(address) => listen(address, key).await.map(Some),
        None => Ok(None),
    }
}

async fn listen(address: SocketAddr, key: &'static str) -> Result<TcpListener, StartError> {
    TcpListener::bind(address)
        .await
        .map_err(|source| StartError::Listen {
            address,
            key,
            source,
        })
}
