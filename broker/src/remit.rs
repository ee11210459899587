//! Which entries a party may read (rule R36): a bank and an operator those that name them, the
//! central bank the banks' side, the telecom regulator the operators' side, and both together all.
//!
//! | Entry | Banks' side | Operators' side |
//! |---|---|---|
//! | access | each | each that reached an operator |
//! | refused call, count of refusals, read, export | of a bank | of an operator |
//! | adapter link, source changes | | each |
//! | the same of an authority; log opened, document loaded, operation, anomaly, act of agreement or key | each | each |
//!
//! A report to a subject (`subjects/report.rs`) is no reading within a remit: it holds whole entries,
//! whichever authority makes it, since it is the subject's, who has a right to all of them (rule R45).
//!
//! `proto/accord/v1/audit.proto` says the same to partners.

use accord_proto::{
    party::{PartyId, Role},
    v1::{Entry, entry::Event},
};
use prost::Message as _;

use crate::governance::Governed;

/// What one reader may see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sight {
    /// All: both authorities asked, together.
    All,
    /// The banks' side.
    Banks,
    /// The operators' side.
    Operators,
    /// The entries that name one bank or one operator.
    Own(PartyId),
}

/// On whose side an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sides {
    /// The central bank's.
    pub(crate) banks: bool,
    /// The telecom regulator's.
    pub(crate) operators: bool,
}

const BOTH: Sides = Sides {
    banks: true,
    operators: true,
};

impl Sight {
    /// What a party sees under the agreement that names the authorities. `joint`: with both
    /// authorities' signatures under its statement.
    pub(crate) fn of(party: &PartyId, governed: &Governed, joint: bool) -> Self {
        let agreement = governed.signed().document();
        match party.role() {
            Role::Authority if joint => Self::All,
            Role::Authority if party == agreement.central_bank() => Self::Banks,
            Role::Authority if party == agreement.telecom_regulator() => Self::Operators,
            Role::Authority | Role::Bank | Role::Operator | Role::Broker => {
                Self::Own(party.clone())
            }
        }
    }

    /// Whether an entry may be read. One that does not decode is for both authorities together.
    pub(crate) fn sees(&self, entry: &[u8]) -> bool {
        *self == Self::All
            || Entry::decode(entry)
                .ok()
                .and_then(|entry| entry.event)
                .is_some_and(|event| self.sees_event(&event))
    }

    /// Whether an entry of this event may be read.
    pub(crate) fn sees_event(&self, event: &Event) -> bool {
        match self {
            Self::All => true,
            Self::Banks => sides(event).banks,
            Self::Operators => sides(event).operators,
            Self::Own(party) => names(event, party),
        }
    }
}

/// On whose side an event is.
pub(crate) fn sides(event: &Event) -> Sides {
    match event {
        Event::Access(access) => Sides {
            banks: true,
            operators: !access.operator.is_empty(),
        },
        Event::RefusedCall(refused) => side_of(&refused.party),
        Event::RefusalCount(count) => side_of(&count.party),
        Event::AuditRead(read) => side_of(&read.party),
        Event::Export(export) => side_of(&export.party),
        Event::AdapterLink(_) | Event::SourceChanges(_) => Sides {
            banks: false,
            operators: true,
        },
        Event::LogOpened(_)
        | Event::DocumentLoaded(_)
        | Event::Operation(_)
        | Event::Anomaly(_)
        | Event::AgreementAct(_)
        | Event::KeyAct(_) => BOTH,
    }
}

/// What a bank does is the banks' side, what an operator does the operators'; authorities watch
/// each other.
fn side_of(party: &str) -> Sides {
    match PartyId::parse(party).map(|party| party.role()) {
        Ok(Role::Bank) => Sides {
            banks: true,
            operators: false,
        },
        Ok(Role::Operator) => Sides {
            banks: false,
            operators: true,
        },
        Ok(Role::Authority | Role::Broker) | Err(_) => BOTH,
    }
}

/// Whether an event names a bank or an operator as its own.
fn names(event: &Event, party: &PartyId) -> bool {
    let org = party.org().as_str();
    let is_bank = |bank: &str| party.role() == Role::Bank && bank == org;
    let is_operator = |operator: &str| party.role() == Role::Operator && operator == org;
    let is_party = |id: &str| id == party.to_string();
    match event {
        Event::Access(access) => is_bank(&access.bank) || is_operator(&access.operator),
        Event::RefusedCall(refused) => is_party(&refused.party),
        Event::RefusalCount(count) => is_party(&count.party),
        Event::AuditRead(read) => is_party(&read.party),
        Event::AdapterLink(link) => is_operator(&link.operator),
        Event::SourceChanges(changes) => is_operator(&changes.operator),
        Event::Export(export) => is_party(&export.party),
        Event::LogOpened(_)
        | Event::DocumentLoaded(_)
        | Event::Operation(_)
        | Event::Anomaly(_)
        | Event::AgreementAct(_)
        | Event::KeyAct(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use accord_proto::v1;

    use super::*;

    fn access(operator: &str) -> Event {
        Event::Access(v1::Access {
            bank: "first-bank".to_owned(),
            operator: operator.to_owned(),
            ..v1::Access::default()
        })
    }

    fn refused(role: &str) -> Event {
        Event::RefusedCall(v1::RefusedCall {
            party: format!("spiffe://accord.test/{role}/x"),
            ..v1::RefusedCall::default()
        })
    }

    fn own(role: &str, org: &str) -> Sight {
        let id = format!("spiffe://accord.test/{role}/{org}");
        Sight::Own(PartyId::parse(&id).unwrap())
    }

    #[test]
    fn a_party_reads_its_own_entries_only() {
        let access = access("north-mobile");
        assert!(own("bank", "first-bank").sees_event(&access));
        assert!(own("operator", "north-mobile").sees_event(&access));
        assert!(!own("bank", "second-bank").sees_event(&access));
        assert!(!own("operator", "sud-mobile").sees_event(&access));
    }

    #[test]
    fn a_name_does_not_stand_for_another_role() {
        let access = access("north-mobile");
        assert!(!own("operator", "first-bank").sees_event(&access));
        assert!(!own("bank", "north-mobile").sees_event(&access));
    }

    #[test]
    fn each_authority_reads_its_side_and_what_is_on_both() {
        let link = Event::AdapterLink(v1::AdapterLink::default());
        let changes = Event::SourceChanges(v1::SourceChanges::default());
        let operation = Event::Operation(v1::Operation::default());
        for (event, banks, operators) in [
            (access("north-mobile"), true, true),
            (access(""), true, false),
            (refused("bank"), true, false),
            (refused("operator"), false, true),
            (refused("authority"), true, true),
            (link, false, true),
            (changes, false, true),
            (operation, true, true),
            (Event::Anomaly(v1::Anomaly::default()), true, true),
        ] {
            assert_eq!(Sight::Banks.sees_event(&event), banks, "{event:?}");
            assert_eq!(Sight::Operators.sees_event(&event), operators, "{event:?}");
            assert!(Sight::All.sees_event(&event));
        }
    }

    #[test]
    fn what_does_not_decode_is_for_both_authorities_together() {
        let odd = [0xff; 3];
        assert!(Sight::All.sees(&odd));
        assert!(!Sight::Banks.sees(&odd) && !Sight::Operators.sees(&odd));
    }
}
