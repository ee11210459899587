//! Entries in files that leave the ledger (rule R38): each with what proves later that it is the
//! ledger's, and each file with its confidentiality footer.
//!
//! ```text
//!   entries ──▶ Exporter ──▶ jsonl · csv · ocsf · parquet ──▶ WholeFile (hashed, synced, then named)
//!   file ──▶ read ──▶ entries again, each held against what the file says of it
//! ```
//!
//! | Format | An entry | The footer |
//! |---|---|---|
//! | `jsonl` | one JSON object a line: what `accord audit show --json` prints, and `leaf` | the last line: `{"footer": …, "entries": …, "checkpoints": […]}` |
//! | `csv` | one row (RFC 4180) of [`columns::NAMES`] | the last rows, as wide as all others: `kind` is `checkpoint` or `footer`, and `summary` holds it |
//! | `ocsf` | one API Activity event a line | in each event, since a SIEM takes events apart: `unmapped.confidentiality` |
//! | `parquet` | one row of the same columns | the file's key-value metadata |
//!
//! `leaf` is the entry's exact bytes in base64, and `leaf_hash` its RFC 6962 hash. With origin, index
//! and the signed checkpoint of its log, a proof of inclusion can be asked for or made from a mirror
//! for as long as the log lives. Lines of JSON can carry the proof themselves: `jsonl` as `proof`,
//! `ocsf` as `unmapped.inclusion_proof`. Only entries under a checkpoint are exported.

pub mod columns;
mod lines;
mod ocsf;
#[cfg(feature = "parquet")]
mod parquet;
mod proved;
mod read;
mod sheet;
#[cfg(test)]
mod tests;
mod whole_file;

use std::{
    collections::BTreeMap,
    io::{self, Write},
};

use accord_proto::{
    c2sp::{Checkpoint, SignedNote},
    merkle::{Hash, verify_inclusion},
};
use aws_lc_rs::digest::{Context, SHA256};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value as Json, json};

use crate::{LedgerEntry, entry_view, footer::Footer};

pub use read::{Checked, ReadError, read};
pub use whole_file::WholeFile;

/// In what form entries are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Comma-separated values.
    Csv,
    /// JSON lines.
    Jsonl,
    /// OCSF API Activity, JSON lines.
    Ocsf,
    /// Apache Parquet.
    Parquet,
}

impl Format {
    /// All, in the order in which they are named to people.
    pub const ALL: [Self; 4] = [Self::Jsonl, Self::Csv, Self::Parquet, Self::Ocsf];

    /// Its name, as `Export` entries have it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Jsonl => "jsonl",
            Self::Ocsf => "ocsf",
            Self::Parquet => "parquet",
        }
    }

    /// Whether its lines can carry proofs.
    #[must_use]
    pub const fn holds_proofs(self) -> bool {
        match self {
            Self::Jsonl | Self::Ocsf => true,
            Self::Csv | Self::Parquet => false,
        }
    }

    /// The format of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.name() == name)
    }

    /// The format that a file's name ends in: `.jsonl`, `.csv`, `.parquet` or `.ocsf.jsonl`.
    #[must_use]
    pub fn of_file_name(name: &str) -> Option<Self> {
        let name = name.to_ascii_lowercase();
        [
            (".ocsf.jsonl", Self::Ocsf),
            (".ocsf", Self::Ocsf),
            (".jsonl", Self::Jsonl),
            (".csv", Self::Csv),
            (".parquet", Self::Parquet),
        ]
        .into_iter()
        .find_map(|(ending, format)| name.ends_with(ending).then_some(format))
    }
}

/// What an export came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exported {
    /// SHA-256 of the file's bytes, its footer among them.
    pub sha256: [u8; 32],
    /// Entries in it.
    pub entries: u64,
    /// Its length.
    pub bytes: u64,
}

