//! Whether an act fits the documents that it is about.

use accord_proto::{
    agreement::{
        Act, AgreementDocument, NotInForce, NotNow, ProposedAgreement, Scope, SignedAct,
        SignedAgreement, Target, Verb,
    },
    c2sp::SignedNote,
    document::{Authorities, Authority, text_sha256},
    party::Role,
};
use jiff::Timestamp;

use super::{ActRefusal, Governed, life::DOCUMENT_WIRE_BYTES_MAX, store::DocumentStore};

/// What the documents of an act are held against.
pub(super) struct Papers<'a> {
    pub(super) authorities: &'a Authorities,
    pub(super) governed: &'a Governed,
    pub(super) store: &'a DocumentStore,
    pub(super) now: Timestamp,
}

/// SHA-256 of an agreement's text, without its signatures.
pub(super) fn text_digest(agreement: &SignedAgreement) -> [u8; 32] {
    let note = SignedNote::parse(agreement.note());
    note.map_or([0; 32], |note| text_sha256(note.text()))
}

/// Whether what an act is done to is there: the agreement that governs, and the target.
pub(super) fn subject(act: &Act, governed: &Governed) -> Result<(), ActRefusal> {
    match act.verb {
        Verb::Propose | Verb::Sign | Verb::Activate => return Ok(()),
        Verb::End if governed.waits() => return Err(ActRefusal::NoAgreement("end")),
        Verb::End | Verb::Suspend | Verb::Lift => {}
    }
    let document = governed.signed().document();
    let own = (document.id(), document.version());
    if own != (act.agreement.as_str(), act.version) || act.sha256 != text_digest(governed.signed())
    {
        return Err(ActRefusal::OtherAgreement {
            named: format!("{} version {}", act.agreement, act.version),
            governs: format!("{} version {}", own.0, own.1),
        });
    }
    match &act.target {
        // What is suspended can be lifted, whoever has left the list of parties meanwhile.
        Some(target) if act.verb == Verb::Suspend && !is_known(target, governed) => {
            Err(ActRefusal::UnknownTarget(target.clone()))
        }
        Some(_) | None => Ok(()),
    }
}

fn is_known(target: &Target, governed: &Governed) -> bool {
    let (role, name) = match target {
        Target::All | Target::Signal(_) => return true,
        Target::Bank(bank) => (Role::Bank, bank),
        Target::Operator(operator) => (Role::Operator, operator),
    };
    let registered = governed.parties().all().iter();
    let mut registered = registered.map(|party| &party.id);
    let clauses = governed.signed().document().clauses();
    registered.any(|id| (id.role(), id.org()) == (role, name))
        || clauses.iter().any(|clause| {
            let scope: &Scope = match role {
                Role::Bank => &clause.banks,
                Role::Operator | Role::Authority | Role::Broker => &clause.operators,
            };
            scope.named().contains(name)
        })
}

impl Papers<'_> {
    /// Checks the document of an act; gives the note to keep where there is one.
    pub(super) fn check(
        &self,
        signed: &SignedAct,
        document: &str,
    ) -> Result<Option<String>, ActRefusal> {
        if document.len() > DOCUMENT_WIRE_BYTES_MAX {
            return Err(ActRefusal::TooLong);
        }
        match (signed.act.verb, document.is_empty()) {
            (Verb::Propose | Verb::Sign, true) => Err(ActRefusal::DocumentField(
                "this act comes with the signed document",
            )),
            (Verb::Propose, false) => self.propose(signed, document).map(Some),
            (Verb::Sign, false) => self.sign(signed, document).map(Some),
            (Verb::Activate, true) => self.activate(&signed.act).map(|()| None),
            (Verb::Suspend | Verb::Lift | Verb::End, true) => Ok(None),
            (_, false) => Err(ActRefusal::DocumentField("this act comes without one")),
        }
    }

    /// The document with its author's signature and no other.
    fn propose(&self, signed: &SignedAct, document: &str) -> Result<String, ActRefusal> {
        let proposed = self.open(signed, document)?;
        self.may_come(&proposed.document)?;
        let mut note = SignedNote::unsigned(proposed.text.as_str()).map_err(words)?;
        self.add(&mut note, document, signed.by)?;
        Ok(note.to_string())
    }

    /// The document with both signatures.
    fn sign(&self, signed: &SignedAct, document: &str) -> Result<String, ActRefusal> {
        self.open(signed, document)?;
        let kept = self.store.find(&signed.act.sha256);
        let mut note = kept.ok_or(ActRefusal::NotNow(NotNow::NotProposed))?;
        self.add(&mut note, document, signed.by)?;
        Ok(note.to_string())
    }

    fn activate(&self, act: &Act) -> Result<(), ActRefusal> {
        let Some(note) = self.store.find(&act.sha256) else {
            // Whether it was proposed at all, the state says.
            return Ok(());
        };
        match SignedAgreement::open(&note.to_string(), self.authorities, None) {
            Ok(agreement) => self.may_come(agreement.document()),
            // Whose signature is missing, the state says.
            Err(_) => Ok(()),
        }
    }

    /// The document that an act names, signed by whoever acts.
    fn open(&self, signed: &SignedAct, document: &str) -> Result<ProposedAgreement, ActRefusal> {
        let proposed = ProposedAgreement::open(document, self.authorities).map_err(words)?;
        if !proposed.signers.contains(&signed.by) {
            let name = self.authorities.key(signed.by).name();
            return Err(ActRefusal::Document(format!(
                "the document is not signed by `{name}`, which acts"
            )));
        }
        let act = &signed.act;
        let found = (proposed.document.id(), proposed.document.version());
        if text_sha256(&proposed.text) != act.sha256
            || found != (act.agreement.as_str(), act.version)
        {
            return Err(ActRefusal::DocumentField(
                "it is not the one that the act names",
            ));
        }
        Ok(proposed)
    }

    /// Whether a document could take effect now or later.
    fn may_come(&self, document: &AgreementDocument) -> Result<(), ActRefusal> {
        if let Err(over @ NotInForce::Expired { .. }) = document.term().check_in_force(self.now) {
            return Err(ActRefusal::Over(over));
        }
        let (version, last) = (
            document.version(),
            self.governed.signed().document().version(),
        );
        if !self.governed.waits() && version <= last {
            return Err(NotNow::NotNewer { version, last }.into());
        }
        Ok(())
    }

    fn add(&self, note: &mut SignedNote, document: &str, by: Authority) -> Result<(), ActRefusal> {
        let key = self.authorities.key(by);
        let document = SignedNote::parse(document).map_err(words)?;
        let mut signatures = document.signatures().iter();
        let own = signatures.find(|one| (one.name(), one.key_id()) == (key.name(), key.key_id()));
        match own {
            Some(signature) => note.add_signature(signature.clone()).map_err(words),
            None => Err(ActRefusal::Document(format!(
                "the document is not signed by `{}`, which acts",
                key.name()
            ))),
        }
    }
}

fn words(error: impl std::fmt::Display) -> ActRefusal {
    ActRefusal::Document(error.to_string())
}
