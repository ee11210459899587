//! Who asks, for which application, and what exactly.

use std::sync::Arc;

use accord_proto::{party::Role, wire::Lookup};
use jiff::Timestamp;
use tokio::time::Instant;

use super::{Call, parts::Parts, refusal::Refusal};
use crate::{
    governance::Governed,
    identity::{Caller, Peer},
    replay::Claim,
};

/// A question by a bank that is known, licensed and entitled to ask it.
pub(super) struct Asked {
    pub(super) peer: Arc<Peer>,
    pub(super) caller: Arc<Caller>,
    pub(super) question: Lookup,
    /// The agreement, parties and routes that this question is decided under.
    pub(super) governed: Arc<Governed>,
    pub(super) now: Timestamp,
    /// When the question came, or a line of a screening was taken up.
    pub(super) arrived: Instant,
    /// When the caller stops waiting.
    pub(super) deadline: Option<Instant>,
    pub(super) bulk: bool,
    _seal: Seal,
}

struct Seal;

impl Asked {
    /// Claims the request id.
    pub(super) async fn claim(&self, parts: &Parts) -> Claim {
        let bank = self.caller.party().org();
        parts
            .replays
            .claim_when_settled(bank, &self.question, self.now)
            .await
    }
}

/// Certificate, register, token, question: in this order, so that a stranger learns nothing of what
/// the later checks would say.
pub(super) fn authenticate(parts: &Parts, call: Call, arrived: Instant) -> Result<Asked, Refusal> {
    let now = parts.clock.now();
    let (caller, governed) = caller(parts, &call.peer, call.token.as_deref(), now)?;
    let question = Lookup::parse(call.request, now)?;
    if !caller.may(question.purpose) {
        return Err(Refusal::PurposeNotInToken(question.purpose));
    }
    if let Some(principal) = &question.on_behalf_of
        && !caller.may_act_for(principal)
    {
        return Err(Refusal::PrincipalNotInToken(principal.clone()));
    }
    governed.check_in_force(now)?;
    Ok(Asked {
        peer: call.peer,
        caller,
        question,
        governed,
        now,
        arrived,
        deadline: call.deadline,
        bulk: call.bulk,
        _seal: Seal,
    })
}

/// Whether the bank may still be told what it asked: certificate, licence and agreement may have
/// ended while a line waited for its turn, or while the operator was asked.
///
/// # Errors
/// Why not.
pub(super) fn still_may(parts: &Parts, asked: &Asked, governed: &Governed) -> Result<(), Refusal> {
    let now = parts.clock.now();
    let party = asked.peer.check(&parts.trust, now)?;
    governed.check_licence(party, now)?;
    governed.check_bank(party.org())?;
    governed.check_in_force(now)
}

/// Who calls, and what is in force while it is decided. Looked at again for each call and each
/// streamed line, so that a revocation acts on open connections and cached tokens too.
pub(super) fn caller(
    parts: &Parts,
    peer: &Peer,
    token: Option<&str>,
    now: Timestamp,
) -> Result<(Arc<Caller>, Arc<Governed>), Refusal> {
    let party = peer.check(&parts.trust, now)?;
    if party.role() != Role::Bank {
        return Err(Refusal::Role {
            role: party.role(),
            allowed: "banks",
        });
    }
    let governed = parts.governance.current();
    governed.check_licence(party, now)?;
    let caller = parts.tokens.verify(peer, token, now)?;
    governed.check_bank(party.org())?;
    Ok((caller, governed))
}
