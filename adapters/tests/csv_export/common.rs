//! An export directory with a clock, for the tests of the CSV source.
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use accord_adapters::csv_export::{CsvConfig, CsvExport, Refusal, Reload, Report};
use accord_adapters::source::{Condition, Observations, Source};
use accord_proto::clock::ManualClock;
use accord_proto::msisdn::Msisdn;
use accord_proto::observation::{Change, Observation, Observed};
use accord_proto::reason::Reason;
use accord_proto::signal::Signal;
use jiff::Timestamp;
use tokio::time::Instant;

pub(crate) const NOW: &str = "2026-11-21T09:00:00Z";
pub(crate) const EXPORTED: &str = "2026-11-21T02:30:00Z";
pub(crate) const HEADER: &str = "MSISDN;SIM;ACTIVE;EXPORTED";

/// All but `file_name`, `encoding`, `exported_at`, `complete` and `columns`.
pub(crate) const BASE: &str = r#"
delimiter = ";"
time_zone = "Europe/London"
never = ["01-01-1900"]
unknown = ["", "N/A"]

[number]
country_code = "44"
national_prefix = "0"
"#;

pub(crate) const PLAIN: &str = r#"
[exported_at]
from = "column"
name = "EXPORTED"
format = "%Y-%m-%d %H:%M:%S"

[complete]
by = "final_newline"

[columns]
msisdn = "MSISDN"
sim_changed_at = { name = "SIM", format = "%d-%m-%Y", history_since = "2015-01-01" }
activated_at = { name = "ACTIVE", format = "%d-%m-%Y" }
"#;

pub(crate) struct Export {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) clock: Arc<ManualClock>,
    config: String,
    pub(crate) source: CsvExport,
}

impl Export {
    /// `top` holds keys of the top level, `tables` the tables.
    pub(crate) fn new(top: &str, tables: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let clock = ManualClock::at(NOW.parse().unwrap());
        let mut keys = format!("directory = {:?}\n{top}\n", dir.path());
        for (key, value) in [("file_name", "subscribers.csv"), ("encoding", "utf-8")] {
            if !top.contains(key) {
                keys.push_str(&format!("{key} = \"{value}\"\n"));
            }
        }
        let config = format!("{keys}{BASE}{tables}");
        let source = open(&config, &clock);
        Self {
            dir,
            clock,
            config,
            source,
        }
    }

    pub(crate) fn plain() -> Self {
        Self::new("", PLAIN)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Puts a file in its place as a careful exporter does: written whole, then renamed.
    pub(crate) fn put(&self, name: &str, bytes: impl AsRef<[u8]>) {
        let new = self.path("incoming");
        std::fs::write(&new, bytes).unwrap();
        std::fs::rename(new, self.path(name)).unwrap();
    }

    pub(crate) fn restart(&mut self) {
        self.source = open(&self.config, &self.clock);
    }

    pub(crate) async fn take(&self, bytes: impl AsRef<[u8]>) -> Result<Arc<Report>, Refusal> {
        self.put("subscribers.csv", bytes);
        match self.source.reload_once().await? {
            Reload::Taken(report) => Ok(report),
            Reload::Unchanged => Err(Refusal::Absent),
        }
    }

    pub(crate) async fn all(&self, last: u16, signals: &[Signal]) -> Observations {
        let deadline = Instant::now() + Duration::from_secs(1);
        self.source.observe(number(last), signals, deadline).await
    }

    pub(crate) async fn ask(&self, last: u16, signal: Signal) -> Result<Observation, Reason> {
        let observations = self.all(last, &[signal]).await;
        observations.signals.into_iter().next().unwrap().1
    }

    pub(crate) async fn change(&self, last: u16, signal: Signal) -> Result<Change, Reason> {
        let observation = self.ask(last, signal).await?;
        match observation.what {
            Observed::Change(change) => Ok(change),
            Observed::Forwarding(_)
            | Observed::SomeForwarding(_)
            | Observed::Roaming(_)
            | Observed::Signalling(_) => Err(Reason::NotAvailable),
        }
    }
}

/// Why a file was refused, without numbers in it; and the operator is told so, and a bank what it was told
/// before.
pub(crate) async fn refusal(export: &Export, bytes: impl AsRef<[u8]>) -> Refusal {
    let in_force = export.source.report().is_some();
    let before = export.ask(1, Signal::SimSwap).await;
    let refusal = export.take(bytes).await.unwrap_err();
    let chain = format!("{refusal} {refusal:?}");
    assert!(!chain.contains("7700900"), "a number in an error: {chain}");
    let state = export.source.state();
    let condition = match (in_force, &refusal) {
        (true, _) => Condition::Behind,
        // It may be taken later, as it is.
        (false, Refusal::Future(_)) => Condition::Down,
        (false, _) => Condition::Unusable,
    };
    assert_eq!(state.condition, condition, "{refusal}");
    assert_eq!(state.why, refusal.to_string());
    let after = export.ask(1, Signal::SimSwap).await;
    assert_eq!(after, before, "{refusal}");
    assert!(in_force || after == Err(Reason::SourceDown), "{refusal}");
    refusal
}

fn open(config: &str, clock: &Arc<ManualClock>) -> CsvExport {
    let config: CsvConfig = toml::from_str(config).unwrap();
    CsvExport::open(config, Arc::clone(clock) as _).unwrap()
}

pub(crate) fn number(last: u16) -> Msisdn {
    Msisdn::parse(&format!("+447700900{last:03}")).unwrap()
}

pub(crate) fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// A file of [`PLAIN`]: number, SIM date and activation date of each row.
pub(crate) fn file(rows: &[(&str, &str, &str)]) -> String {
    let mut text = format!("{HEADER}\n");
    for (number, sim, active) in rows {
        text.push_str(&format!("{number};{sim};{active};2026-11-21 02:30:00\n"));
    }
    text
}

pub(crate) fn set_written(path: &Path, at: &str) {
    let at: Timestamp = at.parse().unwrap();
    let file = std::fs::File::options().write(true).open(path).unwrap();
    file.set_modified(at.into()).unwrap();
}
