//! What `accord parties` takes.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use jiff::civil::Date;

const AFTER_EDIT: &str = "\
What changes is shown, and everything else stays as it is, comments and order too. The list's version
is raised by one and its signatures are removed: `accord parties sign` signs it again, as the central
bank for banks and as the telecom regulator for operators. A running broker takes a signed list up
within a second; until then, and while a signature is missing, it keeps the one that it has. So edit
into another file (--output), and sign that into the broker's place.";

#[derive(Debug, Args)]
pub(in crate::command) struct Parties {
    #[command(subcommand)]
    pub(in crate::command) command: PartiesCommand,
}

#[derive(Debug, Subcommand)]
pub(in crate::command) enum PartiesCommand {
    /// Shows a list of parties as a table, and names file and line of each mistake
    Check {
        /// The text, signed or not
        file: PathBuf,
    },
    /// Shows who is on a list: licence, keys, and each bank's clients with what they may ask for
    List {
        /// The text, signed or not
        file: PathBuf,
    },
    /// Adds a bank, an operator, a client (an application of a bank that asks for tokens) or a key
    #[command(subcommand)]
    Add(Add),
    /// Replaces a party's token key in two steps: the new one beside the old one, and once everything
    /// signs with the new one, --retire for the old one
    #[command(after_help = AFTER_EDIT)]
    Rotate(Rotate),
    /// Signs a list of parties: the central bank for banks, the telecom regulator for operators
    Sign {
        /// The text, signed or not
        file: PathBuf,
        /// The authority's signing key (C2SP: PRIVATE+KEY+…)
        #[arg(long, value_name = "KEYFILE")]
        key: PathBuf,
        /// Where the signed text goes; else into FILE
        #[arg(long, short, value_name = "FILE")]
        output: Option<PathBuf>,
    },
}

#[derive(Debug, Subcommand)]
pub(in crate::command) enum Add {
    /// Adds a bank, with its first token key
    #[command(after_help = AFTER_EDIT)]
    Bank(AddBank),
    /// Adds an operator, with the ranges of numbers that it serves
    #[command(after_help = AFTER_EDIT)]
    Operator(AddOperator),
    /// Adds a client: an application of a bank that asks for tokens (OAuth 2.0, as CAMARA has it)
    #[command(after_help = AFTER_EDIT)]
    Client(AddClient),
    /// Adds a token key to a party; it signs beside those that are there
    #[command(after_help = AFTER_EDIT)]
    Key(AddKey),
}

/// Which list, and where the new one goes.
#[derive(Debug, Args)]
pub(in crate::command) struct Where {
    /// The list, signed or not
    pub(super) file: PathBuf,
    /// Where the new list goes; else into FILE
    #[arg(long, short, value_name = "FILE")]
    pub(super) output: Option<PathBuf>,
    /// Shows what would change, and writes nothing
    #[arg(long)]
    pub(super) dry_run: bool,
}

/// A public key.
#[derive(Debug, Args)]
pub(in crate::command) struct PublicKey {
    /// The name of the key, unique in the list: `kid` in the header of what it signs
    #[arg(long, value_name = "KID")]
    pub(super) kid: String,
    /// The public half in PEM form (`openssl pkey -in token.key -pubout`): P-256 for ES256, or
    /// Ed25519 for EdDSA. The private half stays with the bank
    #[arg(long, value_name = "PEMFILE")]
    pub(super) public_key: PathBuf,
}

/// A licence.
#[derive(Debug, Args)]
pub(in crate::command) struct LicenceArgs {
    /// Its number in the supervisor's register
    #[arg(long = "licence", value_name = "NUMBER")]
    pub(super) number: String,
    /// Who keeps that register, such as "Central Bank"
    #[arg(long, value_name = "NAME")]
    pub(super) supervisor: String,
    /// The first day of the licence
    #[arg(long, value_name = "DATE")]
    pub(super) from: Date,
    /// The first day no longer licensed; else without an end
    #[arg(long, value_name = "DATE")]
    pub(super) until: Option<Date>,
}

#[derive(Debug, Args)]
pub(in crate::command) struct AddBank {
    #[command(flatten)]
    pub(super) place: Where,
    /// Its id, as its certificate has it: spiffe://<trust-domain>/bank/<organisation>
    #[arg(long, value_name = "SPIFFE-ID")]
    pub(super) id: String,
    /// Its name for people
    #[arg(long, value_name = "NAME")]
    pub(super) name: String,
    #[command(flatten)]
    pub(super) licence: LicenceArgs,
    #[command(flatten)]
    pub(super) key: PublicKey,
}

#[derive(Debug, Args)]
pub(in crate::command) struct AddOperator {
    #[command(flatten)]
    pub(super) place: Where,
    /// Its id, as its certificate has it: spiffe://<trust-domain>/operator/<organisation>
    #[arg(long, value_name = "SPIFFE-ID")]
    pub(super) id: String,
    /// Its name for people
    #[arg(long, value_name = "NAME")]
    pub(super) name: String,
    #[command(flatten)]
    pub(super) licence: LicenceArgs,
    /// The digits with which its numbers begin, such as +447700900; may be repeated. None: all its
    /// numbers are ported in
    #[arg(long = "range", value_name = "PREFIX")]
    pub(super) ranges: Vec<String>,
}

#[derive(Debug, Args)]
pub(in crate::command) struct AddClient {
    #[command(flatten)]
    pub(super) place: Where,
    /// The bank whose application it is: its organisation (first-bank), or its whole id
    #[arg(long, value_name = "PARTY")]
    pub(super) party: String,
    /// Its `client_id`
    #[arg(long, value_name = "CLIENT")]
    pub(super) id: String,
    /// A purpose that it may state, and which of the agreement's that is, such as
    /// dpv:FraudPreventionAndDetection=payment; may be repeated
    #[arg(long = "purpose", value_name = "DPV=PURPOSE", required = true)]
    pub(super) purposes: Vec<String>,
    /// A scope that it may ask for, such as sim-swap or number-recycling:check; may be repeated. What
    /// the agreement does not allow is refused all the same
    #[arg(long = "scope", value_name = "SCOPE", required = true)]
    pub(super) scopes: Vec<String>,
    /// A key (its kid) that it signs with; may be repeated. Else any of its bank's
    #[arg(long = "key", value_name = "KID")]
    pub(super) keys: Vec<String>,
}

#[derive(Debug, Args)]
pub(in crate::command) struct AddKey {
    #[command(flatten)]
    pub(super) place: Where,
    /// Whose key: the organisation (first-bank), or the whole id
    #[arg(long, value_name = "PARTY")]
    pub(super) party: String,
    #[command(flatten)]
    pub(super) key: PublicKey,
}

#[derive(Debug, Args)]
pub(in crate::command) struct Rotate {
    #[command(flatten)]
    pub(super) place: Where,
    /// Whose key: the organisation (first-bank), or the whole id
    #[arg(long, value_name = "PARTY")]
    pub(super) party: String,
    /// The name of the new key
    #[arg(long, value_name = "KID", requires = "public_key")]
    pub(super) kid: Option<String>,
    /// The public half of the new key, in PEM form
    #[arg(long, value_name = "PEMFILE", requires = "kid")]
    pub(super) public_key: Option<PathBuf>,
    /// The old key (its kid), which goes on beside the new one: clients that name it may sign with
    /// the new one too. Only needed where clients name their keys
    #[arg(long, value_name = "KID", requires = "kid")]
    pub(super) beside: Option<String>,
    /// The old key (its kid), which signs nothing from then on
    #[arg(long, value_name = "KID", required_unless_present = "kid")]
    pub(super) retire: Option<String>,
}
