//! The figures as a table for people and as JSON for machines.

use std::fmt::Write as _;

use serde::Serialize;

use super::{
    camara::Camara,
    figures::Figures,
    judge::Judge,
    ledger::Appends,
    machine::Machine,
    memory::Memory,
    speed::{Line, Speed},
    upkeep::Upkeep,
};

/// What the project aims at. Nothing fails where an aim is missed: it is printed.
const AIM_VIEW: f64 = 0.60;
const AIM_ADAPTER: f64 = 0.40;
const AIM_LEDGER: f64 = 0.80;
/// Appends in flight for which the ledger's aim holds.
const AIM_WAITERS: usize = 64;
/// The share of (b)'s processor time that checkpoints and tiles may take, in percent.
const AIM_UPKEEP: f64 = 3.0;
const AIM_IDLE_MIB: u64 = 64;
const AIM_AFTER_MIB: u64 = 256;
/// The load for which the aims hold.
const AIM_IN_FLIGHT: usize = 64;

/// All that was measured.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Where.
    pub machine: Machine,
    /// How often each was measured.
    pub rounds: u32,
    /// Why these figures say nothing about the aims, where they don't: a short run, or a program
    /// that was not optimised.
    pub only_a_trial: Option<&'static str>,
    /// (a), (b) and (c).
    pub speed: Option<Speed>,
    /// (d).
    pub ledger: Option<Appends>,
    /// The CAMARA door.
    pub camara: Option<Camara>,
    /// The broker's memory.
    pub memory: Option<Memory>,
}

impl Report {
    /// As JSON.
    #[must_use]
    pub fn to_json(&self) -> String {
        // Text, numbers and lists always serialise.
        serde_json::to_string_pretty(self).unwrap_or_default()
    }

    /// As a table.
    #[must_use]
    pub fn to_table(&self) -> String {
        let mut text = String::new();
        // Writing into a text can't fail.
        let _ = writeln!(text, "{}; {} rounds, medians\n", self.machine, self.rounds);
        if let Some(why) = self.only_a_trial {
            let _ = writeln!(text, "{why}: the figures are noise, and no aim is judged\n");
        }
        let judge = Judge(self.only_a_trial.is_none());
        if let Some(speed) = &self.speed {
            put_speed(&mut text, speed, judge);
        }
        if let Some(ledger) = &self.ledger {
            put_ledger(&mut text, ledger, judge);
        }
        if let Some(camara) = &self.camara {
            camara.put(&mut text, judge);
        }
        if let Some(memory) = &self.memory {
            put_memory(&mut text, memory, judge);
        }
        text
    }
}

fn put_speed(text: &mut String, speed: &Speed, judge: Judge) {
    let [question, answer] = speed.message_bytes;
    let _ = writeln!(
        text,
        "Lookup: question {question} bytes, answer {answer} bytes, short receipt; (b) {:.1} % from \
         the view\n\n{:<20} {:>9} {:>8} {:>17} {:>8} {:>8} {:>8} {:>6}   CPU µs each: \
         server, adapter, load",
        speed.view_share * 100.0,
        "server",
        "in flight",
        "req/s",
        "worst–best",
        "p50 ms",
        "p99 ms",
        "p99.9",
        "ratio",
    );
    for line in &speed.closed {
        let in_flight = line
            .in_flight
            .map_or_else(String::new, |count| count.to_string());
        put_line(text, line, &in_flight);
    }
    let _ = writeln!(
        text,
        "\nopen loop, each at half of its peak, from the time it was meant to leave"
    );
    for line in &speed.open {
        put_line(text, line, "open");
    }
    let _ = writeln!(text);
    for (name, aim) in [("(b)", AIM_VIEW), ("(c)", AIM_ADAPTER)] {
        let of =
            |line: &&Line| line.server.starts_with(name) && line.in_flight == Some(AIM_IN_FLIGHT);
        if let Some(line) = speed.closed.iter().find(of) {
            let ratio = line.figures.ratio;
            let _ = writeln!(
                text,
                "{name} / (a) at {AIM_IN_FLIGHT} in flight: {ratio:.2}, aim {aim:.2}: {}",
                judge.met(ratio >= aim)
            );
        }
    }
    put_upkeep(text, &speed.upkeep, judge);
}

