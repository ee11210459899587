//! Apache Parquet: the columns of [`columns`] as strings, but for those that are counted or compared
//! (index, time, elapsed), which are 64-bit integers. Not compressed: dictionaries already take the
//! repetition out, and every reader reads it.

use std::{collections::BTreeMap, fs::File, io::Write, sync::Arc};

use parquet::{
    basic::{LogicalType, Repetition, TimeUnit, Type as Physical},
    data_type::{ByteArray, ByteArrayType, Int64Type},
    errors::ParquetError,
    file::{
        metadata::{FileMetaData, KeyValue},
        properties::WriterProperties,
        reader::{FileReader as _, SerializedFileReader},
        writer::{SerializedFileWriter, SerializedRowGroupWriter},
    },
    record::RowAccessor as _,
    schema::types::Type,
};

use super::{ExportError, Log, ReadError, columns, columns::NAMES};
use crate::{LedgerEntry, footer::Footer};

/// Rows that are held before they are written: some tens of megabytes at most.
const GROUP_ROWS_MAX: usize = 20_000;
/// Columns that are integers.
const INDEX: &str = "index";
const TIME: &str = "time";
const ELAPSED: &str = "elapsed_us";
/// Keys of the metadata.
pub(super) const FOOTER: &str = "accord.footer";
pub(super) const CHECKPOINTS: &str = "accord.checkpoints";

pub(super) struct Columns<W: Write + Send> {
    file: SerializedFileWriter<W>,
    rows: Vec<columns::Row>,
    times: Vec<i64>,
}

impl<W: Write + Send> Columns<W> {
    pub(super) fn begin(out: W) -> Result<Self, ExportError> {
        let schema = Arc::new(schema().map_err(failed)?);
        let properties = Arc::new(WriterProperties::builder().build());
        let file = SerializedFileWriter::new(out, schema, properties).map_err(failed)?;
        Ok(Self {
            file,
            rows: Vec::new(),
            times: Vec::new(),
        })
    }

    pub(super) fn entry(&mut self, entry: &LedgerEntry) -> Result<(), ExportError> {
        self.rows.push(columns::row(entry));
        let time = i64::try_from(entry.entry.time_unix_ms);
        self.times.push(time.unwrap_or(i64::MAX));
        if self.rows.len() >= GROUP_ROWS_MAX {
            self.group().map_err(failed)?;
        }
        Ok(())
    }

    pub(super) fn finish(
        mut self,
        footer: &Footer,
        logs: &BTreeMap<String, Log>,
    ) -> Result<W, ExportError> {
        if !self.rows.is_empty() {
            self.group().map_err(failed)?;
        }
        let checkpoints: BTreeMap<_, _> = logs.iter().map(|(log, one)| (log, &one.note)).collect();
        for (key, value) in [
            (FOOTER, serde_json::to_string(footer)),
            (CHECKPOINTS, serde_json::to_string(&checkpoints)),
        ] {
            let value = value.map_err(|error| ExportError::Parquet(error.to_string()))?;
            self.file
                .append_key_value_metadata(KeyValue::new(key.to_owned(), value));
        }
        self.file.into_inner().map_err(failed)
    }

    /// Writes what is held as one row group.
    fn group(&mut self) -> Result<(), ParquetError> {
        let rows = std::mem::take(&mut self.rows);
        let times = std::mem::take(&mut self.times);
        let mut group = self.file.next_row_group()?;
        for (at, name) in NAMES.iter().enumerate() {
            let cells = rows
                .iter()
                .map(|row| row.get(at).map_or("", String::as_str));
            match *name {
                TIME => integers(&mut group, &times)?,
                INDEX | ELAPSED => {
                    let numbers: Vec<i64> = cells.map(|cell| cell.parse().unwrap_or(0)).collect();
                    integers(&mut group, &numbers)?;
                }
                _ => {
                    let texts: Vec<ByteArray> = cells.map(ByteArray::from).collect();
                    texts_column(&mut group, &texts)?;
                }
            }
        }
        group.close()?;
        Ok(())
    }
}

/// What a file says beside its rows.
pub(super) struct Ends {
    pub(super) footer: serde_json::Value,
    /// Signed notes.
    pub(super) checkpoints: Vec<String>,
}

