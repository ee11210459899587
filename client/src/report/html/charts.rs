//! Charts as inline SVG. Each says in its title what it shows, and beside each stands a table with
//! the same figures, for whoever does not see it.

use std::fmt::Write as _;

use super::super::Activity;
use super::words::{escape, micros, number, percent};

/// Width of every chart, in its own units.
const WIDTH: f64 = 720.0;
/// Where labels end and bars begin.
const LEFT: f64 = 150.0;
/// Height of a row.
const ROW: f64 = 28.0;
/// Room at the right for figures.
const RIGHT: f64 = 130.0;

/// A row with two figures: what half needed at most, and what 95 % did.
pub(super) struct Span<'a> {
    pub(super) label: &'a str,
    pub(super) p50: u64,
    pub(super) p95: u64,
}

/// Questions over time, stacked by outcome.
pub(super) fn activity(rows: &[Activity]) -> String {
    const HEIGHT: f64 = 150.0;
    let counts = |row: &Activity| {
        let all = row.questions;
        [
            all.answered,
            all.partly_answered,
            all.unanswered,
            all.refused,
        ]
        .map(|count| count.unwrap_or(0) as f64)
    };
    let sums = rows.iter().map(|row| counts(row).iter().sum::<f64>());
    let top = nice(sums.fold(0.0, f64::max));
    let (left, width) = (46.0, WIDTH - 46.0);
    let step = width / rows.len().max(1) as f64;
    let mut out = open(HEIGHT + 26.0, "Questions over time, by outcome");
    for part in [0.0, 0.5, 1.0] {
        let y = 6.0 + HEIGHT * (1.0 - part);
        let _ = write!(
            out,
            r#"<line class="grid" x1="{left}" x2="{WIDTH}" y1="{y:.1}" y2="{y:.1}"/><text class="soft" x="{:.1}" y="{:.1}" text-anchor="end">{}</text>"#,
            left - 8.0,
            y + 4.0,
            number((top * part) as u64)
        );
    }
    for (at, row) in rows.iter().enumerate() {
        let mut y = 6.0 + HEIGHT;
        let x = left + at as f64 * step + step * 0.1;
        for (class, count) in counts(row).into_iter().enumerate() {
            let height = count / top * HEIGHT;
            y -= height;
            if height > 0.0 {
                let wide = (step * 0.8).min(38.0);
                let x = x + (step * 0.8 - wide) / 2.0;
                let _ = write!(
                    out,
                    r#"<rect class="c{class}" x="{x:.2}" y="{y:.2}" width="{wide:.2}" height="{height:.2}"/>"#
                );
            }
        }
    }
    for (at, anchor) in [
        (0, "start"),
        (rows.len() / 2, "middle"),
        (rows.len() - 1, "end"),
    ] {
        let Some(row) = rows
            .get(at)
            .filter(|_| anchor != "middle" || rows.len() > 4)
        else {
            continue;
        };
        let (y, one) = (HEIGHT + 24.0, anchor == "end" && rows.len() == 1);
        let x = match anchor {
            "start" => left + if rows.len() == 1 { step / 2.0 } else { 0.0 },
            "middle" => left + (at as f64 + 0.5) * step,
            _ => WIDTH,
        };
        let anchor = if rows.len() == 1 { "middle" } else { anchor };
        if !one {
            let text = escape(&super::words::moment(&row.begins));
            let _ = write!(
                out,
                r#"<text class="soft" x="{x:.1}" y="{y}" text-anchor="{anchor}">{text}</text>"#
            );
        }
    }
    out + "</svg>"
}

