//! The register of parties: all its mistakes, or parties, keys and clients that have none.

#![no_main]

use std::collections::HashSet;

use accord_proto::{parties::Parties, party::Role};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &str| {
    let Ok(parties) = Parties::check(data) else {
        return;
    };
    let (mut ids, mut clients) = (HashSet::new(), HashSet::new());
    for party in &parties {
        assert!(ids.insert(&party.id), "a party stands twice");
        let bank = party.id.role() == Role::Bank;
        assert!(
            bank || party.clients.is_empty(),
            "an operator has applications"
        );
        let kids: HashSet<_> = party.keys.iter().map(|key| key.kid()).collect();
        assert_eq!(kids.len(), party.keys.len(), "a kid stands twice");
        for client in &party.clients {
            assert!(clients.insert(&client.id), "a client stands twice");
            assert!(!client.scopes.is_empty() && !client.purposes.is_empty());
            for (stated, purpose) in &client.purposes {
                assert_eq!(
                    client.purpose(stated),
                    Some(*purpose),
                    "{stated} is two purposes"
                );
            }
            for kid in &client.keys {
                assert!(kids.contains(kid.as_str()) && client.may_sign_with(kid));
            }
        }
    }
});
