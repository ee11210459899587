//! What is fetched, and what a source makes of it.

use std::{fmt::Write as _, fs, path::Path, sync::Arc, time::Duration};

use accord_adapters::{
    csv_export::{CsvConfig, CsvExport, Refusal, Reload},
    file_drop::testing::RealSshd,
    source::{Condition, Source},
};
use accord_proto::{
    clock::ManualClock, hex, msisdn::Msisdn, observation::Observation, reason::Reason,
    signal::Signal,
};
use aws_lc_rs::digest::{SHA256, digest};
use jiff::Timestamp;
use tempfile::TempDir;
use tokio::time::Instant;

pub(crate) const NOW: &str = "2026-11-23T09:00:00Z";

/// A server, a spool, and an export that comes from the one into the other.
pub(crate) struct Stage {
    pub(crate) source: Arc<CsvExport>,
    pub(crate) sshd: RealSshd,
    pub(crate) spool: TempDir,
    pub(crate) server: TempDir,
}

pub(crate) fn config(spool: &Path, complete: &str, sftp: &str) -> CsvConfig {
    let text = format!(
        "directory = {spool:?}\nfile_name = \"subscribers-%Y%m%d.csv\"\nencoding = \"utf-8\"\n\
         time_zone = \"UTC\"\nnever = [\"-\"]\nreload_ms = 20\n\
         [number]\ncountry_code = \"44\"\n[exported_at]\nfrom = \"file_name\"\ntime = \"02:30\"\n\
         [complete]\n{complete}\n[columns]\nmsisdn = \"MSISDN\"\n\
         sim_changed_at = {{ name = \"SIM\", format = \"%Y-%m-%d\", history_since = \"2015-01-01\" }}\n\
         [sftp]\n{sftp}"
    );
    toml::from_str(&text).unwrap()
}

impl Stage {
    pub(crate) fn new(complete: &str) -> Self {
        let (server, spool) = (TempDir::new().unwrap(), TempDir::new().unwrap());
        let sshd = RealSshd::start(server.path()).unwrap();
        let config = config(spool.path(), complete, &sshd.section().unwrap());
        let now: Timestamp = NOW.parse().unwrap();
        let source = Arc::new(CsvExport::open(config, ManualClock::at(now)).unwrap());
        Self {
            source,
            sshd,
            spool,
            server,
        }
    }

    /// Offers a file.
    pub(crate) fn put(&self, name: &str, text: &str) {
        fs::write(self.sshd.files().join(name), text).unwrap();
    }

    pub(crate) async fn round(&self) -> Result<Reload, Refusal> {
        self.source.files().unwrap().fetch().await.unwrap();
        self.source.reload_once().await
    }

    pub(crate) async fn ask(&self, number: &str) -> Result<Observation, Reason> {
        ask(&self.source, number).await
    }

    /// The names in the spool.
    pub(crate) fn spooled(&self) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(self.spool.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }
}

pub(crate) async fn ask(source: &CsvExport, number: &str) -> Result<Observation, Reason> {
    let msisdn = Msisdn::parse(number).unwrap();
    let by = Instant::now() + Duration::from_secs(5);
    let mut answer = source.observe(msisdn, &[Signal::SimSwap], by).await;
    answer.signals.remove(0).1
}

pub(crate) fn export(rows: &[(&str, &str)]) -> String {
    let mut text = "MSISDN,SIM\n".to_owned();
    for (number, sim) in rows {
        writeln!(text, "{number},{sim}").unwrap();
    }
    text
}

pub(crate) fn sha256(text: &str) -> String {
    hex::encode(digest(&SHA256, text.as_bytes()).as_ref())
}

const ONE: &str = "+447700900001";

