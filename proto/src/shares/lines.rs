//! Texts of a few lines, each a word and its value, in one order.

use base64::{Engine as _, engine::general_purpose::STANDARD};

/// A line that is missing, stands in the wrong place, or is malformed.
pub(super) struct NotLine {
    /// The line, from 1.
    pub(super) line: usize,
    /// What should stand there.
    pub(super) expected: &'static str,
}

/// The lines of a text, read one by one.
pub(super) struct Lines<'a> {
    lines: std::str::Lines<'a>,
    line: usize,
}

impl<'a> Lines<'a> {
    pub(super) fn of(text: &'a str) -> Self {
        Self {
            lines: text.lines(),
            line: 0,
        }
    }

    /// That the line read last is not as it should be.
    pub(super) const fn not(&self, expected: &'static str) -> NotLine {
        let line = self.line;
        NotLine { line, expected }
    }

    pub(super) fn exactly(&mut self, expected: &'static str) -> Result<(), NotLine> {
        self.line += 1;
        let found = self.lines.next().filter(|line| *line == expected);
        found.map(drop).ok_or_else(|| self.not(expected))
    }

    /// The value of a line that begins with the word of `expected`.
    pub(super) fn field(&mut self, expected: &'static str) -> Result<&'a str, NotLine> {
        self.line += 1;
        let word = expected.split(' ').next().unwrap_or_default();
        let line = self.lines.next().and_then(|line| line.strip_prefix(word));
        line.and_then(|rest| rest.strip_prefix(' '))
            .filter(|value| !value.is_empty() && !value.contains(char::is_whitespace))
            .ok_or_else(|| self.not(expected))
    }

    /// The value of such a line, from base64, of a certain length.
    pub(super) fn bytes(&mut self, expected: &'static str, len: usize) -> Result<Vec<u8>, NotLine> {
        let bytes = STANDARD.decode(self.field(expected)?).ok();
        bytes
            .filter(|bytes| bytes.len() == len)
            .ok_or_else(|| self.not(expected))
    }

    pub(super) fn end(mut self) -> Result<(), NotLine> {
        self.line += 1;
        match self.lines.next() {
            None => Ok(()),
            Some(_) => Err(self.not("the end")),
        }
    }
}
