//! The entries about one operator, from an export of the ledger.

use std::{
    fs::File,
    io::{BufRead, BufReader, Read as _},
};

use accord_proto::{
    reason::Reason,
    signal::Signal,
    v1::{self, entry::Event},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use jiff::Timestamp;
use prost::Message as _;
use serde::Deserialize;

use super::{ITEMS_MAX, Place, ReconcileError, Scope};
use crate::source::signal_bit;

/// The longest line: an entry of the greatest length, three times over.
const LINE_BYTES_MAX: u64 = 1 << 20;

/// A question on the record.
#[derive(Debug)]
pub(super) struct Access {
    pub(super) place: Place,
    pub(super) at: Timestamp,
    pub(super) bank: String,
    pub(super) purpose: i32,
    /// The signals asked, as bits.
    pub(super) signals: usize,
    /// At this instance's journal: index and digest.
    pub(super) reply: Option<(u64, [u8; 32])>,
    /// What was answered from the view, signal by signal.
    pub(super) from_view: Vec<Served>,
    /// The signals, as bits, of which a reply of this instance may have come too late, or beside
    /// another one's. Where the ledger says that nobody was asked, none is.
    pub(super) unused: usize,
}

/// A signal that was answered from the view.
#[derive(Debug)]
pub(super) struct Served {
    /// As a bit.
    pub(super) signal: usize,
    pub(super) rests_on: RestsOn,
}

/// What an answer from the view rests on.
#[derive(Debug)]
pub(super) enum RestsOn {
    /// The entry names nothing.
    Nothing,
    /// What another instance said.
    Others,
    /// At this instance's journal: index and digest.
    Said(u64, [u8; 32]),
}

/// A batch of changes that this instance pushed.
#[derive(Debug)]
pub(super) struct Pushed {
    pub(super) place: Place,
    pub(super) sequence: u64,
    /// At this instance's journal: index and digest; `None` if the batch had no nonce.
    pub(super) record: Option<(u64, [u8; 32])>,
}

/// The journal as it was when this instance attached.
#[derive(Debug)]
pub(super) struct Attached {
    pub(super) place: Place,
    pub(super) size: u64,
    pub(super) head: Vec<u8>,
}

/// What an export says of one operator.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    pub(super) accesses: Vec<Access>,
    pub(super) attached: Vec<Attached>,
    pub(super) pushes: Vec<Pushed>,
    /// Other instances of the operator took part.
    pub(super) has_others: bool,
    pub(super) first: Option<Timestamp>,
    pub(super) last: Option<Timestamp>,
    pub(super) entries: u64,
}

#[derive(Deserialize)]
struct Line {
    origin: Option<String>,
    index: Option<u64>,
    leaf: Option<String>,
    footer: Option<serde::de::IgnoredAny>,
    entries: Option<u64>,
}

pub(super) fn read(scope: &Scope<'_>) -> Result<Ledger, ReconcileError> {
    let opened = File::open(scope.export).map_err(|error| ReconcileError::Read {
        path: scope.export.to_owned(),
        error,
    })?;
    read_from(scope, BufReader::new(opened))
}

pub(super) fn read_from(
    scope: &Scope<'_>,
    mut file: impl BufRead,
) -> Result<Ledger, ReconcileError> {
    let path = scope.export;
    let unreadable = |error| ReconcileError::Read {
        path: path.to_owned(),
        error,
    };
    let mut ledger = Ledger::default();
    let mut line = Vec::new();
    for (seen, at) in (0_u64..).zip(1_u64..) {
        let wrong = |what| ReconcileError::Export {
            path: path.to_owned(),
            line: at,
            what,
        };
        line.clear();
        let mut limited = file.by_ref().take(LINE_BYTES_MAX);
        if limited.read_until(b'\n', &mut line).map_err(unreadable)? == 0 {
            return Err(wrong("the footer is missing: the file was cut off"));
        }
        let parsed: Line = serde_json::from_slice(&line)
            .map_err(|_| wrong("no entry, or longer than an entry can be"))?;
        if parsed.footer.is_some() {
            if parsed.entries != Some(seen) {
                return Err(wrong("the footer counts other entries than there are"));
            }
            break;
        }
        let (Some(origin), Some(index), Some(leaf)) = (parsed.origin, parsed.index, parsed.leaf)
        else {
            return Err(wrong("an entry has `origin`, `index` and `leaf`"));
        };
        let entry = STANDARD
            .decode(leaf)
            .ok()
            .and_then(|leaf| v1::Entry::decode(leaf.as_slice()).ok())
            .ok_or_else(|| wrong("`leaf` is no entry"))?;
        let place = Place { origin, index };
        ledger.take(scope, place, entry).map_err(wrong)?;
        if ledger.accesses.len() + ledger.pushes.len() > ITEMS_MAX {
            return Err(ReconcileError::TooMany { what: "entries" });
        }
    }
    if ledger.entries == 0 {
        return Err(ReconcileError::Nothing {
            path: path.to_owned(),
            operator: scope.operator.to_owned(),
        });
    }
    Ok(ledger)
}

