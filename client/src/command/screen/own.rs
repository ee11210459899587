//! Whether a file is this screening's own, and what of the screening it holds. All of it is looked
//! at before anything in the file is changed.

use std::{
    fs::{File, Metadata, OpenOptions},
    io::{self, BufRead as _, BufReader, Read as _},
    path::Path,
};

use super::progress::{Ended, Progress, Standing};

/// The most bytes of a line that we write: an answer with its proof takes far less.
const LINE_BYTES_MAX: u64 = 4 << 20;
/// Hexadecimal digits of a run's name.
pub(super) const RUN_LEN: usize = 32;

/// How a file of this screening reads.
#[derive(Debug)]
pub(super) struct Signs<'a> {
    /// The whole first line of CSV; `None`: the file has lines of JSON.
    pub(super) heading: Option<&'a [u8]>,
    /// What each request id begins with.
    pub(super) run: &'a str,
    /// No line of the input has a higher number.
    pub(super) line_max: u64,
}

/// What a file holds of this screening.
#[derive(Debug, Default)]
pub(super) struct Held {
    pub(super) progress: Progress,
    /// Bytes of its whole lines. What follows is the beginning of one more.
    pub(super) whole: u64,
}

/// Why a file can't be written.
#[derive(Debug)]
pub(super) enum Problem {
    Io(io::Error),
    /// Not a file of answers at all.
    Foreign,
    /// The answers of another screening.
    OtherRun,
}

/// Opens a file, makes it if need be, and changes nothing in it. The answers are personal data:
/// nobody else on the machine reads them.
pub(super) fn open_private(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600);
    }
    options.open(path)
}

/// Whether an opened file is also the one at `other`, by whatever path or link.
pub(super) fn is_same_file(opened: &Metadata, path: &Path, other: &Path) -> io::Result<bool> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt as _;
        let _ = path;
        let other = std::fs::metadata(other)?;
        Ok((opened.dev(), opened.ino()) == (other.dev(), other.ino()))
    }
    #[cfg(not(unix))]
    {
        let _ = opened;
        Ok(path.canonicalize()? == other.canonicalize()?)
    }
}

/// Reads what a file holds. One that is not empty, and does not begin as this screening's own, is
/// somebody else's.
pub(super) fn read(file: &File, signs: &Signs<'_>) -> Result<Held, Problem> {
    let mut reader = BufReader::new(file);
    let mut held = Held::default();
    let mut line = Vec::new();
    loop {
        line.clear();
        let mut bounded = (&mut reader).take(LINE_BYTES_MAX);
        let read = bounded
            .read_until(b'\n', &mut line)
            .map_err(Problem::Io)?
            .try_into()
            .unwrap_or(LINE_BYTES_MAX);
        if read == LINE_BYTES_MAX {
            return Err(Problem::Foreign);
        }
        if line.last() != Some(&b'\n') {
            let ours = held.whole > 0 || signs.may_begin(&line);
            return if ours {
                Ok(held)
            } else {
                Err(Problem::Foreign)
            };
        }
        match signs.heading {
            Some(heading) if held.whole == 0 => signs.check_heading(heading, &line)?,
            Some(_) | None => {
                let (number, standing) = signs.result(&line)?;
                held.progress.insert(number, standing);
            }
        }
        held.whole += read;
    }
}

impl Signs<'_> {
    /// Whether a file of ours could have been cut off after these bytes, within its first line.
    fn may_begin(&self, bytes: &[u8]) -> bool {
        match self.heading {
            Some(heading) => heading.starts_with(bytes),
            None => {
                let first = format!("{}{}-", JSON_BEGINS, self.run);
                first.as_bytes().starts_with(bytes) || bytes.starts_with(first.as_bytes())
            }
        }
    }

    fn check_heading(&self, heading: &[u8], line: &[u8]) -> Result<(), Problem> {
        let first_column =
            |line: &[u8]| line.split(|byte| *byte == b',').next().map(<[u8]>::to_vec);
        if line == heading {
            Ok(())
        } else if first_column(line) == first_column(heading) {
            Err(Problem::OtherRun)
        } else {
            Err(Problem::Foreign)
        }
    }

    /// Which line of the input a line of the output is about, and what became of it. Only the
    /// first four fields are read; `record` writes them.
    fn result(&self, line: &[u8]) -> Result<(u64, Standing), Problem> {
        let text = std::str::from_utf8(line).map_err(|_| Problem::Foreign)?;
        let stops = if self.heading.is_some() {
            CSV_STOPS
        } else {
            JSON_STOPS
        };
        let [id, number, ended, retry] = fields(text, stops).ok_or(Problem::Foreign)?;
        let (run, rest) = id.split_once('-').ok_or(Problem::Foreign)?;
        let is_run = run.len() == RUN_LEN && run.bytes().all(|byte| byte.is_ascii_hexdigit());
        let ended = Ended::from_name(ended).filter(|_| is_run);
        let (Some(ended), Ok(retry), Ok(line)) = (ended, retry.parse(), number.parse()) else {
            return Err(Problem::Foreign);
        };
        let is_line = rest.split('-').next() == Some(number);
        if run != self.run || !is_line || !(1..=self.line_max).contains(&line) {
            return Err(Problem::OtherRun);
        }
        Ok((line, Standing { ended, retry }))
    }
}

/// What stands before each of the first four fields, and behind the last of them.
type Stops = [&'static str; 5];
const CSV_STOPS: Stops = ["", ",", ",", ",", ","];
const JSON_BEGINS: &str = "{\"request_id\":\"";
const JSON_STOPS: Stops = [
    JSON_BEGINS,
    "\",\"line\":",
    ",\"outcome\":\"",
    "\",\"retry\":",
    ",",
];

fn fields(text: &str, stops: Stops) -> Option<[&str; 4]> {
    let [before, first, second, third, last] = stops;
    let rest = text.strip_prefix(before)?;
    let (one, rest) = rest.split_once(first)?;
    let (two, rest) = rest.split_once(second)?;
    let (three, rest) = rest.split_once(third)?;
    let (four, _) = rest.split_once(last)?;
    Some([one, two, three, four])
}
