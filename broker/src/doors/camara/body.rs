//! The bytes of a request's body: few, and soon.

use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use hyper::body::{Body, Bytes};
use tokio::time::{Duration, timeout};

/// How much a client may send, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BodyLimits {
    /// The most bytes of a body.
    pub(super) bytes_max: usize,
    /// For how long a client may take to send one.
    pub(super) deadline: Duration,
}

/// Why a body was not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum BodyError {
    #[error("the body is longer than {} bytes", .0.bytes_max)]
    TooLong(BodyLimits),
    #[error("the body did not come whole within {} s", .0.deadline.as_secs())]
    TooSlow(BodyLimits),
    #[error("the body broke off")]
    Broken,
}

/// Reads a whole body. What announces too much is not read at all.
pub(super) async fn read<B>(body: B, limits: BodyLimits) -> Result<Bytes, BodyError>
where
    B: Body<Data = Bytes>,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let most = u64::try_from(limits.bytes_max).unwrap_or(u64::MAX);
    if body.size_hint().lower() > most {
        return Err(BodyError::TooLong(limits));
    }
    let collected = Limited::new(body, limits.bytes_max).collect();
    match timeout(limits.deadline, collected).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(BodyError::TooLong(limits)),
        Ok(Err(_)) => Err(BodyError::Broken),
        Err(_) => Err(BodyError::TooSlow(limits)),
    }
}

#[cfg(test)]
mod tests {
    use std::{
        convert::Infallible,
        pin::Pin,
        task::{Context, Poll},
    };

    use http_body_util::Full;
    use hyper::body::Frame;

    use super::*;

    const LIMITS: BodyLimits = BodyLimits {
        bytes_max: 4 << 10,
        deadline: Duration::from_secs(5),
    };

    /// A body that goes on for ever, a byte at a time, or never begins.
    struct Endless {
        sends: bool,
    }

    impl Body for Endless {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            match self.sends {
                true => Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(b"x"))))),
                false => Poll::Pending,
            }
        }
    }

    #[tokio::test]
    async fn a_body_is_read_up_to_its_limit() {
        let full = vec![b'x'; LIMITS.bytes_max];
        let read_back = read(Full::new(Bytes::from(full.clone())), LIMITS).await;
        assert_eq!(read_back.unwrap().len(), LIMITS.bytes_max);
        let more = [full.as_slice(), b"x"].concat();
        let refused = read(Full::new(Bytes::from(more)), LIMITS).await;
        assert_eq!(refused, Err(BodyError::TooLong(LIMITS)));
        let endless = read(Endless { sends: true }, LIMITS).await;
        assert_eq!(endless, Err(BodyError::TooLong(LIMITS)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_does_not_come_is_given_up() {
        assert_eq!(
            read(Endless { sends: false }, LIMITS).await,
            Err(BodyError::TooSlow(LIMITS))
        );
    }
}
