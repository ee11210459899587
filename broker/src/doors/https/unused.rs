//! Connections that nobody uses. All clients without a certificate share the room of one party, and a
//! connection of HTTP/2 lives for as long as somebody answers pings: so those who ask nothing must not
//! keep out those who do.

use tokio::time::Duration;

use super::taking::Takings;

/// For how long a client without a certificate may take to its first request.
const FIRST_REQUEST_DEADLINE: Duration = Duration::from_secs(10);
/// For how long its connection may lie idle after that.
const IDLE_MAX: Duration = Duration::from_secs(30);

/// Returns when a connection has been of no use for too long. To those with a certificate that never
/// happens: each party has its own room.
pub(super) async fn unused(takings: &Takings, certified: bool) {
    if certified {
        std::future::pending::<()>().await;
    }
    takings.unused(FIRST_REQUEST_DEADLINE, IDLE_MAX).await;
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use http_body_util::{BodyExt as _, Full};
    use hyper::{
        Request, Response, StatusCode,
        body::{Bytes, Incoming as Body},
        client::conn::{http1, http2},
    };
    use hyper_util::rt::{TokioExecutor, TokioIo};
    use tokio::{
        io::DuplexStream,
        sync::watch,
        task::JoinHandle,
        time::{Instant, sleep, timeout},
    };

    use super::{
        super::{Handler, Held, HttpLimits, OtherEnd, connection, response},
        *,
    };

    /// Answers whatever is asked, after a while.
    struct Answers(Duration);

    impl Handler for Answers {
        async fn answer(self: Arc<Self>, _: Request<Body>) -> Response<Held> {
            sleep(self.0).await;
            response(StatusCode::OK, "text/plain", "yes")
        }
    }

    /// A served connection, by the client's end of it.
    struct Served {
        client: DuplexStream,
        gone: JoinHandle<()>,
        _stop: watch::Sender<bool>,
    }

    fn served(http2: bool, certified: bool, takes: Duration) -> Served {
        let (client, server) = tokio::io::duplex(64 << 10);
        let (stop, stopping) = watch::channel(false);
        let limits = HttpLimits {
            header_bytes_max: 16 << 10,
            streams_max: 16,
        };
        let end = OtherEnd { http2, certified };
        let handler = Arc::new(Answers(takes));
        let serving = connection(server, end, limits, stopping, handler);
        Served {
            client,
            gone: tokio::spawn(serving),
            _stop: stop,
        }
    }

    fn request() -> Request<Full<Bytes>> {
        let url = "https://localhost/";
        Request::get(url).body(Full::default()).unwrap()
    }

    /// Seconds until it is gone, by the paused clock.
    async fn lasts(gone: JoinHandle<()>, at_most: Duration) -> Option<u64> {
        let from = Instant::now();
        let gone = timeout(at_most, gone).await;
        gone.is_ok().then(|| from.elapsed().as_secs())
    }

    const LONG: Duration = Duration::from_secs(600);

    #[tokio::test(start_paused = true)]
    async fn who_answers_pings_and_asks_nothing_is_left() {
        let served = served(true, false, Duration::ZERO);
        let io = TokioIo::new(served.client);
        let (sender, driving) = http2::handshake::<_, _, Full<Bytes>>(TokioExecutor::new(), io)
            .await
            .unwrap();
        tokio::spawn(async move { drop(driving.await) });
        assert_eq!(lasts(served.gone, LONG).await, Some(10));
        assert!(sender.is_closed());
    }

    #[tokio::test(start_paused = true)]
    async fn who_says_nothing_on_http_1_is_left_and_so_is_who_begins_a_request_only() {
        for begun in ["", "POST /oauth2/token HTTP/1.1\r\nhost: localh"] {
            let mut served = served(false, false, Duration::ZERO);
            tokio::io::AsyncWriteExt::write_all(&mut served.client, begun.as_bytes())
                .await
                .unwrap();
            assert_eq!(lasts(served.gone, LONG).await, Some(10), "{begun:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_asks_now_and_then_stays_and_who_stops_asking_is_left() {
        // An answer that takes longer than one may be idle is waited for.
        let served = served(true, false, Duration::from_secs(25));
        let io = TokioIo::new(served.client);
        let (mut sender, driving) = http2::handshake(TokioExecutor::new(), io).await.unwrap();
        tokio::spawn(async move { drop(driving.await) });
        for _ in 0..5 {
            let told = sender.send_request(request()).await.unwrap();
            assert_eq!(told.into_body().collect().await.unwrap().to_bytes(), "yes");
            sleep(Duration::from_secs(29)).await;
        }
        assert!(!served.gone.is_finished());
        assert_eq!(lasts(served.gone, LONG).await, Some(1));
        assert!(sender.is_closed());
    }

    #[tokio::test(start_paused = true)]
    async fn who_has_a_certificate_may_keep_a_connection() {
        let served = served(true, true, Duration::ZERO);
        let io = TokioIo::new(served.client);
        let (mut sender, driving) = http2::handshake(TokioExecutor::new(), io).await.unwrap();
        tokio::spawn(async move { drop(driving.await) });
        assert_eq!(lasts(served.gone, LONG).await, None);
        assert!(sender.send_request(request()).await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_of_http_1_is_kept_between_requests_for_as_long() {
        let served = served(false, false, Duration::ZERO);
        let io = TokioIo::new(served.client);
        let (mut sender, driving) = http1::handshake(io).await.unwrap();
        tokio::spawn(async move { drop(driving.await) });
        sleep(Duration::from_secs(9)).await;
        let told = sender.send_request(request()).await.unwrap();
        assert_eq!(told.into_body().collect().await.unwrap().to_bytes(), "yes");
        assert_eq!(lasts(served.gone, LONG).await, Some(30));
    }
}
