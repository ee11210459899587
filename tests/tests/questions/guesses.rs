//! Whether what is published, or what an authority reads, can be guessed back to what it is about.
//! The guesser here knows more than anybody does: every entry but its salt, every answer but its
//! nonce. It still finds nothing, and with the one thing that it lacks it finds the truth at once.

use std::collections::{BTreeMap, BTreeSet};

use accord_client::{Answered, Lookup};
use accord_proto::{
    merkle::{Hash, leaf_hash},
    msisdn::Msisdn,
    purpose::Purpose,
    subject::{Month, TagKey},
    v1::{self, entry::Event, signal_answer::Outcome, value},
};
use aws_lc_rs::digest::{SHA256, digest};
use prost::Message as _;

use crate::said::{Stage, ask, north, now};

/// Numbers among which the guesser looks: all those with a story, and more.
const NUMBERS: u16 = 50;
/// The number that is asked about: its device was changed hours ago.
const ABOUT: u16 = 8;

fn sha256(parts: &[&[u8]]) -> Vec<u8> {
    digest(&SHA256, &parts.concat()).as_ref().to_vec()
}

/// The tag of every number under the month's key, which the guesser even has.
fn tags(stage: &Stage) -> BTreeMap<Vec<u8>, u16> {
    let month = Month::of(now());
    let path = stage.dir.path().join(format!("keys/tag-{month}.key"));
    let key: [u8; TagKey::LEN] = std::fs::read(path).unwrap().try_into().unwrap();
    let key = TagKey::new(month, &key);
    let tag = |digits| {
        let number = Msisdn::parse(&north(digits)).unwrap();
        (key.subject(&number).0.to_vec(), digits)
    };
    (0..NUMBERS).map(tag).collect()
}

/// What one who makes a salt or a nonce badly would make: nothing, zeros, a counter, a text, a hash
/// of what is known.
fn bad_randomness(known: &[&[u8]]) -> Vec<Vec<u8>> {
    let mut guesses = vec![Vec::new(), b"accord".to_vec()];
    for byte in 0..=u8::MAX {
        guesses.push(vec![byte; 32]);
        let mut counter = vec![0; 32];
        counter[31] = byte;
        guesses.push(sha256(&[&counter]));
        guesses.push(counter);
    }
    for part in known {
        guesses.push(part.to_vec());
        guesses.push(sha256(&[part]));
    }
    guesses
}

/// What the guesser makes of an entry that it knows whole: every number, bank and outcome that it
/// could have been about, under each salt.
fn leaves(entry: &v1::Entry, tags: &BTreeMap<Vec<u8>, u16>, salts: &[Vec<u8>]) -> Vec<(Hash, u16)> {
    let Some(Event::Access(access)) = &entry.event else {
        panic!("no access")
    };
    let mut found = Vec::new();
    for (tag, digits) in tags {
        for bank in ["first-bank", "second-bank"] {
            for reason in [v1::Reason::Unspecified, v1::Reason::NotAuthorised] {
                let mut access = access.clone();
                access.subject_tag.clone_from(tag);
                bank.clone_into(&mut access.bank);
                access.signals[0].reason = reason.into();
                for salt in salts {
                    let guess = v1::Entry {
                        salt: salt.clone(),
                        event: Some(Event::Access(access.clone())),
                        time_unix_ms: entry.time_unix_ms,
                    };
                    found.push((leaf_hash(&guess.encode_to_vec()), *digits));
                }
            }
        }
    }
    found
}

/// Every answer that a yes-or-no question can have, in the exact bytes, all else known.
fn answers(answered: &Answered) -> Vec<(Option<bool>, Vec<u8>)> {
    let real = v1::Answer::decode(answered.answer_bytes.clone()).unwrap();
    let with = |outcome: Outcome| {
        let mut answer = real.clone();
        answer.signals[0].outcome = Some(outcome);
        answer.encode_to_vec()
    };
    let mut all = Vec::new();
    for yes in [true, false] {
        let Some(Outcome::Value(mut value)) = real.signals[0].outcome.clone() else {
            panic!("no value")
        };
        value.value = Some(value::Value::YesNo(yes));
        all.push((Some(yes), with(Outcome::Value(value))));
    }
    for reason in 0..64 {
        let unanswered = v1::Unanswered {
            reason,
            detail: String::new(),
        };
        all.push((None, with(Outcome::Unanswered(unanswered))));
    }
    all
}

