//! `accord screen`.

mod columns;
mod input;
mod output;
mod own;
mod plan;
mod progress;
mod record;
#[cfg(test)]
mod tests;

use std::{
    io::IsTerminal as _,
    path::{Path, PathBuf},
    pin::pin,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use accord_proto::clock::SystemClock;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::{Map, Value as Json};

use self::{
    input::{Input, InputLine},
    output::Output,
    plan::Plan,
    progress::{Ended, Standing, Tally},
};
use super::{
    args::{self, Whom},
    exit::{Exit, Failure},
    granted::{self, Granted},
    lookup::purpose,
    terminal::Terminal,
    whom,
};
use crate::{DEADLINE_MS, Lookup, Scope, Screened, Screening};

/// Results between two flushes of the output.
const FLUSH_EVERY: u64 = 256;

/// Asks about every number of a file.
pub(super) async fn run(
    whom: &Whom,
    args: &args::Screen,
    terminal: &mut Terminal,
) -> Result<Exit, Failure> {
    let profile = whom::profile(whom)?;
    let party = whom::bank(&profile, whom)?;
    let purpose = purpose(&args.ask, party)?;
    let clock = SystemClock::shared();
    Plan::check(&args.ask, purpose, &clock)?;
    let input = Input::open(&args.file, clock.now())?;
    let client = profile.client(party)?;
    let consents = input.has_consents();
    let deadline = Duration::from_millis(DEADLINE_MS);
    let (asking, granted) =
        granted::asking(client.auditor(), &args.ask, purpose, consents, deadline).await?;
    let words = asking.words();
    let plan = Plan::new(&party.spiffe_id, &args.ask, asking, purpose, &input)?;
    let path = args.output.clone().unwrap_or_else(|| beside(&args.file));
    let mut output = Output::open(&path, &input, &plan)?;
    let mut tally = output.progress().tally();
    let again = if args.retry_unanswered {
        tally.retry
    } else {
        0
    };
    whom::announce(
        terminal,
        party,
        &format!(
            "purpose {purpose}: {words}; {} numbers, {} answered before, {again} of them asked \
             again, into {}",
            input.count,
            tally.total(),
            path.display()
        ),
    );
    let mut scope = Scope::new([purpose]);
    if let Some(principal) = &args.ask.on_behalf_of {
        scope = scope.on_behalf_of(principal);
    }
    let bar = progress_bar(input.count, tally.total() - again);
    let mistake = Arc::new(Mutex::new(None));
    let lines = lines(
        &input,
        &output,
        plan,
        args.retry_unanswered,
        Arc::clone(&mistake),
    )?;
    let mut results = client.screen(scope, tokio_stream::iter(lines));
    let ended = take(
        &mut results,
        granted.as_ref(),
        &mut output,
        &mut tally,
        &bar,
    )
    .await;
    output.flush()?;
    bar.finish_and_clear();
    ended.map_err(|failure| failure.hint("the same command goes on from here"))?;
    let mistake = mistake
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .take();
    if let Some(mistake) = mistake {
        return Err(mistake);
    }
    report(&tally, &path, terminal)
}

/// `numbers.csv.answers.jsonl`.
fn beside(file: &Path) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(".answers.jsonl");
    PathBuf::from(name)
}

/// The lines that have no answer yet, read as they are needed; with `retry` also those whose
/// answer may be better now.
fn lines(
    input: &Input,
    output: &Output,
    plan: Plan,
    retry: bool,
    mistake: Arc<Mutex<Option<Failure>>>,
) -> Result<impl Iterator<Item = (InputLine, Lookup)> + Send + 'static, Failure> {
    let progress = output.progress();
    let lines = input.lines()?.filter_map(move |line| {
        let due = |line: InputLine| {
            let attempt = progress.attempt(line.number, retry)?;
            Some(InputLine { attempt, ..line })
        };
        line.map(due).transpose()
    });
    // The file was read before; only one that changed meanwhile has a mistake.
    let stop = move |failure| {
        *mistake.lock().unwrap_or_else(PoisonError::into_inner) = Some(failure);
    };
    Ok(lines.map_while(move |line| {
        let lookup = line.and_then(|line| Ok((plan.lookup(&line)?, line)));
        let (lookup, line) = lookup.map_err(&stop).ok()?;
        Some((line, lookup))
    }))
}

async fn take(
    results: &mut Screening<InputLine>,
    granted: Option<&Granted>,
    output: &mut Output,
    tally: &mut Tally,
    bar: &ProgressBar,
) -> Result<(), Failure> {
    let mut since_flush = 0;
    let before = output.progress();
    // One for all the time: a signal that comes between two of them would be lost.
    let mut stopped = pin!(tokio::signal::ctrl_c());
    loop {
        let next = tokio::select! {
            biased;
            _ = &mut stopped => return Err(Failure::new(Exit::Failure, "stopped")),
            next = results.next() => next,
        };
        let Some(screened) = next else {
            return Ok(());
        };
        let mut screened: Screened<InputLine> = screened?;
        if let (Some(granted), Ok(answered)) = (granted, &mut screened.outcome) {
            granted.name_windows(&mut answered.answer);
        }
        let standing = Standing::of(&screened);
        output.write(&screened, standing)?;
        tally.replace(before.of(screened.tag.number), standing);
        bar.inc(1);
        since_flush += 1;
        if since_flush >= FLUSH_EVERY {
            output.flush()?;
            since_flush = 0;
        }
    }
}

/// Tells what the whole output says, the lines of earlier runs among them.
fn report(tally: &Tally, path: &Path, terminal: &mut Terminal) -> Result<Exit, Failure> {
    if terminal.is_json() {
        let mut report = Map::new();
        report.insert("output".to_owned(), path.display().to_string().into());
        for ended in Ended::ALL {
            report.insert(ended.name().to_owned(), tally.of(ended).into());
        }
        report.insert("retry".to_owned(), tally.retry.into());
        report.insert("earlier".to_owned(), tally.earlier.into());
        terminal.json(&Json::Object(report))?;
    } else {
        let ended = Ended::ALL.map(|ended| {
            let words = ended.name().replace('_', " ");
            format!("{} {words}", tally.of(ended))
        });
        terminal.line(&format!(
            "{}; {} of these lines in an earlier run",
            ended.join(", "),
            tally.earlier
        ))?;
        terminal.line(&format!("answers: {}", path.display()))?;
    }
    if tally.retry > 0 {
        terminal.note(&format!(
            "{} lines may have a value when they are asked again: --retry-unanswered",
            tally.retry
        ));
    }
    Ok(if tally.of(Ended::NotBelieved) > 0 {
        Exit::Failure
    } else if tally.of(Ended::Answered) < tally.total() {
        Exit::Unanswered
    } else {
        Exit::Ok
    })
}

/// A bar on standard error, where a person looks.
fn progress_bar(count: u64, done: u64) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::with_draw_target(Some(count), ProgressDrawTarget::stderr_with_hz(10));
    let template = "{bar:40} {human_pos}/{human_len}  {per_sec}  {eta} left";
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar.set_position(done);
    bar.reset_eta();
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}