/// Why an export could not be written.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The file can't be written.
    #[error("the export can't be written")]
    Write(#[source] io::Error),
    /// No checkpoint of its log was given that covers it.
    #[error("entry {index} of {origin} is not under a checkpoint")]
    Uncovered {
        /// Its log.
        origin: String,
        /// Its index.
        index: u64,
    },
    /// A checkpoint is none.
    #[error("a checkpoint does not parse")]
    Checkpoint,
    /// An audit path that does not lead from the entry to the root of its checkpoint.
    #[error("entry {index} of {origin} is not proved by the hashes that were given for it")]
    Proof {
        /// Its log.
        origin: String,
        /// Its index.
        index: u64,
    },
    /// Rows have no room for proofs.
    #[error("proofs are written as lines of JSON alone: export to jsonl or ocsf")]
    NoProofs,
    /// This program was built without the format.
    #[error("this program was built without Parquet: build it with `--features parquet`")]
    NoParquet,
    /// The Parquet writer failed.
    #[error("parquet: {0}")]
    Parquet(String),
}

/// Writes entries in a format, and hashes what it writes.
pub struct Exporter<W: Write + Send> {
    writer: Writer<W>,
    footer: Footer,
    logs: BTreeMap<String, Log>,
    entries: u64,
}

/// A log whose entries are exported.
#[derive(Clone, Debug)]
pub(crate) struct Log {
    pub(crate) size: u64,
    pub(crate) root: Hash,
    pub(crate) note: String,
}

enum Writer<W: Write + Send> {
    Lines(Hashed<W>),
    Ocsf(Hashed<W>),
    Sheet(Box<sheet::Sheet<Hashed<W>>>),
    #[cfg(feature = "parquet")]
    Parquet(Box<parquet::Columns<Hashed<W>>>),
}

impl<W: Write + Send> std::fmt::Debug for Exporter<W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Exporter")
            .field("entries", &self.entries)
            .finish_non_exhaustive()
    }
}

impl<W: Write + Send> Exporter<W> {
    /// Begins an export into `out`.
    ///
    /// # Errors
    /// [`ExportError`].
    pub fn begin(out: W, format: Format, footer: Footer) -> Result<Self, ExportError> {
        let out = Hashed::new(out);
        let writer = match format {
            Format::Csv => Writer::Sheet(Box::new(sheet::Sheet::begin(out)?)),
            Format::Jsonl => Writer::Lines(out),
            Format::Ocsf => Writer::Ocsf(out),
            #[cfg(feature = "parquet")]
            Format::Parquet => Writer::Parquet(Box::new(parquet::Columns::begin(out)?)),
            #[cfg(not(feature = "parquet"))]
            Format::Parquet => return Err(ExportError::NoParquet),
        };
        Ok(Self {
            writer,
            footer,
            logs: BTreeMap::new(),
            entries: 0,
        })
    }

    /// Names a log's checkpoint (a signed note), before its first entry.
    ///
    /// # Errors
    /// [`ExportError::Checkpoint`].
    pub fn log(&mut self, note: &str) -> Result<(), ExportError> {
        let checkpoint = parse_checkpoint(note).ok_or(ExportError::Checkpoint)?;
        let log = Log {
            size: checkpoint.size,
            root: checkpoint.root,
            note: note.to_owned(),
        };
        self.logs.insert(checkpoint.origin, log);
        Ok(())
    }

    /// How many entries of a log its checkpoint covers; `None`: it was not named yet.
    #[must_use]
    pub fn covered(&self, origin: &str) -> Option<u64> {
        self.logs.get(origin).map(|log| log.size)
    }

    /// Writes an entry.
    ///
    /// # Errors
    /// [`ExportError`]; an entry that no checkpoint covers is not exported.
    pub fn entry(&mut self, entry: &LedgerEntry) -> Result<(), ExportError> {
        self.write(entry, None)
    }

    /// Writes an entry with its audit path under the checkpoint of its log, the leaf's sibling
    /// first.
    ///
    /// # Errors
    /// As [`entry`](Self::entry), [`ExportError::Proof`], [`ExportError::NoProofs`].
    pub fn proved_entry(&mut self, entry: &LedgerEntry, path: &[Hash]) -> Result<(), ExportError> {
        self.write(entry, Some(path))
    }

