//! A ledger under load in a process of its own, to be harmed: it appends from several threads and
//! tells each acknowledgement, as a broker's answer would, only after the append returned.
//!
//! It tells with `sendto` on standard input, which is a socket then, so that whatever it asks of the
//! system with `write` belongs to the ledger.

use std::{
    io::IsTerminal as _,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use accord_broker::ledger::{Ledger, LedgerConfig, LedgerError};
pub(super) use accord_proto::hex::encode as hex;
use accord_proto::{
    c2sp::SigningKey,
    clock::{ManualClock, SharedClock, SystemClock},
    v1,
};
use jiff::Timestamp;
use prost::Message as _;
use rustix::net::{SendFlags, send};

use super::{SoakError, error::chain};

/// Segments small enough that a short load goes through some.
const SEGMENT_BYTES: u64 = 256 << 10;
/// A test's clock may go where it likes.
const CLOCK_STEP_MAX: Duration = Duration::from_secs(86_400 * 400);
/// Where a manual clock begins, in seconds since 1970: a minute before a month ends
/// (2026-11-30T23:59:00Z).
pub(super) const BEFORE_TURN_S: i64 = 1_796_083_140;
/// How far it is set at the turn.
const TURN_S: i64 = 120;

/// What to append, and how.
#[derive(Clone, Debug, clap::Args)]
pub struct Order {
    /// The ledger.
    #[arg(long)]
    pub dir: PathBuf,
    /// The file with the log's key.
    #[arg(long)]
    pub key: PathBuf,
    /// Threads that append.
    #[arg(long, default_value_t = 8)]
    pub waiters: u64,
    /// Entries; it ends by itself after them.
    #[arg(long, default_value_t = u64::MAX)]
    pub entries: u64,
    /// Bytes of an entry's text.
    #[arg(long, default_value_t = 200)]
    pub bytes: usize,
    /// After so many entries the month ends; the clock stands still otherwise. 0: by the system's
    /// clock.
    #[arg(long, default_value_t = 0)]
    pub turn_at: u64,
}

/// The settings with which a ledger is opened here.
pub(super) fn config(order: &Order) -> Result<LedgerConfig, SoakError> {
    let text = std::fs::read_to_string(&order.key).map_err(SoakError::io("read", &order.key))?;
    Ok(LedgerConfig {
        segment_bytes: SEGMENT_BYTES,
        clock_step_max: CLOCK_STEP_MAX,
        free_bytes_min: 1,
        ..LedgerConfig::new(&order.dir, SigningKey::parse(text.trim())?)
    })
}

/// An entry that is like no other.
pub(super) fn entry(number: u64, bytes: usize) -> Vec<u8> {
    let mut detail = format!("entry {number} of process {} ", std::process::id());
    detail.extend(std::iter::repeat_n('.', bytes.saturating_sub(detail.len())));
    let operation = v1::Operation {
        detail,
        ..v1::Operation::default()
    };
    v1::Entry {
        salt: vec![7; 32],
        event: Some(v1::entry::Event::Operation(operation)),
        time_unix_ms: 0,
    }
    .encode_to_vec()
}

/// Who hears what is acknowledged.
struct Listener {
    gone: AtomicBool,
}

impl Listener {
    fn tell(&self, line: &str) {
        let line = format!("{line}\n");
        let mut rest = line.as_bytes();
        while !rest.is_empty() {
            match send(rustix::stdio::stdin(), rest, SendFlags::NOSIGNAL) {
                Ok(sent) => rest = rest.get(sent..).unwrap_or_default(),
                Err(rustix::io::Errno::INTR) => {}
                Err(_) => {
                    self.gone.store(true, Ordering::Relaxed);
                    return;
                }
            }
        }
    }
}

/// Appends as ordered and tells what came of it: `ack ORIGIN INDEX LEAF_HASH`, `refused WHY`,
/// `failed WHY` where the ledger does not open, and `done`.
///
/// # Errors
/// [`SoakError`]: the key can't be read, nobody listens, or the ledger does not open.
pub fn write(order: &Order) -> Result<(), SoakError> {
    if std::io::stdin().is_terminal() {
        let why = "this is a part of `accord-bench soak`, which listens to it";
        return Err(SoakError::Setting(why.to_owned()));
    }
    let begin = Timestamp::from_second(BEFORE_TURN_S).unwrap_or(Timestamp::UNIX_EPOCH);
    let turned = Timestamp::from_second(BEFORE_TURN_S + TURN_S).unwrap_or(begin);
    let manual = ManualClock::at(begin);
    let clock: SharedClock = match order.turn_at {
        0 => SystemClock::shared(),
        _ => manual.clone(),
    };
    let listener = Listener {
        gone: AtomicBool::new(false),
    };
    let (ledger, _) = Ledger::open(config(order)?, clock).inspect_err(|error| {
        listener.tell(&format!("failed {}", chain(error)));
    })?;
    let turn = |number: u64| {
        if order.turn_at > 0 && number == order.turn_at {
            manual.set(turned);
        }
    };
    append_all(order, &Arc::new(ledger), &listener, &turn);
    listener.tell("done");
    Ok(())
}

fn append_all(
    order: &Order,
    ledger: &Arc<Ledger>,
    listener: &Listener,
    turn: &(dyn Fn(u64) + Sync),
) {
    let next = AtomicU64::new(0);
    let one_after_another = || {
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= order.entries || listener.gone.load(Ordering::Relaxed) {
                return;
            }
            turn(number);
            match ledger.append_blocking(entry(number, order.bytes)) {
                Ok(committed) => {
                    let hash = hex(&committed.leaf_hash);
                    listener.tell(&format!(
                        "ack {} {} {hash}",
                        committed.origin, committed.index
                    ));
                }
                Err(LedgerError::Stopped) => return,
                Err(error) => listener.tell(&format!("refused {}", chain(&error))),
            }
        }
    };
    thread::scope(|scope| {
        for _ in 0..order.waiters {
            scope.spawn(one_after_another);
        }
    });
    ledger.stop();
}
