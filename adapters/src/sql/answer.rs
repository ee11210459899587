//! From the subscriptions of one number to observations, each with its limits.
//!
//! ```text
//!   holder A          nobody     holder B, who took over from C by a transfer
//!   ├──────────────┤  ·······  ├────────────┼──────────────────────▶ now
//!   activated  ceased          activated    activated, `transfer`
//!                              ▲ the last change of holder, if a transfer keeps the holder
//!                                           ▲ the last change of holder, if it does not
//! ```
//!
//! *Recycled since a day* means that no single subscription covers that day until now. So what
//! counts is when the present holder's first subscription in an unbroken row began. A number that
//! was ported in came with its holder: who had it before is not known here, and *no* holds only
//! back to the port.

use accord_proto::{
    observation::{Change, ChangedIn, SwapKind},
    reason::Reason,
};
use jiff::{SignedDuration, Timestamp};

use super::cell::{Absurd, When, believed};

/// How a subscription began, as the operator's policy has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Begin {
    /// A new holder, with a new line.
    NewLine,
    /// A new holder, who had another number before.
    NumberChange,
    /// A new holder, with a line that was there.
    NewHolder,
    /// The holder came with the number from another operator.
    PortIn,
    /// The holder of the subscription before goes on.
    SameHolder,
    /// A text that is not configured.
    Unlisted,
}

/// One subscription of a number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Period {
    pub(super) activated: When,
    pub(super) ceased: When,
    pub(super) begin: Begin,
    pub(super) sim: When,
    pub(super) sim_kind: Option<SwapKind>,
    pub(super) device: When,
}

/// Since when an empty date is the truth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum History {
    /// It is not known.
    NotStated,
    /// Since then.
    Since(Timestamp),
    /// Since the number began.
    WholeLife,
}

/// A column whose date nobody should believe, for the log.
pub(super) type Doubt = (&'static str, Absurd);

/// The subscriptions of one number, of which one is the present one.
#[derive(Debug)]
pub(super) struct Line<'a> {
    /// The present subscription, then those before it.
    chain: Vec<&'a Period>,
    observed_at: Timestamp,
    tolerance: SignedDuration,
}

/// Why there is no present subscription, or what can't be believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoLine {
    /// No answer for a reason that stands in no log.
    Reason(Reason),
    /// A date of the subscription.
    Doubt(Doubt),
}

impl<'a> Line<'a> {
    /// Finds the present subscription.
    pub(super) fn of(
        periods: &'a [Period],
        observed_at: Timestamp,
        tolerance: SignedDuration,
    ) -> Result<Self, NoLine> {
        let latest = observed_at.checked_add(tolerance).unwrap_or(observed_at);
        let mut present = None;
        let mut past = Vec::new();
        let mut to_come = false;
        for period in periods {
            let doubt = |column| move |absurd| NoLine::Doubt((column, absurd));
            let began = period.activated.map_err(doubt("activated_at"))?;
            let ended = period.ceased.map_err(doubt("ceased_at"))?;
            if began.is_some_and(|(first, _)| first > latest) {
                // Made ready for a day to come. It is nobody's yet.
                to_come = true;
            } else if ended.is_some_and(|(first, _)| first <= observed_at) {
                past.push(period);
            } else if present.replace(period).is_some() {
                return Err(NoLine::Reason(Reason::Contradicted));
            }
        }
        let Some(present) = present else {
            return Err(if to_come {
                NoLine::Doubt(("activated_at", Absurd::Future))
            } else {
                NoLine::Reason(Reason::UnknownNumber)
            });
        };
        let began = |period: &Period| period.activated.ok().flatten();
        past.retain(|period| began(period) <= began(present));
        past.sort_by_key(|period| std::cmp::Reverse(began(period)));
        let mut chain = vec![present];
        chain.extend(past);
        Ok(Self {
            chain,
            observed_at,
            tolerance,
        })
    }

    fn believed(
        &self,
        column: &'static str,
        when: (Timestamp, Timestamp),
    ) -> Result<ChangedIn, Doubt> {
        believed(when, self.observed_at, self.tolerance).map_err(|absurd| (column, absurd))
    }

    /// Until when it is vouched for.
    pub(super) const fn observed_at(&self) -> Timestamp {
        self.observed_at
    }

    /// The last change of holder.
    pub(super) fn holder(&self) -> Result<Result<Change, Reason>, Doubt> {
        let mut since = None;
        for period in &self.chain {
            let when = period
                .activated
                .map_err(|absurd| ("activated_at", absurd))?;
            let Some(when) = when else {
                break;
            };
            let began = self.believed("activated_at", when)?;
            match period.begin {
                Begin::NewLine | Begin::NumberChange | Begin::NewHolder => {
                    return Ok(Ok(changed(began, None)));
                }
                Begin::PortIn => return Ok(Ok(none_since(began.before()))),
                Begin::SameHolder => since = Some(began.before()),
                Begin::Unlisted => return Ok(Err(Reason::NotAvailable)),
            }
        }
        Ok(since.map(none_since).ok_or(Reason::NotAvailable))
    }

