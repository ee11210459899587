//! A ledger that began in the past, so that a world has months that are closed. What a broker does
//! with them, it does by itself when it starts.

use std::{fs, time::Duration};

use accord_broker::ledger::{Ledger, LedgerConfig};
use accord_certs::disk;
use accord_proto::{
    c2sp::SigningKey,
    clock::{ManualClock, SharedClock},
    msisdn::Msisdn,
    purpose::Purpose,
    signal::Signal,
    subject::{Month, SubjectTag, TagKey},
    v1::{self, entry::Event},
};
use aws_lc_rs::rand;
use jiff::Timestamp;
use prost::Message as _;

use super::{WorldError, WorldFiles};

/// The clause under which it is said to have been asked, of the sandbox's agreement.
const CLAUSE: &str = "3.1";

/// A month of the past.
#[derive(Debug)]
pub struct PastMonth<'a> {
    /// Which.
    pub month: Month,
    /// Its key, as the broker made it then.
    pub key: [u8; TagKey::LEN],
    /// What first-bank asked about in it.
    pub numbers: &'a [&'a str],
}

impl PastMonth<'_> {
    /// With a fresh key.
    ///
    /// # Errors
    /// If the system gives no random bytes.
    pub fn fresh<'a>(month: Month, numbers: &'a [&'a str]) -> Result<PastMonth<'a>, WorldError> {
        let key = random()?;
        Ok(PastMonth {
            month,
            key,
            numbers,
        })
    }
}

/// One question of then, as it is on the record.
#[derive(Clone, Copy, Debug)]
pub struct PastAccess {
    /// The entry's index in its month's log.
    pub index: u64,
    /// Whom it was about.
    pub tag: SubjectTag,
}

/// One question of the past, whenever it was and whoever asked it.
#[derive(Clone, Copy, Debug)]
pub struct PastQuestion<'a> {
    /// When; none is before the one before it.
    pub at: Timestamp,
    /// The bank.
    pub bank: &'a str,
    /// Its application.
    pub application: &'a str,
    /// What it asked about.
    pub number: &'a str,
}

impl WorldFiles {
    /// Makes the ledger anew, as it would be if it had begun with these questions, under one key of
    /// the months that they are in. Call it before anything runs.
    ///
    /// # Errors
    /// [`WorldError`] names the file.
    pub fn ask_in_past(&self, questions: &[PastQuestion<'_>]) -> Result<(), WorldError> {
        let keys = self.dir().join("keys");
        disk::private_dir(&keys)?;
        let key: [u8; TagKey::LEN] = random()?;
        let clock = ManualClock::at(Timestamp::UNIX_EPOCH);
        let first = questions.first().map(|question| question.at);
        clock.set(first.unwrap_or(Timestamp::UNIX_EPOCH));
        let ledger = self.ledger_anew(clock.clone())?;
        for question in questions {
            clock.set(question.at);
            let month = Month::of(question.at);
            let path = keys.join(format!("tag-{month}.key"));
            if !path.exists() {
                fs::write(&path, key).map_err(WorldError::io("write", &path))?;
            }
            let past = PastMonth {
                month,
                key,
                numbers: &[],
            };
            asked(&ledger, &past, question)?;
        }
        ledger.stop();
        Ok(())
    }

    /// Makes the ledger anew, as it would be if it had begun in the first of these months, and puts
    /// each month's key where the broker of then had it. Call it before anything runs.
    ///
    /// # Errors
    /// [`WorldError`] names the file.
    pub fn begin_in_past(&self, months: &[PastMonth<'_>]) -> Result<Vec<PastAccess>, WorldError> {
        let keys = self.dir().join("keys");
        disk::private_dir(&keys)?;
        for past in months {
            let path = keys.join(format!("tag-{}.key", past.month));
            fs::write(&path, past.key).map_err(WorldError::io("write", &path))?;
        }
        let clock = ManualClock::at(Timestamp::UNIX_EPOCH);
        let shared: SharedClock = clock.clone();
        let first = months.first().map(|past| past.month);
        clock.set(first.map_or(Timestamp::UNIX_EPOCH, tenth));
        let ledger = self.ledger_anew(shared)?;
        let mut accesses = Vec::new();
        for past in months {
            clock.set(tenth(past.month));
            for number in past.numbers {
                let question = PastQuestion {
                    at: tenth(past.month),
                    bank: "first-bank",
                    application: "",
                    number,
                };
                accesses.push(asked(&ledger, past, &question)?);
            }
        }
        ledger.stop();
        Ok(accesses)
    }

    fn ledger_anew(&self, clock: SharedClock) -> Result<Ledger, WorldError> {
        let path = self.dir().join("ledger.key");
        let text = fs::read_to_string(&path).map_err(WorldError::io("read", &path))?;
        let key = SigningKey::parse(text.trim())?;
        let authorities = self.authorities()?;
        let pinned = [
            authorities.telecom_regulator().clone(),
            authorities.central_bank().clone(),
        ];
        let dir = self.ledger_dir();
        fs::remove_dir_all(&dir).map_err(WorldError::io("remove", &dir))?;
        Ledger::init(&dir, &key, &pinned, &clock)?;
        let mut config = LedgerConfig::new(&dir, key);
        config.segment_bytes = u64::from(self.spec().segment_mib) << 20;
        config.free_bytes_min = 1;
        // From one month to the next in one step.
        config.clock_step_max = Duration::from_secs(86_400 * 366);
        let (ledger, _) = Ledger::open(config, clock)?;
        Ok(ledger)
    }
}

/// One question in a month.
fn asked(
    ledger: &Ledger,
    past: &PastMonth<'_>,
    question: &PastQuestion<'_>,
) -> Result<PastAccess, WorldError> {
    let msisdn = Msisdn::parse(question.number)?;
    let tag = TagKey::new(past.month, &past.key).subject(&msisdn);
    let access = v1::Access {
        bank: question.bank.to_owned(),
        application: question.application.to_owned(),
        operator: "north-mobile".to_owned(),
        purpose: Purpose::Payment.to_wire() as i32,
        subject_tag: tag.0.to_vec(),
        tag_month: past.month.to_string(),
        signals: vec![v1::SignalRecord {
            signal: Signal::SimSwap.to_wire() as i32,
            clause: CLAUSE.to_owned(),
            ..v1::SignalRecord::default()
        }],
        ..v1::Access::default()
    };
    let entry = v1::Entry {
        salt: random::<32>()?.to_vec(),
        event: Some(Event::Access(access)),
        time_unix_ms: 0,
    };
    let committed = ledger.append_blocking(entry.encode_to_vec())?;
    Ok(PastAccess {
        index: committed.index,
        tag,
    })
}

fn random<const N: usize>() -> Result<[u8; N], WorldError> {
    let mut bytes = [0; N];
    rand::fill(&mut bytes).map_err(|_| WorldError::NoRandom)?;
    Ok(bytes)
}

/// Noon of a month's tenth day.
fn tenth(month: Month) -> Timestamp {
    let noon = format!("{month}-10T12:00:00Z").parse();
    noon.unwrap_or(Timestamp::UNIX_EPOCH)
}
