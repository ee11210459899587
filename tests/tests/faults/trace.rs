//! The broker under `strace`: what it asks of the system, and in which order; and what it does when
//! the system fails it.

use std::{
    collections::HashMap,
    fs,
    os::unix::{fs::PermissionsExt as _, process::ExitStatusExt as _},
    path::{Path, PathBuf},
    time::Duration,
};

use accord_client::{Answered, CallError, Client, Lookup};
use accord_proto::{clock::Clock as _, clock::SystemClock, purpose::Purpose};
use accord_tests::world::{ChildBroker, WorldSpec, wait_until};
use jiff::Timestamp;

use super::{
    record::{Record, Told, verify},
    rig::{Rig, program},
};

/// What is traced: writes to the ledger, and whatever may carry an answer.
const CALLS: &str =
    "trace=pwrite64,fdatasync,fsync,?rename,?renameat,?renameat2,sendto,sendmsg,write,writev";
/// An answer with its headers is longer, all that HTTP/2 says beside it is shorter.
const ANSWER_BYTES_MIN: i64 = 100;
/// The sequencer's sync that fails: later than those of a start, and soon.
const FAILING_SYNC: usize = 20;
const QUICKLY: Duration = Duration::from_secs(3);
const SIGABRT: i32 = 6;
/// The published checkpoint before it has its name.
const PUBLISHED: &str = "/checkpoint.tmp";

/// A system call.
#[derive(Debug)]
struct Call {
    /// Lines of the trace on which it began and ended. Another thread's call that begins after it
    /// ended stands on a later line.
    begun: usize,
    ended: usize,
    at: Timestamp,
    name: String,
    arguments: String,
    result: i64,
}

impl Call {
    fn is(&self, name: &str, target: &str) -> bool {
        self.name == name && self.arguments.contains(target)
    }

    /// The descriptor, with what it stands for.
    fn descriptor(&self) -> &str {
        self.arguments
            .split_once('>')
            .map_or("", |(before, _)| before)
    }

    fn is_sent_from(&self, port: u16) -> bool {
        let sends = ["sendto", "sendmsg", "write", "writev"].contains(&self.name.as_str());
        sends
            && self
                .descriptor()
                .contains(&format!("TCP:[127.0.0.1:{port}-"))
    }
}

/// The calls of a trace that came back, in the order in which they began.
fn calls(trace: &Path) -> Vec<Call> {
    let text = fs::read_to_string(trace).unwrap();
    let mut unfinished: HashMap<&str, Call> = HashMap::new();
    let mut calls = Vec::new();
    for (line, text) in text.lines().enumerate() {
        let Some((thread, rest)) = text.split_once(' ') else {
            continue;
        };
        let Some((at, said)) = rest.trim_start().split_once(' ') else {
            continue;
        };
        let result = || {
            let (_, result) = said.rsplit_once(" = ")?;
            result.split(' ').next()?.parse().ok()
        };
        if said.starts_with("<... ") {
            if let (Some(mut call), Some(result)) = (unfinished.remove(thread), result()) {
                (call.ended, call.result) = (line, result);
                calls.push(call);
            }
            continue;
        }
        let Some((name, arguments)) = said.split_once('(') else {
            continue;
        };
        let mut call = Call {
            begun: line,
            ended: line,
            at: instant(at),
            name: name.to_owned(),
            arguments: arguments.to_owned(),
            result: 0,
        };
        if said.contains("<unfinished ...>") {
            unfinished.insert(thread, call);
        } else if let Some(result) = result() {
            call.result = result;
            calls.push(call);
        }
    }
    calls.sort_by_key(|call| call.begun);
    calls
}

/// Seconds since 1970, with microseconds.
fn instant(text: &str) -> Timestamp {
    let (seconds, micros) = text.split_once('.').unwrap();
    let micros = seconds.parse::<i64>().unwrap() * 1_000_000 + micros.parse::<i64>().unwrap();
    Timestamp::from_microsecond(micros).unwrap()
}

/// A published checkpoint gets its name.
fn is_published(call: &Call) -> bool {
    call.name.starts_with("rename") && call.arguments.contains(PUBLISHED)
}

/// A program that runs the broker under `strace`, as the process that it would be without.
fn traced(rig: &Rig, options: &str) -> (PathBuf, PathBuf) {
    let dir = rig.files.dir();
    let (script, trace) = (dir.join("traced"), dir.join("trace.txt"));
    let text = format!(
        "#!/bin/sh\nexec strace -D -f -yy -ttt -s 0 -o '{}' {options} '{}' \"$@\"\n",
        trace.display(),
        program("accord-broker").display()
    );
    fs::write(&script, text).unwrap();
    fs::set_permissions(&script, fs::Permissions::from_mode(0o700)).unwrap();
    (script, trace)
}

/// Waits until `strace` has written how the broker ended.
async fn wait_traced(trace: &Path, broker: u32) {
    let waited = wait_until("the end of the trace", || {
        let text = fs::read_to_string(trace).unwrap();
        let of_broker = |line: &&str| line.split(' ').next() == Some(&broker.to_string());
        let is_over = text
            .lines()
            .filter(of_broker)
            .any(|line| line.contains("+++ "));
        std::future::ready(is_over)
    });
    waited.await.unwrap();
}

