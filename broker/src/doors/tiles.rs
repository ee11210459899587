//! The tiles: each month's log over HTTPS, as C2SP `tlog-tiles` has it.
//!
//! ```text
//! GET /logs                                  the origins of all logs, oldest first, one a line
//! GET /<origin>/checkpoint                   the last checkpoint (cosigned, where witnesses are)
//! GET /<origin>/tile/<L>/<N>[.p/<W>]         hashes
//! GET /<origin>/tile/entries/<N>[.p/<W>]     entries: whom the agreement grants a mirror
//! ```
//!
//! Checkpoint and hashes are for every party: entries carry a random salt, so a hash says nothing
//! of its entry. Entries are all that the ledger holds, beyond any one authority's remit. Nothing
//! beyond the checkpoint that was shown is. The reading of entries is on the record once for each
//! connection, log and statement: a mirror that put each fetch on the record would feed itself.

mod answer;
mod place;

use std::{collections::HashMap, sync::Arc};

use accord_proto::{clock::SharedClock, party::PartyId, statement::Statement, v1};
use http::{Method, Request, Response};
use hyper::body::{Bytes, Incoming as Body};
use jiff::tz::TimeZone;
use tokio::{
    net::TcpListener,
    sync::{Mutex, Semaphore, watch},
};

use self::place::{Place, What};
use super::{
    https::{self, Handler, Held, HttpLimits},
    read_blocking,
};
use crate::{
    entry::record_entry,
    governance::Governance,
    identity::{AcceptLimits, Connections, Peer, TrustStore},
    ledger::{Ledger, LedgerError},
    path::{Rates, Refusal},
    refusals::RefusalBook,
};

/// The method, for the record.
const ENTRIES: &str = "Tiles.Entries";
/// The same of everything else, where it is refused.
const TILES: &str = "Tiles";
/// Requests in flight on one connection.
const STREAMS_MAX: u32 = 32;
/// Entry bundles in memory, of all connections; each has up to 16 MiB, and mostly 100 KiB.
const BUNDLES_MAX: usize = 64;
/// Readings that one connection has on the record and remembers.
const READINGS_MAX: usize = 64;

/// What the tiles' door works with.
#[derive(Debug)]
pub struct TilesParts {
    /// Certificates.
    pub trust: Arc<TrustStore>,
    /// The list of parties and the agreement.
    pub governance: Arc<Governance>,
    /// The record.
    pub ledger: Arc<Ledger>,
    /// Refusals.
    pub refusals: Arc<RefusalBook>,
    /// Requests a second for each party.
    pub rates: Rates,
    /// Whether checkpoints are shown only once a quorum of witnesses has cosigned them.
    pub witnessed: bool,
    /// Time.
    pub clock: SharedClock,
}

/// The tiles' door.
#[derive(Debug)]
pub struct TilesDoor {
    parts: Arc<TilesParts>,
    accept: AcceptLimits,
    header_bytes_max: usize,
}

impl TilesDoor {
    /// A door to the logs.
    #[must_use]
    pub fn new(parts: TilesParts, accept: AcceptLimits, header_bytes_max: usize) -> Self {
        Self {
            parts: Arc::new(parts),
            accept,
            header_bytes_max,
        }
    }

    /// Serves until the broker stops.
    pub async fn serve(
        self,
        listener: TcpListener,
        connections: Arc<Connections>,
        stopping: watch::Receiver<bool>,
    ) {
        let parts = self.parts;
        let (trust, refusals) = (&parts.trust, &parts.refusals);
        let incoming = https::listen(listener, trust, connections, self.accept, refusals);
        let bundles = Arc::new(Semaphore::new(BUNDLES_MAX));
        let connected = |peer| Connection {
            parts: Arc::clone(&parts),
            peer,
            bundles: Arc::clone(&bundles),
            readings: Mutex::default(),
        };
        let limits = HttpLimits {
            header_bytes_max: self.header_bytes_max,
            streams_max: STREAMS_MAX,
        };
        https::serve(incoming, limits, stopping, connected).await;
    }
}

/// Log and statement of a reading that is on the record.
type Reading = (String, Vec<u8>);

/// One connection.
struct Connection {
    parts: Arc<TilesParts>,
    peer: Arc<Peer>,
    bundles: Arc<Semaphore>,
    /// What this connection has on the record.
    readings: Mutex<HashMap<Reading, Statement>>,
}

impl Handler for Connection {
    async fn answer(self: Arc<Self>, request: Request<Body>) -> Response<Held> {
        if request.method() != Method::GET {
            return answer::not_get();
        }
        let uri = request.uri();
        let place = match uri.query() {
            None => Place::parse(uri.path(), self.parts.ledger.key().name()),
            Some(_) => None,
        };
        let method = match &place {
            Some(Place {
                what: What::Bundle(_),
                ..
            }) => ENTRIES,
            Some(_) | None => TILES,
        };
        let given = match place {
            Some(place) => self.give(place, &request).await,
            None => self.unknown(uri.path()),
        };
        match given {
            Ok(response) => response,
            Err(refusal) => self.refuse(method, refusal).await,
        }
    }
}

