//! Acts in a broker, and what a start makes of them.

use std::fs;

use accord_proto::{
    agreement::{NotNow, SignedAgreement, Target, Verb},
    c2sp::{SignedNote, SigningKey},
    clock::{Clock as _, ManualClock},
    document::Authorities,
    parties::Parties,
    v1::entry::Event,
};
use jiff::SignedDuration;
use tempfile::TempDir;

use super::*;
use crate::{
    entry::encode,
    governance::{Governing, LifeError},
    ledger::{LedgerConfig, SEGMENT_BYTES_MIN},
};

const NAMES: [&str; 2] = ["telecom-regulator", "central-bank"];
const TELECOM: usize = 0;
const CENTRAL: usize = 1;

const PARTIES: &str = include_str!("../../../../tests/samples/one-operator.toml");

fn text(version: u64) -> String {
    let first = include_str!("../../../../tests/samples/one-clause.toml");
    first.replace("version = 1", &format!("version = {version}"))
}

/// A broker's governance in a directory, without the broker.
struct House {
    dir: TempDir,
    keys: [SigningKey; 2],
    log_key: SigningKey,
    clock: Arc<ManualClock>,
}

impl House {
    fn new() -> Self {
        let dir = TempDir::new().unwrap();
        let clock = ManualClock::at("2026-06-15T12:00:00Z".parse().unwrap());
        let log_key = SigningKey::generate("accord.test").unwrap();
        let shared: SharedClock = clock.clone();
        Ledger::init(&dir.path().join("ledger"), &log_key, &[], &shared).unwrap();
        Self {
            dir,
            keys: NAMES.map(|name| SigningKey::generate(name).unwrap()),
            log_key,
            clock,
        }
    }

    fn authorities(&self) -> Authorities {
        let [telecom, central] = self.keys.each_ref().map(|key| key.verifier().clone());
        Authorities::new(telecom, central).unwrap()
    }

    fn signed(&self, text: &str, by: &[usize]) -> String {
        let mut note = SignedNote::unsigned(text).unwrap();
        for at in by {
            note.sign(&self.keys[*at]).unwrap();
        }
        note.to_string()
    }

    fn recall(&self, ledger: &Ledger) -> Result<RecalledLife, LifeError> {
        RecalledLife::open(self.dir.path(), ledger, &self.authorities())
    }

    fn ledger(&self) -> Arc<Ledger> {
        let key = self.log_key.renamed("accord.test").unwrap();
        let mut config = LedgerConfig::new(self.dir.path().join("ledger"), key);
        config.segment_bytes = SEGMENT_BYTES_MIN;
        Arc::new(Ledger::open(config, self.clock.clone()).unwrap().0)
    }

    fn start(&self) -> AgreementLife {
        let ledger = self.ledger();
        let recalled = self.recall(&ledger).unwrap();
        let authorities = self.authorities();
        let both = [TELECOM, CENTRAL];
        let note = self.signed(&text(1), &both);
        let agreement = SignedAgreement::open(&note, &authorities, None).unwrap();
        let governing = Governing {
            agreement: Arc::new(agreement),
            waits: false,
        };
        let note = self.signed(PARTIES, &both);
        let parties = Parties::open(&note, &authorities, None).unwrap();
        let governance = Governance::new(authorities, governing, parties, &[], None, &recalled);
        let clock = self.clock.clone();
        AgreementLife::new(recalled, Arc::new(governance), ledger, clock)
    }

    fn about(&self, verb: Verb, version: u64) -> Act {
        let mut nonce = [0; 16];
        aws_lc_rs::rand::fill(&mut nonce).unwrap();
        Act {
            verb,
            target: None,
            agreement: "T".to_owned(),
            version,
            sha256: text_sha256(&text(version)),
            log: "accord.test".to_owned(),
            time: self.clock.now(),
            nonce,
            reason: "why".to_owned(),
        }
    }

    fn on(&self, verb: Verb, target: &str) -> Act {
        let target = Some(target.parse().unwrap());
        let act = self.about(verb, 1);
        Act { target, ..act }
    }

    fn act(
        &self,
        life: &AgreementLife,
        by: usize,
        act: &Act,
        document: &str,
    ) -> Result<Taken, Refusal> {
        let note = act.sign(&self.keys[by]).unwrap();
        life.act(&caller(by), &note, document)
    }
}

fn caller(by: usize) -> PartyId {
    PartyId::parse(&format!("spiffe://accord.test/authority/{}", NAMES[by])).unwrap()
}

fn refused(outcome: Result<Taken, Refusal>) -> ActRefusal {
    match outcome {
        Err(Refusal::Act(refusal)) => *refusal,
        other => panic!("{other:?}"),
    }
}

