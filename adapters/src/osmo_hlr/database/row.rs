//! One subscriber as the file has it.

use jiff::{Timestamp, civil, tz::TimeZone};
use rusqlite::types::ValueRef;

use super::imei::Imei;
use crate::osmo_hlr::info::Info;

/// The longest text that is taken from a column; the query cuts what is longer by one more.
pub(super) const TEXT_MAX: usize = 64;

/// The moment before which no GSM network of this software wrote anything.
const EARLIEST_YEAR: i16 = 2000;

/// What a column holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::osmo_hlr) enum Field<T> {
    /// `NULL`, or an empty text.
    Absent,
    /// A value.
    Known(T),
    /// Something that is no such value.
    Unusable,
}

impl<T> Field<T> {
    fn map<U>(self, parse: impl FnOnce(T) -> Option<U>) -> Field<U> {
        match self {
            Self::Absent => Field::Absent,
            Self::Known(value) => parse(value).map_or(Field::Unusable, Field::Known),
            Self::Unusable => Field::Unusable,
        }
    }

    /// The value, if there is one that can be used.
    pub(in crate::osmo_hlr) const fn known(&self) -> Option<&T> {
        match self {
            Self::Known(value) => Some(value),
            Self::Absent | Self::Unusable => None,
        }
    }
}

/// One row of `subscriber`.
#[derive(Clone)]
pub(in crate::osmo_hlr) struct Row {
    imsi: Field<String>,
    vlr: Field<String>,
    sgsn: Field<String>,
    /// The device that was last checked in with the subscriber's card.
    pub(in crate::osmo_hlr) imei: Field<Imei>,
    /// The last location update of the circuit-switched domain.
    pub(in crate::osmo_hlr) seen_cs: Field<Timestamp>,
    /// Of the packet-switched domain.
    pub(in crate::osmo_hlr) seen_ps: Field<Timestamp>,
}

impl Row {
    /// In the order of [`super::file`]'s query.
    pub(super) fn read(row: &rusqlite::Row<'_>) -> rusqlite::Result<Self> {
        let [imsi, imei, imeisv, vlr, sgsn, seen_cs, seen_ps] =
            [0, 1, 2, 3, 4, 5, 6].map(|column| row.get_ref(column).map(text));
        let device = match imei?.map(|text| Imei::parse(&text)) {
            Field::Absent => imeisv?.map(|text| Imei::parse(&text)),
            found @ (Field::Known(_) | Field::Unusable) => found,
        };
        Ok(Self {
            imsi: imsi?,
            vlr: vlr?,
            sgsn: sgsn?,
            imei: device,
            seen_cs: seen_cs?.map(|text| instant(&text)),
            seen_ps: seen_ps?.map(|text| instant(&text)),
        })
    }

    /// Whether this is the subscriber of whom the control interface just told: the same card, and
    /// the same registrations. If not, one of the two is not of now.
    pub(in crate::osmo_hlr) fn agrees(&self, info: &Info) -> bool {
        let same = |told: &Option<String>, field: &Field<String>| {
            told.as_ref().is_none_or(|told| field.known() == Some(told))
        };
        self.imsi.known() == Some(&info.imsi)
            && same(&info.vlr, &self.vlr)
            && same(&info.sgsn, &self.sgsn)
    }
}

fn text(value: ValueRef<'_>) -> Field<String> {
    match value {
        ValueRef::Null | ValueRef::Text([]) => Field::Absent,
        ValueRef::Text(bytes) if bytes.len() <= TEXT_MAX => {
            std::str::from_utf8(bytes).map_or(Field::Unusable, |text| Field::Known(text.to_owned()))
        }
        ValueRef::Text(_) | ValueRef::Blob(_) | ValueRef::Integer(_) | ValueRef::Real(_) => {
            Field::Unusable
        }
    }
}

/// `datetime(…, 'unixepoch')` of SQLite: UTC, to the second.
fn instant(text: &str) -> Option<Timestamp> {
    let at = civil::DateTime::strptime("%Y-%m-%d %H:%M:%S", text).ok()?;
    let at = (at.year() >= EARLIEST_YEAR).then_some(at)?;
    Some(at.to_zoned(TimeZone::UTC).ok()?.timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_what_sqlite_writes_and_nothing_else() {
        let at = instant("2026-11-21 09:00:00").unwrap();
        assert_eq!(at, "2026-11-21T09:00:00Z".parse().unwrap());
        for bad in [
            "",
            "1970-01-01 00:00:00",
            "0001-01-01 00:00:00",
            "2026-02-30 00:00:00",
            "2026-11-21",
            "2026-11-21T09:00:00Z",
            "21-11-2026 09:00:00",
            "1795251600",
        ] {
            assert_eq!(instant(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_text_that_is_none_is_unusable_and_an_empty_one_is_absent() {
        assert_eq!(text(ValueRef::Null), Field::Absent);
        assert_eq!(text(ValueRef::Text(b"")), Field::Absent);
        assert_eq!(text(ValueRef::Text(b"vlr")), Field::Known("vlr".to_owned()));
        for bad in [
            ValueRef::Text(b"\xff\xfe"),
            ValueRef::Text(&[b'1'; TEXT_MAX + 1]),
            ValueRef::Blob(b"vlr"),
            ValueRef::Integer(14),
            ValueRef::Real(1.0),
        ] {
            assert_eq!(text(bad), Field::Unusable);
        }
    }
}
