//! The accept loop: from a TCP connection to a stream with a known other end.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use accord_proto::party::PartyId;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_stream::Stream;
use tracing::{debug, info, warn};

use super::connections::Connections;
use super::error::IdentityError;
use super::handshakes::{GAVE_WAY, Handshakes, Place};
use super::peer::Peer;
use super::stream::PeerStream;
use super::tls::{Certificates, Speaks};
use super::trust::TrustStore;

/// Limits of the accept loop.
#[derive(Clone, Copy, Debug)]
pub struct AcceptLimits {
    /// Open connections and handshakes together; more are hung up on at once.
    pub connections_max: usize,
    /// Handshakes in flight. Beyond that who has said nothing yet gives way, and a network that has
    /// an eighth of them is hung up on.
    pub handshakes_max: usize,
    /// For how long a handshake may take.
    pub handshake_deadline: Duration,
    /// Whether a client needs a certificate.
    pub certificates: Certificates,
}

impl Default for AcceptLimits {
    fn default() -> Self {
        Self {
            connections_max: 1024,
            handshakes_max: 64,
            handshake_deadline: Duration::from_secs(5),
            certificates: Certificates::Required,
        }
    }
}

/// A connection that was refused before any call.
#[derive(Clone, Debug)]
pub struct RefusedConnection {
    /// A stable word: those of [`IdentityError::reason`](super::IdentityError::reason), and
    /// `HANDSHAKE_FAILED`, `HANDSHAKE_TIMEOUT`, `HANDSHAKE_GAVE_WAY`,
    /// `ADDRESS_HANDSHAKES_MAX`, `CONNECTIONS_MAX`, `PARTY_CONNECTIONS_MAX` and
    /// `ADDRESS_CONNECTIONS_MAX`.
    pub reason: &'static str,
    /// From where.
    pub remote: SocketAddr,
    /// Whose the certificate says it is. Not proven: whoever has seen a certificate can show it.
    pub claimed: Option<PartyId>,
    /// Whether a trusted CA issued the certificate.
    pub issued: bool,
}

/// After a failed accept (out of file descriptors, mostly).
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// Accepted connections that wait for the server to take them.
const ACCEPTED_MAX: usize = 16;
/// For how long and how many bytes a refused client is listened to, so that the alert that tells
/// it why isn't lost to a reset.
const LINGER: Duration = Duration::from_millis(500);
const LINGER_LEN_MAX: u64 = 64 << 10;

/// What is told of refused connections.
type OnRefused = Arc<dyn Fn(RefusedConnection) + Send + Sync>;

/// Connections whose handshake ended well, for whoever serves them. Dropped, it stops listening.
#[derive(Debug)]
pub struct Incoming {
    accepted: mpsc::Receiver<PeerStream>,
    task: JoinHandle<()>,
}

