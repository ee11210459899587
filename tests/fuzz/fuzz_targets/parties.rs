//! The list of parties: all its mistakes, or parties, keys, ranges and clients that have none. Each
//! seed but `two` breaks one rule (a test of `accord-proto` says so), so that the target fails on it at
//! once where that rule goes missing.

#![no_main]

use std::collections::HashSet;

use accord_proto::{
    parties::{Parties, Party, TokenKey},
    party::Role,
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &str| {
    let Ok(parties) = Parties::check(data) else {
        return;
    };
    // What belongs to one party alone.
    let (mut ids, mut domains, mut kids) = (HashSet::new(), HashSet::new(), HashSet::new());
    let (mut ranges, mut clients) = (HashSet::new(), HashSet::new());
    for party in &parties {
        assert!(ids.insert(&party.id), "a party stands twice");
        domains.insert(party.id.trust_domain());
        for key in &party.keys {
            assert!(kids.insert(key.kid()), "a kid stands twice");
            hold_key(key);
        }
        for range in &party.ranges {
            assert!(ranges.insert(range.as_str()), "a range is served twice");
            let digits = range.as_str().strip_prefix('+').expect("it has its sign");
            assert!((1..=15).contains(&digits.len()) && !digits.starts_with('0'));
        }
        for client in &party.clients {
            assert!(clients.insert(&client.id), "a client stands twice");
        }
        hold(party);
    }
    assert!(domains.len() <= 1, "there are two trust domains");
});

fn hold(party: &Party) {
    match party.id.role() {
        Role::Bank => {
            assert!(party.ranges.is_empty(), "a bank serves numbers");
            assert!(!party.keys.is_empty(), "a bank signs no tokens");
        }
        Role::Operator => assert!(party.clients.is_empty(), "an operator has applications"),
        Role::Authority | Role::Broker => panic!("who is not licensed stands there"),
    }
    assert!((1..=200).contains(&party.name.chars().count()));
    let until = party.licence.until;
    assert!(
        until.is_none_or(|until| party.licence.from < until),
        "a licence ends first"
    );
    for client in &party.clients {
        assert!(!client.scopes.is_empty() && !client.purposes.is_empty());
        for (stated, purpose) in &client.purposes {
            assert_eq!(
                client.purpose(stated),
                Some(*purpose),
                "{stated} is two purposes"
            );
        }
        for kid in &client.keys {
            assert!(
                party.key(kid).is_some() && client.may_sign_with(kid),
                "it has no such key"
            );
        }
        let some = party.keys.iter().any(|key| client.may_sign_with(key.kid()));
        assert!(some, "it can sign with no key");
    }
}

fn hold_key(key: &TokenKey) {
    assert!((1..=TokenKey::KID_LEN_MAX).contains(&key.kid().len()));
    let named = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    assert!(key.kid().bytes().all(named), "a kid has odd characters");
    // RFC 8410 and RFC 5480: what is kept is the key that stands there, and a public one.
    assert!(key.spki_der().ends_with(key.bytes()) && key.spki_der().first() == Some(&0x30));
    assert!([32, 65].contains(&key.bytes().len()) && !key.pem().contains("PRIVATE"));
}
