//! `accord agreement`.

use std::path::Path;

use accord_proto::{
    agreement::{AgreementDocument, Row, SignedAgreement, explain, mirrors},
    c2sp::{SignedNote, VerifierKey},
    clock::SystemClock,
    document::Authorities,
};
use serde_json::{Value as Json, json};

use super::{
    args::{AgreementCommand, Whom},
    audit,
    exit::{Exit, Failure},
    signing,
    terminal::Terminal,
    whom,
};
use crate::words::instant_words;

/// The columns that a person needs first, by their heading.
const FIRST_COLUMNS: [&str; 7] = [
    "bank",
    "operator",
    "purpose",
    "signal",
    "how precisely",
    "looks back",
    "clause",
];

/// Checks, signs or shows an agreement.
pub(super) async fn run(
    whom: &Whom,
    command: &AgreementCommand,
    terminal: &mut Terminal,
) -> Result<Exit, Failure> {
    match command {
        AgreementCommand::Check { file, wide } => check(file, *wide, terminal),
        AgreementCommand::Sign { file, key, output } => {
            sign(file, key, output.as_deref().unwrap_or(file), terminal)
        }
        AgreementCommand::Status { file: Some(file) } => {
            let note = signing::read(file)?;
            status(&note, &authority_keys(whom)?, terminal)
        }
        AgreementCommand::Status { file: None } => {
            let auditor = audit::auditor(whom, terminal, "the agreement in force")?;
            let agreement = auditor.agreement().await?;
            status(&agreement.note, &authority_keys(whom)?, terminal)
        }
    }
}

fn check(file: &Path, wide: bool, terminal: &mut Terminal) -> Result<Exit, Failure> {
    let text = signing::read(file)?;
    let note = SignedNote::parse(&text).ok();
    let body = note.as_ref().map_or(text.as_str(), SignedNote::text);
    let document = match AgreementDocument::parse(body) {
        Ok(document) => document,
        Err(mistakes) => return signing::report(file, &mistakes, terminal),
    };
    let rows = explain(&document);
    if terminal.is_json() {
        let clauses = rows.iter().map(|row| {
            let pairs = Row::HEADINGS.iter().zip(row.cells());
            let fields = pairs.map(|(heading, cell)| ((*heading).to_owned(), Json::from(cell)));
            Json::Object(fields.collect())
        });
        let permissions: Vec<_> = clauses.collect();
        terminal.json(&json!({
            "id": document.id(),
            "version": document.version(),
            "title": document.title(),
            "clauses": document.clauses().len(),
            "mirrors": document.mirrors().iter().map(ToString::to_string).collect::<Vec<_>>(),
            "signatures": note.as_ref().map_or(0, |note| note.signatures().len()),
            "permissions": permissions,
        }))?;
        return Ok(Exit::Ok);
    }
    terminal.line(&format!(
        "{} version {}: {}",
        document.id(),
        document.version(),
        document.title()
    ))?;
    let shown: Vec<usize> = (0..Row::HEADINGS.len())
        .filter(|at| {
            let heading = Row::HEADINGS.get(*at).copied().unwrap_or_default();
            wide || FIRST_COLUMNS.contains(&heading)
        })
        .collect();
    let pick = |cells: &[String]| {
        shown
            .iter()
            .filter_map(|at| cells.get(*at).cloned())
            .collect::<Vec<_>>()
    };
    let headings = pick(&Row::HEADINGS.map(str::to_owned));
    let headings: Vec<&str> = headings.iter().map(String::as_str).collect();
    let table: Vec<Vec<_>> = rows
        .iter()
        .map(|row| pick(&row.cells()).into_iter().map(Into::into).collect())
        .collect();
    terminal.table(&headings, &table)?;
    terminal.line(&format!(
        "{} clauses (numbered permissions), {} permissions; whatever is not listed is refused",
        document.clauses().len(),
        rows.len()
    ))?;
    terminal.line(&format!(
        "whole copies of the ledger (mirrors): {}",
        mirrors(&document)
    ))?;
    Ok(Exit::Ok)
}

