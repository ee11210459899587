//! What the commands of the desk take.

use std::path::PathBuf;

use accord_proto::{purpose::Purpose, signal::Signal, v1, wire::timestamp};
use clap::{Args, Subcommand};
use jiff::Timestamp;

use super::words::{Kind, Moment, Month, Outcome};
use crate::export::Format;

const EXPORTS: &str = "\
Each entry has origin, index, exact bytes (leaf, base64) and leaf hash (RFC 6962), and each file the
signed checkpoint that the entries are under, and the confidentiality footer:
  .jsonl        one entry a line; the last line is the footer
  .csv          RFC 4180; the last rows, whose kind is checkpoint or footer, are the footer. Cells
                that a spreadsheet would take for a formula begin with an apostrophe
  .ocsf.jsonl   OCSF API Activity 1.9.0-dev with record_integrity, marked confidential one by one
  .parquet      the columns of .csv; the footer is in the key-value metadata. Needs a build with
                `--features parquet`
With --with-proofs a line of JSON has the hashes of its audit path as well (RFC 9162): .jsonl as
`proof`, .ocsf.jsonl as `unmapped.inclusion_proof`; with them each line holds by itself.
The file's SHA-256 is on the record before the file is there. A file that is there is left alone.";

#[derive(Debug, Subcommand)]
pub(crate) enum DeskCommand {
    /// Searches entries, oldest first
    Query(Query),
    /// Writes entries to a file, whole or not at all, and puts its hash on the record
    #[command(after_help = EXPORTS)]
    Export(Export),
    /// Checks an export offline: that each line says what its entry says, that its proof holds where
    /// it carries one, that nothing is cut off, and, with --dir, that each entry is in that ledger
    CheckExport(CheckExport),
    /// Reports to the joint committee: whether banks are served alike, operators' timeliness, what
    /// was refused and why, purposes, anomalies and suspensions
    Report(Report),
    /// States how much a bank asked an operator. Bank and operator each get the same text, to the
    /// byte, from their own entries
    Usage(Usage),
}

/// Which entries. What is not given does not narrow the search.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Which entries (all that is given must match)")]
pub(crate) struct Which {
    /// From this time on: an instant, or a day or month (UTC), such as 2026-11-26
    #[arg(long, value_name = "TIME")]
    from: Option<Moment>,
    /// Before this time
    #[arg(long, value_name = "TIME")]
    until: Option<Moment>,
    /// The bank that asked
    #[arg(long, value_name = "NAME")]
    bank: Option<String>,
    /// The operator
    #[arg(long, value_name = "NAME")]
    operator: Option<String>,
    /// A signal that was asked, such as sim_swap
    #[arg(long, value_name = "SIGNAL")]
    signal: Option<Signal>,
    /// What it was asked for, such as payment
    #[arg(long, value_name = "PURPOSE")]
    purpose: Option<Purpose>,
    /// The clause that decided, such as 3.1
    #[arg(long, value_name = "CLAUSE")]
    clause: Option<String>,
    /// answered, partly_answered, unanswered, refused, or a reason such as quota
    #[arg(long, value_name = "WORD")]
    outcome: Option<Outcome>,
    /// The number asked about, such as +447700900001; only its pseudonym is on the record
    #[arg(long, value_name = "NUMBER")]
    number: Option<String>,
    /// The kind of entry, such as access, anomaly or agreement_act
    #[arg(long, value_name = "KIND")]
    kind: Option<Kind>,
}

