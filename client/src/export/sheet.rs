//! CSV (RFC 4180). A spreadsheet takes what begins with `=`, `+`, `-` or `@` for a formula, and runs
//! it: such a cell gets an apostrophe before it, and so does one that begins with an apostrophe, so
//! that each cell can be read back.

use std::{collections::BTreeMap, io::Write};

use super::{
    ExportError, Log,
    columns::{self, INDEX, KIND, NAMES, ORIGIN, Row, SUMMARY},
};
use crate::{LedgerEntry, footer::Footer};

/// The kind of a row of the footer.
pub(super) const FOOTER: &str = "footer";
/// The kind of a row that holds a checkpoint.
pub(super) const CHECKPOINT: &str = "checkpoint";

pub(super) struct Sheet<W: Write> {
    rows: csv::Writer<W>,
}

impl<W: Write> Sheet<W> {
    pub(super) fn begin(out: W) -> Result<Self, ExportError> {
        let mut sheet = Self {
            rows: csv::WriterBuilder::new()
                .terminator(csv::Terminator::CRLF)
                .from_writer(out),
        };
        sheet.rows.write_record(NAMES).map_err(unwritten)?;
        Ok(sheet)
    }

    pub(super) fn entry(&mut self, entry: &LedgerEntry) -> Result<(), ExportError> {
        self.row(&columns::row(entry))
    }

    pub(super) fn finish(
        mut self,
        footer: &Footer,
        logs: &BTreeMap<String, Log>,
    ) -> Result<W, ExportError> {
        for (origin, log) in logs {
            let mut row = Row::default();
            origin.clone_into(&mut row[ORIGIN]);
            row[INDEX] = log.size.to_string();
            CHECKPOINT.clone_into(&mut row[KIND]);
            log.note.clone_into(&mut row[SUMMARY]);
            self.row(&row)?;
        }
        for (name, value) in footer.pairs() {
            let mut row = Row::default();
            FOOTER.clone_into(&mut row[KIND]);
            row[SUMMARY] = format!("{name}: {value}");
            self.row(&row)?;
        }
        self.rows
            .into_inner()
            .map_err(|error| ExportError::Write(error.into_error()))
    }

    fn row(&mut self, row: &Row) -> Result<(), ExportError> {
        self.rows
            .write_record(row.iter().map(|cell| inert(cell)))
            .map_err(unwritten)
    }
}

fn unwritten(error: csv::Error) -> ExportError {
    ExportError::Write(error.into())
}

/// A cell that no spreadsheet takes for a formula.
pub(super) fn inert(cell: &str) -> String {
    match cell.chars().next() {
        Some('=' | '+' | '-' | '@' | '\t' | '\r' | '\'') => format!("'{cell}"),
        Some(_) | None => cell.to_owned(),
    }
}

/// The cell again.
pub(super) fn as_it_was(cell: &str) -> &str {
    cell.strip_prefix('\'').unwrap_or(cell)
}
