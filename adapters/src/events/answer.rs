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
        // What is told until the watch begins may be told late.
        if self.watch.since == 0 || self.watch.since > self.now {
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

    /// What the newest event of a signal says by itself, while nothing is watched: that it happened,
    /// and nothing of before or after.
    pub(super) fn fact(&self, signal: Signal) -> Result<Observation, Reason> {
        let line = &self.line;
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
        let elsewhere = |one: &Forwarding| one.target != ForwardingTarget::OwnVoicemail;
        let what = if all_known && newest <= observed_to {
            Observed::Forwarding(active)
        } else if active.iter().any(elsewhere) {
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
            },
            pace: Pace {
                lateness: 0,
                gap_max: 1,
            },
            now: 2_000_000_000,
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
            match observation.what {
                Observed::Forwarding(active) => Ok(active.len()),
                Observed::SomeForwarding(_) => Err(Reason::NotAvailable),
                Observed::Change(_) | Observed::Roaming(_) | Observed::Signalling(_) => {
                    panic!("no forwarding")
                }
            }
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
        assert_eq!(
            forwarding(&[(set, 1_500)]),
            Err(Reason::NotAvailable),
            "one of some"
        );
        assert_eq!(forwarding(&[(cleared(None), 1_400), (set, 1_500)]), Ok(1));
        assert_eq!(forwarding(&[(set, 1_500), (cleared(None), 1_600)]), Ok(0));
        // The default of most subscribers: the condition that leads to a thief may be another one.
        let own = Happened::Forwarding(busy, Forward::OwnVoicemail);
        assert_eq!(forwarding(&[(own, 1_500)]), Err(Reason::NotWatched));
        // What was told just now is not all, as long as another event may come late.
        let of = |what: &[(Happened, i64)]| {
            let mut known = known(what);
            known.pace.lateness = 10_000_000;
            known.observation(Signal::CallForwarding)
        };
        let late = of(&[(cleared(None), 1_995)]);
        assert_eq!(late, Err(Reason::Undecided));
        let late = of(&[(cleared(None), 1_400), (set, 1_995)]).unwrap();
        assert!(matches!(late.what, Observed::SomeForwarding(_)));
        assert_eq!(late.observed_at, at(1_995));
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
        lost.watch = Watch::default();
        assert_eq!(lost.observation(Signal::SimSwap), Err(Reason::NotWatched));
        assert_eq!(lost.fact(Signal::DeviceSwap), Err(Reason::NotWatched));
        let fact = lost.fact(Signal::SimSwap).unwrap();
        assert_eq!(fact.observed_at, at(1_500), "as of then, and no later");
        let Observed::Change(fact) = fact.what else {
            panic!("no change");
        };
        assert_eq!(fact.changed_in, Some(ChangedIn::at(at(1_500))));
        assert_eq!(fact.monitored_since, Some(at(1_500)));
    }

    #[test]
    fn nothing_is_told_to_lie_ahead_of_the_adapters_clock() {
        let mut known = known(&[(Happened::SimSwap(None), 1_500)]);
        known.now = 1_490_000_000;
        let told = known.observation(Signal::SimSwap).unwrap();
        assert_eq!(told.observed_at, at(1_490));
        assert_eq!(
            change(&known, Signal::SimSwap).changed_in,
            Some(ChangedIn::at(at(1_490)))
        );
        // Nor is a watch told of that begins a moment from now.
        known.now = 999_000_000;
        assert_eq!(known.observation(Signal::SimSwap), Err(Reason::NotWatched));
    }
}
