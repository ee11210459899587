//! The section of the configuration. What a file may look like is all stated here; nothing about
//! a file is guessed.

use std::collections::BTreeMap;
use std::path::PathBuf;

use accord_proto::observation::SwapKind;

use crate::file_drop::SftpConfig;

/// One export, and how to read it. Unknown keys are refused.
#[derive(Clone, Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CsvConfig {
    /// Where the files come.
    pub directory: PathBuf,
    /// Name of the file. With `%` directives (`subscribers-%Y%m%d.csv`) each file has its own
    /// name, and the newest by its name counts.
    pub file_name: String,
    /// `utf-8` (with or without a byte-order mark), `iso-8859-1`, `windows-1252`, `utf-16le`,
    /// `utf-16be`, or `utf-16` (whose byte-order mark is then required).
    pub encoding: String,
    /// One ASCII character.
    #[serde(default = "default_delimiter")]
    pub delimiter: char,
    /// IANA name of the zone of dates and times without an offset, such as `Europe/London`.
    pub time_zone: String,
    /// How numbers are written.
    pub number: NumberConfig,
    /// When the file was exported.
    pub exported_at: ExportedAt,
    /// How to know that a file is whole.
    pub complete: Complete,
    /// The columns.
    pub columns: Columns,
    /// Cells that mean *it never happened*, in columns of dates.
    #[serde(default)]
    pub never: Vec<String>,
    /// Cells that mean *the system does not know*, in columns of dates.
    #[serde(default)]
    pub unknown: Vec<String>,
    /// Dates before this one are unreadable: an unlisted sentinel, most likely.
    #[serde(default = "default_earliest")]
    pub earliest: String,
    /// The most rows that may be unreadable; with one more, the file is refused.
    #[serde(default)]
    pub bad_rows_max: u64,
    /// A file that has lost more than this share of the rows of the one before is refused.
    #[serde(default = "default_shrink_max_percent")]
    pub shrink_max_percent: u8,
    /// Remembers the size of the last accepted file over a restart.
    pub state_file: Option<PathBuf>,
    /// The most rows.
    #[serde(default = "default_rows_max")]
    pub rows_max: u64,
    /// How often to look for a new file.
    #[serde(default = "default_reload_ms")]
    pub reload_ms: u64,
    /// After how many hours the export in force is old, and the source `behind`. Without it, never.
    pub old_after_hours: Option<u32>,
    /// A server from which files come into the directory.
    pub sftp: Option<SftpConfig>,
}

/// How numbers are written.
#[derive(Clone, Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NumberConfig {
    /// Country code of national numbers, digits only.
    pub country_code: String,
    /// What a national number begins with and an international one does not: `0` in most
    /// countries. Empty where there is none.
    #[serde(default)]
    pub national_prefix: String,
    /// What stands for `+`, such as `00`. Empty: only `+` does.
    #[serde(default)]
    pub international_prefix: String,
    /// What a number is that begins with none of these. Without it such a number is unreadable.
    pub bare: Option<Bare>,
    /// Characters between digits that mean nothing, such as ` -`.
    #[serde(default)]
    pub separators: String,
}

/// What a number without any prefix is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Bare {
    /// `447700900123`
    International,
    /// `7700900123`
    National,
}

/// When the file was exported: the data are vouched for until then and no longer. The time at which
/// the file was last written is no choice, since whoever copies or touches an old file would vouch
/// for it until today.
#[derive(Clone, Debug, serde::Deserialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case", tag = "from")]
pub enum ExportedAt {
    /// The time in the file's name. If the name has a date only, `time` says when that day
    /// (`02:30`).
    FileName {
        /// Time of day, in the export's zone.
        time: Option<String>,
    },
    /// A column, which must be the same in each row.
    Column {
        /// Its name.
        name: String,
        /// Its format, with a time of day.
        format: String,
    },
}

/// How to know that a file is whole.
#[derive(Clone, Debug, serde::Deserialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case", tag = "by")]
pub enum Complete {
    /// A last line with this text in its first field and the number of rows in its second.
    Trailer {
        /// The text.
        text: String,
    },
    /// A file `<name>.done` beside it, not older; if it holds a number, that is the number of
    /// rows.
    DoneFile,
    /// A file `<name>.sha256` beside it, as `sha256sum` writes it.
    Sha256File,
    /// A file that lists the SHA-256 of several, as `sha256sum` writes them.
    Manifest {
        /// Its name.
        name: String,
    },
    /// The last line ends with a newline. The weakest: a file cut between two lines passes, and
    /// only `shrink_max_percent` stands against it.
    FinalNewline,
}

