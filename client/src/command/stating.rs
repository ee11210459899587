//! What a reader of entries states, from the command line and the profile; and joint statements.

use std::path::Path;

use accord_proto::{
    c2sp::{SignedNote, SigningKey, VerifierKey},
    clock::SystemClock,
    statement::{JointStatement, Statement, parse_joint},
    wire::FieldError,
};
use jiff::{civil::Date, tz::TimeZone};
use serde_json::json;

use super::{
    agreement::status::authority_keys,
    args::{Stating, Whom},
    exit::{Exit, Failure},
    signing,
    terminal::Terminal,
    whom,
};
use crate::{
    profile::{LoadedProfile, STATEMENT_FILE_NAME, StatementError, StatementFile, read_joint},
    receipt::chain,
};

/// Each field, with its option.
const OPTIONS: [(&str, &str); 6] = [
    ("statement.description", "--for"),
    ("statement.purpose", "--because"),
    ("statement.sensitivity", "--sensitivity"),
    ("statement.recipients", "--recipient"),
    ("statement.needed_by", "--needed-by"),
    ("statement.case", "--case"),
];

/// The statement that the command line makes, with what it leaves out from the profile.
pub(super) fn statement(profile: &LoadedProfile, stating: &Stating) -> Result<Statement, Failure> {
    let today = today();
    if let Some(joint) = &stating.joint {
        alone(stating, "--joint states all by itself")?;
        return read_joint(joint, today).map_err(failure);
    }
    let file = profile.statement_file()?;
    match &file.joint {
        Some(joint) if says_nothing(stating) => {
            read_joint(&profile.path(joint), today).map_err(failure)
        }
        _ => state(file, stating, &profile.dir, today),
    }
}

/// Says on standard error what goes on the record.
pub(super) fn announce(terminal: &Terminal, statement: &Statement) {
    let joint = match statement.joint() {
        Some(_) => "jointly stating",
        None => "stating",
    };
    terminal.note(&format!(
        "{joint}: {}; because: {}; {}, for {}, needed by {}",
        statement.description(),
        statement.purpose(),
        statement.sensitivity(),
        statement.recipients().join(" and "),
        statement.needed_by()
    ));
}

/// What `accord audit statement` signs.
pub(super) struct Signing<'a> {
    pub(super) file: &'a Path,
    /// The ledger's name; else the profile's.
    pub(super) ledger: Option<&'a str>,
    pub(super) key: &'a Path,
}

/// `accord audit statement`: makes a joint statement, or adds a signature to it.
pub(super) fn make(
    whom: &Whom,
    stating: &Stating,
    signing: Signing<'_>,
    terminal: &mut Terminal,
) -> Result<Exit, Failure> {
    if stating.joint.is_some() {
        let message = "--joint reads with a joint statement; this command makes one";
        return Err(Failure::new(Exit::Usage, message));
    }
    let Signing { file, key, .. } = signing;
    let key = signing::signing_key(key)?;
    let ledger = ledger(whom, signing.ledger)?;
    let JointStatement {
        statement,
        ledger,
        note,
    } = if file.exists() {
        alone(stating, "what is there is signed as it stands")?;
        joint_for(file, ledger)?
    } else {
        let (defaults, dir) = match whom::profile(whom) {
            Ok(profile) => (profile.statement_file()?, profile.dir),
            // All may stand on the command line.
            Err(_) => (StatementFile::default(), ".".into()),
        };
        let statement = state(defaults, stating, &dir, today())?;
        let ledger = ledger.ok_or_else(|| {
            Failure::new(
                Exit::Usage,
                "--ledger is required: the profile names no ledger",
            )
            .hint("the name in the log's key, such as accord.example")
        })?;
        let note = SignedNote::unsigned(statement.text(&ledger))
            .map_err(|error| Failure::new(Exit::Usage, "can't be signed").because(&error))?;
        JointStatement {
            statement,
            ledger,
            note,
        }
    };
    statement
        .check_day(today())
        .map_err(StatementError::from)
        .map_err(failure)?;
    check_signers(whom, &note, &key, terminal)?;
    let signers = signing::sign(note, &key, file)?;
    if terminal.is_json() {
        let file = file.display().to_string();
        terminal.json(&json!({"file": file, "ledger": ledger, "signatures": signers}))?;
        return Ok(Exit::Ok);
    }
    terminal.line(statement.text(&ledger).trim_end())?;
    terminal.line(&format!(
        "signed by {}; with both authorities' signatures it reads all entries of {ledger} until {}: \
         --joint {}",
        signers.join(" and "),
        statement.needed_by(),
        file.display()
    ))?;
    Ok(Exit::Ok)
}

