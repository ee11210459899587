//! The life of the agreement in this broker: each act of an authority is checked, put on the record
//! with its author's signature, and only then takes effect.
//!
//! ```text
//!   ledger ──RecalledLife::open──▶ state ──▶ AgreementLife::act ──▶ entry ──▶ in force
//! ```

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use accord_proto::{
    agreement::{ACT_AGE_MAX, Act, Life, Proposal, SignedAct},
    clock::SharedClock,
    document::text_sha256,
    party::PartyId,
    v1::{self, agreement_act::Kind},
};

use super::{
    ActRefusal, Governance, Governed, RecalledLife,
    checks::{self, Papers},
    choose::Candidates,
    recalled::{Inner, activated},
    recorded::{At, RecordedAct, read_act},
    store::DocumentStore,
};
use crate::{
    acts_file::ActsFile,
    ledger::{Ledger, LedgerError},
    path::Refusal,
};

/// The most bytes of a document that is proposed over the wire.
pub const DOCUMENT_WIRE_BYTES_MAX: usize = 256 * 1_024;
/// The most acts that are told at once.
const PAST_MAX: usize = 200;

/// The life of the agreement.
#[derive(Debug)]
pub struct AgreementLife {
    inner: Mutex<Inner>,
    file: ActsFile,
    store: DocumentStore,
    governance: Arc<Governance>,
    ledger: Arc<Ledger>,
    clock: SharedClock,
}

/// What became of an act.
#[derive(Clone, Debug)]
pub struct Taken {
    /// What it was.
    pub kind: Kind,
    /// The log that it is in.
    pub origin: String,
    /// The entry.
    pub index: u64,
}

/// Acts on the record, and where the agreement stands.
#[derive(Debug)]
pub struct Past {
    /// The acts, oldest first.
    pub acts: Vec<RecordedAct>,
    /// How many there are in all.
    pub total: usize,
    /// What is proposed.
    pub proposals: Vec<Proposal>,
    /// What was activated and is not in force yet.
    pub waiting: Candidates,
}

