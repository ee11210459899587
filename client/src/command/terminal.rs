//! Where output goes: tables and colours when a person looks, tab-separated text when another
//! program does, JSON when asked.

use std::io::{self, BufWriter, IsTerminal as _, StdoutLock, Write as _};

use owo_colors::{OwoColorize as _, Style};
use serde_json::Value;

use crate::words::Mood;

/// Standard output and standard error.
pub(super) struct Terminal {
    out: BufWriter<StdoutLock<'static>>,
    json: bool,
    person: bool,
    colour: bool,
    colour_err: bool,
}

/// A table's cell.
#[derive(Clone, Debug)]
pub(super) struct Cell {
    text: String,
    style: Style,
}

impl Cell {
    /// A cell that is seen in this mood.
    pub(super) fn of_mood(text: String, mood: Mood) -> Self {
        let style = match mood {
            Mood::Alarm => Style::new().red().bold(),
            Mood::Calm => Style::new().green(),
            Mood::Unknown => Style::new().yellow(),
            Mood::Withheld => Style::new().magenta(),
        };
        Self { text, style }
    }
}

impl<T: Into<String>> From<T> for Cell {
    fn from(text: T) -> Self {
        Self {
            text: text.into(),
            style: Style::new(),
        }
    }
}

impl Terminal {
    pub(super) fn new(json: bool) -> Self {
        // https://no-color.org: set and not empty.
        let no_colour = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let person = io::stdout().is_terminal();
        Self {
            out: BufWriter::new(io::stdout().lock()),
            json,
            person,
            colour: person && !no_colour,
            colour_err: io::stderr().is_terminal() && !no_colour,
        }
    }

    pub(super) const fn is_json(&self) -> bool {
        self.json
    }

    /// Bytes as they are.
    pub(super) fn raw(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.out.write_all(bytes)
    }

    /// One line of text.
    pub(super) fn line(&mut self, text: &str) -> io::Result<()> {
        writeln!(self.out, "{text}")
    }

    /// One JSON document on a line of its own.
    pub(super) fn json(&mut self, value: &Value) -> io::Result<()> {
        serde_json::to_writer(&mut self.out, value)?;
        writeln!(self.out)
    }

    /// A table.
    pub(super) fn table(&mut self, headings: &[&str], rows: &[Vec<Cell>]) -> io::Result<()> {
        let heading: Vec<Cell> = headings
            .iter()
            .map(|heading| Cell {
                text: (*heading).to_owned(),
                style: Style::new().bold(),
            })
            .collect();
        let widths: Vec<usize> = (0..headings.len())
            .map(|column| {
                let cells = std::iter::once(&heading).chain(rows);
                let lengths = cells.filter_map(|row| row.get(column));
                lengths
                    .map(|cell| cell.text.chars().count())
                    .max()
                    .unwrap_or(0)
            })
            .collect();
        for row in std::iter::once(&heading).chain(rows) {
            self.row(row, &widths)?;
        }
        Ok(())
    }

    fn row(&mut self, row: &[Cell], widths: &[usize]) -> io::Result<()> {
        for (column, (cell, width)) in row.iter().zip(widths).enumerate() {
            let last = column + 1 == row.len();
            if self.colour {
                write!(self.out, "{}", cell.text.style(cell.style))?;
            } else {
                write!(self.out, "{}", cell.text)?;
            }
            if last {
                writeln!(self.out)?;
            } else if self.person {
                let used = cell.text.chars().count();
                write!(self.out, "{:1$}", "", width.saturating_sub(used) + 2)?;
            } else {
                write!(self.out, "\t")?;
            }
        }
        Ok(())
    }

    /// Everything written so far is out.
    pub(super) fn flush(&mut self) -> Result<(), super::exit::Failure> {
        Ok(self.out.flush()?)
    }

    /// What a person should know, on standard error.
    pub(super) fn note(&self, text: &str) {
        let mut err = io::stderr().lock();
        let _ = if self.colour_err {
            writeln!(err, "{}", text.dimmed())
        } else {
            writeln!(err, "{text}")
        };
    }

    /// What went wrong, on standard error.
    pub(super) fn error(&mut self, text: &str) {
        let _ = self.out.flush();
        let mut err = io::stderr().lock();
        let _ = if self.colour_err {
            writeln!(err, "{} {text}", "error:".red().bold())
        } else {
            writeln!(err, "error: {text}")
        };
    }
}
