//! The CAMARA door: banks that speak GSMA Open Gateway ask the same path, over HTTPS with JSON.
//!
//! A door translates, nothing else: who asks, what the agreement allows, limits, receipts and reasons
//! are the path's, as on the gRPC door.

mod api;
mod body;
mod oauth;

use std::sync::Arc;

use http::{Request, Response};
use hyper::body::Incoming as Body;
use tokio::{net::TcpListener, sync::watch};

pub use self::oauth::{Bodies, OauthEnd, Tokens};

use self::api::Apis;
use super::https::{self, Handler, Held, HttpLimits};
use crate::{
    config::CamaraSection,
    identity::{AcceptLimits, Connections, Peer},
    path::Path,
};

/// What the door works with.
#[derive(Debug)]
pub struct CamaraParts {
    /// The path of a question.
    pub path: Path,
    /// Who issues the tokens.
    pub oauth: OauthEnd,
    /// The door's section of the configuration.
    pub section: CamaraSection,
}

/// The CAMARA door.
#[derive(Debug)]
pub struct CamaraDoor {
    parts: Arc<CamaraParts>,
    accept: AcceptLimits,
    limits: HttpLimits,
}

impl CamaraDoor {
    /// A door into a path.
    #[must_use]
    pub fn new(
        parts: CamaraParts,
        accept: AcceptLimits,
        header_bytes_max: usize,
        streams_max: u32,
    ) -> Self {
        let certificates = parts.section.client_certificates;
        Self {
            parts: Arc::new(parts),
            accept: AcceptLimits {
                certificates,
                ..accept
            },
            limits: HttpLimits {
                header_bytes_max,
                streams_max,
            },
        }
    }

    /// Serves until the broker stops.
    pub async fn serve(
        self,
        listener: TcpListener,
        connections: Arc<Connections>,
        stopping: watch::Receiver<bool>,
    ) {
        let parts = self.parts;
        let apis = Arc::new(Apis::new(
            parts.path.clone(),
            parts.section.url.clone(),
            parts.section.api_roots.clone(),
        ));
        let on_path = parts.path.parts();
        let (trust, refusals) = (&on_path.trust, &on_path.refusals);
        let incoming = https::listen(listener, trust, connections, self.accept, refusals);
        let connected = |peer| Connection {
            parts: Arc::clone(&parts),
            apis: Arc::clone(&apis),
            peer,
        };
        https::serve(incoming, self.limits, stopping, connected).await;
    }
}

/// One connection.
struct Connection {
    parts: Arc<CamaraParts>,
    apis: Arc<Apis>,
    peer: Arc<Peer>,
}

impl Handler for Connection {
    async fn answer(self: Arc<Self>, request: Request<Body>) -> Response<Held> {
        match self.parts.oauth.answer(&self.peer, request).await {
            Ok(response) => response,
            Err(request) => self.apis.answer(&self.peer, request).await,
        }
    }
}
