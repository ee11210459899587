//! Parsers of single values. Each says its rule when a value breaks it.

use std::{fmt::Display, ops::RangeInclusive};

use jiff::civil::Date;
use toml::de::DeValue;

/// The most characters of a word that a message repeats.
const QUOTED_CHARS_MAX: usize = 40;

/// The start of a person's word, for a message.
pub(crate) fn quoted(word: &str) -> String {
    word.chars().take(QUOTED_CHARS_MAX).collect()
}

/// A value for a message.
pub(super) fn shown(value: &DeValue<'_>) -> String {
    let number = || value.as_integer().map(|number| number.as_str());
    value
        .as_str()
        .or_else(number)
        .map_or_else(String::new, quoted)
}

/// Text that is not blank.
pub(crate) fn text(len_max: usize) -> impl Fn(&DeValue<'_>) -> Result<String, String> {
    move |value| {
        let text = value
            .as_str()
            .ok_or_else(|| wanted("text in quotation marks", value))?;
        if text.trim().is_empty() {
            Err("is not empty".to_owned())
        } else if text.len() > len_max {
            Err(format!("has at most {len_max} bytes"))
        } else {
            Ok(text.trim().to_owned())
        }
    }
}

/// A word, by its parser, which says its rule.
pub(crate) fn word<T, E: Display>(
    parse: impl Fn(&str) -> Result<T, E>,
) -> impl Fn(&DeValue<'_>) -> Result<T, String> {
    move |value| {
        let word = value
            .as_str()
            .ok_or_else(|| wanted("a word in quotation marks", value))?;
        parse(word).map_err(|error| error.to_string())
    }
}

/// A whole number within a range.
pub(crate) fn integer<T>(range: RangeInclusive<T>) -> impl Fn(&DeValue<'_>) -> Result<T, String>
where
    T: TryFrom<i64> + PartialOrd + Display,
{
    move |value| {
        let number = value
            .as_integer()
            .ok_or_else(|| wanted("a whole number", value))?;
        i64::from_str_radix(number.as_str(), number.radix())
            .ok()
            .and_then(|number| T::try_from(number).ok())
            .filter(|number| range.contains(number))
            .ok_or_else(|| format!("lies from {} to {}", range.start(), range.end()))
    }
}

/// `true` or `false`.
pub(crate) fn boolean(value: &DeValue<'_>) -> Result<bool, String> {
    value
        .as_bool()
        .ok_or_else(|| wanted("true or false", value))
}

/// A calendar day, written without quotation marks.
pub(crate) fn date(value: &DeValue<'_>) -> Result<Date, String> {
    let rule = || "is a calendar day such as 2026-01-31, without quotation marks".to_owned();
    let found = value.as_datetime().ok_or_else(rule)?;
    let (Some(date), None, None) = (found.date, found.time, found.offset) else {
        return Err(rule());
    };
    let part = |number: u8| i8::try_from(number).map_err(|_| rule());
    let year = i16::try_from(date.year).map_err(|_| rule())?;
    Date::new(year, part(date.month)?, part(date.day)?).map_err(|_| rule())
}

fn wanted(what: &str, found: &DeValue<'_>) -> String {
    format!("is {what}, not {}", found.type_str())
}
