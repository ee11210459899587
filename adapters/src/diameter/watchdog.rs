//! Whether a peer is still there: the algorithm of RFC 3539 section 3.4.1, by its names, without
//! its timers.
//!
//! One difference: where no other peer is open, one that is suspect or reopening is asked
//! nevertheless. An answer that may come is better than none that can.

/// How far a connection is trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Trust {
    /// It answers.
    Okay,
    /// It was lost before and came back; it has not answered three watchdogs yet.
    Reopen,
    /// It left a watchdog unanswered.
    Suspect,
}

/// What is to be done when nothing was heard for the time Tw.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Send a watchdog request.
    Ask,
    /// Close the connection.
    Close,
    /// Go on waiting.
    Wait,
}

/// The state of one connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Watchdog {
    trust: Trust,
    /// A request is unanswered.
    pending: bool,
    /// Requests answered since it reopened; -1 after one was not.
    answered: i8,
}

/// Watchdogs that a reopened connection must answer.
const ANSWERED_ENOUGH: i8 = 3;

impl Watchdog {
    /// Of a first connection.
    #[must_use]
    pub const fn first() -> Self {
        Self {
            trust: Trust::Okay,
            pending: false,
            answered: 0,
        }
    }

    /// Of a connection after one that failed. The caller sends a request at once.
    #[must_use]
    pub const fn again() -> Self {
        Self {
            trust: Trust::Reopen,
            pending: true,
            answered: 0,
        }
    }

    /// How far it is trusted now.
    #[must_use]
    pub const fn trust(&self) -> Trust {
        self.trust
    }

    /// A whole message came.
    pub const fn heard(&mut self, is_watchdog_answer: bool) {
        if is_watchdog_answer {
            self.pending = false;
        }
        match self.trust {
            Trust::Okay => {}
            Trust::Suspect => self.trust = Trust::Okay,
            Trust::Reopen => {
                if is_watchdog_answer {
                    self.answered += 1;
                }
                if self.answered >= ANSWERED_ENOUGH {
                    self.trust = Trust::Okay;
                }
            }
        }
    }

    /// Nothing came for Tw.
    pub const fn expired(&mut self) -> Action {
        if !self.pending {
            self.pending = true;
            return Action::Ask;
        }
        match self.trust {
            Trust::Okay => {
                self.trust = Trust::Suspect;
                Action::Wait
            }
            Trust::Reopen if self.answered >= 0 => {
                self.answered = -1;
                Action::Wait
            }
            Trust::Reopen | Trust::Suspect => Action::Close,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_silent_peer_is_asked_then_suspected_then_closed() {
        let mut watchdog = Watchdog::first();
        assert_eq!(watchdog.expired(), Action::Ask);
        assert_eq!(watchdog.trust(), Trust::Okay);
        assert_eq!(watchdog.expired(), Action::Wait);
        assert_eq!(watchdog.trust(), Trust::Suspect);
        assert_eq!(watchdog.expired(), Action::Close);
    }

    #[test]
    fn any_message_ends_a_suspicion() {
        for is_answer in [false, true] {
            let mut watchdog = Watchdog::first();
            watchdog.expired();
            watchdog.expired();
            watchdog.heard(is_answer);
            assert_eq!(watchdog.trust(), Trust::Okay);
        }
    }

    #[test]
    fn an_answered_watchdog_is_asked_again_later() {
        let mut watchdog = Watchdog::first();
        for _ in 0..10 {
            assert_eq!(watchdog.expired(), Action::Ask);
            watchdog.heard(true);
        }
        assert_eq!(watchdog.trust(), Trust::Okay);
    }

    #[test]
    fn a_peer_that_came_back_answers_three_before_it_is_trusted() {
        let mut watchdog = Watchdog::again();
        for _ in 0..2 {
            watchdog.heard(true);
            watchdog.heard(false);
            assert_eq!(watchdog.trust(), Trust::Reopen);
            assert_eq!(watchdog.expired(), Action::Ask);
        }
        watchdog.heard(true);
        assert_eq!(watchdog.trust(), Trust::Okay);
    }

    #[test]
    fn a_peer_that_came_back_and_is_silent_is_closed() {
        let mut watchdog = Watchdog::again();
        assert_eq!(watchdog.expired(), Action::Wait);
        assert_eq!(watchdog.expired(), Action::Close);
    }
}
