//! What can be wrong with the database, by name, and what a bank is told of it.

use std::{error::Error as _, io::ErrorKind};

use accord_proto::reason::Reason;
use tokio_postgres::error::SqlState;

use crate::source::Condition;
use crate::unreached::{Unreached, tls_trouble};

/// The most characters of a server's message that are kept.
const MESSAGE_CHARS_MAX: usize = 200;

/// Why the database gave no answer. No variant holds a number or a value: of what the server says
/// only messages about names are kept, and long digit runs of those are masked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SqlFault {
    /// The time is over.
    #[error("no answer in time")]
    Timeout,
    /// More asks wait than `asks_max`, or the server has no connection left.
    #[error("too many asks at once, or the server has no connection left")]
    Overloaded,
    /// Nothing answers there.
    #[error("the server can't be reached: {0}")]
    Unreachable(Unreached),
    /// The connection ended, or the server is stopping or starting.
    #[error("the server closed the connection, or is stopping or starting")]
    Gone,
    /// TLS failed: another root, another name, or none at all.
    #[error("no TLS with the server: {0}")]
    Tls(String),
    /// The password file or the environment variable can't be read.
    #[error("no password: {0}")]
    NoPassword(String),
    /// The role or its password is wrong, or the server does not let it in from here.
    #[error("the server refuses the role: {0}")]
    WrongCredentials(String),
    /// There is no such database.
    #[error("there is no such database")]
    NoDatabase,
    /// The role may not read what the query reads.
    #[error("the role lacks a privilege: {0}")]
    Forbidden(String),
    /// A table, a column or a function is not there, or the query is no SQL.
    #[error("the query does not fit the database: {0}")]
    Schema(String),
    /// A column or the parameter has a type that it can't have.
    #[error("`{column}` is of type `{found}`, and must be {wanted}")]
    ColumnType {
        /// The key of the configuration.
        column: &'static str,
        /// Its type in the database.
        found: String,
        /// What it may be.
        wanted: &'static str,
    },
    /// The role could write.
    #[error(
        "the role could write to {0} table(s), or is a superuser; see docs/operators/sql.md, or \
         set `writable_role = \"warn\"`"
    )]
    RoleCanWrite(i64),
    /// The server's clock is off.
    #[error("the server's clock is off by {0} s, more than `clock_tolerance_ms`")]
    ClockOff(i64),
    /// More rows for one number than anybody has subscriptions.
    #[error("the query gives more than {0} rows for one number")]
    TooManyRows(usize),
    /// A text of this number's rows is not of the encoding that the database says it is.
    #[error("a text is not of the database's encoding")]
    Encoding,
    /// It is no PostgreSQL, or what it sends is damaged.
    #[error("what answers there does not keep to PostgreSQL's protocol")]
    Protocol,
    /// Anything else, by its SQLSTATE or in a few words.
    #[error("the query failed: {0}")]
    Failed(String),
}

impl SqlFault {
    /// Its name, for a status page and a metric's label.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Timeout => "timeout",
            Self::Overloaded => "overloaded",
            Self::Unreachable(_) => "unreachable",
            Self::Gone => "gone",
            Self::Tls(_) => "tls",
            Self::NoPassword(_) => "no_password",
            Self::WrongCredentials(_) => "wrong_credentials",
            Self::NoDatabase => "no_database",
            Self::Forbidden(_) => "forbidden",
            Self::Schema(_) => "schema",
            Self::ColumnType { .. } => "column_type",
            Self::RoleCanWrite(_) => "role_can_write",
            Self::ClockOff(_) => "clock_off",
            Self::TooManyRows(_) => "too_many_rows",
            Self::Encoding => "encoding",
            Self::Protocol => "protocol",
            Self::Failed(_) => "failed",
        }
    }

    /// What a bank is told.
    #[must_use]
    pub const fn reason(&self) -> Reason {
        match self {
            Self::Timeout => Reason::Timeout,
            Self::Overloaded => Reason::Overloaded,
            Self::TooManyRows(_) | Self::Encoding => Reason::NotAvailable,
            Self::Unreachable(_)
            | Self::Gone
            | Self::Tls(_)
            | Self::NoPassword(_)
            | Self::WrongCredentials(_)
            | Self::NoDatabase
            | Self::Forbidden(_)
            | Self::Schema(_)
            | Self::ColumnType { .. }
            | Self::RoleCanWrite(_)
            | Self::ClockOff(_)
            | Self::Protocol
            | Self::Failed(_) => Reason::SourceDown,
        }
    }

    /// How the source is, for the status page.
    pub(super) const fn condition(&self) -> Condition {
        match self {
            Self::Timeout | Self::Overloaded | Self::Unreachable(_) | Self::Gone => Condition::Down,
            Self::Tls(_)
            | Self::NoPassword(_)
            | Self::WrongCredentials(_)
            | Self::NoDatabase
            | Self::Forbidden(_)
            | Self::RoleCanWrite(_) => Condition::Refused,
            Self::Schema(_)
            | Self::ColumnType { .. }
            | Self::ClockOff(_)
            | Self::TooManyRows(_)
            | Self::Encoding
            | Self::Protocol
            | Self::Failed(_) => Condition::Unusable,
        }
    }

    /// Whether it is about this ask or this moment only, and says nothing of the source.
    pub(super) const fn passes(&self) -> bool {
        matches!(
            self,
            Self::Overloaded | Self::TooManyRows(_) | Self::Encoding
        )
    }
}