impl Incoming {
    /// Starts to accept. `on_refused` is called for each connection refused before any call; it
    /// must not block.
    pub fn listen(
        listener: TcpListener,
        speaks: Speaks,
        trust: Arc<TrustStore>,
        connections: Arc<Connections>,
        limits: AcceptLimits,
        on_refused: impl Fn(RefusedConnection) + Send + Sync + 'static,
    ) -> Self {
        let (sender, accepted) = mpsc::channel(ACCEPTED_MAX);
        let door = Door {
            speaks,
            trust,
            connections,
            limits,
            on_refused: Arc::new(on_refused),
            sender,
        };
        let task = tokio::spawn(door.accept(listener));
        Self { accepted, task }
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Stream for Incoming {
    type Item = io::Result<PeerStream>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.accepted.poll_recv(cx).map(|stream| stream.map(Ok))
    }
}

/// Why a handshake did not end well.
enum Failed {
    /// The broker's own files make no configuration.
    Config,
    /// The other end, which is to be told by an alert.
    Tls {
        tcp: TcpStream,
        reason: &'static str,
        claimed: Option<PartyId>,
        issued: bool,
    },
}

#[derive(Clone)]
struct Door {
    speaks: Speaks,
    trust: Arc<TrustStore>,
    connections: Arc<Connections>,
    limits: AcceptLimits,
    on_refused: OnRefused,
    sender: mpsc::Sender<PeerStream>,
}

impl Door {
    async fn accept(self, listener: TcpListener) {
        let slots = Arc::new(Semaphore::new(self.limits.connections_max));
        let handshakes = Handshakes::new(self.limits.handshakes_max);
        loop {
            let (tcp, remote) = match listener.accept().await {
                Ok(accepted) => accepted,
                Err(error) => {
                    warn!(
                        error = &error as &dyn std::error::Error,
                        "cannot accept a connection"
                    );
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            };
            let Ok(slot) = Arc::clone(&slots).try_acquire_owned() else {
                self.hang_up("CONNECTIONS_MAX", remote);
                continue;
            };
            let place = match handshakes.enter(remote.ip()).await {
                Ok(place) => place,
                Err(reason) => {
                    self.hang_up(reason, remote);
                    continue;
                }
            };
            let door = self.clone();
            tokio::spawn(async move {
                if let Some(stream) = door.take(tcp, remote, place, slot).await {
                    // Fails only when the server is gone, and the connection goes with it.
                    let _ = door.sender.send(stream).await;
                }
            });
        }
    }

    async fn take(
        &self,
        tcp: TcpStream,
        remote: SocketAddr,
        place: Place,
        slot: OwnedSemaphorePermit,
    ) -> Option<PeerStream> {
        // Best effort: without it answers come late, not wrong.
        let _ = tcp.set_nodelay(true);
        let outcome = tokio::select! {
            outcome = timeout(self.limits.handshake_deadline, self.handshake(tcp, &place)) => outcome,
            () = place.gave_way() => {
                self.hang_up(GAVE_WAY, remote);
                return None;
            }
        };
        // Who is refused is listened to for a moment, and must keep nobody out meanwhile.
        drop(place);
        match outcome {
            Ok(Ok((tls, generation))) => self.admit(tls, remote, generation, slot),
            Ok(Err(Failed::Config)) => None,
            Ok(Err(Failed::Tls {
                tcp,
                reason,
                claimed,
                issued,
            })) => {
                self.refuse(reason, remote, claimed, issued);
                linger(tcp).await;
                None
            }
            Err(_elapsed) => {
                self.refuse("HANDSHAKE_TIMEOUT", remote, None, false);
                None
            }
        }
    }

    /// The stream, and the generation of the files under which the other end was found good.
    async fn handshake(
        &self,
        tcp: TcpStream,
        place: &Place,
    ) -> Result<(TlsStream<TcpStream>, u64), Failed> {
        // Looked at and left there, since `readable` may be true of a socket that holds nothing. An
        // error, or the end, is told again to whoever reads.
        let _ = tcp.peek(&mut [0]).await;
        place.spoke();
        let trust = self.trust.current().clone();
        let watched = trust.tls.watched(self.limits.certificates);
        let config = trust
            .tls
            .config(Arc::clone(&watched), self.speaks)
            .map_err(|_| Failed::Config)?;
        let accept = TlsAcceptor::from(Arc::new(config))
            .accept(tcp)
            .into_fallible();
        match accept.await {
            Ok(tls) => Ok((tls, trust.generation)),
            Err((error, tcp)) => {
                let refused = watched.refused();
                Err(Failed::Tls {
                    tcp,
                    reason: refused.map_or_else(|| reason_of(&error), |one| one.error.reason()),
                    claimed: refused.and_then(|one| one.claimed.clone()),
                    issued: refused.is_some_and(|one| one.issued),
                })
            }
        }
    }

    fn admit(
        &self,
        tls: TlsStream<TcpStream>,
        remote: SocketAddr,
        generation: u64,
        slot: OwnedSemaphorePermit,
    ) -> Option<PeerStream> {
        let peer = match self.peer(&tls, remote, generation) {
            Ok(peer) => Arc::new(peer),
            Err(error) => {
                self.refuse(error.reason(), remote, None, false);
                return None;
            }
        };
        if let Err(error) = peer.identity()
            && peer.has_certificate()
        {
            // Its calls are refused, each with this reason.
            info!(
                %remote,
                serial = peer.serial(),
                reason = error.reason(),
                "let in a trusted certificate without an identity"
            );
            self.trust.metrics().refuse_connection(error.reason());
        }
        let ticket = match self.connections.admit(Arc::clone(&peer)) {
            Ok(ticket) => ticket,
            Err(reason) => {
                let (party, issued) = (peer.party().cloned(), peer.has_certificate());
                self.refuse(reason, remote, party, issued);
                return None;
            }
        };
        self.trust.metrics().connections_accepted.inc();
        Some(PeerStream::new(tls, peer, ticket, slot))
    }

    /// Without a certificate only where the handshake allowed it.
    fn peer(
        &self,
        tls: &TlsStream<TcpStream>,
        remote: SocketAddr,
        generation: u64,
    ) -> Result<Peer, IdentityError> {
        let Some(chain) = tls.get_ref().1.peer_certificates() else {
            return Ok(Peer::without_certificate(remote));
        };
        let chain = chain.iter().map(|one| one.clone().into_owned()).collect();
        Peer::new(chain, remote, self.trust.trust_domain(), generation)
    }

    /// Refuses somebody for want of room. A flood must not fill the log, so this is counted only.
    fn hang_up(&self, reason: &'static str, remote: SocketAddr) {
        debug!(%remote, reason, "hung up on a connection");
        self.count(reason, remote, None, false);
    }

    fn refuse(
        &self,
        reason: &'static str,
        remote: SocketAddr,
        claimed: Option<PartyId>,
        issued: bool,
    ) {
        info!(
            %remote,
            claimed = claimed.as_ref().map(tracing::field::display),
            reason,
            "refused a connection"
        );
        self.count(reason, remote, claimed, issued);
    }

    fn count(
        &self,
        reason: &'static str,
        remote: SocketAddr,
        claimed: Option<PartyId>,
        issued: bool,
    ) {
        self.trust.metrics().refuse_connection(reason);
        (self.on_refused)(RefusedConnection {
            reason,
            remote,
            claimed,
            issued,
        });
    }
}

/// What a handshake failed of, where it was not the certificate.
fn reason_of(error: &io::Error) -> &'static str {
    let tls = error
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<rustls::Error>());
    match tls {
        Some(rustls::Error::NoCertificatesPresented) => "CERTIFICATE_MISSING",
        Some(_) | None => "HANDSHAKE_FAILED",
    }
}

/// Hangs up so that the alert arrives: a socket closed with unread bytes in it is reset, and the
/// reset overtakes the alert.
async fn linger(mut tcp: TcpStream) {
    let _ = tcp.shutdown().await;
    let mut rest = tcp.take(LINGER_LEN_MAX);
    let mut sink = tokio::io::sink();
    let _ = timeout(LINGER, tokio::io::copy(&mut rest, &mut sink)).await;
}
