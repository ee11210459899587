//! `SignalService`: what banks call.

use accord_proto::v1::{
    LookupRequest, LookupResponse, ScreenRequest, signal_service_server::SignalService,
};
use tokio::{
    sync::watch,
    time::{Duration, Instant},
};
use tonic::{Request, Response, Status, Streaming, metadata::MetadataMap};

use super::{
    peer,
    screen::{ScreenLimits, ScreenStream, screen},
    status::status,
};
use crate::{
    identity::{Peer, Presented, Target, present},
    path::{Call, DRAINING, Path},
};

/// The paths of the methods, for which a proof of a key is made.
const LOOKUP: &str = "/accord.v1.SignalService/Lookup";
const SCREEN: &str = "/accord.v1.SignalService/Screen";
/// The longest deadline that a caller may set.
const DEADLINE_MAX: Duration = Duration::from_secs(60);

/// The banks' door.
#[derive(Debug, Clone)]
pub struct SignalDoor {
    path: Path,
    limits: ScreenLimits,
    stopping: watch::Receiver<bool>,
}

impl SignalDoor {
    /// A door into a path, with this many lines in flight for each screening. It lets nobody in
    /// from when the broker begins to stop.
    #[must_use]
    pub const fn new(
        path: Path,
        screen_in_flight_max: u32,
        stopping: watch::Receiver<bool>,
    ) -> Self {
        Self {
            path,
            stopping,
            limits: ScreenLimits {
                in_flight_max: screen_in_flight_max,
            },
        }
    }

    /// Questions on their way may hold all places while the broker drains, so a new one would be
    /// told that it is full: not that another broker has room.
    async fn check_open(&self, peer: &Peer, method: &'static str) -> Result<(), Status> {
        if !*self.stopping.borrow() {
            return Ok(());
        }
        let refusal = self.path.refused(peer, None, method, DRAINING).await;
        Err(status(&refusal))
    }

    /// What the call shows. A malformed header is refused here, and on the record, as the path would.
    async fn presented<T>(
        &self,
        request: &Request<T>,
        peer: &Peer,
        path: &'static str,
    ) -> Result<Option<Presented>, Status> {
        let now = self.path.parts().clock.now();
        let headers = request.metadata().as_ref();
        match present(headers, "POST", Target::Path(path), now) {
            Ok(presented) => Ok(presented),
            Err(error) => {
                let refusal = self.path.refused(peer, None, "SignalService", error.into());
                Err(status(&refusal.await))
            }
        }
    }
}

#[tonic::async_trait]
impl SignalService for SignalDoor {
    async fn lookup(
        &self,
        request: Request<LookupRequest>,
    ) -> Result<Response<LookupResponse>, Status> {
        let peer = peer(&request)?;
        self.check_open(&peer, "SignalService.Lookup").await?;
        let call = Call {
            presented: self.presented(&request, &peer, LOOKUP).await?,
            peer,
            deadline: deadline(request.metadata()),
            request: request.into_inner(),
            operation: None,
            bulk: false,
            method: "SignalService.Lookup",
        };
        let answered = self
            .path
            .ask(call)
            .await
            .map_err(|refusal| status(&refusal))?;
        Ok(Response::new(answered.into_response()))
    }

    type ScreenStream = ScreenStream;

    async fn screen(
        &self,
        request: Request<Streaming<ScreenRequest>>,
    ) -> Result<Response<ScreenStream>, Status> {
        let peer = peer(&request)?;
        self.check_open(&peer, "SignalService.Screen").await?;
        let presented = self.presented(&request, &peer, SCREEN).await?;
        let opened = screen(
            self.path.clone(),
            self.limits,
            peer,
            presented,
            request.into_inner(),
        );
        opened
            .await
            .map(Response::new)
            .map_err(|refusal| status(&refusal))
    }
}

/// The caller's deadline, from `grpc-timeout` (digits and a unit of one letter).
fn deadline(metadata: &MetadataMap) -> Option<Instant> {
    let text = metadata.get("grpc-timeout")?.to_str().ok()?;
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let amount: u64 = digits.parse().ok().filter(|_| digits.len() <= 8)?;
    let timeout = match unit {
        "H" => Duration::from_secs(amount.checked_mul(3_600)?),
        "M" => Duration::from_secs(amount.checked_mul(60)?),
        "S" => Duration::from_secs(amount),
        "m" => Duration::from_millis(amount),
        "u" => Duration::from_micros(amount),
        "n" => Duration::from_nanos(amount),
        _ => return None,
    };
    Some(Instant::now() + timeout.min(DEADLINE_MAX))
}
