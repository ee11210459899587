//! Whether a text holds what could be a phone number: the one rule for every free text that goes on
//! the record (rule R35), be it a statement, a reason, a case or the name of an application.
//!
//! It errs towards refusing, since what is on the record stays there: whoever is refused words it
//! anew. What keeps letters between its digits is not found; nobody writes a number so by mistake.

use jiff::civil::Date;

/// As many digits in a row could be a phone number: the shortest national numbers have seven.
const DIGITS_MIN: usize = 7;
/// The most digits of a case's number behind its year.
const CASE_DIGITS_MAX: usize = 6;
/// The years in which a case may have begun. With any four digits that begin with 20 it could be
/// the country code of Egypt.
const CASE_YEARS: std::ops::RangeInclusive<u16> = 1990..=2059;
/// The most digits of a count that is written in thousands (`10,000,000`): national numbers have
/// nine, mostly.
const THOUSANDS_DIGITS_MAX: usize = 8;
/// Digits with at most so many other marks between them are in a row.
const MARKS_MAX: usize = 3;

/// One group of digits in a row, and the marks before it.
#[derive(Debug, Clone)]
struct Group {
    digits: String,
    /// What stands between this group and the one before; empty before the first.
    before: String,
}

/// Whether seven or more digits stand in a row, whatever stands between them but letters. Days
/// (`2026-01-31`), times (`14:30`), cases (`2026-0042`, `2026/0042`) and counts in thousands
/// (`10,000,000`) do not count, unless they are part of something longer.
#[must_use]
pub fn could_be_a_number(text: &str) -> bool {
    let mut row: Vec<Group> = Vec::new();
    let mut before = String::new();
    for c in text.chars() {
        if c.is_numeric() {
            match row.last_mut() {
                Some(group) if before.is_empty() => group.digits.push(c),
                Some(_) | None => row.push(Group {
                    digits: c.to_string(),
                    before: std::mem::take(&mut before),
                }),
            }
        } else if is_mark(c) && before.chars().count() < MARKS_MAX {
            before.push(c);
        } else {
            if counts(&row) {
                return true;
            }
            row.clear();
            before.clear();
            // A plus sign begins the next row.
            before.extend(is_mark(c).then_some(c));
        }
    }
    counts(&row)
}

/// What can stand between the digits of a number: whatever is no letter.
fn is_mark(c: char) -> bool {
    !c.is_alphanumeric()
}

fn counts(row: &[Group]) -> bool {
    let international = row.iter().any(|group| group.before.contains('+'));
    // What stands before the first group joins it to no digits.
    let mut row = row.to_vec();
    row.iter_mut()
        .take(1)
        .for_each(|first| first.before.clear());
    let mut digits = 0;
    let mut rest = row.as_slice();
    while let Some((first, after)) = rest.split_first() {
        let excepted = after_day(rest)
            .or_else(|| after_case(rest))
            .or_else(|| after_time(rest))
            .or_else(|| after_thousands(rest));
        if let Some(left) = excepted.filter(|_| !international) {
            rest = left;
        } else {
            digits += first.digits.chars().count();
            rest = after;
        }
    }
    digits >= DIGITS_MIN
}

/// Whether marks end one word and begin the next, rather than join two parts of one.
fn parts_words(marks: &str) -> bool {
    marks.is_empty() || marks.contains(|c: char| c.is_whitespace() || matches!(c, '(' | ')'))
}

/// Whether a group stands by itself: behind other words, and before other words.
fn alone(first: &Group, after: &[Group], parts: impl Fn(&str) -> bool) -> bool {
    parts(&first.before) && after.first().is_none_or(|next| parts(&next.before))
}

/// The row behind a day, where it begins with one. Two days may stand with a slash between them.
fn after_day(row: &[Group]) -> Option<&[Group]> {
    let ([year, month, day], after) = row.split_first_chunk()?;
    let joined = month.before == "-" && day.before == "-";
    let text = format!("{}-{}-{}", year.digits, month.digits, day.digits);
    let is_day = text.parse().is_ok_and(|day: Date| day.to_string() == text);
    let alone = alone(year, after, |marks| marks == "/" || parts_words(marks));
    (joined && is_day && alone).then_some(after)
}

/// The row behind a case, where it begins with one: its year, and its number in that year.
fn after_case(row: &[Group]) -> Option<&[Group]> {
    let ([year, number], after) = row.split_first_chunk()?;
    let joined = matches!(number.before.as_str(), "-" | "/");
    let is_year = year.digits.parse().is_ok_and(|it| CASE_YEARS.contains(&it));
    let short = number.digits.chars().count() <= CASE_DIGITS_MAX;
    (joined && is_year && short && alone(year, after, parts_words)).then_some(after)
}

/// The row behind a time of the day, where it begins with one. Two may stand with a dash between.
fn after_time(row: &[Group]) -> Option<&[Group]> {
    let ([hours, minutes], mut after) = row.split_first_chunk()?;
    let below = |group: &Group, end: u8| {
        group.digits.len() == 2 && group.digits.parse().is_ok_and(|it: u8| it < end)
    };
    if let Some((seconds, rest)) = after.split_first()
        && seconds.before == ":"
        && below(seconds, 60)
    {
        after = rest;
    }
    let is_time = minutes.before == ":" && below(hours, 24) && below(minutes, 60);
    let alone = alone(hours, after, |marks| {
        matches!(marks, "-" | "\u{2013}") || parts_words(marks)
    });
    (is_time && alone).then_some(after)
}

/// The row behind a count in thousands, where it begins with one.
fn after_thousands(row: &[Group]) -> Option<&[Group]> {
    let (first, rest) = row.split_first()?;
    let three = |group: &&Group| group.before == "," && group.digits.len() == 3;
    let more = rest.iter().take_while(three).count();
    let after = rest.get(more..)?;
    let leads = matches!(first.digits.len(), 1..=3) && !first.digits.starts_with('0');
    let short = first.digits.len() + 3 * more <= THOUSANDS_DIGITS_MAX;
    (more > 0 && leads && short && alone(first, after, parts_words)).then_some(after)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_found_whatever_stands_between_its_digits() {
        for text in [
            "4477009-00001",
            "4477-0090/0001",
            "case 4477,009,00001 x",
            "4477, 009, 00001",
            "447,700,900,001",
            "44:77:00:90:00:01",
            "44#7700#900001",
            "44;7700;900;001",
            "44'770'090'0001",
            "44 | 7700 | 900001",
            "44*7700*900001",
            "2077-009000",
            "07:00:90:00:01",
            "1,2345,678",
        ] {
            assert!(could_be_a_number(text), "{text}");
        }
    }

    #[test]
    fn days_times_cases_and_counts_are_none() {
        for text in [
            "2026-11-01 14:00-15:30",
            "2026-11-01, 14:00:05 - 2026-11-02, 15:30:00",
            "2026-0042, 2026-0043; 2026/000044",
            "10,000,000 entries",
            "250,000, then 99,999,999",
            "CASE-2026-0042",
            "at T14:00:05.",
            "clause 3.1.2",
        ] {
            assert!(!could_be_a_number(text), "{text}");
        }
    }
}