#[tokio::test]
#[ignore = "needs sshd"]
async fn an_export_with_its_checksum_is_fetched_and_answered_from() {
    let stage = Stage::new("by = \"sha256_file\"");
    let text = export(&[(ONE, "2026-11-20"), ("+447700900002", "-")]);
    stage.put("subscribers-20261123.csv", &text);
    stage.put("notes.txt", "not an export");
    // Without its checksum it is not believed.
    assert!(matches!(stage.round().await, Err(Refusal::NoChecksum)));
    assert_eq!(stage.ask(ONE).await, Err(Reason::SourceDown));
    assert_eq!(stage.source.state().condition, Condition::Down);
    let line = format!("{}  subscribers-20261123.csv\n", sha256(&text));
    stage.put("subscribers-20261123.csv.sha256", &line);
    assert!(matches!(stage.round().await, Ok(Reload::Taken(_))));
    let observed = stage.ask(ONE).await.unwrap();
    assert_eq!(observed.observed_at.to_string(), "2026-11-23T02:30:00Z");
    assert_eq!(
        stage.spooled(),
        [
            "subscribers-20261123.csv",
            "subscribers-20261123.csv.sha256"
        ]
    );
    let state = stage.source.state();
    assert_eq!(state.condition, Condition::Up);
    assert_eq!(state.observed_to, Some(observed.observed_at));
    // And is not fetched once more.
    let again = stage.source.files().unwrap().fetch().await.unwrap();
    assert_eq!(again.files, 0);
}

