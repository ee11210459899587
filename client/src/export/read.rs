//! Reads an export again, and holds each entry against what the file says of it.
//!
//! Every line is written anew from the entry's exact bytes and must come out the same, so a field
//! that was changed by hand is found without any ledger. That the bytes are the ledger's is another
//! matter: it takes the ledger's record of the file's hash, a ledger's directory or a mirror.

use std::{
    fs::File,
    io::{self, Read},
    path::Path,
};

use accord_proto::c2sp::Checkpoint;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::Value as Json;

use super::{
    Format, Log,
    columns::{self, INDEX, KIND, LEAF, NAMES, ORIGIN, SUMMARY},
    lines::{Hashing, lines},
    ocsf, parse_checkpoint,
    proved::Roots,
    record, sheet,
};
use crate::{
    LedgerEntry,
    footer::{Footer, NAMES as NAMES_OF_FOOTER, NO_ONWARD_DISCLOSURE},
};

/// What an export turned out to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checked {
    /// SHA-256 of the file, as it is on the record.
    pub sha256: [u8; 32],
    /// Entries in it.
    pub entries: u64,
    /// The footer, as names and values.
    pub footer: Vec<(String, String)>,
    /// The checkpoints (signed notes) that the entries are under, by origin; their signatures are
    /// not checked here.
    pub checkpoints: Vec<(String, String)>,
    /// How many entries carry a proof that they are in their log, which holds under the checkpoint.
    pub proved: u64,
}

