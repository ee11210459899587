//! `accord audit months`: what became of each month's key, what the authorities asked, and one's own
//! halves, to be kept.

mod verify;

use std::{fs, path::Path};

use accord_proto::{
    subject::Month,
    v1::{self, key_month::State},
};
use serde_json::{Value as Json, json};

use super::args::MonthsArgs;
use crate::{
    Auditor,
    command::{
        args::{Stating, Whom},
        audit::auditor,
        exit::{Exit, Failure},
        signing,
        terminal::Terminal,
    },
};

pub(super) async fn run(
    whom: &Whom,
    stating: &Stating,
    args: &MonthsArgs,
    terminal: &mut Terminal,
) -> Result<Exit, Failure> {
    if args.verify {
        return verify::run(whom, stating, args.dir.as_deref(), terminal).await;
    }
    let auditor = auditor(whom, terminal, "the months' keys")?;
    match &args.fetch {
        Some(dir) => fetch(&auditor, dir, terminal).await,
        None => months(&auditor, terminal).await,
    }
}

async fn months(auditor: &Auditor, terminal: &mut Terminal) -> Result<Exit, Failure> {
    let months = auditor.key_months().await?;
    if terminal.is_json() {
        let months: Vec<_> = months.iter().map(month_json).collect();
        terminal.json(&json!({ "months": months }))?;
        return Ok(Exit::Ok);
    }
    let rows: Vec<_> = months
        .iter()
        .map(|month| {
            vec![
                month.month.clone().into(),
                state_words(month.state()).into(),
                org(&month.hold_by).to_owned().into(),
                asked_words(month).into(),
            ]
        })
        .collect();
    terminal.table(&["month", "key", "legal hold by", "asked for"], &rows)?;
    Ok(Exit::Ok)
}

/// Fetches the half of each month that was split and is not in the directory yet.
async fn fetch(auditor: &Auditor, dir: &Path, terminal: &mut Terminal) -> Result<Exit, Failure> {
    fs::create_dir_all(dir).map_err(|error| {
        let message = format!("can't make `{}`", dir.display());
        Failure::new(Exit::Failure, message).because(&error)
    })?;
    let own = auditor.party().org().as_str();
    let (mut fetched, mut lost) = (Vec::new(), Vec::new());
    for found in auditor.key_months().await? {
        let file = dir.join(format!("{}-{own}.share", found.month));
        let month = Month::parse(&found.month).filter(|_| !file.exists());
        let Some(month) = month else { continue };
        match found.state() {
            State::Split => {
                let share = auditor.own_share(month).await?;
                let facts = share.facts();
                if facts.month != month || facts.half != own {
                    let message = format!("the broker gave another half than that of {own}");
                    return Err(Failure::new(Exit::Failure, message));
                }
                signing::write_new(&file, &share.to_string())?;
                fetched.push((found.month, file.display().to_string()));
            }
            State::Lost => lost.push(found.month),
            State::Held | State::Shredded | State::Unspecified => {}
        }
    }
    if terminal.is_json() {
        let files: Vec<_> = fetched.iter().map(|(_, file)| file).collect();
        terminal.json(&json!({"fetched": files, "lost": lost}))?;
    } else {
        for (month, file) in &fetched {
            terminal.line(&format!(
                "{file}: the half of {own} for {month}, to be kept"
            ))?;
        }
        terminal.line(&format!(
            "{} halves fetched; each stands on the record",
            fetched.len()
        ))?;
    }
    if lost.is_empty() {
        return Ok(Exit::Ok);
    }
    let message = format!("lost on the broker's disk: {}", lost.join(", "));
    Err(Failure::new(Exit::Failure, message)
        .hint("give its operator the halves that both authorities kept: docs/subjects-and-keys.md"))
}

const fn state_words(state: State) -> &'static str {
    match state {
        State::Held => "held by the broker",
        State::Split => "split between the authorities",
        State::Shredded => "destroyed",
        State::Lost => "lost: its halves are not on the broker's disk",
        State::Unspecified => "unknown",
    }
}

/// The organisation of a SPIFFE id.
pub(super) fn org(id: &str) -> &str {
    id.rsplit('/').next().unwrap_or_default()
}

fn asked_words(month: &v1::KeyMonth) -> String {
    let asked = |what: &str, by: &[String]| {
        let by: Vec<_> = by.iter().map(|id| org(id)).collect();
        (!by.is_empty()).then(|| format!("{what} by {}", by.join(" and ")))
    };
    let asked = [
        asked("lifting", &month.lift_asked_by),
        asked("shredding", &month.shred_asked_by),
    ];
    asked.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

pub(super) fn month_json(month: &v1::KeyMonth) -> Json {
    json!({
        "month": month.month,
        "state": match month.state() {
            State::Held => "held",
            State::Split => "split",
            State::Shredded => "shredded",
            State::Lost => "lost",
            State::Unspecified => "unknown",
        },
        "hold_by": (!month.hold_by.is_empty()).then_some(&month.hold_by),
        "lift_asked_by": month.lift_asked_by,
        "shred_asked_by": month.shred_asked_by,
    })
}