impl Which {
    pub(super) fn filter(&self) -> v1::Filter {
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        v1::Filter {
            from: self.from.map(|moment| timestamp(moment.0)),
            until: self.until.map(|moment| timestamp(moment.0)),
            bank: text(&self.bank),
            operator: text(&self.operator),
            signal: self.signal.map_or(0, |signal| signal.to_wire() as i32),
            purpose: self.purpose.map_or(0, |purpose| purpose.to_wire() as i32),
            clause: text(&self.clause),
            outcome: self
                .outcome
                .as_ref()
                .map(|word| word.0.clone())
                .unwrap_or_default(),
            msisdn: text(&self.number),
            kind: self
                .kind
                .as_ref()
                .map(|word| word.0.clone())
                .unwrap_or_default(),
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct Query {
    #[command(flatten)]
    pub(super) which: Which,
    /// Shows at most so many entries; 0: all
    #[arg(long, value_name = "COUNT", default_value_t = 100)]
    pub(super) limit: u64,
}

#[derive(Debug, Args)]
pub(crate) struct Export {
    #[command(flatten)]
    pub(super) which: Which,
    /// The file; its ending says the format where --format does not
    #[arg(long, short, value_name = "FILE")]
    pub(super) output: PathBuf,
    /// jsonl, csv, parquet or ocsf
    #[arg(long, value_name = "FORMAT", value_parser = format)]
    pub(super) format: Option<Format>,
    /// Each line with the proof that its entry is in the log, under the checkpoint in the file: it
    /// can be checked with nobody's help. jsonl and ocsf alone
    #[arg(long)]
    pub(super) with_proofs: bool,
}

fn format(name: &str) -> Result<Format, String> {
    Format::from_name(name).ok_or_else(|| "a format is one of jsonl, csv, parquet, ocsf".to_owned())
}

#[derive(Debug, Args)]
pub(crate) struct CheckExport {
    /// The export
    pub(super) file: PathBuf,
    /// jsonl, csv, parquet or ocsf; else as the file's name says
    #[arg(long, value_name = "FORMAT", value_parser = format)]
    pub(super) format: Option<Format>,
    /// A ledger's directory or a mirror's, which is verified first, in which each entry must be
    #[arg(long, value_name = "DIR")]
    pub(super) dir: Option<PathBuf>,
    /// Whom to believe: the log's key, and whose cosignatures are enough (C2SP tlog-policy); else
    /// the profile's key of the log
    #[arg(long, value_name = "POLICY")]
    pub(super) policy: Option<PathBuf>,
}

/// From where entries come.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "From where (else: asked of the broker)")]
pub(crate) struct Source {
    /// Offline from a ledger's directory or a mirror's, which is verified first
    #[arg(long, value_name = "DIR", conflicts_with = "input")]
    pub(super) dir: Option<PathBuf>,
    /// Offline from an export, which is checked first
    #[arg(long, value_name = "FILE")]
    pub(super) input: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Report {
    /// From this time on: an instant, or a day or month (UTC), such as 2026-11
    #[arg(long, value_name = "TIME")]
    pub(super) from: Option<Moment>,
    /// Before this time
    #[arg(long, value_name = "TIME")]
    pub(super) until: Option<Moment>,
    #[command(flatten)]
    pub(super) source: Source,
    /// Also as a page for people, on a screen or on paper, into this file
    #[arg(long, value_name = "FILE")]
    pub(super) html: Option<PathBuf>,
    /// Also as JSON into this file
    #[arg(long, value_name = "FILE")]
    pub(super) output: Option<PathBuf>,
    /// For this bank or operator: without what would tell it another's volume
    #[arg(long, value_name = "NAME")]
    pub(super) audience: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Usage {
    /// The month, such as 2026-11 (UTC)
    #[arg(long, value_name = "MONTH", conflicts_with_all = ["from", "until"])]
    month: Option<Month>,
    /// In place of a month: from this time on
    #[arg(long, value_name = "TIME", requires = "until")]
    from: Option<Moment>,
    /// and before this one
    #[arg(long, value_name = "TIME", requires = "from")]
    until: Option<Moment>,
    #[command(flatten)]
    pub(super) source: Source,
    /// Of this bank alone
    #[arg(long, value_name = "NAME")]
    pub(super) bank: Option<String>,
    /// With this operator alone. Where one pair is left, its statement's exact text is printed,
    /// whose hash both sides compare
    #[arg(long, value_name = "NAME")]
    pub(super) operator: Option<String>,
}

impl Usage {
    /// From when until when; `None`: not said.
    pub(super) fn period(&self) -> Option<(Timestamp, Timestamp)> {
        match (self.month, self.from, self.until) {
            (Some(month), ..) => Some((month.from, month.until)),
            (None, Some(from), Some(until)) => Some((from.0, until.0)),
            (None, ..) => None,
        }
    }
}