async fn asked(stage: &Stage) -> Answered {
    let lookup = Lookup::about(north(ABOUT), Purpose::Payment).device_swap_within(72);
    let answered = ask(&stage.bank("first-bank"), lookup).await;
    assert!(answered.signals()[0].value().is_some(), "{answered:?}");
    answered
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_leaf_hash_is_guessed_without_the_salt_of_its_entry() {
    let stage = Stage::sandbox().await;
    let answered = asked(&stage).await;
    let ledger = stage.world.broker.ledger();
    let index = answered.receipt.index;
    let bytes = ledger.entry(None, index).unwrap();
    let entry = v1::Entry::decode(bytes.as_slice()).unwrap();
    assert_eq!(entry.salt.len(), 32);
    // What is published: the leaf hash of every entry, in the tiles.
    let all = ledger.entries(None, 0, u64::MAX).unwrap();
    let published: BTreeSet<Hash> = all.iter().map(|entry| leaf_hash(entry)).collect();
    let salts: BTreeSet<Vec<u8>> = all
        .iter()
        .map(|entry| v1::Entry::decode(entry.as_slice()).unwrap().salt)
        .collect();
    assert_eq!(salts.len(), all.len(), "a salt is used twice");

    let tags = tags(&stage);
    let hits = |salts: &[Vec<u8>]| -> Vec<u16> {
        let guesses = leaves(&entry, &tags, salts).into_iter();
        let hits = guesses.filter(|(hash, _)| published.contains(hash));
        hits.map(|(_, digits)| digits).collect()
    };
    let Some(Event::Access(access)) = &entry.event else {
        panic!("no access")
    };
    let known = [
        &access.answer_digest[..],
        &access.subject_tag,
        &answered.nonce,
        &answered.receipt.leaf_hash,
        &index.to_be_bytes(),
        &entry.time_unix_ms.to_be_bytes(),
    ];
    let mut salts = bad_randomness(&known);
    salts.extend(
        all.iter()
            .map(|other| v1::Entry::decode(other.as_slice()).unwrap().salt)
            .filter(|salt| *salt != entry.salt),
    );
    assert_eq!(hits(&salts), Vec::<u16>::new());
    // The guesser is a good one: with the salt there is one guess that hits, about the number.
    assert_eq!(hits(std::slice::from_ref(&entry.salt)), [ABOUT]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_answer_is_guessed_from_its_digest_without_the_bank_s_nonce() {
    let stage = Stage::sandbox().await;
    let answered = asked(&stage).await;
    let index = answered.receipt.index;
    // What an authority reads: the whole entry, its salt and its digest of the answer.
    let bytes = stage.world.broker.ledger().entry(None, index).unwrap();
    let entry = v1::Entry::decode(bytes.as_slice()).unwrap();
    let Some(Event::Access(access)) = &entry.event else {
        panic!("no access")
    };
    let answers = answers(&answered);
    let hits = |nonces: &[Vec<u8>]| -> Vec<Option<bool>> {
        let mut hits = Vec::new();
        for nonce in nonces {
            for (word, bytes) in &answers {
                if sha256(&[nonce, bytes]) == access.answer_digest {
                    hits.push(*word);
                }
            }
        }
        hits
    };
    let known = [
        &entry.salt[..],
        &access.subject_tag,
        &access.request_id_mac,
        &answered.receipt.leaf_hash,
        &index.to_be_bytes(),
        &index.to_le_bytes(),
        &entry.time_unix_ms.to_be_bytes(),
    ];
    assert_eq!(hits(&bad_randomness(&known)), Vec::<Option<bool>>::new());
    // With the nonce, which only the bank has, the one answer that was given is found.
    assert_eq!(hits(&[answered.nonce.to_vec()]), [Some(true)]);
    // And it does not lie in the entry in any other way.
    let nonce = &answered.nonce[..];
    assert!(!bytes.windows(nonce.len()).any(|window| window == nonce));
}
