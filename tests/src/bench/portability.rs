//! `accord-bench portability`: a database of ported numbers: how long it takes to load, how much
//! memory, and how fast a number is looked up.
//!
//! The file is made up, of numbers in no order and some ranges, and read as broker and adapter read
//! it. Numbers are looked up in another order than they stand in, half of them ported and half not,
//! so that the processor's cache does not know them.

use std::{
    fs::File,
    hint::black_box,
    io::{BufWriter, Write as _},
    path::Path,
};

use accord_proto::{
    clock::{Clock as _, SystemClock},
    hex,
    msisdn::Msisdn,
    portability::{PortabilityDatabase, ReadLimits},
};
use aws_lc_rs::digest::{Context, SHA256};
use serde::Serialize;
use tokio::time::Instant;

use super::{BenchError, child::resident_kib};

/// Numbers that are looked up.
const LOOKUPS: u64 = 2_000_000;
/// Of so many rows one is a range.
const RANGE_EACH: u64 = 100;
/// Whom numbers were ported to.
const RECIPIENTS: u64 = 40;
/// A prime that shuffles, as long as the number of rows is not a multiple of it.
const SHUFFLE: u64 = 7_368_787;

/// What was measured.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Porting {
    /// Rows of the file.
    pub rows: u64,
    /// Bytes of the file.
    pub file_bytes: u64,
    /// How long it took to read, in seconds, all checked and sorted.
    pub load_s: f64,
    /// The memory that the database says it takes.
    pub memory_bytes: u64,
    /// By how much the process has grown.
    pub grown_kib: u64,
    /// Nanoseconds of a lookup, on average.
    pub lookup_ns: f64,
    /// Of the lookups so many found a port.
    pub found: u64,
    /// Built with `--release`.
    pub optimised: bool,
}

impl Porting {
    /// The figures for people.
    #[must_use]
    pub fn to_table(&self) -> String {
        const MIB: f64 = 1_048_576.0;
        let trial = match self.optimised {
            true => "",
            false => "(not built with --release: only a trial)\n",
        };
        format!(
            "{trial}portability database of {} rows, a file of {:.0} MiB\n\
             loaded in       {:>8.2} s   (aim: 20)\n\
             memory          {:>8.0} MiB (aim: 200); the process grew by {:.0} MiB\n\
             looked up in    {:>8.0} ns  (aim: 1000), {} numbers in no order, {} of them ported\n",
            self.rows,
            float(self.file_bytes) / MIB,
            self.load_s,
            float(self.memory_bytes) / MIB,
            float(self.grown_kib) / 1_024.0,
            self.lookup_ns,
            LOOKUPS,
            self.found,
        )
    }
}

/// Makes a file of so many rows in a directory, and measures.
///
/// # Errors
/// [`BenchError`]; no figure is an error.
pub fn measure_portability(
    rows: u64,
    dir: &Path,
    progress: &(dyn Fn(&str) + Sync),
) -> Result<Porting, BenchError> {
    let path = dir.join("portability.csv");
    let failed = |act| {
        let path = path.clone();
        move |source| BenchError::Io { act, path, source }
    };
    progress(&format!("portability: makes a file of {rows} rows"));
    let file_bytes = write(rows, &path).map_err(failed("write"))?;
    progress("portability: loads it");
    let mut file = File::open(&path).map_err(failed("open"))?;
    let before = resident_kib(std::process::id());
    let limits = ReadLimits {
        rows_max: rows,
        now: SystemClock.now(),
    };
    let began = Instant::now();
    let database = PortabilityDatabase::read(&mut file, limits);
    let database = database.map_err(|error| BenchError::Answer {
        what: "the database",
        why: error.to_string(),
    })?;
    let load_s = began.elapsed().as_secs_f64();
    let grown_kib = resident_kib(std::process::id()).saturating_sub(before);
    progress("portability: looks numbers up");
    let numbers: Vec<Msisdn> = (0..LOOKUPS)
        .filter_map(|at| Msisdn::parse(&number((at * 104_729) % (2 * rows))).ok())
        .collect();
    let began = Instant::now();
    let found = numbers
        .iter()
        .filter(|number| black_box(&database).find(number, limits.now).is_some())
        .count();
    let lookup_ns = began.elapsed().as_secs_f64() * 1e9 / float(LOOKUPS);
    Ok(Porting {
        rows,
        file_bytes,
        load_s,
        memory_bytes: u64::try_from(database.bytes()).unwrap_or(u64::MAX),
        grown_kib,
        lookup_ns,
        found: u64::try_from(found).unwrap_or(u64::MAX),
        optimised: !cfg!(debug_assertions),
    })
}

/// Numbers of no country: no country code begins with 999.
fn number(at: u64) -> String {
    format!("+999{at:010}")
}

/// Writes the rows, every second number, and the last line; the file's size.
fn write(rows: u64, path: &Path) -> std::io::Result<u64> {
    let mut file = BufWriter::new(File::create(path)?);
    let mut hash = Context::new(&SHA256);
    let mut bytes = 0;
    let mut put = |text: &str| {
        hash.update(text.as_bytes());
        bytes += u64::try_from(text.len()).unwrap_or_default();
        file.write_all(text.as_bytes())
    };
    put("accord-portability,1\nas_of,2026-11-01T02:00:00Z\nnumber,recipient,ported\n")?;
    for at in 0..rows {
        let place = (at * SHUFFLE) % rows;
        let (recipient, day) = (place % RECIPIENTS, 1 + place % 28);
        let first = number(2 * place);
        let numbers = match place % RANGE_EACH {
            0 => format!("{first}-{first}"),
            _ => first,
        };
        put(&format!(
            "{numbers},operator-{recipient},2024-05-{day:02}\n"
        ))?;
    }
    let digest = hex::encode(hash.finish().as_ref());
    let end = format!("end,{rows},{digest}\n");
    file.write_all(end.as_bytes())?;
    file.flush()?;
    Ok(bytes + u64::try_from(end.len()).unwrap_or_default())
}

const fn float(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_that_was_written_is_found_and_no_other() {
        let dir = tempfile::tempdir().unwrap();
        let measured = measure_portability(10_000, dir.path(), &|_| ()).unwrap();
        assert_eq!(measured.rows, 10_000);
        // Every second number was ported, and each is looked up equally often.
        assert_eq!(measured.found, LOOKUPS / 2);
        assert!(measured.to_table().contains("10000 rows"));
    }
}
