//! Text in columns, as wide as the screen, coloured where a person looks.

use std::io::{self, BufWriter, IsTerminal as _, Stdout, Write};

use accord_client::words::Mood;
use owo_colors::{OwoColorize as _, Style};

/// Columns where nobody looks, or where the width is not known.
const COLUMNS_DEFAULT: usize = 120;
const COLUMNS_MIN: usize = 60;
const COLUMNS_MAX: usize = 160;
/// What each line of a table begins with, and what stands between two columns.
const GAP: usize = 2;

/// Standard output.
pub(super) struct Screen {
    out: BufWriter<Stdout>,
    columns: usize,
    colour: bool,
}

/// One cell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Cell {
    pub(super) text: String,
    pub(super) mood: Option<Mood>,
}

impl<T: Into<String>> From<T> for Cell {
    fn from(text: T) -> Self {
        Self {
            text: text.into(),
            mood: None,
        }
    }
}

/// One row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Row {
    /// A cell for each column.
    Cells(Vec<Cell>),
    /// Text over all columns.
    Text(String),
    /// A first cell, and one that stretches over all other columns.
    Whole(Cell, Cell),
}

impl Row {
    /// The same row under another first cell.
    pub(super) fn with_label(&self, label: Cell) -> Self {
        match self {
            Self::Cells(cells) => {
                let rest = cells.iter().skip(1).cloned();
                Self::Cells(std::iter::once(label).chain(rest).collect())
            }
            Self::Text(text) => Self::Text(text.clone()),
            Self::Whole(_, rest) => Self::Whole(label, rest.clone()),
        }
    }

    /// Whether both say the same, each under its first cell.
    pub(super) fn same_but_label(&self, other: &Self) -> bool {
        self.with_label("".into()) == other.with_label("".into())
    }
}

impl Screen {
    pub(super) fn of_stdout() -> Self {
        let out = io::stdout();
        let person = out.is_terminal();
        // https://no-color.org: set and not empty.
        let no_colour = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let size = rustix::termios::tcgetwinsize(&out).ok().filter(|_| person);
        let columns = size.map_or(0, |size| usize::from(size.ws_col));
        Self {
            out: BufWriter::new(out),
            columns: match columns {
                0 => COLUMNS_DEFAULT,
                columns => columns.clamp(COLUMNS_MIN, COLUMNS_MAX),
            },
            colour: person && !no_colour,
        }
    }

    /// One line, as it is.
    pub(super) fn line(&mut self, text: &str) -> io::Result<()> {
        writeln!(self.out, "{text}")
    }

    /// A line that begins a part.
    pub(super) fn heading(&mut self, text: &str) -> io::Result<()> {
        let bold = Style::new().bold();
        if self.colour {
            writeln!(self.out, "{}", text.style(bold))
        } else {
            writeln!(self.out, "{text}")
        }
    }

    /// Text over as many lines as it takes, all but the first with so many spaces before them.
    pub(super) fn paragraph(&mut self, text: &str, indent: usize) -> io::Result<()> {
        let width = self.columns.saturating_sub(indent);
        for (at, line) in wrap(text, width).iter().enumerate() {
            let before = if at == 0 { 0 } else { indent };
            writeln!(self.out, "{:before$}{line}", "")?;
        }
        Ok(())
    }

    /// A table.
    pub(super) fn table(&mut self, headings: &[&str], rows: &[Row]) -> io::Result<()> {
        let heading: Vec<Cell> = headings.iter().map(|text| (*text).into()).collect();
        let widths = self.widths(&heading, rows);
        self.cells(&heading, &widths, Style::new().underline())?;
        for row in rows {
            match row {
                Row::Cells(cells) => self.cells(cells, &widths, Style::new())?,
                Row::Text(text) => {
                    self.cells(&[text.as_str().into()], &[usize::MAX], Style::new())?
                }
                Row::Whole(label, rest) => {
                    let first = widths.first().copied().unwrap_or(0);
                    let left = self.columns.saturating_sub(first + 2 * GAP);
                    let both = [label.clone(), rest.clone()];
                    self.cells(&both, &[first, left], Style::new())?;
                }
            }
        }
        Ok(())
    }

    /// Natural widths, squeezed until the table fits, each time where it costs the fewest lines. No
    /// word is broken.
    fn widths(&self, heading: &[Cell], rows: &[Row]) -> Vec<usize> {
        let mut lines: Vec<Vec<&Cell>> = vec![heading.iter().collect()];
        lines.extend(rows.iter().map(|row| match row {
            Row::Cells(cells) => cells.iter().collect(),
            Row::Text(_) => Vec::new(),
            Row::Whole(label, _) => vec![label],
        }));
        let column = |column: usize| lines.iter().filter_map(move |line| line.get(column));
        let natural = |at: usize| column(at).map(|cell| len(&cell.text)).max().unwrap_or(0);
        let words = |at: usize| column(at).flat_map(|cell| cell.text.split(' '));
        let smallest = |at: usize| words(at).map(len).max().unwrap_or(0);
        let mut widths: Vec<usize> = (0..heading.len()).map(natural).collect();
        while widths.iter().sum::<usize>() + GAP * widths.len() > self.columns {
            let squeezed = (0..widths.len()).filter_map(|column| {
                let mut widths = widths.clone();
                let width = widths.get_mut(column)?;
                if *width <= smallest(column) {
                    return None;
                }
                *width -= 1;
                let wide = *width;
                Some((height(&lines, &widths), std::cmp::Reverse(wide), widths))
            });
            match squeezed.min() {
                Some((_, _, squeezed)) => widths = squeezed,
                None => break,
            }
        }
        widths
    }

