//! Asks one connection about one number.

use accord_proto::clock::Clock;
use futures_util::future::join;
use jiff::Timestamp;
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use super::answer::{Begin, Doubt, Period};
use super::cell::{Absurd, Cell, instant};
use super::connect::Live;
use super::fault::SqlFault;
use super::plan::{Column, OWN_COLUMNS, Plan, ROWS_MAX};

/// What the database says of one number.
#[derive(Debug)]
pub(super) struct Looked {
    /// Until when it is vouched for; or why nobody can tell.
    pub(super) observed_at: Result<Timestamp, Doubt>,
    pub(super) periods: Vec<Period>,
    /// Texts that the configuration does not list, by their column.
    pub(super) unlisted: Vec<&'static str>,
}

/// What came of one look, before it is read: others wait for the connection meanwhile.
#[derive(Debug)]
pub(super) struct Answered {
    /// What the server said of itself, where nobody has the number.
    head: Option<Row>,
    rows: Vec<Row>,
    /// Until when it had replayed, if it was a standby when the connection was made.
    replayed: Option<Row>,
    sent: Timestamp,
    received: Timestamp,
}

/// Looks a number up. The caller bounds the time.
pub(super) async fn look_up(
    live: &Live,
    clock: &dyn Clock,
    number: &str,
) -> Result<Answered, SqlFault> {
    let sent = clock.now();
    let parameters: [&(dyn ToSql + Sync); 1] = [&number];
    let data = live.client.query(&live.lookup, &parameters);
    let (replayed, rows) = match &live.replayed {
        // The first is sent before the second: what it claims was replayed before the data are read.
        Some(replayed) => {
            let (replayed, rows) = join(live.client.query_one(replayed, &[]), data).await;
            (Some(replayed?), rows?)
        }
        None => (None, data.await?),
    };
    // Nobody has the number: what the server is must be asked by itself.
    let head = match rows.first() {
        Some(_) => None,
        None => Some(live.client.query_one(&live.no_row, &[]).await?),
    };
    let answered = Answered {
        head,
        rows,
        replayed,
        sent,
        received: clock.now(),
    };
    // It was a primary when the connection was made.
    if answered.replayed.is_none() && answered.is_of_standby()? {
        return Err(SqlFault::Gone);
    }
    Ok(answered)
}

impl Answered {
    fn head(&self) -> Result<&Row, SqlFault> {
        let head = self.head.as_ref().or_else(|| self.rows.first());
        head.ok_or_else(|| failed("no row"))
    }

    fn is_of_standby(&self) -> Result<bool, SqlFault> {
        Ok(self.head()?.try_get::<_, Cell>(1)? == Cell::Bool(true))
    }
}

/// Reads what was answered.
pub(super) fn read(plan: &Plan, answered: &Answered) -> Result<Looked, SqlFault> {
    let Answered { rows, received, .. } = answered;
    let Cell::Instant(micros) = answered.head()?.try_get(0)? else {
        return Err(failed("no time"));
    };
    let server_now = instant(micros).map_err(|_| failed("no time"))?;
    check_clock(plan, server_now, answered.sent, *received)?;
    let replayed = answered.replayed.as_ref();
    let replayed = replayed.map(|row| row.try_get::<_, Cell>(0)).transpose()?;
    let standby = answered.is_of_standby()?;
    let replayed = replayed.filter(|_| standby);
    let vouched = match replayed {
        None => server_now,
        Some(Cell::Instant(micros)) => {
            instant(micros).map_err(|_| failed("a standby without a time"))?
        }
        Some(_) => return Err(failed("the standby has replayed nothing yet")),
    };
    let mut looked = Looked {
        // Clocks within the tolerance may differ still, and nobody vouches for the future.
        observed_at: Ok(vouched.min(*received)),
        periods: Vec::with_capacity(rows.len()),
        unlisted: Vec::new(),
    };
    for row in rows {
        looked.take(plan, row)?;
    }
    if looked.periods.len() > ROWS_MAX {
        return Err(SqlFault::TooManyRows(ROWS_MAX));
    }
    Ok(looked)
}

impl Looked {
    fn take(&mut self, plan: &Plan, row: &Row) -> Result<(), SqlFault> {
        let mut period = Period {
            activated: Ok(None),
            ceased: Ok(None),
            begin: Begin::NewLine,
            sim: Ok(None),
            sim_kind: None,
            device: Ok(None),
        };
        for (index, column) in (OWN_COLUMNS..).zip(&plan.columns) {
            let cell: Cell = row.try_get(index)?;
            match column {
                Column::SimChangedAt => period.sim = plan.dates.when(&cell),
                Column::DeviceChangedAt => period.device = plan.dates.when(&cell),
                Column::ActivatedAt => period.activated = plan.dates.began(&cell),
                Column::CeasedAt => period.ceased = plan.dates.ends(&cell),
                Column::ObservedAt => self.hold_until(&cell),
                Column::SimChangeReason => {
                    let text = self.text(column.key(), &cell);
                    let kind = text.map(|text| plan.config.reasons.get(text.trim_end()));
                    period.sim_kind = self.listed(column.key(), kind).copied();
                }
                Column::BeginReason => {
                    let text = self.text(column.key(), &cell);
                    let begin = text.map(|text| plan.begin(text.trim_end()));
                    let begin = self.listed(column.key(), begin);
                    period.begin = begin.unwrap_or(Begin::Unlisted);
                }
            }
        }
        if plan.config.columns.activated_at.is_none() {
            period.begin = Begin::Unlisted;
        }
        self.periods.push(period);
        Ok(())
    }

    /// All rows hold until the earliest time that one of them states.
    fn hold_until(&mut self, cell: &Cell) {
        let at = match cell {
            Cell::Instant(micros) => instant(*micros),
            Cell::Bool(_) | Cell::Day(_) | Cell::Local(_) | Cell::Null | Cell::Text(_) => {
                Err(Absurd::Unreadable)
            }
        };
        self.observed_at = match (self.observed_at, at) {
            (Ok(before), Ok(at)) => Ok(before.min(at)),
            (Err(doubt), _) => Err(doubt),
            (Ok(_), Err(absurd)) => Err(("observed_at", absurd)),
        };
    }

    /// A text; none if the cell is empty. One that is no UTF-8 is not listed either.
    fn text<'a>(&mut self, column: &'static str, cell: &'a Cell) -> Option<&'a str> {
        match cell {
            Cell::Text(Some(text)) => Some(text),
            Cell::Text(None) => {
                self.unlisted.push(column);
                None
            }
            Cell::Bool(_) | Cell::Day(_) | Cell::Instant(_) | Cell::Local(_) | Cell::Null => None,
        }
    }

    fn listed<T>(&mut self, column: &'static str, found: Option<Option<T>>) -> Option<T> {
        if matches!(found, Some(None)) {
            self.unlisted.push(column);
        }
        found.flatten()
    }
}

/// Times of the database mean nothing here if its clock is not the adapter's, more or less.
pub(super) fn check_clock(
    plan: &Plan,
    server_now: Timestamp,
    sent: Timestamp,
    received: Timestamp,
) -> Result<(), SqlFault> {
    let behind = sent.duration_since(server_now);
    let ahead = server_now.duration_since(received);
    let off = behind.max(ahead);
    if off > plan.clock_tolerance {
        return Err(SqlFault::ClockOff(off.as_secs()));
    }
    Ok(())
}

fn failed(what: &str) -> SqlFault {
    SqlFault::Failed(what.to_owned())
}
