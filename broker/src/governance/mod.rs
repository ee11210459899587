//! Agreement, parties and routes in force, and how they are replaced while the broker runs.

mod act_refusal;
mod checks;
mod choose;
mod documents;
mod governed;
mod granted;
mod kept;

mod life;
mod load;
mod recalled;
mod recorded;
mod reload;
mod store;

use std::{
    path::PathBuf,
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard},
};

use accord_proto::{
    agreement::Standing,
    camara::ClientId,
    document::{Authorities, Loaded},
    msisdn::Msisdn,
    parties::{Parties, TokenKey},
    party::{OrgName, PartyId},
    v1,
};
use arc_swap::ArcSwap;

pub(crate) use act_refusal::ActFault;
pub use act_refusal::ActRefusal;
pub use documents::{DocumentError, read_agreement, read_parties, read_ported};
pub use governed::Governed;
pub use granted::NotGranted;
pub use kept::{Governing, KeptAgreement};
pub use life::{AgreementLife, DOCUMENT_WIRE_BYTES_MAX, Past, Taken};
pub use recalled::RecalledLife;
pub use recorded::{At, LifeError, RecordedAct};
pub use reload::{Reloader, Seen};

use self::choose::Candidates;
use crate::{
    entry::encode,
    identity::{KeyDirectory, Registered},
    ledger::{Committed, Ledger, LedgerError},
    routing::RouteTable,
};

/// Where the signed documents lie.
#[derive(Clone, Debug)]
pub struct DocumentFiles {
    /// The agreement, a signed note.
    pub agreement: PathBuf,
    /// The list of parties, a signed note.
    pub parties: PathBuf,
    /// Ported numbers, `number,operator` on each line; optional.
    pub ported: Option<PathBuf>,
}

/// The newest documents that the ledger knows of; no older one comes into force again.
#[derive(Clone, Copy, Debug, Default)]
pub struct LastLoaded {
    /// Of the agreement.
    pub agreement: Option<Loaded>,
    /// Of the list of parties.
    pub parties: Option<Loaded>,
}

/// What is in force now.
#[derive(Debug)]
pub struct Governance {
    current: ArcSwap<Governed>,
    authorities: Authorities,
    /// The newest agreement that was in force before the start.
    recalled: Option<Loaded>,
    /// What the authorities activated; the newest of them may wait for their day.
    activated: ArcSwap<Candidates>,
    /// Held while something is told under what is in force, and alone while that changes: so on the
    /// record no answer stands behind what forbids it.
    turn: RwLock<()>,
}

/// While this lives, what is in force stays so.
#[derive(Debug)]
pub struct Held<'a>(#[expect(dead_code, reason = "it is held, not read")] RwLockReadGuard<'a, ()>);

impl Governance {
    /// Puts the documents in force. `recalled` is the newest agreement that was before, `life` what
    /// the authorities have done since.
    #[must_use]
    pub fn new(
        authorities: Authorities,
        governing: Governing,
        parties: Parties,
        ported: &[(Msisdn, OrgName)],
        recalled: Option<Loaded>,
        life: &RecalledLife,
    ) -> Self {
        let routes = Arc::new(routes(&parties, ported));
        let Governing { agreement, waits } = governing;
        let standing = Arc::clone(life.standing());
        let governed = Governed::new(agreement, Arc::new(parties), routes, waits, standing);
        Self {
            current: ArcSwap::from_pointee(governed),
            authorities,
            recalled,
            activated: ArcSwap::from_pointee(life.activated().to_vec()),
            turn: RwLock::default(),
        }
    }

    /// What the authorities activated, oldest version first.
    fn activated(&self) -> Arc<Candidates> {
        self.activated.load_full()
    }

    /// The authorities activated one more; the reloader looks whether its day has come.
    fn activate(&self, activated: Candidates) {
        self.activated.store(Arc::new(activated));
    }

    /// Keeps what is in force as it is for a moment: do not wait for anything meanwhile.
    #[must_use]
    pub fn held(&self) -> Held<'_> {
        Held(self.turn.read().unwrap_or_else(PoisonError::into_inner))
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

    /// Replaces the documents, once that is on the record. Nothing else is recorded in between, so
    /// this blocks whoever answers for as long as the disk takes.
    fn replace(
        &self,
        ledger: &Ledger,
        records: Vec<v1::entry::Event>,
        governed: Governed,
    ) -> Result<(), LedgerError> {
        let _alone = self.turn.write().unwrap_or_else(PoisonError::into_inner);
        for record in records {
            ledger.append_blocking(encode(record)?)?;
        }
        let current = self.current.load();
        self.current.store(Arc::new(Governed {
            generation: current.generation + 1,
            standing: Arc::clone(&current.standing),
            ..governed
        }));
        Ok(())
    }

    /// Lets an act of an authority take effect, once it is on the record; as [`Self::replace`].
    fn stand(
        &self,
        ledger: &Ledger,
        act: v1::AgreementAct,
        standing: Arc<Standing>,
    ) -> Result<Committed, LedgerError> {
        let _alone = self.turn.write().unwrap_or_else(PoisonError::into_inner);
        let act = encode(v1::entry::Event::AgreementAct(act))?;
        let committed = ledger.append_blocking(act)?;
        let current = self.current.load();
        if current.standing != standing {
            self.current
                .store(Arc::new(current.with_standing(standing)));
        }
        Ok(committed)
    }
}

/// Token keys come from the list of parties, and only while their party is licensed.
impl KeyDirectory for Governance {
    fn generation(&self) -> u64 {
        self.current.load().generation
    }

    fn key(&self, party: &PartyId, kid: &str) -> Option<TokenKey> {
        self.current.load().parties.party(party)?.key(kid).cloned()
    }

    fn client(&self, id: &ClientId) -> Option<Registered> {
        let current = self.current.load();
        let (party, client) = current.parties.client(id)?;
        Some(Registered {
            party: party.id.clone(),
            client: client.clone(),
        })
    }
}

/// Numbers to operators: the ranges of the list of parties, and the ported numbers.
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
