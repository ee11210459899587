//! A world whose ledger has a month that is closed, from before the broker of today began: its key
//! is split when the broker starts.

use std::{fs, path::PathBuf, time::Duration};

use accord_broker::ledger::{Ledger, LedgerConfig};
use accord_proto::{
    c2sp::SigningKey,
    clock::{Clock as _, ManualClock, SharedClock, SystemClock},
    msisdn::Msisdn,
    purpose::Purpose,
    shares::ShareSecret,
    subject::{Month, SubjectTag, TagKey},
    v1::{self, entry::Event},
};
use accord_tests::world::{WorldFiles, WorldSpec};
use jiff::Timestamp;
use prost::Message as _;
use tempfile::TempDir;

use crate::stage::Stage;

/// The key of the closed month, which the broker erases, and last month's, which it keeps.
const CLOSED: [u8; 32] = [0x5a; 32];
const LAST: [u8; 32] = [0x3c; 32];
/// Numbers that were asked about: the first one in both months, the other one last month. It has
/// another holder since.
const NUMBER: &str = "+447700900100";
const RECYCLED: &str = "+447700900024";

pub(crate) struct Closed {
    pub(crate) stage: Stage,
    /// Three months ago.
    pub(crate) month: Month,
    pub(crate) last_month: Month,
    /// The number's tag in that month, and the entry that has it.
    pub(crate) tag: SubjectTag,
    pub(crate) index: u64,
}

impl Closed {
    /// First-bank asked about one number in the closed month.
    pub(crate) async fn month() -> Self {
        let dir = TempDir::new().unwrap();
        let spec = WorldSpec::default();
        let files = WorldFiles::write(dir.path(), &spec).unwrap();
        let last_month = Month::of(SystemClock.now()).previous();
        let month = last_month.previous().previous();
        let keys = dir.path().join("keys");
        fs::create_dir_all(&keys).unwrap();
        for (month, key) in [(month, CLOSED), (last_month, LAST)] {
            fs::write(keys.join(format!("tag-{month}.key")), key).unwrap();
        }
        let tag = |month, key, text| TagKey::new(month, key).subject(&Msisdn::parse(text).unwrap());
        let asked = [
            (month, tag(month, &CLOSED, NUMBER)),
            (last_month, tag(last_month, &LAST, NUMBER)),
            (last_month, tag(last_month, &LAST, RECYCLED)),
        ];
        let index = begin_then(&files, &asked);
        let [(_, tag), ..] = asked;
        let stage = Stage::of(dir, files, spec).await;
        Self {
            stage,
            month,
            last_month,
            tag,
            index,
        }
    }

    pub(crate) fn key_file(&self) -> PathBuf {
        self.kept(&format!("tag-{}.key", self.month))
    }

    pub(crate) fn shares_file(&self) -> PathBuf {
        self.kept(&format!("shares-{}.sealed", self.month))
    }

    fn kept(&self, name: &str) -> PathBuf {
        self.stage.files.dir().join("keys").join(name)
    }

    /// What opens an authority's halves.
    pub(crate) fn secret(&self, authority: &str) -> ShareSecret {
        let path = format!("authorities/{authority}.share.key");
        let text = fs::read_to_string(self.stage.files.dir().join(path)).unwrap();
        ShareSecret::parse(&text).unwrap()
    }
}

/// Makes the ledger anew, as it would be if it had begun in the first one's month; returns the index
/// of the first one's entry.
fn begin_then(files: &WorldFiles, asked: &[(Month, SubjectTag); 3]) -> u64 {
    let clock = ManualClock::at(Timestamp::UNIX_EPOCH);
    let in_month = |month: Month| clock.set(format!("{month}-10T12:00:00Z").parse().unwrap());
    let [(first, _), ..] = asked;
    in_month(*first);
    let shared: SharedClock = clock.clone();
    let text = fs::read_to_string(files.dir().join("ledger.key")).unwrap();
    let key = SigningKey::parse(text.trim()).unwrap();
    let authorities = files.authorities().unwrap();
    let pinned = [
        authorities.telecom_regulator().clone(),
        authorities.central_bank().clone(),
    ];
    let dir = files.ledger_dir();
    fs::remove_dir_all(&dir).unwrap();
    Ledger::init(&dir, &key, &pinned, &shared).unwrap();
    let mut config = LedgerConfig::new(&dir, key);
    config.segment_bytes = u64::from(files.spec().segment_mib) << 20;
    config.free_bytes_min = 1;
    config.clock_step_max = Duration::from_secs(86_400 * 365);
    let (ledger, _) = Ledger::open(config, shared).unwrap();
    let append = |(month, tag): &(Month, SubjectTag)| {
        in_month(*month);
        let access = v1::Access {
            bank: "first-bank".to_owned(),
            operator: "north-mobile".to_owned(),
            purpose: Purpose::Payment.to_wire() as i32,
            subject_tag: tag.0.to_vec(),
            tag_month: month.to_string(),
            ..v1::Access::default()
        };
        let entry = v1::Entry {
            salt: vec![7; 32],
            event: Some(Event::Access(access)),
            time_unix_ms: 0,
        };
        ledger.append_blocking(entry.encode_to_vec()).unwrap().index
    };
    let [index, ..] = asked.each_ref().map(append);
    ledger.stop();
    index
}
