//! Reads one file, whole or not at all.

use std::io::Read;

use csv::StringRecord;
use jiff::Timestamp;

use super::config::{Begin, Complete, FlagColumn};
use super::dates::When;
use super::decode::Decoded;
use super::plan::{DatePlan, ExportedPlan, Plan};
use super::refusal::{BadCell, Refusal, Report};
use super::table::{Flags, Row, Table};
use super::{header::Layout, number};

/// What is known of a file before it is read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Before {
    /// When it was exported, unless a column says.
    pub(super) exported_at: Option<Timestamp>,
    /// How many rows its marker declares.
    pub(super) rows: Option<u64>,
    /// How many rows the file before had.
    pub(super) previous_rows: Option<u64>,
    pub(super) now: Timestamp,
}

pub(super) fn load(
    plan: &Plan,
    before: Before,
    file: impl Read,
) -> Result<(Table, Report), Refusal> {
    let decoded = Decoded::new(file, plan.encoding);
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .delimiter(plan.delimiter)
        .from_reader(decoded);
    let mut record = StringRecord::new();
    if !next(&mut reader, &mut record)? {
        return Err(Refusal::Empty);
    }
    let layout = Layout::new(plan, &record)?;
    let mut loading = Loading::new(plan, &layout, before.exported_at);
    while next(&mut reader, &mut record)? {
        loading.record(&record)?;
    }
    let whole = match plan.config.complete {
        Complete::Trailer { .. } => loading.declared.is_some(),
        Complete::DoneFile | Complete::Sha256File | Complete::Manifest { .. } => true,
        Complete::FinalNewline => reader.get_ref().ends_with_newline(),
    };
    if !whole {
        let what = match plan.config.complete {
            Complete::Trailer { .. } => "it has no trailer",
            Complete::DoneFile
            | Complete::Sha256File
            | Complete::Manifest { .. }
            | Complete::FinalNewline => "its last line does not end",
        };
        return Err(Refusal::Partial(what));
    }
    loading.finish(before)
}

fn next<R: Read>(reader: &mut csv::Reader<R>, record: &mut StringRecord) -> Result<bool, Refusal> {
    reader.read_record(record).map_err(|error| {
        let csv::ErrorKind::Io(error) = error.into_kind() else {
            return Refusal::Encoding("it is no CSV".to_owned());
        };
        if error.kind() == std::io::ErrorKind::InvalidData {
            Refusal::Encoding(error.to_string())
        } else {
            Refusal::Io("read the file", error)
        }
    })
}

struct Loading<'a> {
    plan: &'a Plan,
    layout: &'a Layout,
    exported_at: Option<Timestamp>,
    exported_text: Option<String>,
    rows: Vec<Row>,
    count: u64,
    declared: Option<u64>,
    bad_rows: u64,
    bad_cells: Vec<BadCell>,
    unreadable_numbers: bool,
    unmapped_kinds: u64,
}

/// A cell that could not be read: its column, and why.
type Bad<'a> = (&'a str, &'static str);

impl<'a> Loading<'a> {
    const fn new(plan: &'a Plan, layout: &'a Layout, exported_at: Option<Timestamp>) -> Self {
        Self {
            plan,
            layout,
            exported_at,
            exported_text: None,
            rows: Vec::new(),
            count: 0,
            declared: None,
            bad_rows: 0,
            bad_cells: Vec::new(),
            unreadable_numbers: false,
            unmapped_kinds: 0,
        }
    }

