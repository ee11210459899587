//! The load generator over HTTPS: the same requests for the door and for the bare server.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use http_body_util::{BodyExt as _, Full};
use hyper::{
    Request, Response, StatusCode,
    body::{Bytes, Incoming},
    client::conn::{http1, http2},
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::{task::JoinSet, time::Instant};

use super::super::{BenchError, child::cpu_us, figures::Round, tls::Dialler};

/// Connections that requests share over HTTP/2; over HTTP/1.1 each request in flight has its own.
const SHARED: usize = 4;

/// Which version of HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Version {
    /// Keep-alive, one request at a time on each connection.
    Http1,
    /// Streams on few connections.
    Http2,
}

impl Version {
    /// Its name in the table, and in TLS (RFC 7301).
    pub(super) const fn names(self) -> (&'static str, &'static [u8]) {
        match self {
            Self::Http1 => ("HTTP/1.1", b"http/1.1"),
            Self::Http2 => ("HTTP/2", b"h2"),
        }
    }
}

/// Makes the request of a number that counts up.
pub(super) type Make = Arc<dyn Fn(u64) -> Request<Full<Bytes>> + Send + Sync>;

/// A server under load.
pub(super) struct Server {
    what: &'static str,
    at: SocketAddr,
    version: Version,
    make: Make,
    next: AtomicU64,
    /// Processes whose processor time counts: server, adapter and this one.
    pids: [Option<u32>; 3],
}

/// One connection, or a share of one.
enum Client {
    Http1(http1::SendRequest<Full<Bytes>>),
    Http2(http2::SendRequest<Full<Bytes>>),
}

impl Client {
    async fn send(&mut self, request: Request<Full<Bytes>>) -> hyper::Result<Response<Incoming>> {
        match self {
            Self::Http1(client) => {
                client.ready().await?;
                client.send_request(request).await
            }
            Self::Http2(client) => client.send_request(request).await,
        }
    }
}

impl Server {
    /// A server at an address. `pids` are those of the server and of an adapter behind it.
    pub(super) fn new(
        what: &'static str,
        at: SocketAddr,
        version: Version,
        make: Make,
        pids: [Option<u32>; 2],
    ) -> Arc<Self> {
        let [server, adapter] = pids;
        Arc::new(Self {
            what,
            at,
            version,
            make,
            next: AtomicU64::new(0),
            pids: [server, adapter, Some(std::process::id())],
        })
    }

    /// So many requests in flight for a time that is not counted, and then for one that is.
    pub(super) async fn closed(
        self: &Arc<Self>,
        dialler: &Dialler,
        in_flight: usize,
        warm_up: Duration,
        counted: Duration,
    ) -> Result<Round, BenchError> {
        let clients = self.clients(dialler, in_flight).await?;
        let begin = Instant::now() + warm_up;
        let end = begin + counted;
        let mut tasks = JoinSet::new();
        for mut client in clients {
            let server = Arc::clone(self);
            tasks.spawn(async move {
                let (mut latencies, mut within) = (Vec::new(), 0);
                loop {
                    let sent = Instant::now();
                    if sent >= end {
                        return Ok::<_, BenchError>((latencies, within));
                    }
                    server.ask(&mut client).await?;
                    let answered = Instant::now();
                    if sent >= begin {
                        let took = (answered - sent).as_micros();
                        latencies.push(u32::try_from(took).unwrap_or(u32::MAX));
                        within += usize::from(answered <= end);
                    }
                }
            });
        }
        tokio::time::sleep_until(begin).await;
        let before = self.cpu();
        tokio::time::sleep_until(end).await;
        let mut spent = self.cpu();
        for (spent, before) in spent.iter_mut().zip(before) {
            *spent = spent.saturating_sub(before);
        }
        let (mut latencies, mut within) = (Vec::new(), 0);
        while let Some(ended) = tasks.join_next().await {
            let (some, answered) = ended.map_err(|_| self.wrong("a task broke off"))??;
            latencies.extend(some);
            within += answered;
        }
        let mut round = Round::cut_off(latencies, within, counted.as_secs_f64());
        round.cpu_us = spent;
        Ok(round)
    }

    /// So many requests, so many of them in flight; how long they took.
    pub(super) async fn total(
        self: &Arc<Self>,
        dialler: &Dialler,
        in_flight: usize,
        requests: u64,
    ) -> Result<Duration, BenchError> {
        let clients = self.clients(dialler, in_flight).await?;
        let left = Arc::new(AtomicU64::new(requests));
        let begun = Instant::now();
        let mut tasks = JoinSet::new();
        for mut client in clients {
            let (server, left) = (Arc::clone(self), Arc::clone(&left));
            tasks.spawn(async move {
                let take = |left: u64| left.checked_sub(1);
                while left
                    .fetch_update(Ordering::Relaxed, Ordering::Relaxed, take)
                    .is_ok()
                {
                    server.ask(&mut client).await?;
                }
                Ok::<_, BenchError>(())
            });
        }
        while let Some(ended) = tasks.join_next().await {
            ended.map_err(|_| self.wrong("a task broke off"))??;
        }
        Ok(begun.elapsed())
    }

    /// One request and its answer, whole.
    pub(super) async fn sample(&self, dialler: &Dialler) -> Result<Bytes, BenchError> {
        let mut clients = self.clients(dialler, 1).await?;
        let client = clients.first_mut();
        let client = client.ok_or_else(|| self.wrong("no connection"))?;
        self.ask(client).await
    }

    async fn ask(&self, client: &mut Client) -> Result<Bytes, BenchError> {
        let request = (self.make)(self.next.fetch_add(1, Ordering::Relaxed));
        let response = client.send(request).await;
        let response = response.map_err(|error| self.wrong(&error.to_string()))?;
        let status = response.status();
        let body = response.into_body().collect().await;
        let body = body.map_err(|error| self.wrong(&error.to_string()))?;
        let body = body.to_bytes();
        if status == StatusCode::OK {
            Ok(body)
        } else {
            let text = String::from_utf8_lossy(&body);
            Err(self.wrong(&format!("{status}: {text}")))
        }
    }

    async fn clients(
        &self,
        dialler: &Dialler,
        in_flight: usize,
    ) -> Result<Vec<Client>, BenchError> {
        let (_, protocol) = self.version.names();
        let mut clients = Vec::with_capacity(in_flight);
        match self.version {
            Version::Http1 => {
                for _ in 0..in_flight {
                    let io = TokioIo::new(dialler.stream(self.at, protocol).await?);
                    let shaken = http1::handshake(io).await;
                    let (client, connection) =
                        shaken.map_err(|error| self.wrong(&error.to_string()))?;
                    tokio::spawn(connection);
                    clients.push(Client::Http1(client));
                }
            }
            Version::Http2 => {
                let mut shared = Vec::with_capacity(SHARED);
                for _ in 0..SHARED {
                    let io = TokioIo::new(dialler.stream(self.at, protocol).await?);
                    let shaken = http2::handshake(TokioExecutor::new(), io).await;
                    let (client, connection) =
                        shaken.map_err(|error| self.wrong(&error.to_string()))?;
                    tokio::spawn(connection);
                    shared.push(client);
                }
                let shares = shared.iter().cycle().take(in_flight);
                clients.extend(shares.cloned().map(Client::Http2));
            }
        }
        Ok(clients)
    }

    fn cpu(&self) -> [u64; 3] {
        self.pids.map(|pid| pid.map_or(0, cpu_us))
    }

    fn wrong(&self, why: &str) -> BenchError {
        BenchError::Answer {
            what: self.what,
            why: why.to_owned(),
        }
    }
}
