//! How the source is, by the names of the status page: from the states of its peers, and from
//! whether the last question was answered with something that could be used.

use std::borrow::Cow;
use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;

use super::peer::{Cause, PeerState, RequestError};
use super::peers::Peers;
use super::sh::ShError;
use super::watchdog::Trust;
use crate::source::{Condition, SourceState, StateCell, words};

/// What is known beside the states of the peers.
#[derive(Debug, Default)]
pub(super) struct Health {
    cell: StateCell,
    /// What was wrong with the last answer, if that was not of one subscriber only; or that none came.
    trouble: Mutex<Option<ShError>>,
}

impl Health {
    /// Takes in how a question ended.
    pub(super) fn answered(&self, error: Option<ShError>) {
        let trouble = match error {
            // It says nothing about answers; of a connection that was lost its peer tells.
            Some(
                ShError::Busy
                | ShError::NotNow
                | ShError::Request(RequestError::Full | RequestError::Lost | RequestError::NotOpen),
            ) => return,
            None | Some(ShError::UserUnknown) => None,
            Some(
                error @ (ShError::Answer(_)
                | ShError::Data(_)
                | ShError::NotAllowed(_)
                | ShError::Refused(_)
                | ShError::Request(RequestError::Codec(_) | RequestError::Timeout)
                | ShError::Session
                | ShError::WrongUserData),
            ) => Some(error),
        };
        *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) = trouble;
    }

    /// A sweep over all watched numbers ended.
    pub(super) fn swept(&self, began: Timestamp) {
        self.cell.observed_to(began);
    }

    /// How the source is now.
    pub(super) fn state(&self, peers: &Peers, now: Timestamp) -> SourceState {
        let trouble = *self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        let (condition, why) = match (best(peers), trouble) {
            (Some(Trust::Okay | Trust::Reopen), None) => (Condition::Up, Cow::Borrowed("")),
            // It answers its watchdogs, and no question.
            (Some(Trust::Okay | Trust::Reopen), Some(ShError::Request(RequestError::Timeout))) => {
                (Condition::Down, words(&RequestError::Timeout).into())
            }
            (Some(Trust::Okay | Trust::Reopen), Some(error)) => {
                (Condition::Unusable, words(&error).into())
            }
            (Some(Trust::Suspect), _) => (Condition::Down, "it left a watchdog unanswered".into()),
            (None, _) => closed(peers),
        };
        self.cell.set(condition, why, now);
        self.cell.get()
    }
}

fn best(peers: &Peers) -> Option<Trust> {
    let trust = |state| match state {
        PeerState::Open(trust) => Some(trust),
        PeerState::Closed(_) | PeerState::Connecting | PeerState::WaitCea => None,
    };
    peers.iter().filter_map(|peer| trust(peer.state())).min()
}

/// Without a connection: why the first peer has none, as last known.
fn closed(peers: &Peers) -> (Condition, Cow<'static, str>) {
    let Some(cause) = peers.iter().find_map(|peer| peer.last_cause()) else {
        return (Condition::Starting, "not connected yet".into());
    };
    let condition = match cause {
        Cause::NotYet | Cause::Stopped => Condition::Starting,
        Cause::NoSh | Cause::OtherHost | Cause::Refused(_) | Cause::Tls(_) => Condition::Refused,
        Cause::Protocol(_) => Condition::Unusable,
        Cause::Disconnected(_)
        | Cause::Ended
        | Cause::Silent
        | Cause::Unreachable(_)
        | Cause::WatchdogExpired => Condition::Down,
    };
    (condition, cause.to_string().into())
}
