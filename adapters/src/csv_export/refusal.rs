//! Why a file was not taken, and what was in one that was. Neither holds a number: rows are named
//! by their line.

use jiff::Timestamp;

/// One cell that could not be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column `{column}`: {what}")]
pub struct BadCell {
    /// Line of the file, from 1.
    pub line: u64,
    /// Name of the column, as configured.
    pub column: String,
    /// What is wrong.
    pub what: &'static str,
}

/// Why a file was not taken. The data before it stay in force, with their time.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// There is none.
    #[error("there is no file")]
    Absent,
    /// Reading failed.
    #[error("can't {0}")]
    Io(&'static str, #[source] std::io::Error),
    /// Too many files in the directory.
    #[error("the directory has more than {0} entries")]
    Crowded(usize),
    /// The marker that the file is whole is not there, or is older than the file.
    #[error("the `.done` file is not there or older than the file")]
    NotDone,
    /// The checksum is not there, or does not name the file.
    #[error("there is no checksum of the file")]
    NoChecksum,
    /// What stands where the checksum should is none, or two that differ.
    #[error("the checksum of the file is unreadable, or there are two")]
    BadChecksum,
    /// The file is not the one that the checksum is of.
    #[error("the SHA-256 of the file is not the one that was sent with it")]
    Checksum,
    /// It was written to while it was read.
    #[error("the file changed while it was read")]
    Changing,
    /// It is not what the configured encoding says.
    #[error("the file is refused as text: {0}")]
    Encoding(String),
    /// Mapped columns that the header does not have.
    #[error("the header lacks {} (of its {found} columns, {unmapped} are not mapped){}",
        .missing.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", "),
        if *found == 1 { ": is `delimiter` or `encoding` another?" } else { "" })]
    Header {
        /// Names from the configuration.
        missing: Vec<String>,
        /// How many columns there are. Their names are not repeated: without a header, the first
        /// line would be a subscriber's.
        found: usize,
        /// How many of them the configuration does not name.
        unmapped: usize,
    },
    /// A mapped column stands twice in the header.
    #[error("the header has `{0}` twice")]
    HeaderTwice(String),
    /// A quote that is never closed swallows lines.
    #[error("line {0} has a line break within quotes; a quote is not closed")]
    OpenQuote(u64),
    /// Too many rows that can't be read.
    #[error("more than {max} rows are unreadable; the first: {first}")]
    BadRows {
        /// `bad_rows_max`.
        max: u64,
        /// The first of them.
        first: BadCell,
    },
    /// Cut off.
    #[error("the file is not whole: {0}")]
    Partial(&'static str),
    /// Another number of rows than declared.
    #[error("the file has {found} rows and declares {declared}")]
    Count {
        /// In the file.
        found: u64,
        /// By its trailer or marker.
        declared: u64,
    },
    /// No rows.
    #[error("the file has no rows")]
    Empty,
    /// More rows than the limit.
    #[error("the file has more than {0} rows")]
    TooMany(u64),
    /// Too few rows, compared with the file before.
    #[error("the file has {found} rows after {before}, which is more than {max_percent} % less")]
    Shrunk {
        /// In the file.
        found: u64,
        /// In the file before.
        before: u64,
        /// `shrink_max_percent`.
        max_percent: u8,
    },
    /// The time of the export can't be read, or is not the same in each row.
    #[error("line {0}: the time of the export is unreadable or another than before")]
    ExportTime(u64),
    /// Exported in the future.
    #[error("the file was exported at {0}, which is in the future")]
    Future(Timestamp),
    /// Exported before the one in force.
    #[error("the file was exported at {0}, before the one in force")]
    Older(Timestamp),
    /// Exported when the one in force was, and not the same.
    #[error(
        "the file was exported at {0}, as the one in force was, and holds something else; a \
         corrected export needs a later time"
    )]
    SameTime(Timestamp),
    /// The program is stopping.
    #[error("the program is stopping")]
    Interrupted,
}

impl Refusal {
    /// Whether the same file may be taken later, unchanged.
    pub(super) const fn may_pass(&self) -> bool {
        match self {
            Self::Absent
            | Self::Io(..)
            | Self::Crowded(_)
            | Self::NotDone
            // A checksum that comes late, or is corrected, makes the same file good.
            | Self::NoChecksum
            | Self::BadChecksum
            | Self::Checksum
            | Self::Changing
            | Self::Future(_)
            | Self::Interrupted => true,
            Self::Encoding(_)
            | Self::Header { .. }
            | Self::HeaderTwice(_)
            | Self::OpenQuote(_)
            | Self::BadRows { .. }
            | Self::Partial(_)
            | Self::Count { .. }
            | Self::Empty
            | Self::TooMany(_)
            | Self::Shrunk { .. }
            | Self::ExportTime(_)
            | Self::Older(_)
            | Self::SameTime(_) => false,
        }
    }
}

/// What was in an accepted file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// Until when it is vouched for.
    pub exported_at: Timestamp,
    /// Rows in the file.
    pub rows: u64,
    /// Numbers known from it.
    pub numbers: u64,
    /// Rows that could not be read, at most `bad_rows_max`.
    pub bad_rows: u64,
    /// The first of them.
    pub bad_cells: Vec<BadCell>,
    /// Rows that repeat another one.
    pub identical: u64,
    /// Rows of former holders beside a later one.
    pub former: u64,
    /// Rows that contradict another one of the same number.
    pub contradicted: u64,
    /// Kinds of swap, and ways in which a line began, that the configuration does not list.
    pub unmapped_kinds: u64,
    /// Columns that are not mapped, at most [`Report::EXTRA_COLUMNS_MAX`].
    pub extra_columns: Vec<String>,
}

impl Report {
    /// The most unreadable cells that are listed.
    pub const BAD_CELLS_MAX: usize = 20;
    /// The most unmapped columns that are listed.
    pub const EXTRA_COLUMNS_MAX: usize = 200;
}
