//! The configuration, checked once and made ready: the SQL that is sent, and what its columns are.
//!
//! The operator's query becomes a sub-query, so that the server sends the mapped columns only, no
//! more rows than anybody has subscriptions, texts that are cut, and its own time beside them, in
//! one round trip and one snapshot.

use std::time::Duration;

use accord_proto::signal::Signal;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use tokio_postgres::Statement;
use tokio_postgres::types::Type;

use super::answer::{Begin, History};
use super::cell::Dates;
use super::check::{SqlConfigError, broken, check, identifier};
use super::config::{BeginText, Holder, SqlConfig};
use super::fault::SqlFault;

/// The most subscriptions of one number.
pub(super) const ROWS_MAX: usize = 64;
/// The most characters of a text that are read.
const TEXT_CHARS_MAX: usize = 256;

/// A column that is asked for, with its key in the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Column {
    SimChangedAt,
    SimChangeReason,
    DeviceChangedAt,
    ActivatedAt,
    CeasedAt,
    BeginReason,
    ObservedAt,
}

impl Column {
    pub(super) const ALL: [Self; 7] = [
        Self::SimChangedAt,
        Self::SimChangeReason,
        Self::DeviceChangedAt,
        Self::ActivatedAt,
        Self::CeasedAt,
        Self::BeginReason,
        Self::ObservedAt,
    ];

    pub(super) const fn key(self) -> &'static str {
        match self {
            Self::SimChangedAt => "columns.sim_changed_at",
            Self::SimChangeReason => "columns.sim_change_reason",
            Self::DeviceChangedAt => "columns.device_changed_at",
            Self::ActivatedAt => "columns.activated_at",
            Self::CeasedAt => "columns.ceased_at",
            Self::BeginReason => "columns.begin_reason",
            Self::ObservedAt => "columns.observed_at",
        }
    }

    const fn is_text(self) -> bool {
        matches!(self, Self::SimChangeReason | Self::BeginReason)
    }

    fn name(self, config: &SqlConfig) -> Option<&String> {
        let columns = &config.columns;
        match self {
            Self::SimChangedAt => columns.sim_changed_at.as_ref(),
            Self::SimChangeReason => columns.sim_change_reason.as_ref(),
            Self::DeviceChangedAt => columns.device_changed_at.as_ref(),
            Self::ActivatedAt => columns.activated_at.as_ref(),
            Self::CeasedAt => columns.ceased_at.as_ref(),
            Self::BeginReason => columns.begin_reason.as_ref(),
            Self::ObservedAt => columns.observed_at.as_ref(),
        }
    }
}

/// Columns before those of the operator: time, standby or not.
pub(super) const OWN_COLUMNS: usize = 2;

/// The same columns where there is no row to hold them.
pub(super) const NO_ROW: &str = "select now(), pg_is_in_recovery()";

/// The configuration, ready.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) config: SqlConfig,
    /// What looks a number up.
    pub(super) lookup: String,
    /// The operator's columns of `lookup`, in order.
    pub(super) columns: Vec<Column>,
    pub(super) signals: Vec<Signal>,
    pub(super) dates: Dates,
    pub(super) sim_history: History,
    pub(super) device_history: History,
    pub(super) request_timeout: Duration,
    pub(super) clock_tolerance: SignedDuration,
}

