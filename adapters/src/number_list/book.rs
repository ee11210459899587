//! All lists as one: what they cover without a gap, and who was disconnected when.

use accord_proto::{
    msisdn::Msisdn,
    observation::{Change, ChangedIn, Observation, Observed, SourceClass},
    reason::Reason,
};
use jiff::Timestamp;

use super::read::{List, Row};
use crate::csv_export::number::packed;

/// The lists in force.
#[derive(Debug)]
pub(super) struct Book {
    /// Sorted by number; of each the last disconnect.
    rows: Vec<Row>,
    since: Timestamp,
    until: Timestamp,
}

impl Book {
    /// Of lists, in any order; `None` if there is none.
    pub(super) fn new(mut lists: Vec<List>) -> Option<Self> {
        lists.sort_by_key(|list| list.until);
        let newest = lists.last()?;
        let (mut since, until) = (newest.since, newest.until);
        for list in lists.iter().rev() {
            // A day may be counted by both or by neither where clocks are put back.
            if list.until < since {
                break;
            }
            since = since.min(list.since);
        }
        let mut rows: Vec<Row> = lists.into_iter().flat_map(|list| list.rows).collect();
        // The last disconnect comes first, and the others go.
        rows.sort_unstable_by_key(|row| (row.number, std::cmp::Reverse(row.after)));
        rows.dedup_by_key(|row| row.number);
        rows.shrink_to_fit();
        Some(Self { rows, since, until })
    }

    /// Since when the lists cover the time without a gap.
    pub(super) const fn since(&self) -> Timestamp {
        self.since
    }

    /// Until when.
    pub(super) const fn until(&self) -> Timestamp {
        self.until
    }

    /// How many numbers of another book are not in this one.
    pub(super) fn lacks(&self, other: &Self) -> usize {
        let mut own = self.rows.iter().map(|row| row.number).peekable();
        let lacks = other.rows.iter().filter(|row| {
            while own.next_if(|number| *number < row.number).is_some() {}
            own.peek() != Some(&row.number)
        });
        lacks.count()
    }

    pub(super) const fn len(&self) -> usize {
        self.rows.len()
    }

    /// A number was disconnected last at some time after this.
    pub(super) fn disconnected_after(&self, msisdn: &Msisdn) -> Option<Timestamp> {
        let number = packed(msisdn);
        let place = self.rows.binary_search_by_key(&number, |row| row.number);
        let row = place.ok().and_then(|place| self.rows.get(place));
        row.map(Row::disconnected_after)
    }

    /// What is known of a number: it changed hands after it was disconnected last, or has not been since
    /// the lists cover the time. A day in between is in no subscription (CAMARA NumberRecycling), so that
    /// *no* can't be said of it.
    pub(super) fn observation(&self, msisdn: &Msisdn) -> Result<Observation, Reason> {
        // Since when somebody else has it is not told: at some time after it was disconnected, or nobody
        // yet. And in a gap before the lists it may have been disconnected once more.
        let changed_in = match self.disconnected_after(msisdn) {
            None => None,
            Some(after) => {
                let changed = ChangedIn::new(after, self.until);
                Some(changed.ok_or(Reason::NotAvailable)?)
            }
        };
        let since = changed_in.map_or(self.since, |changed| self.since.min(changed.after()));
        Ok(Observation {
            what: Observed::Change(Change {
                changed_in,
                monitored_since: Some(since),
                kind: None,
            }),
            observed_at: self.until,
            source: SourceClass::Export,
        })
    }
}
