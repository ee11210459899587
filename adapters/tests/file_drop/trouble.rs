//! Servers that refuse, vanish, stall or are others, and files that are not whole.

use std::{fs, sync::Arc, time::Duration};

use accord_adapters::{
    csv_export::{CsvExport, Reload},
    file_drop::SftpError,
    source::{Condition, Source},
};
use accord_proto::{clock::SystemClock, reason::Reason};
use tempfile::TempDir;
use tokio::{
    io::AsyncWriteExt as _,
    net::TcpListener,
    time::{Instant, sleep},
};

use crate::fetched::{Stage, config, export};

const ONE: &str = "+447700900001";
const FILE: &str = "subscribers-20261123.csv";

/// Another source of the same server, with one key of its section replaced.
fn with(stage: &Stage, from: &str, to: &str) -> Arc<CsvExport> {
    let section = stage.sshd.section().unwrap();
    assert!(section.contains(from), "{section}");
    let config = config(
        stage.spool.path(),
        "by = \"final_newline\"",
        &section.replace(from, to),
    );
    Arc::new(CsvExport::open(config, SystemClock::shared()).unwrap())
}

async fn error(source: &CsvExport) -> SftpError {
    let fetched = source.files().unwrap().fetch().await;
    let error = fetched.unwrap_err();
    let said = format!("{error} {error:?}");
    assert!(!said.contains("7700900"), "{said}");
    error
}

#[tokio::test]
#[ignore = "needs sshd"]
async fn a_server_with_another_key_or_that_does_not_know_ours_is_told_nothing() {
    let stage = Stage::new("by = \"final_newline\"");
    stage.put(FILE, &export(&[(ONE, "2026-11-20")]));
    let host_key = stage.sshd.host_key().unwrap();
    let text = fs::read_to_string(stage.server.path().join("stranger.pub")).unwrap();
    let strangers: Vec<&str> = text.split_ascii_whitespace().take(2).collect();
    let source = with(&stage, &host_key, &strangers.join(" "));
    assert!(matches!(error(&source).await, SftpError::HostKey));
    assert_eq!(source.state().condition, Condition::Refused);
    let (own, other) = ("/client\"", "/stranger\"");
    let source = with(&stage, own, other);
    assert!(matches!(error(&source).await, SftpError::Refused));
    assert_eq!(source.state().condition, Condition::Refused);
    assert!(stage.spooled().is_empty());
}

#[tokio::test]
#[ignore = "needs sshd"]
async fn a_directory_that_is_not_there_and_limits_are_named() {
    let stage = Stage::new("by = \"final_newline\"");
    stage.put(FILE, &export(&[(ONE, "2026-11-20")]));
    let source = with(&stage, "/files\"", "/nowhere\"");
    let said = error(&source).await.to_string();
    assert!(said.contains("can't list the directory"), "{said}");
    // Of a name each, and the two that each directory has.
    for at in 0..10 {
        stage.put(&format!("other-{at}"), "");
    }
    let source = with(&stage, "every_ms", "names_max = 8\nevery_ms");
    assert!(matches!(error(&source).await, SftpError::Crowded(8)));
    assert_eq!(source.state().condition, Condition::Unusable);
    // A file of ten times the size is not begun with, and the others come all the same.
    let large = fs::File::create(stage.sshd.files().join("subscribers-20261122.csv")).unwrap();
    large.set_len(10 << 20).unwrap();
    let source = with(&stage, "every_ms", "file_mib_max = 1\nevery_ms");
    assert!(matches!(
        error(&source).await,
        SftpError::TooLarge { mib: 1, .. }
    ));
    assert_eq!(stage.spooled(), [FILE]);
}

