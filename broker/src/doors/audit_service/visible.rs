//! Which entries a party may read: authorities all, others those that name them.

use accord_proto::{
    party::{PartyId, Role},
    v1::{Entry, entry::Event},
};
use prost::Message as _;

/// Whether a party may read an entry. One that does not decode is for authorities only.
pub(super) fn visible(entry: &[u8], party: &PartyId) -> bool {
    if party.role() == Role::Authority {
        return true;
    }
    Entry::decode(entry)
        .ok()
        .and_then(|entry| entry.event)
        .is_some_and(|event| names(&event, party))
}

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

    fn access() -> Vec<u8> {
        let access = v1::Access {
            bank: "first-bank".to_owned(),
            operator: "north-mobile".to_owned(),
            ..v1::Access::default()
        };
        Entry {
            event: Some(Event::Access(access)),
            ..Entry::default()
        }
        .encode_to_vec()
    }

    fn sees(role: &str, org: &str) -> bool {
        let id = format!("spiffe://accord.test/{role}/{org}");
        visible(&access(), &PartyId::parse(&id).unwrap())
    }

    #[test]
    fn a_party_reads_its_own_entries_only() {
        assert!(sees("bank", "first-bank"));
        assert!(sees("operator", "north-mobile"));
        assert!(!sees("bank", "second-bank"));
        assert!(!sees("operator", "sud-mobile"));
    }

    #[test]
    fn a_name_does_not_stand_for_another_role() {
        assert!(!sees("operator", "first-bank"));
        assert!(!sees("bank", "north-mobile"));
    }

    #[test]
    fn an_authority_reads_all() {
        assert!(sees("authority", "central-bank"));
    }
}