    fn record(&mut self, record: &StringRecord) -> Result<(), Refusal> {
        let line = record.position().map_or(0, csv::Position::line);
        if self.declared.is_some() {
            return Err(Refusal::Partial("there are rows after the trailer"));
        }
        if record.iter().any(|cell| cell.contains(['\n', '\r'])) {
            return Err(Refusal::OpenQuote(line));
        }
        if let Complete::Trailer { text } = &self.plan.config.complete
            && record.get(0).map(str::trim) == Some(text)
        {
            let declared = record.get(1).and_then(|cell| cell.trim().parse().ok());
            let declared = declared.ok_or(Refusal::Partial("its trailer has no number of rows"))?;
            self.declared = Some(declared);
            return Ok(());
        }
        self.count += 1;
        if self.count > self.plan.config.rows_max {
            return Err(Refusal::TooMany(self.plan.config.rows_max));
        }
        if record.len() != self.layout.width {
            self.unreadable_numbers = true;
            let column = &self.plan.config.columns.msisdn;
            return self.bad(
                line,
                (
                    column,
                    "stands in a row with more or fewer cells than the header",
                ),
            );
        }
        let exported_at = self.exported_at(record, line)?;
        let Some(number) = self.number(record, line)? else {
            return Ok(());
        };
        let mut row = Row::empty(number);
        if let Err(bad) = self.fill(&mut row, record, exported_at) {
            row.flags.set(Flags::UNREADABLE);
            self.bad(line, bad)?;
        }
        self.rows.push(row);
        Ok(())
    }

    fn number(&mut self, record: &StringRecord, line: u64) -> Result<Option<u64>, Refusal> {
        let cell = cell(record, self.layout.msisdn);
        match number::parse(cell, &self.plan.config.number) {
            Ok(msisdn) => Ok(Some(number::packed(&msisdn))),
            Err(what) => {
                self.unreadable_numbers = true;
                let plan = self.plan;
                self.bad(line, (&plan.config.columns.msisdn, what))?;
                Ok(None)
            }
        }
    }

    /// The time of the export: known before, or the same in each row.
    fn exported_at(&mut self, record: &StringRecord, line: u64) -> Result<Timestamp, Refusal> {
        let unreadable = || Refusal::ExportTime(line);
        let ExportedPlan::Column { format, .. } = &self.plan.exported_at else {
            return self.exported_at.ok_or_else(unreadable);
        };
        let text = cell(record, self.layout.exported_at.ok_or_else(unreadable)?);
        if let (Some(at), Some(known)) = (self.exported_at, &self.exported_text) {
            return if known == text {
                Ok(at)
            } else {
                Err(unreadable())
            };
        }
        let (at, _) = format.bounds(text).ok_or_else(unreadable)?;
        self.exported_at = Some(at);
        self.exported_text = Some(text.to_owned());
        Ok(at)
    }

