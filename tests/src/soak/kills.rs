//! `kill -9` of a ledger under load, round after round over the same ledger: each start takes over
//! what the last kill left.

use std::{path::Path, thread, time::Duration};

use accord_proto::clock::{Clock as _, SystemClock};

use super::{
    Progress, SoakError,
    child::Writer,
    table::{Name, Outcome, Table},
    told::{Place, Told},
    writer::Order,
};

const FAULT: &str = "kill -9";
const AT_WORK: &str = "ledger under load";
const AT_START: &str = "ledger that starts";

pub(super) const ROWS: [Name; 2] = [Name::kept(FAULT, AT_WORK), Name::kept(FAULT, AT_START)];

/// Rounds after which everything is read and verified.
const LOOK_EVERY: u32 = 50;
/// Each so manieth round kills a start.
const START_EVERY: u32 = 4;
/// Most acknowledgements before a kill.
const ACKNOWLEDGED_MAX: u32 = 250;
/// Longest time from the birth of a process that is killed while it starts.
const START_US_MAX: u32 = 30_000;
/// Prime, so that the rounds go through all the lengths.
const STRIDE: u32 = 7_919;

pub(super) fn run(
    table: &mut Table,
    program: &Path,
    dir: &Path,
    rounds: u32,
    progress: Progress<'_>,
) -> Result<(), SoakError> {
    let place = Place::init(dir, SystemClock.now())?;
    let order = Order {
        waiters: 8,
        entries: u64::MAX,
        ..place.order()
    };
    let mut told = Told::default();
    // Rounds since the last look, which stands for them all.
    let mut open: Vec<&'static str> = Vec::new();
    for round in 0..rounds {
        let mut writer = Writer::start(program, &order, &[])?;
        if round % START_EVERY == START_EVERY - 1 {
            let after = u64::from(round * STRIDE % START_US_MAX);
            thread::sleep(Duration::from_micros(after));
            open.push(AT_START);
        } else {
            let count = usize::try_from(1 + round * STRIDE % ACKNOWLEDGED_MAX).unwrap_or(1);
            if !writer.listen(count)? {
                let why = writer.told.failed.clone().unwrap_or_default();
                table.count(FAULT, AT_WORK, "", Outcome::Refused(why));
                return Ok(());
            }
            open.push(AT_WORK);
        }
        merge(&mut told, writer.kill()?);
        if round % LOOK_EVERY == LOOK_EVERY - 1 || round + 1 == rounds {
            progress(&format!("{FAULT}: {} of {rounds} rounds", round + 1));
            let outcome = place.look(&told, SystemClock.now());
            for at in open.drain(..) {
                table.count(FAULT, at, "", outcome.clone());
            }
        }
    }
    Ok(())
}

/// Adds what one process told. An index that two processes acknowledged is a loss that hides.
pub(super) fn merge(told: &mut Told, more: Told) {
    if more.contradiction.is_some() {
        told.contradiction = more.contradiction;
    }
    for ((origin, index), hash) in more.acknowledged {
        let before = told.acknowledged.insert((origin, index), hash);
        if before.is_some() {
            told.contradiction = Some(format!("entry {index} was acknowledged by two processes"));
        }
    }
}
