//! What the HLR's file adds to its control interface: the device, and when the subscriber was last
//! seen.

use accord_proto::clock::Clock;
use accord_proto::msisdn::Msisdn;
use accord_proto::reason::Reason;
use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

use super::OsmoHlrError;
use super::database::{Database, DatabaseError, Field, Row};
use super::info::Info;
use super::poll::Sweep;
use crate::interval_journal::{Outcome, PENDING_FRAMES_MAX, Track};
use crate::source::{Condition, StateCell};

/// The file, the journal of devices, and how long a location update counts.
#[derive(Debug)]
pub(super) struct Device {
    pub(super) database: Database,
    pub(super) track: Track,
    /// How long after a location update the registration is vouched for.
    pub(super) vouched: SignedDuration,
    pub(super) state: StateCell,
}

impl Device {
    pub(super) fn new(database: Database, track: Track, vouched: SignedDuration) -> Self {
        Self {
            database,
            track,
            vouched,
            state: StateCell::default(),
        }
    }

    /// The row of the subscriber that the control interface told of.
    ///
    /// # Errors
    /// `contradicted` if the file tells of another card or another registration.
    pub(super) async fn row(
        &self,
        msisdn: Msisdn,
        info: &Info,
        clock: &dyn Clock,
        deadline: Instant,
    ) -> Result<Row, Reason> {
        let rows = self.database.read(vec![msisdn], deadline).await;
        self.tell(rows.as_ref().err(), clock.now());
        let rows = rows.map_err(|error| error.reason())?;
        let row = rows.into_iter().next().flatten();
        let row = row.filter(|row| row.agrees(info));
        row.ok_or(Reason::Contradicted)
    }

    /// Journals the devices of numbers that the control interface just told of; `None` for those
    /// that nobody has. Gives `false` if that did not succeed for all.
    pub(super) async fn poll(
        &self,
        found: Vec<(Msisdn, Option<Info>)>,
        clock: &dyn Clock,
        deadline: Instant,
        sweep: &mut Sweep,
    ) -> Result<bool, OsmoHlrError> {
        let sent = clock.now();
        let numbers = found.iter().map(|(msisdn, _)| *msisdn).collect();
        let rows = self.database.read(numbers, deadline).await;
        self.tell(rows.as_ref().err(), clock.now());
        let Ok(rows) = rows else {
            sweep.devices_unread += found.len();
            return Ok(false);
        };
        let received = clock.now();
        let (mut changed, mut gone) = (Vec::new(), Vec::new());
        for ((msisdn, info), row) in found.into_iter().zip(rows) {
            let row = row.filter(|row| info.is_some_and(|info| row.agrees(&info)));
            let imei = row.as_ref().and_then(|row| {
                sweep.devices_unusable += usize::from(row.imei == Field::Unusable);
                row.imei.known()
            });
            let Some(imei) = imei else {
                let missed = self.track.journal.missed(&msisdn)?;
                gone.extend(missed.filter(|missed| missed.newly).map(|_| msisdn));
                continue;
            };
            let seen = self
                .track
                .journal
                .seen(msisdn, imei.expose(), sent, received)?;
            if let Some((Outcome::Changed, known)) = seen {
                changed.push((msisdn, known));
            }
        }
        if !changed.is_empty() || self.track.journal.pending_count() > PENDING_FRAMES_MAX {
            self.track.flush().await?;
        }
        sweep.devices_changed += changed.len();
        for (msisdn, known) in changed {
            sweep.dropped += usize::from(!self.track.tell(msisdn, &known).await);
        }
        for msisdn in gone {
            let told = sweep.may_withdraw() && self.track.withdraw(msisdn).await;
            sweep.count_withdrawn(told);
        }
        Ok(true)
    }

    /// Says once that the file can't be read, and once that it can again.
    fn tell(&self, error: Option<&DatabaseError>, now: Timestamp) {
        let failed_before = !matches!(
            self.state.get().condition,
            Condition::Up | Condition::Starting
        );
        match error {
            Some(error) => {
                if self.state.set(error.condition(), error.to_string(), now) {
                    tracing::error!(
                        error = error as &dyn std::error::Error,
                        "can't read the HLR's database: no device swaps until it can be read"
                    );
                }
            }
            None => {
                if self.state.set(Condition::Up, "", now) && failed_before {
                    tracing::info!("the HLR's database can be read again");
                }
            }
        }
    }
}