#[tokio::test]
#[ignore = "needs sshd"]
async fn what_the_next_days_file_says_otherwise_is_taken_back_from_brokers() {
    const OTHER: &str = "+447700900002";
    let stage = Stage::new("by = \"final_newline\"");
    stage.put(
        "subscribers-20261122.csv",
        &export(&[(ONE, "2026-11-20"), (OTHER, "-")]),
    );
    let mut changes = stage.source.changes().unwrap();
    let watching = {
        let source = Arc::clone(&stage.source);
        let files = source.files().unwrap();
        tokio::spawn(async move { tokio::join!(files.watch(), source.watch()) })
    };
    let by = Instant::now() + Duration::from_secs(20);
    while stage.ask(ONE).await.is_err() || stage.ask(OTHER).await.is_err() {
        assert!(Instant::now() < by, "the first file");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    // Both were asked about before there was a file.
    while changes.try_recv().is_ok() {}
    let first = stage.ask(ONE).await.unwrap();
    stage.put(
        "subscribers-20261123.csv",
        &export(&[(ONE, "2026-11-22"), (OTHER, "-")]),
    );
    let gone = tokio::time::timeout(Duration::from_secs(20), changes.recv()).await;
    let gone = gone.unwrap().unwrap();
    assert!(gone.msisdn == Msisdn::parse(ONE).unwrap());
    assert_eq!((gone.signal, gone.observation), (Signal::SimSwap, None));
    assert_ne!(stage.ask(ONE).await.unwrap().what, first.what);
    assert!(changes.try_recv().is_err(), "the other is as it was");
    watching.abort();
}

#[tokio::test]
#[ignore = "needs sshd"]
async fn a_file_that_is_not_what_its_checksum_says_changes_nothing_until_it_is() {
    let stage = Stage::new("by = \"sha256_file\"");
    let good = export(&[(ONE, "2026-11-20")]);
    let line = |text: &str| format!("{}  subscribers-20261123.csv\n", sha256(text));
    stage.put("subscribers-20261123.csv", &good);
    for (sums, refusal) in [
        (line("another"), "is not the one"),
        (
            format!("{}  subscribers-20261122.csv\n", sha256(&good)),
            "there is no checksum",
        ),
        ("no checksum at all\n".to_owned(), "unreadable"),
        (format!("{}{}", line(&good), line("another")), "unreadable"),
    ] {
        stage.put("subscribers-20261123.csv.sha256", &sums);
        let refused = stage.round().await.unwrap_err().to_string();
        assert!(refused.contains(refusal), "{refused}");
        assert_eq!(stage.ask(ONE).await, Err(Reason::SourceDown));
    }
    stage.put("subscribers-20261123.csv.sha256", &line(&good));
    assert!(matches!(stage.round().await, Ok(Reload::Taken(_))));
}

#[tokio::test]
#[ignore = "needs sshd"]
async fn a_manifest_says_which_days_are_whole_and_a_late_day_never_replaces_a_newer_one() {
    let stage = Stage::new("by = \"manifest\"\nname = \"SHA256SUMS\"");
    let days = [21, 22, 23].map(|day| {
        let name = format!("subscribers-202611{day}.csv");
        (name, export(&[(ONE, &format!("2026-11-{}", day - 5))]))
    });
    let sums = |days: &[&(String, String)]| {
        let lines = days
            .iter()
            .map(|(name, text)| format!("{} *{name}\n", sha256(text)));
        lines.collect::<String>()
    };
    let [first, second, third] = &days;
    // The second day comes before the first.
    stage.put(&second.0, &second.1);
    stage.put("SHA256SUMS", &sums(&[second]));
    assert!(matches!(stage.round().await, Ok(Reload::Taken(_))));
    let second_day = stage.ask(ONE).await.unwrap();
    stage.put(&first.0, &first.1);
    stage.put("SHA256SUMS", &sums(&[first, second]));
    assert!(matches!(stage.round().await, Ok(Reload::Unchanged)));
    assert_eq!(stage.ask(ONE).await.unwrap(), second_day);
    // A day that the manifest does not name is not taken, and the one before stays.
    stage.put(&third.0, &third.1);
    assert!(matches!(stage.round().await, Err(Refusal::NoChecksum)));
    assert_eq!(stage.ask(ONE).await.unwrap(), second_day);
    assert_eq!(stage.source.state().condition, Condition::Behind);
    stage.put("SHA256SUMS", &sums(&[first, second, third]));
    assert!(matches!(stage.round().await, Ok(Reload::Taken(_))));
    assert_ne!(stage.ask(ONE).await.unwrap(), second_day);
    assert_eq!(stage.source.state().condition, Condition::Up);
}

#[tokio::test]
#[ignore = "needs sshd"]
async fn what_the_server_has_cleared_away_goes_from_the_spool_too() {
    let stage = Stage::new("by = \"final_newline\"");
    let (old, new) = ("subscribers-20261122.csv", "subscribers-20261123.csv");
    stage.put(old, &export(&[(ONE, "2026-11-20")]));
    fs::write(stage.spool.path().join("notes.txt"), "of a person").unwrap();
    assert!(matches!(stage.round().await, Ok(Reload::Taken(_))));
    // A server that offers nothing at all takes nothing away.
    fs::remove_file(stage.sshd.files().join(old)).unwrap();
    assert!(matches!(stage.round().await, Ok(Reload::Unchanged)));
    assert_eq!(stage.spooled(), ["notes.txt", old]);
    stage.put(new, &export(&[(ONE, "2026-11-21")]));
    assert!(matches!(stage.round().await, Ok(Reload::Taken(_))));
    assert_eq!(stage.spooled(), ["notes.txt", new]);
}

#[tokio::test]
#[ignore = "needs sshd"]
async fn a_marker_that_is_older_than_its_file_on_the_server_is_older_here_too() {
    let stage = Stage::new("by = \"done_file\"");
    let name = "subscribers-20261123.csv";
    stage.put(name, &export(&[(ONE, "2026-11-20")]));
    stage.put(&format!("{name}.done"), "1");
    let date = |name: &str, seconds| {
        let file = fs::File::options()
            .write(true)
            .open(stage.sshd.files().join(name));
        let at = std::time::UNIX_EPOCH + Duration::from_secs(seconds);
        file.unwrap().set_modified(at).unwrap();
    };
    date(name, 1_795_000_100);
    date(&format!("{name}.done"), 1_795_000_000);
    assert!(matches!(stage.round().await, Err(Refusal::NotDone)));
    date(&format!("{name}.done"), 1_795_000_200);
    assert!(matches!(stage.round().await, Ok(Reload::Taken(_))));
}
