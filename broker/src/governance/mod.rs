//! Agreement, parties and routes in force, and how they are replaced while the broker runs.

mod documents;
mod kept;
mod reload;

use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

use accord_proto::{
    agreement::{CompiledAgreement, NotInForce, SignedAgreement},
    document::{Authorities, Loaded},
    msisdn::Msisdn,
    parties::{Parties, TokenKey},
    party::{OrgName, PartyId, Role},
};
use arc_swap::ArcSwap;
use jiff::Timestamp;

pub use documents::{DocumentError, read_agreement, read_parties, read_ported};
pub use kept::{Governing, KeptAgreement};
pub use reload::{Reloader, Seen};

use crate::{identity::KeyDirectory, path::Refusal, routing::RouteTable};

/// Where the signed documents lie.
#[derive(Clone, Debug)]
pub struct DocumentFiles {
    /// The agreement, a signed note.
    pub agreement: PathBuf,
    /// The register of parties, a signed note.
    pub parties: PathBuf,
    /// Ported numbers, `number,operator` on each line; optional.
    pub ported: Option<PathBuf>,
}

/// The newest documents that the ledger knows of; no older one comes into force again.
#[derive(Clone, Copy, Debug, Default)]
pub struct LastLoaded {
    /// Of the agreement.
    pub agreement: Option<Loaded>,
    /// Of the register.
    pub parties: Option<Loaded>,
}

/// What is in force at one moment.
#[derive(Debug)]
pub struct Governed {
    agreement: Arc<SignedAgreement>,
    parties: Arc<Parties>,
    routes: RouteTable,
    operators: BTreeMap<OrgName, PartyId>,
    generation: u64,
    /// The agreement is not on the record as one in force: whatever its term, it allows nothing.
    waits: bool,
}

/// What is in force now.
#[derive(Debug)]
pub struct Governance {
    current: ArcSwap<Governed>,
    authorities: Authorities,
    /// The newest agreement that was in force before the start.
    recalled: Option<Loaded>,
}

impl Governance {
    /// Puts the documents in force. `recalled` is the newest agreement that was before.
    #[must_use]
    pub fn new(
        authorities: Authorities,
        governing: Governing,
        parties: Parties,
        ported: &[(Msisdn, OrgName)],
        recalled: Option<Loaded>,
    ) -> Self {
        let routes = routes(&parties, ported);
        let Governing { agreement, waits } = governing;
        let (agreement, parties) = (Arc::new(agreement), Arc::new(parties));
        let governed = Governed::new(agreement, parties, routes, 1, waits);
        Self {
            current: ArcSwap::from_pointee(governed),
            authorities,
            recalled,
        }
    }

    /// The newest agreement that was ever in force: none that is older comes into force again.
    fn floor(&self, current: &Governed) -> Option<Loaded> {
        if current.waits {
            self.recalled
        } else {
            Some(current.agreement.loaded())
        }
    }

    /// What is in force now.
    #[must_use]
    pub fn current(&self) -> Arc<Governed> {
        self.current.load_full()
    }

    /// The authorities' keys.
    #[must_use]
    pub const fn authorities(&self) -> &Authorities {
        &self.authorities
    }

    fn replace(&self, governed: Governed) {
        self.current.store(Arc::new(governed));
    }
}

/// Token keys come from the register, and only while their party is licensed.
impl KeyDirectory for Governance {
    fn generation(&self) -> u64 {
        self.current.load().generation
    }

    fn key(&self, party: &PartyId, kid: &str) -> Option<TokenKey> {
        self.current.load().parties.party(party)?.key(kid).cloned()
    }
}

impl Governed {
    fn new(
        agreement: Arc<SignedAgreement>,
        parties: Arc<Parties>,
        routes: RouteTable,
        generation: u64,
        waits: bool,
    ) -> Self {
        let operators = parties
            .all()
            .iter()
            .filter(|party| party.id.role() == Role::Operator)
            .map(|party| (party.id.org().clone(), party.id.clone()))
            .collect();
        Self {
            agreement,
            parties,
            routes,
            operators,
            generation,
            waits,
        }
    }

    /// The agreement, ready to decide.
    #[must_use]
    pub fn agreement(&self) -> &CompiledAgreement {
        self.agreement.agreement()
    }

    /// The agreement as it was signed.
    #[must_use]
    pub fn signed(&self) -> &SignedAgreement {
        &self.agreement
    }

    /// The register of parties.
    #[must_use]
    pub fn parties(&self) -> &Parties {
        &self.parties
    }

    /// Numbers to operators.
    #[must_use]
    pub const fn routes(&self) -> &RouteTable {
        &self.routes
    }

    /// Counts up with each change.
    #[must_use]
    pub const fn generation(&self) -> u64 {
        self.generation
    }

    /// Id and version of the agreement, as they stand in each entry.
    #[must_use]
    pub fn agreement_name(&self) -> (String, u64) {
        let document = self.agreement.document();
        (document.id().to_owned(), document.version())
    }

    /// Whether the agreement is in force (rule R05).
    ///
    /// # Errors
    /// [`Refusal::NoAgreement`].
    pub fn check_in_force(&self, now: Timestamp) -> Result<(), Refusal> {
        let term = self.agreement.document().term();
        let effective = term.effective();
        let state = match term.check_in_force(now) {
            Ok(()) if self.waits => NotInForce::NotYet { effective },
            Ok(()) => return Ok(()),
            Err(state) => state,
        };
        Err(Refusal::NoAgreement(state.to_string()))
    }

    /// Whether a party is registered and licensed (rules R01 and R02). Authorities need no licence:
    /// they are the ones that the agreement names.
    ///
    /// # Errors
    /// [`Refusal::PartyUnknown`] or [`Refusal::Licence`].
    pub fn check_licence(&self, party: &PartyId, now: Timestamp) -> Result<(), Refusal> {
        match party.role() {
            Role::Authority => {
                let document = self.agreement.document();
                let named = [document.telecom_regulator(), document.central_bank()];
                if named.contains(&party) {
                    Ok(())
                } else {
                    Err(Refusal::PartyUnknown)
                }
            }
            Role::Bank | Role::Operator => self
                .parties
                .party(party)
                .ok_or(Refusal::PartyUnknown)?
                .licence_in_force(now)
                .map_err(|state| Refusal::Licence(state.to_string())),
            Role::Broker => Err(Refusal::PartyUnknown),
        }
    }

    /// The party that an operator is in the register.
    #[must_use]
    pub fn operator(&self, operator: &OrgName) -> Option<&PartyId> {
        self.operators.get(operator)
    }

    /// Whether an operator is licensed to answer (rule R02).
    #[must_use]
    pub fn operator_licensed(&self, operator: &OrgName, now: Timestamp) -> bool {
        self.operator(operator)
            .is_some_and(|id| self.check_licence(id, now).is_ok())
    }
}

/// Numbers to operators: the ranges of the register, and the ported numbers.
fn routes(parties: &Parties, ported: &[(Msisdn, OrgName)]) -> RouteTable {
    let mut routes = RouteTable::new();
    for (range, party) in parties.ranges() {
        routes.add_prefix(range.as_str(), party.id.org());
    }
    for (msisdn, operator) in ported {
        routes.add_ported(msisdn, operator);
    }
    routes
}
