//! Reads TOML tables key by key and goes on after a mistake, so that a person gets them all.

use std::{collections::BTreeMap, ops::Range};

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::{
    DOCUMENT_LEN_MAX, Mistake, Mistakes,
    value::{quoted, shown},
};

/// The most entries of a list.
const LIST_LEN_MAX: usize = 500;

/// A value and the line on which it stands.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Found<T> {
    pub(crate) value: T,
    pub(crate) line: usize,
}

/// Collects mistakes, knowing the lines of the text.
#[derive(Debug)]
pub(crate) struct Findings {
    line_starts: Vec<usize>,
    mistakes: Vec<Mistake>,
}

impl Findings {
    /// Parses the text. What can be read is read, also beside a syntax error.
    ///
    /// # Errors
    /// If the text is too long to be read at all.
    pub(crate) fn parse(text: &str) -> Result<(Self, DeTable<'_>), Mistakes> {
        let breaks = text.match_indices('\n').map(|(at, _)| at + 1);
        let mut findings = Self {
            line_starts: std::iter::once(0).chain(breaks).collect(),
            mistakes: Vec::new(),
        };
        if text.len() > DOCUMENT_LEN_MAX {
            findings.mistake(1, "", format!("at most {DOCUMENT_LEN_MAX} bytes are read"));
            Mistakes::check(findings.mistakes)?;
            return Ok((Self::default(), DeTable::new()));
        }
        findings.check_characters(text);
        let (table, errors) = DeTable::parse_recoverable(text);
        for error in errors {
            let line = error.span().map_or(1, |span| findings.line(&span));
            let rule = error.message().lines().collect::<Vec<_>>().join(", ");
            findings.mistake(line, "", rule);
        }
        Ok((findings, table.into_inner()))
    }

    /// A signed note holds no control characters (C2SP signed-note), and an invisible one would
    /// make two texts look alike to those who sign.
    fn check_characters(&mut self, text: &str) {
        for (at, character) in text.char_indices() {
            let name = match character {
                '\n' => continue,
                '\t' => "a tab",
                '\r' => "a carriage return",
                control if control.is_control() => "a control character",
                '\u{200b}'..='\u{200f}'
                | '\u{202a}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{feff}' => "an invisible character",
                _ => continue,
            };
            let line = self.line(&(at..at));
            self.mistake(
                line,
                "",
                format!("{name} stands here; use spaces and line feeds"),
            );
        }
    }

    pub(crate) fn line(&self, span: &Range<usize>) -> usize {
        self.line_starts
            .partition_point(|start| *start <= span.start)
    }

    pub(crate) fn mistake(&mut self, line: usize, key: &str, rule: impl Into<String>) {
        self.mistakes.push(Mistake {
            line,
            key: key.to_owned(),
            rule: rule.into(),
        });
    }

    /// Unknown keys at the top of the document.
    pub(crate) fn only_tables(&mut self, table: &DeTable<'_>, known: &[&str]) {
        for key in table
            .keys()
            .filter(|key| !known.contains(&key.get_ref().as_ref()))
        {
            let line = self.line(&key.span());
            let rule = format!("unknown key; at the top stand {}", known.join(", "));
            self.mistake(line, &quoted(key.get_ref()), rule);
        }
    }

    /// The tables `[[name]]`.
    pub(crate) fn array_of_tables<'t, 'i>(
        &mut self,
        table: &'t DeTable<'i>,
        name: &str,
    ) -> Vec<(usize, &'t DeTable<'i>)> {
        let Some(found) = table.get(name) else {
            self.mistake(1, name, format!("at least one `[[{name}]]` is required"));
            return Vec::new();
        };
        let elements = found.get_ref().as_array();
        let mut tables = Vec::new();
        for element in elements.into_iter().flat_map(|array| array.iter()) {
            let line = self.line(&element.span());
            match element.get_ref().as_table() {
                Some(table) => tables.push((line, table)),
                None => self.mistake(line, name, format!("is written as `[[{name}]]`")),
            }
        }
        if elements.is_none_or(|array| array.is_empty()) {
            let line = self.line(&found.span());
            self.mistake(
                line,
                name,
                format!("is written as `[[{name}]]`, at least one"),
            );
        }
        tables
    }

