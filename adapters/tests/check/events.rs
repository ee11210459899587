//! A stream of events, tried beside an adapter that takes it or before there is one.

use std::net::TcpListener;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use accord_adapters::events::testing::{Producer, READER, RealNats};
use accord_adapters::events::{EventSource, EventsConfig};
use accord_adapters::source::Source as _;
use accord_proto::clock::{Clock as _, SystemClock};
use accord_proto::msisdn::Msisdn;
use accord_proto::signal::Signal;
use jiff::SignedDuration;
use tempfile::TempDir;
use tokio::time::Instant;

use crate::{Desk, Said, line};

const NUMBER: [&str; 2] = ["--number", "+447700900001"];

struct Stream {
    server: RealNats,
    producer: Producer,
    dir: TempDir,
}

impl Stream {
    async fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("password"), READER.1).unwrap();
        let server = RealNats::start(dir.path(), None).await.unwrap();
        let producer = server.producer().await.unwrap();
        producer.make_stream(-1).await.unwrap();
        Self {
            server,
            producer,
            dir,
        }
    }

    /// The keys of the section, its journal in this directory.
    fn keys(&self, journal: &Path, password: &str) -> String {
        format!(
            "producers = {{ crm = [\"swaps\"] }}\njournal_dir = {:?}\njournal_key_file = {:?}\nlateness_ms = 0\n\
             nats = {{ servers = [{:?}], stream = \"EVENTS\", user = {:?}, password_file = {:?} }}\n",
            journal.join("events"),
            journal.join("events.key"),
            self.server.url(),
            READER.0,
            self.dir.path().join(password),
        )
    }

    async fn tell(&self, id: &str, kind: &str, last: u16, seconds_ago: i64) {
        let at = SystemClock.now() - SignedDuration::from_secs(seconds_ago);
        let event = format!(
            r#"{{"specversion":"1.0","id":"{id}","source":"crm","type":"{kind}","time":"{at}","subject":"+447700900{last:03}","data":{{}}}}"#
        );
        self.producer.publish(event).await.unwrap();
    }
}

fn section(keys: &str) -> String {
    format!("[[source]]\nkind = \"events\"\n{keys}")
}

fn check(desk: &Desk) -> Said {
    tokio::task::block_in_place(|| desk.check(&NUMBER))
}

