//! What the commands about subjects and months' keys take.

use std::path::PathBuf;

use clap::{Args, Subcommand};

#[derive(Debug, Subcommand)]
pub(in crate::command) enum SubjectsCommand {
    /// Reports all accesses about one number since its present holder's tenure began, each with its
    /// proof. The number's operator says since when that is; where it does not, there is no report
    Subject {
        /// The number in E.164 form, such as +447700900001
        number: String,
        /// A directory for the proofs, one file for each access (C2SP tlog-proof)
        #[arg(short, long, value_name = "DIR")]
        output: Option<PathBuf>,
    },
    /// Shows what has become of each month's key: held by the broker, split between the authorities,
    /// lost, or destroyed
    Months(MonthsArgs),
    /// Fetches your half of a closed month's key for a case (--case), and seals it to the other
    /// authority, to be handed over in the open
    Share(ShareArgs),
    /// Turns tags of a closed month back into numbers, offline, with both authorities' halves. The
    /// numbers are shown on the terminal and nowhere else
    Unmask(UnmaskArgs),
    /// Finds the accesses about one number in a closed month, offline, with both authorities' halves
    Find(FindArgs),
    /// Sets a legal hold on a month (its halves must not be destroyed), or asks to lift it, which
    /// takes both authorities
    Hold {
        /// The month, such as 2026-09
        month: String,
        /// Asks to lift the hold
        #[arg(long)]
        lift: bool,
        #[command(flatten)]
        signed: Signed,
    },
    /// Asks to destroy a closed month's halves, which takes both authorities, each in its turn. The
    /// entries still verify, and nobody finds a subject in them any more
    Shred {
        /// The month, such as 2026-09
        month: String,
        #[command(flatten)]
        signed: Signed,
    },
}

#[derive(Debug, Args)]
pub(in crate::command) struct MonthsArgs {
    /// Fetches your own half of each month that was split into this directory, one file a month, to
    /// be kept: it opens with your share key only. What is there already is left alone
    #[arg(long, value_name = "DIR", conflicts_with = "verify")]
    pub(in crate::command) fetch: Option<PathBuf>,
    /// Reads all acts on the record, and holds each against its author's signature and against those
    /// before it
    #[arg(long)]
    pub(in crate::command) verify: bool,
    /// With --verify: a ledger's directory or a mirror, read offline
    #[arg(long, value_name = "DIR", requires = "verify")]
    pub(in crate::command) dir: Option<PathBuf>,
}

/// With what an act is signed.
#[derive(Debug, Args)]
pub(in crate::command) struct Signed {
    /// Your signing key (C2SP: PRIVATE+KEY+…): the act is a note that only you can have signed
    #[arg(long, value_name = "KEYFILE")]
    pub(in crate::command) key: PathBuf,
}

#[derive(Debug, Args)]
pub(in crate::command) struct ShareArgs {
    /// The month, such as 2026-09
    pub(in crate::command) month: String,
    /// Your secret share key, which opens your half (`accord new-share-key`)
    #[arg(long, value_name = "KEYFILE")]
    pub(in crate::command) share_key: PathBuf,
    /// The half that you kept (`accord audit months --fetch`): nothing is asked of the broker, and
    /// nothing of this stands on its record
    #[arg(long, value_name = "FILE")]
    pub(in crate::command) kept: Option<PathBuf>,
    /// With --kept: the other authority's share key, as the agreement names it; else it is read from
    /// the agreement that the broker gives
    #[arg(
        long,
        value_name = "SHARE KEY",
        requires = "kept",
        conflicts_with = "own"
    )]
    pub(in crate::command) to: Option<String>,
    /// Where the half goes, sealed to the other authority; a file that is there is left alone
    #[arg(long, short, value_name = "FILE")]
    pub(in crate::command) output: PathBuf,
    /// Seals it to yourself instead, as the half that you unmask with
    #[arg(long)]
    pub(in crate::command) own: bool,
}

/// Both halves, and what opens them.
#[derive(Debug, Args)]
pub(in crate::command) struct Halves {
    /// A half that is sealed to you: your own (`accord audit share --own`), and the one that the
    /// other authority handed over; give both
    #[arg(long = "share", value_name = "FILE", required = true)]
    pub(in crate::command) shares: Vec<PathBuf>,
    /// Your secret share key
    #[arg(long, value_name = "KEYFILE")]
    pub(in crate::command) share_key: PathBuf,
}

#[derive(Debug, Args)]
pub(in crate::command) struct UnmaskArgs {
    #[command(flatten)]
    pub(in crate::command) halves: Halves,
    /// A subject tag, 32 hexadecimal digits, as an entry of that month shows it; may be repeated
    #[arg(long = "tag", value_name = "TAG", required = true)]
    pub(in crate::command) tags: Vec<String>,
    /// Which numbers are tried: a prefix, and how many digits follow, such as +447700900:3; may be
    /// repeated
    #[arg(long = "plan", value_name = "PREFIX:DIGITS", required = true)]
    pub(in crate::command) plans: Vec<String>,
}

#[derive(Debug, Args)]
pub(in crate::command) struct FindArgs {
    /// The number in E.164 form, such as +447700900001
    pub(in crate::command) number: String,
    #[command(flatten)]
    pub(in crate::command) halves: Halves,
    /// The ledger's directory, or a copy of it; else the profile's
    #[arg(long, value_name = "DIR")]
    pub(in crate::command) dir: Option<PathBuf>,
}