    /// Ends the reading.
    ///
    /// # Errors
    /// All mistakes, if there are any.
    pub(crate) fn finish(self) -> Result<(), Mistakes> {
        Mistakes::check(self.mistakes)
    }
}

impl Default for Findings {
    fn default() -> Self {
        Self {
            line_starts: vec![0],
            mistakes: Vec::new(),
        }
    }
}

/// Reads one table. What it was never asked for is an unknown key.
#[derive(Debug)]
pub(crate) struct TableReader<'t, 'i, 'f> {
    name: &'static str,
    line: usize,
    table: &'t DeTable<'i>,
    known: Vec<&'static str>,
    findings: &'f mut Findings,
}

impl<'t, 'i, 'f> TableReader<'t, 'i, 'f> {
    /// A reader of the table `name`, whose header stands on `line`.
    pub(crate) const fn new(
        name: &'static str,
        line: usize,
        table: &'t DeTable<'i>,
        findings: &'f mut Findings,
    ) -> Self {
        Self {
            name,
            line,
            table,
            known: Vec::new(),
            findings,
        }
    }

    /// A reader of the document itself; who makes it checks its keys.
    pub(crate) const fn top(table: &'t DeTable<'i>, findings: &'f mut Findings) -> Self {
        Self::new("", 1, table, findings)
    }

    /// Whether a key stands there, well formed or not.
    pub(crate) fn holds(&self, key: &str) -> bool {
        self.table.contains_key(key)
    }

    /// Whether a key's value is `[]`.
    pub(crate) fn holds_empty_list(&self, key: &str) -> bool {
        let value = self
            .table
            .get(key)
            .and_then(|value| value.get_ref().as_array());
        value.is_some_and(|array| array.is_empty())
    }

    /// Whether a key's value is text.
    pub(crate) fn holds_text(&self, key: &str) -> bool {
        self.table
            .get(key)
            .is_some_and(|value| value.get_ref().is_str())
    }

    /// The line of the header.
    pub(crate) const fn line(&self) -> usize {
        self.line
    }

    /// Records a mistake in one of this table's keys.
    pub(crate) fn mistake(&mut self, line: usize, key: &str, rule: impl Into<String>) {
        let key = match self.name {
            "" => key.to_owned(),
            name => format!("{name}.{key}"),
        };
        self.findings.mistake(line, &key, rule);
    }

    fn look(&mut self, key: &'static str) -> Option<(usize, &'t Spanned<DeValue<'i>>)> {
        self.known.push(key);
        let (key, value) = self.table.get_key_value(key)?;
        Some((self.findings.line(&key.span()), value))
    }