fn all(life: &AgreementLife) -> Vec<Target> {
    let governed = life.governance.current();
    let suspensions = governed.standing().suspensions().into_iter();
    suspensions.map(|(target, _)| target).collect()
}

#[test]
fn a_start_finds_what_stands_with_and_without_its_list() {
    let house = House::new();
    let life = house.start();
    for target in ["bank:first-bank", "signal:roaming"] {
        let suspend = house.on(Verb::Suspend, target);
        let taken = house.act(&life, TELECOM, &suspend, "").unwrap();
        assert_eq!(taken.kind, Kind::Suspended);
    }
    let lift = house.on(Verb::Lift, "signal:roaming");
    assert_eq!(
        house.act(&life, CENTRAL, &lift, "").unwrap().kind,
        Kind::LiftAsked
    );
    let (standing, list) = (all(&life), house.dir.path().join("agreement-acts"));
    assert_eq!(standing.len(), 2);
    let good = fs::read_to_string(&list).unwrap();
    let shorter = good.lines().take(3).collect::<Vec<_>>().join("\n");
    drop(life);
    for (what, file) in [
        ("as it was written", Some(good.clone())),
        ("gone", None),
        ("cut", Some(shorter)),
        ("changed", Some(good.replace(" 1\n", " 2\n"))),
        ("of a longer ledger", Some(good.replace(" 3\n", " 300\n"))),
        ("no text of ours", Some("x\ny\n".to_owned())),
    ] {
        match file {
            Some(file) => fs::write(&list, file).unwrap(),
            None => fs::remove_file(&list).unwrap(),
        }
        let life = house.start();
        assert_eq!(all(&life), standing, "{what}");
        // The wish to lift is there too: the other one lifts.
        let other = house.on(Verb::Lift, "signal:roaming");
        let again = refused(house.act(&life, CENTRAL, &other, ""));
        assert!(
            matches!(again, ActRefusal::NotNow(NotNow::AskedBySame { .. })),
            "{what}: {again}"
        );
    }
}

#[test]
fn an_act_after_the_list_was_written_is_found() {
    let house = House::new();
    let life = house.start();
    house
        .act(&life, TELECOM, &house.on(Verb::Suspend, "all"), "")
        .unwrap();
    let list = house.dir.path().join("agreement-acts");
    let old = fs::read(&list).unwrap();
    house.clock.step(SignedDuration::from_hours(24 * 40));
    // The clock steps, so the ledger is opened again.
    drop(life);
    let life = house.start();
    let bank = house.on(Verb::Suspend, "bank:first-bank");
    house.act(&life, TELECOM, &bank, "").unwrap();
    drop(life);
    fs::write(&list, old).unwrap();
    assert_eq!(all(&house.start()).len(), 2);
}

#[test]
fn a_ledger_with_an_act_that_nobody_signed_does_not_start() {
    for (kind, signer, says) in [
        (Kind::Suspended, None, "no act of an authority"),
        (Kind::Lifted, Some(TELECOM), "can't have happened"),
    ] {
        let house = House::new();
        let life = house.start();
        house
            .act(&life, TELECOM, &house.on(Verb::Suspend, "all"), "")
            .unwrap();
        let verb = match kind == Kind::Lifted {
            true => Verb::Lift,
            false => Verb::Suspend,
        };
        let act = house.on(verb, "all");
        let stranger = SigningKey::generate("central-bank").unwrap();
        let key = signer.map_or(&stranger, |at| &house.keys[at]);
        let forged = v1::AgreementAct {
            kind: kind as i32,
            note: act.sign(key).unwrap(),
            ..v1::AgreementAct::default()
        };
        let entry = encode(Event::AgreementAct(forged)).unwrap();
        let committed = life.ledger.append_blocking(entry).unwrap();
        drop(life);
        let error = house.recall(&house.ledger()).unwrap_err().to_string();
        assert!(error.contains(says), "{error}");
        let entry = format!("entry {}", committed.index);
        assert!(error.contains(&entry), "{error}");
    }
}

