//! `accord audit unmask` and `accord audit find`: offline, with both authorities' halves.

use std::{
    collections::HashSet,
    fs::{File, OpenOptions},
    io::Write as _,
    path::PathBuf,
};

use accord_proto::{
    shares::{OpenedShare, SealedShare, combine},
    subject::{SubjectTag, TagKey},
};
use serde_json::json;

use super::{
    args::{FindArgs, Halves, UnmaskArgs},
    msisdn,
    report::{HEADINGS, outcomes, purpose, row},
};
use crate::{
    command::{
        args::Whom,
        exit::{Exit, Failure},
        signing,
        terminal::Terminal,
        trusted,
    },
    entry_view,
    receipt::chain,
    unmask::{self, Plan, TAGS_MAX, about},
};

/// The terminal itself: a number goes there and nowhere else, wherever the output goes.
const TTY: &str = "/dev/tty";

/// `accord audit unmask`.
pub(super) fn unmask(args: &UnmaskArgs, terminal: &mut Terminal) -> Result<Exit, Failure> {
    let plans = args.plans.iter().map(|text| {
        Plan::parse(text).map_err(|error| Failure::new(Exit::Usage, "--plan").because(&error))
    });
    let plans = plans.collect::<Result<Vec<_>, _>>()?;
    let tags = args.tags.iter().map(|text| tag(text));
    let tags = tags.collect::<Result<HashSet<_>, _>>()?;
    if tags.len() > TAGS_MAX {
        let message = format!("--tag: at most {TAGS_MAX} at once");
        return Err(Failure::new(Exit::Usage, message));
    }
    let mut screen = screen()?;
    let key = key(&args.halves)?;
    let tried: u64 = plans.iter().map(Plan::len).sum();
    terminal.note(&format!("trying {tried} numbers for {}", key.month()));
    let found = unmask::unmask(&key, &plans, &tags);
    for (tag, number) in &found {
        writeln!(
            screen,
            "{}  {}",
            accord_proto::hex::encode(&tag.0),
            number.expose()
        )?;
    }
    let (count, of) = (found.len(), tags.len());
    if terminal.is_json() {
        terminal.json(&json!({"found": count, "tags": of, "month": key.month().to_string()}))?;
    } else {
        terminal.line(&format!(
            "{count} of {of} tags of {} have a number in the plan, shown on the terminal only",
            key.month()
        ))?;
    }
    match count == of {
        true => Ok(Exit::Ok),
        false => Ok(Exit::Unanswered),
    }
}

/// The terminal of whoever unmasks.
fn screen() -> Result<File, Failure> {
    OpenOptions::new().write(true).open(TTY).map_err(|error| {
        Failure::new(
            Exit::Usage,
            "numbers are shown on a terminal, and there is none",
        )
        .because(&error)
        .hint("run it in a terminal; a number must not end in a file or a log")
    })
}

/// `accord audit find`.
pub(super) fn find(whom: &Whom, args: &FindArgs, terminal: &mut Terminal) -> Result<Exit, Failure> {
    let number = msisdn(&args.number)?;
    let dir = trusted::ledger_dir(whom, args.dir.as_deref())?;
    let keys = trusted::log_keys(whom, &[])?;
    trusted::announce(terminal, &format!("searching {}", dir.display()), &keys);
    let key = key(&args.halves)?;
    let month = key.month();
    let found = unmask::find(&dir, &keys, month, key.subject(&number))
        .map_err(|error| Failure::new(Exit::Failure, chain(&error)))?;
    let found = found
        .iter()
        .filter_map(|entry| Some((entry, about(entry)?)));
    if terminal.is_json() {
        let accesses: Vec<_> = found
            .map(|(entry, access)| {
                json!({
                    "date": entry_view::time(entry),
                    "organisation": access.bank,
                    "on_behalf_of": (!access.on_behalf_of.is_empty()).then_some(&access.on_behalf_of),
                    "purpose": purpose(access),
                    "signals": outcomes(access),
                    "origin": entry.origin,
                    "index": entry.index,
                })
            })
            .collect();
        terminal.json(&json!({"month": month.to_string(), "accesses": accesses}))?;
        return Ok(Exit::Ok);
    }
    let rows: Vec<_> = found.map(|(entry, access)| row(entry, access)).collect();
    terminal.table(&HEADINGS, &rows)?;
    let count = rows.len();
    let line = format!("{count} accesses in {month}, whoever held the number; the ledger verifies");
    terminal.line(&line)?;
    Ok(Exit::Ok)
}

/// The month's key, of both halves.
fn key(halves: &Halves) -> Result<TagKey, Failure> {
    let [one, other] = halves.shares.as_slice() else {
        let message = format!(
            "--share: two halves are needed, and {} given",
            halves.shares.len()
        );
        return Err(Failure::new(Exit::Usage, message)
            .hint("your own (`accord audit share --own`) and the other authority's"));
    };
    let secret = signing::share_secret(&halves.share_key)?;
    let open = |file: &PathBuf| -> Result<OpenedShare, Failure> {
        let failed = |error: &dyn std::error::Error| {
            Failure::new(Exit::Failure, format!("`{}`", file.display())).because(error)
        };
        let share = SealedShare::parse(&signing::read(file)?).map_err(|error| failed(&error))?;
        share.open(&secret).map_err(|error| failed(&error))
    };
    let (one, other) = (open(one)?, open(other)?);
    combine(&one, &other)
        .map_err(|error| Failure::new(Exit::Failure, "the two halves").because(&error))
}

fn tag(text: &str) -> Result<SubjectTag, Failure> {
    let mut tag = [0; 16];
    let digits: Vec<u8> = text
        .chars()
        .filter_map(|digit| digit.to_digit(16))
        .filter_map(|digit| u8::try_from(digit).ok())
        .collect();
    if text.len() != 32 || digits.len() != 32 {
        let message = format!("--tag `{text}`: a tag has 32 hexadecimal digits");
        return Err(Failure::new(Exit::Usage, message));
    }
    for (byte, pair) in tag.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = pair.iter().fold(0, |byte, digit| (byte << 4) | digit);
    }
    Ok(SubjectTag(tag))
}
