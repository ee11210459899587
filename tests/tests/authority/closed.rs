//! A world whose ledger has a month that is closed, from before the broker of today began: its key
//! is split when the broker starts.

use std::{fs, path::PathBuf};

use accord_proto::{
    clock::{Clock as _, SystemClock},
    shares::ShareSecret,
    subject::{Month, SubjectTag},
};
use accord_tests::world::{PastAccess, PastMonth, WorldFiles, WorldSpec};
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
        let past = [
            PastMonth {
                month,
                key: CLOSED,
                numbers: &[NUMBER],
            },
            PastMonth {
                month: last_month,
                key: LAST,
                numbers: &[NUMBER, RECYCLED],
            },
        ];
        let asked = files.begin_in_past(&past).unwrap();
        let PastAccess { index, tag } = *asked.first().unwrap();
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
        let name = format!("keys/tag-{}.key", self.month);
        self.stage.files.dir().join(name)
    }

    pub(crate) fn shares_file(&self) -> PathBuf {
        let name = format!("sealed/shares-{}.sealed", self.month);
        self.stage.files.dir().join(name)
    }

    /// What opens an authority's halves.
    pub(crate) fn secret(&self, authority: &str) -> ShareSecret {
        let path = format!("authorities/{authority}.share.key");
        let text = fs::read_to_string(self.stage.files.dir().join(path)).unwrap();
        ShareSecret::parse(&text).unwrap()
    }
}
