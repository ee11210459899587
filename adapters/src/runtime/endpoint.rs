//! One broker: dials it with mTLS, and dials again.

use std::{sync::Arc, time::Duration};

use accord_proto::{v1::adapter_service_client::AdapterServiceClient, wire::CHANGES_BYTES_MAX};
use aws_lc_rs::rand;
use tokio::{
    sync::watch,
    time::{Instant, sleep},
};
use tonic::transport::{Channel, ClientTlsConfig, Endpoint};

use super::{
    RuntimeError, Shared,
    credentials::{CredentialsError, Kept, TlsFiles},
    cursor::Cursor,
    link::{self, stopped},
    link_end::LinkEnd,
};

const BACKOFF_MIN: Duration = Duration::from_millis(50);
const BACKOFF_MAX: Duration = Duration::from_secs(10);
/// A link that lasted so long was a good one: the next dial begins with the shortest pause.
const GOOD_LINK: Duration = Duration::from_secs(60);
const CONNECT_MAX: Duration = Duration::from_secs(5);
const KEEPALIVE: Duration = Duration::from_secs(10);
const KEEPALIVE_MAX: Duration = Duration::from_secs(20);
const WINDOW_BYTES: u32 = 1 << 20;
/// The largest message that a broker may send.
const RECEIVE_BYTES_MAX: usize = 64 * 1_024;
/// The largest message that the adapter sends, which every broker reads: a full batch of changes.
const SEND_BYTES_MAX: usize = CHANGES_BYTES_MAX;

/// A broker node.
#[derive(Clone, Debug)]
pub struct BrokerEndpoint {
    /// `https://host:port`.
    pub uri: String,
    /// The adapter's certificate and the roots it trusts. `None` dials in clear text, which only
    /// tests may do: no configuration file can say it.
    pub tls: Option<TlsFiles>,
}

/// Why a dial failed.
#[derive(Debug, thiserror::Error)]
enum DialError {
    #[error(transparent)]
    Credentials(#[from] CredentialsError),
    #[error("cannot connect")]
    Connect(#[from] tonic::transport::Error),
}

/// Stays attached to one broker until the adapter stops.
pub(super) async fn keep_attached(
    shared: Arc<Shared>,
    broker: BrokerEndpoint,
    mut stopping: watch::Receiver<bool>,
) -> Result<(), RuntimeError> {
    let mut cursor = Cursor::load(&shared.changes, &broker.uri);
    let mut failures = 0;
    let mut kept = broker
        .tls
        .clone()
        .map(|files| Kept::new(files, shared.operator.clone()));
    let mut known = shared.restrictions_known.subscribe();
    tokio::select! {
        // An error means that the runtime is gone.
        _ = known.wait_for(|known| *known) => {}
        () = stopped(&mut stopping) => return Ok(()),
    }
    while !*stopping.borrow() {
        let dialled = tokio::select! {
            dialled = dial_as(&shared, &broker, kept.as_mut()) => dialled,
            () = stopped(&mut stopping) => return Ok(()),
        };
        match dialled {
            Err(error) => {
                shared.links.lost(&broker.uri, &error);
                tracing::warn!(
                    broker = broker.uri,
                    error = &error as &dyn std::error::Error,
                    "broker not reached"
                );
            }
            Ok(channel) => {
                let begun = Instant::now();
                let client = AdapterServiceClient::new(channel)
                    .max_decoding_message_size(RECEIVE_BYTES_MAX)
                    .max_encoding_message_size(SEND_BYTES_MAX);
                let end =
                    link::serve(&shared, &broker.uri, client, &mut cursor, &mut stopping).await;
                match end {
                    LinkEnd::Stopped => return Ok(()),
                    LinkEnd::Journal(error) => return Err(error.into()),
                    LinkEnd::Lost(lost) => {
                        shared.links.lost(&broker.uri, &lost);
                        tracing::warn!(
                            broker = broker.uri,
                            error = &lost as &dyn std::error::Error,
                            "link lost"
                        );
                    }
                }
                if begun.elapsed() >= GOOD_LINK {
                    failures = 0;
                }
            }
        }
        let pause = backoff(failures);
        failures += 1;
        tokio::select! {
            () = sleep(pause) => {}
            () = stopped(&mut stopping) => return Ok(()),
        }
    }
    Ok(())
}

async fn dial_as(
    shared: &Shared,
    broker: &BrokerEndpoint,
    kept: Option<&mut Kept>,
) -> Result<Channel, DialError> {
    let tls = kept
        .map(|kept| kept.newest(shared.links.now()))
        .transpose()?;
    dial(broker, tls).await
}

async fn dial(broker: &BrokerEndpoint, tls: Option<ClientTlsConfig>) -> Result<Channel, DialError> {
    let mut endpoint = Endpoint::from_shared(broker.uri.clone())?
        .connect_timeout(CONNECT_MAX)
        .tcp_nodelay(true)
        .http2_keep_alive_interval(KEEPALIVE)
        .keep_alive_timeout(KEEPALIVE_MAX)
        .keep_alive_while_idle(true)
        .initial_stream_window_size(WINDOW_BYTES)
        .initial_connection_window_size(2 * WINDOW_BYTES);
    if let Some(tls) = tls {
        endpoint = endpoint.tls_config(tls.timeout(CONNECT_MAX))?;
    }
    Ok(endpoint.connect().await?)
}

/// Exponential with full jitter: between nothing and the cap of this attempt, so that adapters
/// that lost the same broker don't return together.
fn backoff(failures: u32) -> Duration {
    let cap = BACKOFF_MIN
        .saturating_mul(1 << failures.min(16))
        .min(BACKOFF_MAX);
    let mut random = [0; 8];
    if rand::fill(&mut random).is_err() {
        return cap;
    }
    let millis = u64::try_from(cap.as_millis()).unwrap_or(u64::MAX);
    Duration::from_millis(u64::from_le_bytes(random) % (millis + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pause_grows_to_ten_seconds_and_no_further() {
        for failures in 0..40 {
            let cap = BACKOFF_MAX.min(BACKOFF_MIN * 2_u32.pow(failures.min(16)));
            assert!(backoff(failures) <= cap, "{failures}");
        }
        let longest = (0..200).map(|_| backoff(30)).max().unwrap();
        assert!(longest > Duration::from_secs(7), "{longest:?}");
    }

    #[test]
    fn pauses_differ() {
        let pauses: std::collections::HashSet<_> = (0..20).map(|_| backoff(8)).collect();
        assert!(pauses.len() > 10);
    }
}
