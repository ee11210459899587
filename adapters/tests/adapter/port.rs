//! A port that a broker had a moment ago.

use std::{net::SocketAddr, time::Duration};

use tokio::net::TcpListener;

use crate::support::soon;

/// Binds as soon as the address is free: a broker that was killed a moment ago may hold it still.
pub(crate) async fn bind(addr: SocketAddr) -> TcpListener {
    let mut look = tokio::time::interval(Duration::from_millis(10));
    let bound = async {
        loop {
            look.tick().await;
            if let Ok(listener) = TcpListener::bind(addr).await {
                return listener;
            }
        }
    };
    soon(bound).await
}
