//! Reading a file line by line, or in any other way, and hashing it on the way.

use std::{
    fs::File,
    io::{self, BufRead as _, BufReader, Read, Write as _},
};

use serde_json::Value as Json;

use super::{
    Hashed,
    read::{ReadError, form},
};

/// The longest line of an export: an entry of the greatest length, three times over.
const LINE_BYTES_MAX: u64 = 1 << 20;

/// Shows each line of JSON with its number, from 1.
pub(super) fn lines(
    file: &mut Hashing,
    mut each: impl FnMut(u64, Json) -> Result<(), ReadError>,
) -> Result<(), ReadError> {
    let mut line = Vec::new();
    for at in 1.. {
        line.clear();
        let len = file
            .0
            .by_ref()
            .take(LINE_BYTES_MAX)
            .read_until(b'\n', &mut line)?;
        if len == 0 {
            break;
        }
        file.1.write_all(&line)?;
        if line.last() != Some(&b'\n') {
            return Err(form(at, "it does not end"));
        }
        let value = serde_json::from_slice(&line).map_err(|_| form(at, "it is no JSON"))?;
        each(at, value)?;
    }
    Ok(())
}

/// Reads, and hashes what it reads.
pub(super) struct Hashing(BufReader<File>, Hashed<io::Sink>);

impl Hashing {
    pub(super) fn new(file: File) -> Self {
        Self(BufReader::new(file), Hashed::new(io::sink()))
    }

    /// The SHA-256 of all that was read.
    pub(super) fn finish(self) -> io::Result<[u8; 32]> {
        Ok(self.1.finish()?.1)
    }
}

impl Read for Hashing {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        let len = self.0.read(to)?;
        self.1.write_all(to.get(..len).unwrap_or_default())?;
        Ok(len)
    }
}