/// The columns, by what they mean. Columns of the file that are not named here are not read.
#[derive(Clone, Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Columns {
    /// The number.
    pub msisdn: String,
    /// The last change of SIM: `sim_swap`.
    pub sim_changed_at: Option<DateColumn>,
    /// The kind of that change.
    pub sim_change_kind: Option<KindColumn>,
    /// The last change of device: `device_swap`.
    pub device_changed_at: Option<DateColumn>,
    /// When the line began: `number_recycling` and `tenure`.
    pub activated_at: Option<DateColumn>,
    /// How the line began then. Without it with a new holder, but for a number whose last change of SIM
    /// was a port at the same time.
    pub begin_reason: Option<BeginColumn>,
    /// When the subscription ended. A number that has ended is an unknown number.
    pub ceased_at: Option<DateColumn>,
    /// CFU.
    pub forwarding_unconditional: Option<ForwardingColumn>,
    /// CFB.
    pub forwarding_busy: Option<ForwardingColumn>,
    /// CFNRy.
    pub forwarding_no_reply: Option<ForwardingColumn>,
    /// CFNRc.
    pub forwarding_not_reachable: Option<ForwardingColumn>,
    /// The subscriber opted out.
    pub opted_out: Option<FlagColumn>,
    /// The subscriber has asked for a lock against swaps.
    pub swap_locked: Option<FlagColumn>,
}

/// A column of dates or times.
#[derive(Clone, Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DateColumn {
    /// Its name in the header.
    pub name: String,
    /// `%d-%m-%Y` and the like (strptime). Without a time of day each cell is a whole day, with
    /// hours and minutes a minute, with seconds a second.
    pub format: String,
    /// Since when `never` is the truth: a date (`%Y-%m-%d`), or `whole_life`. Without it, a number
    /// for which nothing is recorded is `not_watched`.
    pub history_since: Option<String>,
}

/// A column of kinds of swap.
#[derive(Clone, Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KindColumn {
    /// Its name in the header.
    pub name: String,
    /// From cell to kind. A cell that is not listed is no kind, and is counted.
    pub values: BTreeMap<String, SwapKind>,
}

/// A column of how lines began.
#[derive(Clone, Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BeginColumn {
    /// Its name in the header.
    pub name: String,
    /// From cell to what it means. Of a line with a cell that is not listed, which is counted, the holder is
    /// not told.
    pub values: BTreeMap<String, Begin>,
}

/// How a line began, as the operator's policy has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Begin {
    /// With a new holder: a new line, or one that was handed to somebody else.
    NewHolder,
    /// Its holder came with the number from another operator.
    PortIn,
    /// The holder of before went on: another contract, or a prepaid line registered anew.
    SameHolder,
}

/// A column of forwarding.
#[derive(Clone, Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ForwardingColumn {
    /// Its name in the header.
    pub name: String,
    /// From cell to what it means.
    pub values: BTreeMap<String, ForwardingCell>,
    /// What any other cell means, where the cell holds the forwarded-to number. Without it such
    /// a cell is unreadable.
    pub other: Option<ForwardingCell>,
}

/// What a cell of forwarding means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ForwardingCell {
    /// Not active.
    Inactive,
    /// Active, to another number.
    AnotherNumber,
    /// Active, to the subscriber's own voicemail.
    OwnVoicemail,
    /// Active, and the system can't tell where to.
    Active,
}

/// A column that says yes or no.
#[derive(Clone, Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FlagColumn {
    /// Its name in the header.
    pub name: String,
    /// Cells that mean yes.
    pub yes: Vec<String>,
    /// Cells that mean no. Any other cell is unreadable.
    pub no: Vec<String>,
}

const fn default_delimiter() -> char {
    ','
}

fn default_earliest() -> String {
    // The first public GSM networks opened in 1991, analogue ones about 1980.
    "1980-01-01".to_owned()
}

const fn default_shrink_max_percent() -> u8 {
    10
}

const fn default_rows_max() -> u64 {
    50_000_000
}

const fn default_reload_ms() -> u64 {
    30_000
}
