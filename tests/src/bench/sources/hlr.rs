//! osmo-hlr: the source beside bare connections to its control interface, and for devices beside
//! that and a prepared statement on its file.

use std::{
    fs,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use accord_adapters::{
    csv_export::fixture::number,
    osmo_hlr::{
        OsmoHlr, OsmoHlrConfig,
        testing::{RealHlr, TestingError},
    },
    source::Source,
};
use accord_proto::{clock::SystemClock, msisdn::Msisdn, signal::Signal};
use rusqlite::{Connection, OpenFlags, OptionalExtension as _};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    sync::{Mutex as AsyncMutex, mpsc, oneshot},
    time::Instant,
};

use super::{
    IN_FLIGHT, SourceLine, SourcesPlan,
    load::{Asked, asked, compare},
};
use crate::bench::BenchError;

const SUBSCRIBERS: u64 = 1_000;
const DEADLINE: Duration = Duration::from_secs(5);
const SELECT: &str = "SELECT imsi, imei, vlr_number, sgsn_number, last_lu_seen, last_lu_seen_ps \
    FROM subscriber WHERE msisdn = ?1";

/// The inner error: the system can't be started here.
pub(super) async fn measure(
    plan: SourcesPlan,
    dir: &Path,
) -> Result<Result<Vec<SourceLine>, String>, BenchError> {
    fs::create_dir_all(dir).map_err(BenchError::io("make", dir))?;
    let hlr = match RealHlr::start(dir).await {
        Ok(hlr) => hlr,
        Err(error) => return Ok(Err(error.to_string())),
    };
    fill(&hlr).await?;
    let source = Arc::new(source(&hlr, dir)?);
    let of = |signal: &'static [Signal]| -> Asked {
        asked(Arc::clone(&source), move |source, number| async move {
            let told = source.observe(subscriber(number)?, signal, Instant::now() + DEADLINE);
            answered("the HLR source", &told.await.signals)
        })
    };
    let (sim, device) = (of(&[Signal::SimSwap]), of(&[Signal::DeviceSwap]));
    let connection = Arc::new(connect(&hlr.ctrl_address()).await?);
    let bare = asked(Arc::clone(&connection), |connection, number| async move {
        connection.info(&subscriber(number)?).await
    });
    let file = Arc::new((connection, Mutex::new(open(&hlr.sqlite_file())?)));
    let bare_file = asked(file, |both, number| async move {
        let msisdn = subscriber(number)?;
        both.0.info(&msisdn).await?;
        select(&both.1, &msisdn)
    });
    let mut lines = Vec::new();
    for in_flight in IN_FLIGHT {
        let names = ("HLR, SIM swap", "bare CTRL socket");
        lines.push(compare(plan, names, in_flight, (&sim, &bare), true).await?);
        let names = ("HLR, device swap", "bare CTRL, open file");
        lines.push(compare(plan, names, in_flight, (&device, &bare_file), false).await?);
    }
    Ok(Ok(lines))
}

/// Subscribers, each of whom has a device.
pub(super) async fn fill(hlr: &RealHlr) -> Result<(), BenchError> {
    let failed = |error: TestingError| wrong("osmo-hlr", &error);
    let admin = hlr.admin();
    for row in 0..SUBSCRIBERS {
        let imsi = format!("90170{row:010}");
        admin.create(&imsi).await.map_err(failed)?;
        admin.give(&imsi, &subscriber(row)?).await.map_err(failed)?;
    }
    let file = Connection::open(hlr.sqlite_file());
    let set = "UPDATE subscriber SET imei = printf('00101%09d', id)";
    file.and_then(|file| {
        file.busy_timeout(DEADLINE)?;
        file.execute(set, [])
    })
    .map_err(|error| wrong("osmo-hlr", &error))?;
    Ok(())
}

fn source(hlr: &RealHlr, dir: &Path) -> Result<OsmoHlr, BenchError> {
    let config = OsmoHlrConfig {
        sqlite_file: Some(hlr.sqlite_file()),
        ..super::hung::config(hlr.ctrl_address(), dir)
    };
    OsmoHlr::open(&config, SystemClock::shared()).map_err(|error| wrong("the HLR source", &error))
}

