//! Small writes, gathered into one.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// What one write may hold: the plaintext of a TLS record (RFC 8446 section 5.1).
const GATHERED_BYTES_MAX: usize = 16 * 1_024;

/// A stream that lets other tasks run before it flushes, once.
///
/// The ledger releases a whole batch of answers at once. Their tasks run one after another, and each
/// wakes the connection, which the runtime runs next: every answer would leave in a TLS record and a
/// system call of its own, and be read by the bank with one more. So the first flush goes to the back
/// of the run queue; what the tasks before it have to say leaves with it.
#[derive(Debug)]
pub(super) struct Gathered<S> {
    inner: S,
    waiting: Vec<u8>,
    /// How many bytes of `waiting` have left.
    left: usize,
    stood_back: bool,
}

impl<S> Gathered<S> {
    pub(super) const fn new(inner: S) -> Self {
        Self {
            inner,
            waiting: Vec::new(),
            left: 0,
            stood_back: false,
        }
    }
}

impl<S: AsyncWrite + Unpin> Gathered<S> {
    fn poll_drain(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while let Some(rest) = self
            .waiting
            .get(self.left..)
            .filter(|rest| !rest.is_empty())
        {
            match ready!(Pin::new(&mut self.inner).poll_write(cx, rest))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                left => self.left += left,
            }
        }
        self.waiting.clear();
        self.left = 0;
        Poll::Ready(Ok(()))
    }

    /// Takes as much as there is room for.
    fn take(&mut self, bytes: &[u8]) -> usize {
        let room = GATHERED_BYTES_MAX.saturating_sub(self.waiting.len());
        let taken = bytes.get(..room).unwrap_or(bytes);
        self.waiting.extend_from_slice(taken);
        taken.len()
    }

    fn poll_room(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.waiting.len() < GATHERED_BYTES_MAX {
            return Poll::Ready(Ok(()));
        }
        self.poll_drain(cx)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Gathered<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(cx, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Gathered<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_room(cx))?;
        Poll::Ready(Ok(self.take(bytes)))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_room(cx))?;
        Poll::Ready(Ok(slices.iter().map(|slice| self.take(slice)).sum()))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.waiting.is_empty() && !self.stood_back {
            self.stood_back = true;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        ready!(self.poll_drain(cx))?;
        self.stood_back = false;
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_drain(cx))?;
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};

    use super::*;

    #[tokio::test]
    async fn nothing_is_lost_whatever_the_other_end_takes_at_once() {
        let (near, mut far) = duplex(100);
        let mut near = Gathered::new(near);
        let sent: Vec<u8> = (0..100_000_u32).map(|at| at.to_le_bytes()[0]).collect();
        let expected = sent.clone();
        let sending = tokio::spawn(async move {
            for piece in sent.chunks(777) {
                near.write_all(piece).await.unwrap();
            }
            near.shutdown().await.unwrap();
        });
        let mut read = Vec::new();
        far.read_to_end(&mut read).await.unwrap();
        sending.await.unwrap();
        assert_eq!(read, expected);
    }

    #[tokio::test]
    async fn what_comes_before_the_second_flush_leaves_in_the_same_write() {
        let inner = sink::Counting::default();
        let mut stream = Gathered::new(inner);
        stream.write_all(b"one").await.unwrap();
        let first = poll_fn(|cx| Poll::Ready(Pin::new(&mut stream).poll_flush(cx))).await;
        assert!(first.is_pending());
        stream.write_all(b"two").await.unwrap();
        stream.flush().await.unwrap();
        assert_eq!(stream.inner.writes, [b"onetwo"]);
    }

    /// A sink that keeps each write apart.
    mod sink {
        use super::*;

        #[derive(Default)]
        pub(super) struct Counting {
            pub(super) writes: Vec<Vec<u8>>,
        }

        impl AsyncWrite for Counting {
            fn poll_write(
                mut self: Pin<&mut Self>,
                _: &mut Context<'_>,
                bytes: &[u8],
            ) -> Poll<io::Result<usize>> {
                self.writes.push(bytes.to_vec());
                Poll::Ready(Ok(bytes.len()))
            }

            fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
                Poll::Ready(Ok(()))
            }

            fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
                Poll::Ready(Ok(()))
            }
        }
    }
}
