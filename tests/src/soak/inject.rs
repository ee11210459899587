//! The system fails the ledger: `strace` makes one call after another fail with EIO or ENOSPC, or
//! kills the process there, while entries are appended, a month turns, and a start takes over what a
//! killed process left.
//!
//! `strace` counts the calls of each thread. Which call was hit is read from its trace, so a row
//! counts what happened and not what was meant to.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use jiff::Timestamp;

use super::{
    Progress, SoakError,
    child::Writer,
    table::{Name, Table},
    told::{Place, Told, copy_dir},
    writer::{BEFORE_TURN_S, Order},
};

const WRITE: &str = "a write fails";
const SYNC: &str = "a sync fails";
const RENAME: &str = "a rename fails";
const CUT: &str = "a truncation fails";

const BATCH: &str = "batch of entries";
const SPARE: &str = "next segment, zeros";
const TILE: &str = "hash tile";
const PUBLISHED: &str = "published checkpoint";
const INDEX: &str = "index of a segment";
const TAIL: &str = "tail taken over at start";
const MONTH: &str = "beginning of a month";
const CLOSED: &str = "segment that is cut";
const DIRECTORY: &str = "directory";

pub(super) const ROWS: [Name; 21] = [
    Name::kept(WRITE, BATCH),
    Name::kept(WRITE, SPARE),
    Name::kept(WRITE, TILE),
    Name::kept(WRITE, PUBLISHED),
    Name::kept(WRITE, INDEX),
    Name::kept(WRITE, TAIL),
    Name::kept(WRITE, MONTH),
    Name::kept(SYNC, BATCH),
    Name::kept(SYNC, SPARE),
    Name::kept(SYNC, PUBLISHED),
    Name::kept(SYNC, CLOSED),
    Name::kept(SYNC, TAIL),
    Name::kept(SYNC, MONTH),
    Name::kept(SYNC, DIRECTORY),
    Name::kept(RENAME, SPARE),
    Name::kept(RENAME, TILE),
    Name::kept(RENAME, PUBLISHED),
    Name::kept(RENAME, INDEX),
    Name::kept(RENAME, TAIL),
    Name::kept(RENAME, MONTH),
    Name::kept(CUT, CLOSED),
];

/// Each row is tried with each of these.
pub(super) const KINDS: [&str; 3] = ["EIO", "ENOSPC", "SIGKILL"];

/// System calls, and what their failure is called.
const CALLS: [(&str, &str); 6] = [
    ("pwrite64", WRITE),
    ("write", WRITE),
    ("fdatasync", SYNC),
    ("fsync", SYNC),
    ("rename", RENAME),
    ("ftruncate", CUT),
];
/// Entries of the load: some segments, several tiles to each, and a turn of the month. With tiles to
/// write the ledger's second thread makes more calls than the first, whose calls of the same number
/// would otherwise fail before.
const ENTRIES: u64 = 2_200;
const ENTRY_BYTES: usize = 250;
const TURN_AT: u64 = 2_000;
const WAITERS: u64 = 64;
/// What a killed process left for the start of each round.
const LEFT: usize = 20;
/// After so many fresh traces a place that was not met is told as such.
const TRACES_MAX: usize = 5;
/// Beyond so many calls of one kind a sweep ends.
const CALLS_MAX: usize = 2_000;

/// A call of a trace: the thread's how-manieth of its name, and on what.
#[derive(Debug, PartialEq, Eq)]
struct Call {
    name: &'static str,
    number: usize,
    place: Option<&'static str>,
}

/// What stays the same over the rounds.
struct Sweep<'a> {
    program: &'a Path,
    dir: &'a Path,
    template: Place,
    left: Told,
    after: Timestamp,
}

/// Tries every fault at every call; `all` of them, or of each place the first and the last.
pub(super) fn run(
    table: &mut Table,
    program: &Path,
    dir: &Path,
    all: bool,
    progress: Progress<'_>,
) -> Result<(), SoakError> {
    let found = Command::new("strace")
        .arg("-V")
        .stdout(Stdio::null())
        .status();
    if found.is_err() {
        for (_, fault) in CALLS {
            table.skip(fault, "`strace` is not installed");
        }
        return Ok(());
    }
    let sweep = Sweep::prepare(program, dir)?;
    let calls = sweep.calls()?;
    for (name, fault) in CALLS {
        let numbers = numbers(&calls, name, all);
        progress(&format!("{fault}: {name}, {} calls", numbers.len()));
        for number in numbers {
            for kind in KINDS {
                for (place, outcome) in sweep.round(name, kind, number)? {
                    table.count(fault, place, kind, outcome);
                }
            }
        }
    }
    sweep.until_met(table)
}

