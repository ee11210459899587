use super::*;
use crate::c2sp::{Cosigner, SigningKey};

struct Case {
    log: SigningKey,
    one: Cosigner,
    other: Cosigner,
}

impl Case {
    fn new() -> Self {
        Self {
            log: SigningKey::generate("log").unwrap(),
            one: Cosigner::generate("one.example").unwrap(),
            other: Cosigner::generate("other.example").unwrap(),
        }
    }

    fn text(&self, rest: &str) -> String {
        format!(
            "# who is believed\n\nlog {} https://log.example\nwitness one {} https://one.example\n\
             witness other {}\n{rest}",
            self.log.verifier(),
            self.one.key(),
            self.other.key(),
        )
    }

    fn policy(&self, rest: &str) -> Policy {
        Policy::parse(&self.text(rest)).unwrap()
    }

    /// A checkpoint of the log of a month, cosigned by these.
    fn note(&self, cosigners: &[&Cosigner]) -> SignedNote {
        let checkpoint = Checkpoint {
            origin: "log/2026-11".into(),
            size: 3,
            root: [1; 32],
        };
        let key = self.log.renamed("log/2026-11").unwrap();
        let mut note = checkpoint.sign(&key).unwrap();
        for cosigner in cosigners {
            let line = cosigner.cosign(note.text(), 1_700_000_000);
            note.add_signature(line).unwrap();
        }
        note
    }
}

#[test]
fn a_quorum_of_one_of_two_of_both_and_of_none() {
    let case = Case::new();
    let none = case.note(&[]);
    let first = case.note(&[&case.one]);
    let both = case.note(&[&case.one, &case.other]);
    let believed = |policy: &Policy, note: &SignedNote| policy.open(note).is_ok();
    for (rest, expected) in [
        ("quorum none\n", [true, true, true]),
        ("quorum one\n", [false, true, true]),
        ("quorum other\n", [false, false, true]),
        ("group g any one other\nquorum g\n", [false, true, true]),
        ("group g 2 one other\nquorum g\n", [false, false, true]),
        (
            "group a any one\ngroup g all a other\nquorum g\n",
            [false, false, true],
        ),
    ] {
        let policy = case.policy(rest);
        let found = [&none, &first, &both].map(|note| believed(&policy, note));
        assert_eq!(found, expected, "{rest}");
    }
}

#[test]
fn a_checkpoint_is_as_old_as_the_oldest_cosignature_that_its_quorum_needs() {
    let case = Case::new();
    let at = |times: &[(&str, u64)]| -> Vec<Cosigned> {
        let one = |(witness, unix_s): &(&str, u64)| Cosigned {
            witness: (*witness).to_owned(),
            unix_s: *unix_s,
        };
        times.iter().map(one).collect()
    };
    let both = at(&[("one", 100), ("other", 700)]);
    for (rest, cosigned, expected) in [
        ("quorum one\n", &both, Some(100)),
        ("group g any one other\nquorum g\n", &both, Some(700)),
        ("group g all one other\nquorum g\n", &both, Some(100)),
        ("quorum other\n", &at(&[("one", 100)]), None),
        ("quorum one\n", &Vec::new(), None),
        // Without a quorum no time is proven.
        ("quorum none\n", &both, None),
    ] {
        let found = case.policy(rest).cosigned_at(cosigned);
        assert_eq!(found, expected, "{rest} {cosigned:?}");
    }
}

#[test]
fn what_cosigned_is_named_with_its_time() {
    let case = Case::new();
    let stranger = Cosigner::generate("stranger.example").unwrap();
    let note = case.note(&[&stranger, &case.other]);
    let (checkpoint, cosigned) = case.policy("quorum other\n").open(&note).unwrap();
    assert_eq!(checkpoint.size, 3);
    let expected = Cosigned {
        witness: "other".into(),
        unix_s: 1_700_000_000,
    };
    assert_eq!(cosigned, [expected]);
}

#[test]
fn a_cosignature_of_another_checkpoint_is_refused_and_not_just_ignored() {
    let case = Case::new();
    let mut note = case.note(&[&case.one]);
    note.add_signature(case.other.cosign("log/2026-11\n4\n", 1))
        .unwrap();
    let refused = case.policy("quorum one\n").open(&note).unwrap_err();
    let witness = "other".to_owned();
    assert_eq!(refused, PolicyError::BadCosignature { witness });
}

#[test]
fn groups_of_groups_are_each_looked_at_once() {
    let case = Case::new();
    let mut rest = "group a0 any one other\ngroup b0 any one other\n".to_owned();
    for at in 1..100 {
        let below = at - 1;
        for group in ["a", "b"] {
            rest.push_str(&format!("group {group}{at} 2 a{below} b{below}\n"));
        }
    }
    rest.push_str("quorum a99\n");
    let policy = case.policy(&rest);
    assert!(policy.open(&case.note(&[&case.one])).is_ok());
    assert!(policy.open(&case.note(&[])).is_err());
}

#[test]
fn another_log_is_not_believed_whoever_cosigned() {
    let case = Case::new();
    let other = Case {
        log: SigningKey::generate("another-log").unwrap(),
        ..Case::new()
    };
    let refused = case.policy("quorum none\n").open(&other.note(&[]));
    assert!(matches!(refused, Err(PolicyError::Checkpoint(_))));
}

#[test]
fn each_mistake_is_named_with_its_line() {
    let case = Case::new();
    let wrong = |rest: &str| Policy::parse(&case.text(rest)).unwrap_err();
    assert_eq!(wrong(""), PolicyError::NoQuorum);
    for (rest, said) in [
        ("quorum\n", "line 6 of the policy is not `quorum NAME`"),
        (
            "quorum three\n",
            "line 6 of the policy: `three` is not defined above",
        ),
        (
            "quorum one\nquorum one\n",
            "line 7 of the policy is not the only `quorum`",
        ),
        ("group g any one two\n", "`two` is not defined above"),
        ("group g any one one\n", "`one` is given twice"),
        ("group one any other\n", "`one` is given twice"),
        ("group none any other\n", "`none` is no name"),
        ("group g 3 one other\n", "a group of `any`, `all`"),
        ("group g 0 one other\n", "a group of `any`, `all`"),
        ("group g any\n", "a group of `any`, `all`"),
        ("group g\n", "`group NAME NUMBER|any|all MEMBER…`"),
        ("logs x\n", "`log`, `witness`, `group` or `quorum`"),
        (
            "log x\n",
            "line 6 of the policy holds a key that can't be used",
        ),
        (
            "witness three x\n",
            "line 6 of the policy holds a key that can't be used",
        ),
    ] {
        let text = wrong(rest).to_string();
        assert!(text.contains(said), "{rest}: {text}");
    }
    let again = format!("witness three {}\nquorum one\n", case.one.key());
    assert!(wrong(&again).to_string().contains("has the key of another"));
    let long = "#".repeat(POLICY_BYTES_MAX + 1);
    assert_eq!(Policy::parse(&long), Err(PolicyError::TooLong));
}
