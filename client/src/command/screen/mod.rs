//! `accord screen`.

mod columns;
mod input;
mod output;
mod own;
mod plan;

use std::{
    io::IsTerminal as _,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use accord_proto::clock::SystemClock;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use jiff::tz::TimeZone;
use serde_json::json;

use self::{
    input::{Input, InputLine},
    output::Output,
    plan::Plan,
};
use super::{
    args::{self, Whom},
    exit::{Exit, Failure},
    lookup::{exit_of, purpose},
    signals::Asking,
    terminal::Terminal,
    whom,
};
use crate::{LineError, Lookup, Scope, Screened};

/// Results between two flushes of the output.
const FLUSH_EVERY: u64 = 256;

/// What became of the lines.
#[derive(Debug, Default)]
struct Tally {
    answered: u64,
    unanswered: u64,
    refused: u64,
    mistrusted: u64,
}

/// Asks about every number of a file.
pub(super) async fn run(
    whom: &Whom,
    args: &args::Screen,
    terminal: &mut Terminal,
) -> Result<Exit, Failure> {
    let profile = whom::profile(whom)?;
    let party = whom::bank(&profile, whom)?;
    let purpose = purpose(&args.ask, party)?;
    let asking = Asking::of(&args.ask)?;
    let clock = SystemClock::shared();
    Plan::check(&args.ask, &asking, purpose, &clock)?;
    let today = clock.now().to_zoned(TimeZone::UTC).date();
    let input = Input::open(&args.file, today)?;
    let plan = Plan::new(&party.spiffe_id, &args.ask, asking, purpose, &input)?;
    let path = args.output.clone().unwrap_or_else(|| beside(&args.file));
    let mut output = Output::open(&path, &input, &plan)?;
    whom::announce(
        terminal,
        party,
        &format!(
            "purpose {purpose}, {} numbers, {} answered before, into {}",
            input.count,
            output.done_count(),
            path.display()
        ),
    );
    let client = profile.client(party)?;
    let mut scope = Scope::new([purpose]);
    if let Some(principal) = &args.ask.on_behalf_of {
        scope = scope.on_behalf_of(principal);
    }
    let bar = progress_bar(input.count, output.done_count());
    let mistake = Arc::new(Mutex::new(None));
    let lines = lines(&input, &output, plan, Arc::clone(&mistake))?;
    let mut results = client.screen(scope, tokio_stream::iter(lines));
    let mut tally = Tally::default();
    let ended = take(&mut results, &mut output, &mut tally, &bar).await;
    output.flush()?;
    bar.finish_and_clear();
    ended?;
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

/// The lines that have no answer yet, read as they are needed.
fn lines(
    input: &Input,
    output: &Output,
    plan: Plan,
    mistake: Arc<Mutex<Option<Failure>>>,
) -> Result<impl Iterator<Item = (InputLine, Lookup)> + Send + 'static, Failure> {
    let done = output.done();
    let lines = input.lines()?.filter(move |line| match line {
        Ok(line) => !done.holds(line.number),
        Err(_) => true,
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
    results: &mut crate::Screening<InputLine>,
    output: &mut Output,
    tally: &mut Tally,
    bar: &ProgressBar,
) -> Result<(), Failure> {
    let mut since_flush = 0;
    // One for the whole screening: a signal that comes between two of them would be lost.
    let mut stopped = std::pin::pin!(tokio::signal::ctrl_c());
    loop {
        let next = tokio::select! {
            biased;
            _ = &mut stopped => {
                return Err(Failure::new(Exit::Failure, "stopped")
                    .hint("the same command goes on from here"));
            }
            next = results.next() => next,
        };
        let Some(screened) = next else {
            return Ok(());
        };
        let screened: Screened<InputLine> = screened?;
        output.write(&screened)?;
        tally.count(&screened);
        bar.inc(1);
        since_flush += 1;
        if since_flush >= FLUSH_EVERY {
            output.flush()?;
            since_flush = 0;
        }
    }
}

impl Tally {
    const fn add(counter: &mut u64) {
        *counter += 1;
    }

    fn count(&mut self, screened: &Screened<InputLine>) {
        match &screened.outcome {
            Ok(answered) if exit_of(answered) == Exit::Ok => Self::add(&mut self.answered),
            Ok(_) => Self::add(&mut self.unanswered),
            Err(LineError::Refused(_)) => Self::add(&mut self.refused),
            Err(LineError::Mistrusted(_)) => Self::add(&mut self.mistrusted),
        }
    }
}

fn report(tally: &Tally, path: &Path, terminal: &mut Terminal) -> Result<Exit, Failure> {
    if terminal.is_json() {
        terminal.json(&json!({
            "output": path.display().to_string(),
            "answered": tally.answered,
            "partly_answered": tally.unanswered,
            "refused": tally.refused,
            "not_believed": tally.mistrusted,
        }))?;
    } else {
        terminal.line(&format!(
            "{} answered, {} with at least one signal without a value, {} refused, {} not believed",
            tally.answered, tally.unanswered, tally.refused, tally.mistrusted
        ))?;
    }
    Ok(if tally.mistrusted > 0 {
        Exit::Failure
    } else if tally.unanswered + tally.refused > 0 {
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
