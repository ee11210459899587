//! A broker's ledger and keys in a directory, without the rest of it.

use std::{path::PathBuf, time::Duration};

use accord_proto::{
    c2sp::{SignedNote, SigningKey},
    clock::{Clock as _, ManualClock, SharedClock},
    msisdn::Msisdn,
    shares::{KeyRequest, ShareSecret, combine},
    subject::{SubjectTag, TagKey},
    v1::{KeyAct, entry::Event},
};
use jiff::tz::TimeZone;
use tempfile::TempDir;

use super::{super::*, BANK, REGULATOR};
use crate::{
    entry::{KEY_ACT_TAG, scan_events},
    ledger::LedgerConfig,
    subjects::tag_keys::TagKeys,
};

/// A broker's ledger and keys, from September 2026 on.
pub(super) struct Rig {
    pub(super) dir: TempDir,
    pub(super) key: SigningKey,
    pub(super) clock: Arc<ManualClock>,
    pub(super) secrets: [ShareSecret; 2],
    /// With which the authorities sign, in the same order.
    pub(super) signers: [SigningKey; 2],
    pub(super) ledger: Arc<Ledger>,
    pub(super) closed: ClosedKeys,
    /// Number, and its tag in September.
    pub(super) tagged: (Msisdn, SubjectTag),
}

pub(super) fn month(text: &str) -> Month {
    Month::parse(text).unwrap()
}

pub(super) fn authority(org: &str) -> PartyId {
    PartyId::parse(&format!("spiffe://accord.test/authority/{org}")).unwrap()
}

