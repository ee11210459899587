//! From what events have told of a number to observations, each with its limits.

use accord_proto::{
    observation::{
        Change, ChangedIn, Forwarding, ForwardingCondition, ForwardingTarget, Observation,
        Observed, Signalling, SourceClass,
    },
    reason::Reason,
    signal::Signal,
};
use jiff::Timestamp;

use super::envelope::Forward;
use super::line::{BEGUN_PORT, Line, Micros, Newest, attack_kind, forward, swap_kind};
use super::watch::{Pace, Watch};

/// What is known of one number, for one signal.
#[derive(Clone, Copy, Debug)]
pub(super) struct Known {
    pub(super) line: Line,
    /// How far that is known which the signal follows from.
    pub(super) watch: Watch,
    pub(super) pace: Pace,
    /// By the adapter's clock, which may lie behind the producer's: what was told has happened, so
    /// nothing is said to lie after it.
    pub(super) now: Micros,
}

impl Known {
    /// What is known of one signal.
    pub(super) fn observation(&self, signal: Signal) -> Result<Observation, Reason> {
        let line = &self.line;
        if line.ported_out.at > line.begun.at {
            return Err(Reason::NotOurs);
        }
        if line.ceased.at > line.begun.at {
            return Err(Reason::UnknownNumber);
        }
        if self.watch.since == 0 {
            return Err(Reason::NotWatched);
        }
        let known = self.of_line(signal);
        // What is told until the watch begins may be told late.
        if known.watch.since > self.now {
            return Err(Reason::NotWatched);
        }
        if signal == Signal::SimSwap {
            Ok(known.changed(known.line.sim, true))
        } else if signal == Signal::DeviceSwap {
            Ok(known.changed(known.line.device, false))
        } else if signal == Signal::CallForwarding {
            known.forwarding()
        } else if signal == Signal::NumberRecycling || signal == Signal::Tenure {
            Ok(known.holder())
        } else if signal == Signal::SignallingAnomaly {
            Ok(known.signalling())
        } else {
            Err(Reason::NotAvailable)
        }
    }

    /// What of it is about the present line. Which device the number was in before the line began,
    /// where its calls went and which attack met it was another holder's or another network's, and
    /// nobody here watched it. Its SIM and its holder began with the line, which is an event of theirs.
    fn of_line(&self, signal: Signal) -> Self {
        let (mut line, mut watch) = (self.line, self.watch);
        let drop_older = |register: &mut Newest| {
            if register.at < self.line.begun.at {
                *register = Newest::default();
            }
        };
        match signal {
            Signal::DeviceSwap => drop_older(&mut line.device),
            Signal::CallForwarding => line.forwards.iter_mut().for_each(drop_older),
            Signal::SignallingAnomaly => drop_older(&mut line.alarm_passed),
            Signal::NumberRecycling | Signal::Roaming | Signal::SimSwap | Signal::Tenure => {
                return *self;
            }
        }
        watch.since = watch.since.max(line.begun.at);
        Self {
            line,
            watch,
            ..*self
        }
    }

    /// What the newest event of a signal says by itself, while nothing is watched: that it happened,
    /// and nothing of before or after.
    pub(super) fn fact(&self, signal: Signal) -> Result<Observation, Reason> {
        let Self { line, .. } = self.of_line(signal);
        let at = match signal {
            Signal::SimSwap => line.sim.at,
            Signal::DeviceSwap => line.device.at,
            Signal::NumberRecycling | Signal::Tenure => line.begun.at,
            Signal::SignallingAnomaly => line.alarm_passed.at,
            Signal::CallForwarding => line.forwards.iter().map(|one| one.at).max().unwrap_or(0),
            Signal::Roaming => 0,
        };
        let watch = Watch {
            since: at.min(self.now),
            newest: 0,
        };
        Self { watch, ..*self }.observation(signal)
    }