pub(super) fn subscriber(row: u64) -> Result<Msisdn, BenchError> {
    number(row % SUBSCRIBERS).map_err(|error| wrong("a number", &error))
}

pub(super) fn wrong(what: &'static str, error: &dyn std::error::Error) -> BenchError {
    let why = error.to_string();
    BenchError::Answer { what, why }
}

/// Whether every signal has an observation.
pub(super) fn answered<T>(
    what: &'static str,
    signals: &[(Signal, Result<T, accord_proto::reason::Reason>)],
) -> Result<(), BenchError> {
    match signals.iter().find_map(|(_, said)| said.as_ref().err()) {
        None if !signals.is_empty() => Ok(()),
        reason => Err(BenchError::Answer {
            what,
            why: format!("{reason:?}"),
        }),
    }
}

/// A bare client: one connection, requests written as they come, replies matched by their order.
struct Bare {
    write: AsyncMutex<tokio::net::tcp::OwnedWriteHalf>,
    waiting: mpsc::UnboundedSender<oneshot::Sender<Vec<u8>>>,
}

async fn connect(address: &str) -> Result<Bare, BenchError> {
    let io = |error| BenchError::io("connect to", Path::new(address))(error);
    let stream = TcpStream::connect(address).await.map_err(io)?;
    stream.set_nodelay(true).map_err(io)?;
    let (read, write) = stream.into_split();
    let (waiting, mut in_order) = mpsc::unbounded_channel::<oneshot::Sender<Vec<u8>>>();
    tokio::spawn(async move {
        let mut read = tokio::io::BufReader::new(read);
        while let Some(one) = in_order.recv().await {
            let Ok(length) = read.read_u16().await else {
                return;
            };
            let mut payload = vec![0; usize::from(length) + 1];
            if read.read_exact(&mut payload).await.is_err() {
                return;
            }
            // Whoever asked has gone.
            let _ = one.send(payload);
        }
    });
    Ok(Bare {
        write: AsyncMutex::new(write),
        waiting,
    })
}

impl Bare {
    async fn info(&self, msisdn: &Msisdn) -> Result<(), BenchError> {
        let gone = || BenchError::Child {
            what: "bare client",
        };
        let digits = msisdn.expose_digits();
        let text = format!("GET 1 subscriber.by-msisdn-{digits}.info");
        let length = u16::try_from(text.len() + 1).unwrap_or(u16::MAX);
        let mut frame = length.to_be_bytes().to_vec();
        frame.extend([0xEE, 0]);
        frame.extend(text.as_bytes());
        let (one, reply) = oneshot::channel();
        {
            // Written and queued in one order.
            let mut write = self.write.lock().await;
            write.write_all(&frame).await.map_err(|_| gone())?;
            self.waiting.send(one).map_err(|_| gone())?;
        }
        let reply = reply.await.map_err(|_| gone())?;
        let found = reply
            .windows(digits.len())
            .filter(|part| *part == digits.as_bytes());
        match found.count() {
            // In the variable's name, and in the subscriber.
            2 => Ok(()),
            _ => Err(gone()),
        }
    }
}

fn open(file: &Path) -> Result<Connection, BenchError> {
    let opened = Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_ONLY);
    opened.map_err(|error| wrong("the HLR's file", &error))
}

fn select(file: &Mutex<Connection>, msisdn: &Msisdn) -> Result<(), BenchError> {
    let file = file.lock().unwrap_or_else(PoisonError::into_inner);
    let statement = file.prepare_cached(SELECT);
    let row = statement.and_then(|mut statement| {
        let row = statement.query_row([msisdn.expose_digits()], |row| row.get::<_, String>(1));
        row.optional()
    });
    match row.map_err(|error| wrong("the HLR's file", &error))? {
        Some(_) => Ok(()),
        None => Err(BenchError::Child { what: "file" }),
    }
}