fn sign(file: &Path, key: &Path, to: &Path, terminal: &mut Terminal) -> Result<Exit, Failure> {
    let note = signing::note(file)?;
    let document = match AgreementDocument::parse(note.text()) {
        Ok(document) => document,
        Err(mistakes) => return signing::report(file, &mistakes, terminal),
    };
    let key = signing::signing_key(key)?;
    let name = key.verifier().name();
    let authorities = [document.telecom_regulator(), document.central_bank()];
    if !authorities.iter().any(|party| party.org().as_str() == name) {
        return Err(Failure::new(
            Exit::Failure,
            format!(
                "`{name}` is neither of the two authorities that sign this agreement, {} and {}",
                document.telecom_regulator().org(),
                document.central_bank().org()
            ),
        ));
    }
    let signers = signing::sign(note, &key, to)?;
    if terminal.is_json() {
        terminal.json(&json!({"file": to.display().to_string(), "signatures": signers}))?;
    } else {
        terminal.line(&format!(
            "{} version {} signed by {}; it takes effect with both authorities' signatures",
            document.id(),
            document.version(),
            signers.join(" and ")
        ))?;
    }
    Ok(Exit::Ok)
}

fn status(note: &str, keys: &[VerifierKey], terminal: &mut Terminal) -> Result<Exit, Failure> {
    let failed = |text: &str| Failure::new(Exit::Failure, text);
    let parsed =
        SignedNote::parse(note).map_err(|error| failed("it is not signed").because(&error))?;
    let document = AgreementDocument::parse(parsed.text())
        .map_err(|error| failed("the agreement has mistakes").because(&error))?;
    let find = |org: &str| keys.iter().find(|key| key.name() == org).cloned();
    let pair = (
        find(document.telecom_regulator().org().as_str()),
        find(document.central_bank().org().as_str()),
    );
    let signers = match pair {
        (Some(telecom), Some(bank)) => {
            let authorities = Authorities::new(telecom, bank)
                .map_err(|error| failed("the authorities' keys").because(&error))?;
            let signed = SignedAgreement::open(note, &authorities, None)
                .map_err(|error| failed("the signatures do not hold").because(&error))?;
            Some(signed.signers().to_vec())
        }
        (_, None) | (None, _) => None,
    };
    let now = SystemClock::shared().now();
    let term = document.term();
    let in_force = term.check_in_force(now);
    if terminal.is_json() {
        terminal.json(&json!({
            "id": document.id(),
            "version": document.version(),
            "title": document.title(),
            "clauses": document.clauses().len(),
            "verified_signers": signers,
            "effective": term.effective_at().to_string(),
            "expires": term.expires_at().to_string(),
            "in_force": in_force.is_ok(),
            "days_left": term.days_left(now),
            "warning_days": term.warning_days(now),
        }))?;
    } else {
        terminal.line(&format!(
            "{} version {}: {}",
            document.id(),
            document.version(),
            document.title()
        ))?;
        terminal.line(&match &signers {
            Some(signers) => format!("signed by {}, verified", signers.join(" and ")),
            None => "signatures not verified: the profile has not both authorities' keys".into(),
        })?;
        terminal.line(&format!(
            "from {} to {}, {} clauses",
            instant_words(term.effective_at()),
            instant_words(term.expires_at()),
            document.clauses().len()
        ))?;
    }
    if let Err(why) = in_force {
        return Err(failed("the agreement is not in force").because(&why));
    }
    if !terminal.is_json() {
        terminal.line(&format!("in force, {} days left", term.days_left(now)))?;
    }
    if let Some(days) = term.warning_days(now) {
        terminal.note(&format!("warning: it ends within {days} days"));
    }
    Ok(Exit::Ok)
}

/// The authorities' keys of the profile; none where there is no profile.
fn authority_keys(whom: &Whom) -> Result<Vec<VerifierKey>, Failure> {
    let Ok(profile) = whom::profile(whom) else {
        return Ok(Vec::new());
    };
    let Some(section) = profile.profile.agreement else {
        return Ok(Vec::new());
    };
    let keys = section.authority_vkeys.iter();
    keys.map(|key| VerifierKey::parse(key))
        .collect::<Result<_, _>>()
        .map_err(|error| Failure::new(Exit::Failure, "an authority's key").because(&error))
}