#[test]
fn each_act_that_is_not_taken_says_why_and_changes_nothing() {
    let house = House::new();
    let life = house.start();
    let size = || life.ledger.size();
    let before = size();
    let suspend = || house.on(Verb::Suspend, "bank:first-bank");
    let stale = Act {
        time: house.clock.now() - SignedDuration::from_mins(11),
        ..suspend()
    };
    let ahead = Act {
        time: house.clock.now() + SignedDuration::from_mins(11),
        ..suspend()
    };
    let elsewhere = Act {
        log: "other.test".to_owned(),
        ..suspend()
    };
    let other_version = Act {
        version: 2,
        ..suspend()
    };
    let other_text = Act {
        sha256: [1; 32],
        ..suspend()
    };
    for (act, says) in [
        (stale, "make it again"),
        (ahead, "make it again"),
        (elsewhere, "this is `accord.test`"),
        (other_version, "T version 1 governs"),
        (other_text, "T version 1 governs"),
        (house.on(Verb::Suspend, "bank:nobody"), "no `bank:nobody`"),
        (house.on(Verb::Lift, "bank:first-bank"), "is not suspended"),
        (house.about(Verb::Activate, 2), "propose it first"),
    ] {
        let refusal = refused(house.act(&life, TELECOM, &act, ""));
        assert!(refusal.to_string().contains(says), "{refusal}");
    }
    // The other authority's certificate.
    let note = suspend().sign(&house.keys[CENTRAL]).unwrap();
    let refusal = refused(life.act(&caller(TELECOM), &note, ""));
    assert!(
        matches!(refusal, ActRefusal::OtherSigner { .. }),
        "{refusal}"
    );
    assert_eq!((size(), all(&life)), (before, vec![]));
    // Twice the same act, even after it was lifted.
    let first = suspend();
    house.act(&life, TELECOM, &first, "").unwrap();
    for by in [TELECOM, CENTRAL] {
        let lift = house.on(Verb::Lift, "bank:first-bank");
        house.act(&life, by, &lift, "").unwrap();
    }
    let refusal = refused(house.act(&life, TELECOM, &first, ""));
    assert!(matches!(refusal, ActRefusal::Replayed { .. }), "{refusal}");
    assert_eq!(all(&life), []);
}

#[test]
fn documents_are_held_against_their_acts() {
    let house = House::new();
    let life = house.start();
    let propose = || house.about(Verb::Propose, 2);
    let by_telecom = house.signed(&text(2), &[TELECOM]);
    let mistaken = text(2).replacen("granularity", "granulation", 1);
    let over = text(2).replacen("2027-01-01", "2026-06-01", 1);
    let of = |text: &str| Act {
        sha256: text_sha256(text),
        ..propose()
    };
    for (act, document, says) in [
        (propose(), String::new(), "comes with the signed document"),
        (propose(), text(2), "signature"),
        (
            propose(),
            house.signed(&text(2), &[CENTRAL]),
            "not signed by",
        ),
        (propose(), house.signed(&text(3), &[TELECOM]), "not the one"),
        (
            of(&mistaken),
            house.signed(&mistaken, &[TELECOM]),
            "granulation",
        ),
        (of(&over), house.signed(&over, &[TELECOM]), "expired"),
        (
            house.about(Verb::Propose, 1),
            house.signed(&text(1), &[TELECOM]),
            "not above version 1",
        ),
        (
            propose(),
            "x".repeat(DOCUMENT_WIRE_BYTES_MAX + 1),
            "at most",
        ),
        (
            house.on(Verb::Suspend, "all"),
            by_telecom.clone(),
            "without one",
        ),
        (
            house.about(Verb::Sign, 2),
            by_telecom.clone(),
            "propose it first",
        ),
    ] {
        let refusal = refused(house.act(&life, TELECOM, &act, &document));
        assert!(refusal.to_string().contains(says), "{says}: {refusal}");
    }
    assert_eq!(life.past(0).unwrap().total, 0);
    let taken = house.act(&life, TELECOM, &propose(), &by_telecom).unwrap();
    assert_eq!(taken.kind, Kind::Proposed);
    let sha256 = text_sha256(&text(2));
    assert_eq!(life.document(&sha256).unwrap(), by_telecom);
    // One authority alone does not activate.
    let refusal = refused(house.act(&life, TELECOM, &house.about(Verb::Activate, 2), ""));
    assert!(refusal.to_string().contains("central bank"), "{refusal}");
    let by_central = house.signed(&text(2), &[CENTRAL]);
    let sign = house.about(Verb::Sign, 2);
    house.act(&life, CENTRAL, &sign, &by_central).unwrap();
    let both = life.document(&sha256).unwrap();
    SignedAgreement::open(&both, &house.authorities(), None).unwrap();
    let activate = house.about(Verb::Activate, 2);
    house.act(&life, CENTRAL, &activate, "").unwrap();
    assert_eq!(life.governance.activated().len(), 1);
    drop(life);
    let life = house.start();
    assert_eq!(life.governance.activated().len(), 1);
    assert_eq!(life.past(2).unwrap().acts.len(), 1);
}
