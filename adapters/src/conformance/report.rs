//! The report of the conformance kit: a table for people, JSON for machines. It can be attached to
//! an operator's request to take part: it holds no identity.

use std::fmt::Write as _;

use accord_proto::signal::Signal;
use jiff::Timestamp;
use serde::Serialize;

use super::kit::{Found, SignalFound};
use super::tls::TlsFound;

/// What was checked, when, and what was found.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The program and its version.
    pub program: &'static str,
    /// When it was checked.
    pub at: Timestamp,
    /// The operator.
    pub operator: String,
    /// The adapter instance.
    pub instance: String,
    /// SHA-256 of the configuration file, in hexadecimal digits.
    pub config_sha256: String,
    /// How many numbers were given.
    pub numbers: usize,
    /// How often each was to be asked about.
    pub rounds: u32,
    /// The time that a source had for each question, in milliseconds.
    pub deadline_ms: u64,
    /// The adapter's certificate.
    pub tls: TlsFound,
    /// Each source.
    pub sources: Vec<Found>,
    /// Signals that no source knows.
    pub never: Vec<&'static str>,
    /// Nothing looks wrong.
    pub conforms: bool,
}

impl Report {
    /// Sets what follows from the sources.
    #[must_use]
    pub fn concluded(mut self) -> Self {
        let known = |signal: &&Signal| {
            let mut all = self.sources.iter().flat_map(|source| &source.signals);
            all.any(|found| found.signal == signal.name())
        };
        let never = Signal::ALL.iter().filter(|signal| !known(signal));
        self.never = never.map(|signal| signal.name()).collect();
        self.conforms = self.wrong() == 0;
        self
    }

    /// How much looks wrong.
    #[must_use]
    pub fn wrong(&self) -> usize {
        let of_sources = self.sources.iter().map(|source| source.wrong.len());
        self.tls.wrong.len() + of_sources.sum::<usize>()
    }

    /// As JSON.
    #[must_use]
    pub fn to_json(&self) -> String {
        // Text, numbers and lists always serialise.
        serde_json::to_string_pretty(self).unwrap_or_default() + "\n"
    }

    /// As a table.
    #[must_use]
    pub fn to_text(&self) -> String {
        self.head() + &self.body()
    }

    /// Its beginning, which is known before any source is asked.
    #[must_use]
    pub fn head(&self) -> String {
        let mut text = String::new();
        // Writing into a text can't fail.
        let _ = writeln!(
            text,
            "{} checked {}/{} at {:.0}\nconfiguration SHA-256 {}\n{} numbers, each asked about up to \
             {} times, {} ms for each question; a number is shown as its place in the list",
            self.program,
            self.operator,
            self.instance,
            self.at,
            self.config_sha256,
            self.numbers,
            self.rounds,
            self.deadline_ms,
        );
        put_tls(&mut text, &self.tls);
        text
    }

    /// What its sources said, and the result.
    #[must_use]
    pub fn body(&self) -> String {
        let mut text = String::new();
        for source in &self.sources {
            put_source(&mut text, source);
        }
        let never = match self.never.as_slice() {
            [] => "none".to_owned(),
            some => some.join(", "),
        };
        // Writing into a text can't fail.
        let _ = writeln!(text, "\nsignals that no source knows: {never}");
        let _ = match self.wrong() {
            0 => writeln!(text, "result: conforms"),
            wrong => writeln!(text, "result: {wrong} thing(s) look wrong, see above"),
        };
        text
    }
}

fn put_tls(text: &mut String, tls: &TlsFound) {
    let name = tls.name.as_deref().unwrap_or("nobody yet");
    let until = tls.valid_until;
    let until = until.map_or_else(String::new, |until| format!(", good until {until}"));
    let _ = writeln!(text, "\nto brokers the adapter is {name}{until}");
    for wrong in &tls.wrong {
        let _ = writeln!(text, "  wrong: {wrong}");
    }
}

fn put_source(text: &mut String, source: &Found) {
    let colon = if source.why.is_empty() { "" } else { ": " };
    let _ = writeln!(
        text,
        "\nsource {} ({}) is {}{colon}{}\n{} questions: p50 {}, p95 {}, slowest {}",
        source.name,
        source.kind,
        source.state,
        source.why,
        source.questions,
        millis(source.p50_us),
        millis(source.p95_us),
        millis(source.slowest_us),
    );
    let head = ["signal", "answered", "freshest", "oldest", "not answered"];
    let mut table = vec![head.map(str::to_owned).to_vec()];
    table.extend(source.signals.iter().map(signal_row));
    put_table(text, &table);
    if !source.left_out.is_empty() {
        let left_out = source.left_out.join(", ");
        let _ = writeln!(
            text,
            "  not asked, since `signals` leaves it out: {left_out}"
        );
    }
    if !source.examples.is_empty() {
        let mut head = vec!["number".to_owned(), "took".to_owned()];
        head.extend(source.signals.iter().map(|found| found.signal.to_owned()));
        head.push("locked".to_owned());
        let mut table = vec![head];
        for example in &source.examples {
            let mut row = vec![example.number.to_string(), millis(example.took_us)];
            row.extend(example.said.iter().cloned());
            row.push(if example.locked { "yes" } else { "no" }.to_owned());
            table.push(row);
        }
        put_table(text, &table);
    }
    for wrong in &source.wrong {
        let _ = writeln!(text, "  wrong: {wrong}");
    }
}

fn signal_row(found: &SignalFound) -> Vec<String> {
    let age = |age: Option<i64>| age.map_or_else(|| "-".to_owned(), seconds);
    let reasons = found.reasons.iter();
    let reasons: Vec<String> = reasons
        .map(|(reason, count)| format!("{reason} {count}"))
        .collect();
    vec![
        found.signal.to_owned(),
        format!("{} of {}", found.answered, found.asked),
        age(found.freshest_s),
        age(found.oldest_s),
        match reasons.as_slice() {
            [] => "-".to_owned(),
            some => some.join(", "),
        },
    ]
}

fn millis(us: u64) -> String {
    format!("{}.{:02} ms", us / 1_000, us % 1_000 / 10)
}

fn seconds(age: i64) -> String {
    match age {
        ..120 => format!("{age} s"),
        120..7_200 => format!("{} min", age / 60),
        7_200..172_800 => format!("{} h", age / 3_600),
        _ => format!("{} days", age / 86_400),
    }
}

fn put_table(text: &mut String, table: &[Vec<String>]) {
    let columns = table.first().map_or(0, Vec::len);
    let width = |column: usize| {
        let cells = table.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths = (0..columns).map(width).collect::<Vec<_>>();
    for row in table {
        let cells = row.iter().zip(&widths);
        let line = cells.fold(String::new(), |line, (cell, width)| {
            format!("{line}{cell:<width$}  ")
        });
        let _ = writeln!(text, "  {}", line.trim_end());
    }
}
