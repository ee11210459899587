//! Where output goes: tables and colours when a person looks, tab-separated text when another
//! program does, JSON when asked.

use std::io::{self, BufWriter, IsTerminal as _, StdoutLock, Write as _};

use owo_colors::{OwoColorize as _, Style};
use serde_json::Value;

use crate::words::Mood;

/// A cell that is longer goes on in the line below.
const CELL_CHARS_MAX: usize = 60;

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

    /// One line of text that a person should not overlook.
    pub(super) fn alarm(&mut self, text: &str) -> io::Result<()> {
        if self.colour {
            return writeln!(self.out, "{}", text.red().bold());
        }
        self.line(text)
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
        let last = headings.len().saturating_sub(1);
        let width = |column: usize| {
            let cells = std::iter::once(&heading)
                .chain(rows)
                .filter_map(|row| row.get(column));
            let lines = cells.flat_map(|cell| wrap(&cell.text, column == last));
            lines.map(|line| line.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..headings.len()).map(width).collect();
        for row in std::iter::once(&heading).chain(rows) {
            if self.person {
                self.row(row, &widths)?;
            } else {
                let cells: Vec<_> = row.iter().map(|cell| cell.text.as_str()).collect();
                writeln!(self.out, "{}", cells.join("\t"))?;
            }
        }
        Ok(())
    }

    /// One row for a person: a long cell goes on in the lines below.
    fn row(&mut self, row: &[Cell], widths: &[usize]) -> io::Result<()> {
        let last = row.len().saturating_sub(1);
        let wrapped: Vec<Vec<String>> = row
            .iter()
            .enumerate()
            .map(|(column, cell)| wrap(&cell.text, column == last))
            .collect();
        let height = wrapped.iter().map(Vec::len).max().unwrap_or(0);
        for at in 0..height {
            let mut gap = 0;
            for ((cell, lines), width) in row.iter().zip(&wrapped).zip(widths) {
                let text = lines.get(at).map_or("", String::as_str);
                let used = text.chars().count();
                if used > 0 {
                    write!(self.out, "{:gap$}", "")?;
                    gap = 0;
                    if self.colour {
                        write!(self.out, "{}", text.style(cell.style))?;
                    } else {
                        write!(self.out, "{text}")?;
                    }
                }
                gap += width.saturating_sub(used) + 2;
            }
            writeln!(self.out)?;
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

/// Breaks a cell between words. The last column has the rest of the line, so it is not broken.
fn wrap(text: &str, last: bool) -> Vec<String> {
    if last || text.chars().count() <= CELL_CHARS_MAX {
        return vec![text.to_owned()];
    }
    let mut lines: Vec<String> = Vec::new();
    for word in text.split(' ') {
        let room =
            |line: &&mut String| line.chars().count() + 1 + word.chars().count() <= CELL_CHARS_MAX;
        match lines.last_mut().filter(room) {
            Some(line) => {
                line.push(' ');
                line.push_str(word);
            }
            None => lines.push(word.to_owned()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_cell_is_broken_between_words_unless_it_is_the_last() {
        let text = "refused: quota (another threshold or date was used for this number)";
        let lines = wrap(text, false);
        assert_eq!(lines.len(), 2);
        assert!(
            lines
                .iter()
                .all(|line| line.chars().count() <= CELL_CHARS_MAX)
        );
        assert_eq!(lines.join(" "), text);
        assert_eq!(wrap(text, true), [text]);
        assert_eq!(wrap("short", false), ["short"]);
    }
}
