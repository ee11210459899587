//! What page and metrics say of sources, and that the documentation lists each metric.

use std::{collections::BTreeSet, time::Duration};

use accord_certs::{LeafOptions, Pki};
use accord_proto::{
    clock::{ManualClock, SharedClock},
    msisdn::Msisdn,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::Instant,
};

use super::*;
use crate::{
    config::AdapterConfig,
    runtime::{Restriction, Runtime, RuntimeConfig},
    source::Source as _,
    sources,
};

const PAGE: &str = include_str!("../../../docs/metrics.md");

const CONFIG: &str = r#"
operator = "north-mobile"
instance = "a"
[[broker]]
endpoint = "https://broker.accord.test:7443"
[tls]
roots = "ca.pem"
certificate = "adapter.pem"
key = "adapter.key"
[journal]
dir = "journal"
subject_key_file = "subject.key"
checkpoint_key_file = "checkpoint.key"
[status]
listen = "127.0.0.1:0"
[[source]]
name = "north"
kind = "virtual"
prefix = "+447700900"
asks_per_second = 100
[[source]]
name = "again"
kind = "virtual"
prefix = "+447700900"
signals = ["roaming"]
"#;

struct Stage {
    _dir: tempfile::TempDir,
    status: Status,
    runtime: Runtime,
    clock: SharedClock,
}

fn stage() -> Stage {
    let dir = tempfile::TempDir::new().unwrap();
    let path = dir.path().join("config.toml");
    std::fs::write(&path, CONFIG).unwrap();
    let config = AdapterConfig::load(&path).unwrap();
    let now = "2026-11-21T12:00:00Z".parse().unwrap();
    let pki = Pki::new("accord.test", now).unwrap();
    let leaf = pki.issue("operator", "north-mobile", &LeafOptions::at(now));
    leaf.unwrap().write(dir.path(), "adapter").unwrap();
    std::fs::write(&config.tls.roots, pki.certificate_pem()).unwrap();
    let clock: SharedClock = ManualClock::at(now);
    let opened = sources::open(&config.sources, &clock).unwrap();
    let settings: RuntimeConfig = config.runtime().unwrap();
    let source = Arc::clone(&opened.sources);
    let runtime = Runtime::new(settings, source, clock.clone()).unwrap();
    Stage {
        _dir: dir,
        status: Status::new(opened.sources, runtime.watch()),
        runtime,
        clock,
    }
}

impl Stage {
    async fn ask(&self, text: &str) {
        let msisdn = Msisdn::parse(text).unwrap();
        let sources = &self.status.sources;
        let deadline = Instant::now() + Duration::from_millis(800);
        sources.observe(msisdn, sources.signals(), deadline).await;
    }
}

#[tokio::test]
async fn the_documentation_lists_exactly_what_is_exposed() {
    let stage = stage();
    stage.ask("+447700900001").await;
    let text = stage.status.metrics();
    let exposed: BTreeSet<_> = text
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next())
        .collect();
    let documented: BTreeSet<_> = PAGE
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split('`').next())
        .filter(|name| name.starts_with("accord_adapter_"))
        .collect();
    assert_eq!(exposed, documented, "{text}");
}

#[tokio::test]
async fn a_source_is_counted_by_its_name_and_by_what_it_said() {
    let stage = stage();
    stage.ask("+447700900001").await;
    // Subscriber 012: its source is down.
    stage.ask("+447700900012").await;
    let text = stage.status.metrics();
    for line in [
        "accord_adapter_source_state{source=\"north\",state=\"up\"} 1",
        "accord_adapter_source_state{source=\"north\",state=\"down\"} 0",
        "accord_adapter_source_asks_total{source=\"north\"} 2",
        "accord_adapter_source_asks_total{source=\"again\"} 2",
        "accord_adapter_source_signals_total{source=\"again\",reason=\"answered\"} 1",
        "accord_adapter_source_signals_total{source=\"again\",reason=\"source_down\"} 1",
        "accord_adapter_source_ceiling{source=\"north\"} 100",
        "accord_adapter_attached{broker=\"https://broker.accord.test:7443\"} 0",
        "accord_adapter_journal_records 1",
        "accord_adapter_contradictions_total{signal=\"roaming\"} 0",
    ] {
        let found = text
            .lines()
            .any(|said| said == line || said.strip_suffix(".0").is_some_and(|said| said == line));
        assert!(found, "`{line}` is not in\n{text}");
    }
}

#[tokio::test]
async fn the_page_names_sources_brokers_and_restrictions_and_no_subscriber() {
    let stage = stage();
    stage.ask("+447700900001").await;
    let msisdn = Msisdn::parse("+447700900013").unwrap();
    let restrictions = stage.runtime.restrictions();
    restrictions.impose(Restriction::OptedOut(msisdn)).unwrap();
    let page = stage.status.page(stage.clock.now());
    for words in [
        "<h1>north-mobile / a</h1>",
        "<td>north<td>virtual<td class=good>up",
        "1 opt-outs, 0 swap locks, 0 kill switches",
        "https://broker.accord.test:7443<td class=bad>not attached",
        "not reached yet",
    ] {
        assert!(page.contains(words), "`{words}` is not in\n{page}");
    }
    let both = page + &stage.status.metrics();
    assert!(!both.contains("7700900"), "a number on the page");
}

#[tokio::test]
async fn page_and_metrics_are_served_and_nothing_else() {
    let stage = stage();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let serving = tokio::spawn(stage.status.clone().serve(listener));
    let get = async |request: &str| {
        let mut stream = TcpStream::connect(addr).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    };
    let page = get("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
    assert!(
        page.starts_with("HTTP/1.1 200") && page.contains("north-mobile"),
        "{page}"
    );
    let metrics = get("GET /metrics HTTP/1.1\r\nhost: a\r\n\r\n").await;
    assert!(
        metrics.contains("openmetrics-text") && metrics.ends_with("# EOF\n"),
        "{metrics}"
    );
    let other = get("GET /journal HTTP/1.1\r\nhost: a\r\n\r\n").await;
    assert!(other.starts_with("HTTP/1.1 404"), "{other}");
    let post = get("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\n\r\n").await;
    assert!(post.starts_with("HTTP/1.1 405"), "{post}");
    serving.abort();
}

#[test]
fn the_page_is_for_loopback_only() {
    let dir = tempfile::TempDir::new().unwrap();
    let path = dir.path().join("config.toml");
    std::fs::write(&path, CONFIG.replace("127.0.0.1:0", "0.0.0.0:9465")).unwrap();
    let error = AdapterConfig::load(&path).unwrap_err().to_string();
    assert!(
        error.contains("status.listen: an address of loopback"),
        "{error}"
    );
}
