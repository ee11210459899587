//! The bytes of a request's body: few, and soon.

use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use hyper::body::{Body, Bytes};
use tokio::time::{Duration, timeout};

/// The most bytes of a body. Every body of these APIs fits a tenth of it.
pub(super) const BODY_BYTES_MAX: usize = 4 << 10;
/// For how long a client may take to send one.
const BODY_DEADLINE: Duration = Duration::from_secs(5);

/// Why a body was not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum BodyError {
    #[error("the body is longer than {BODY_BYTES_MAX} bytes")]
    TooLong,
    #[error("the body did not come whole within {} s", BODY_DEADLINE.as_secs())]
    TooSlow,
    #[error("the body broke off")]
    Broken,
}

/// Reads a whole body. What announces too much is not read at all.
pub(super) async fn read<B>(body: B) -> Result<Bytes, BodyError>
where
    B: Body<Data = Bytes>,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    if body.size_hint().lower() > BODY_BYTES_MAX as u64 {
        return Err(BodyError::TooLong);
    }
    let collected = Limited::new(body, BODY_BYTES_MAX).collect();
    match timeout(BODY_DEADLINE, collected).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(BodyError::TooLong),
        Ok(Err(_)) => Err(BodyError::Broken),
        Err(_) => Err(BodyError::TooSlow),
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
        let full = vec![b'x'; BODY_BYTES_MAX];
        let read_back = read(Full::new(Bytes::from(full.clone()))).await;
        assert_eq!(read_back.unwrap().len(), BODY_BYTES_MAX);
        let more = [full.as_slice(), b"x"].concat();
        let refused = read(Full::new(Bytes::from(more))).await;
        assert_eq!(refused, Err(BodyError::TooLong));
        assert_eq!(read(Endless { sends: true }).await, Err(BodyError::TooLong));
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_does_not_come_is_given_up() {
        assert_eq!(
            read(Endless { sends: false }).await,
            Err(BodyError::TooSlow)
        );
    }
}
