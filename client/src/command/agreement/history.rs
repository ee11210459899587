//! `accord agreement history`: what the authorities did, each act held against the signature of its
//! author and against those before it.

use accord_proto::{
    agreement::{Act, Life},
    document::Authorities,
    v1::{PastAct, agreement_act::Kind},
    wire,
};
use serde_json::{Value as Json, json};

use super::{
    super::{
        args::Whom,
        exit::{Exit, Failure},
        terminal::{Cell, Terminal},
    },
    status::{authority_keys, document_json, document_line},
};
use crate::{Auditor, random::hex, words::Mood};

/// Shows every act.
pub(super) async fn run(
    whom: &Whom,
    auditor: &Auditor,
    terminal: &mut Terminal,
) -> Result<Exit, Failure> {
    let history = auditor.agreement_history().await?;
    let authorities = authorities(whom, auditor).await?;
    let mut life = Life::default();
    let checked: Vec<Result<(), String>> = history
        .acts
        .iter()
        .map(|past| match &authorities {
            Some(authorities) => check(past, authorities, &mut life),
            None => Ok(()),
        })
        .collect();
    let good = checked.iter().all(Result::is_ok);
    if terminal.is_json() {
        let acts = history.acts.iter().zip(&checked);
        let acts: Vec<Json> = acts.map(|(past, checked)| json(past, checked)).collect();
        terminal.json(&json!({
            "acts": acts,
            "verified": authorities.is_some() && good,
            "proposed": history.proposed.iter().map(document_json).collect::<Vec<_>>(),
            "waiting": history.waiting.iter().map(document_json).collect::<Vec<_>>(),
        }))?;
    } else {
        let rows: Vec<_> = history.acts.iter().map(row).collect();
        if !rows.is_empty() {
            let headings = ["entry", "time", "act", "who", "about", "why"];
            terminal.table(&headings, &rows)?;
        }
        for one in &history.proposed {
            terminal.line(&document_line("proposed", one))?;
        }
        for one in &history.waiting {
            terminal.line(&document_line("activated", one))?;
        }
        terminal.line(&match (&authorities, good) {
            (_, _) if rows.is_empty() => {
                "the authorities have not acted over this broker yet".into()
            }
            (Some(_), true) => format!(
                "{} acts: each bears its author's signature and follows from those before it",
                rows.len()
            ),
            (Some(_), false) => "the record is not what the authorities signed:".to_owned(),
            (None, _) => {
                "signatures not verified: the profile has not both authorities' keys".to_owned()
            }
        })?;
    }
    for (past, checked) in history.acts.iter().zip(&checked) {
        if let Err(why) = checked {
            terminal.note(&format!("entry {} of {}: {why}", past.index, past.origin));
        }
    }
    match good {
        true => Ok(Exit::Ok),
        false => Ok(Exit::Failure),
    }
}

/// The two keys, by the names of the agreement in force.
async fn authorities(whom: &Whom, auditor: &Auditor) -> Result<Option<Authorities>, Failure> {
    let keys = authority_keys(whom)?;
    if keys.len() < 2 {
        return Ok(None);
    }
    let note = auditor.agreement().await?.note;
    let document = super::diff::parse(&note, "the agreement in force")?;
    let find = |org: &str| keys.iter().find(|key| key.name() == org).cloned();
    let telecom = find(document.telecom_regulator().org().as_str());
    let central = find(document.central_bank().org().as_str());
    let (Some(telecom), Some(central)) = (telecom, central) else {
        return Ok(None);
    };
    Authorities::new(telecom, central)
        .map(Some)
        .map_err(|error| Failure::new(Exit::Failure, "the authorities' keys").because(&error))
}

/// What is on the record must be what its author signed, and possible at that place.
fn check(past: &PastAct, authorities: &Authorities, life: &mut Life) -> Result<(), String> {
    let recorded = past.act.as_ref().ok_or("it holds no act")?;
    let signed = Act::open(&recorded.note, authorities).map_err(|error| error.to_string())?;
    let act = &signed.act;
    let target = act.target.as_ref().map(ToString::to_string);
    let same = target.unwrap_or_default() == recorded.target
        && act.agreement == recorded.agreement
        && act.version == recorded.agreement_version
        && act.sha256.as_slice() == recorded.sha256
        && act.reason == recorded.detail
        && recorded
            .party
            .ends_with(&format!("/{}", authorities.key(signed.by).name()));
    if !same {
        return Err("the entry says something else than the note in it".to_owned());
    }
    life.replay(act, signed.by, recorded.kind())
        .map_err(|error| error.to_string())
}

fn word(kind: Kind) -> &'static str {
    match kind {
        Kind::Unspecified => "?",
        Kind::Proposed => "proposed",
        Kind::Signed => "signed",
        Kind::Activated => "activated",
        Kind::Suspended => "suspended",
        Kind::LiftAsked => "asked to lift",
        Kind::Lifted => "lifted",
        Kind::EndAsked => "asked to end",
        Kind::Ended => "ended",
    }
}

fn row(past: &PastAct) -> Vec<Cell> {
    let act = past.act.clone().unwrap_or_default();
    let mood = match act.kind() {
        Kind::Suspended | Kind::Ended => Mood::Alarm,
        Kind::Activated | Kind::Lifted => Mood::Calm,
        Kind::LiftAsked | Kind::EndAsked => Mood::Unknown,
        Kind::Unspecified | Kind::Proposed | Kind::Signed => Mood::Withheld,
    };
    let who = act.party.rsplit('/').next().unwrap_or_default();
    let about = match act.target.as_str() {
        "" => format!("{} version {}", act.agreement, act.agreement_version),
        target => target.to_owned(),
    };
    let time = past.time.as_ref().and_then(wire::parse_timestamp);
    vec![
        past.index.to_string().into(),
        time.map_or_else(String::new, |time| time.to_string())
            .into(),
        Cell::of_mood(word(act.kind()).to_owned(), mood),
        who.into(),
        about.into(),
        act.detail.as_str().into(),
    ]
}

fn json(past: &PastAct, checked: &Result<(), String>) -> Json {
    let act = past.act.clone().unwrap_or_default();
    let time = past.time.as_ref().and_then(wire::parse_timestamp);
    json!({
        "origin": past.origin,
        "index": past.index,
        "time": time.map(|time| time.to_string()),
        "act": word(act.kind()),
        "party": act.party,
        "target": act.target,
        "agreement": act.agreement,
        "agreement_version": act.agreement_version,
        "sha256": hex(&act.sha256),
        "reason": act.detail,
        "note": act.note,
        "wrong": checked.as_ref().err(),
    })
}
