//! Whether a file is this screening's own, and what of the screening it holds. All of it is looked
//! at before anything in the file is changed.

use std::{
    fs::{File, Metadata, OpenOptions},
    io::{self, BufRead as _, BufReader, Read as _},
    path::Path,
};

/// The most bytes of a line that we write: an answer with its proof takes far less.
const LINE_BYTES_MAX: u64 = 4 << 20;
/// Hexadecimal digits of a run's name.
pub(super) const RUN_LEN: usize = 32;

/// Which lines have a result: one bit each, so that ten million lines take a megabyte.
#[derive(Debug, Default)]
pub(super) struct Done {
    bits: Vec<u64>,
    pub(super) count: u64,
}

impl Done {
    pub(super) fn holds(&self, line: u64) -> bool {
        let (word, bit) = place(line);
        self.bits.get(word).is_some_and(|bits| bits & bit != 0)
    }

    fn insert(&mut self, line: u64) {
        if self.holds(line) {
            return;
        }
        let (word, bit) = place(line);
        if self.bits.len() <= word {
            self.bits.resize(word + 1, 0);
        }
        if let Some(bits) = self.bits.get_mut(word) {
            *bits |= bit;
            self.count += 1;
        }
    }
}

fn place(line: u64) -> (usize, u64) {
    (
        usize::try_from(line / 64).unwrap_or(usize::MAX),
        1 << (line % 64),
    )
}

/// How a file of this screening reads.
#[derive(Debug)]
pub(super) struct Signs<'a> {
    /// The whole first line, where there is a heading.
    pub(super) heading: Option<&'a [u8]>,
    /// What stands before the request id in each line.
    pub(super) before_id: &'a str,
    /// What each request id begins with.
    pub(super) run: &'a str,
    /// No line of the input has a higher number.
    pub(super) line_max: u64,
}

/// What a file holds of this screening.
#[derive(Debug, Default)]
pub(super) struct Held {
    pub(super) done: Done,
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
            Some(_) | None => held.done.insert(signs.number(&line)?),
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
                let first = format!("{}{}-", self.before_id, self.run);
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

    /// Which line of the input a line of the output is about.
    fn number(&self, line: &[u8]) -> Result<u64, Problem> {
        let text = std::str::from_utf8(line).map_err(|_| Problem::Foreign)?;
        let id = text
            .strip_prefix(self.before_id)
            .and_then(|rest| rest.split(['"', ',']).next())
            .ok_or(Problem::Foreign)?;
        let (run, number) = id.split_once('-').ok_or(Problem::Foreign)?;
        if run.len() != RUN_LEN || !run.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(Problem::Foreign);
        }
        let number = number.parse().map_err(|_| Problem::Foreign)?;
        if run != self.run || !(1..=self.line_max).contains(&number) {
            return Err(Problem::OtherRun);
        }
        Ok(number)
    }
}
