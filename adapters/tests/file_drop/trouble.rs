//! Servers that refuse, vanish, stall or are others, and files that are not whole.

use std::{fs, io::Write as _, path::Path, sync::Arc, time::Duration};

use accord_adapters::{
    csv_export::{CsvExport, Reload},
    file_drop::SftpError,
    source::{Condition, Source},
    way::{Manner, Way},
};
use accord_proto::{
    clock::{ManualClock, SystemClock},
    reason::Reason,
};
use tempfile::TempDir;
use tokio::{
    io::AsyncWriteExt as _,
    net::TcpListener,
    time::{Instant, sleep},
};

use crate::fetched::{NOW, Stage, ask, config, export};

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

/// A source that comes to the stage's server by this way, with a line more in its section.
fn by(stage: &Stage, way: &Way, more: &str) -> Arc<CsvExport> {
    let section = stage.sshd.section().unwrap();
    let own = format!("port = {}\n", stage.sshd.port());
    let port = format!("port = {}\n{more}\n", way.port());
    let section = section.replace(&own, &port);
    let config = config(stage.spool.path(), "by = \"final_newline\"", &section);
    let clock = ManualClock::at(NOW.parse().unwrap());
    Arc::new(CsvExport::open(config, clock).unwrap())
}

/// Five megabytes.
fn large() -> String {
    let rows = "+447700900002,2026-11-20\n".repeat(200_000);
    format!("MSISDN,SIM\n{rows}")
}

#[tokio::test]
#[ignore = "needs sshd"]
async fn a_file_that_changes_in_the_middle_of_its_fetch_is_not_taken_and_the_old_one_stays() {
    const OLD: &str = "subscribers-20261122.csv";
    let stage = Stage::new("by = \"final_newline\"");
    let way = Way::to(stage.sshd.port()).await.unwrap();
    let source = by(&stage, &way, "");
    let files = source.files().unwrap();
    stage.put(OLD, &export(&[(ONE, "2026-11-20")]));
    files.fetch().await.unwrap();
    assert!(matches!(source.reload_once().await, Ok(Reload::Taken(_))));
    let before = ask(&source, ONE).await.unwrap();
    let open = |path: &Path| fs::File::options().append(true).open(path).unwrap();
    let truncate = |path: &Path| open(path).set_len(100).unwrap();
    let grow = |path: &Path| open(path).write_all(b"+447700900003,-\n").unwrap();
    for change in [&truncate as &dyn Fn(&Path), &grow] {
        stage.put(FILE, &large());
        way.be(Manner::Trickles(16_384, Duration::from_millis(5)));
        let fetching = tokio::spawn({
            let files = Arc::clone(&files);
            async move { files.fetch().await }
        });
        let partial = stage.spool.path().join(format!(".{FILE}.part"));
        let limit = Instant::now() + Duration::from_secs(60);
        while !partial.exists() {
            assert!(Instant::now() < limit && !fetching.is_finished());
            sleep(Duration::from_millis(1)).await;
        }
        change(&stage.sshd.files().join(FILE));
        way.be(Manner::Carries);
        let error = fetching.await.unwrap().unwrap_err();
        assert!(
            matches!(&error, SftpError::Changed(name) if name == FILE),
            "{error}"
        );
        assert_eq!(stage.spooled(), [OLD]);
        assert_eq!(source.reload_once().await.unwrap(), Reload::Unchanged);
        let state = source.state();
        assert_eq!(state.condition, Condition::Behind);
        assert!(state.why.contains("changed or ended"), "{}", state.why);
        assert_eq!(ask(&source, ONE).await.as_ref(), Ok(&before));
    }
    stage.put(FILE, &export(&[(ONE, "2026-11-21")]));
    files.fetch().await.unwrap();
    assert!(matches!(source.reload_once().await, Ok(Reload::Taken(_))));
    assert_eq!(source.state().condition, Condition::Up);
    assert_ne!(ask(&source, ONE).await.unwrap(), before);
}

#[tokio::test]
#[ignore = "needs sshd"]
async fn a_server_that_gets_slow_in_the_middle_is_given_up_with_the_round() {
    let stage = Stage::new("by = \"final_newline\"");
    let way = Way::to(stage.sshd.port()).await.unwrap();
    let source = by(&stage, &way, "round_seconds_max = 3");
    let files = source.files().unwrap();
    stage.put(FILE, &large());
    // Each piece that is asked for comes in time (`request_seconds_max`), and all of them do not.
    way.be(Manner::Trickles(4_096, Duration::from_millis(10)));
    let begun = stage.spool.path().join(format!(".{FILE}.part"));
    let slow = tokio::spawn({
        let files = Arc::clone(&files);
        async move { files.fetch().await }
    });
    let mut was_begun = false;
    while !slow.is_finished() {
        was_begun |= begun.exists();
        sleep(Duration::from_millis(1)).await;
    }
    let error = slow.await.unwrap().unwrap_err();
    assert!(matches!(error, SftpError::Timeout), "{error}");
    assert!(was_begun, "the handshake went well");
    assert!(stage.spooled().is_empty());
    let state = source.state();
    assert_eq!(state.condition, Condition::Down);
    assert!(state.why.contains("`round_seconds_max`"), "{}", state.why);
    assert_eq!(ask(&source, ONE).await, Err(Reason::SourceDown));

    way.be(Manner::Carries);
    stage.put(FILE, &export(&[(ONE, "2026-11-20")]));
    files.fetch().await.unwrap();
    assert!(matches!(source.reload_once().await, Ok(Reload::Taken(_))));
    assert_eq!(source.state().condition, Condition::Up);
    assert!(ask(&source, ONE).await.is_ok());
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
