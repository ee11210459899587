//! What the command takes.

use std::{net::SocketAddr, path::PathBuf};

use accord_proto::{purpose::Purpose, signal::Since, statement::Sensitivity};
use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;
use jiff::{SignedDuration, civil::Date};

use super::{
    agreement::args::Agreement,
    desk::{DeskCommand, Kind},
    oauth::{AssertionArgs, TokenArgs},
    parties::args::Parties,
    signals::parse_since,
    stale::parse_stale_after,
    subjects::args::SubjectsCommand,
};
use crate::DEADLINE_MAX;

const EXIT_CODES: &str = "\
Exit codes:
   0  everything was answered, or is in order
   1  something failed, is damaged, or can't be believed
   2  the command line has a mistake
   3  the broker refused the whole question
   4  answered, but at least one signal or line has no value
   5  verified, but there may be newer entries that are not shown
  69  no broker could be reached, or none answered in time

A profile is a directory with a profile.toml: where the broker is, and as whom one may ask.
Without --profile, ACCORD_PROFILE is used, else .accord/ here or in a directory above, which
`cargo sandbox` writes. Colours are left out when NO_COLOR is set or the output is piped.";

const SCREEN_OUTPUT: &str = "\
The output has one record a line, in the order in which answers come:
  request_id  of the question, as it is on the record
  line        of FILE, from 1. A line that was asked again has several records: the last one stands
  outcome     answered (every signal has a value), partly_answered, unanswered (none has),
              refused or not_believed (the line as a whole)
  retry       true: the line may have a value when it is asked again
  number      as it stands in FILE
