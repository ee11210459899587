//! Health and reflection: doors that the library brings. Behind this guard they are for those whose
//! certificate our own doors would let in, and for nobody else.

use std::{
    convert::Infallible,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use accord_proto::clock::SharedClock;
use http::{Request, Response};
use tonic::{body::Body, server::NamedService};
use tower::Service;

use super::status::{no_peer, status};
use crate::{
    identity::{Peer, TrustStore},
    path::Refusal,
    refusals::RefusalBook,
};

/// Who stands before a door of the library.
#[derive(Clone, Debug)]
pub struct Guard {
    trust: Arc<TrustStore>,
    refusals: Arc<RefusalBook>,
    clock: SharedClock,
}

impl Guard {
    /// A guard who knows whom the broker trusts.
    #[must_use]
    pub const fn new(
        trust: Arc<TrustStore>,
        refusals: Arc<RefusalBook>,
        clock: SharedClock,
    ) -> Self {
        Self {
            trust,
            refusals,
            clock,
        }
    }

    /// Stands before a door.
    #[must_use]
    pub fn before<S>(&self, door: S) -> Guarded<S> {
        let guard = self.clone();
        Guarded { guard, door }
    }

    fn check(&self, peer: &Peer) -> Result<(), Refusal> {
        peer.check(&self.trust, self.clock.now())?;
        Ok(())
    }

    async fn refuse(&self, peer: &Peer, method: &'static str, refusal: Refusal) -> Response<Body> {
        let recorded = match peer.party() {
            Some(party) => self.refusals.record(party, method, &refusal).await,
            None => Ok(()),
        };
        status(&recorded.err().unwrap_or(refusal)).into_http()
    }
}

/// A door with a guard before it.
#[derive(Clone, Debug)]
pub struct Guarded<S> {
    guard: Guard,
    door: S,
}

impl<S: NamedService> NamedService for Guarded<S> {
    const NAME: &'static str = S::NAME;
}

impl<S> Service<Request<Body>> for Guarded<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible> + NamedService,
    S::Future: Send + 'static,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.door.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let Some(peer) = request.extensions().get::<Arc<Peer>>().cloned() else {
            return Box::pin(async { Ok(no_peer().into_http()) });
        };
        match self.guard.check(&peer) {
            Ok(()) => Box::pin(self.door.call(request)),
            Err(refusal) => {
                let guard = self.guard.clone();
                Box::pin(async move { Ok(guard.refuse(&peer, S::NAME, refusal).await) })
            }
        }
    }
}