/// At which calls of a name to fail.
fn numbers(calls: &[Call], name: &str, all: bool) -> BTreeSet<usize> {
    let of_name = || calls.iter().filter(|call| call.name == name);
    let most = of_name().map(|call| call.number).max().unwrap_or(0);
    if all {
        // A few more: how many batches there are is never quite the same.
        return (1..=(most + most / 8).min(CALLS_MAX)).collect();
    }
    let mut by_place: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for call in of_name() {
        if let Some(place) = call.place {
            by_place.entry(place).or_default().push(call.number);
        }
    }
    let ends = by_place.values().flat_map(|numbers| {
        let last = numbers.last().filter(|_| numbers.len() > 8);
        numbers.first().into_iter().chain(last).copied()
    });
    ends.collect()
}

/// The calls about a place, and those beside them.
fn near(calls: &[Call], fault: &str, place: &str) -> BTreeSet<(&'static str, usize)> {
    let about = |call: &&Call| {
        let is_fault = CALLS.contains(&(call.name, fault));
        is_fault && call.place == Some(place)
    };
    let beside = |call: &Call| {
        let (name, number) = (call.name, call.number);
        (number.saturating_sub(2).max(1)..number + 3).map(move |number| (name, number))
    };
    calls.iter().filter(about).flat_map(beside).collect()
}

impl<'a> Sweep<'a> {
    /// A ledger as a killed process leaves it: with acknowledged entries that were not published.
    fn prepare(program: &'a Path, dir: &'a Path) -> Result<Self, SoakError> {
        let begin = Timestamp::from_second(BEFORE_TURN_S).unwrap_or_default();
        let after = Timestamp::from_second(BEFORE_TURN_S + 600).unwrap_or_default();
        let template = Place::init(dir, begin)?;
        let order = Order {
            waiters: 1,
            entries: u64::MAX,
            bytes: ENTRY_BYTES,
            turn_at: u64::MAX,
            ..template.order()
        };
        let mut writer = Writer::start(program, &order, &[])?;
        writer.listen(LEFT)?;
        let left = writer.kill()?;
        Ok(Self {
            program,
            dir,
            template,
            left,
            after,
        })
    }

    /// The calls of a load that nothing harms.
    fn calls(&self) -> Result<Vec<Call>, SoakError> {
        let place = self.fresh()?;
        let trace = self.dir.join("trace.txt");
        let mut writer = Writer::start(self.program, &load(&place), &strace(&trace, None))?;
        writer.listen_out()?;
        if !writer.told.done {
            let program = "strace".to_owned();
            let why = format!("the load did not end well: {:?}", writer.told.failed);
            return Err(SoakError::Program { program, why });
        }
        calls(&trace)
    }

    /// Which call is the how-manieth differs a little from load to load: what was missed is tried
    /// again, by fresh traces and at the calls beside.
    fn until_met(&self, table: &mut Table) -> Result<(), SoakError> {
        for _ in 0..TRACES_MAX {
            let unmet = table.unmet(&ROWS);
            if unmet.is_empty() {
                break;
            }
            let calls = self.calls()?;
            for (fault, wanted, kind) in unmet {
                for (name, number) in near(&calls, fault, wanted) {
                    if table.is_met(fault, wanted, kind) {
                        break;
                    }
                    for (place, outcome) in self.round(name, kind, number)? {
                        table.count(fault, place, kind, outcome);
                    }
                }
            }
        }
        Ok(())
    }

    fn fresh(&self) -> Result<Place, SoakError> {
        let dir = self.dir.join("round");
        if dir.exists() {
            std::fs::remove_dir_all(&dir).map_err(SoakError::io("remove", &dir))?;
        }
        copy_dir(&self.template.dir, &dir)?;
        Ok(self.template.at(dir))
    }

