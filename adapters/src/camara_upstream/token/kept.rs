//! What is kept of tokens between questions: the newest one, as the header that it is sent in, how the last attempt to get one ended, and
//! who fetches one now.

use std::time::Duration;

use http::HeaderValue;
use tokio::{
    sync::watch,
    time::{Instant, timeout_at},
};

use crate::camara_upstream::fault::Fault;

/// A token is renewed so long before it ends, or in the middle of its life.
const EARLY: Duration = Duration::from_secs(30);
/// It is sent until so long before it ends, since a question takes its time.
const LAST: Duration = Duration::from_secs(2);
/// The longest that a token is kept, whatever it says.
const KEPT_MAX: Duration = Duration::from_secs(3_600);

/// How an attempt to get a token ended.
pub(super) type Told = Result<HeaderValue, Fault>;
/// What tells those who wait for an attempt how it ended.
pub(super) type Teller = watch::Sender<Option<Told>>;
/// An attempt that is under way.
pub(super) type Fetching = watch::Receiver<Option<Told>>;

/// What a question that wants a token is to do.
pub(super) enum Want {
    /// Nothing more: the token, or why there is none for a while.
    Told(Told),
    /// Fetch one, and meanwhile send the one that is kept.
    Fetch {
        kept: Option<HeaderValue>,
        told: Teller,
    },
    /// Wait for who fetches one.
    Wait(Fetching),
}

/// The state.
#[derive(Default)]
pub(super) struct Kept {
    token: Option<Token>,
    /// Why there is none, and until when no other is asked for.
    fault: Option<(Fault, Instant)>,
    fetching: Option<Fetching>,
}

struct Token {
    header: HeaderValue,
    renew_at: Instant,
    ends: Instant,
}

impl Kept {
    pub(super) fn want(&mut self, now: Instant) -> Want {
        let token = self.token.as_ref().filter(|token| now < token.ends);
        let kept = token.map(|token| token.header.clone());
        let paused = self.fault.filter(|(_, until)| now < *until);
        let fresh = token.is_some_and(|token| now < token.renew_at);
        // An attempt whose task ended without a word, as with its runtime, is none.
        let fetching = self.fetching.as_ref();
        let fetching = fetching.filter(|fetching| fetching.has_changed().is_ok());
        match (kept, paused, fetching) {
            (Some(kept), Some(_), _) | (Some(kept), None, Some(_)) => Want::Told(Ok(kept)),
            (Some(kept), None, None) if fresh => Want::Told(Ok(kept)),
            (None, Some((fault, _)), _) => Want::Told(Err(fault)),
            (None, None, Some(fetching)) => Want::Wait(fetching.clone()),
            (kept, None, None) => {
                let (told, fetching) = watch::channel(None);
                self.fetching = Some(fetching);
                Want::Fetch { kept, told }
            }
        }
    }

    /// How an attempt ended: with a token and how long it lives, or a fault and for how long to wait.
    pub(super) fn fetched(
        &mut self,
        fetched: Result<(HeaderValue, Duration), (Fault, Duration)>,
        now: Instant,
    ) -> Told {
        self.fetching = None;
        match fetched {
            Ok((header, lives)) => {
                let lives = lives.min(KEPT_MAX);
                let before = |early: Duration| now + lives.saturating_sub(early.min(lives / 2));
                self.token = Some(Token {
                    header: header.clone(),
                    renew_at: before(EARLY),
                    ends: before(LAST),
                });
                self.fault = None;
                Ok(header)
            }
            Err((fault, pause)) => {
                self.fault = Some((fault, now + pause));
                Err(fault)
            }
        }
    }

    pub(super) fn refused(&mut self, refused: &HeaderValue) {
        if self
            .token
            .as_ref()
            .is_some_and(|token| token.header == *refused)
        {
            self.token = None;
        }
    }
}

/// Waits for an attempt, which goes on without the question.
pub(super) async fn wait(mut fetching: Fetching, deadline: Instant) -> Told {
    let told = timeout_at(deadline, fetching.wait_for(Option::is_some)).await;
    match told {
        Ok(Ok(told)) => told.clone().unwrap_or(Err(Fault::TIMEOUT.at_token())),
        Ok(Err(_)) | Err(_) => Err(Fault::TIMEOUT.at_token()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn life(seconds: u64) -> Result<(HeaderValue, Duration), (Fault, Duration)> {
        Ok((
            HeaderValue::from_static("Bearer t"),
            Duration::from_secs(seconds),
        ))
    }

    #[tokio::test(start_paused = true)]
    async fn a_token_is_renewed_before_it_ends_and_sent_meanwhile() {
        let (mut kept, begun) = (Kept::default(), Instant::now());
        let at = |seconds| begun + Duration::from_secs(seconds);
        assert!(matches!(kept.want(begun), Want::Fetch { kept: None, .. }));
        kept.fetched(life(300), begun).unwrap();
        assert!(matches!(kept.want(at(269)), Want::Told(Ok(_))));
        let renewing = kept.want(at(271));
        assert!(matches!(renewing, Want::Fetch { kept: Some(_), .. }));
        assert!(
            matches!(kept.want(at(297)), Want::Told(Ok(_))),
            "one at a time"
        );
        assert!(matches!(kept.want(at(299)), Want::Wait(_)));
        // A failure takes nothing from the one that still holds.
        let _ = kept.fetched(Err((Fault::KEY, Duration::from_secs(5))), at(280));
        assert!(matches!(kept.want(at(281)), Want::Told(Ok(_))));
        assert!(matches!(kept.want(at(284)), Want::Told(Ok(_))));
        assert!(matches!(
            kept.want(at(286)),
            Want::Fetch { kept: Some(_), .. }
        ));
        drop(renewing);
    }

    #[tokio::test(start_paused = true)]
    async fn a_token_of_no_stated_life_serves_those_who_waited_for_it() {
        let (mut kept, now) = (Kept::default(), Instant::now());
        let Want::Fetch { told, .. } = kept.want(now) else {
            panic!("nobody fetches one");
        };
        let Want::Wait(waiting) = kept.want(now) else {
            panic!("two fetch one");
        };
        told.send_replace(Some(kept.fetched(life(0), now)));
        let deadline = now + Duration::from_secs(1);
        assert_eq!(wait(waiting, deadline).await.unwrap(), "Bearer t");
        assert!(matches!(kept.want(now), Want::Fetch { kept: None, .. }));
    }

    #[tokio::test(start_paused = true)]
    async fn an_attempt_that_ended_without_a_word_is_made_again() {
        let (mut kept, now) = (Kept::default(), Instant::now());
        drop(kept.want(now));
        assert!(matches!(kept.want(now), Want::Fetch { .. }));
    }
}
