//! A stream of events: late, out of order, and some are lost, which shows by their numbers.

use accord_proto::{observation::Observation, reason::Reason};

use super::{super::history::*, Clock, claim};

/// A stream says something at least this often, so that its silence can be told from its loss.
const BEAT: i64 = 2 * HOUR;
/// What has not come after this is lost.
const LATE_MAX: i64 = 3 * HOUR;

struct Event {
    /// When it was made, by the clock of whoever made it.
    dated: i64,
    is_change: bool,
    /// When it came; `None`: never.
    came: Option<i64>,
}

/// What has come up to now, in the order of its numbers. The watch begins at the first event, and
/// anew after what was lost.
pub(super) fn stream(
    random: &mut Random,
    clock: Clock,
    history: &History,
) -> Result<Observation, Reason> {
    let begun = HORIZON - random.one_of([6 * HOUR, DAY, 3 * DAY]);
    let wrong_by = clock.wrong_by(random);
    let mut since = None;
    let mut changed: Option<(i64, i64)> = None;
    let mut until = i64::MIN;
    let mut ahead: Option<i64> = None;
    let mut lost = false;
    let mut waits = false;
    for event in events(random, history, begun, wrong_by) {
        let here = event.came.is_some_and(|came| came <= HORIZON);
        if !here {
            lost |= HORIZON + wrong_by - event.dated > LATE_MAX;
            waits |= HORIZON + wrong_by - event.dated <= LATE_MAX;
            continue;
        }
        // Beyond one that may still come, only a change is news, and what it says is itself.
        if waits {
            if event.is_change {
                ahead = Some(event.dated);
            }
            continue;
        }
        if lost || since.is_none() {
            lost = false;
            since = Some(event.dated);
            // The last change may be one that was lost; or still this one, so that it must lie in
            // the interval, whose lower end is open.
            changed = changed.map(|(after, _)| (after - 1, event.dated));
        }
        if event.is_change {
            changed = Some((event.dated, event.dated));
        }
        until = event.dated;
    }
    if let Some(change) = ahead {
        return claim(Some((change, change)), Some(change), change);
    }
    let since = since.ok_or(Reason::NotWatched)?;
    claim(changed, Some(since), until)
}

/// Every event in the order of its number, which is that of its date.
fn events(random: &mut Random, history: &History, begun: i64, wrong_by: i64) -> Vec<Event> {
    let mut dated: Vec<(i64, bool)> = Vec::new();
    let mut at = begun;
    while at <= HORIZON {
        dated.push((at, false));
        at += BEAT;
    }
    let changes = history.changes.iter().filter(|change| change.at >= begun);
    dated.extend(changes.map(|change| (change.at, true)));
    dated.sort_unstable();
    let mut event = |(at, is_change): (i64, bool)| Event {
        dated: at + wrong_by,
        is_change,
        came: (!random.percent(5)).then(|| at + random.one_of([0, 0, 1, 30, 600, LATE_MAX / 2])),
    };
    dated.into_iter().map(&mut event).collect()
}