/// Reads a file, and shows each row with its number, from 1: all cells as texts, those of
/// integers in digits.
pub(super) fn read(
    file: File,
    mut each: impl FnMut(u64, columns::Row) -> Result<(), ReadError>,
) -> Result<Ends, ReadError> {
    let form = |line, what| ReadError::Form { line, what };
    let reader = SerializedFileReader::new(file).map_err(|_| form(1, "it is no Parquet file"))?;
    let metadata = reader.metadata().file_metadata();
    let described = metadata.schema_descr().columns();
    if !described.iter().map(|column| column.name()).eq(NAMES) {
        return Err(form(1, "other columns"));
    }
    let rows = reader.get_row_iter(None);
    let rows = rows.map_err(|_| form(1, "its rows can't be read"))?;
    for (line, row) in (1..).zip(rows) {
        let malformed = |_: ParquetError| form(line, "it is no row of these columns");
        let row = row.map_err(malformed)?;
        let mut cells = columns::Row::default();
        for (at, (cell, name)) in cells.iter_mut().zip(NAMES).enumerate() {
            *cell = match name {
                TIME => row.get_timestamp_millis(at).map(|time| time.to_string()),
                INDEX | ELAPSED => row.get_long(at).map(|number| number.to_string()),
                _ => row.get_string(at).cloned(),
            }
            .map_err(malformed)?;
        }
        each(line, cells)?;
    }
    let value = |key: &str| -> Option<serde_json::Value> {
        serde_json::from_str(value_of(metadata, key)?).ok()
    };
    let footer = value(FOOTER).ok_or(ReadError::Short("the footer is missing"))?;
    let checkpoints = value(CHECKPOINTS).ok_or(ReadError::Short("the checkpoints are missing"))?;
    let checkpoints = checkpoints
        .as_object()
        .into_iter()
        .flat_map(|logs| logs.values());
    let checkpoints = checkpoints.map(|note| note.as_str().unwrap_or_default().to_owned());
    Ok(Ends {
        checkpoints: checkpoints.collect(),
        footer,
    })
}

/// An entry's row as [`read`] shows it.
pub(super) fn row(entry: &LedgerEntry) -> columns::Row {
    let mut row = columns::row(entry);
    for (cell, name) in row.iter_mut().zip(NAMES) {
        match name {
            TIME => *cell = entry.entry.time_unix_ms.to_string(),
            ELAPSED if cell.is_empty() => "0".clone_into(cell),
            _ => {}
        }
    }
    row
}

fn value_of<'a>(metadata: &'a FileMetaData, key: &str) -> Option<&'a str> {
    let pairs = metadata.key_value_metadata()?;
    pairs.iter().find(|pair| pair.key == key)?.value.as_deref()
}

fn integers<W: Write + Send>(
    group: &mut SerializedRowGroupWriter<'_, W>,
    values: &[i64],
) -> Result<(), ParquetError> {
    if let Some(mut column) = group.next_column()? {
        column
            .typed::<Int64Type>()
            .write_batch(values, None, None)?;
        column.close()?;
    }
    Ok(())
}

fn texts_column<W: Write + Send>(
    group: &mut SerializedRowGroupWriter<'_, W>,
    values: &[ByteArray],
) -> Result<(), ParquetError> {
    if let Some(mut column) = group.next_column()? {
        column
            .typed::<ByteArrayType>()
            .write_batch(values, None, None)?;
        column.close()?;
    }
    Ok(())
}

fn schema() -> Result<Type, ParquetError> {
    let column = |name: &str| {
        let (physical, logical) = match name {
            TIME => (
                Physical::INT64,
                Some(LogicalType::timestamp(true, TimeUnit::MILLIS)),
            ),
            INDEX | ELAPSED => (Physical::INT64, None),
            _ => (Physical::BYTE_ARRAY, Some(LogicalType::String)),
        };
        Type::primitive_type_builder(name, physical)
            .with_repetition(Repetition::REQUIRED)
            .with_logical_type(logical)
            .build()
            .map(Arc::new)
    };
    let fields = NAMES.iter().map(|name| column(name));
    Type::group_type_builder("entry")
        .with_fields(fields.collect::<Result<_, _>>()?)
        .build()
}

fn failed(error: ParquetError) -> ExportError {
    ExportError::Parquet(error.to_string())
}