A .jsonl file has them first in each line, and then
  result      {\"answer\": what `accord lookup --json` prints}, {\"refused\": …} or
              {\"not_believed\": …}
A .csv file has a heading, and behind the columns above these:
  answered_at, agreement, agreement_version
  reason, field, message       of a line that was refused or is not believed
  SIGNAL                       the value of each signal asked, such as sim_swap; empty: none
  SIGNAL_hours, _kind, _lock   swaps: the window asked, the kind of swap, whether the subscriber
                               asked for a lock (true or false)
  SIGNAL_since                 number_recycling and tenure: the date asked; signalling_anomaly: the
                               moment, and in _kind the kind of attack
  SIGNAL_reason                why there is no value
  SIGNAL_observed_at, _source, _clause
  origin, index, leaf_hash     the receipt
  answer, nonce                base64: what proves what you were told
A value in a .csv file is one of
  yes, no
  4h..12h, 26280h..            age of the last change, in hours, from the younger to the older edge
  FROM/TO, FROM/.., ../TO      instants between which the last change lies
  none, or CONDITION:TARGET    forwardings, with `;` between them: unconditional, busy, no_reply or
                               not_reachable; another_number, own_voicemail or unknown
  home, abroad, abroad:MCC     roaming; MCC is the mobile country code
The exit code and the summary are about the whole output, earlier runs among it.";

/// Asks mobile operators, through Accord, whether a number is still safely in its customer's
/// hands; and reads the record of who asked.
#[derive(Debug, Parser)]
#[command(name = "accord", version, after_help = EXIT_CODES)]
pub(super) struct Cli {
    #[command(flatten)]
    pub(super) whom: Whom,
    /// Prints JSON, one document a line, instead of tables
    #[arg(long, global = true)]
    pub(super) json: bool,
    #[command(subcommand)]
    pub(super) command: Command,
}

/// As whom to ask.
#[derive(Clone, Debug, Args)]
pub(super) struct Whom {
    /// Directory of the profile
    #[arg(long, global = true, value_name = "DIR", env = "ACCORD_PROFILE")]
    pub(super) profile: Option<PathBuf>,
    /// Asks as this party of the profile; else the first bank, or the first authority to audit
    #[arg(long = "as", global = true, value_name = "PARTY")]
    pub(super) party: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Asks about one number
    Lookup(Lookup),
    /// Asks about every number of a file, over one stream. If it is stopped, the same command goes
    /// on where it was
    #[command(after_help = SCREEN_OUTPUT)]
    Screen(Screen),
    /// Reads and verifies the ledger (the append-only record of every question and refusal)
    Audit(Audit),
    /// Checks, signs and shows the agreement (who may ask what, signed by both authorities)
    Agreement(Agreement),
    /// Checks, shows, changes and signs the list of parties (who takes part, with licences, token
    /// keys, ranges, and the applications of banks that ask for tokens)
    Parties(Parties),
    /// Fetches a token for the CAMARA APIs, which opens gRPC too, and prints it alone:
    /// curl -H "authorization: Bearer $(accord token …)"
    Token(TokenArgs),
    /// Prints what a client signs to ask for a token (`client_assertion`), alone: good once, for a
    /// minute
    Assertion(AssertionArgs),
    /// Makes the key with which an authority signs agreements and lists of parties, or a broker its
    /// ledger, and prints the key that verifies the signatures
    NewKey {
        /// The authority's organisation, as agreement and certificate name it (central-bank), or the
        /// ledger's name, as the broker's configuration has it (accord.example)
        name: String,
        /// Where the key goes; a file that is there already is left alone
        #[arg(long, short, value_name = "KEYFILE")]
        output: PathBuf,
    },
    /// Makes the key with which an authority opens its halves of the months' keys, and prints the
    /// key that the agreement names
    NewShareKey {
        /// The authority's organisation, as agreement and certificate name it (central-bank)
        name: String,
        /// Where the key goes; a file that is there already is left alone
        #[arg(long, short, value_name = "KEYFILE")]
        output: PathBuf,
    },
    /// Prints a completion script for a shell
    Completions {
        /// The shell
        shell: Shell,
    },
}

/// What `lookup` and `screen` have in common.
#[derive(Clone, Debug, Args)]
pub(super) struct Ask {
    /// Why you ask (the purpose stands in the record and must be in the agreement): login,
    /// payment, add_payee, credential_reset, limit_change, device_enrolment, otp_send,
    /// dormant_account or complaint; else the profile's
    #[arg(long, value_name = "PURPOSE")]
    pub(super) purpose: Option<Purpose>,
    /// What you ask, such as sim_swap, device_swap=72 (hours), call_forwarding, roaming,
    /// number_recycling=2024-01-31, tenure=2024-01-31 or signalling_anomaly=2026-11-21T12:03:00Z (an
    /// attack passed the operator's firewall since then); may be repeated. Without a threshold a
    /// swap is told as precisely as the clause (the permission in the agreement) allows. Else:
    /// whatever the agreement in force grants you for this purpose
    #[arg(long = "signal", value_name = "SIGNAL")]
    pub(super) signals: Vec<String>,
    /// The day since which you know the holder, for number_recycling and tenure; or a moment, such
    /// as the one at which you sent a code, for signalling_anomaly (rounded down to its minute)
    #[arg(long, value_name = "DATE|MOMENT", value_parser = parse_since)]
    pub(super) since: Option<Since>,
    /// The principal that you ask for, where you ask for another organisation
    #[arg(long, value_name = "ORGANISATION")]
    pub(super) on_behalf_of: Option<String>,
    /// Reference to the customer's consent on file, where the clause requires one
    #[arg(long, value_name = "REFERENCE")]
    pub(super) consent_ref: Option<String>,
}

#[derive(Debug, Args)]
pub(super) struct Lookup {
    /// The number in E.164 form, such as +447700900001
    pub(super) number: String,
    #[command(flatten)]
    pub(super) ask: Ask,
    /// Your own opaque reference of the customer; never a phone number
    #[arg(long, value_name = "REFERENCE")]
    pub(super) customer_ref: Option<String>,
    /// Your own id of this question; the same id within ten minutes brings the same answer
    #[arg(long, value_name = "ID")]
    pub(super) request_id: Option<String>,
    /// Asks for a whole proof with the receipt (what shows that the access is on the record)
    #[arg(long)]
    pub(super) proof: bool,
    /// How long it may take, in milliseconds, up to an hour
    #[arg(
        long,
        value_name = "MS",
        default_value_t = crate::DEADLINE_MS,
        value_parser = clap::value_parser!(u64).range(1..=DEADLINE_MAX.as_secs() * 1_000)
    )]
    pub(super) deadline_ms: u64,
}

