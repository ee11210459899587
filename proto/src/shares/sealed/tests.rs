//! Halves: sealed, handed over, combined, and each way in which that must fail.

use super::*;
use crate::msisdn::Msisdn;

const KEY: [u8; 32] = [7; 32];
const REGULATOR: &str = "telecom-regulator";
const BANK: &str = "central-bank";

fn month() -> Month {
    Month::parse("2026-09").unwrap()
}

struct Two {
    regulator: ShareSecret,
    bank: ShareSecret,
    /// As the broker keeps them: each sealed to its authority.
    sealed: [SealedShare; 2],
}

fn split_of(key: &[u8; 32], ledger: &str) -> Two {
    let regulator = ShareSecret::generate(REGULATOR).unwrap();
    let bank = ShareSecret::generate(BANK).unwrap();
    let [one, other] = split(ledger, month(), key, [REGULATOR, BANK]).unwrap();
    let sealed = [
        one.seal(regulator.key()).unwrap(),
        other.seal(bank.key()).unwrap(),
    ];
    Two {
        regulator,
        bank,
        sealed,
    }
}

#[test]
fn both_halves_make_the_key_after_one_was_handed_over() {
    let two = split_of(&KEY, "accord.test");
    let half = two.sealed[0].open(&two.regulator).unwrap();
    let handed_over = half.seal(two.bank.key()).unwrap().to_string();
    let one = SealedShare::parse(&handed_over).unwrap();
    let one = one.open(&two.bank).unwrap();
    let other = two.sealed[1].open(&two.bank).unwrap();
    let number = Msisdn::parse("+447700900001").unwrap();
    let made = combine(&one, &other).unwrap();
    assert_eq!(made.month(), month());
    let key = TagKey::new(month(), &KEY);
    assert_eq!(made.subject(&number), key.subject(&number));
}

#[test]
fn one_authority_alone_has_only_noise() {
    let two = split_of(&KEY, "accord.test");
    let own = two.sealed[1].open(&two.bank).unwrap();
    let again = two.sealed[1].open(&two.bank).unwrap();
    // The other authority's sealed half and its public key are at hand, and do not help.
    assert!(matches!(
        two.sealed[0].open(&two.bank),
        Err(ShareError::OtherKey { .. })
    ));
    let relabelled = two.sealed[0].to_string().replace(
        &two.regulator.key().to_string(),
        &two.bank.key().to_string(),
    );
    assert!(matches!(
        SealedShare::parse(&relabelled).unwrap().open(&two.bank),
        Err(ShareError::Broken { .. })
    ));
    assert_eq!(
        combine(&own, &again).unwrap_err(),
        ShareError::SameHalf { half: BANK.into() }
    );
    // Nor does calling the own half the other's.
    let renamed = OpenedShare {
        facts: ShareFacts {
            half: REGULATOR.into(),
            ..own.facts.clone()
        },
        half: Secret::new(*own.half.expose()),
    };
    assert_eq!(combine(&own, &renamed).unwrap_err(), ShareError::NotTheKey);
    assert_ne!(own.half.expose(), &KEY);
}

#[test]
fn halves_are_new_each_time() {
    let halves = |_| {
        let [one, other] = split("accord.test", month(), &KEY, [REGULATOR, BANK]).unwrap();
        assert_ne!(one.half.expose(), other.half.expose());
        *one.half.expose()
    };
    let [one, other] = [0, 1].map(halves);
    assert_ne!(one, other);
}

#[test]
fn halves_of_different_keys_months_or_ledgers_are_named() {
    let open = |two: &Two| {
        (
            two.sealed[0].open(&two.regulator).unwrap(),
            two.sealed[1].open(&two.bank).unwrap(),
        )
    };
    let (one, _) = open(&split_of(&KEY, "accord.test"));
    let (_, other_key) = open(&split_of(&[8; 32], "accord.test"));
    let (_, other_ledger) = open(&split_of(&KEY, "another.test"));
    let differ = |with: &OpenedShare| {
        let error = combine(&one, with).unwrap_err();
        let ShareError::Differ { what, .. } = error else {
            panic!("{error}")
        };
        what
    };
    assert_eq!(differ(&other_key), "commitment");
    assert_eq!(differ(&other_ledger), "ledger");
    // The same key split twice: one half of each makes another key.
    let (_, again) = open(&split_of(&KEY, "accord.test"));
    assert_eq!(combine(&one, &again).unwrap_err(), ShareError::NotTheKey);
}

