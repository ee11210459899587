//! What `accord agreement` takes.

use std::path::PathBuf;

use accord_proto::agreement::Target;
use clap::{Args, Subcommand};

#[derive(Debug, Args)]
pub(in crate::command) struct Agreement {
    #[command(subcommand)]
    pub(in crate::command) command: AgreementCommand,
}

#[derive(Debug, Subcommand)]
pub(in crate::command) enum AgreementCommand {
    /// Explains an agreement as a table, and names file and line of each mistake
    Check {
        /// The text, signed or not
        file: PathBuf,
        /// Shows every column
        #[arg(long)]
        wide: bool,
    },
    /// Signs an agreement: a FILE offline, or by --hash what the other authority proposed to the
    /// broker. Both authorities must, each in its turn
    Sign {
        /// The text, signed or not
        #[arg(required_unless_present = "hash", conflicts_with = "hash")]
        file: Option<PathBuf>,
        /// SHA-256 of the proposed text, or its first 8 digits or more, as `history` shows it
        #[arg(long, value_name = "SHA256")]
        hash: Option<String>,
        /// The authority's signing key (C2SP: PRIVATE+KEY+…)
        #[arg(long, value_name = "KEYFILE")]
        key: PathBuf,
        /// Where the signed text goes; else into FILE
        #[arg(long, short, value_name = "FILE", conflicts_with = "hash")]
        output: Option<PathBuf>,
    },
    /// Signs an agreement and proposes it to the broker; the other authority signs it there
    Propose {
        /// The text, signed or not
        file: PathBuf,
        #[command(flatten)]
        author: Author,
    },
    /// Activates what both signed; it takes effect on its first day. Either authority may
    Activate {
        /// SHA-256 of its text, or its first 8 digits or more; else the only one that both signed
        #[arg(long, value_name = "SHA256")]
        hash: Option<String>,
        #[command(flatten)]
        author: Author,
    },
    /// Suspends the whole agreement, a bank, an operator or a signal, at once. Either authority may
    Suspend {
        /// all, bank:NAME, operator:NAME or signal:NAME
        target: Target,
        /// Why: the suspended party is told, and it stands on the record. No personal data
        #[arg(long)]
        reason: String,
        #[command(flatten)]
        author: Author,
    },
    /// Lifts a suspension; takes both authorities, within a week of each other
    Lift {
        /// all, bank:NAME, operator:NAME or signal:NAME
        target: Target,
        /// Why, for the record. No personal data
        #[arg(long, default_value = "", hide_default_value = true)]
        reason: String,
        #[command(flatten)]
        author: Author,
    },
    /// Ends the agreement in force; takes both authorities, within a week of each other
    End {
        /// Why, for the record. No personal data
        #[arg(long, default_value = "", hide_default_value = true)]
        reason: String,
        #[command(flatten)]
        author: Author,
    },
    /// Shows what the authorities did, each act checked against its author's signature, and what is
    /// proposed
    History,
    /// Shows what one agreement changes of another: permissions, texts and dates
    Diff {
        /// A file; or of the agreement in force and of proposed ones the version, or the SHA-256 of
        /// the text (8 digits or more)
        old: String,
        /// The same
        new: String,
    },
    /// Shows which agreement is in force, who signed it, what is suspended, and when it ends
    Status {
        /// Of this file, and not of the broker
        #[arg(long, value_name = "FILE")]
        file: Option<PathBuf>,
    },
}

/// Which authority acts.
#[derive(Debug, Args)]
pub(in crate::command) struct Author {
    /// The authority's signing key (C2SP: PRIVATE+KEY+…), with which it signs agreements
    #[arg(long, value_name = "KEYFILE")]
    pub(in crate::command) key: PathBuf,
}
