//! The life of an agreement, act by act, and at random.

use super::*;
use crate::party::OrgName;

const TELECOM: Authority = Authority::TelecomRegulator;
const CENTRAL: Authority = Authority::CentralBank;

fn at(minutes: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + minutes * 60).unwrap()
}

fn about(verb: Verb, version: u64, minutes: i64) -> Act {
    Act {
        verb,
        target: None,
        agreement: "T".to_owned(),
        version,
        sha256: [u8::try_from(version).unwrap(); 32],
        log: "accord.test".to_owned(),
        time: at(minutes),
        nonce: [0; 16],
        reason: "why".to_owned(),
    }
}

fn on(verb: Verb, target: &str, minutes: i64) -> Act {
    Act {
        target: Some(target.parse().unwrap()),
        ..about(verb, 1, minutes)
    }
}

#[test]
fn a_document_takes_two_authorities_and_then_either() {
    let mut life = Life::default();
    assert_eq!(
        life.act(&about(Verb::Sign, 2, 0), CENTRAL),
        Err(NotNow::NotProposed)
    );
    let propose = about(Verb::Propose, 2, 0);
    assert_eq!(life.act(&propose, TELECOM), Ok(Kind::Proposed));
    assert_eq!(
        life.act(&propose, CENTRAL),
        Err(NotNow::Proposed { by: TELECOM })
    );
    let activate = about(Verb::Activate, 2, 1);
    for by in [TELECOM, CENTRAL] {
        let missing = CENTRAL;
        assert_eq!(life.act(&activate, by), Err(NotNow::NotSigned { missing }));
    }
    let sign = about(Verb::Sign, 2, 2);
    assert_eq!(
        life.act(&sign, TELECOM),
        Err(NotNow::SignedBySame {
            by: TELECOM,
            other: CENTRAL
        })
    );
    assert_eq!(life.act(&sign, CENTRAL), Ok(Kind::Signed));
    assert_eq!(life.act(&sign, CENTRAL), Err(NotNow::SignedByBoth));
    assert_eq!(life.act(&activate, TELECOM), Ok(Kind::Activated));
    assert_eq!(life.act(&activate, TELECOM), Err(NotNow::NotProposed));
    assert_eq!(life.activated().last().unwrap().version, 2);
    for version in [1, 2] {
        assert_eq!(
            life.act(&about(Verb::Propose, version, 3), CENTRAL),
            Err(NotNow::NotNewer { version, last: 2 })
        );
    }
}

#[test]
fn a_version_is_not_activated_below_another_that_was() {
    let mut life = Life::default();
    for version in [2, 3] {
        life.act(&about(Verb::Propose, version, 0), TELECOM)
            .unwrap();
        life.act(&about(Verb::Sign, version, 0), CENTRAL).unwrap();
    }
    life.act(&about(Verb::Activate, 3, 1), CENTRAL).unwrap();
    assert!(life.proposals().is_empty());
    assert_eq!(
        life.act(&about(Verb::Activate, 2, 1), CENTRAL),
        Err(NotNow::NotProposed)
    );
}

#[test]
fn either_suspends_and_only_both_lift() {
    let mut life = Life::default();
    let suspend = on(Verb::Suspend, "bank:first-bank", 0);
    let lift = |minutes| on(Verb::Lift, "bank:first-bank", minutes);
    assert!(matches!(
        life.act(&lift(0), TELECOM),
        Err(NotNow::NotSuspended { .. })
    ));
    assert_eq!(life.act(&suspend, TELECOM), Ok(Kind::Suspended));
    assert!(matches!(
        life.act(&suspend, TELECOM),
        Err(NotNow::Suspended { .. })
    ));
    assert_eq!(life.act(&lift(1), TELECOM), Ok(Kind::LiftAsked));
    assert!(matches!(
        life.act(&lift(2), TELECOM),
        Err(NotNow::AskedBySame { other: CENTRAL, .. })
    ));
    let bank = OrgName::parse("first-bank").unwrap();
    assert!(life.standing().bank(&bank).is_some());
    // Whoever suspends once more takes the wish back.
    assert_eq!(life.act(&suspend, CENTRAL), Ok(Kind::Suspended));
    assert_eq!(life.act(&lift(3), CENTRAL), Ok(Kind::LiftAsked));
    assert_eq!(life.act(&lift(4), TELECOM), Ok(Kind::Lifted));
    assert_eq!(**life.standing(), Standing::default());
}

#[test]
fn a_wish_to_lift_does_not_wait_for_ever() {
    let mut life = Life::default();
    let week = ASK_HOLDS.as_secs() / 60;
    life.act(&on(Verb::Suspend, "all", 0), TELECOM).unwrap();
    life.act(&on(Verb::Lift, "all", 0), TELECOM).unwrap();
    let late = on(Verb::Lift, "all", week + 1);
    assert_eq!(life.act(&late, CENTRAL), Ok(Kind::LiftAsked));
    assert!(life.standing().all().is_some());
    let in_time = on(Verb::Lift, "all", 2 * week);
    assert_eq!(life.act(&in_time, TELECOM), Ok(Kind::Lifted));
}

