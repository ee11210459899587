//! Which column of a file of numbers is which.

use csv::StringRecord;

/// Columns that a heading may name.
pub(super) const COLUMNS: [&str; 4] = ["number", "since", "customer_ref", "consent_ref"];
/// The number's other name, by which the wire knows it.
const MSISDN: &str = "msisdn";

/// Where each column stands.
#[derive(Clone, Debug)]
pub(super) struct Columns {
    /// Whether the first line is a heading.
    pub(super) heading: bool,
    count: usize,
    at: [Option<usize>; COLUMNS.len()],
}

impl Default for Columns {
    /// Without a heading there are numbers alone.
    fn default() -> Self {
        Self {
            heading: false,
            count: 1,
            at: [Some(0), None, None, None],
        }
    }
}

impl Columns {
    /// Reads the first line: a heading, or a number already.
    ///
    /// # Errors
    /// The rule that a heading breaks.
    pub(super) fn of(first: &StringRecord) -> Result<Self, String> {
        let names: Vec<String> = first
            .iter()
            .map(str::to_ascii_lowercase)
            .map(|name| {
                if name == MSISDN {
                    "number".to_owned()
                } else {
                    name
                }
            })
            .collect();
        if !names.iter().any(|name| COLUMNS.contains(&name.as_str())) {
            return Ok(Self::default());
        }
        for (at, name) in names.iter().enumerate() {
            let known = COLUMNS.join(", ");
            if !COLUMNS.contains(&name.as_str()) {
                return Err(format!(
                    "unknown column {}; the columns are {known}",
                    shown(name, at)
                ));
            }
            if names.iter().take(at).any(|earlier| earlier == name) {
                return Err(format!("the column `{name}` stands there twice"));
            }
        }
        if !names.iter().any(|name| name == "number") {
            return Err(format!(
                "the heading names no column `number` (or `{MSISDN}`)"
            ));
        }
        let at = COLUMNS.map(|column| names.iter().position(|name| name == column));
        Ok(Self {
            heading: true,
            count: names.len(),
            at,
        })
    }

    pub(super) fn has_consents(&self) -> bool {
        let [.., consent_ref] = self.at;
        consent_ref.is_some()
    }

    /// A line has no more cells than there are columns: what else stood there would be lost.
    pub(super) fn check_count(&self, record: &StringRecord) -> Result<(), String> {
        match (record.len() <= self.count, self.heading) {
            (true, _) => Ok(()),
            (false, true) => Err("the line has more cells than the heading".to_owned()),
            (false, false) => Err(format!(
                "more than a number stands here: a heading names the columns, {}",
                COLUMNS.join(", ")
            )),
        }
    }

    /// The cells of a line, in the order of [`COLUMNS`]; an empty one is none.
    pub(super) fn cells<'a>(&self, record: &'a StringRecord) -> [Option<&'a str>; COLUMNS.len()] {
        self.at
            .map(|at| record.get(at?).filter(|cell| !cell.is_empty()))
    }
}

/// A column's name, or where it stands: a cell with digits may be a number, which is not repeated.
fn shown(name: &str, at: usize) -> String {
    if name.chars().any(|char| char.is_ascii_digit()) || name.len() > 40 {
        format!("in place {}", at + 1)
    } else {
        format!("`{name}`")
    }
}