async fn ask(client: &Client) -> Result<Answered, CallError> {
    let lookup = Lookup::about("+447700900001", Purpose::Payment).sim_swap();
    client.lookup_within(lookup, QUICKLY).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs strace"]
async fn an_answer_is_sent_only_after_the_system_said_that_its_entry_is_on_the_disk() {
    let mut rig = Rig::new(&WorldSpec::default());
    let (script, trace) = traced(&rig, &format!("-e {CALLS}"));
    let mut broker = ChildBroker::launch(&script, &mut rig.files, &[]).unwrap();
    broker.wait_ready(&rig.files).await.unwrap();
    let pid = broker.pid().unwrap();
    let client = rig.client("first-bank");
    // The connection is made and silent again. Without an operator there is a reason to answer,
    // and no other connection.
    ask(&client).await.unwrap();
    let asked = SystemClock.now();
    ask(&client).await.unwrap();
    drop(client);
    // Published as it runs, and not only by its stop.
    let waited = wait_until("a published checkpoint", || {
        let calls = calls(&trace);
        std::future::ready(calls.iter().any(is_published))
    });
    waited.await.unwrap();
    assert!(broker.terminate().await.unwrap().success());
    wait_traced(&trace, pid).await;

    let calls = calls(&trace);
    let port = rig.files.grpc_port();
    let since = calls.iter().filter(|call| call.at >= asked);
    let since: Vec<_> = since.collect();
    let answer = since
        .iter()
        .find(|call| call.is_sent_from(port) && call.result >= ANSWER_BYTES_MIN)
        .unwrap_or_else(|| panic!("no answer in {since:#?}"));
    let written = since
        .iter()
        .find(|call| call.is("pwrite64", ".segment>"))
        .unwrap();
    let synced = since
        .iter()
        .find(|call| call.is("fdatasync", ".segment>"))
        .unwrap();
    assert!(written.result > 0);
    assert_eq!(synced.result, 0);
    assert_eq!(synced.descriptor(), written.descriptor());
    assert!(written.ended < synced.begun, "{written:?} {synced:?}");
    assert!(synced.ended < answer.begun, "{synced:?} {answer:?}");

    // And a published checkpoint is on the disk before it has its name.
    let named: Vec<_> = calls.iter().filter(|call| is_published(call)).collect();
    for (before, name) in named.iter().enumerate() {
        let synced = calls
            .iter()
            .filter(|call| call.is("fsync", PUBLISHED) && call.result == 0);
        let synced = synced.filter(|call| call.ended < name.begun);
        assert!(synced.count() > before, "{name:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs strace"]
async fn a_failed_sync_ends_the_broker_without_an_answer_and_costs_no_answered_entry() {
    let mut rig = Rig::new(&WorldSpec::default());
    let inject = format!("-e {CALLS} -e inject=fdatasync:error=EIO:when={FAILING_SYNC}");
    let (script, trace) = traced(&rig, &inject);
    let mut broker = ChildBroker::launch(&script, &mut rig.files, &[]).unwrap();
    broker.wait_ready(&rig.files).await.unwrap();
    let pid = broker.pid().unwrap();
    let client = rig.client("first-bank");
    let mut told = Vec::new();
    while let Ok(answered) = ask(&client).await {
        let bank = "first-bank".to_owned();
        told.push(Told { bank, answered });
        assert!(told.len() <= FAILING_SYNC, "no sync failed");
    }
    assert!(!told.is_empty(), "the sync failed before any question");
    let ended = broker.wait_ended().await.unwrap();
    assert_eq!(ended.signal(), Some(SIGABRT), "{ended:?} {}", rig.log());
    wait_traced(&trace, pid).await;
    let calls = calls(&trace);
    let failed = calls
        .iter()
        .find(|call| call.is("fdatasync", ".segment>") && call.result < 0);
    let failed = failed.unwrap();
    let port = rig.files.grpc_port();
    let after = calls.iter().filter(|call| call.ended > failed.begun);
    let answers = after.filter(|call| call.is_sent_from(port) && call.result >= ANSWER_BYTES_MIN);
    assert_eq!(answers.count(), 0, "an answer left after the failed sync");
    // Nobody syncs again what the system may have dropped.
    let synced_again = calls
        .iter()
        .filter(|call| call.begun > failed.ended && call.is("fdatasync", ".segment>"));
    assert_eq!(synced_again.count(), 0);

    let broker = rig.broker().await;
    let client = rig.client("first-bank");
    let answered = ask(&client).await.unwrap();
    let bank = "first-bank".to_owned();
    told.push(Told { bank, answered });
    drop(client);
    assert!(broker.terminate().await.unwrap().success());
    verify(&rig.files);
    let record = Record::read(&rig.files);
    record.assert_holds(&told);
    Record::assert_each_its_own(&told);
    record.assert_in_order();
}