    /// A key that may be absent.
    pub(crate) fn optional<T>(
        &mut self,
        key: &'static str,
        parse: impl Fn(&DeValue<'_>) -> Result<T, String>,
    ) -> Option<Found<T>> {
        let (line, value) = self.look(key)?;
        match parse(value.get_ref()) {
            Ok(value) => Some(Found { value, line }),
            Err(rule) => {
                self.mistake(line, key, rule);
                None
            }
        }
    }

    /// A key that must be there. `None` only after a mistake was recorded.
    pub(crate) fn required<T>(
        &mut self,
        key: &'static str,
        parse: impl Fn(&DeValue<'_>) -> Result<T, String>,
    ) -> Option<Found<T>> {
        if !self.table.contains_key(key) {
            self.known.push(key);
            self.mistake(self.line, key, "is required");
            return None;
        }
        self.optional(key, parse)
    }

    /// A list without repetitions; each element has its own line. `None`: absent.
    pub(crate) fn list<T: PartialEq>(
        &mut self,
        key: &'static str,
        parse: impl Fn(&DeValue<'_>) -> Result<T, String>,
    ) -> Option<Found<Vec<T>>> {
        let (line, value) = self.look(key)?;
        let Some(elements) = value.get_ref().as_array() else {
            self.mistake(line, key, "is a list, such as `[a, b]`");
            return Some(Found {
                value: Vec::new(),
                line,
            });
        };
        if elements.len() > LIST_LEN_MAX {
            self.mistake(line, key, format!("has at most {LIST_LEN_MAX} entries"));
        }
        let mut values = Vec::new();
        for element in elements.iter().take(LIST_LEN_MAX) {
            let line = self.findings.line(&element.span());
            match parse(element.get_ref()) {
                Ok(value) if values.contains(&value) => {
                    let word = shown(element.get_ref());
                    self.mistake(line, key, format!("`{word}` stands there twice"));
                }
                Ok(value) => values.push(value),
                Err(rule) => self.mistake(line, key, rule),
            }
        }
        Some(Found {
            value: values,
            line,
        })
    }

    /// A list with at least one entry.
    pub(crate) fn required_list<T: PartialEq>(
        &mut self,
        key: &'static str,
        parse: impl Fn(&DeValue<'_>) -> Result<T, String>,
    ) -> Found<Vec<T>> {
        let Some(found) = self.list(key, parse) else {
            self.mistake(self.line, key, "is required");
            return Found {
                value: Vec::new(),
                line: self.line,
            };
        };
        if self.holds_empty_list(key) {
            self.mistake(found.line, key, "names at least one");
        }
        found
    }

    /// A table inside this one, by its line.
    pub(crate) fn required_table(&mut self, key: &'static str) -> Option<(usize, &'t DeTable<'i>)> {
        let Some((line, value)) = self.look(key) else {
            self.mistake(self.line, key, "is required");
            return None;
        };
        let table = value.get_ref().as_table();
        if table.is_none() {
            self.mistake(line, key, "is a table");
        }
        Some((line, table?))
    }

    /// Tables in a list inside this one, each by its line.
    pub(crate) fn tables(&mut self, key: &'static str) -> Vec<(usize, &'t DeTable<'i>)> {
        let Some((line, value)) = self.look(key) else {
            return Vec::new();
        };
        let Some(elements) = value.get_ref().as_array() else {
            self.mistake(
                line,
                key,
                format!("is written as `[[{}.{key}]]`", self.name),
            );
            return Vec::new();
        };
        let mut tables = Vec::new();
        for element in elements.iter().take(LIST_LEN_MAX) {
            let line = self.findings.line(&element.span());
            match element.get_ref().as_table() {
                Some(table) => tables.push((line, table)),
                None => self.mistake(line, key, "is a list of tables"),
            }
        }
        tables
    }

    /// Every key of a table whose keys are words of the document's own, each with its line.
    pub(crate) fn words(&mut self) -> Vec<(usize, &'t str, &'t DeValue<'i>)> {
        let findings = &*self.findings;
        let mut words: Vec<_> = self
            .table
            .iter()
            .map(|(key, value)| {
                let line = findings.line(&key.span());
                (line, key.get_ref().as_ref(), value.get_ref())
            })
            .collect();
        words.sort_by_key(|(line, word, _)| (*line, *word));
        words
    }

    /// A reader of a table inside this one, which shares its findings.
    pub(crate) const fn inner(
        &mut self,
        name: &'static str,
        line: usize,
        table: &'t DeTable<'i>,
    ) -> TableReader<'t, 'i, '_> {
        TableReader::new(name, line, table, self.findings)
    }

    /// Records each key that nobody asked for.
    pub(crate) fn finish(mut self) {
        let unknown: BTreeMap<String, usize> = self
            .table
            .keys()
            .filter(|key| !self.known.contains(&key.get_ref().as_ref()))
            .map(|key| (quoted(key.get_ref()), self.findings.line(&key.span())))
            .collect();
        let rule = format!("unknown key; here stand {}", self.known.join(", "));
        for (key, line) in unknown {
            self.mistake(line, &key, rule.clone());
        }
    }
}