#[test]
fn an_end_takes_both_and_a_newer_version_is_not_ended_by_it() {
    let mut life = Life::default();
    assert_eq!(
        life.act(&about(Verb::End, 2, 0), TELECOM),
        Ok(Kind::EndAsked)
    );
    // About another version it is another wish.
    assert_eq!(
        life.act(&about(Verb::End, 3, 1), CENTRAL),
        Ok(Kind::EndAsked)
    );
    assert_eq!(life.act(&about(Verb::End, 3, 2), TELECOM), Ok(Kind::Ended));
    for (version, ended) in [(1, true), (3, true), (4, false)] {
        assert_eq!(life.standing().ended(version).is_some(), ended, "{version}");
    }
    assert!(matches!(
        life.act(&about(Verb::End, 3, 3), CENTRAL),
        Err(NotNow::Ended { version: 3, .. })
    ));
}

#[test]
fn an_authority_that_proposes_much_pushes_out_its_own_alone() {
    let mut life = Life::default();
    life.act(&about(Verb::Propose, 200, 0), CENTRAL).unwrap();
    for version in 1..=20 {
        life.act(&about(Verb::Propose, version, 0), TELECOM)
            .unwrap();
    }
    assert_eq!(life.proposals().len(), PROPOSALS_MAX + 1);
    assert!(life.proposal(&[200; 32]).is_some() && life.proposal(&[20; 32]).is_some());
    assert!(life.proposal(&[1; 32]).is_none());
}

/// A small generator of numbers, the same at each run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}

#[test]
fn whatever_happens_nothing_loosens_without_both_and_the_record_gives_the_same_state() {
    const TARGETS: [&str; 3] = ["all", "bank:b", "signal:roaming"];
    let mut numbers = Numbers(1);
    let mut life = Life::default();
    let mut record = Vec::new();
    let mut seen = [0; 9];
    for step in 0..20_000 {
        let by = [TELECOM, CENTRAL][usize::try_from(numbers.below(2)).unwrap()];
        let target = TARGETS[usize::try_from(numbers.below(3)).unwrap()];
        let version = 1 + numbers.below(3) + step / 2_000;
        let minutes = i64::try_from(step).unwrap();
        let act = match numbers.below(6) {
            0 => about(Verb::Propose, version, minutes),
            1 => about(Verb::Sign, version, minutes),
            2 => about(Verb::Activate, version, minutes),
            3 => on(Verb::Suspend, target, minutes),
            4 => on(Verb::Lift, target, minutes),
            _ => about(Verb::End, version, minutes),
        };
        let before = life.clone();
        let Ok(kind) = life.act(&act, by) else {
            assert_eq!(life, before);
            continue;
        };
        seen[usize::try_from(kind as i32).unwrap()] += 1;
        match kind {
            Kind::Lifted => {
                let target = act.target.as_ref().unwrap();
                let asked = before.standing.on(target).unwrap().lift_asked;
                assert_ne!(asked.unwrap().by, by);
            }
            Kind::Ended => {
                let asked = before.standing.end_asked(act.version).unwrap();
                assert_ne!(asked.by, by);
            }
            Kind::Activated => {
                assert!(before.proposal(&act.sha256).unwrap().signed_by_both);
                let last = before.activated.last();
                assert!(last.is_none_or(|last| last.version < act.version));
            }
            Kind::Unspecified
            | Kind::Proposed
            | Kind::Signed
            | Kind::Suspended
            | Kind::LiftAsked
            | Kind::EndAsked => {}
        }
        let gone = |target: &str| {
            let target: Target = target.parse().unwrap();
            before.standing.on(&target).is_some() && life.standing.on(&target).is_none()
        };
        if TARGETS.into_iter().any(gone) {
            assert_eq!(kind, Kind::Lifted);
        }
        record.push((act, by, kind));
    }
    assert!(seen[1..].iter().all(|count| *count > 0), "{seen:?}");
    let mut again = Life::default();
    for (act, by, kind) in &record {
        again.replay(act, *by, *kind).unwrap();
    }
    assert_eq!(again, life);
}

#[test]
fn a_record_that_is_not_what_the_acts_say_is_noticed() {
    let mut life = Life::default();
    life.act(&on(Verb::Suspend, "all", 0), TELECOM).unwrap();
    let lift = on(Verb::Lift, "all", 1);
    assert_eq!(
        life.replay(&lift, TELECOM, Kind::Lifted),
        Err(NotNow::OtherKind)
    );
    assert!(life.standing().all().is_some());
}
