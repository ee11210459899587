//! An HSS over Diameter Sh: the source beside a bare socket that sends the same request, and beside
//! python-diameter's own client. All three ask one HSS, which is python-diameter.

use std::{
    collections::HashMap,
    fs,
    net::{IpAddr, Ipv4Addr},
    path::Path,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use accord_adapters::{
    csv_export::fixture::number,
    diameter::{
        DiameterConfig, DiameterSh, avp,
        codec::{Avps, CodecError, Encoder, HEADER_LEN, Header, take_frame},
        node::Node,
        tbcd,
        testing::{PythonClient, REALM, RELAY, RealHss, SERVER},
    },
    source::Source as _,
};
use accord_proto::{clock::SystemClock, msisdn::Msisdn, signal::Signal};
use bytes::{Bytes, BytesMut};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{
        TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::{Mutex as AsyncMutex, oneshot},
    time::Instant,
};

use super::{
    IN_FLIGHT, SourceLine, SourcesPlan,
    hlr::{answered, wrong},
    load::{Asked, alternate, asked, compare, round},
};
use crate::bench::{BenchError, figures::Round};

const SUBSCRIBERS: u64 = 1_000;
const DEADLINE: Duration = Duration::from_secs(5);
const SIGNALS: [Signal; 1] = [Signal::SimSwap];
const MESSAGE_BYTES_MAX: usize = 65_536;
/// Data-Reference `IMSI` (TS 29.328 table 7.6.1).
const IMSI: u32 = 32;
/// A request that may be relayed.
const FLAGS: u8 = 0xC0;

/// The inner error: the system can't be started here.
pub(super) async fn measure(
    plan: SourcesPlan,
    dir: &Path,
) -> Result<Result<Vec<SourceLine>, String>, BenchError> {
    fs::create_dir_all(dir).map_err(BenchError::io("make", dir))?;
    let hss = match RealHss::start(dir).await {
        Ok(hss) => hss,
        Err(error) => return Ok(Err(error.to_string())),
    };
    let failed = |error| wrong("python-diameter", &error);
    let mut known = serde_json::Map::new();
    let mut numbers = Vec::new();
    for row in 0..SUBSCRIBERS {
        let msisdn = subscriber(row)?;
        let imsi = format!("90170{row:010}");
        let digits = msisdn.expose_digits().to_owned();
        known.insert(digits, serde_json::json!({ "imsi": imsi }));
        numbers.push(msisdn);
    }
    hss.know(&known.into()).map_err(failed)?;
    let source = source(&hss, dir).await?;
    let of_source = asked(source, |source, number| async move {
        let told = source.observe(subscriber(number)?, &SIGNALS, Instant::now() + DEADLINE);
        answered("the Diameter source", &told.await.signals)
    });
    let bare = bare(&hss).await?;
    let python = PythonClient::start(dir, &hss, &numbers);
    let python = python.await.map_err(failed)?;
    let mut lines = Vec::new();
    for in_flight in IN_FLIGHT {
        let names = ("Diameter Sh, SIM swap", "bare socket");
        lines.push(compare(plan, names, in_flight, (&of_source, &bare), true).await?);
        let names = ("Diameter Sh, SIM swap", "python-diameter");
        let ours = async || round(plan, in_flight, &of_source).await;
        let theirs = async || {
            let took = python.round(plan.counted, in_flight).await;
            let took = took.map_err(failed)?;
            // Each of its tasks waited for the answer to its last question behind the end.
            let within = took.len().saturating_sub(in_flight);
            Ok(Round::cut_off(took, within, plan.counted.as_secs_f64()))
        };
        lines.push(alternate(plan, names, in_flight, (ours, theirs), true).await?);
    }
    Ok(Ok(lines))
}

async fn source(hss: &RealHss, dir: &Path) -> Result<Arc<DiameterSh>, BenchError> {
    let config = format!(
        "origin_host = {SERVER:?}\norigin_realm = {REALM:?}\njournal_dir = {:?}\n\
         journal_key_file = {:?}\n[[peer]]\naddress = {:?}\n",
        dir.join("journal"),
        dir.join("journal.key"),
        hss.address(),
    );
    let config: Result<DiameterConfig, _> = toml::from_str(&config);
    let config = config.map_err(|error| wrong("the Diameter source", &error))?;
    let source = DiameterSh::open(&config, SystemClock::shared());
    let source = source.map_err(|error| wrong("the Diameter source", &error))?;
    let ready = source.ready(DEADLINE).await;
    ready.map_err(|error| wrong("the Diameter source", &error))?;
    Ok(Arc::new(source))
}

/// One connection: requests written as they come, answers matched by their hop-by-hop identifiers.
struct Bare {
    node: Node,
    write: AsyncMutex<OwnedWriteHalf>,
    waiting: Mutex<HashMap<u32, oneshot::Sender<Bytes>>>,
    next: AtomicU32,
}

fn gone() -> BenchError {
    BenchError::Child {
        what: "bare client of Diameter",
    }
}

fn codec(error: CodecError) -> BenchError {
    wrong("a bare client of Diameter", &error)
}

async fn bare(hss: &RealHss) -> Result<Asked, BenchError> {
    let address = hss.address();
    let io = |error| BenchError::io("connect to", Path::new(&address))(error);
    let stream = TcpStream::connect(&address).await.map_err(io)?;
    stream.set_nodelay(true).map_err(io)?;
    let (mut read, write) = stream.into_split();
    let bare = Arc::new(Bare {
        node: Node {
            host: RELAY.to_owned(),
            realm: REALM.to_owned(),
        },
        write: AsyncMutex::new(write),
        waiting: Mutex::default(),
        next: AtomicU32::new(1),
    });
    let local = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let capabilities = bare.node.capabilities(local, 0).map_err(codec)?;
    bare.send(&capabilities).await?;
    let mut received = BytesMut::new();
    let answer = frame(&mut read, &mut received).await.ok_or_else(gone)?;
    let answer = Avps::decode(answer.slice(HEADER_LEN..)).map_err(codec)?;
    let result = answer.required(avp::RESULT_CODE).and_then(|avp| avp.u32());
    if result.map_err(codec)? != avp::SUCCESS {
        return Err(gone());
    }
    // Whoever waits is told by its end.
    tokio::spawn(follow(Arc::clone(&bare), read, received));
    Ok(asked(bare, |bare, number| async move {
        bare.ask(&subscriber(number)?).await
    }))
}

async fn frame(read: &mut OwnedReadHalf, received: &mut BytesMut) -> Option<Bytes> {
    loop {
        if let Some(frame) = take_frame(received, MESSAGE_BYTES_MAX).ok()? {
            return Some(frame);
        }
        if read.read_buf(received).await.ok()? == 0 {
            return None;
        }
        // As the source does: python-diameter holds an answer back until the one before is
        // acknowledged. Where the system won't, it is only slower.
        let _ = read.as_ref().set_quickack(true);
    }
}

async fn follow(bare: Arc<Bare>, mut read: OwnedReadHalf, mut received: BytesMut) {
    while let Some(frame) = frame(&mut read, &mut received).await {
        let Ok(header) = Header::decode(&frame) else {
            return;
        };
        if header.is_request() {
            // A watchdog.
            let answer = Avps::decode(frame.slice(HEADER_LEN..))
                .and_then(|avps| bare.node.answer(&header, &avps, avp::SUCCESS));
            let Ok(answer) = answer else { return };
            if bare.send(&answer).await.is_err() {
                return;
            }
            continue;
        }
        let waiting = bare
            .waiting
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&header.hop_by_hop);
        if let Some(one) = waiting {
            // Whoever asked has gone.
            let _ = one.send(frame);
        }
    }
}

