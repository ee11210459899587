//! A broker's ledger and keys in a directory, without the rest of it.

use std::time::Duration;

use accord_proto::{
    c2sp::SigningKey,
    clock::{Clock as _, ManualClock, SharedClock},
    msisdn::Msisdn,
    shares::{ShareSecret, combine},
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
        let (ledger, closed) = open(&dir, &key, &clock);
        let secrets = [REGULATOR, BANK].map(|name| ShareSecret::generate(name).unwrap());
        let tagged = (number, tag);
        Self {
            dir,
            key,
            clock,
            secrets,
            ledger,
            closed,
            tagged,
        }
    }

    /// As after a crash: what the process had in memory is gone.
    pub(super) fn restart(&mut self) {
        self.ledger.stop();
        (self.ledger, self.closed) = open(&self.dir, &self.key, &self.clock);
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
        self.dir.path().join("keys").join(name).exists()
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
        self.closed.give(month(text), &party, &statement).await
    }

    pub(super) async fn act(
        &self,
        kind: RequestKind,
        text: &str,
        org: &str,
    ) -> Result<v1::KeyMonth, Refusal> {
        let request = KeyRequest {
            ledger: "accord.test".to_owned(),
            kind,
            month: month(text),
            case: "CASE-1".to_owned(),
            at: self.clock.now(),
        };
        let (note, party, now) = (request.to_string(), authority(org), self.clock.now());
        let acted = self.closed.act(&request, &party, note, now);
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

fn open(dir: &TempDir, key: &SigningKey, clock: &Arc<ManualClock>) -> (Arc<Ledger>, ClosedKeys) {
    let own = key.renamed("accord.test").unwrap();
    let config = LedgerConfig {
        segment_bytes: 256 << 10,
        clock_step_max: Duration::from_secs(86_400 * 365),
        free_bytes_min: 1,
        ..LedgerConfig::new(dir.path().join("ledger"), own)
    };
    let (ledger, replayed) = Ledger::open(config, clock.clone()).unwrap();
    let ledger = Arc::new(ledger);
    let keys = dir.path().join("keys");
    let closed = ClosedKeys::open(&keys, Arc::clone(&ledger), replayed.last_time).unwrap();
    (ledger, closed)
}
