//! Who must sign the agreement, and what is refused.

use accord_proto::agreement::{AgreementError, SignedAgreement, with_dates};
use accord_proto::c2sp::{NoteError, SignedNote, SigningKey};
use accord_proto::document::NotNewer;

use crate::signers::{Pair, signed, stranger};

const AGREEMENT: &str = include_str!("../../../tests/samples/agreement.toml");

#[test]
fn an_agreement_with_both_signatures_opens() {
    let pair = Pair::new();
    let note = pair.sign(AGREEMENT);
    let signed = SignedAgreement::open(&note, &pair.authorities(), None).unwrap();
    assert_eq!(signed.document().id(), "SANDBOX-2026-1");
    assert_eq!(signed.signers(), ["telecom-regulator", "central-bank"]);
    assert_eq!(signed.note(), note);
    assert_eq!(signed.loaded().version, 1);
    assert_ne!(signed.sha256(), &[0; 32]);
    // A witness's signature beside them does no harm (C2SP: unknown keys are ignored).
    let mut more = SignedNote::parse(&note).unwrap();
    more.sign(&stranger()).unwrap();
    assert!(SignedAgreement::open(&more.to_string(), &pair.authorities(), None).is_ok());
}

#[test]
fn refuses_an_agreement_that_is_unsigned_or_signed_once_or_by_a_stranger() {
    let pair = Pair::new();
    let open = |note: &str| SignedAgreement::open(note, &pair.authorities(), None).unwrap_err();
    assert_eq!(open(AGREEMENT), AgreementError::Note(NoteError::Unsigned));
    let once = open(&signed(AGREEMENT, &[&pair.telecom_regulator]));
    assert_eq!(
        once.to_string(),
        "the agreement is signed by `telecom-regulator` only; the signature of `central-bank` is \
         missing"
    );
    let once = open(&signed(AGREEMENT, &[&pair.central_bank, &stranger()]));
    assert!(
        matches!(once, AgreementError::SignedOnce { missing, .. } if missing == "telecom-regulator")
    );
    let strange = open(&signed(AGREEMENT, &[&stranger()]));
    assert!(
        matches!(&strange, AgreementError::Stranger { strangers, .. } if strangers.contains("stranger"))
    );
    // Who takes an authority's name has not its key.
    let impostor = SigningKey::generate("central-bank").unwrap();
    let once = open(&signed(AGREEMENT, &[&pair.telecom_regulator, &impostor]));
    assert!(
        matches!(once, AgreementError::SignedOnce { missing, .. } if missing == "central-bank")
    );
}

#[test]
fn refuses_an_agreement_whose_text_was_changed_after_it_was_signed() {
    let pair = Pair::new();
    let note = pair
        .sign(AGREEMENT)
        .replacen("per_second = 200", "per_second = 900", 1);
    assert!(matches!(
        SignedAgreement::open(&note, &pair.authorities(), None),
        Err(AgreementError::Note(NoteError::BadSignature { .. }))
    ));
}

#[test]
fn a_tab_or_a_carriage_return_is_named_with_its_line() {
    let pair = Pair::new();
    for (with, what) in [
        ("\tversion = 1", "tab"),
        ("version = 1\r", "carriage return"),
    ] {
        let note = pair.sign(AGREEMENT).replacen("version = 1", with, 1);
        let error = SignedAgreement::open(&note, &pair.authorities(), None).unwrap_err();
        let line = AGREEMENT
            .lines()
            .position(|line| line == "version = 1")
            .unwrap()
            + 1;
        assert_eq!(
            error,
            AgreementError::Note(NoteError::Control { line, what })
        );
    }
}

#[test]
fn a_signed_agreement_with_an_unknown_key_is_refused_with_its_line() {
    let pair = Pair::new();
    let text = AGREEMENT.replacen("version = 1", "version = 1\nrevision = 2", 1);
    let error = SignedAgreement::open(&pair.sign(&text), &pair.authorities(), None).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("line 10: `agreement.revision`: unknown key"),
        "{error}"
    );
}

#[test]
fn refuses_an_agreement_that_is_not_newer_but_opens_the_same_one_again() {
    let pair = Pair::new();
    let open =
        |text: &str, last| SignedAgreement::open(&pair.sign(text), &pair.authorities(), last);
    let second = AGREEMENT.replacen("version = 1", "version = 2", 1);
    let last = open(&second, None).unwrap().loaded();
    assert!(open(&second, Some(last)).is_ok());
    assert_eq!(
        open(AGREEMENT, Some(last)).unwrap_err(),
        AgreementError::NotNewer(NotNewer::Older {
            version: 1,
            last: 2
        })
    );
    let changed = second.replacen("per_second = 200", "per_second = 900", 1);
    assert_eq!(
        open(&changed, Some(last)).unwrap_err(),
        AgreementError::NotNewer(NotNewer::Changed { version: 2 })
    );
    let third = AGREEMENT.replacen("version = 1", "version = 3", 1);
    assert_eq!(open(&third, Some(last)).unwrap().loaded().version, 3);
}

#[test]
fn an_agreement_that_names_another_authority_is_refused() {
    let pair = Pair::new();
    let text = AGREEMENT.replace("authority/central-bank", "authority/reserve-bank");
    let (_, share_key) = text.split_once("\ncentral_bank = \"central-bank+").unwrap();
    let share_key = format!("central-bank+{}", share_key.split_once('"').unwrap().0);
    let other = accord_proto::shares::ShareSecret::generate("reserve-bank").unwrap();
    let text = text.replace(&share_key, &other.key().to_string());
    assert!(matches!(
        SignedAgreement::open(&pair.sign(&text), &pair.authorities(), None),
        Err(AgreementError::OtherAuthority {
            role: "central bank",
            ..
        })
    ));
}

#[test]
fn an_agreement_out_of_force_opens_and_says_so() {
    let pair = Pair::new();
    let (effective, expires) = ("2030-01-01".parse().unwrap(), "2031-01-01".parse().unwrap());
    let text = with_dates(AGREEMENT, effective, expires).unwrap();
    let signed = SignedAgreement::open(&pair.sign(&text), &pair.authorities(), None).unwrap();
    let term = signed.document().term();
    let check = |at: &str| term.check_in_force(at.parse().unwrap());
    assert_eq!(
        check("2029-12-31T23:59:59Z").unwrap_err().to_string(),
        "the agreement takes effect on 2030-01-01"
    );
    assert!(check("2030-06-01T00:00:00Z").is_ok());
    assert_eq!(
        check("2031-01-01T00:00:00Z").unwrap_err().to_string(),
        "the agreement expired on 2031-01-01"
    );
}
