//! The life of a month's key, act by act; and what nobody can make of another's request.

use super::*;
use crate::c2sp::{SignedNote, SigningKey};

const REGULATOR: &str = "telecom-regulator";
const BANK: &str = "central-bank";
const SEPTEMBER: &str = "2026-09";

struct Desk {
    keys: [SigningKey; 2],
    life: KeyLife,
    index: u64,
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_790_000_000 + second).unwrap()
}

fn id(org: &str) -> String {
    format!("spiffe://accord.test/authority/{org}")
}

impl Desk {
    fn new() -> Self {
        let keys = [REGULATOR, BANK].map(|name| SigningKey::generate(name).unwrap());
        let [regulator, bank] = keys.each_ref().map(|key| key.verifier().clone());
        let authorities = Authorities::new(regulator, bank).unwrap();
        let mut desk = Self {
            keys,
            life: KeyLife::new("accord.test", authorities),
            index: 0,
        };
        let split = v1::KeyAct {
            kind: Kind::Split as i32,
            month: SEPTEMBER.to_owned(),
            digests: vec![v1::NamedDigest {
                name: "commitment".to_owned(),
                sha256: vec![7; 32],
            }],
            ..v1::KeyAct::default()
        };
        desk.replay(&split).unwrap();
        desk
    }

    fn act(&self, kind: Kind, asked: RequestKind, org: &str) -> v1::KeyAct {
        let key = self.keys.iter().find(|key| key.verifier().name() == org);
        let request = KeyRequest {
            ledger: "accord.test".to_owned(),
            kind: asked,
            month: Month::parse(SEPTEMBER).unwrap(),
            case: "2026-0042".to_owned(),
            at: at(i64::try_from(self.index).unwrap()),
        };
        let mut note = SignedNote::unsigned(request.to_string()).unwrap();
        note.sign(key.unwrap()).unwrap();
        v1::KeyAct {
            kind: kind as i32,
            month: SEPTEMBER.to_owned(),
            party: id(org),
            case: "2026-0042".to_owned(),
            note: note.to_string(),
            ..v1::KeyAct::default()
        }
    }

    fn replay(&mut self, act: &v1::KeyAct) -> Result<(), KeyActError> {
        self.index += 1;
        let place = KeyPlace {
            origin: "accord.test/2026-12".to_owned(),
            index: self.index,
        };
        self.life.replay(act, Some(at(0)), place)
    }

    fn does(&mut self, kind: Kind, asked: RequestKind, org: &str) -> Result<(), KeyActError> {
        let act = self.act(kind, asked, org);
        self.replay(&act)
    }

    fn september(&self) -> MonthKey {
        self.life.month(Month::parse(SEPTEMBER).unwrap())
    }
}

#[test]
fn shredding_takes_both_and_each_once() {
    let mut desk = Desk::new();
    let asked = desk.act(Kind::ShredAsked, RequestKind::Shred, REGULATOR);
    desk.replay(&asked).unwrap();
    assert!(matches!(desk.replay(&asked), Err(KeyActError::Twice(_))));
    // The same one again is not the other one, whatever the entry says.
    let again = desk.does(Kind::Shredded, RequestKind::Shred, REGULATOR);
    assert_eq!(again, Err(KeyActError::OtherEffect));
    assert!(!desk.september().shredded());
    desk.does(Kind::Shredded, RequestKind::Shred, BANK).unwrap();
    assert!(desk.september().shredded());
    let late = desk.does(Kind::HoldSet, RequestKind::Hold, BANK);
    assert_eq!(late, Err(KeyNotNow::Shredded.into()));
}

#[test]
fn a_name_with_a_flipped_bit_is_no_other_authority() {
    let mut desk = Desk::new();
    desk.does(Kind::ShredAsked, RequestKind::Shred, REGULATOR)
        .unwrap();
    let before = desk.september();
    for (party, note_of) in [
        ("telecom-regulatos", REGULATOR),
        (BANK, REGULATOR),
        ("stranger", BANK),
    ] {
        let mut act = desk.act(Kind::Shredded, RequestKind::Shred, note_of);
        act.party = id(party);
        let replayed = desk.replay(&act);
        assert_eq!(replayed, Err(KeyActError::Differs("authority")), "{party}");
    }
    let mut bank = desk.act(Kind::Shredded, RequestKind::Shred, BANK);
    bank.party = bank.party.replace("authority", "bank");
    assert_eq!(desk.replay(&bank), Err(KeyActError::Differs("authority")));
    assert_eq!(desk.september(), before);
}

#[test]
fn a_hold_voids_what_was_asked_before_and_an_old_note_does_not_count_again() {
    let mut desk = Desk::new();
    let shred = desk.act(Kind::ShredAsked, RequestKind::Shred, REGULATOR);
    desk.replay(&shred).unwrap();
    desk.does(Kind::HoldSet, RequestKind::Hold, BANK).unwrap();
    assert!(desk.september().shred_asked_by().is_empty());
    let under = desk.does(Kind::ShredAsked, RequestKind::Shred, BANK);
    assert_eq!(under, Err(KeyNotNow::Held(id(BANK)).into()));
    desk.does(Kind::HoldLiftAsked, RequestKind::Lift, BANK)
        .unwrap();
    desk.does(Kind::HoldLifted, RequestKind::Lift, REGULATOR)
        .unwrap();
    assert_eq!(desk.september().hold_by(), None);
    assert!(matches!(desk.replay(&shred), Err(KeyActError::Twice(_))));
    assert!(desk.september().shred_asked_by().is_empty());
}

#[test]
fn an_entry_that_says_more_than_its_author_signed_does_not_count() {
    let mut desk = Desk::new();
    let good = desk.act(Kind::HoldSet, RequestKind::Hold, BANK);
    let mut unsigned = good.clone();
    unsigned.note.clear();
    assert!(matches!(desk.replay(&unsigned), Err(KeyActError::Note(_))));
    let mut forged = good.clone();
    forged.note = forged.note.replace("act hold", "act shred");
    assert!(matches!(desk.replay(&forged), Err(KeyActError::Note(_))));
    let mut case = good.clone();
    case.case = "2026-0043".to_owned();
    assert_eq!(desk.replay(&case), Err(KeyActError::Differs("case")));
    let mut month = good.clone();
    month.month = "2026-08".to_owned();
    assert_eq!(desk.replay(&month), Err(KeyActError::Differs("month")));
    let place = KeyPlace {
        origin: "accord.test/2026-12".to_owned(),
        index: 9,
    };
    let late = Some(at(3_600));
    assert!(matches!(
        desk.life.replay(&good, late, place),
        Err(KeyActError::Stale { .. })
    ));
    desk.replay(&good).unwrap();
    assert_eq!(desk.september().hold_by(), Some(id(BANK).as_str()));
}

#[test]
fn a_month_that_is_not_split_is_not_shredded_but_may_be_held() {
    let mut desk = Desk::new();
    desk.life.months.clear();
    let shred = desk.does(Kind::ShredAsked, RequestKind::Shred, BANK);
    assert_eq!(shred, Err(KeyNotNow::NotSplit.into()));
    desk.does(Kind::HoldSet, RequestKind::Hold, BANK).unwrap();
}

#[test]
fn notes_are_remembered_while_they_could_be_used() {
    let mut desk = Desk::new();
    desk.does(Kind::HoldSet, RequestKind::Hold, BANK).unwrap();
    desk.life.forget_notes(at(10 * 60));
    assert_eq!(desk.life.seen.len(), 1);
    desk.life.forget_notes(at(16 * 60));
    assert!(desk.life.seen.is_empty());
}
