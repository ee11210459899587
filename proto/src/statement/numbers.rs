//! Whether a text holds what could be a phone number.

use jiff::civil::Date;

/// As many digits in a row could be a phone number: the shortest national numbers have seven.
const DIGITS_MIN: usize = 7;
/// The most digits of a case's number behind its year.
const CASE_DIGITS_MAX: usize = 6;
/// Digits with at most so many other marks between them are in a row.
const MARKS_MAX: usize = 3;

/// One group of digits in a row, and the marks before it.
#[derive(Debug, Clone)]
struct Group {
    digits: String,
    /// What stands between this group and the one before; empty before the first.
    before: String,
}

/// Whether seven or more digits stand in a row, with spaces, dots, dashes or brackets between them
/// or without. Days (`2026-01-31`) and cases (`2026-0042`, `2026/0042`) do not count, unless they
/// are part of something longer.
pub(crate) fn could_be_a_number(text: &str) -> bool {
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

/// What people write between the digits of a number.
fn is_mark(c: char) -> bool {
    c.is_whitespace()
        || matches!(
            c,
            '.' | '-' | '_' | '/' | '(' | ')' | '+' | '\u{2010}'..='\u{2015}' | '\u{2212}' | '·'
        )
}

fn counts(row: &[Group]) -> bool {
    let international = row.iter().any(|group| group.before.contains('+'));
    let mut digits = 0;
    let mut rest = row;
    while let Some((first, after)) = rest.split_first() {
        let excepted = after_day(rest).or_else(|| after_case(rest));
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

/// The row behind a day, where it begins with one. Two days may stand with a slash between them.
fn after_day(row: &[Group]) -> Option<&[Group]> {
    let ([year, month, day], after) = row.split_first_chunk()?;
    let joined = month.before == "-" && day.before == "-";
    let text = format!("{}-{}-{}", year.digits, month.digits, day.digits);
    let is_day = text.parse().is_ok_and(|day: Date| day.to_string() == text);
    let parts = |marks: &str| marks == "/" || parts_words(marks);
    let alone = parts(&year.before) && after.first().is_none_or(|next| parts(&next.before));
    (joined && is_day && alone).then_some(after)
}

/// The row behind a case, where it begins with one: its year, and its number in that year.
fn after_case(row: &[Group]) -> Option<&[Group]> {
    let ([year, number], after) = row.split_first_chunk()?;
    let joined = matches!(number.before.as_str(), "-" | "/");
    let century = ["19", "20"].iter().any(|two| year.digits.starts_with(two));
    let is_year = year.digits.len() == 4 && century;
    let short = number.digits.len() <= CASE_DIGITS_MAX;
    let alone =
        parts_words(&year.before) && after.first().is_none_or(|next| parts_words(&next.before));
    (joined && is_year && short && alone).then_some(after)
}
