//! `accord audit usage`.

use accord_proto::{v1, wire::timestamp};
use serde_json::json;

use super::{
    super::{
        args::{Stating, Whom},
        exit::{Exit, Failure},
        terminal::Terminal,
    },
    args,
    source::read,
};
use crate::{
    random::hex,
    usage::{Usage, UsageStatement},
};

pub(super) async fn run(
    whom: &Whom,
    stating: &Stating,
    args: &args::Usage,
    terminal: &mut Terminal,
) -> Result<Exit, Failure> {
    let (from, until) = args.period().ok_or_else(|| {
        Failure::new(Exit::Usage, "which month?")
            .hint("say --month 2026-11, or --from TIME --until TIME")
    })?;
    let mut usage = Usage::of(from, until);
    let filter = v1::Filter {
        from: Some(timestamp(from)),
        until: Some(timestamp(until)),
        kind: "access".to_owned(),
        ..v1::Filter::default()
    };
    let mut take = |entry| {
        usage
            .take(&entry)
            .map_err(|error| Failure::new(Exit::Failure, "can't be counted").because(&error))
    };
    read(&args.source, whom, stating, filter, terminal, &mut take).await?;
    let mut statements = usage.finish();
    let is = |named: &Option<String>, name: &str| named.as_ref().is_none_or(|one| one == name);
    statements.retain(|one| is(&args.bank, &one.bank) && is(&args.operator, &one.operator));
    let named = args.bank.is_some() || args.operator.is_some();
    if named && statements.is_empty() {
        let message = "there is no access between these two in this period";
        return Err(Failure::new(Exit::Failure, message)
            .hint("`accord audit usage` without --bank and --operator shows the pairs there are"));
    }
    if terminal.is_json() {
        for one in &statements {
            terminal.json(&json!({
                "bank": one.bank,
                "operator": one.operator,
                "accesses": one.accesses,
                "answered": one.answered,
                "statement": one.text,
                "sha256": hex(&one.sha256),
            }))?;
        }
        return Ok(Exit::Ok);
    }
    match (statements.as_slice(), named) {
        // Nothing but the text, so that what is piped into a file has the hash that is told.
        ([one], true) => {
            terminal.raw(one.text.as_bytes())?;
            terminal.flush()?;
            terminal.note(&format!("SHA-256 {}", hex(&one.sha256)));
        }
        (all, _) => {
            let rows: Vec<_> = all.iter().map(row).collect();
            let headings = [
                "bank",
                "operator",
                "accesses",
                "billable",
                "statement (SHA-256)",
            ];
            terminal.table(&headings, &rows)?;
            terminal.note("the text of a statement: --bank and --operator; all: --json");
        }
    }
    Ok(Exit::Ok)
}

fn row(one: &UsageStatement) -> Vec<super::super::terminal::Cell> {
    vec![
        one.bank.clone().into(),
        one.operator.clone().into(),
        one.accesses.to_string().into(),
        one.answered.to_string().into(),
        hex(&one.sha256).into(),
    ]
}
