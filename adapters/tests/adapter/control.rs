//! The program under an operator's own control: a ceiling, the status page, and what reconciles
//! with a ledger.

use std::{
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
};

use accord_proto::{
    clock::{Clock as _, SystemClock},
    signal::Signal,
    v1::{self, entry::Event},
};
use aws_lc_rs::digest::{Context, SHA256};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use prost::Message as _;
use serde_json::json;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::{
    certificates::Certificates,
    support::{FakeBroker, ask, outcomes, welcome},
};

/// A program that dies with its test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

fn config(dir: &Path, broker: SocketAddr, status: SocketAddr) -> PathBuf {
    let text = format!(
        r#"operator = "north-mobile"
instance = "a"
[[broker]]
endpoint = "https://{broker}"
domain = "localhost"
[tls]
roots = "ca.pem"
certificate = "adapter.pem"
key = "adapter.key"
[journal]
dir = "journal"
subject_key_file = "keys/subject.key"
checkpoint_key_file = "keys/checkpoint.key"
[status]
listen = "{status}"
[[source]]
name = "invented"
kind = "virtual"
prefix = "+447700900"
asks_per_second = 1
"#
    );
    let path = dir.join("adapter.toml");
    std::fs::write(&path, text).unwrap();
    path
}

fn program(command: &str, config: &Path) -> Command {
    let mut program = Command::new(env!("CARGO_BIN_EXE_accord-adapter"));
    program.arg(command).arg("--config").arg(config);
    program
}

async fn get(addr: SocketAddr, path: &str) -> String {
    let mut stream = TcpStream::connect(addr).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

/// The entry that a broker would write of an answer.
fn entry(reply: &v1::Reply) -> v1::Entry {
    let mut context = Context::new(&SHA256);
    context.update(&reply.nonce);
    context.update(&reply.body);
    let access = v1::Access {
        bank: "first-bank".to_owned(),
        operator: "north-mobile".to_owned(),
        purpose: v1::Purpose::Payment as i32,
        signals: vec![v1::SignalRecord {
            signal: v1::Signal::SimSwap as i32,
            ..v1::SignalRecord::default()
        }],
        replies: vec![v1::ReplyDigest {
            instance: "a".to_owned(),
            journal_index: reply.journal_index,
            digest: context.finish().as_ref().to_vec(),
            elapsed_us: 900,
        }],
        ..v1::Access::default()
    };
    let now = SystemClock.now().as_millisecond();
    v1::Entry {
        salt: vec![7; 32],
        event: Some(Event::Access(access)),
        time_unix_ms: u64::try_from(now).unwrap(),
    }
}

fn reconcile(config: &Path, entries: &[v1::Entry]) -> (Option<i32>, String, String) {
    let export = config.with_file_name("export.jsonl");
    let mut text = String::new();
    for (index, entry) in entries.iter().enumerate() {
        let leaf = STANDARD.encode(entry.encode_to_vec());
        let line = json!({"origin": "accord-test/2026-11", "index": index, "leaf": leaf});
        text += &format!("{line}\n");
    }
    text += &format!("{}\n", json!({"footer": {}, "entries": entries.len()}));
    std::fs::write(&export, text).unwrap();
    let output: Output = program("reconcile", config)
        .arg("--ledger-export")
        .arg(&export)
        .output()
        .unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (
        output.status.code(),
        text(&output.stdout),
        text(&output.stderr),
    )
}

#[tokio::test]
async fn an_operator_bounds_its_source_looks_at_it_and_reconciles() {
    let certificates = Certificates::make();
    let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
    let status = TcpListener::bind(any).unwrap().local_addr().unwrap();
    let tls = Some(certificates.server.clone());
    let mut broker = FakeBroker::start_at(any, welcome(1, 1, 10_000), tls).await;
    let config = config(certificates.dir.path(), broker.addr, status);
    let child = program("run", &config).stderr(Stdio::null()).spawn();
    let mut running = Running(child.unwrap());
    let mut link = broker.attachment().await;

    // The bucket of one ask a second holds two: a screening may take one of them.
    // All are sent before any is answered, so that no second passes between them.
    for (id, bulk) in [(1, true), (2, true), (3, false), (4, false)] {
        let question = ask(id, "+447700900001", &[Signal::SimSwap], 800);
        link.ask(v1::Ask { bulk, ..question }).await;
    }
    let mut replies = Vec::new();
    for _ in 0..4 {
        replies.push(link.reply().await);
    }
    replies.sort_by_key(|reply| reply.id);
    let told: Vec<_> = replies.iter().flat_map(outcomes).collect();
    let mut entries: Vec<_> = replies.iter().map(entry).collect();
    assert_eq!(told[..2], ["value", "overloaded"], "of the screening");
    assert_eq!(told[2], "value", "a single question still has its turn");

    let page = get(status, "/").await;
    for words in [
        "invented",
        "class=good>up",
        "class=good>attached",
        " of 1 a second",
    ] {
        assert!(page.contains(words), "`{words}` is not in\n{page}");
    }
    let metrics = get(status, "/metrics").await;
    assert!(
        metrics.contains("accord_adapter_source_asks_total{source=\"invented\"} 4"),
        "{metrics}"
    );
    assert!(!(page + &metrics).contains("7700900"), "a number");

    let pid = running.0.id().to_string();
    assert!(Command::new("kill").arg(pid).status().unwrap().success());
    assert!(link.hear().await.is_none());
    drop(link);
    assert!(running.0.wait().unwrap().success());

    let (code, out, err) = reconcile(&config, &entries);
    assert_eq!(code, Some(0), "{out}{err}");
    assert!(
        out.contains("4 replies alike in both") && out.ends_with("no difference\n"),
        "{out}"
    );
    if let Some(Event::Access(access)) = &mut entries[1].event {
        access.bank = "second-bank".to_owned();
    }
    let (code, out, err) = reconcile(&config, &entries);
    assert_eq!(code, Some(1), "{out}{err}");
    assert!(
        out.starts_with(
            "difference: asked otherwise than recorded: accord-test/2026-11#1 has another bank"
        ),
        "{out}"
    );
    assert!(err.contains("differ in 1 place(s)"), "{err}");
    assert!(!out.contains("7700900"), "a number");
}
