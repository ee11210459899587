//! `accord audit report`.

use std::{io::Write as _, path::Path};

use accord_proto::{v1, wire::timestamp};
use aws_lc_rs::digest::{SHA256, digest};
use serde_json::json;

use super::{
    super::{
        args::{Stating, Whom},
        audit,
        exit::{Exit, Failure},
        terminal::Terminal,
        whom,
    },
    args,
    export::{begin, footer, unwritten},
    source::read,
};
use crate::{
    Auditor,
    profile::ProfileRole,
    random::hex,
    report::{Compared, Report, Tally, count_words, duration_words, html, p_words, percent_words},
};

pub(super) async fn run(
    whom: &Whom,
    stating: &Stating,
    args: &args::Report,
    terminal: &mut Terminal,
) -> Result<Exit, Failure> {
    let files = [args.html.as_deref(), args.output.as_deref()];
    // Before anything is read: a file in the way is a mistake of the command line.
    for place in files.into_iter().flatten() {
        drop(begin(place)?);
    }
    let (from, until) = (args.from.map(|at| at.0), args.until.map(|at| at.0));
    let mut tally = Tally::of(from, until);
    let filter = v1::Filter {
        from: from.map(timestamp),
        until: until.map(timestamp),
        ..v1::Filter::default()
    };
    let mut take = |entry| {
        tally.take(&entry);
        Ok(())
    };
    let reader = read(&args.source, whom, stating, filter, terminal, &mut take).await?;
    let mut report = for_audience(tally.finish(), args.audience.as_deref(), whom)?;
    report.sight = sight(&args.source, reader.as_ref());
    if files.iter().any(Option::is_some) {
        // What was read offline is recorded too, when a broker is there.
        let auditor = match reader {
            Some(auditor) => (auditor, true),
            None => (
                audit::reader(whom, stating, terminal, "the report's hash")?,
                false,
            ),
        };
        write_files(&report, args, &auditor, terminal).await?;
    }
    if terminal.is_json() {
        terminal.json(&json!(report))?;
    } else {
        show(&report, terminal)?;
    }
    Ok(Exit::Ok)
}

/// Which entries could be seen.
fn sight(source: &args::Source, reader: Option<&Auditor>) -> String {
    match (reader, &source.dir) {
        (Some(reader), _) => {
            let joint = reader
                .statement()
                .is_some_and(|said| said.joint().is_some());
            match joint {
                true => "the whole record, by a statement of both authorities".to_owned(),
                false => format!("what {} may read", reader.party()),
            }
        }
        (None, Some(_)) => "the whole record, from a copy".to_owned(),
        (None, None) => "the entries of an export".to_owned(),
    }
}

/// A party other than an authority gets a report for itself, whatever it asks for.
fn for_audience(report: Report, named: Option<&str>, whom: &Whom) -> Result<Report, Failure> {
    let own = match named {
        Some(_) => None,
        None => whom::profile_if_any(whom)?.and_then(|profile| {
            let party = whom::party(&profile, whom, &[ProfileRole::Authority]).ok()?;
            (party.role != ProfileRole::Authority).then(|| party.name.clone())
        }),
    };
    let Some(party) = named.map(str::to_owned).or(own) else {
        return Ok(report);
    };
    report.for_party(&party).ok_or_else(|| {
        let message = format!("nothing of `{party}` was counted in this period");
        Failure::new(Exit::Failure, message).hint("--audience names a bank or an operator")
    })
}

async fn write_files(
    report: &Report,
    args: &args::Report,
    (auditor, online): &(Auditor, bool),
    terminal: &Terminal,
) -> Result<(), Failure> {
    let footer = footer(auditor);
    if let Some(place) = &args.html {
        let page = html(report, &footer);
        put(
            "report-html",
            place,
            page.as_bytes(),
            report,
            auditor,
            *online,
            terminal,
        )
        .await?;
    }
    if let Some(place) = &args.output {
        let mut text = json!({"report": report, "footer": footer}).to_string();
        text.push('\n');
        put(
            "report-json",
            place,
            text.as_bytes(),
            report,
            auditor,
            *online,
            terminal,
        )
        .await?;
    }
    Ok(())
}

/// Puts a file's hash on the record, then the file into its place.
async fn put(
    format: &str,
    place: &Path,
    bytes: &[u8],
    report: &Report,
    auditor: &Auditor,
    online: bool,
    terminal: &Terminal,
) -> Result<(), Failure> {
    let mut file = begin(place)?;
    file.write_all(bytes)
        .map_err(|error| unwritten(place, &error))?;
    let mut sha256 = [0; 32];
    let hash = digest(&SHA256, bytes);
    sha256
        .iter_mut()
        .zip(hash.as_ref())
        .for_each(|(to, from)| *to = *from);
    let entries = report.period.entries.unwrap_or(0);
    let recorded = match auditor.record_export(format, &sha256, entries).await {
        Ok((origin, index)) => format!("on the record: {origin} entry {index}"),
        Err(error) if online => return Err(error.into()),
        // Read offline, and there is no broker to tell.
        Err(_) => "NOT on the record: no broker answered".to_owned(),
    };
    file.put_into_place()
        .map_err(|error| unwritten(place, &error))?;
    terminal.note(&format!(
        "{}: SHA-256 {}, {recorded}",
        place.display(),
        hex(&sha256)
    ));
    Ok(())
}

