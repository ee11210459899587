//! The configuration, checked once and made ready for reading files.

use std::collections::HashSet;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::config::{
    Columns, Complete, CsvConfig, DateColumn, ExportedAt, FlagColumn, ForwardingColumn,
};
use super::dates::{DateFormat, Precision};
use super::decode::FileEncoding;

/// A rule of the configuration that is broken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{key}`: {rule}")]
pub struct CsvConfigError {
    /// The key.
    pub key: &'static str,
    /// The rule.
    pub rule: String,
}

pub(super) fn broken(key: &'static str, rule: &str) -> CsvConfigError {
    let rule = rule.to_owned();
    CsvConfigError { key, rule }
}

/// Since when *nothing recorded* means *nothing happened*.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum History {
    NotStated,
    Since(Timestamp),
    WholeLife,
}

#[derive(Debug)]
pub(super) struct DatePlan {
    pub(super) name: String,
    pub(super) format: DateFormat,
    pub(super) history: History,
}

#[derive(Debug)]
pub(super) enum ExportedPlan {
    /// The format of the whole name, with what is added to the name.
    FileName {
        format: DateFormat,
        added: String,
    },
    Column {
        name: String,
        format: DateFormat,
    },
}

#[derive(Debug)]
pub(super) struct Plan {
    pub(super) config: CsvConfig,
    pub(super) encoding: FileEncoding,
    pub(super) delimiter: u8,
    pub(super) exported_at: ExportedPlan,
    pub(super) earliest: Timestamp,
    pub(super) never: HashSet<String>,
    pub(super) unknown: HashSet<String>,
    pub(super) sim: Option<DatePlan>,
    pub(super) device: Option<DatePlan>,
    pub(super) activated: Option<DatePlan>,
    pub(super) ceased: Option<DatePlan>,
}

impl Plan {
    pub(super) fn new(config: CsvConfig) -> Result<Self, CsvConfigError> {
        let zone = TimeZone::get(&config.time_zone)
            .map_err(|_| broken("time_zone", "is no IANA time zone"))?;
        let encoding = FileEncoding::parse(&config.encoding)
            .ok_or_else(|| broken("encoding", "is not one that this source reads"))?;
        let delimiter = u8::try_from(config.delimiter)
            .ok()
            .filter(|byte| byte.is_ascii() && !b"\"\r\n\0".contains(byte))
            .ok_or_else(|| broken("delimiter", "is one ASCII character, and no quote"))?;
        check_limits(&config)?;
        check_number(&config)?;
        check_columns(&config.columns)?;
        let sentinels = |texts: &[String]| -> HashSet<String> { texts.iter().cloned().collect() };
        let (never, unknown) = (sentinels(&config.never), sentinels(&config.unknown));
        if !never.is_disjoint(&unknown) {
            return Err(broken("never", "has a text that `unknown` has too"));
        }
        let earliest = start_of("earliest", &config.earliest, &zone)?;
        let date = |column: &Option<DateColumn>, key| {
            column
                .as_ref()
                .map(|column| date_plan(column, key, &zone))
                .transpose()
        };
        let columns = &config.columns;
        Ok(Self {
            encoding,
            delimiter,
            exported_at: exported_plan(&config, &zone)?,
            earliest,
            never,
            unknown,
            sim: date(&columns.sim_changed_at, "columns.sim_changed_at")?,
            device: date(&columns.device_changed_at, "columns.device_changed_at")?,
            activated: date(&columns.activated_at, "columns.activated_at")?,
            ceased: date(&columns.ceased_at, "columns.ceased_at")?,
            config,
        })
    }

    /// The four conditions, in the order of the vocabulary.
    pub(super) const fn forwarding(&self) -> [Option<&ForwardingColumn>; 4] {
        let columns = &self.config.columns;
        [
            columns.forwarding_unconditional.as_ref(),
            columns.forwarding_busy.as_ref(),
            columns.forwarding_no_reply.as_ref(),
            columns.forwarding_not_reachable.as_ref(),
        ]
    }
}

fn check_limits(config: &CsvConfig) -> Result<(), CsvConfigError> {
    if config.shrink_max_percent > 100 {
        return Err(broken("shrink_max_percent", "lies in 0 to 100"));
    }
    if !(1..=500_000_000).contains(&config.rows_max) {
        return Err(broken("rows_max", "lies in 1 to 500000000"));
    }
    if !(10..=86_400_000).contains(&config.reload_ms) {
        return Err(broken("reload_ms", "lies in 10 to 86400000"));
    }
    let hours = config.old_after_hours;
    if hours.is_some_and(|hours| !(1..=8_784).contains(&hours)) {
        return Err(broken("old_after_hours", "lies in 1 to 8784"));
    }
    if config.file_name.is_empty() || config.file_name.contains('/') {
        return Err(broken("file_name", "is a name without a directory"));
    }
    match &config.complete {
        Complete::Trailer { text } if text.is_empty() => Err(broken("complete.text", "is empty")),
        Complete::Manifest { name } if name.is_empty() || name.contains('/') => {
            Err(broken("complete.name", "is a name without a directory"))
        }
        Complete::Trailer { .. }
        | Complete::DoneFile
        | Complete::Sha256File
        | Complete::Manifest { .. }
        | Complete::FinalNewline => Ok(()),
    }
}

