//! What is in force at one moment: documents, routes, and what the authorities suspended.

use std::{collections::BTreeMap, sync::Arc};

use accord_proto::{
    agreement::{CompiledAgreement, NotInForce, SignedAgreement, Standing, Suspension},
    document::Authority,
    parties::Parties,
    party::{OrgName, PartyId, Role},
    signal::Signal,
};
use jiff::Timestamp;

use crate::{path::Refusal, routing::RouteTable};

/// What is in force at one moment.
#[derive(Debug)]
pub struct Governed {
    pub(super) agreement: Arc<SignedAgreement>,
    pub(super) parties: Arc<Parties>,
    pub(super) routes: Arc<RouteTable>,
    pub(super) operators: Arc<BTreeMap<OrgName, PartyId>>,
    pub(super) generation: u64,
    /// The agreement is not on the record as one in force: whatever its term, it allows nothing.
    pub(super) waits: bool,
    /// What the authorities suspended or ended.
    pub(super) standing: Arc<Standing>,
}

impl Governed {
    /// With the generation of a broker that starts.
    pub(super) fn new(
        agreement: Arc<SignedAgreement>,
        parties: Arc<Parties>,
        routes: Arc<RouteTable>,
        waits: bool,
        standing: Arc<Standing>,
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
            operators: Arc::new(operators),
            generation: 1,
            waits,
            standing,
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

    /// The list of parties.
    #[must_use]
    pub fn parties(&self) -> &Parties {
        &self.parties
    }

    /// Numbers to operators.
    #[must_use]
    pub fn routes(&self) -> &RouteTable {
        &self.routes
    }

    /// What the authorities suspended or ended.
    #[must_use]
    pub fn standing(&self) -> &Standing {
        &self.standing
    }

    /// Whether the agreement is one that never was in force here, and is not.
    #[must_use]
    pub const fn waits(&self) -> bool {
        self.waits
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

    /// Whether the agreement is in force (rule R05): within its term, not ended, not suspended as a
    /// whole.
    ///
    /// # Errors
    /// [`Refusal::NoAgreement`] or [`Refusal::Suspended`].
    pub fn check_in_force(&self, now: Timestamp) -> Result<(), Refusal> {
        let document = self.agreement.document();
        if let Some(ended) = self.standing.ended(document.version()) {
            let ended = format!("both authorities ended it on {}", ended.at);
            return Err(Refusal::NoAgreement(ended));
        }
        if let Some(suspension) = self.standing.all() {
            let what = format!("the agreement {}", document.id());
            return Err(Refusal::Suspended(self.words(&what, suspension, true)));
        }
        let term = self.agreement.document().term();
        let effective = term.effective();
        let state = match term.check_in_force(now) {
            Ok(()) if self.waits => NotInForce::NotYet { effective },
            Ok(()) => return Ok(()),
            Err(state) => state,
        };
        Err(Refusal::NoAgreement(state.to_string()))
    }

    /// Whether an authority suspended a bank.
    ///
    /// # Errors
    /// [`Refusal::Suspended`].
    pub fn check_bank(&self, bank: &OrgName) -> Result<(), Refusal> {
        match self.standing.bank(bank) {
            Some(suspension) => Err(Refusal::Suspended(self.words(
                "this bank",
                suspension,
                true,
            ))),
            None => Ok(()),
        }
    }

    /// Why an operator's signal is not told, where an authority suspended either. The reason is for
    /// the operator, not for the bank.
    #[must_use]
    pub fn stopped(&self, operator: &OrgName, signal: Signal) -> Option<String> {
        if let Some(suspension) = self.standing.operator(operator) {
            return Some(self.words("this operator", suspension, false));
        }
        let suspension = self.standing.signal(signal)?;
        Some(self.words(signal.name(), suspension, false))
    }

    /// The organisations that suspended something.
    #[must_use]
    pub fn suspended_by(&self, suspension: &Suspension) -> Vec<String> {
        let other = suspension.by_both.then(|| suspension.by.other());
        let authorities = std::iter::once(suspension.by).chain(other);
        authorities.map(|one| self.name_of(one)).collect()
    }

    /// The organisation of an authority.
    #[must_use]
    pub fn name_of(&self, authority: Authority) -> String {
        let document = self.agreement.document();
        let party = match authority {
            Authority::TelecomRegulator => document.telecom_regulator(),
            Authority::CentralBank => document.central_bank(),
        };
        party.org().to_string()
    }

    fn words(&self, what: &str, suspension: &Suspension, why: bool) -> String {
        let by = self.suspended_by(suspension).join(" and ");
        let since = suspension.since;
        let reason = match why {
            true => format!(": {}", suspension.reason),
            false => String::new(),
        };
        format!("{what} is suspended by {by} since {since}{reason}")
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

    /// The party that an operator is in the list of parties.
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

    /// The same documents, with something else suspended.
    pub(super) fn with_standing(&self, standing: Arc<Standing>) -> Self {
        Self {
            agreement: Arc::clone(&self.agreement),
            parties: Arc::clone(&self.parties),
            routes: Arc::clone(&self.routes),
            operators: Arc::clone(&self.operators),
            generation: self.generation + 1,
            waits: self.waits,
            standing,
        }
    }
}