async fn wait_for_swap(source: &EventSource, last: u16) {
    let number = Msisdn::parse(&format!("+447700900{last:03}")).unwrap();
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let told = source.observe(number, &[Signal::SimSwap], deadline).await;
        let said = &told.signals.first().unwrap().1;
        if said.as_ref().is_ok_and(|said| {
            matches!(&said.what, accord_proto::observation::Observed::Change(change)
                if change.changed_in.is_some())
        }) {
            return;
        }
        assert!(Instant::now() < deadline, "the swap of {last} never came");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs nats-server"]
async fn a_stream_is_tried_before_the_first_run_and_nothing_is_taken_of_it() {
    let stream = Stream::start().await;
    stream.tell("0", "heartbeat", 0, 1).await;
    stream.tell("1", "sim_swap", 1, 0).await;
    let own = tempfile::tempdir().unwrap();
    let desk = Desk::with(&section(&stream.keys(own.path(), "password")));
    let said = check(&desk);
    println!("{}", said.out);
    assert_eq!(said.code, Some(0), "{}{}", said.out, said.err);
    assert!(said.out.contains("source events (events) is up\n"));
    let swap = line(&said.out, "sim_swap");
    assert_eq!(swap[1..4], ["0", "of", "20"], "nothing was heard yet");
    assert_eq!(swap[swap.len() - 2..], ["not_watched", "20"]);
    assert!(!own.path().join("events").exists(), "it leaves a journal");
    assert!(!own.path().join("events.key").exists(), "it leaves a key");
    // The first adapter gets all of it.
    let config: EventsConfig = toml::from_str(&stream.keys(own.path(), "password")).unwrap();
    let source = Arc::new(EventSource::open(&config, SystemClock::shared()).unwrap());
    let watched = Arc::clone(&source);
    let watching = tokio::spawn(async move { watched.watch().await });
    wait_for_swap(&source, 1).await;

    // Beside it the check answers from a copy of its journal, and takes nothing from it.
    let said = check(&desk);
    println!("{}", said.out);
    assert_eq!(said.code, Some(0), "{}{}", said.out, said.err);
    assert_eq!(line(&said.out, "sim_swap")[1..4], ["20", "of", "20"]);
    stream.tell("2", "sim_swap", 2, 0).await;
    wait_for_swap(&source, 2).await;

    // Another adapter that would read by the same consumer is told so before it runs.
    let other = tempfile::tempdir().unwrap();
    let desk = Desk::with(&section(&stream.keys(other.path(), "password")));
    let said = check(&desk);
    assert_eq!(said.code, Some(1), "{}{}", said.out, said.err);
    let why = "is unusable: another adapter takes events by the consumer `accord-adapter`";
    assert!(said.out.contains(why), "{}", said.out);
    watching.abort();
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs nats-server"]
async fn a_stream_that_is_silent_refuses_or_is_gone_does_not_conform_and_is_named() {
    let mut stream = Stream::start().await;
    let own = tempfile::tempdir().unwrap();
    let said_of = |stream: &Stream, password: &str| {
        let desk = Desk::with(&section(&stream.keys(own.path(), password)));
        let said = check(&desk);
        assert_eq!(said.code, Some(1), "{}{}", said.out, said.err);
        said.out
    };
    let empty = said_of(&stream, "password");
    let behind = "wrong: it is behind: no event and no heartbeat for longer than";
    assert!(empty.contains(behind), "{empty}");
    std::fs::write(stream.dir.path().join("wrong"), "wrong").unwrap();
    let refused = said_of(&stream, "wrong");
    let why = "is refused_credentials: the server refuses the credentials";
    assert!(refused.contains(why), "{refused}");
    let absent = said_of(&stream, "absent");
    let why = "is refused_credentials: `nats.password_file`: can't use `";
    assert!(absent.contains(why), "{absent}");
    assert!(
        absent.contains("absent`: No such file or directory"),
        "{absent}"
    );
    stream.producer.delete_stream().await.unwrap();
    let none = said_of(&stream, "password");
    assert!(
        none.contains("is unusable: no stream of this name"),
        "{none}"
    );
    stream.server.stop().unwrap();
    let gone = said_of(&stream, "password");
    let why = "is down: no connection: connection refused";
    assert!(gone.contains(why), "{gone}");
}

#[test]
fn the_files_of_a_webhook_are_tried_and_its_port_is_left_to_the_adapter_that_runs() {
    // The adapter that runs.
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let desk = Desk::with(&section(&format!(
        "producers = {{ crm = [\"swaps\"] }}\njournal_dir = \"events\"\njournal_key_file = \"events.key\"\n\
         webhook = {{ listen = \"{}\", secret_file = \"secret\" }}\n",
        taken.local_addr().unwrap()
    )));
    let said = desk.check(&NUMBER);
    assert_eq!(said.code, Some(1), "{}{}", said.out, said.err);
    let down = said.out.lines().find(|line| line.contains("is down: "));
    let down = down.unwrap_or_else(|| panic!("{}", said.out));
    assert!(
        down.contains("`webhook.secret_file`: can't read `"),
        "{down}"
    );
    assert!(
        down.contains("secret`: No such file or directory"),
        "{down}"
    );
    let secret = format!("whsec_{}\n", "A".repeat(40));
    std::fs::write(desk.path("secret"), secret).unwrap();
    let said = desk.check(&NUMBER);
    assert_eq!(said.code, Some(0), "{}{}", said.out, said.err);
    assert!(said.out.contains("source events (events) is up\n"));
}
