//! `accord audit months --verify`: each act on a month's key, held against the signature of its author
//! and against those before it.

use std::path::Path;

use accord_proto::{
    document::Authorities,
    shares::{KeyLife, KeyPlace},
    v1::{self, KeyAct, entry::Event, key_act::Kind},
};
use jiff::Timestamp;
use serde_json::{Value as Json, json};

use super::org;
use crate::{
    LedgerEntry,
    command::{
        agreement::status::authority_keys,
        args::{Stating, Whom},
        desk,
        exit::{Exit, Failure},
        terminal::{Cell, Terminal},
    },
    entry_view,
};

/// An act on the record, and what is wrong with it.
struct Checked {
    entry: LedgerEntry,
    act: KeyAct,
    wrong: Option<String>,
}

pub(super) async fn run(
    whom: &Whom,
    stating: &Stating,
    dir: Option<&Path>,
    terminal: &mut Terminal,
) -> Result<Exit, Failure> {
    let authorities = authorities(whom)?;
    let filter = v1::Filter {
        kind: "key_act".to_owned(),
        ..v1::Filter::default()
    };
    let mut life: Option<KeyLife> = None;
    let mut checked = Vec::new();
    let mut each = |entry: LedgerEntry| {
        let Some(Event::KeyAct(act)) = entry.entry.event.clone() else {
            return Ok(());
        };
        let name = entry.origin.rsplit_once('/').map_or("", |(name, _)| name);
        let life = life.get_or_insert_with(|| KeyLife::new(name, authorities.clone()));
        let place = KeyPlace {
            origin: entry.origin.clone(),
            index: entry.index,
        };
        let wrong = life.replay(&act, Some(time(&entry)), place).err();
        checked.push(Checked {
            wrong: wrong.map(|error| error.to_string()),
            entry,
            act,
        });
        Ok(())
    };
    desk::entries(whom, stating, (dir, filter), terminal, &mut each).await?;
    show(&checked, terminal)
}

fn show(checked: &[Checked], terminal: &mut Terminal) -> Result<Exit, Failure> {
    let good = checked.iter().all(|it| it.wrong.is_none());
    if terminal.is_json() {
        let acts: Vec<_> = checked.iter().map(json).collect();
        terminal.json(&json!({"acts": acts, "verified": good}))?;
    } else {
        let headings = ["entry", "time", "month", "act", "who", "case"];
        let rows: Vec<_> = checked.iter().map(row).collect();
        terminal.table(&headings, &rows)?;
        terminal.line(&match good {
            true => format!(
                "{} entries: what was asked bears its author's signature, once, and follows from \
                 what was before it",
                rows.len()
            ),
            false => "the record is not what the authorities signed:".to_owned(),
        })?;
    }
    for it in checked {
        if let Some(wrong) = &it.wrong {
            terminal.note(&format!(
                "entry {} of {}: {wrong}",
                it.entry.index, it.entry.origin
            ));
        }
    }
    match good {
        true => Ok(Exit::Ok),
        false => Ok(Exit::Failure),
    }
}

/// Both authorities' keys, of the profile: without them nothing can be held against a signature.
fn authorities(whom: &Whom) -> Result<Authorities, Failure> {
    let keys = authority_keys(whom)?;
    let [one, other] = keys.as_slice() else {
        let message = "the authorities' keys are not known here";
        return Err(Failure::new(Exit::Failure, message)
            .hint("name both in the profile: [agreement] authority_vkeys"));
    };
    Authorities::new(one.clone(), other.clone())
        .map_err(|error| Failure::new(Exit::Failure, "the authorities' keys").because(&error))
}

fn time(entry: &LedgerEntry) -> Timestamp {
    let ms = i64::try_from(entry.entry.time_unix_ms).unwrap_or(i64::MAX);
    Timestamp::from_millisecond(ms).unwrap_or(Timestamp::MAX)
}

const fn word(kind: Kind) -> &'static str {
    match kind {
        Kind::Unspecified => "?",
        Kind::Split => "split between the authorities",
        Kind::ShareGiven => "half given for a case",
        Kind::ShareKept => "half given to be kept",
        Kind::HoldSet => "legal hold set",
        Kind::HoldLiftAsked => "asked to lift the hold",
        Kind::HoldLifted => "legal hold lifted",
        Kind::ShredAsked => "asked to shred",
        Kind::Shredded => "shredded",
        Kind::SubjectReported => "report to a subject",
    }
}

fn row(of: &Checked) -> Vec<Cell> {
    vec![
        of.entry.index.to_string().into(),
        entry_view::time(&of.entry).into(),
        of.act.month.as_str().into(),
        word(of.act.kind()).into(),
        org(&of.act.party).into(),
        of.act.case.as_str().into(),
    ]
}

fn json(of: &Checked) -> Json {
    json!({
        "origin": of.entry.origin,
        "index": of.entry.index,
        "time": entry_view::time(&of.entry),
        "month": of.act.month,
        "act": word(of.act.kind()),
        "party": of.act.party,
        "case": of.act.case,
        "note": of.act.note,
        "wrong": of.wrong,
    })
}