impl Bare {
    async fn send(&self, frame: &[u8]) -> Result<(), BenchError> {
        let mut write = self.write.lock().await;
        write.write_all(frame).await.map_err(|_| gone())
    }

    async fn ask(&self, msisdn: &Msisdn) -> Result<(), BenchError> {
        let hop = self.next.fetch_add(1, Ordering::Relaxed);
        let request = self.request(msisdn, hop).map_err(codec)?;
        let (one, answer) = oneshot::channel();
        self.waiting
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(hop, one);
        self.send(&request).await?;
        let answer = answer.await.map_err(|_| gone())?;
        let avps = Avps::decode(answer.slice(HEADER_LEN..)).map_err(codec)?;
        let document = avps.required(avp::USER_DATA).map_err(codec)?.text();
        match document.map_err(codec)?.contains("<IMSI>") {
            true => Ok(()),
            false => Err(gone()),
        }
    }

    fn request(&self, msisdn: &Msisdn, hop: u32) -> Result<Bytes, CodecError> {
        let mut identity = Encoder::default();
        let number = tbcd::encode(msisdn.expose_digits()).ok_or(CodecError::Data)?;
        identity.octets(avp::MSISDN, &number)?;
        let mut avps = self.node.begin_sh(&format!("{RELAY};1;{hop}"))?;
        avps.octets(avp::DESTINATION_REALM, REALM.as_bytes())?
            .group(avp::USER_IDENTITY, &identity)?
            .u32(avp::DATA_REFERENCE, IMSI)?;
        let header = Header {
            flags: FLAGS,
            command: avp::USER_DATA_COMMAND,
            application: avp::APPLICATION_SH,
            hop_by_hop: hop,
            end_to_end: hop,
        };
        header.encode(&avps.bytes())
    }
}

fn subscriber(row: u64) -> Result<Msisdn, BenchError> {
    number(row % SUBSCRIBERS).map_err(|error| wrong("a number", &error))
}