fn put_line(text: &mut String, line: &Line, in_flight: &str) {
    let figures = &line.figures;
    let [worst, best] = figures.per_second_range;
    let [server, adapter, load] = figures.cpu_us;
    let ms = |us: f64| format!("{:.2}", us / 1_000.0);
    // An open loop sends what it is told to: only its latencies say anything.
    let ratio = line.in_flight.map(|_| format!("{:.2}", figures.ratio));
    let _ = writeln!(
        text,
        "{:<20} {in_flight:>9} {:>8.0} {:>17} {:>8} {:>8} {:>8} {:>6}   {server:.0}, {adapter:.0}, \
         {load:.0}",
        line.server,
        figures.per_second,
        format!("{worst:.0}–{best:.0}"),
        ms(figures.p50_us),
        ms(figures.p99_us),
        ms(figures.p999_us),
        ratio.unwrap_or_default(),
    );
}

fn put_ledger(text: &mut String, ledger: &Appends, judge: Judge) {
    let _ = writeln!(
        text,
        "\n(d) appends of entries of {} bytes\n\n{:<20} {:>9} {:>10} {:>17} {:>8} {:>8} {:>8} {:>6}   \
         entries a sync",
        ledger.entry_bytes,
        "log",
        "waiters",
        "appends/s",
        "worst–best",
        "p50 ms",
        "p99 ms",
        "p99.9",
        "ratio",
    );
    for line in &ledger.lines {
        let batch = format!("{:.0}", line.batch);
        let ratio = format!("{:.2}", line.ledger.ratio);
        put_appends(text, ("bare loop", line.waiters, "", ""), &line.bare);
        put_appends(text, ("ledger", line.waiters, &ratio, &batch), &line.ledger);
    }
    let aimed = ledger.lines.iter();
    for line in aimed.filter(|line| line.waiters == AIM_WAITERS) {
        let ratio = line.ledger.ratio;
        let _ = writeln!(
            text,
            "\n(d) ledger / bare loop with {AIM_WAITERS} waiters: {ratio:.2}, aim {AIM_LEDGER:.2}: {}",
            judge.met(ratio >= AIM_LEDGER)
        );
    }
}

fn put_appends(text: &mut String, line: (&str, usize, &str, &str), figures: &Figures) {
    let (name, waiters, ratio, batch) = line;
    let [worst, best] = figures.per_second_range;
    let ms = |us: f64| format!("{:.2}", us / 1_000.0);
    let _ = writeln!(
        text,
        "{name:<20} {waiters:>9} {:>10.0} {:>17} {:>8} {:>8} {:>8} {ratio:>6}   {batch}",
        figures.per_second,
        format!("{worst:.0}–{best:.0}"),
        ms(figures.p50_us),
        ms(figures.p99_us),
        ms(figures.p999_us),
    );
}

fn put_upkeep(text: &mut String, upkeep: &Upkeep, judge: Judge) {
    let share = upkeep.share() * 100.0;
    let _ = writeln!(
        text,
        "checkpoints and tiles of (b) at {AIM_IN_FLIGHT} in flight: {:.2} µs of {:.1} µs of the \
         broker's processor time for each question\n    (signing {:.2}, hashing {:.2}, tiles and \
         segments {:.2}; {:.1} questions a checkpoint): {share:.1} %, aim at most {AIM_UPKEEP:.0} %: {}",
        upkeep.us(),
        upkeep.broker_us,
        upkeep.signing_us,
        upkeep.hashing_us,
        upkeep.keeper_us,
        upkeep.batch,
        judge.met(share <= AIM_UPKEEP),
    );
}

fn put_memory(text: &mut String, memory: &Memory, judge: Judge) {
    let (idle, after) = (memory.idle_kib / 1_024, memory.after_kib / 1_024);
    let _ = writeln!(
        text,
        "\nbroker's resident memory: idle {idle} MiB, aim below {AIM_IDLE_MIB}: {}\n    after {} \
         lookups, each about another number: {after} MiB, aim below {AIM_AFTER_MIB}: {}\n    \
         ({:.0} lookups/s, each answered by the adapter and kept in the view)",
        judge.met(idle < AIM_IDLE_MIB),
        memory.lookups,
        judge.met(after < AIM_AFTER_MIB),
        memory.per_second,
    );
}