    fn fill(
        &mut self,
        row: &mut Row,
        record: &StringRecord,
        exported_at: Timestamp,
    ) -> Result<(), Bad<'a>> {
        let (plan, layout) = (self.plan, self.layout);
        let columns = &plan.config.columns;
        // First, so that the subscriber's wish counts even if another cell is unreadable.
        for (column, place, flag) in [
            (&columns.opted_out, layout.opted_out, Flags::OPTED_OUT),
            (&columns.swap_locked, layout.swap_locked, Flags::SWAP_LOCKED),
        ] {
            if let (Some(column), Some(place)) = (column, place)
                && is_set(column, cell(record, place))?
            {
                row.flags.set(flag);
            }
        }
        let when = |column: &'a Option<DatePlan>, place| match (column, place) {
            (Some(column), Some(place)) => date(plan, column, cell(record, place), exported_at),
            _ => Ok(When::UNKNOWN),
        };
        // A cease that is planned has not happened.
        if let (Some(column), Some(place)) = (&plan.ceased, layout.ceased)
            && let Some(ceased) = cease(plan, column, cell(record, place), exported_at)?
        {
            row.holder = ceased;
            row.flags.set(Flags::ENDED);
            return Ok(());
        }
        row.sim = when(&plan.sim, layout.sim)?;
        row.device = when(&plan.device, layout.device)?;
        row.holder = when(&plan.activated, layout.activated)?;
        if let (Some(column), Some(place)) = (&columns.sim_change_kind, layout.sim_kind)
            && row.sim.after().is_some()
        {
            let kind = column.values.get(cell(record, place)).copied();
            self.unmapped_kinds += u64::from(kind.is_none());
            row.set_kind(kind);
        }
        if let (Some(column), Some(place)) = (&columns.begin_reason, layout.begin)
            && row.holder.after().is_some()
        {
            let begin = column.values.get(cell(record, place)).copied();
            self.unmapped_kinds += u64::from(begin.is_none());
            row.set_begin(begin);
        } else if row.came_with_its_sim(exported_at) {
            row.set_begin(Some(Begin::PortIn));
        }
        for (condition, (column, place)) in
            plan.forwarding().iter().zip(layout.forwarding).enumerate()
        {
            if let (Some(column), Some(place)) = (column, place) {
                let value = column.values.get(cell(record, place)).copied();
                let value = value.or(column.other);
                row.forwarding.set(
                    condition,
                    value.ok_or((column.name.as_str(), "is not listed"))?,
                );
            }
        }
        Ok(())
    }

    fn bad(&mut self, line: u64, (column, what): Bad<'_>) -> Result<(), Refusal> {
        self.bad_rows += 1;
        let column = column.to_owned();
        let cell = BadCell { line, column, what };
        if self.bad_cells.len() < Report::BAD_CELLS_MAX {
            self.bad_cells.push(cell.clone());
        }
        let max = self.plan.config.bad_rows_max;
        if self.bad_rows > max {
            let first = self.bad_cells.first().cloned().unwrap_or(cell);
            return Err(Refusal::BadRows { max, first });
        }
        Ok(())
    }

    fn finish(self, before: Before) -> Result<(Table, Report), Refusal> {
        let found = self.count;
        if let Some(declared) = self.declared.or(before.rows)
            && declared != found
        {
            return Err(Refusal::Count { found, declared });
        }
        let exported_at = match self.exported_at {
            Some(at) if found > 0 => at,
            _ => return Err(Refusal::Empty),
        };
        if exported_at > before.now {
            return Err(Refusal::Future(exported_at));
        }
        let max_percent = self.plan.config.shrink_max_percent;
        if let Some(previous) = before.previous_rows {
            let kept = u128::from(100 - max_percent.min(100));
            if u128::from(found) * 100 < u128::from(previous) * kept {
                return Err(Refusal::Shrunk {
                    found,
                    before: previous,
                    max_percent,
                });
            }
        }
        let (table, merged) = Table::new(self.rows, exported_at, self.unreadable_numbers);
        let report = Report {
            exported_at,
            rows: found,
            numbers: u64::try_from(table.len()).unwrap_or(u64::MAX),
            bad_rows: self.bad_rows,
            bad_cells: self.bad_cells,
            identical: merged.identical,
            former: merged.former,
            contradicted: merged.contradicted,
            unmapped_kinds: self.unmapped_kinds,
            extra_columns: self.layout.extra.clone(),
        };
        Ok((table, report))
    }
}

fn cell(record: &StringRecord, place: usize) -> &str {
    record.get(place).unwrap_or_default().trim()
}

fn is_set<'a>(column: &'a FlagColumn, cell: &str) -> Result<bool, Bad<'a>> {
    let listed = |texts: &[String]| texts.iter().any(|text| text == cell);
    match (listed(&column.yes), listed(&column.no)) {
        (true, _) => Ok(true),
        (false, true) => Ok(false),
        (false, false) => Err((&column.name, "is not listed")),
    }
}

fn date<'a>(
    plan: &Plan,
    column: &'a DatePlan,
    cell: &str,
    exported_at: Timestamp,
) -> Result<When, Bad<'a>> {
    if plan.never.contains(cell) {
        return Ok(When::NEVER);
    }
    if plan.unknown.contains(cell) {
        return Ok(When::UNKNOWN);
    }
    let when = column.format.when(cell, plan.earliest, exported_at);
    when.map_err(|what| (column.name.as_str(), what))
}

/// When a subscription ended; `None`: not yet.
fn cease<'a>(
    plan: &Plan,
    column: &'a DatePlan,
    cell: &str,
    exported_at: Timestamp,
) -> Result<Option<When>, Bad<'a>> {
    if plan.never.contains(cell) || plan.unknown.contains(cell) {
        return Ok(None);
    }
    let bounds = column.format.bounds(cell);
    let unreadable = (column.name.as_str(), "is no date of the format");
    let (after, _) = bounds.ok_or(unreadable)?;
    if after > exported_at {
        return Ok(None);
    }
    date(plan, column, cell, exported_at).map(Some)
}