impl Ledger {
    fn take(
        &mut self,
        scope: &Scope<'_>,
        place: Place,
        entry: v1::Entry,
    ) -> Result<(), &'static str> {
        let at = i64::try_from(entry.time_unix_ms).ok();
        let at = at.and_then(|at| Timestamp::from_millisecond(at).ok());
        let at = at.ok_or("an entry's time is none")?;
        let within =
            scope.from.is_none_or(|from| from <= at) && scope.until.is_none_or(|until| at <= until);
        match entry.event {
            Some(Event::Access(access)) if access.operator == scope.operator => {
                self.saw(at);
                if within {
                    let access = self.access(scope, place, at, access)?;
                    self.accesses.push(access);
                }
            }
            Some(Event::AdapterLink(link)) if link.operator == scope.operator => {
                self.saw(at);
                if link.instance != scope.instance {
                    self.has_others = true;
                } else if link.kind == v1::adapter_link::Kind::Attached as i32 {
                    self.attached.push(Attached {
                        place,
                        size: link.journal_size,
                        head: link.journal_head,
                    });
                }
            }
            Some(Event::SourceChanges(changes)) if changes.operator == scope.operator => {
                self.saw(at);
                if changes.instance != scope.instance {
                    self.has_others = true;
                } else if within {
                    self.pushes.push(pushed(place, &changes)?);
                }
            }
            Some(_) | None => {}
        }
        Ok(())
    }

    fn saw(&mut self, at: Timestamp) {
        self.entries += 1;
        self.first = Some(self.first.map_or(at, |first| first.min(at)));
        self.last = self.last.max(Some(at));
    }

    fn access(
        &mut self,
        scope: &Scope<'_>,
        place: Place,
        at: Timestamp,
        access: v1::Access,
    ) -> Result<Access, &'static str> {
        let (mut reply, mut hedged) = (None, false);
        for one in &access.replies {
            if one.instance == scope.instance {
                let digest = <[u8; 32]>::try_from(one.digest.as_slice());
                let digest = digest.map_err(|_| "a reply's digest has 32 bytes")?;
                reply = Some((one.journal_index, digest));
            } else {
                self.has_others = true;
                hedged = true;
            }
        }
        let bits = |of: &dyn Fn(&v1::SignalRecord) -> bool| {
            let signals = access.signals.iter().filter(|signal| of(signal));
            let signals = signals.filter_map(|signal| Signal::from_wire(signal.signal));
            signals.fold(0, |bits, one| bits | signal_bit(one))
        };
        let signals = bits(&|_| true);
        let unused = match reply {
            Some(_) => 0,
            None => bits(&|signal| !signal.from_view && (hedged || came_to_nothing(signal))),
        };
        let from_view = access.signals.iter().filter(|signal| signal.from_view);
        let from_view = from_view
            .map(|signal| self.served(scope, signal))
            .collect::<Result<_, _>>()?;
        Ok(Access {
            place,
            at,
            bank: access.bank,
            purpose: access.purpose,
            signals,
            reply,
            from_view,
            unused,
        })
    }

    fn served(
        &mut self,
        scope: &Scope<'_>,
        signal: &v1::SignalRecord,
    ) -> Result<Served, &'static str> {
        let rests_on = match &signal.rests_on {
            None => RestsOn::Nothing,
            Some(said) if said.instance != scope.instance => {
                self.has_others = true;
                RestsOn::Others
            }
            Some(said) => {
                let digest = <[u8; 32]>::try_from(said.digest.as_slice());
                let digest = digest.map_err(|_| "the digest of what was said has 32 bytes")?;
                RestsOn::Said(said.journal_index, digest)
            }
        };
        let signal = Signal::from_wire(signal.signal).map_or(0, signal_bit);
        Ok(Served { signal, rests_on })
    }
}

fn pushed(place: Place, changes: &v1::SourceChanges) -> Result<Pushed, &'static str> {
    let record = match changes.digest.as_slice() {
        [] => None,
        digest => {
            let digest = <[u8; 32]>::try_from(digest);
            let digest = digest.map_err(|_| "a batch's digest has 32 bytes")?;
            Some((changes.journal_index, digest))
        }
    };
    Ok(Pushed {
        place,
        sequence: changes.sequence,
        record,
    })
}

/// Whether a signal has a reason by which an ask ends of which no reply was used. Of any other, such
/// as `quota`, the ledger says that nobody was asked.
fn came_to_nothing(signal: &v1::SignalRecord) -> bool {
    [Reason::Timeout, Reason::SourceDown, Reason::Overloaded]
        .iter()
        .any(|reason| signal.reason == reason.to_wire() as i32)
}