impl From<tokio_postgres::Error> for SqlFault {
    fn from(error: tokio_postgres::Error) -> Self {
        if let Some(db) = error.as_db_error() {
            return of_server(db);
        }
        if error.is_closed() {
            return Self::Gone;
        }
        // The library says in words only which step failed.
        let step = error.to_string();
        let io = error
            .source()
            .and_then(|source| source.downcast_ref::<std::io::Error>());
        if step.contains("TLS") {
            return Self::Tls(io.map_or("the server has none", tls_trouble).to_owned());
        }
        if step.contains("unexpected message") || step.contains("parsing response") {
            return Self::Protocol;
        }
        match io {
            Some(io) if io.kind() == ErrorKind::TimedOut => Self::Timeout,
            // The system says neither of what is read.
            Some(io) if matches!(io.kind(), ErrorKind::InvalidData | ErrorKind::InvalidInput) => {
                Self::Protocol
            }
            Some(io) if step.contains("connecting") => Self::Unreachable(Unreached::from(io)),
            Some(_) => Self::Gone,
            None if step.contains("authentication") || lacks_password(&error) => {
                Self::WrongCredentials("the server asks for a password, and there is none".into())
            }
            None if step.contains("timeout") => Self::Timeout,
            None => Self::Failed(step),
        }
    }
}

/// The library has no other sign of it than its words.
fn lacks_password(error: &tokio_postgres::Error) -> bool {
    let cause = error.source().map(ToString::to_string);
    cause.is_some_and(|cause| cause.contains("password missing"))
}

fn of_server(error: &tokio_postgres::error::DbError) -> SqlFault {
    let code = error.code();
    let message = || masked(error.message());
    if *code == SqlState::INVALID_PASSWORD || *code == SqlState::INVALID_AUTHORIZATION_SPECIFICATION
    {
        return SqlFault::WrongCredentials(message());
    }
    if *code == SqlState::UNDEFINED_DATABASE {
        return SqlFault::NoDatabase;
    }
    if *code == SqlState::INSUFFICIENT_PRIVILEGE {
        return SqlFault::Forbidden(message());
    }
    if *code == SqlState::QUERY_CANCELED || *code == SqlState::LOCK_NOT_AVAILABLE {
        return SqlFault::Timeout;
    }
    if *code == SqlState::TOO_MANY_CONNECTIONS {
        return SqlFault::Overloaded;
    }
    if *code == SqlState::CHARACTER_NOT_IN_REPERTOIRE || *code == SqlState::UNTRANSLATABLE_CHARACTER
    {
        return SqlFault::Encoding;
    }
    match code.code().get(..2) {
        // Names of tables, columns and functions; a message of any other class may hold a value.
        Some("42") => SqlFault::Schema(message()),
        Some("57" | "08") => SqlFault::Gone,
        _ => SqlFault::Failed(format!("SQLSTATE {}", code.code())),
    }
}

/// A message without runs of six digits or more, and not too long.
fn masked(message: &str) -> String {
    let mut text = String::new();
    let mut run = String::new();
    for char in message.chars().chain(std::iter::once('\n')) {
        if char.is_ascii_digit() {
            run.push(char);
            continue;
        }
        text.push_str(if run.len() >= 6 { "[digits]" } else { &run });
        run.clear();
        text.push(if char.is_control() { ' ' } else { char });
    }
    let short: String = text.trim_end().chars().take(MESSAGE_CHARS_MAX).collect();
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_keeps_names_and_no_number() {
        assert_eq!(
            masked("relation \"crm.sim2\" does not exist\nnear 447700900123"),
            "relation \"crm.sim2\" does not exist near [digits]"
        );
        assert!(masked(&"é".repeat(9_000)).chars().count() <= MESSAGE_CHARS_MAX);
    }

    #[test]
    fn what_is_over_soon_says_nothing_of_the_source() {
        assert!(SqlFault::Overloaded.passes());
        assert!(!SqlFault::Gone.passes());
        assert_eq!(SqlFault::Timeout.reason(), Reason::Timeout);
        assert_eq!(SqlFault::ClockOff(9).reason(), Reason::SourceDown);
    }
}
