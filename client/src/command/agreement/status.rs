//! `accord agreement status`: what is in force, what is suspended, and what is to come.

use std::path::Path;

use accord_proto::{
    agreement::{AgreementDocument, NotInForce, SignedAgreement},
    c2sp::{SignedNote, VerifierKey},
    clock::SystemClock,
    document::Authorities,
    party::Role,
    v1::{ProposedDocument, Suspended},
    wire,
};
use jiff::Timestamp;
use serde_json::{Value as Json, json};

use super::super::{
    args::Whom,
    exit::{Exit, Failure},
    signing,
    terminal::Terminal,
    whom,
};
use crate::{AgreementHistory, Auditor, random::hex, words::instant_words};

/// Where the agreement in force stands; of a file nobody knows.
#[derive(Default)]
struct Stands {
    suspended: Vec<Suspended>,
    ended: Option<Timestamp>,
    proposed: Vec<ProposedDocument>,
    waiting: Vec<ProposedDocument>,
}

impl Stands {
    /// Why it allows nothing, whatever its term.
    fn check(&self, term: Result<(), NotInForce>) -> Result<(), String> {
        if let Some(ended) = self.ended {
            return Err(format!("both authorities ended it on {ended}"));
        }
        if let Some(all) = self.suspended.iter().find(|one| one.target == "all") {
            return Err(format!("it is suspended by {}", all.by.join(" and ")));
        }
        term.map_err(|error| error.to_string())
    }

    fn lines(&self, terminal: &mut Terminal) -> Result<(), Failure> {
        for one in &self.suspended {
            let since = one.since.as_ref().and_then(wire::parse_timestamp);
            let since = since.map_or_else(String::new, |since| format!(" since {since}"));
            let reason = match one.reason.as_str() {
                "" => String::new(),
                reason => format!(": {reason}"),
            };
            let asked = match one.lift_asked_by.as_str() {
                "" => String::new(),
                by => format!(" ({by} has asked to lift it)"),
            };
            let by = one.by.join(" and ");
            terminal.line(&format!(
                "suspended: {}, by {by}{since}{reason}{asked}",
                one.target
            ))?;
        }
        let all = [("proposed", &self.proposed), ("activated", &self.waiting)];
        for (what, documents) in all {
            for one in documents {
                terminal.line(&document_line(what, one))?;
            }
        }
        Ok(())
    }
}

/// One document that is not in force, in a line.
pub(super) fn document_line(what: &str, document: &ProposedDocument) -> String {
    let effective = document.effective.as_ref().and_then(wire::parse_timestamp);
    let from = effective.map_or_else(String::new, |from| format!(", to be in force from {from}"));
    format!(
        "{what}: {} version {}, signed by {}{from}, sha256 {}",
        document.agreement,
        document.version,
        document.signed_by.join(" and "),
        hex(&document.sha256)
    )
}

/// The same for programs.
pub(super) fn document_json(document: &ProposedDocument) -> Json {
    let effective = document.effective.as_ref().and_then(wire::parse_timestamp);
    json!({
        "agreement": document.agreement,
        "version": document.version,
        "sha256": hex(&document.sha256),
        "signed_by": document.signed_by,
        "effective": effective.map(|at| at.to_string()),
    })
}

fn suspended_json(suspended: &Suspended) -> Json {
    let since = suspended.since.as_ref().and_then(wire::parse_timestamp);
    json!({
        "target": suspended.target,
        "by": suspended.by,
        "since": since.map(|at| at.to_string()),
        "reason": suspended.reason,
        "lift_asked_by": suspended.lift_asked_by,
    })
}

/// Of a file.
pub(super) fn of_file(whom: &Whom, file: &Path, terminal: &mut Terminal) -> Result<Exit, Failure> {
    let note = signing::read(file)?;
    status(&note, &authority_keys(whom)?, &Stands::default(), terminal)
}

/// Of the broker; what is to come is told to authorities.
pub(super) async fn of_broker(
    whom: &Whom,
    auditor: &Auditor,
    terminal: &mut Terminal,
) -> Result<Exit, Failure> {
    let agreement = auditor.agreement().await?;
    let history = match auditor.party().role() {
        Role::Authority => auditor.agreement_history().await?,
        Role::Bank | Role::Broker | Role::Operator => AgreementHistory::default(),
    };
    let stands = Stands {
        suspended: agreement.suspended,
        ended: agreement.ended,
        proposed: history.proposed,
        waiting: history.waiting,
    };
    status(&agreement.note, &authority_keys(whom)?, &stands, terminal)
}

fn status(
    note: &str,
    keys: &[VerifierKey],
    stands: &Stands,
    terminal: &mut Terminal,
) -> Result<Exit, Failure> {
    let failed = |text: &str| Failure::new(Exit::Failure, text);
    let parsed =
        SignedNote::parse(note).map_err(|error| failed("it is not signed").because(&error))?;
    let document = AgreementDocument::parse(parsed.text())
        .map_err(|error| failed("the agreement has mistakes").because(&error))?;
    let signers = verified_signers(note, &document, keys)?;
    let now = SystemClock::shared().now();
    let term = document.term();
    let in_force = stands.check(term.check_in_force(now));
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
            "suspended": stands.suspended.iter().map(suspended_json).collect::<Vec<_>>(),
            "ended": stands.ended.map(|at| at.to_string()),
            "proposed": stands.proposed.iter().map(document_json).collect::<Vec<_>>(),
            "waiting": stands.waiting.iter().map(document_json).collect::<Vec<_>>(),
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
    if !terminal.is_json() {
        stands.lines(terminal)?;
    }
    if let Err(why) = in_force {
        return Err(failed(&format!("the agreement is not in force: {why}")));
    }
    if !terminal.is_json() {
        terminal.line(&format!("in force, {} days left", term.days_left(now)))?;
    }
    if let Some(days) = term.warning_days(now) {
        terminal.note(&format!("warning: it ends within {days} days"));
    }
    Ok(Exit::Ok)
}

/// Who signed, where both authorities' keys are known.
fn verified_signers(
    note: &str,
    document: &AgreementDocument,
    keys: &[VerifierKey],
) -> Result<Option<Vec<String>>, Failure> {
    let failed = |text: &str| Failure::new(Exit::Failure, text);
    let find = |org: &str| keys.iter().find(|key| key.name() == org).cloned();
    let pair = (
        find(document.telecom_regulator().org().as_str()),
        find(document.central_bank().org().as_str()),
    );
    Ok(match pair {
        (Some(telecom), Some(bank)) => {
            let authorities = Authorities::new(telecom, bank)
                .map_err(|error| failed("the authorities' keys").because(&error))?;
            let signed = SignedAgreement::open(note, &authorities, None)
                .map_err(|error| failed("the signatures do not hold").because(&error))?;
            Some(signed.signers().to_vec())
        }
        (_, None) | (None, _) => None,
    })
}

/// The authorities' keys of the profile; none where there is no profile.
pub(in crate::command) fn authority_keys(whom: &Whom) -> Result<Vec<VerifierKey>, Failure> {
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