#[tokio::test]
#[ignore = "needs sshd"]
async fn a_server_that_goes_and_comes_back_is_behind_and_then_up() {
    let mut stage = Stage::new("by = \"final_newline\"");
    stage.put(FILE, &export(&[(ONE, "2026-11-20")]));
    assert!(matches!(stage.round().await, Ok(Reload::Taken(_))));
    stage.sshd.stop();
    assert!(matches!(error(&stage.source).await, SftpError::Connect(_)));
    // What lies here is still answered from, as of when it was exported.
    let state = stage.source.state();
    assert_eq!(state.condition, Condition::Behind);
    assert!(state.observed_to.is_some());
    assert!(stage.ask(ONE).await.is_ok());
    stage.sshd.restart().unwrap();
    stage.source.files().unwrap().fetch().await.unwrap();
    assert_eq!(stage.source.state().condition, Condition::Up);
}

#[tokio::test]
#[ignore = "needs sshd"]
async fn a_transfer_that_breaks_off_leaves_nothing_and_begins_anew() {
    let mut stage = Stage::new("by = \"final_newline\"");
    // Large enough that the server is stopped in the middle of it, at whatever speed.
    let rows = "+447700900002,2026-11-20\n".repeat(8_000_000);
    stage.put(FILE, &format!("MSISDN,SIM\n{rows}"));
    let files = stage.source.files().unwrap();
    let fetching = tokio::spawn(async move { files.fetch().await });
    let limit = Instant::now() + Duration::from_secs(60);
    let begun = |stage: &Stage| {
        let partial = stage.spool.path().join(format!(".{FILE}.part"));
        fs::metadata(partial).is_ok_and(|metadata| metadata.len() > 0)
    };
    while !begun(&stage) {
        assert!(Instant::now() < limit && !fetching.is_finished());
        sleep(Duration::from_millis(1)).await;
    }
    stage.sshd.stop();
    let broken = fetching.await.unwrap();
    assert!(broken.is_err(), "{broken:?}");
    assert!(stage.spooled().is_empty());
    // What a killed adapter would leave is swept.
    fs::write(stage.spool.path().join(format!(".{FILE}.part")), "half").unwrap();
    stage.sshd.restart().unwrap();
    stage.put(FILE, &export(&[(ONE, "2026-11-20")]));
    assert!(matches!(stage.round().await, Ok(Reload::Taken(_))));
    assert_eq!(stage.spooled(), [FILE]);
}

#[tokio::test]
#[ignore = "needs sshd"]
async fn a_server_that_says_nothing_or_trickles_is_given_up() {
    let stage = Stage::new("by = \"final_newline\"");
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let trickling = tokio::spawn(async move {
        loop {
            let Ok((mut stream, _)) = listener.accept().await else {
                return;
            };
            tokio::spawn(async move {
                // An endless banner, a byte at a time.
                while stream.write_all(b"x").await.is_ok() {
                    sleep(Duration::from_millis(50)).await;
                }
            });
        }
    });
    let section = stage.sshd.section().unwrap();
    let own = section
        .lines()
        .find(|line| line.starts_with("port"))
        .unwrap();
    let text = section
        .replace(own, &format!("port = {port}"))
        .replace("request_seconds_max = 20", "request_seconds_max = 1");
    let config = config(stage.spool.path(), "by = \"final_newline\"", &text);
    let source = CsvExport::open(config, SystemClock::shared()).unwrap();
    assert!(matches!(error(&source).await, SftpError::Connect(_)));
    assert_eq!(source.state().condition, Condition::Down);
    trickling.abort();
}

#[tokio::test]
#[ignore = "needs sshd"]
async fn a_password_is_read_from_a_file_and_never_shown() {
    let stage = Stage::new("by = \"final_newline\"");
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("password");
    fs::write(&path, "correct horse\n").unwrap();
    let section = stage.sshd.section().unwrap();
    let own = section
        .lines()
        .find(|line| line.starts_with("key_file"))
        .unwrap();
    let source = with(&stage, own, &format!("password_file = {path:?}"));
    // This server takes no passwords.
    let error = error(&source).await;
    assert!(matches!(error, SftpError::Refused));
    let shown = format!("{error} {error:?} {source:?} {:?}", source.files());
    assert!(!shown.contains("horse"), "{shown}");
    assert_eq!(stage.ask(ONE).await, Err(Reason::SourceDown));
}
