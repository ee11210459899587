//! From a row to observations, each with its limits.

use accord_proto::msisdn::Msisdn;
use accord_proto::observation::{Change, Observation, Observed, SourceClass, SwapKind};
use accord_proto::reason::Reason;
use accord_proto::signal::Signal;
use jiff::Timestamp;

use super::CsvExport;
use super::dates::When;
use super::plan::{DatePlan, History, Plan};
use super::table::{Flags, Row, Table};
use crate::source::Observations;

impl CsvExport {
    pub(super) fn answer(&self, msisdn: &Msisdn, signals: &[Signal]) -> Observations {
        let table = self.inner.state().table.clone();
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
                    .map(|signal| (*signal, self.observation(&table, row, *signal)))
                    .collect(),
                ..Observations::default()
            },
        };
        answer.customer_lock = row.flags.has(Flags::SWAP_LOCKED);
        answer.opted_out = row.flags.has(Flags::OPTED_OUT);
        answer
    }

    fn observation(&self, table: &Table, row: &Row, signal: Signal) -> Result<Observation, Reason> {
        let plan = &self.inner.plan;
        let at = table.exported_at;
        let what = match signal {
            Signal::SimSwap => change(&plan.sim, row.sim, row.kind(), at)?,
            Signal::DeviceSwap => change(&plan.device, row.device, None, at)?,
            Signal::NumberRecycling | Signal::Tenure => {
                change(&plan.activated, row.holder, None, at)?
            }
            Signal::CallForwarding => {
                let active = row.forwarding.active();
                let all_known = plan.forwarding().iter().all(Option::is_some);
                // Of conditions that are not exported, none can be called inactive.
                if active.is_empty() && !all_known {
                    return Err(Reason::NotAvailable);
                }
                Observed::Forwarding(active)
            }
            Signal::Roaming | Signal::SignallingAnomaly => return Err(Reason::NotAvailable),
        };
        Ok(Observation {
            what,
            observed_at: at,
            source: SourceClass::Export,
        })
    }
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

/// What a row says about the last change.
fn change(
    column: &Option<DatePlan>,
    when: When,
    kind: Option<SwapKind>,
    exported_at: Timestamp,
) -> Result<Observed, Reason> {
    let column = column.as_ref().ok_or(Reason::NotAvailable)?;
    if when.is_unknown() {
        return Err(Reason::NotAvailable);
    }
    let changed_in = when.interval(exported_at);
    let monitored_since = match (column.history, changed_in) {
        (History::WholeLife, _) => None,
        (History::Since(since), None) if since < exported_at => Some(since),
        (History::Since(_) | History::NotStated, None) => return Err(Reason::NotWatched),
        // The system says that this was the last change, so it knows what came after it.
        (History::Since(since), Some(last)) => Some(since.min(last.after())),
        (History::NotStated, Some(last)) => Some(last.after()),
    };
    Ok(Observed::Change(Change {
        changed_in,
        monitored_since,
        kind,
    }))
}