    /// The last change of SIM. A line begins with one, wherever it came from (a port is a swap
    /// for the operator that receives the number).
    pub(super) fn sim(&self, history: History) -> Result<Result<Change, Reason>, Doubt> {
        let mut since = None;
        for period in &self.chain {
            let own = period.sim.map_err(|absurd| ("sim_changed_at", absurd))?;
            let own = own
                .map(|when| self.believed("sim_changed_at", when))
                .transpose()?;
            let began = period
                .activated
                .map_err(|absurd| ("activated_at", absurd))?
                .map(|when| self.believed("activated_at", when))
                .transpose()?;
            let first_kind = match period.begin {
                Begin::NewLine => Some(SwapKind::NewLine),
                Begin::NumberChange => Some(SwapKind::NumberChange),
                Begin::PortIn => Some(SwapKind::PortIn),
                Begin::NewHolder | Begin::SameHolder | Begin::Unlisted => None,
            };
            match (own, began, first_kind) {
                (Some(own), Some(began), Some(kind)) => {
                    return Ok(Ok(later((own, period.sim_kind), (began, Some(kind)))));
                }
                (Some(own), _, _) => return Ok(Ok(changed(own, period.sim_kind))),
                (None, Some(began), Some(kind)) => return Ok(Ok(changed(began, Some(kind)))),
                // The card of before may have been kept; look there.
                (None, Some(began), None) => since = Some(began.before()),
                (None, None, _) => break,
            }
        }
        if let Some(since) = since {
            return Ok(Ok(none_since(since)));
        }
        Ok(never(history, self.observed_at))
    }

    /// The last change of device, since the present holder's line began: in whose device the number was
    /// before was another holder's, or is another network's to know. `begins`: the database says when
    /// lines began.
    pub(super) fn device(
        &self,
        history: History,
        begins: bool,
    ) -> Result<Result<Change, Reason>, Doubt> {
        let (mut own, mut began) = (None, None);
        for period in self.of_holder() {
            let device = period
                .device
                .map_err(|absurd| ("device_changed_at", absurd))?;
            if let (None, Some(when)) = (own, device) {
                own = Some(self.believed("device_changed_at", when)?);
            }
            let activated = period
                .activated
                .map_err(|absurd| ("activated_at", absurd))?;
            if let Some(when) = activated {
                began = Some(self.believed("activated_at", when)?);
            }
        }
        Ok(match (own, began) {
            // A date of a line that was here before.
            (Some(own), Some(began)) if own.before() < began.after() => {
                Ok(none_since(began.before()))
            }
            (Some(own), Some(began)) => Ok(later((own, None), (began, None))),
            (Some(own), None) => Ok(changed(own, None)),
            (None, Some(began)) => never(history, self.observed_at).map(|never| Change {
                monitored_since: never.monitored_since.max(Some(began.before())),
                ..never
            }),
            // It may have begun today.
            (None, None) if begins => Err(Reason::NotAvailable),
            (None, None) => never(history, self.observed_at),
        })
    }

    /// The present holder's subscriptions, the present one first, as far back as is known.
    fn of_holder(&self) -> impl Iterator<Item = &Period> {
        let goes_back = |period: &Period| {
            period.begin == Begin::SameHolder && !matches!(period.activated, Ok(None))
        };
        let mut ended = false;
        let all = self.chain.iter().copied();
        all.take_while(move |period| {
            let take = !ended;
            ended = !goes_back(period);
            take
        })
    }
}

/// The later of two changes, of which it may not be known which it is.
fn later(
    (own, own_kind): (ChangedIn, Option<SwapKind>),
    (began, first_kind): (ChangedIn, Option<SwapKind>),
) -> Change {
    let after = own.after().max(began.after());
    let before = own.before().max(began.before());
    let kind = if own == began {
        own_kind.or(first_kind)
    } else if own.after() >= began.before() {
        own_kind
    } else if began.after() >= own.before() {
        first_kind
    } else {
        own_kind.filter(|_| own_kind == first_kind)
    };
    // The ends of both are in order, so their maxima are.
    let within = ChangedIn::new(after, before).unwrap_or(own);
    changed(within, kind)
}

const fn changed(within: ChangedIn, kind: Option<SwapKind>) -> Change {
    Change {
        changed_in: Some(within),
        // The system says that this was the last change, so it knows what came after it.
        monitored_since: Some(within.after()),
        kind,
    }
}

const fn none_since(since: Timestamp) -> Change {
    Change {
        changed_in: None,
        monitored_since: Some(since),
        kind: None,
    }
}

fn never(history: History, observed_at: Timestamp) -> Result<Change, Reason> {
    match history {
        History::WholeLife => Ok(Change {
            changed_in: None,
            monitored_since: None,
            kind: None,
        }),
        History::Since(since) if since < observed_at => Ok(none_since(since)),
        History::Since(_) | History::NotStated => Err(Reason::NotWatched),
    }
}

#[cfg(test)]
mod tests;