    /// Fails the calls of one name and number of each thread. Returns what was hit, with what became
    /// of the ledger; nothing where no thread made so many.
    fn round(
        &self,
        name: &'static str,
        kind: &'static str,
        number: usize,
    ) -> Result<Vec<(&'static str, super::table::Outcome)>, SoakError> {
        let place = self.fresh()?;
        let trace = self.dir.join("trace.txt");
        let what = match kind {
            "SIGKILL" => "signal=KILL".to_owned(),
            errno => format!("error={errno}"),
        };
        let inject = format!("inject={name}:{what}:when={number}");
        let mut writer =
            Writer::start(self.program, &load(&place), &strace(&trace, Some(&inject)))?;
        writer.listen_out()?;
        let mut told = std::mem::take(&mut writer.told);
        drop(writer);
        let hit: BTreeSet<&'static str> = calls(&trace)?
            .into_iter()
            .filter(|call| call.name == name && call.number == number)
            .filter_map(|call| call.place)
            .collect();
        // Entries that the killed process had acknowledged are as good as those of this one.
        told.acknowledged.extend(self.left.acknowledged.clone());
        let outcome = place.look(&told, self.after);
        Ok(hit
            .into_iter()
            .map(|place| (place, outcome.clone()))
            .collect())
    }
}

fn load(place: &Place) -> Order {
    Order {
        waiters: WAITERS,
        entries: ENTRIES,
        bytes: ENTRY_BYTES,
        turn_at: TURN_AT,
        ..place.order()
    }
}

fn strace(trace: &Path, inject: Option<&str>) -> Vec<String> {
    let names: Vec<&str> = CALLS.iter().map(|(name, _)| *name).collect();
    let mut words: Vec<String> = ["strace", "-f", "--seccomp-bpf", "-y", "-s", "0", "-o"]
        .map(str::to_owned)
        .into();
    words.push(trace.display().to_string());
    words.extend(["-e".to_owned(), format!("trace={}", names.join(","))]);
    if let Some(inject) = inject {
        words.extend(["-e".to_owned(), inject.to_owned()]);
    }
    words
}

fn calls(trace: &PathBuf) -> Result<Vec<Call>, SoakError> {
    let text = std::fs::read_to_string(trace).map_err(SoakError::io("read", trace))?;
    let mut counts: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    let mut calls = Vec::new();
    for line in text.lines() {
        let Some((thread, said)) = line.split_once(' ') else {
            continue;
        };
        let Some((name, arguments)) = said.trim_start().split_once('(') else {
            continue;
        };
        let Some((name, _)) = CALLS.iter().find(|(known, _)| *known == name) else {
            continue;
        };
        let count = counts.entry((thread, name)).or_default();
        *count += 1;
        calls.push(Call {
            name,
            number: *count,
            place: place_of(name, arguments),
        });
    }
    Ok(calls)
}

/// What a call is about, by the paths in its arguments; `None` where it is none of the ledger's.
fn place_of(name: &str, arguments: &str) -> Option<&'static str> {
    let has = |part: &str| arguments.contains(part);
    if has(".new") {
        return Some(MONTH);
    }
    if has("spare.segment") {
        return Some(SPARE);
    }
    if has("recovered.tmp") {
        return Some(TAIL);
    }
    if has("/tile/") {
        return Some(TILE);
    }
    if has("checkpoint.tmp") {
        return Some(PUBLISHED);
    }
    if has(".index.tmp") {
        return Some(INDEX);
    }
    if has(".segment") {
        return Some(match name {
            "pwrite64" | "fdatasync" => BATCH,
            _ => CLOSED,
        });
    }
    (name == "fsync").then_some(DIRECTORY)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_calls_of_a_trace_are_counted_by_thread_and_put_in_their_place() {
        let dir = tempfile::tempdir().unwrap();
        let trace = dir.path().join("trace.txt");
        let text = "7 write(3</l/spare.segment>, \"\"..., 65536) = 65536\n\
                    7 write(3</l/spare.segment>, \"\"..., 65536 <unfinished ...>\n\
                    8 pwrite64(4</l/2026-11/00000000000000000021.segment>, \"\"..., 9, 0) = 9\n\
                    7 <... write resumed>)  = -1 EIO (Input/output error) (INJECTED)\n\
                    8 fsync(5</l/2026-11>) = 0\n\
                    7 rename(\"/l/2026-12.new\", \"/l/2026-12\") = 0\n\
                    7 +++ killed by SIGKILL +++\n";
        std::fs::write(&trace, text).unwrap();
        let call = |name, number, place| Call {
            name,
            number,
            place: Some(place),
        };
        let expected = [
            call("write", 1, SPARE),
            call("write", 2, SPARE),
            call("pwrite64", 1, BATCH),
            call("fsync", 1, DIRECTORY),
            call("rename", 1, MONTH),
        ];
        assert_eq!(calls(&trace).unwrap(), expected);
    }
}
