//! From a row to observations, each with its limits.

use accord_proto::msisdn::Msisdn;
use accord_proto::observation::{
    Change, ChangedIn, Forwarding, Observation, Observed, SourceClass, SwapKind,
};
use accord_proto::reason::Reason;
use accord_proto::signal::Signal;
use jiff::Timestamp;

use super::CsvExport;
use super::config::Begin;
use super::dates::When;
use super::plan::{DatePlan, History, Plan};
use super::table::{Flags, Row, Table};
use crate::source::Observations;

impl CsvExport {
    pub(super) fn answer(&self, msisdn: &Msisdn, signals: &[Signal]) -> Observations {
        // Before the table is looked at: if another one comes meanwhile, this number is compared.
        self.inner.asked.note(*msisdn, ());
        let table = self.inner.state().table.clone();
        said(&self.inner.plan, table.as_deref(), msisdn, signals)
    }
}

/// What a file says of a number; without one, that there is none.
pub(super) fn said(
    plan: &Plan,
    table: Option<&Table>,
    msisdn: &Msisdn,
    signals: &[Signal],
) -> Observations {
    let Some(table) = table else {
        return Observations::all(signals, Reason::SourceDown);
    };
    let absent = if table.has_unreadable_numbers {
        Reason::NotAvailable
    } else {
        Reason::UnknownNumber
    };
    let Some(row) = table.row(msisdn) else {
        return Observations::all(signals, absent);
    };
    let doubt = [
        (Flags::CONTRADICTED, Reason::Contradicted),
        (Flags::UNREADABLE, Reason::NotAvailable),
        (Flags::ENDED, Reason::UnknownNumber),
    ];
    let doubt = doubt.iter().find(|(flag, _)| row.flags.has(*flag));
    let mut answer = match doubt {
        Some((_, reason)) => Observations::all(signals, *reason),
        None => Observations {
            signals: signals
                .iter()
                .map(|signal| (*signal, observation(plan, table, row, *signal)))
                .collect(),
            ..Observations::default()
        },
    };
    answer.customer_lock = row.flags.has(Flags::SWAP_LOCKED);
    answer.opted_out = row.flags.has(Flags::OPTED_OUT);
    answer
}

fn observation(
    plan: &Plan,
    table: &Table,
    row: &Row,
    signal: Signal,
) -> Result<Observation, Reason> {
    let at = table.exported_at;
    let what = match signal {
        Signal::SimSwap => Observed::Change(sim_change(plan, row, at)?),
        Signal::DeviceSwap => Observed::Change(device_change(plan, row, at)?),
        Signal::NumberRecycling | Signal::Tenure => Observed::Change(holder_change(plan, row, at)?),
        Signal::CallForwarding => {
            let active = row.forwarding.active();
            let all_known = plan.forwarding().iter().all(Option::is_some);
            // Of conditions that are not exported, none can be called inactive.
            if all_known {
                Observed::Forwarding(active)
            } else if active.iter().any(Forwarding::leads_elsewhere) {
                Observed::SomeForwarding(active)
            } else {
                return Err(Reason::NotAvailable);
            }
        }
        Signal::Roaming | Signal::SignallingAnomaly => return Err(Reason::NotAvailable),
    };
    Ok(Observation {
        what,
        observed_at: at,
        source: SourceClass::Export,
    })
}

pub(super) fn signals(plan: &Plan) -> Vec<Signal> {
    let forwarding = plan.forwarding().iter().any(Option::is_some);
    [
        (Signal::SimSwap, plan.sim.is_some()),
        (Signal::DeviceSwap, plan.device.is_some()),
        (Signal::CallForwarding, forwarding),
        (Signal::NumberRecycling, plan.activated.is_some()),
        (Signal::Tenure, plan.activated.is_some()),
    ]
    .into_iter()
    .filter_map(|(signal, answered)| answered.then_some(signal))
    .collect()
}

/// The last change of holder: *recycled since a day* means that no single subscription covers that day
/// until now. Who ported a number in had it before, and where the same holder went on, his line began
/// some time before: then there was none since.
fn holder_change(plan: &Plan, row: &Row, exported_at: Timestamp) -> Result<Change, Reason> {
    let began = row.holder.interval(exported_at);
    match (row.begin(), began) {
        (Some(Begin::PortIn | Begin::SameHolder), Some(began)) => Ok(none_since(began)),
        (Some(_), _) => change(&plan.activated, row.holder, None, exported_at),
        (None, _) => Err(Reason::NotAvailable),
    }
}