impl Connection {
    /// Who reads: any registered party, within its rate.
    fn reader(&self) -> Result<PartyId, Refusal> {
        let parts = &self.parts;
        let now = parts.clock.now();
        let party = self.peer.check(&parts.trust, now)?;
        parts.governance.current().check_licence(party, now)?;
        let rate = parts.rates.party(party.org());
        rate.map_err(|retry_after| Refusal::RateLimited { retry_after })?;
        Ok(party.clone())
    }

    /// A stranger learns nothing of which paths there are.
    fn unknown(&self, path: &str) -> Result<Response<Held>, Refusal> {
        self.reader()?;
        Err(place::mistake(path))
    }

    async fn give(&self, place: Place, request: &Request<Body>) -> Result<Response<Held>, Refusal> {
        let party = self.reader()?;
        let Place { origin, what } = place;
        match what {
            What::Logs => {
                let origins = self.read(|ledger| ledger.origins()).await?;
                Ok(answer::text(origins.join("\n") + "\n"))
            }
            What::Checkpoint => {
                let (note, _) = self.shown(&origin).await?;
                Ok(answer::text(note.to_string()))
            }
            What::Tile(tile) => {
                let (_, size) = self.shown(&origin).await?;
                let read = move |ledger: &Ledger| ledger.tile(&origin, tile, size);
                let bytes = self.read(read).await?;
                Ok(answer::hashes(bytes, tile.width() == 256))
            }
            What::Bundle(bundle) => {
                self.check_mirror(&party)?;
                let (_, size) = self.shown(&origin).await?;
                // What is not there was not read.
                if bundle.first().saturating_add(u64::from(bundle.width())) > size {
                    return Err(Refusal::NotFound("index"));
                }
                self.on_record(&party, &origin, bundle.first(), request)
                    .await?;
                let room = Arc::clone(&self.bundles).acquire_owned().await;
                let room = room.map_err(|_| Refusal::Overloaded)?;
                let read = move |ledger: &Ledger| ledger.bundle(&origin, bundle, size);
                let bytes = Bytes::from(self.read(read).await?);
                let held = Held::in_room(bytes, room);
                Ok(answer::entries(held, bundle.width() == 256))
            }
        }
    }

    /// The agreement in force must name the party: a copy of everything is for nobody else.
    fn check_mirror(&self, party: &PartyId) -> Result<(), Refusal> {
        let governed = self.parts.governance.current();
        governed.check_in_force(self.parts.clock.now())?;
        let mirrors = governed.signed().document().mirrors();
        match mirrors.contains(party) {
            true => Ok(()),
            false => Err(Refusal::NoMirror),
        }
    }

    /// What of a log is shown.
    async fn shown(&self, origin: &str) -> Result<(Arc<str>, u64), Refusal> {
        let (origin, witnessed) = (origin.to_owned(), self.parts.witnessed);
        let shown = self.read(move |ledger| ledger.shown(&origin, witnessed));
        let none = "no quorum of witnesses has cosigned this log yet";
        shown.await?.ok_or(Refusal::NotReady(none))
    }

    /// Puts the reading of a log's entries on the record, before the first of them leaves.
    async fn on_record(
        &self,
        party: &PartyId,
        origin: &str,
        first: u64,
        request: &Request<Body>,
    ) -> Result<(), Refusal> {
        let header = answer::statement_header(request)?;
        let today = self.parts.clock.now().to_zoned(TimeZone::UTC).date();
        let reading = (origin.to_owned(), header.to_vec());
        // Held while the entry is written: a request beside this one waits for it too.
        let mut readings = self.readings.lock().await;
        if let Some(statement) = readings.get(&reading) {
            return Ok(statement.check_day(today)?);
        }
        let statement = answer::statement(header, today)?;
        let read = v1::AuditRead {
            party: party.to_string(),
            method: ENTRIES.to_owned(),
            first_index: first,
            entries: 0,
            origin: origin.to_owned(),
            statement: Some(statement.to_wire()),
            filter: None,
        };
        record_entry(&self.parts.ledger, v1::entry::Event::AuditRead(read)).await?;
        if readings.len() >= READINGS_MAX {
            readings.clear();
        }
        readings.insert(reading, statement);
        Ok(())
    }

    /// The ledger reads files, so it is read where that may block.
    async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Ledger) -> Result<T, LedgerError> + Send + 'static,
    ) -> Result<T, Refusal> {
        let ledger = Arc::clone(&self.parts.ledger);
        read_blocking(move || read(&ledger)).await
    }

    async fn refuse(&self, method: &'static str, refusal: Refusal) -> Response<Held> {
        let recorded = match self.peer.party() {
            Some(party) => self.parts.refusals.record(party, method, &refusal).await,
            None => Ok(()),
        };
        answer::refused(&recorded.err().unwrap_or(refusal))
    }
}
