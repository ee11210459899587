//! A connection with a known other end, which can be closed from outside.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::OwnedSemaphorePermit;
use tokio_rustls::server::TlsStream;
use tonic::transport::server::Connected;

use super::connections::Ticket;
use super::gathered::Gathered;
use super::peer::Peer;
use super::tls::chose_http2;

/// A TLS connection. Reads and writes fail once its certificate is no longer trusted.
#[derive(Debug)]
pub struct PeerStream {
    tls: Gathered<TlsStream<TcpStream>>,
    peer: Arc<Peer>,
    http2: bool,
    ticket: Ticket,
    _slot: OwnedSemaphorePermit,
}

impl PeerStream {
    pub(super) fn new(
        tls: TlsStream<TcpStream>,
        peer: Arc<Peer>,
        ticket: Ticket,
        slot: OwnedSemaphorePermit,
    ) -> Self {
        Self {
            http2: chose_http2(tls.get_ref().1.alpn_protocol()),
            tls: Gathered::new(tls),
            peer,
            ticket,
            _slot: slot,
        }
    }

    /// The other end.
    #[must_use]
    pub const fn peer(&self) -> &Arc<Peer> {
        &self.peer
    }

    /// Whether the two ends chose HTTP/2 (RFC 7301).
    #[must_use]
    pub const fn speaks_http2(&self) -> bool {
        self.http2
    }

    fn check_open(&self) -> io::Result<()> {
        if self.ticket.closer().is_closed() {
            return Err(io::ErrorKind::ConnectionAborted.into());
        }
        Ok(())
    }
}

impl Connected for PeerStream {
    type ConnectInfo = Arc<Peer>;

    fn connect_info(&self) -> Arc<Peer> {
        Arc::clone(&self.peer)
    }
}

impl AsyncRead for PeerStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.ticket.closer().poll_closed(cx) {
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        Pin::new(&mut self.tls).poll_read(cx, buffer)
    }
}

impl AsyncWrite for PeerStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.check_open()?;
        Pin::new(&mut self.tls).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.check_open()?;
        Pin::new(&mut self.tls).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tls).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.check_open()?;
        Pin::new(&mut self.tls).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.tls.is_write_vectored()
    }
}
