//! Acts: what they read like, and what is refused.

use super::*;

fn keys() -> (SigningKey, SigningKey, Authorities) {
    let telecom = SigningKey::generate("telecom-regulator").unwrap();
    let central = SigningKey::generate("central-bank").unwrap();
    let authorities =
        Authorities::new(telecom.verifier().clone(), central.verifier().clone()).unwrap();
    (telecom, central, authorities)
}

fn suspend() -> Act {
    Act {
        verb: Verb::Suspend,
        target: Some("bank:first-bank".parse().unwrap()),
        agreement: "SANDBOX-2026-1".to_owned(),
        version: 1,
        sha256: [0xab; 32],
        log: "accord-sandbox".to_owned(),
        time: "2026-11-26T12:00:00Z".parse().unwrap(),
        nonce: [7; 16],
        reason: "Breach of 25 November, case 17".to_owned(),
    }
}

#[test]
fn an_act_is_a_short_text_that_reads_the_same_again() {
    let text = suspend().to_text();
    assert_eq!(
        text,
        "accord act v1\nact suspend\ntarget bank:first-bank\nagreement SANDBOX-2026-1\nversion 1\n\
         sha256 abababababababababababababababababababababababababababababababab\n\
         log accord-sandbox\ntime 2026-11-26T12:00:00Z\nnonce 07070707070707070707070707070707\n\
         reason Breach of 25 November, case 17\n"
    );
    assert_eq!(Act::parse(&text).unwrap(), suspend());
    let end = Act {
        verb: Verb::End,
        target: None,
        reason: String::new(),
        ..suspend()
    };
    assert!(end.to_text().contains("\ntarget -\n") && end.to_text().ends_with("\nreason -\n"));
    assert_eq!(Act::parse(&end.to_text()).unwrap(), end);
}

#[test]
fn an_act_is_its_signers_alone() {
    let (telecom, central, authorities) = keys();
    let note = suspend().sign(&central).unwrap();
    let opened = Act::open(&note, &authorities).unwrap();
    assert_eq!((opened.by, opened.act), (Authority::CentralBank, suspend()));
    let other = note.replace("first-bank", "other-bank");
    assert!(matches!(
        Act::open(&other, &authorities),
        Err(ActError::Note(NoteError::BadSignature { .. }))
    ));
    let stranger = SigningKey::generate("central-bank").unwrap();
    let note = suspend().sign(&stranger).unwrap();
    let error = Act::open(&note, &authorities).unwrap_err();
    assert!(matches!(error, ActError::Stranger(_)), "{error}");
    let mut both = SignedNote::unsigned(suspend().to_text()).unwrap();
    both.sign(&telecom).unwrap();
    both.sign(&central).unwrap();
    let error = Act::open(&both.to_string(), &authorities).unwrap_err();
    assert_eq!(error, ActError::Both);
}

#[test]
fn each_line_that_is_wrong_is_named() {
    let text = suspend().to_text();
    for (from, to, line, rule) in [
        ("act v1", "act v2", 1, "begins with"),
        ("act suspend", "act pause", 2, "suspend"),
        ("act suspend", "act end", 3, "no target"),
        ("bank:first-bank", "first-bank", 3, "bank:NAME"),
        ("target bank:first-bank\n", "", 3, "target"),
        ("version 1", "version one", 5, "whole number"),
        ("version 1", "version 01", 10, "nothing else"),
        ("sha256 ab", "sha256 a", 6, "64 hexadecimal"),
        ("sha256 ab", "sha256 AB", 10, "nothing else"),
        ("12:00:00Z", "noon", 8, "instant"),
        ("nonce 07", "nonce 0", 9, "32 hexadecimal"),
        ("case 17\n", "case 17\nmore\n", 10, "nothing else"),
    ] {
        let error = Act::parse(&text.replacen(from, to, 1)).unwrap_err();
        let ActError::Line {
            line: found,
            rule: said,
        } = &error
        else {
            panic!("{error}");
        };
        assert!(*found == line && said.contains(rule), "{to}: {error}");
    }
    assert!(Act::parse("").is_err());
}

#[test]
fn a_reason_is_given_is_short_and_holds_no_number() {
    let with = |reason: &str| {
        let act = Act {
            reason: reason.to_owned(),
            ..suspend()
        };
        Act::parse(&act.to_text()).map(drop)
    };
    for bad in [
        "",
        "about +447700900001",
        "about 07700 900 001",
        &"x".repeat(REASON_BYTES_MAX + 1),
        "bell\u{7}",
    ] {
        assert!(matches!(with(bad), Err(ActError::Reason(_))), "{bad}");
    }
    with("Seen on 2026-11-26 at 12:00, case 2026-0042").unwrap();
    let (_, central, authorities) = keys();
    let long = Act {
        agreement: "x".repeat(ACT_BYTES_MAX),
        ..suspend()
    };
    let note = long.sign(&central).unwrap();
    assert_eq!(
        Act::open(&note, &authorities).unwrap_err(),
        ActError::TooLong
    );
}