/// The last change of SIM. A line begins with one, wherever it came from: the later of both counts, and of
/// a line of which it is not known when it began, *never* can't be said.
fn sim_change(plan: &Plan, row: &Row, exported_at: Timestamp) -> Result<Change, Reason> {
    let own = row.sim.interval(exported_at);
    let began = began(plan, row, row.sim, exported_at)?;
    let column = plan.sim.as_ref().ok_or(Reason::NotAvailable)?;
    let of_line = matches!(row.begin(), Some(Begin::PortIn)).then_some(SwapKind::PortIn);
    match (own, began) {
        // The card of before may have been kept.
        (None, Some(began)) if row.sim.is_never() && !begins_anew(row) => {
            never_in(column, began, exported_at)
        }
        (Some(own), Some(began)) if begins_anew(row) => {
            // With which of several ways a line can begin the export may not say.
            let kind = if own.after() >= began.before() || own == began {
                row.kind()
            } else {
                of_line
            };
            recorded(column, later(own, began), kind, exported_at)
        }
        (None, Some(began)) if row.sim.is_never() => {
            recorded(column, Some(began), of_line, exported_at)
        }
        (_, _) => change(&plan.sim, row.sim, row.kind(), exported_at),
    }
}

/// The last change of device, since the line began: in whose device the number was before was another
/// holder's, or is another network's to know.
fn device_change(plan: &Plan, row: &Row, exported_at: Timestamp) -> Result<Change, Reason> {
    let own = row.device.interval(exported_at);
    let began = began(plan, row, row.device, exported_at)?;
    let column = plan.device.as_ref().ok_or(Reason::NotAvailable)?;
    match (own, began) {
        // A date of a line that was here before.
        (Some(own), Some(began)) if own.before() < began.after() => Ok(none_since(began)),
        (Some(own), Some(began)) => recorded(column, later(own, began), None, exported_at),
        (None, Some(began)) if row.device.is_never() => never_in(column, began, exported_at),
        (_, _) => change(&plan.device, row.device, None, exported_at),
    }
}

/// Whether a line began with a SIM of its own.
const fn begins_anew(row: &Row) -> bool {
    matches!(row.begin(), Some(Begin::NewHolder | Begin::PortIn))
}

/// There was none since a line began.
const fn none_since(began: ChangedIn) -> Change {
    Change {
        changed_in: None,
        monitored_since: Some(began.before()),
        kind: None,
    }
}

/// There was none in a line, as far as the column knows.
fn never_in(column: &DatePlan, began: ChangedIn, exported_at: Timestamp) -> Result<Change, Reason> {
    let never = recorded(column, None, None, exported_at)?;
    Ok(Change {
        monitored_since: never.monitored_since.max(Some(began.before())),
        ..never
    })
}

/// When a row's line began, where the export says it.
///
/// # Errors
/// It says so of others and not of this one, of which something *never* happened: since when?
fn began(
    plan: &Plan,
    row: &Row,
    when: When,
    exported_at: Timestamp,
) -> Result<Option<ChangedIn>, Reason> {
    if plan.activated.is_none() {
        return Ok(None);
    }
    if when.is_never() && row.holder.is_unknown() {
        return Err(Reason::NotAvailable);
    }
    Ok(row.holder.interval(exported_at))
}

/// Where the later of two lies.
fn later(one: ChangedIn, other: ChangedIn) -> Option<ChangedIn> {
    ChangedIn::new(
        one.after().max(other.after()),
        one.before().max(other.before()),
    )
}

/// What a row says about the last change.
fn change(
    column: &Option<DatePlan>,
    when: When,
    kind: Option<SwapKind>,
    exported_at: Timestamp,
) -> Result<Change, Reason> {
    let column = column.as_ref().ok_or(Reason::NotAvailable)?;
    if when.is_unknown() {
        return Err(Reason::NotAvailable);
    }
    recorded(column, when.interval(exported_at), kind, exported_at)
}

/// What a system says that keeps the last change, and how far back it does.
fn recorded(
    column: &DatePlan,
    changed_in: Option<ChangedIn>,
    kind: Option<SwapKind>,
    exported_at: Timestamp,
) -> Result<Change, Reason> {
    let monitored_since = match (column.history, changed_in) {
        (History::WholeLife, _) => None,
        (History::Since(since), None) if since < exported_at => Some(since),
        (History::Since(_) | History::NotStated, None) => return Err(Reason::NotWatched),
        // The system says that this was the last change, so it knows what came after it.
        (History::Since(since), Some(last)) => Some(since.min(last.after())),
        (History::NotStated, Some(last)) => Some(last.after()),
    };
    Ok(Change {
        changed_in,
        monitored_since,
        kind,
    })
}
