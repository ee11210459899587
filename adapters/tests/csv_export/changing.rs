//! Exports and lists of numbers that somebody writes to while they are read.
//!
//! A pipe stands where the file should be: whoever reads it waits for what is written, so that the test
//! says in which moment of the reading something happens.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::thread::{JoinHandle, spawn};
use std::time::Duration;

use accord_adapters::csv_export::{Refusal, Reload};
use accord_adapters::number_list::{ListConfig, ListError, NumberList};
use accord_adapters::source::{Condition, Source};
use accord_proto::clock::ManualClock;
use accord_proto::observation::{Observation, Observed};
use accord_proto::reason::Reason;
use accord_proto::signal::Signal;
use jiff::SignedDuration;
use tokio::time::Instant;

use crate::common::{Export, NOW, file, number};

/// A pipe in place of a file, of long ago.
fn pipe(path: &Path) {
    let _ = fs::remove_file(path);
    for command in [&["mkfifo"][..], &["touch", "-c", "-d", "2020-01-01"]] {
        let (program, arguments) = command.split_first().unwrap();
        let done = Command::new(program).args(arguments).arg(path).status();
        assert!(done.unwrap().success(), "{command:?}");
    }
}

/// Writes a text into the pipe, for whoever reads it. In the middle, `another` file takes its place if there
/// is one; else the pipe alone was written to, as a file is that grows.
fn write(path: PathBuf, text: String, another: Option<String>) -> JoinHandle<()> {
    spawn(move || {
        // Waits for the reader, who has looked at the file by then.
        let mut to = File::options().write(true).open(&path).unwrap();
        let (begin, end) = text.split_at(text.len() / 2);
        to.write_all(begin.as_bytes()).unwrap();
        if let Some(another) = another {
            let new = path.with_extension("incoming");
            fs::write(&new, another).unwrap();
            fs::rename(new, &path).unwrap();
        }
        to.write_all(end.as_bytes()).unwrap();
    })
}

fn exported(day: &str, swapped: &str) -> String {
    file(&[("07700900001", swapped, "01-02-2020")]).replace("2026-11-21", day)
}

#[tokio::test]
async fn an_export_that_is_written_to_while_it_is_read_is_not_taken() {
    let export = Export::plain();
    let path = export.path("subscribers.csv");
    let days = [
        ("2026-11-21", "15-07-2026"),
        ("2026-11-22", "16-07-2026"),
        ("2026-11-23", "17-07-2026"),
    ];
    for ((day, swapped), replaced) in days.into_iter().zip([true, true, false]) {
        let before = export.ask(1, Signal::SimSwap).await;
        let good = exported(day, swapped);
        pipe(&path);
        let writing = write(path.clone(), good.clone(), replaced.then(|| good.clone()));
        let refused = export.source.reload_once().await;
        assert!(matches!(refused, Err(Refusal::Changing)), "{refused:?}");
        writing.join().unwrap();
        let state = export.source.state();
        let (condition, said) = match &before {
            Err(_) => (Condition::Down, Err(Reason::SourceDown)),
            Ok(observation) => (Condition::Behind, Ok(observation.clone())),
        };
        assert_eq!(state.condition, condition, "{day}");
        assert!(state.why.contains("changed while it was read"), "{day}");
        assert_eq!(export.ask(1, Signal::SimSwap).await, said, "{day}");

        // What lies there when it has settled is taken.
        if !replaced {
            export.put("subscribers.csv", &good);
        }
        let taken = export.source.reload_once().await;
        assert!(matches!(taken, Ok(Reload::Taken(_))), "{taken:?}");
        assert_eq!(export.source.state().condition, Condition::Up);
        assert_ne!(export.ask(1, Signal::SimSwap).await, before, "{day}");
        export.clock.step(SignedDuration::from_hours(24));
    }
}

async fn recycled(list: &NumberList) -> Result<Observation, Reason> {
    let by = Instant::now() + Duration::from_secs(5);
    let mut told = list
        .observe(number(1), &[Signal::NumberRecycling], by)
        .await;
    told.signals.remove(0).1
}

#[tokio::test]
async fn a_list_that_is_written_to_while_it_is_read_is_not_believed() {
    let dir = tempfile::tempdir().unwrap();
    let config: ListConfig = toml::from_str(&format!(
        "directory = {:?}\nfile_name = \"mnrl-%Y-%m.csv\"\ntime_zone = \"UTC\"\n\
         covers = {{ by = \"month\" }}\ncomplete = \"final_newline\"\n\
         columns = {{ number = \"MOBILE_NO\" }}\n\
         number = {{ country_code = \"44\", bare = \"national\" }}",
        dir.path()
    ))
    .unwrap();
    let lists = NumberList::open(config, ManualClock::at(NOW.parse().unwrap())).unwrap();
    let lists = Arc::new(lists);
    let path = dir.path().join("mnrl-2026-10.csv");
    let good = "MOBILE_NO\n7700900001\n".to_owned();
    for another in [None, Some(good.clone())] {
        pipe(&path);
        let writing = write(path.clone(), good.clone(), another);
        let refused = Arc::clone(&lists).reload_now().await.unwrap_err();
        assert!(matches!(refused, ListError::NotWhole { .. }), "{refused}");
        writing.join().unwrap();
        let state = lists.state();
        assert_eq!(state.condition, Condition::Down);
        assert!(state.why.contains("changed while it was read"));
        assert_eq!(recycled(&lists).await, Err(Reason::SourceDown));
    }
    Arc::clone(&lists).reload_now().await.unwrap();
    assert_eq!(lists.state().condition, Condition::Up);
    let Observed::Change(change) = recycled(&lists).await.unwrap().what else {
        panic!("no change");
    };
    assert!(change.changed_in.is_some());
}