impl Plan {
    /// # Errors
    /// [`SqlConfigError`] names the key and its rule.
    pub(super) fn new(config: &SqlConfig) -> Result<Self, SqlConfigError> {
        check(config)?;
        let zone = TimeZone::get(&config.time_zone).map_err(|_| SqlConfigError {
            key: "time_zone",
            rule: "is an IANA name, such as `Europe/London`".to_owned(),
        })?;
        let date = |key, text: &str| -> Result<Date, SqlConfigError> {
            let bad = |_| SqlConfigError {
                key,
                rule: "is a date, such as `1980-01-01`".to_owned(),
            };
            text.parse().map_err(bad)
        };
        let start = |key, text: &str| -> Result<Timestamp, SqlConfigError> {
            let start = date(key, text)?.to_zoned(zone.clone());
            start.map(|at| at.timestamp()).map_err(|_| SqlConfigError {
                key,
                rule: "is no date of this calendar".to_owned(),
            })
        };
        let history = |key, text: &Option<String>| match text.as_deref() {
            None => Ok(History::NotStated),
            Some("whole_life") => Ok(History::WholeLife),
            Some(text) => start(key, text).map(History::Since),
        };
        let columns: Vec<Column> = Column::ALL
            .into_iter()
            .filter(|column| column.name(config).is_some())
            .collect();
        let never = config.never.iter().map(|text| date("never", text));
        let plan = Self {
            lookup: lookup(config, &columns)?,
            signals: signals(config),
            sim_history: history("history.sim", &config.history.sim)?,
            device_history: history("history.device", &config.history.device)?,
            request_timeout: Duration::from_millis(config.request_timeout_ms),
            clock_tolerance: SignedDuration::from_millis(
                i64::try_from(config.clock_tolerance_ms).unwrap_or(i64::MAX),
            ),
            dates: Dates {
                earliest: start("earliest", &config.earliest)?,
                never: never.collect::<Result<_, _>>()?,
                zone,
            },
            columns,
            config: config.clone(),
        };
        if plan.signals.is_empty() {
            return broken("columns", "none of them answers a signal");
        }
        Ok(plan)
    }

    /// How a subscription began. `None`: the text is not listed.
    pub(super) fn begin(&self, text: &str) -> Option<Begin> {
        let policy = &self.config.policy;
        let by = |holder| match holder {
            Some(Holder::New) => Begin::NewHolder,
            Some(Holder::Same) => Begin::SameHolder,
            // Checked: what is listed has its policy.
            None => Begin::Unlisted,
        };
        Some(match self.config.begins.get(text)? {
            BeginText::Continuation => Begin::SameHolder,
            BeginText::NewLine => Begin::NewLine,
            BeginText::NumberChange => Begin::NumberChange,
            BeginText::PortIn => Begin::PortIn,
            BeginText::ReRegistration => by(policy.re_registration),
            BeginText::Transfer => by(policy.transfer),
        })
    }

    /// Whether the database's types are those that can be read.
    ///
    /// # Errors
    /// [`SqlFault::ColumnType`] names the column.
    pub(super) fn check_types(&self, lookup: &Statement) -> Result<(), SqlFault> {
        let texts = [Type::TEXT, Type::VARCHAR, Type::BPCHAR, Type::UNKNOWN];
        let wrong = |column, found: &Type, wanted| {
            Err(SqlFault::ColumnType {
                column,
                found: found.name().to_owned(),
                wanted,
            })
        };
        match lookup.params() {
            [only] if texts.contains(only) => {}
            [only] => {
                return wrong(
                    "$1 of `query`",
                    only,
                    "a text; write `$1::text` and cast it",
                );
            }
            _ => return Err(SqlFault::Schema("`query` has one parameter, `$1`".into())),
        }
        let of_server = lookup.columns().iter().skip(OWN_COLUMNS);
        for (column, found) in self.columns.iter().zip(of_server) {
            let ty = found.type_();
            let dates = [Type::DATE, Type::TIMESTAMP, Type::TIMESTAMPTZ];
            if *column == Column::ObservedAt && *ty != Type::TIMESTAMPTZ {
                return wrong(column.key(), ty, "timestamptz");
            }
            if !column.is_text() && !dates.contains(ty) {
                return wrong(column.key(), ty, "date, timestamp or timestamptz");
            }
        }
        Ok(())
    }
}

