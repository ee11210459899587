//! The entries about one operator, from an export of the ledger.

use std::{
    fs::File,
    io::{BufRead, BufReader, Read as _},
};

use accord_proto::{
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
    pub(super) from_view: bool,
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
        if ledger.accesses.len() > ITEMS_MAX {
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
        match entry.event {
            Some(Event::Access(access)) if access.operator == scope.operator => {
                self.saw(at);
                let within = scope.from.is_none_or(|from| from <= at)
                    && scope.until.is_none_or(|until| at <= until);
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
        let mut reply = None;
        for one in &access.replies {
            if one.instance == scope.instance {
                let digest = <[u8; 32]>::try_from(one.digest.as_slice());
                let digest = digest.map_err(|_| "a reply's digest has 32 bytes")?;
                reply = Some((one.journal_index, digest));
            } else {
                self.has_others = true;
            }
        }
        let signals = access.signals.iter();
        let signals = signals.filter_map(|signal| Signal::from_wire(signal.signal));
        Ok(Access {
            place,
            at,
            bank: access.bank,
            purpose: access.purpose,
            signals: signals.fold(0, |bits, one| bits | signal_bit(one)),
            reply,
            from_view: access.signals.iter().any(|signal| signal.from_view),
        })
    }
}
