//! Who asks, for which application, and what exactly.

use std::sync::Arc;

use accord_proto::{
    camara::Operation,
    party::{PartyId, Role},
    signal::Question,
    v1,
    wire::Lookup,
};
use jiff::Timestamp;
use tokio::time::Instant;

use super::{Call, parts::Parts, refusal::Refusal};
use crate::{
    governance::Governed,
    identity::{Caller, Granted, Peer, Presented},
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

/// Certificate, list of parties, token, question: in this order, so that a stranger learns nothing of what
/// the later checks would say.
pub(super) fn authenticate(parts: &Parts, call: Call, arrived: Instant) -> Result<Asked, Refusal> {
    let now = parts.clock.now();
    let (caller, governed) = caller(parts, &call.peer, call.presented.as_ref(), now)?;
    let mut request = call.request;
    if let Some(granted) = caller.granted() {
        complete(granted, &mut request)?;
    }
    let question = Lookup::parse(request, now)?;
    check_scope(&caller, &question, call.operation)?;
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

/// What an issued token says of the question: its purpose, and the number where it is about one.
fn complete(granted: &Granted, request: &mut v1::LookupRequest) -> Result<(), Refusal> {
    match (&granted.subject, request.msisdn.is_empty()) {
        (Some(_), false) => return Err(Refusal::UnnecessaryIdentifier),
        (None, true) => return Err(Refusal::MissingIdentifier),
        (Some(subject), true) => subject.expose().clone_into(&mut request.msisdn),
        (None, false) => {}
    }
    if request.purpose == v1::Purpose::Unspecified as i32 {
        request.purpose = granted.purpose.to_wire() as i32;
    }
    Ok(())
}

/// Each question is one that a scope of an issued token is for: the operation that a door translated,
/// or else the operations that would ask as much.
fn check_scope(
    caller: &Caller,
    question: &Lookup,
    operation: Option<Operation>,
) -> Result<(), Refusal> {
    let Some(granted) = caller.granted() else {
        return Ok(());
    };
    let allowed = |question: &&Question| match operation {
        Some(operation) => granted.scopes.allows(operation),
        None => Operation::as_much_as(question)
            .iter()
            .any(|operation| granted.scopes.allows(*operation)),
    };
    match question
        .questions
        .iter()
        .find(|question| !allowed(question))
    {
        Some(question) => Err(Refusal::SignalNotInScope(question.signal())),
        None => Ok(()),
    }
}

/// Whether the bank may still be told what it asked: certificate, licence and agreement may have
/// ended while a line waited for its turn, or while the operator was asked.
///
/// # Errors
/// Why not.
pub(super) fn still_may(parts: &Parts, asked: &Asked, governed: &Governed) -> Result<(), Refusal> {
    let now = parts.clock.now();
    let party = if asked.peer.has_certificate() {
        asked.peer.check(&parts.trust, now)?
    } else {
        asked.caller.party()
    };
    governed.check_licence(party, now)?;
    governed.check_bank(party.org())?;
    governed.check_in_force(now)
}

/// Who calls, and what is in force while it is decided. Looked at again for each call and each
/// streamed line, so that a revocation acts on open connections and cached tokens too.
///
/// Without a certificate, which only a door that asks for none lets happen, the token alone says who
/// it is, and a key that the request proved stands in the certificate's place.
pub(super) fn caller(
    parts: &Parts,
    peer: &Peer,
    presented: Option<&Presented>,
    now: Timestamp,
) -> Result<(Arc<Caller>, Arc<Governed>), Refusal> {
    let governed = parts.governance.current();
    if peer.has_certificate() {
        check_party(&governed, peer.check(&parts.trust, now)?, now)?;
    }
    let caller = parts.tokens.verify(peer, presented, now)?;
    if !peer.has_certificate() {
        check_party(&governed, caller.party(), now)?;
        peer.note_known();
    }
    governed.check_bank(caller.party().org())?;
    Ok((caller, governed))
}

fn check_party(governed: &Governed, party: &PartyId, now: Timestamp) -> Result<(), Refusal> {
    if party.role() != Role::Bank {
        return Err(Refusal::Role {
            role: party.role(),
            allowed: "banks",
        });
    }
    governed.check_licence(party, now)
}

/// Whose a call is, for the record of its refusal: whoever the certificate names, or a good token.
pub(super) fn party(parts: &Parts, peer: &Peer, presented: Option<&Presented>) -> Option<PartyId> {
    if peer.has_certificate() {
        return peer.party().cloned();
    }
    let caller = parts.tokens.verify(peer, presented, parts.clock.now());
    caller.ok().map(|caller| caller.party().clone())
}
