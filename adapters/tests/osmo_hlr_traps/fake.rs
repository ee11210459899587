//! A scripted HLR: a control interface that says what the test wants, in ways that a real one
//! can't be made to.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use accord_adapters::osmo_hlr::{OsmoHlr, OsmoHlrConfig};
use accord_adapters::source::Source;
use accord_proto::clock::ManualClock;
use accord_proto::msisdn::Msisdn;
use accord_proto::observation::{Change, Observation, Observed};
use accord_proto::reason::Reason;
use accord_proto::signal::Signal;
use jiff::SignedDuration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;

pub(crate) const START: &str = "2026-11-21T09:00:00Z";

/// How the next requests are answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mood {
    Honest,
    /// Reads and says nothing.
    Silent,
    /// Closes the connection instead of answering.
    Closing,
    /// Closes the connection once, and is honest then.
    ClosingOnce,
    /// Says nothing on its first connections, and is honest on the others.
    SilentOnFirst(usize),
    /// Answers to another id.
    WrongId,
    /// Announces a frame longer than the limit.
    Endless,
    /// Half of the answer, and closes the connection.
    Half,
    /// A letter of Latin-1 in the answer.
    NoText,
    /// The answer byte by byte, each after a pause.
    Trickling,
    /// More traps than there may be before an answer.
    Babbling,
    /// The answer about another number.
    OtherNumber,
    /// A trap and a foreign frame before each answer.
    Chatty,
    /// `ERROR` with this text.
    Refusing(&'static str),
}

#[derive(Debug)]
struct Script {
    mood: Mood,
    /// From digits to the lines of an info.
    subscribers: BTreeMap<String, String>,
    asked: Vec<String>,
    connections: usize,
    /// Those that neither side has closed.
    open: usize,
}

/// How an answer is sent.
enum Sent {
    /// In one go, if there is any of it.
    Whole(Vec<u8>),
    /// Its first half, before the connection is closed.
    Half(Vec<u8>),
    /// A byte for each [`TICK`].
    Trickled(Vec<u8>),
}

/// An answer takes more than a hundred of them.
const TICK: Duration = Duration::from_millis(20);

pub(crate) struct FakeHlr {
    script: Arc<Mutex<Script>>,
    address: String,
}

impl FakeHlr {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let script = Arc::new(Mutex::new(Script {
            mood: Mood::Honest,
            subscribers: BTreeMap::new(),
            asked: Vec::new(),
            connections: 0,
            open: 0,
        }));
        let shared = Arc::clone(&script);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let mut script = shared.lock().unwrap();
                script.connections += 1;
                script.open += 1;
                let nth = script.connections;
                drop(script);
                let shared = Arc::clone(&shared);
                tokio::spawn(async move {
                    // An error is the other side's end of the connection.
                    let _ = serve(stream, nth, &shared).await;
                    shared.lock().unwrap().open -= 1;
                });
            }
        });
        Self { script, address }
    }

    pub(crate) fn mood(&self, mood: Mood) {
        self.script.lock().unwrap().mood = mood;
    }

    /// Gives a number an IMSI, with more lines such as `vlr_number\tx`.
    pub(crate) fn give(&self, last: u16, imsi: &str, more: &str) {
        let digits = number(last).expose_digits().to_owned();
        let info = format!("\nid\t1\nimsi\t{imsi}\nmsisdn\t{digits}\n{more}\nlmsi\t00000000");
        self.script.lock().unwrap().subscribers.insert(digits, info);
    }

    pub(crate) fn take(&self, last: u16) {
        let digits = number(last).expose_digits().to_owned();
        self.script.lock().unwrap().subscribers.remove(&digits);
    }

    pub(crate) fn asked(&self) -> Vec<String> {
        self.script.lock().unwrap().asked.clone()
    }

    pub(crate) fn connections(&self) -> usize {
        self.script.lock().unwrap().connections
    }

    pub(crate) fn open(&self) -> usize {
        self.script.lock().unwrap().open
    }

    pub(crate) fn config(&self, dir: &Path, more: &str) -> OsmoHlrConfig {
        toml::from_str(&format!(
            "address = {:?}\njournal_dir = {:?}\njournal_key_file = {:?}\n{more}",
            self.address,
            dir.join("journal"),
            dir.join("journal.key"),
        ))
        .unwrap()
    }
}

async fn serve(mut stream: TcpStream, nth: usize, script: &Mutex<Script>) -> std::io::Result<()> {
    loop {
        let mut head = [0; 3];
        stream.read_exact(&mut head).await?;
        let mut payload = vec![0; usize::from(u16::from_be_bytes([head[0], head[1]]))];
        stream.read_exact(&mut payload).await?;
        let text = String::from_utf8(payload[1..].to_vec()).unwrap();
        let answer = answer(&text, nth, &mut script.lock().unwrap());
        match answer {
            None => return Ok(()),
            Some(Sent::Whole(bytes)) => stream.write_all(&bytes).await?,
            Some(Sent::Half(bytes)) => return stream.write_all(&bytes[..bytes.len() / 2]).await,
            Some(Sent::Trickled(bytes)) => {
                for byte in bytes {
                    stream.write_all(&[byte]).await?;
                    tokio::time::sleep(TICK).await;
                }
            }
        }
    }
}