/// Why an export is not believed.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// It can't be read.
    #[error("the export can't be read")]
    Io(#[from] io::Error),
    /// A line is no line of this format.
    #[error("line {line} is no line of such an export: {what}")]
    Form {
        /// Which, from 1; of CSV the row.
        line: u64,
        /// What is wrong.
        what: &'static str,
    },
    /// A line says something else than the bytes of its entry.
    #[error("line {line} says something else than the entry in it")]
    Changed {
        /// Which, from 1.
        line: u64,
    },
    /// The end is missing.
    #[error("the export was cut off, or lines were left out: {0}")]
    Short(&'static str),
    /// An entry that no checkpoint of the file covers.
    #[error("entry {index} of {origin} is under no checkpoint of the export")]
    Uncovered {
        /// The log.
        origin: String,
        /// The entry.
        index: u64,
    },
    /// A proof that is none, or that leads to another root than those of the other lines.
    #[error("line {line} does not prove that its entry is in the log")]
    Proof {
        /// Which, from 1.
        line: u64,
    },
    /// Proofs that lead to another root than the checkpoint's.
    #[error("the proofs of {origin} are not under its checkpoint in the export")]
    OtherRoot {
        /// The log.
        origin: String,
    },
    /// This program was built without the format.
    #[error("this program was built without Parquet: build it with `--features parquet`")]
    NoParquet,
}

/// Reads an export, and shows each entry.
///
/// # Errors
/// [`ReadError`] names the first line that is wrong.
pub fn read(
    path: &Path,
    format: Format,
    mut each: impl FnMut(LedgerEntry),
) -> Result<Checked, ReadError> {
    let mut file = Hashing::new(File::open(path)?);
    let mut found = Found::default();
    match format {
        Format::Jsonl => lines(&mut file, |at, line| found.jsonl(at, &line, &mut each))?,
        Format::Ocsf => lines(&mut file, |at, line| found.ocsf(at, &line, &mut each))?,
        Format::Csv => found.csv(&mut file, &mut each)?,
        #[cfg(feature = "parquet")]
        Format::Parquet => found.parquet(&mut file, path, &mut each)?,
        #[cfg(not(feature = "parquet"))]
        Format::Parquet => return Err(ReadError::NoParquet),
    }
    let sha256 = file.finish()?;
    found.check(format)?;
    Ok(Checked {
        sha256,
        entries: found.entries,
        footer: found.footer,
        checkpoints: found.checkpoints,
        proved: found.roots.count,
    })
}

#[derive(Default)]
struct Found {
    entries: u64,
    stated: Option<u64>,
    footer: Vec<(String, String)>,
    checkpoints: Vec<(String, String)>,
    /// The highest index of each log.
    highest: Vec<(String, u64)>,
    roots: Roots,
}

impl Found {
    fn jsonl(
        &mut self,
        line: u64,
        value: &Json,
        each: &mut impl FnMut(LedgerEntry),
    ) -> Result<(), ReadError> {
        if !self.footer.is_empty() {
            return Err(form(line, "something stands behind the footer"));
        }
        if let Some(footer) = value.get("footer") {
            self.footer(line, footer)?;
            self.stated = value.get("entries").and_then(Json::as_u64);
            let listed = value.get("checkpoints").and_then(Json::as_array);
            for one in listed.into_iter().flatten() {
                let note = one.get("checkpoint").and_then(Json::as_str);
                self.checkpoint(line, note.unwrap_or_default())?;
            }
            return Ok(());
        }
        let text = |name: &str| value.get(name).and_then(Json::as_str).unwrap_or_default();
        let index = value.get("index").and_then(Json::as_u64);
        let entry = entry(line, text("origin"), index, text("leaf"))?;
        let proof = value.get("proof").cloned();
        if record(&entry, proof.clone()) != *value {
            return Err(ReadError::Changed { line });
        }
        self.take(line, &entry)?;
        self.follow(line, &entry, proof.as_ref())?;
        each(entry);
        Ok(())
    }

    fn ocsf(
        &mut self,
        line: u64,
        value: &Json,
        each: &mut impl FnMut(LedgerEntry),
    ) -> Result<(), ReadError> {
        let at = |pointer: &str| value.pointer(pointer);
        let text = |pointer: &str| at(pointer).and_then(Json::as_str).unwrap_or_default();
        let index = at("/metadata/sequence").and_then(Json::as_u64);
        let entry = entry(line, text("/metadata/log_name"), index, text("/raw_data"))?;
        let marked = at("/unmapped/confidentiality").cloned().unwrap_or_default();
        let footer: Footer = serde_json::from_value(marked.clone())
            .map_err(|_| form(line, "the event does not say to whom it may be shown"))?;
        let note = text("/attestation_list/0/signatures/0/value");
        let Checkpoint { size, root, .. } = self.checkpoint(line, note)?;
        let log = Log {
            size,
            root,
            note: note.to_owned(),
        };
        let proof = at("/unmapped/inclusion_proof").cloned();
        if ocsf::event(&entry, &log, &footer, proof.clone()) != *value {
            return Err(ReadError::Changed { line });
        }
        if self.footer.is_empty() {
            self.footer(line, &marked)?;
        }
        self.take(line, &entry)?;
        self.follow(line, &entry, proof.as_ref())?;
        each(entry);
        Ok(())
    }

    fn csv(
        &mut self,
        file: &mut impl Read,
        each: &mut impl FnMut(LedgerEntry),
    ) -> Result<(), ReadError> {
        let mut rows = csv::ReaderBuilder::new().from_reader(file);
        let malformed = |line| move |_: csv::Error| form(line, "it is no row of as many cells");
        if rows.headers().map_err(malformed(1))? != NAMES[..] {
            return Err(form(1, "other columns"));
        }
        // A cell may hold line ends, so rows are counted, the heading as the first.
        for (line, row) in (2..).zip(rows.records()) {
            let row = row.map_err(malformed(line))?;
            let cell = |at: usize| sheet::as_it_was(row.get(at).unwrap_or_default());
            match cell(KIND) {
                sheet::CHECKPOINT => {
                    self.checkpoint(line, cell(SUMMARY))?;
                }
                sheet::FOOTER => {
                    let pair = cell(SUMMARY).split_once(": ");
                    let (name, value) = pair.ok_or_else(|| form(line, "no part of a footer"))?;
                    self.footer.push((name.to_owned(), value.to_owned()));
                }
                _ if !self.footer.is_empty() => {
                    return Err(form(line, "something stands behind the footer"));
                }
                _ => {
                    let entry = entry(line, cell(ORIGIN), cell(INDEX).parse().ok(), cell(LEAF))?;
                    let same = (0..)
                        .zip(&columns::row(&entry))
                        .all(|(at, own)| own == cell(at));
                    if !same {
                        return Err(ReadError::Changed { line });
                    }
                    self.take(line, &entry)?;
                    each(entry);
                }
            }
        }
        Ok(())
    }

    #[cfg(feature = "parquet")]
    fn parquet(
        &mut self,
        file: &mut impl Read,
        path: &Path,
        each: &mut impl FnMut(LedgerEntry),
    ) -> Result<(), ReadError> {
        // Its rows are not read in the order of its bytes, which are hashed by themselves.
        io::copy(file, &mut io::sink())?;
        let ends = super::parquet::read(File::open(path)?, |line, row| {
            let cell = |at: usize| row.get(at).map_or("", String::as_str);
            let entry = entry(line, cell(ORIGIN), cell(INDEX).parse().ok(), cell(LEAF))?;
            if super::parquet::row(&entry) != row {
                return Err(ReadError::Changed { line });
            }
            self.take(line, &entry)?;
            each(entry);
            Ok(())
        })?;
        for note in &ends.checkpoints {
            self.checkpoint(0, note)?;
        }
        self.footer(0, &ends.footer)
    }

    fn take(&mut self, line: u64, entry: &LedgerEntry) -> Result<(), ReadError> {
        self.entries += 1;
        match self.highest.last_mut() {
            Some((origin, highest)) if *origin == entry.origin => {
                if entry.index <= *highest {
                    return Err(form(line, "it comes again, or after a later entry"));
                }
                *highest = entry.index;
            }
            Some(_) | None => self.highest.push((entry.origin.clone(), entry.index)),
        }
        Ok(())
    }

    fn follow(
        &mut self,
        line: u64,
        entry: &LedgerEntry,
        proof: Option<&Json>,
    ) -> Result<(), ReadError> {
        match proof {
            Some(proof) if !self.roots.follow(entry, proof) => Err(ReadError::Proof { line }),
            Some(_) | None => Ok(()),
        }
    }

    fn footer(&mut self, line: u64, footer: &Json) -> Result<(), ReadError> {
        let footer: Footer = serde_json::from_value(footer.clone())
            .map_err(|_| form(line, "the footer lacks fields"))?;
        let pairs = footer.pairs().into_iter();
        self.footer = pairs
            .map(|(name, value)| (name.to_owned(), value))
            .collect();
        Ok(())
    }

    fn checkpoint(&mut self, line: u64, note: &str) -> Result<Checkpoint, ReadError> {
        let checkpoint = parse_checkpoint(note).ok_or_else(|| form(line, "no checkpoint"))?;
        let known = (checkpoint.origin.clone(), note.to_owned());
        if !self.checkpoints.contains(&known) {
            self.checkpoints.push(known);
        }
        Ok(checkpoint)
    }

    fn check(&self, format: Format) -> Result<(), ReadError> {
        if self.footer.is_empty() && (self.entries > 0 || format != Format::Ocsf) {
            return Err(ReadError::Short("the footer is missing"));
        }
        let terms = self.footer.iter().find(|(name, _)| name == "terms");
        let whole = self
            .footer
            .iter()
            .map(|(name, _)| name.as_str())
            .eq(NAMES_OF_FOOTER);
        if !self.footer.is_empty()
            && (!whole || terms.is_none_or(|(_, terms)| terms != NO_ONWARD_DISCLOSURE))
        {
            return Err(ReadError::Short("the footer is not whole"));
        }
        if format == Format::Jsonl && self.stated != Some(self.entries) {
            return Err(ReadError::Short(
                "the footer counts another number of entries",
            ));
        }
        for (origin, index) in &self.highest {
            let notes = self.checkpoints.iter().filter(|(log, _)| log == origin);
            let mut sizes = notes.filter_map(|(_, note)| Some(parse_checkpoint(note)?.size));
            if !sizes.any(|size| size > *index) {
                return Err(ReadError::Uncovered {
                    origin: origin.clone(),
                    index: *index,
                });
            }
        }
        match self.roots.astray(&self.checkpoints) {
            Some(origin) => Err(ReadError::OtherRoot {
                origin: origin.to_owned(),
            }),
            None => Ok(()),
        }
    }
}

fn entry(
    line: u64,
    origin: &str,
    index: Option<u64>,
    leaf: &str,
) -> Result<LedgerEntry, ReadError> {
    let index = index.ok_or_else(|| form(line, "no index"))?;
    let bytes = STANDARD
        .decode(leaf)
        .map_err(|_| form(line, "the leaf is not base64"))?;
    LedgerEntry::parse(origin.to_owned(), index, bytes)
        .map_err(|_| form(line, "the leaf is no entry"))
}

pub(super) const fn form(line: u64, what: &'static str) -> ReadError {
    ReadError::Form { line, what }
}