fn signals(config: &SqlConfig) -> Vec<Signal> {
    let columns = &config.columns;
    let activated = columns.activated_at.is_some();
    [
        (Signal::SimSwap, columns.sim_changed_at.is_some()),
        (Signal::DeviceSwap, columns.device_changed_at.is_some()),
        (Signal::NumberRecycling, activated),
        (Signal::Tenure, activated),
    ]
    .into_iter()
    .filter_map(|(signal, answered)| answered.then_some(signal))
    .collect()
}

fn lookup(config: &SqlConfig, columns: &[Column]) -> Result<String, SqlConfigError> {
    let mut selected = String::new();
    for column in columns {
        let name = identifier(column.key(), column.name(config).map_or("", String::as_str))?;
        selected.push_str(", ");
        selected.push_str(&if column.is_text() {
            format!("left(accord_u.{name}::text, {TEXT_CHARS_MAX}) as {name}")
        } else {
            format!("accord_u.{name}")
        });
    }
    let limit = ROWS_MAX + 1;
    let query = &config.query;
    // A join that gave a row for a number that nobody has would cost every lookup a fifth of its time.
    Ok(format!(
        "{NO_ROW}{selected} from (\n{query}\n) accord_u limit {limit}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::check::sub_query;

    fn plan(more: &str) -> Result<Plan, SqlConfigError> {
        let text = format!(
            "database = \"crm\"\nuser = \"accord\"\n\
             query = \"select * from v where msisdn = $1\"\ntime_zone = \"Europe/London\"\n\
             number = {{ form = \"plus\" }}\n{more}"
        );
        Plan::new(&toml::from_str(&text).unwrap())
    }

    const LOCAL: &str = "host = \"127.0.0.1\"\ncolumns = { activated_at = \"from\" }\n";

    #[test]
    fn what_is_not_given_has_a_default_that_holds() {
        let plan = plan(LOCAL).unwrap();
        assert_eq!(plan.signals, [Signal::NumberRecycling, Signal::Tenure]);
        assert!(plan.lookup.contains("accord_u.\"from\""), "{}", plan.lookup);
    }

    #[test]
    fn each_rule_names_its_key() {
        let columns = "columns = { activated_at = \"a\" }\n";
        for (text, key) in [
            (format!("host = \"db.example\"\n{columns}"), "tls"),
            (format!("host = \"\"\n{columns}"), "host"),
            ("host = \"::1\"\ncolumns = {}".to_owned(), "columns"),
            (
                "host = \"::1\"\ncolumns = { activated_at = 'a\"b' }".to_owned(),
                "columns.activated_at",
            ),
            (format!("{LOCAL}connections = 0"), "connections"),
            (
                format!("{LOCAL}request_timeout_ms = 1"),
                "request_timeout_ms",
            ),
            (format!("{LOCAL}asks_max = 0"), "asks_max"),
            (
                format!("{LOCAL}clock_tolerance_ms = 1"),
                "clock_tolerance_ms",
            ),
            (format!("{LOCAL}earliest = \"1980\""), "earliest"),
            (format!("{LOCAL}never = [\"01-01-1900\"]"), "never"),
            (
                format!("{LOCAL}history = {{ sim = \"ever\" }}"),
                "history.sim",
            ),
            (
                format!("{LOCAL}begins = {{ T = \"transfer\" }}"),
                "policy.transfer",
            ),
            (
                format!("{LOCAL}begins = {{ R = \"re_registration\" }}"),
                "policy.re_registration",
            ),
            (
                format!("{LOCAL}password_file = \"p\"\npassword_env = \"P\""),
                "password_file",
            ),
            (
                format!("{LOCAL}tls = {{ roots = \"r\", key = \"k\" }}"),
                "tls",
            ),
        ] {
            let error = plan(&text).unwrap_err();
            assert_eq!(error.key, key, "{text}: {error}");
        }
        assert_eq!(
            sub_query("query", "select 1; drop table x")
                .unwrap_err()
                .key,
            "query"
        );
        assert_eq!(sub_query("query", " ").unwrap_err().key, "query");
    }
}