/// The report as tables.
fn show(report: &Report, terminal: &mut Terminal) -> Result<(), Failure> {
    let period = &report.period;
    let end = |asked: &Option<String>, found: &Option<String>| {
        asked
            .clone()
            .or_else(|| found.clone())
            .unwrap_or_else(|| "-".to_owned())
    };
    terminal.line(&format!(
        "{} entries of {}, from {} until {}, for {}; seen: {}",
        count_words(period.entries),
        match period.logs.as_slice() {
            [] => "no log".to_owned(),
            logs => logs.join(", "),
        },
        end(&period.from, &period.first),
        end(&period.until, &period.last),
        report.audience,
        report.sight
    ))?;
    show_banks(report, terminal)?;
    show_operators(report, terminal)?;
    let rows = report.reasons.iter().map(|row| {
        vec![
            row.reason.clone(),
            row.fault.to_owned(),
            count_words(row.signals),
        ]
    });
    section(
        "Signals without a value",
        &["reason", "whose", "signals"],
        rows,
        terminal,
    )?;
    for (title, what, rows) in [
        ("Calls refused as a whole", "reason", &report.refusals),
        ("Questions by purpose", "purpose", &report.purposes),
        ("Who read the ledger", "reader", &report.readers),
    ] {
        let rows = rows
            .iter()
            .map(|row| vec![row.name.clone(), count_words(row.count)]);
        section(title, &[what, "count"], rows, terminal)?;
    }
    for (title, rows) in [
        ("Suspensions and other acts on the agreement", &report.acts),
        ("Anomalies: signs to look, not findings", &report.anomalies),
        (
            "The broker: starts, stops, clock and witnesses",
            &report.operations,
        ),
    ] {
        let rows = rows
            .iter()
            .map(|one| vec![one.time.clone(), one.index.to_string(), one.what.clone()]);
        section(title, &["time", "entry", "what"], rows, terminal)?;
    }
    Ok(())
}

fn show_banks(report: &Report, terminal: &mut Terminal) -> Result<(), Failure> {
    let rows = report.banks.iter().map(|bank| {
        vec![
            bank.bank.clone(),
            count_words(bank.questions.answered),
            count_words(bank.questions.partly_answered),
            count_words(bank.questions.unanswered),
            count_words(bank.failed),
            count_words(bank.quota),
            count_words(bank.questions.refused),
            duration_words(bank.p50_us),
            duration_words(bank.p95_us),
        ]
    });
    let headings = [
        "bank",
        "answered",
        "partly",
        "unanswered",
        "failed",
        "quota",
        "refused",
        "p50",
        "p95",
    ];
    section("Banks", &headings, rows, terminal)?;
    let rows = report.fairness.iter().map(|one| {
        let longer = one.waits.and_then(|waits| waits.longer);
        vec![
            one.bank.clone(),
            longer.map_or_else(|| "-".to_owned(), percent_words),
            judged(one.waits),
            judged(one.failures),
        ]
    });
    let title = "Is a bank served unlike all others? (p corrected; `--html` says how)";
    let headings = ["bank", "waits longer", "its waits", "its failures"];
    section(title, &headings, rows, terminal)
}

fn judged(compared: Option<Compared>) -> String {
    compared.map_or_else(
        || "too few to tell".to_owned(),
        |one| format!("{}, p {}", one.verdict().words(), p_words(one.p_corrected)),
    )
}

fn show_operators(report: &Report, terminal: &mut Terminal) -> Result<(), Failure> {
    let share = |share: Option<f64>| share.map_or_else(|| "-".to_owned(), percent_words);
    let rows = report.operators.iter().map(|one| {
        vec![
            one.operator.clone(),
            count_words(one.answered),
            count_words(one.not_known),
            count_words(one.timeout),
            count_words(one.source_down),
            count_words(one.overloaded),
            share(one.failed_share),
            duration_words(one.p50_us),
            duration_words(one.p95_us),
            share(one.attached),
        ]
    });
    let headings = [
        "operator",
        "answered",
        "not known",
        "late",
        "down",
        "overloaded",
        "failed",
        "p50",
        "p95",
        "attached",
    ];
    section("Operators", &headings, rows, terminal)
}

fn section(
    title: &str,
    headings: &[&str],
    rows: impl Iterator<Item = Vec<String>>,
    terminal: &mut Terminal,
) -> Result<(), Failure> {
    let rows: Vec<Vec<_>> = rows
        .map(|row| row.into_iter().map(Into::into).collect())
        .collect();
    if rows.is_empty() {
        return Ok(());
    }
    terminal.line("")?;
    terminal.line(title)?;
    terminal.table(headings, &rows)?;
    Ok(())
}