impl Rig {
    /// In November, with the keys of September, October and November, of which none is split.
    pub(super) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let key = SigningKey::generate("accord.test").unwrap();
        let clock = ManualClock::at("2026-09-10T00:00:00Z".parse().unwrap());
        let shared: SharedClock = clock.clone();
        Ledger::init(&dir.path().join("ledger"), &key, &[], &shared).unwrap();
        let (keys, _) = TagKeys::open(&dir.path().join("keys"), clock.now()).unwrap();
        let number = Msisdn::parse("+447700900001").unwrap();
        let tag = keys.pair().this_month.subject(&number);
        for at in ["2026-10-02T00:00:00Z", "2026-11-03T00:00:00Z"] {
            clock.set(at.parse().unwrap());
            assert!(keys.roll(clock.now()).unwrap());
        }
        let signers = [REGULATOR, BANK].map(|name| SigningKey::generate(name).unwrap());
        let (ledger, closed) = open(&dir, &key, &clock, &signers).unwrap();
        let secrets = [REGULATOR, BANK].map(|name| ShareSecret::generate(name).unwrap());
        let tagged = (number, tag);
        Self {
            dir,
            key,
            clock,
            secrets,
            signers,
            ledger,
            closed,
            tagged,
        }
    }

    /// As after a crash: what the process had in memory is gone.
    pub(super) fn restart(&mut self) {
        self.try_restart().unwrap();
    }

    pub(super) fn try_restart(&mut self) -> Result<(), ClosedError> {
        self.ledger.stop();
        (self.ledger, self.closed) = open(&self.dir, &self.key, &self.clock, &self.signers)?;
        Ok(())
    }

    pub(super) fn share_keys(&self) -> ShareKeys {
        let [regulator, bank] = self.secrets.each_ref().map(|secret| secret.key().clone());
        ShareKeys {
            telecom_regulator: regulator,
            central_bank: bank,
        }
    }

    pub(super) async fn split_due(&self) -> Vec<Month> {
        let (keys, now) = (self.share_keys(), self.clock.now());
        self.closed.split_due(&keys, now).await.unwrap()
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.path(name).exists()
    }

    /// Where a file of keys or of halves lies.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        let dir = match name.ends_with(".sealed") {
            true => "sealed",
            false => "keys",
        };
        self.dir.path().join(dir).join(name)
    }

    /// What the record says of keys, in order.
    pub(super) fn acts(&self) -> Vec<KeyAct> {
        let mut acts = Vec::new();
        scan_events(&self.ledger, Timestamp::MIN, KEY_ACT_TAG, |entry, _| {
            if let Some(Event::KeyAct(act)) = entry.event {
                acts.push(act);
            }
        })
        .unwrap();
        acts
    }

    pub(super) fn kinds(&self) -> Vec<Kind> {
        self.acts().iter().map(KeyAct::kind).collect()
    }

    pub(super) async fn give(&self, text: &str, org: &str) -> Result<SealedShare, Refusal> {
        let wire = v1::ReadStatement {
            description: "the half of a closed month's key".to_owned(),
            purpose: "a case".to_owned(),
            sensitivity: v1::Sensitivity::Restricted as i32,
            recipients: vec!["Inspector".to_owned()],
            needed_by: "2026-12-31".to_owned(),
            case: "CASE-1".to_owned(),
            joint: String::new(),
        };
        let today = self.clock.now().to_zoned(TimeZone::UTC).date();
        let statement = Statement::parse(&wire, today).unwrap();
        let party = authority(org);
        let case = GivenFor::Case(&statement);
        self.closed.give(month(text), &party, case).await
    }

    pub(super) async fn act(
        &self,
        kind: RequestKind,
        text: &str,
        org: &str,
    ) -> Result<v1::KeyMonth, Refusal> {
        let note = self.note(kind, text, org);
        // No two notes are the same.
        self.clock.set(self.clock.now() + Duration::from_secs(1));
        self.send(&note, org).await
    }

    /// A note as an authority signs it.
    pub(super) fn note(&self, kind: RequestKind, text: &str, org: &str) -> String {
        let request = KeyRequest {
            ledger: "accord.test".to_owned(),
            kind,
            month: month(text),
            case: "CASE-1".to_owned(),
            at: self.clock.now(),
        };
        let mut note = SignedNote::unsigned(request.to_string()).unwrap();
        let signer = self.signers.iter().find(|key| key.verifier().name() == org);
        note.sign(signer.unwrap()).unwrap();
        note.to_string()
    }

    pub(super) async fn send(&self, note: &str, org: &str) -> Result<v1::KeyMonth, Refusal> {
        let signed = KeyRequest::open(note, &authorities(&self.signers)).unwrap();
        let (party, now) = (authority(org), self.clock.now());
        let acted = self.closed.act(&signed, &party, note.to_owned(), now);
        acted.await.map(|(month, _)| month)
    }

    /// The key that the two authorities make of what they were given.
    pub(super) async fn unmasked(&self, text: &str) -> TagKey {
        let mut halves = Vec::new();
        for (org, secret) in [REGULATOR, BANK].iter().zip(&self.secrets) {
            let share = self.give(text, org).await.unwrap();
            halves.push(share.open(secret).unwrap());
        }
        combine(&halves[0], &halves[1]).unwrap()
    }
}

fn authorities([regulator, bank]: &[SigningKey; 2]) -> Authorities {
    Authorities::new(regulator.verifier().clone(), bank.verifier().clone()).unwrap()
}

fn open(
    dir: &TempDir,
    key: &SigningKey,
    clock: &Arc<ManualClock>,
    signers: &[SigningKey; 2],
) -> Result<(Arc<Ledger>, ClosedKeys), ClosedError> {
    let own = key.renamed("accord.test").unwrap();
    let config = LedgerConfig {
        segment_bytes: 256 << 10,
        clock_step_max: Duration::from_secs(86_400 * 365),
        free_bytes_min: 1,
        ..LedgerConfig::new(dir.path().join("ledger"), own)
    };
    let (ledger, _) = Ledger::open(config, clock.clone()).unwrap();
    let ledger = Arc::new(ledger);
    let [keys, sealed] = ["keys", "sealed"].map(|name| dir.path().join(name));
    let closed = ClosedKeys::open(&keys, &sealed, Arc::clone(&ledger), authorities(signers))?;
    Ok((ledger, closed))
}