/// These block: on the ledger, on files, and on each other.
impl AgreementLife {
    /// Goes on from what the ledger says.
    #[must_use]
    pub fn new(
        recalled: RecalledLife,
        governance: Arc<Governance>,
        ledger: Arc<Ledger>,
        clock: SharedClock,
    ) -> Self {
        let RecalledLife {
            inner, file, store, ..
        } = recalled;
        Self {
            inner: Mutex::new(inner),
            file,
            store,
            governance,
            ledger,
            clock,
        }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets an authority act. On the record before it takes effect; refused, nothing changed.
    ///
    /// # Errors
    /// [`Refusal::Act`], or [`Refusal::NotReady`] if it can't be put on the record.
    pub fn act(&self, caller: &PartyId, note: &str, document: &str) -> Result<Taken, Refusal> {
        let authorities = self.governance.authorities();
        let signed = Act::open(note, authorities).map_err(ActRefusal::from)?;
        let governed = self.governance.current();
        self.check(&signed, caller, &governed)?;
        let papers = Papers {
            authorities,
            governed: &governed,
            store: &self.store,
            now: self.clock.now(),
        };
        let kept = papers.check(&signed, document)?;
        let mut inner = self.inner();
        let text = signed.act.to_text();
        if let Some(at) = inner.seen.get(&text_sha256(&text))
            && let Some(At { origin, index }) = inner.acts.get(*at).cloned()
        {
            return Err(ActRefusal::Replayed { origin, index }.into());
        }
        let mut life = inner.life.clone();
        let kind = life.act(&signed.act, signed.by).map_err(ActRefusal::from)?;
        if kind == Kind::Activated && self.store.find(&signed.act.sha256).is_none() {
            return Err(ActRefusal::Lost.into());
        }
        if let Some(document) = kept {
            let put = self.store.put(&signed.act.sha256, &document);
            put.map_err(|error| {
                tracing::error!(%error, "can't keep a proposed document");
                Refusal::NotReady("it can't keep the document")
            })?;
        }
        let entry = entry(kind, &signed, caller);
        let standing = Arc::clone(life.standing());
        let committed = self.governance.stand(&self.ledger, entry, standing)?;
        let at = At {
            origin: committed.origin.to_string(),
            index: committed.index,
        };
        let before = std::mem::replace(&mut inner.life, life);
        inner.remember(&text, at.clone());
        self.took_effect(&mut inner, &before, kind, &at);
        let (by, target) = (&entry_party(caller), signed.act.target);
        tracing::info!(by, ?kind, ?target, index = at.index, "an authority acted");
        let At { origin, index } = at;
        Ok(Taken {
            kind,
            origin,
            index,
        })
    }

    /// Who made it, for whom, when, and about what.
    fn check(
        &self,
        signed: &SignedAct,
        caller: &PartyId,
        governed: &Governed,
    ) -> Result<(), ActRefusal> {
        let signer = self.governance.authorities().key(signed.by).name();
        if signer != caller.org().as_str() {
            return Err(ActRefusal::OtherSigner {
                signer: signer.to_owned(),
                caller: caller.org().to_string(),
            });
        }
        let act = &signed.act;
        let own = self.ledger.key().name();
        if act.log != own {
            return Err(ActRefusal::OtherLog {
                named: act.log.clone(),
                own: own.to_owned(),
            });
        }
        let (made, now) = (act.time, self.clock.now());
        if now.duration_since(made).abs() > ACT_AGE_MAX {
            return Err(ActRefusal::Stale { made, now });
        }
        checks::subject(act, governed)
    }

    /// What follows from an act that is on the record. It holds whatever fails here: a start makes
    /// all of it anew from the ledger.
    fn took_effect(&self, inner: &mut Inner, before: &Life, kind: Kind, at: &At) {
        if kind == Kind::Activated {
            let authorities = self.governance.authorities();
            let activated = activated(&inner.life, &self.store, authorities);
            self.governance.activate(activated);
        }
        let activated = |sha256: &[u8; 32]| {
            let mut activated = inner.life.activated().iter();
            activated.any(|one| one.sha256 == *sha256)
        };
        for gone in before.proposals() {
            let sha256 = &gone.sha256;
            if inner.life.proposal(sha256).is_none() && !activated(sha256) {
                self.store.remove(sha256);
            }
        }
        self.write(inner, at);
    }

    fn write(&self, inner: &mut Inner, through: &At) {
        match self.file.write(through, &inner.acts) {
            Ok(()) => inner.written = Some(through.origin.clone()),
            Err(error) => tracing::error!(%error, "can't write down where the acts lie"),
        }
    }

    /// Notes once in each month, and at the start, that there is no further act so far: a start then
    /// reads no older month for them.
    pub fn note_month(&self) {
        let mut inner = self.inner();
        let origin = self.ledger.origin();
        if inner.written.as_ref() == Some(&origin) {
            return;
        }
        // Acts are made under the same lock, so what is there now holds all of them.
        if let Ok(size) = self.ledger.size_of(Some(&origin))
            && let Some(index) = size.checked_sub(1)
        {
            self.write(&mut inner, &At { origin, index });
        }
    }

    /// The acts after the first `skip`, and where the agreement stands.
    ///
    /// # Errors
    /// If the ledger can't be read.
    pub fn past(&self, skip: usize) -> Result<Past, LedgerError> {
        let (places, total, proposals) = {
            let inner = self.inner();
            let places = inner.acts.iter().skip(skip).take(PAST_MAX);
            let places: Vec<At> = places.cloned().collect();
            let proposals = inner.life.proposals().to_vec();
            (places, inner.acts.len(), proposals)
        };
        let mut acts = Vec::with_capacity(places.len());
        for at in &places {
            acts.extend(read_act(&self.ledger, at)?);
        }
        let now = self.clock.now();
        let waiting = self.governance.activated();
        let waiting = waiting
            .iter()
            .filter(|one| one.document().term().effective_at() > now)
            .cloned()
            .collect();
        Ok(Past {
            acts,
            total,
            proposals,
            waiting,
        })
    }

    /// A document by the digest of its text, with the signatures so far.
    #[must_use]
    pub fn document(&self, sha256: &[u8; 32]) -> Option<String> {
        let governed = self.governance.current();
        if checks::text_digest(governed.signed()) == *sha256 {
            return Some(governed.signed().note().to_owned());
        }
        self.store.find(sha256).map(|note| note.to_string())
    }
}

fn entry_party(caller: &PartyId) -> String {
    caller.to_string()
}

fn entry(kind: Kind, signed: &SignedAct, caller: &PartyId) -> v1::AgreementAct {
    let act = &signed.act;
    v1::AgreementAct {
        kind: kind as i32,
        party: entry_party(caller),
        agreement: act.agreement.clone(),
        agreement_version: act.version,
        sha256: act.sha256.to_vec(),
        target: act
            .target
            .as_ref()
            .map_or_else(String::new, ToString::to_string),
        detail: act.reason.clone(),
        note: signed.note.clone(),
    }
}

#[cfg(test)]
mod tests;
