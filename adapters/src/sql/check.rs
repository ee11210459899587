//! The rules of the section, each breach named by its key.

use super::config::{BeginText, SqlConfig};

/// The most bytes of the operator's query.
const QUERY_BYTES_MAX: usize = 65_536;
/// The longest request: the server's statement timeout is as long.
const REQUEST_MS_MAX: u64 = 60_000;

/// What a key of the configuration breaks.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{key}`: {rule}")]
pub struct SqlConfigError {
    /// The key.
    pub key: &'static str,
    /// Its rule.
    pub rule: String,
}

pub(super) fn broken<T>(key: &'static str, rule: impl Into<String>) -> Result<T, SqlConfigError> {
    let rule = rule.into();
    Err(SqlConfigError { key, rule })
}

/// Looks at everything that needs no other file and no database.
pub(super) fn check(config: &SqlConfig) -> Result<(), SqlConfigError> {
    check_server(config)?;
    check_limits(config)?;
    check_begins(config)?;
    if let Err(rule) = config.number.check() {
        return broken("number", rule);
    }
    sub_query("query", &config.query)
}

/// A name in quotes, as PostgreSQL wants one that may be of any case.
pub(super) fn identifier(key: &'static str, name: &str) -> Result<String, SqlConfigError> {
    if name.is_empty() || name.len() > 63 || name.contains(['"', '\0']) {
        return broken(
            key,
            "is a name of 1 to 63 bytes, as the database has it, without quotes",
        );
    }
    Ok(format!("\"{name}\""))
}

/// Whether a query can stand in parentheses.
pub(super) fn sub_query(key: &'static str, query: &str) -> Result<(), SqlConfigError> {
    if query.trim().is_empty() || query.len() > QUERY_BYTES_MAX {
        return broken(key, "is a `select` of at most 65536 bytes");
    }
    if query.contains(';') || query.contains('\0') {
        return broken(key, "is used as a sub-query, so it has no semicolon");
    }
    Ok(())
}

fn check_server(config: &SqlConfig) -> Result<(), SqlConfigError> {
    if config.host.is_empty() {
        return broken(
            "host",
            "is a name, an address, or the folder of a Unix socket",
        );
    }
    let near = config.host.starts_with('/')
        || config.host == "localhost"
        || config
            .host
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback());
    if config.tls.is_none() && !near {
        return broken(
            "tls",
            "is required, unless `host` is on loopback or a Unix socket",
        );
    }
    if let Some(tls) = &config.tls
        && tls.certificate.is_some() != tls.key.is_some()
    {
        return broken("tls", "has both `certificate` and `key`, or neither");
    }
    if config.password_file.is_some() && config.password_env.is_some() {
        return broken("password_file", "stands beside no `password_env`");
    }
    Ok(())
}

fn check_limits(config: &SqlConfig) -> Result<(), SqlConfigError> {
    if !(1..=64).contains(&config.connections) {
        return broken("connections", "lies in 1 to 64");
    }
    if !(10..=REQUEST_MS_MAX).contains(&config.request_timeout_ms) {
        return broken("request_timeout_ms", "lies in 10 to 60000");
    }
    if !(1..=65_536).contains(&config.asks_max) {
        return broken("asks_max", "lies in 1 to 65536");
    }
    if !(100..=60_000).contains(&config.clock_tolerance_ms) {
        return broken("clock_tolerance_ms", "lies in 100 to 60000");
    }
    let Some(changes) = &config.changes else {
        return Ok(());
    };
    if !(100..=3_600_000).contains(&changes.poll_ms) {
        return broken("changes.poll_ms", "lies in 100 to 3600000");
    }
    if !(1_000..=3_600_000).contains(&changes.overlap_ms) {
        return broken("changes.overlap_ms", "lies in 1000 to 3600000");
    }
    if changes.look_back_hours > 24 * 366 {
        return broken("changes.look_back_hours", "is at most a year");
    }
    Ok(())
}

fn check_begins(config: &SqlConfig) -> Result<(), SqlConfigError> {
    let names = |wanted| config.begins.values().any(|begin| *begin == wanted);
    if names(BeginText::Transfer) && config.policy.transfer.is_none() {
        return broken(
            "policy.transfer",
            "is required, since `begins` names a transfer",
        );
    }
    if names(BeginText::ReRegistration) && config.policy.re_registration.is_none() {
        return broken(
            "policy.re_registration",
            "is required, since `begins` names one",
        );
    }
    if config.columns.begin_reason.is_some() && config.begins.is_empty() {
        return broken("begins", "is required with `columns.begin_reason`");
    }
    if config.columns.sim_change_reason.is_some() && config.reasons.is_empty() {
        return broken("reasons", "is required with `columns.sim_change_reason`");
    }
    Ok(())
}