/// From what half needed at most to what 95 % did.
pub(super) fn spans(rows: &[Span<'_>], title: &str) -> String {
    let top = nice(rows.iter().map(|row| row.p95 as f64).fold(0.0, f64::max));
    let mut out = open(ROW * rows.len() as f64 + 24.0, title);
    let width = WIDTH - LEFT - RIGHT;
    let bottom = ROW * rows.len() as f64;
    for part in [0.0, 0.25, 0.5, 0.75, 1.0] {
        let x = LEFT + width * part;
        let _ = write!(
            out,
            r#"<line class="grid" x1="{x:.1}" x2="{x:.1}" y1="0" y2="{bottom}"/><text class="soft" x="{x:.1}" y="{:.1}" text-anchor="middle">{}</text>"#,
            bottom + 18.0,
            micros((top * part) as u64)
        );
    }
    for (at, row) in rows.iter().enumerate() {
        let y = ROW * (at as f64 + 0.5);
        let (from, to) = (
            LEFT + width * row.p50 as f64 / top,
            LEFT + width * row.p95 as f64 / top,
        );
        let _ = write!(
            out,
            r#"<text x="0" y="{:.1}">{}</text><line class="span" x1="{from:.1}" x2="{to:.1}" y1="{y}" y2="{y}"/><circle class="dot" cx="{from:.1}" cy="{y}" r="4.5"/><circle class="ring" cx="{to:.1}" cy="{y}" r="4.5"/><text class="soft" x="{WIDTH}" y="{:.1}" text-anchor="end">{} · {}</text>"#,
            y + 4.0,
            escape(&short(row.label)),
            y + 4.0,
            micros(row.p50),
            micros(row.p95)
        );
    }
    out + "</svg>"
}

/// Shares of a whole, a bar for each row, coloured in the order of the parts.
pub(super) fn shares(rows: &[(&str, Vec<u64>)], title: &str) -> String {
    let mut out = open(ROW * rows.len() as f64, title);
    let width = WIDTH - LEFT - RIGHT;
    for (at, (label, parts)) in rows.iter().enumerate() {
        let y = ROW * at as f64;
        let all = parts.iter().sum::<u64>().max(1) as f64;
        let _ = write!(
            out,
            r#"<text x="0" y="{:.1}">{}</text>"#,
            y + 18.0,
            escape(&short(label))
        );
        let mut x = LEFT;
        for (class, part) in parts.iter().enumerate() {
            let wide = width * *part as f64 / all;
            if wide > 0.0 {
                let _ = write!(
                    out,
                    r#"<rect class="c{class}" x="{x:.2}" y="{:.1}" width="{wide:.2}" height="14"/>"#,
                    y + 7.0
                );
            }
            x += wide;
        }
        let first = parts.first().copied().unwrap_or(0) as f64 / all;
        let _ = write!(
            out,
            r#"<text class="soft" x="{WIDTH}" y="{:.1}" text-anchor="end">{} answered</text>"#,
            y + 18.0,
            percent(first)
        );
    }
    out + "</svg>"
}

/// Counts, a bar for each row.
pub(super) fn bars(rows: &[(&str, u64, usize)], title: &str) -> String {
    let mut out = open(ROW * rows.len() as f64, title);
    let left = LEFT + 10.0;
    let width = WIDTH - left - 80.0;
    let top = rows.iter().map(|row| row.1).max().unwrap_or(0).max(1) as f64;
    for (at, (label, count, class)) in rows.iter().enumerate() {
        let y = ROW * at as f64;
        let wide = width * *count as f64 / top;
        let _ = write!(
            out,
            r#"<text x="0" y="{:.1}">{}</text><rect class="c{class}" x="{left}" y="{:.1}" width="{wide:.2}" height="14"/><text class="soft" x="{:.1}" y="{:.1}">{}</text>"#,
            y + 18.0,
            escape(&short(label)),
            y + 7.0,
            left + wide + 8.0,
            y + 18.0,
            number(*count)
        );
    }
    out + "</svg>"
}

/// How likely a question of each bank waits longer than one of the others; within the band nobody
/// would feel it.
pub(super) fn longer(rows: &[(&str, f64, usize)], felt: f64, title: &str) -> String {
    let bottom = ROW * rows.len() as f64;
    let mut out = open(bottom + 24.0, title);
    let width = WIDTH - LEFT - RIGHT;
    let at_x = |value: f64| LEFT + width * value;
    let _ = write!(
        out,
        r#"<rect class="band" x="{:.1}" y="0" width="{:.1}" height="{bottom}"/><line class="grid" x1="{2:.1}" x2="{2:.1}" y1="0" y2="{bottom}"/>"#,
        at_x(0.5 - felt),
        width * felt * 2.0,
        at_x(0.5)
    );
    for (value, anchor, text) in [
        (0.0, "start", "always shorter"),
        (0.5, "middle", "alike"),
        (1.0, "end", "always longer"),
    ] {
        let _ = write!(
            out,
            r#"<text class="soft" x="{:.1}" y="{:.1}" text-anchor="{anchor}">{text}</text>"#,
            at_x(value),
            bottom + 18.0
        );
    }
    for (at, (label, value, class)) in rows.iter().enumerate() {
        let y = ROW * (at as f64 + 0.5);
        let x = at_x(*value);
        let _ = write!(
            out,
            r#"<text x="0" y="{0:.1}">{1}</text><line class="span" x1="{2:.1}" x2="{x:.1}" y1="{y}" y2="{y}"/><circle class="c{class}" cx="{x:.1}" cy="{y}" r="5"/><text class="soft" x="{WIDTH}" y="{0:.1}" text-anchor="end">{3}</text>"#,
            y + 4.0,
            escape(&short(label)),
            at_x(0.5),
            percent(*value)
        );
    }
    out + "</svg>"
}

/// A small square in a legend.
pub(super) fn legend(items: &[(usize, &str)]) -> String {
    let mut out = String::from(r#"<ul class="legend">"#);
    for (class, text) in items {
        let _ = write!(
            out,
            r#"<li><svg viewBox="0 0 10 10" aria-hidden="true"><rect class="c{class}" width="10" height="10"/></svg>{text}</li>"#
        );
    }
    out + "</ul>"
}

fn open(height: f64, title: &str) -> String {
    format!(
        r#"<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{0}"><title>{0}</title>"#,
        escape(title)
    )
}

/// The next 1, 2, 2.5 or 5 times a power of ten.
fn nice(value: f64) -> f64 {
    let mut power: f64 = 1.0;
    for _ in 0..30 {
        for step in [1.0, 2.0, 2.5, 5.0] {
            if step * power >= value && (step * power).fract() == 0.0 {
                return step * power;
            }
        }
        power *= 10.0;
    }
    value
}

/// A label that fits before its bar.
fn short(label: &str) -> String {
    const CHARS_MAX: usize = 22;
    if label.chars().count() <= CHARS_MAX {
        return label.to_owned();
    }
    let mut cut: String = label.chars().take(CHARS_MAX - 1).collect();
    cut.push('…');
    cut
}
