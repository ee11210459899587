//! Pages of changed numbers, by keyset: after the last (time, id), never by offset, so that a row
//! that comes meanwhile moves no other out of sight.

use jiff::Timestamp;
use tokio_postgres::types::{IsNull, ToSql, Type, to_sql_checked};
use tokio_postgres::{Client, Statement};

use super::cell::{Cell, instant, postgres_micros};
use super::check::{SqlConfigError, identifier, sub_query};
use super::config::SqlChanges;
use super::fault::SqlFault;

/// The most rows of a page.
pub(super) const PAGE_ROWS: usize = 500;
/// The most characters of a number and of an id.
const NUMBER_CHARS_MAX: usize = 32;
const ID_CHARS_MAX: usize = 128;

/// A place in the order of changes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Place {
    pub(super) at: Timestamp,
    pub(super) id: String,
}

impl Place {
    /// Before every change of a time.
    pub(super) const fn before(at: Timestamp) -> Self {
        Self {
            at,
            id: String::new(),
        }
    }
}

/// One change.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) place: Place,
    /// As the source writes it.
    pub(super) number: Option<String>,
}

/// A page, and the server's time.
#[derive(Debug)]
pub(super) struct Page {
    pub(super) rows: Vec<Row>,
    pub(super) full: bool,
}

/// The query of a page. What lies ahead of the server's clock is left for when its time has come: a
/// change of the year 9999 would hide all that come before it.
pub(super) fn sql(section: &SqlChanges) -> Result<String, SqlConfigError> {
    sub_query("changes.query", &section.query)?;
    let number = identifier("changes.msisdn", &section.msisdn)?;
    let at = identifier("changes.changed_at", &section.changed_at)?;
    let id = identifier("changes.id", &section.id)?;
    let query = &section.query;
    let key = format!("left(accord_u.{id}::text, {ID_CHARS_MAX}) collate \"C\"");
    Ok(format!(
        "select accord_u.{at}, {key}, left(accord_u.{number}::text, {NUMBER_CHARS_MAX}) \
         from (\n{query}\n) accord_u \
         where accord_u.{at} >= $1 and (accord_u.{at}, {key}) > ($1, $2) \
         and accord_u.{at} <= now() \
         order by accord_u.{at}, {key} limit {PAGE_ROWS}"
    ))
}

/// Whether the types fit.
pub(super) fn check_types(page: &Statement) -> Result<(), SqlFault> {
    let at = page.columns().first().map(tokio_postgres::Column::type_);
    match at {
        Some(ty) if *ty == Type::TIMESTAMPTZ => Ok(()),
        ty => Err(SqlFault::ColumnType {
            column: "changes.changed_at",
            found: ty.map_or("nothing", Type::name).to_owned(),
            // Without a zone, an hour a year comes twice, and the second one is out of order.
            wanted: "timestamptz",
        }),
    }
}

/// Reads the page after a place.
pub(super) async fn read(
    client: &Client,
    page: &Statement,
    after: &Place,
) -> Result<Page, SqlFault> {
    let rows = client.query(page, &[&At(after.at), &after.id]).await?;
    let full = rows.len() >= PAGE_ROWS;
    let mut read = Vec::with_capacity(rows.len());
    for row in &rows {
        let cells: [Cell; 3] = [row.try_get(0)?, row.try_get(1)?, row.try_get(2)?];
        let [Cell::Instant(micros), Cell::Text(Some(id)), number] = cells else {
            return Err(SqlFault::Failed(
                "a change without a time or an id".to_owned(),
            ));
        };
        let at = instant(micros).map_err(|_| SqlFault::Failed("no time".to_owned()))?;
        let number = match number {
            Cell::Text(text) => text,
            Cell::Bool(_) | Cell::Day(_) | Cell::Instant(_) | Cell::Local(_) | Cell::Null => None,
        };
        read.push(Row {
            place: Place { at, id },
            number,
        });
    }
    Ok(Page { rows: read, full })
}

/// An instant as a parameter.
#[derive(Debug)]
struct At(Timestamp);

impl ToSql for At {
    fn to_sql(
        &self,
        _: &Type,
        out: &mut bytes::BytesMut,
    ) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        out.extend_from_slice(&postgres_micros(self.0).to_be_bytes());
        Ok(IsNull::No)
    }

    fn accepts(ty: &Type) -> bool {
        *ty == Type::TIMESTAMPTZ
    }

    to_sql_checked!();
}
