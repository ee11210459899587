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

/// What is known of one number.
#[derive(Clone, Copy, Debug)]
pub(super) struct Known {
    pub(super) line: Line,
    pub(super) watch: Watch,
    pub(super) pace: Pace,
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
        if signal == Signal::SimSwap {
            Ok(self.changed(line.sim, true))
        } else if signal == Signal::DeviceSwap {
            Ok(self.changed(line.device, false))
        } else if signal == Signal::CallForwarding {
            self.forwarding()
        } else if signal == Signal::NumberRecycling || signal == Signal::Tenure {
            Ok(self.holder())
        } else if signal == Signal::SignallingAnomaly {
            Ok(self.signalling())
        } else {
            Err(Reason::NotAvailable)
        }
    }

    /// An event that lies before the watch began again is the last one or not: then the last change
    /// lies somewhere between.
    fn changed(&self, last: Newest, of_sim: bool) -> Observation {
        let since = self.watch.since;
        let (changed_in, kind) = if last.at == 0 {
            (None, None)
        } else if last.at >= since {
            let kind = swap_kind(last.code).filter(|_| of_sim);
            (Some(ChangedIn::at(instant(last.at))), kind)
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
                monitored_since: Some(instant(begun.at)),
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
            Some(instant(self.watch.observed_to(self.pace))),
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
        let passed_in = (last.at != 0).then(|| ChangedIn::at(instant(last.at)));
        let newest = self.watch.observed_to(self.pace).max(since).max(last.at);
        Observation {
            what: Observed::Signalling(Signalling {
                passed_in,
                kind: attack_kind(last.code).filter(|_| passed_in.is_some()),
                monitored_since: instant(since),
            }),
            observed_at: instant(newest),
            source: SourceClass::Events,
        }
    }

    /// Of a condition of which nothing was told since the watch began, nobody can say that it is
    /// not active.
    fn forwarding(&self) -> Result<Observation, Reason> {
        let mut active = Vec::new();
        let mut all_known = true;
        let mut newest = self.watch.observed_to(self.pace);
        for (condition, register) in ForwardingCondition::ALL.iter().zip(self.line.forwards) {
            let told = forward(register.code).filter(|_| register.at >= self.watch.since);
            newest = newest.max(told.map_or(newest, |_| register.at));
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
        if active.is_empty() && !all_known {
            return Err(Reason::NotWatched);
        }
        Ok(Observation {
            what: Observed::Forwarding(active),
            observed_at: instant(newest),
            source: SourceClass::Events,
        })
    }
}

fn instant(at: Micros) -> Timestamp {
    Timestamp::from_microsecond(at).unwrap_or(Timestamp::MIN)
}

#[cfg(test)]
mod tests {
    use accord_proto::observation::{AttackKind, SwapKind};

    use super::*;
    use crate::events::envelope::{Begun, Happened};

    /// Watched since 1,000 s until 2,000 s.
    fn known(events: &[(Happened, i64)]) -> Known {
        let mut line = Line::default();
        for (happened, at) in events {
            line.take(*happened, at * 1_000_000);
        }
        Known {
            line,
            watch: Watch {
                since: 1_000_000_000,
                newest: 2_000_000_000,
                ..Watch::default()
            },
            pace: Pace {
                lateness: 0,
                gap_max: 1,
            },
        }
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(seconds).unwrap()
    }

    fn change(known: &Known, signal: Signal) -> Change {
        let observation = known.observation(signal).unwrap();
        let Observed::Change(change) = observation.what else {
            panic!("no change");
        };
        assert!(
            change
                .changed_in
                .is_none_or(|within| within.before() <= observation.observed_at)
        );
        change
    }

    #[test]
    fn a_swap_since_the_watch_began_is_an_instant_and_an_older_one_an_interval() {
        let swap = |at| known(&[(Happened::SimSwap(Some(SwapKind::Esim)), at)]);
        let new = change(&swap(1_500), Signal::SimSwap);
        assert_eq!(new.changed_in, Some(ChangedIn::at(at(1_500))));
        assert_eq!(new.kind, Some(SwapKind::Esim));
        let old = change(&swap(500), Signal::SimSwap);
        let within = old.changed_in.unwrap();
        assert!(within.after() < at(500) && within.before() == at(1_000));
        assert_eq!(old.kind, None, "there may have been another one");
        let none = change(&known(&[]), Signal::SimSwap);
        assert_eq!(none.changed_in, None);
        assert_eq!(none.monitored_since, Some(at(1_000)));
    }

    #[test]
    fn a_number_that_left_is_not_ours_until_it_comes_back() {
        let left = known(&[(Happened::PortOut, 1_500)]);
        assert_eq!(left.observation(Signal::SimSwap), Err(Reason::NotOurs));
        let ceased = known(&[(Happened::Cease, 1_500)]);
        assert_eq!(
            ceased.observation(Signal::Tenure),
            Err(Reason::UnknownNumber)
        );
        let back = known(&[(Happened::PortOut, 1_500), (Happened::PortIn, 1_600)]);
        assert_eq!(change(&back, Signal::SimSwap).kind, Some(SwapKind::PortIn));
        // A port is no recycling.
        let holder = change(&back, Signal::NumberRecycling);
        assert_eq!(holder.changed_in, None);
        assert_eq!(holder.monitored_since, Some(at(1_600)));
        let again = known(&[
            (Happened::Cease, 1_500),
            (Happened::Activate(Begun::NewLine), 1_700),
        ]);
        let holder = change(&again, Signal::NumberRecycling);
        assert_eq!(holder.changed_in, Some(ChangedIn::at(at(1_700))));
    }

    #[test]
    fn no_forwarding_is_told_only_if_each_condition_was() {
        let forwarding = |events: &[(Happened, i64)]| {
            let observation = known(events).observation(Signal::CallForwarding)?;
            let Observed::Forwarding(active) = observation.what else {
                panic!("no forwarding");
            };
            Ok(active.len())
        };
        let cleared = |condition| Happened::Forwarding(condition, Forward::Cleared);
        let busy = Some(ForwardingCondition::Busy);
        assert_eq!(forwarding(&[]), Err(Reason::NotWatched));
        assert_eq!(
            forwarding(&[(cleared(busy), 1_500)]),
            Err(Reason::NotWatched)
        );
        assert_eq!(forwarding(&[(cleared(None), 1_500)]), Ok(0));
        // Before the watch began is not since.
        assert_eq!(forwarding(&[(cleared(None), 500)]), Err(Reason::NotWatched));
        let set = Happened::Forwarding(busy, Forward::AnotherNumber);
        assert_eq!(forwarding(&[(set, 1_500)]), Ok(1));
        assert_eq!(forwarding(&[(set, 1_500), (cleared(None), 1_600)]), Ok(0));
    }

    #[test]
    fn an_attack_that_passed_is_told_and_one_that_was_blocked_is_not() {
        let alarm = |passed| Happened::SignallingAlarm {
            kind: AttackKind::Interception,
            passed,
        };
        let signalling = |events: &[(Happened, i64)]| {
            let told = known(events).observation(Signal::SignallingAnomaly);
            let Observed::Signalling(signalling) = told.unwrap().what else {
                panic!("another signal");
            };
            signalling
        };
        assert_eq!(signalling(&[(alarm(false), 1_500)]).passed_in, None);
        for seconds in [500, 1_500] {
            let told = signalling(&[(alarm(true), seconds), (alarm(false), 1_600)]);
            assert_eq!(told.passed_in, Some(ChangedIn::at(at(seconds))));
            assert_eq!(told.kind, Some(AttackKind::Interception));
            assert_eq!(told.monitored_since, at(1_000));
        }
    }

    #[test]
    fn without_a_watch_nothing_is_told() {
        let mut lost = known(&[(Happened::SimSwap(None), 1_500)]);
        lost.watch.restart();
        assert_eq!(lost.observation(Signal::SimSwap), Err(Reason::NotWatched));
    }
}