/// `None`: close the connection.
fn answer(text: &str, nth: usize, script: &mut Script) -> Option<Sent> {
    script.asked.push(text.to_owned());
    let mut words = text.split(' ');
    let (verb, id) = (words.next()?, words.next()?);
    let variable = words.next()?;
    assert_eq!(verb, "GET", "a source only asks");
    let digits = variable
        .strip_prefix("subscriber.by-msisdn-")?
        .strip_suffix(".info")?;
    let honest = script.subscribers.get(digits).map_or_else(
        || format!("ERROR {id} No such subscriber."),
        |info| format!("GET_REPLY {id} {variable} {info}"),
    );
    Some(Sent::Whole(match script.mood {
        Mood::SilentOnFirst(silent) if nth <= silent => Vec::new(),
        Mood::Honest | Mood::SilentOnFirst(_) => frame(0xEE, 0, &honest),
        Mood::Half => return Some(Sent::Half(frame(0xEE, 0, &honest))),
        Mood::Trickling => return Some(Sent::Trickled(frame(0xEE, 0, &honest))),
        Mood::NoText => {
            let mut bytes = frame(0xEE, 0, &format!("{honest}\nname\tM?ller"));
            let letter = bytes.iter().rposition(|byte| *byte == b'?').unwrap();
            bytes[letter] = 0xFC;
            bytes
        }
        Mood::Babbling => frame(0xEE, 0, "TRAP 0 something happened").repeat(1025),
        Mood::OtherNumber => {
            let other = number(999).expose_digits().to_owned();
            let about = format!("msisdn\t{digits}");
            frame(
                0xEE,
                0,
                &honest.replace(&about, &format!("msisdn\t{other}")),
            )
        }
        Mood::Silent => Vec::new(),
        Mood::Closing => return None,
        Mood::ClosingOnce => {
            script.mood = Mood::Honest;
            return None;
        }
        Mood::WrongId => frame(0xEE, 0, &format!("ERROR 999999 {digits}")),
        Mood::Endless => vec![0xFF, 0xFF, 0xEE, 0x00],
        Mood::Chatty => {
            let mut bytes = frame(0xFE, 0, "");
            bytes.extend(frame(0xEE, 5, "gsup"));
            bytes.extend(frame(0xEE, 0, "TRAP 0 something happened"));
            bytes.extend(frame(0xEE, 0, &honest));
            bytes
        }
        Mood::Refusing(why) => frame(0xEE, 0, &format!("ERROR {id} {why}")),
    }))
}

fn frame(protocol: u8, extension: u8, text: &str) -> Vec<u8> {
    let length = u16::try_from(text.len() + 1).unwrap();
    let mut bytes = length.to_be_bytes().to_vec();
    bytes.extend([protocol, extension]);
    bytes.extend(text.as_bytes());
    bytes
}

/// A source with its HLR, its clock and its journal.
pub(crate) struct Bench {
    pub(crate) hlr: FakeHlr,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) dir: tempfile::TempDir,
    pub(crate) source: OsmoHlr,
    more: String,
}

impl Bench {
    pub(crate) async fn start(more: &str) -> Self {
        let hlr = FakeHlr::start().await;
        let dir = tempfile::tempdir().unwrap();
        let clock = ManualClock::at(START.parse().unwrap());
        let config = hlr.config(dir.path(), more);
        let source = OsmoHlr::open(&config, Arc::clone(&clock) as _).unwrap();
        Self {
            hlr,
            clock,
            dir,
            source,
            more: more.to_owned(),
        }
    }

    /// As a new process, some seconds later.
    pub(crate) fn restart_after(self, secs: i64) -> Self {
        let config = self.hlr.config(self.dir.path(), &self.more);
        drop(self.source);
        self.clock.step(SignedDuration::from_secs(secs));
        let source = OsmoHlr::open(&config, Arc::clone(&self.clock) as _).unwrap();
        Self { source, ..self }
    }

    pub(crate) fn wait(&self, secs: i64) {
        self.clock.step(SignedDuration::from_secs(secs));
    }

    pub(crate) async fn ask(&self, last: u16, signal: Signal) -> Result<Observation, Reason> {
        let deadline = Instant::now() + Duration::from_secs(5);
        let observed = self.source.observe(number(last), &[signal], deadline).await;
        observed.signals.into_iter().next().unwrap().1
    }

    pub(crate) async fn swap(&self, last: u16) -> Result<Change, Reason> {
        match self.ask(last, Signal::SimSwap).await?.what {
            Observed::Change(change) => Ok(change),
            Observed::Forwarding(_)
            | Observed::SomeForwarding(_)
            | Observed::Roaming(_)
            | Observed::Signalling(_) => Err(Reason::NotAvailable),
        }
    }
}

pub(crate) fn number(last: u16) -> Msisdn {
    Msisdn::parse(&format!("+447700900{last:03}")).unwrap()
}

/// An instant, some seconds after the start.
pub(crate) fn at(secs: i64) -> jiff::Timestamp {
    let start: jiff::Timestamp = START.parse().unwrap();
    start + SignedDuration::from_secs(secs)
}