    fn cells(&mut self, cells: &[Cell], widths: &[usize], plain: Style) -> io::Result<()> {
        let wrapped: Vec<Vec<String>> = cells
            .iter()
            .zip(widths)
            .map(|(cell, width)| wrap(&cell.text, *width))
            .collect();
        let height = wrapped.iter().map(Vec::len).max().unwrap_or(0);
        for at in 0..height {
            let mut pending = GAP;
            for ((cell, lines), width) in cells.iter().zip(&wrapped).zip(widths) {
                let line = lines.get(at).map_or("", String::as_str);
                if !line.is_empty() {
                    write!(self.out, "{:pending$}", "")?;
                    pending = 0;
                    let style = cell.mood.map_or(plain, style);
                    if self.colour {
                        write!(self.out, "{}", line.style(style))?;
                    } else {
                        write!(self.out, "{line}")?;
                    }
                }
                // Spaces at the end of a line are left out.
                pending += width.saturating_sub(len(line)) + GAP;
            }
            writeln!(self.out)?;
        }
        Ok(())
    }

    /// Words and what they mean.
    pub(super) fn legend<'a>(
        &mut self,
        words: impl Iterator<Item = (&'a str, &'a str)> + Clone,
    ) -> io::Result<()> {
        let width = words.clone().map(|(word, _)| len(word)).max().unwrap_or(0);
        for (word, meaning) in words {
            writeln!(self.out, "  {word:width$}  {meaning}")?;
        }
        Ok(())
    }

    /// Commands and what they do. No command is broken, so that it can be pasted.
    pub(super) fn commands(&mut self, rows: &[(String, &str)]) -> io::Result<()> {
        let width = rows.iter().map(|(command, _)| len(command)).max();
        let width = width.unwrap_or(0);
        for (command, what) in rows {
            write!(self.out, "  {command}")?;
            let gap = width.saturating_sub(len(command)) + GAP;
            let fits = GAP + width + GAP + len(what) <= self.columns;
            let dimmed = Style::new().dimmed();
            match (fits, self.colour) {
                (true, true) => writeln!(self.out, "{:gap$}{}", "", what.style(dimmed))?,
                (true, false) => writeln!(self.out, "{:gap$}{what}", "")?,
                (false, _) => writeln!(self.out)?,
            }
        }
        Ok(())
    }

    pub(super) fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// How many lines all rows take.
fn height(rows: &[Vec<&Cell>], widths: &[usize]) -> usize {
    let of_row = |row: &Vec<&Cell>| {
        let cells = row.iter().zip(widths);
        let heights = cells.map(|(cell, width)| wrap(&cell.text, *width).len());
        heights.max().unwrap_or(0)
    };
    rows.iter().map(of_row).sum()
}

const fn style(mood: Mood) -> Style {
    match mood {
        Mood::Alarm => Style::new().red().bold(),
        Mood::Calm => Style::new().green(),
        Mood::Unknown => Style::new().yellow(),
        Mood::Withheld => Style::new().magenta(),
    }
}

fn len(text: &str) -> usize {
    text.chars().count()
}

/// Lines of at most `width` characters, broken at spaces; a longer word keeps a line to itself.
fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(line) if line.is_empty() => line.push_str(word),
            Some(line) if len(line) + 1 + len(word) <= width => {
                line.push(' ');
                line.push_str(word);
            }
            Some(_) | None => lines.push(word.to_owned()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_squeezed_where_it_costs_the_fewest_lines() {
        let screen = Screen {
            columns: 40,
            ..Screen::of_stdout()
        };
        let long = "always, to another number; when busy, to own voicemail";
        let rows: Vec<Row> = (0..9)
            .map(|at| {
                let second = if at == 3 { long } else { "none" };
                Row::Cells(vec!["a cell that all rows have".into(), second.into()])
            })
            .collect();
        let heading = ["first".into(), "second".into()];
        let widths = screen.widths(&heading, &rows);
        assert_eq!(widths, [25, 11]);
    }

    #[test]
    fn text_is_broken_at_spaces() {
        assert_eq!(wrap("one two three", 7), ["one two", "three"]);
        assert_eq!(wrap("extraordinary one", 7), ["extraordinary", "one"]);
        assert_eq!(wrap("", 7), [""]);
    }
}