#[derive(Debug, Args)]
pub(super) struct Screen {
    /// The numbers: one a line, or CSV with a heading: number (or msisdn) and, if you like, since,
    /// customer_ref and consent_ref. Blank lines and lines that begin with # are left out. Every
    /// mistake in it is found before the first question is asked; only a malformed number is a
    /// result of its line
    pub(super) file: PathBuf,
    #[command(flatten)]
    pub(super) ask: Ask,
    /// Where the answers go, as .jsonl or .csv; else FILE.answers.jsonl
    #[arg(long, short, value_name = "FILE")]
    pub(super) output: Option<PathBuf>,
    /// Asks again about lines that lack a value for a reason that may have passed: timeout,
    /// source_down, overloaded, stale, route_unknown, or a refusal that says when to come back.
    /// Lines that have no result yet are asked as well
    #[arg(long)]
    pub(super) retry_unanswered: bool,
}

#[derive(Debug, Args)]
pub(super) struct Audit {
    #[command(flatten)]
    pub(super) stating: Stating,
    #[command(subcommand)]
    pub(super) command: AuditCommand,
}

/// What a reader of entries states: it stands in the record with the read (rule R37). What is not
/// given is taken from `statement.toml` in the profile's directory.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Statement, which each read of entries puts on the record")]
pub(super) struct Stating {
    /// Exactly what you ask for; else the profile's statement.toml, here and below
    #[arg(long = "for", global = true, value_name = "DESCRIPTION")]
    pub(super) description: Option<String>,
    /// What it is needed for
    #[arg(long = "because", global = true, value_name = "PURPOSE")]
    pub(super) why: Option<String>,
    /// How sensitive it is: internal, confidential or restricted
    #[arg(long, global = true, value_name = "WORD")]
    pub(super) sensitivity: Option<Sensitivity>,
    /// Who will see it; may be repeated, and nobody else may see it
    #[arg(long = "recipient", global = true, value_name = "NAME")]
    pub(super) recipients: Vec<String>,
    /// The day by which it is needed, after which the statement no longer holds
    #[arg(long, global = true, value_name = "DATE")]
    pub(super) needed_by: Option<Date>,
    /// The authorities' reference of the case, such as 2026-0042
    #[arg(long, global = true, value_name = "REFERENCE")]
    pub(super) case: Option<String>,
    /// A statement that both authorities signed (`accord audit statement`), in place of all these:
    /// it reads beyond your own remit
    #[arg(long, global = true, value_name = "FILE")]
    pub(super) joint: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(super) enum AuditCommand {
    #[command(flatten)]
    Desk(DeskCommand),
    /// Hashes a whole ledger or mirror again, offline, and names what is damaged
    Verify {
        /// The directory of a ledger or of a mirror; else the profile's ledger
        #[arg(long, value_name = "DIR")]
        dir: Option<PathBuf>,
        /// Key of the log (C2SP: name+hash+key) that signed the checkpoints; else the profile's
        #[arg(long = "key", value_name = "VKEY")]
        keys: Vec<String>,
    },
    /// Shows entries, and new ones as they come
    Tail {
        /// Ends at the present end of the log
        #[arg(long)]
        once: bool,
        /// Begins at this index; else ten before the end
        #[arg(long, value_name = "INDEX")]
        from: Option<u64>,
        /// The log's name, such as accord-sandbox/2026-11; else the current one
        #[arg(
            long,
            value_name = "ORIGIN",
            default_value = "",
            hide_default_value = true
        )]
        log: String,
        /// Shows entries of this kind alone, such as anomaly; may be repeated
        #[arg(long = "kind", value_name = "KIND")]
        kinds: Vec<Kind>,
    },
    /// Writes an entry with the proof that it is in the log to a file (C2SP tlog-proof), which can
    /// be checked with nobody's help
    Prove {
        /// The entry's index, as a receipt names it
        index: u64,
        /// The file to write, such as payment.tlog-proof; an existing one must be a proof
        #[arg(short, long, value_name = "FILE")]
        output: PathBuf,
        /// A mirror's directory, from which the proof is made offline
        #[arg(long, value_name = "MIRROR")]
        dir: Option<PathBuf>,
        /// The log's name, as a receipt names it; else the current one
        #[arg(
            long,
            value_name = "ORIGIN",
            default_value = "",
            hide_default_value = true
        )]
        log: String,
    },
    /// Checks the file that `prove` wrote, offline
    VerifyProof {
        /// The file
        file: PathBuf,
        /// Whom to believe: the log's key, and whose cosignatures are enough (C2SP tlog-policy)
        #[arg(long, value_name = "POLICY")]
        policy: PathBuf,
        /// What `accord lookup --json` printed: checks that the entry commits to that very answer
        #[arg(long, value_name = "FILE")]
        told: Option<PathBuf>,
    },
    /// Makes a joint statement, or signs the one that is there. With both authorities' signatures
    /// it reads all entries, each authority's side and the other's, until its day has passed
    Statement {
        /// The file; a new one is made of the statement's options
        file: PathBuf,
        /// The ledger that is to be read, such as accord.example: at another one the signatures mean
        /// nothing; else the profile's
        #[arg(long, value_name = "NAME")]
        ledger: Option<String>,
        /// The authority's signing key (C2SP: PRIVATE+KEY+…)
        #[arg(long, value_name = "KEYFILE")]
        key: PathBuf,
    },
    /// Keeps a verified copy of the ledger in a directory, and follows it until Ctrl-C. Whatever is
    /// not what the log signed is refused, and the copy stays as it was
    Mirror(super::mirror::MirrorArgs),
    #[command(flatten)]
    Subjects(SubjectsCommand),
    /// Runs a witness: it cosigns what continues all that it has seen of the log (C2SP
    /// tlog-witness), so that nobody can show two histories
    Witness(WitnessArgs),
    /// Shows one entry, with the proof that it is in the log
    Show {
        /// The entry's index, as a receipt names it
        index: u64,
        /// The log's name, as a receipt names it; else the current one
        #[arg(
            long,
            value_name = "ORIGIN",
            default_value = "",
            hide_default_value = true
        )]
        log: String,
    },
}

#[derive(Debug, Args)]
pub(super) struct WitnessArgs {
    /// The witness's directory: its key, and what it has seen
    pub(super) dir: PathBuf,
    /// Makes the directory with a fresh key under this name, such as regulator.example/witness,
    /// and prints the line that names it in a policy
    #[arg(long, value_name = "NAME")]
    pub(super) init: Option<String>,
    /// Where to listen, in clear: put a TLS proxy before it where brokers are elsewhere
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:7455")]
    pub(super) listen: SocketAddr,
    /// Key of a log to watch (C2SP: name+hash+key); may be repeated; else the profile's
    #[arg(long = "log", value_name = "VKEY")]
    pub(super) logs: Vec<String>,
    /// Says so when a log has shown no checkpoint for so long, such as 10m or 2h; a broker shows its
    /// newest one each minute
    #[arg(
        long,
        value_name = "DURATION",
        value_parser = parse_stale_after,
        default_value = "10m"
    )]
    pub(super) stale_after: SignedDuration,
}