fn check_number(config: &CsvConfig) -> Result<(), CsvConfigError> {
    let number = &config.number;
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let code = &number.country_code;
    if !(1..=3).contains(&code.len()) || !digits(code) || code.starts_with('0') {
        return Err(broken("number.country_code", "is 1 to 3 digits"));
    }
    if !digits(&number.national_prefix) || !digits(&number.international_prefix) {
        return Err(broken("number", "prefixes are digits"));
    }
    if number
        .separators
        .chars()
        .any(|char| char.is_alphanumeric() || char == '+')
    {
        return Err(broken(
            "number.separators",
            "are neither letters, digits nor `+`",
        ));
    }
    Ok(())
}

fn check_columns(columns: &Columns) -> Result<(), CsvConfigError> {
    let dated = columns.sim_changed_at.is_some()
        || columns.device_changed_at.is_some()
        || columns.activated_at.is_some();
    let forwarded = columns.forwarding_unconditional.is_some()
        || columns.forwarding_busy.is_some()
        || columns.forwarding_no_reply.is_some()
        || columns.forwarding_not_reachable.is_some();
    if !dated && !forwarded {
        return Err(broken("columns", "map none that answers a signal"));
    }
    if columns.sim_change_kind.is_some() && columns.sim_changed_at.is_none() {
        return Err(broken("columns.sim_change_kind", "needs `sim_changed_at`"));
    }
    if columns.begin_reason.is_some() && columns.activated_at.is_none() {
        return Err(broken("columns.begin_reason", "needs `activated_at`"));
    }
    let both = |flag: &FlagColumn| flag.yes.iter().any(|text| flag.no.contains(text));
    for (key, flag) in [
        ("columns.opted_out", &columns.opted_out),
        ("columns.swap_locked", &columns.swap_locked),
    ] {
        if flag
            .as_ref()
            .is_some_and(|flag| flag.yes.is_empty() || both(flag))
        {
            return Err(broken(key, "has a `yes`, and no text that is both"));
        }
    }
    Ok(())
}

fn date_plan(
    column: &DateColumn,
    key: &'static str,
    zone: &TimeZone,
) -> Result<DatePlan, CsvConfigError> {
    let format = DateFormat::new(&column.format, zone);
    let history = match column.history_since.as_deref() {
        None => History::NotStated,
        Some("whole_life") => History::WholeLife,
        Some(date) => History::Since(start_of(key, date, zone)?),
    };
    Ok(DatePlan {
        name: column.name.clone(),
        format: format.ok_or_else(|| broken(key, "`format` needs year, month and day"))?,
        history,
    })
}

fn start_of(key: &'static str, date: &str, zone: &TimeZone) -> Result<Timestamp, CsvConfigError> {
    let format = DateFormat::new("%Y-%m-%d", zone);
    let bounds = format.and_then(|format| format.bounds(date));
    let (start, _) = bounds.ok_or_else(|| broken(key, "dates are written `2026-11-21`"))?;
    Ok(start)
}

fn exported_plan(config: &CsvConfig, zone: &TimeZone) -> Result<ExportedPlan, CsvConfigError> {
    let is_pattern = config.file_name.contains('%');
    match &config.exported_at {
        ExportedAt::FileName { time } => {
            let pattern = &config.file_name;
            let named = DateFormat::new(pattern, zone)
                .filter(|_| is_pattern)
                .ok_or_else(|| broken("file_name", "has no year, month and day"))?;
            match (named.precision, time) {
                (Precision::Day, Some(time)) => {
                    let format = DateFormat::new(&format!("{pattern} %H:%M"), zone);
                    let added = format!(" {time}");
                    let trial = DateFormat::new("%H:%M %Y-%m-%d", zone)
                        .and_then(|trial| trial.bounds(&format!("{time} 2026-11-21")));
                    match (format, trial) {
                        (Some(format), Some(_)) => Ok(ExportedPlan::FileName { format, added }),
                        _ => Err(broken("exported_at.time", "is written `02:30`")),
                    }
                }
                (Precision::Minute | Precision::Second, None) => Ok(ExportedPlan::FileName {
                    format: named,
                    added: String::new(),
                }),
                (Precision::Day, None) => Err(broken(
                    "exported_at.time",
                    "is needed: the name has a date only",
                )),
                (Precision::Minute | Precision::Second, Some(_)) => {
                    Err(broken("exported_at.time", "stands in the name already"))
                }
            }
        }
        _ if is_pattern => Err(broken(
            "file_name",
            "has a pattern, so `exported_at.from` must be `file_name`",
        )),
        ExportedAt::Column { name, format } => {
            let format = DateFormat::new(format, zone);
            let format = format.filter(|format| format.precision != Precision::Day);
            Ok(ExportedPlan::Column {
                name: name.clone(),
                format: format
                    .ok_or_else(|| broken("exported_at.format", "needs date and time"))?,
            })
        }
    }
}