/// The ledger's name: the one given, else the profile's, else the one in its keys of the log.
fn ledger(whom: &Whom, given: Option<&str>) -> Result<Option<String>, Failure> {
    if let Some(name) = given {
        return Ok(Some(name.to_owned()));
    }
    let Ok(profile) = whom::profile(whom) else {
        return Ok(None);
    };
    let section = &profile.profile.ledger;
    if let Some(name) = &section.origin {
        return Ok(Some(name.clone()));
    }
    let Some(key) = section.vkeys.first() else {
        return Ok(None);
    };
    let key = VerifierKey::parse(key)
        .map_err(|error| Failure::new(Exit::Failure, "the log's key").because(&error))?;
    Ok(Some(key.name().to_owned()))
}

/// The joint statement that is there; nobody signs for another ledger than the own one.
fn joint_for(file: &Path, ledger: Option<String>) -> Result<JointStatement, Failure> {
    let text = signing::read(file)?;
    let joint = parse_joint(&text).map_err(|source| {
        failure(StatementError::Joint {
            path: file.to_owned(),
            source,
        })
    })?;
    match ledger {
        Some(own) if own != joint.ledger => {
            let message = format!(
                "`{}` is for the ledger `{}`, and yours is `{own}`: nothing was signed",
                file.display(),
                joint.ledger
            );
            Err(Failure::new(Exit::Usage, message))
        }
        Some(_) | None => Ok(joint),
    }
}

/// Only the two authorities sign: a stranger's signature would look like one, and be none.
fn check_signers(
    whom: &Whom,
    note: &SignedNote,
    key: &SigningKey,
    terminal: &Terminal,
) -> Result<(), Failure> {
    let known = authority_keys(whom)?;
    if known.len() < 2 {
        terminal.note(
            "not checked whether this is an authority's key: the profile has not both \
             ([agreement] authority_vkeys)",
        );
        return Ok(());
    }
    let signed = note.signatures().iter();
    let signed = signed.map(|line| (line.name().to_owned(), line.key_id()));
    let own = key.verifier();
    for (name, id) in signed.chain([(own.name().to_owned(), own.key_id())]) {
        if !known
            .iter()
            .any(|key| (key.name(), key.key_id()) == (&*name, id))
        {
            let names: Vec<_> = known.iter().map(VerifierKey::name).collect();
            let message = format!(
                "the key `{name}+{id:08x}` is neither authority's ({}): nothing was signed",
                names.join(", ")
            );
            return Err(Failure::new(Exit::Usage, message));
        }
    }
    Ok(())
}

/// Defaults and, over them, what the command line says.
fn state(
    mut file: StatementFile,
    stating: &Stating,
    dir: &Path,
    today: Date,
) -> Result<Statement, Failure> {
    let over = |to: &mut Option<String>, from: &Option<String>| {
        if from.is_some() {
            to.clone_from(from);
        }
    };
    over(&mut file.description, &stating.description);
    over(&mut file.purpose, &stating.why);
    over(&mut file.case, &stating.case);
    file.sensitivity = stating.sensitivity.or(file.sensitivity);
    if !stating.recipients.is_empty() {
        file.recipients.clone_from(&stating.recipients);
    }
    if let Some(day) = stating.needed_by {
        file.needed_within_days = None;
        file.needed_by = day.to_string().parse().ok();
    }
    file.state(today).map_err(|error| unstated(&error, dir))
}

/// Nothing is stated beside what says all.
fn alone(stating: &Stating, why: &str) -> Result<(), Failure> {
    let beside = Stating {
        joint: None,
        ..stating.clone()
    };
    if says_nothing(&beside) {
        return Ok(());
    }
    let message = format!("{why}: leave out --for, --because and the other options of a statement");
    Err(Failure::new(Exit::Usage, message))
}

fn says_nothing(stating: &Stating) -> bool {
    stating.description.is_none()
        && stating.why.is_none()
        && stating.sensitivity.is_none()
        && stating.recipients.is_empty()
        && stating.needed_by.is_none()
        && stating.case.is_none()
        && stating.joint.is_none()
}

/// Names the option and the file's key, and shows how a whole statement looks.
fn unstated(error: &FieldError, dir: &Path) -> Failure {
    let option = OPTIONS
        .iter()
        .find(|(field, _)| error.field.starts_with(field))
        .map_or_else(String::new, |(_, option)| format!(" ({option})"));
    let message = format!(
        "each read of entries states what it is for, and this one can't: {}{option}: {}",
        error.field, error.rule
    );
    let file = dir.join(STATEMENT_FILE_NAME);
    Failure::new(Exit::Usage, message).hint(&format!(
        "--for \"all accesses by first-bank in November\" --because \"half-yearly oversight\" \
         --sensitivity confidential --recipient \"Head of Supervision\" --needed-by {}\n  \
         or the same once in {}: description, purpose, sensitivity, recipients, \
         needed_within_days",
        today(),
        file.display()
    ))
}

fn failure(error: StatementError) -> Failure {
    let exit = match error {
        StatementError::File(_) => Exit::Failure,
        StatementError::Read { .. } | StatementError::Joint { .. } | StatementError::Field(_) => {
            Exit::Usage
        }
    };
    Failure::new(exit, chain(&error))
}

fn today() -> Date {
    SystemClock::shared().now().to_zoned(TimeZone::UTC).date()
}