    /// An event that lies before the watch began again is the last one or not: then the last change
    /// lies somewhere between.
    fn changed(&self, last: Newest, of_sim: bool) -> Observation {
        let since = self.watch.since;
        let (changed_in, kind) = if last.at == 0 {
            (None, None)
        } else if last.at >= since {
            let kind = swap_kind(last.code).filter(|_| of_sim);
            (Some(ChangedIn::at(self.at(last.at))), kind)
        } else {
            let after = instant(last.at.saturating_sub(1));
            (ChangedIn::new(after, instant(since)), None)
        };
        self.change(Change {
            changed_in,
            monitored_since: Some(instant(since)),
            kind,
        })
    }

    /// A port brings the holder along.
    fn holder(&self) -> Observation {
        let begun = self.line.begun;
        if begun.at >= self.watch.since && begun.code == BEGUN_PORT {
            return self.change(Change {
                changed_in: None,
                monitored_since: Some(self.at(begun.at)),
                kind: None,
            });
        }
        if begun.at != 0 && begun.code == BEGUN_PORT {
            return self.changed(Newest::default(), false);
        }
        self.changed(begun, false)
    }

    fn change(&self, change: Change) -> Observation {
        let last = change.changed_in.map(|within| within.before());
        let since = change.monitored_since;
        // Until its own ends an interval claims nothing.
        let observed_at = [
            Some(self.at(self.watch.observed_to(self.pace))),
            last,
            since,
        ]
        .into_iter()
        .flatten()
        .max();
        Observation {
            what: Observed::Change(change),
            observed_at: observed_at.unwrap_or(Timestamp::MIN),
            source: SourceClass::Events,
        }
    }

    /// An attack that was seen stays seen, whatever was lost later.
    fn signalling(&self) -> Observation {
        let last = self.line.alarm_passed;
        let since = self.watch.since;
        let passed_in = (last.at != 0).then(|| ChangedIn::at(self.at(last.at)));
        let newest = self.watch.observed_to(self.pace).max(since).max(last.at);
        Observation {
            what: Observed::Signalling(Signalling {
                passed_in,
                kind: attack_kind(last.code).filter(|_| passed_in.is_some()),
                monitored_since: instant(since),
            }),
            observed_at: self.at(newest),
            source: SourceClass::Events,
        }
    }

    /// Of a condition of which nothing was told since the watch began, nobody can say that it is
    /// not active; nor of one that was told just now, when another may still be told late. So *all*
    /// is said as of when all has been told, and *some* as soon as one leads elsewhere.
    fn forwarding(&self) -> Result<Observation, Reason> {
        let mut active = Vec::new();
        let mut all_known = true;
        let observed_to = self.watch.observed_to(self.pace);
        let mut newest = 0;
        for (condition, register) in ForwardingCondition::ALL.iter().zip(self.line.forwards) {
            let told = forward(register.code).filter(|_| register.at >= self.watch.since);
            newest = newest.max(told.map_or(0, |_| register.at));
            let target = match told {
                None => {
                    all_known = false;
                    continue;
                }
                Some(Forward::Cleared) => continue,
                Some(Forward::AnotherNumber) => ForwardingTarget::AnotherNumber,
                Some(Forward::OwnVoicemail) => ForwardingTarget::OwnVoicemail,
                Some(Forward::Unknown) => ForwardingTarget::Unknown,
            };
            active.push(Forwarding {
                condition: *condition,
                target,
            });
        }
        let what = if all_known && newest <= observed_to {
            Observed::Forwarding(active)
        } else if active.iter().any(Forwarding::leads_elsewhere) {
            Observed::SomeForwarding(active)
        } else if all_known {
            return Err(Reason::Undecided);
        } else {
            return Err(Reason::NotWatched);
        };
        Ok(Observation {
            what,
            observed_at: self.at(newest.max(observed_to)),
            source: SourceClass::Events,
        })
    }

    fn at(&self, at: Micros) -> Timestamp {
        instant(at.min(self.now))
    }
}

fn instant(at: Micros) -> Timestamp {
    Timestamp::from_microsecond(at).unwrap_or(Timestamp::MIN)
}

#[cfg(test)]
mod tests;
