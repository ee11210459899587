//! Billing systems: they know orders, each near the time at which the network carried it out.

use accord_proto::{observation::Observation, reason::Reason};

use super::{super::history::*, Clock, claim};

/// When each change's order is dated; the latest last. An order lies before or after the network's
/// own change by what the clock may be wrong.
fn orders_until(random: &mut Random, clock: Clock, history: &History, until: i64) -> Option<i64> {
    let orders = history
        .changes
        .iter()
        .map(|change| change.at + clock.wrong_by(random));
    // What is not dated yet can't be in it.
    orders.filter(|order| *order <= until).max()
}

/// A nightly export with dates of whole days; some nights are missing, and it comes late.
pub(super) fn export(
    random: &mut Random,
    clock: Clock,
    history: &History,
) -> Result<Observation, Reason> {
    let night = random.one_of([0, 0, 0, 1, 2, 5]);
    let exported_at = HORIZON / DAY * DAY - night * DAY - random.between(0, DAY);
    let last = orders_until(random, clock, history, exported_at);
    let day_of = |order: i64| {
        let begins = order.div_euclid(DAY) * DAY;
        (begins - 1, (begins + DAY - 1).min(exported_at))
    };
    match (random.between(0, 3), last) {
        // It knows the whole life.
        (0, last) => claim(last.map(day_of), None, exported_at),
        // It has orders since some day only; before that anything may have happened.
        (1, last) => {
            let since = random.between(0, HORIZON / 2);
            let last = last.filter(|order| *order > since);
            claim(last.map(day_of), Some(since), exported_at)
        }
        // It does not say for how long it has kept them.
        (_, Some(last)) => claim(Some(day_of(last)), Some(day_of(last).0), exported_at),
        (_, None) => Err(Reason::NotWatched),
    }
}

/// A view with the instants of orders, as of some seconds or hours ago.
pub(super) fn orders(
    random: &mut Random,
    clock: Clock,
    history: &History,
) -> Result<Observation, Reason> {
    let read_at = HORIZON - random.one_of([0, 5, 300, 6 * HOUR, 3 * DAY]) + clock.wrong_by(random);
    let last = orders_until(random, clock, history, read_at);
    claim(last.map(|order| (order, order)), None, read_at)
}
