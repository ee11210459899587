//! Who reads entries, what it states, and what it may see.

use accord_proto::{
    party::{PartyId, Role},
    statement::{Statement, missing},
    v1::ReadStatement,
    wire::FieldError,
};
use jiff::{Timestamp, tz::TimeZone};

use super::AuditDoor;
use crate::{identity::Peer, path::Refusal, remit::Sight};

/// Who reads entries.
#[derive(Debug)]
pub(super) struct Reader {
    pub(super) party: PartyId,
    /// What it reads for: it goes on the record with the read.
    pub(super) statement: Statement,
    /// What it may see.
    pub(super) sight: Sight,
}

impl AuditDoor {
    /// Who calls. Every registered party may; what it sees is another matter.
    pub(super) fn caller(&self, peer: &Peer) -> Result<PartyId, Refusal> {
        let parts = &self.parts;
        let now = parts.clock.now();
        let party = peer.check(&parts.trust, now)?;
        parts.governance.current().check_licence(party, now)?;
        parts
            .rates
            .party(party.org())
            .map_err(|retry_after| Refusal::RateLimited { retry_after })?;
        Ok(party.clone())
    }

    /// Who reads entries: nobody does without stating what for (rule R37), and each within its
    /// remit (rule R36).
    pub(super) fn reader(
        &self,
        peer: &Peer,
        statement: Option<&ReadStatement>,
    ) -> Result<Reader, Refusal> {
        let party = self.caller(peer)?;
        let parts = &self.parts;
        let statement = Statement::parse(statement.ok_or_else(missing)?, day(parts.clock.now()))?;
        let joint =
            statement.is_joint(parts.governance.authorities(), parts.ledger.key().name())?;
        if joint && party.role() != Role::Authority {
            let rule = "only the authorities read with a joint statement";
            return Err(FieldError::new("statement.joint", rule).into());
        }
        let sight = Sight::of(&party, &parts.governance.current(), joint);
        Ok(Reader {
            party,
            statement,
            sight,
        })
    }
}

/// The day of an instant, UTC.
pub(super) fn day(at: Timestamp) -> jiff::civil::Date {
    at.to_zoned(TimeZone::UTC).date()
}