#[test]
fn a_share_that_was_changed_does_not_open() {
    let two = split_of(&KEY, "accord.test");
    let text = two.sealed[0].to_string();
    for (from, to) in [
        ("month 2026-09", "month 2026-08"),
        ("ledger accord.test", "ledger bccord.test"),
        ("half telecom-regulator", "half central-bank"),
    ] {
        let changed = SealedShare::parse(&text.replace(from, to)).unwrap();
        assert!(
            matches!(changed.open(&two.regulator), Err(ShareError::Broken { .. })),
            "{from}"
        );
    }
    let mut flipped = two.sealed[0].clone();
    flipped.ciphertext[0] ^= 1;
    assert!(flipped.open(&two.regulator).is_err());
}

#[test]
fn each_broken_line_is_named_and_a_good_text_survives() {
    let share = &split_of(&KEY, "accord.test").sealed[0];
    let text = share.to_string();
    assert_eq!(&SealedShare::parse(&text).unwrap(), share);
    assert_eq!(SealedShare::parse(&text).unwrap().sha256(), share.sha256());
    for line in 1..=8 {
        let broken: String = (1..)
            .zip(text.lines())
            .map(|(at, text)| {
                if at == line {
                    "x\n".into()
                } else {
                    format!("{text}\n")
                }
            })
            .collect();
        let error = SealedShare::parse(&broken).unwrap_err();
        let named = matches!(error, ShareError::Line { line: named, .. } if named == line);
        assert!(named, "{line}: {error}");
        let cut: String = text
            .lines()
            .take(line - 1)
            .map(|l| format!("{l}\n"))
            .collect();
        assert!(SealedShare::parse(&cut).is_err(), "{line}");
    }
    assert!(matches!(
        SealedShare::parse(&format!("{text}more\n")),
        Err(ShareError::Line { line: 9, .. })
    ));
    assert_eq!(
        SealedShare::parse(&"x".repeat(5_000)).unwrap_err(),
        ShareError::TooLong
    );
    let month = text.replace("2026-09", "2026-13");
    assert!(
        SealedShare::parse(&month)
            .unwrap_err()
            .to_string()
            .contains("month YYYY-MM")
    );
}

#[test]
fn a_half_is_never_printed() {
    let [one, _] = split("accord.test", month(), &KEY, [REGULATOR, BANK]).unwrap();
    assert!(format!("{one:?}").ends_with("[secret])"));
}

/// RFC 9180 appendix A.2.1: base mode, sequence number 0. It shows that the suite is the one named.
#[test]
fn the_suite_opens_what_the_rfc_sealed() {
    let hex = |text: &str| -> Vec<u8> {
        let nibble = |at| text.chars().nth(at).unwrap().to_digit(16).unwrap() as u8;
        (0..text.len() / 2)
            .map(|at| (nibble(2 * at) << 4) | nibble(2 * at + 1))
            .collect()
    };
    let secret = hex("8057991eef8f1f1af18f4a9491d16a1ce333f695d4db8e38da75975c4478e0fb");
    let enc = hex("1afa08d3dec047a643885163f1180476fa7ddb54c6a8029ea33f95796bf2ac4a");
    let sealed = hex(
        "1c5250d8034ec2b784ba2cfd69dbdb8af406cfe3ff938e131f0def8c8b60b4db\
                      21993c62ce81883d2dd1b51a28",
    );
    let opened = HPKE
        .open(
            &EncapsulatedSecret(enc),
            b"Ode on a Grecian Urn",
            b"Count-0",
            &sealed,
            &HpkePrivateKey::from(secret),
        )
        .unwrap();
    assert_eq!(opened, b"Beauty is truth, truth beauty");
}