    fn write(&mut self, entry: &LedgerEntry, path: Option<&[Hash]>) -> Result<(), ExportError> {
        let uncovered = || ExportError::Uncovered {
            origin: entry.origin.clone(),
            index: entry.index,
        };
        let log = self.logs.get(&entry.origin).ok_or_else(uncovered)?;
        if entry.index >= log.size {
            return Err(uncovered());
        }
        let proof = path.map(|path| prove(entry, log, path)).transpose()?;
        match &mut self.writer {
            Writer::Lines(out) => line(out, &record(entry, proof))?,
            Writer::Ocsf(out) => line(out, &ocsf::event(entry, log, &self.footer, proof))?,
            Writer::Sheet(_) if proof.is_some() => return Err(ExportError::NoProofs),
            #[cfg(feature = "parquet")]
            Writer::Parquet(_) if proof.is_some() => return Err(ExportError::NoProofs),
            Writer::Sheet(sheet) => sheet.entry(entry)?,
            #[cfg(feature = "parquet")]
            Writer::Parquet(columns) => columns.entry(entry)?,
        }
        self.entries += 1;
        Ok(())
    }

    /// Writes the footer, and gives back where all was written and what it came to.
    ///
    /// # Errors
    /// [`ExportError`].
    pub fn finish(self) -> Result<(W, Exported), ExportError> {
        let out = match self.writer {
            Writer::Lines(mut out) => {
                line(&mut out, &last_line(&self.footer, &self.logs, self.entries))?;
                out
            }
            Writer::Ocsf(out) => out,
            Writer::Sheet(sheet) => sheet.finish(&self.footer, &self.logs)?,
            #[cfg(feature = "parquet")]
            Writer::Parquet(columns) => columns.finish(&self.footer, &self.logs)?,
        };
        let (out, sha256, bytes) = out.finish().map_err(ExportError::Write)?;
        let entries = self.entries;
        Ok((
            out,
            Exported {
                sha256,
                entries,
                bytes,
            },
        ))
    }
}

/// A proof that holds.
fn prove(entry: &LedgerEntry, log: &Log, path: &[Hash]) -> Result<Json, ExportError> {
    let leaf = entry.leaf_hash();
    match verify_inclusion(&leaf, entry.index, log.size, path, &log.root) {
        Ok(()) => Ok(proved::to_json(log.size, path)),
        Err(_) => Err(ExportError::Proof {
            origin: entry.origin.clone(),
            index: entry.index,
        }),
    }
}

fn parse_checkpoint(note: &str) -> Option<Checkpoint> {
    Checkpoint::parse(SignedNote::parse(note).ok()?.text()).ok()
}

/// An entry as a line of JSON.
pub(crate) fn record(entry: &LedgerEntry, proof: Option<Json>) -> Json {
    let mut record = entry_view::json(entry);
    if let Some(fields) = record.as_object_mut() {
        fields.insert("leaf".to_owned(), STANDARD.encode(&entry.bytes).into());
        if let Some(proof) = proof {
            fields.insert("proof".to_owned(), proof);
        }
    }
    record
}

fn last_line(footer: &Footer, logs: &BTreeMap<String, Log>, entries: u64) -> Json {
    let checkpoints = logs
        .iter()
        .map(|(origin, log)| json!({"origin": origin, "size": log.size, "checkpoint": log.note}));
    json!({
        "footer": footer,
        "entries": entries,
        "checkpoints": checkpoints.collect::<Vec<_>>(),
    })
}

fn line(out: &mut impl Write, value: &Json) -> Result<(), ExportError> {
    serde_json::to_writer(&mut *out, value)
        .map_err(io::Error::from)
        .and_then(|()| out.write_all(b"\n"))
        .map_err(ExportError::Write)
}

/// Writes on, and hashes on the way.
pub(crate) struct Hashed<W: Write> {
    out: io::BufWriter<W>,
    hash: Context,
    bytes: u64,
}

impl<W: Write> Hashed<W> {
    fn new(out: W) -> Self {
        Self {
            out: io::BufWriter::new(out),
            hash: Context::new(&SHA256),
            bytes: 0,
        }
    }

    fn finish(self) -> io::Result<(W, [u8; 32], u64)> {
        let out = self
            .out
            .into_inner()
            .map_err(io::IntoInnerError::into_error)?;
        let mut sha256 = [0; 32];
        let hash = self.hash.finish();
        sha256
            .iter_mut()
            .zip(hash.as_ref())
            .for_each(|(to, from)| *to = *from);
        Ok((out, sha256, self.bytes))
    }
}

impl<W: Write> Write for Hashed<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.out.write_all(bytes)?;
        self.hash.update(bytes);
        self.bytes += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}
