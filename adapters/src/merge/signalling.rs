//! Attacks by signalling, from what several firewalls let pass. They are no second opinions of one
//! thing, as other sources are: each guards another door (SS7, Diameter, SMS), so an attack that one
//! saw is an attack, and *none* takes all of them.

use accord_proto::{
    observation::{ChangedIn, Observation, Observed, Signalling, SourceClass},
    reason::Reason,
};
use jiff::Timestamp;

use super::{Trust, earlier, later, reasons};

/// What all saw. A firewall that gave a reason instead may have seen another attack: what the others
/// saw stands, and nothing is said of the time after it.
///
/// # Errors
/// The reason of a firewall that gave one, where the others saw no attack.
pub(super) fn merge(
    observed: &[(&Observation, Trust)],
    missing: &[(Reason, Trust)],
    doubt: bool,
    now: Timestamp,
) -> Result<Observation, Reason> {
    let mut all: Option<(Signalling, Timestamp, SourceClass)> = None;
    for (observation, trust) in observed {
        let Observed::Signalling(seen) = &observation.what else {
            continue;
        };
        let error = trust.clock_error;
        let until = earlier(observation.observed_at, error);
        let since = later(seen.monitored_since, error);
        let within = seen.passed_in.and_then(|within| {
            let after = earlier(within.after(), error);
            let before = later(within.before(), error).min(now.max(after));
            ChangedIn::new(after, before)
        });
        let (known, vouched, source) = all.unwrap_or((
            Signalling {
                passed_in: None,
                kind: None,
                monitored_since: since,
            },
            until,
            observation.source,
        ));
        let watched = Signalling {
            monitored_since: known.monitored_since.max(since),
            ..known
        };
        let seen = within.map_or(watched, |within| watched.with(within, seen.kind));
        all = Some((seen, vouched.min(until), source));
    }
    let (mut seen, vouched, source) = all.ok_or(Reason::NotAvailable)?;
    // One that never knows this guards no door.
    let unheard: Vec<_> = missing
        .iter()
        .copied()
        .filter(|(reason, _)| *reason != Reason::NotAvailable)
        .collect();
    // An attack that one saw while another had not looked yet: nothing is said of what came after.
    let ends = seen.passed_in.map(|within| within.before());
    let observed_at = ends.map_or(vouched, |ends| ends.max(vouched));
    let half_heard = doubt || !unheard.is_empty();
    if half_heard && ends.is_none() {
        return Err(if doubt {
            Reason::Undecided
        } else {
            reasons::most_telling(&unheard)
        });
    }
    seen.monitored_since = if half_heard || observed_at > vouched {
        observed_at
    } else {
        // None of them is gone: they have been watching together for no time yet.
        seen.monitored_since.min(observed_at)
    };
    Ok(Observation {
        what: Observed::Signalling(seen),
        observed_at,
        source,
    })
}

#[cfg(test)]
mod tests {
    use accord_proto::{observation::AttackKind, signal::Signal};
    use jiff::SignedDuration;

    use super::{
        super::{Said, merge},
        *,
    };

    fn noon() -> Timestamp {
        "2026-11-21T12:00:00Z".parse().unwrap()
    }

    fn ago(minutes: i64) -> Timestamp {
        noon() - SignedDuration::from_mins(minutes)
    }

    /// An attack so many minutes ago, or none; watched and observed since and until so many ago.
    fn firewall(attack: Option<i64>, watched: i64, observed: i64) -> Said {
        let seen = Signalling {
            passed_in: attack.map(|minutes| ChangedIn::at(ago(minutes))),
            kind: attack.map(|_| AttackKind::LocationHijack),
            monitored_since: ago(watched),
        };
        Said {
            trust: Trust::PLAIN,
            outcome: Ok(Observation {
                what: Observed::Signalling(seen),
                observed_at: ago(observed),
                source: SourceClass::Events,
            }),
        }
    }

    fn no(reason: Reason) -> Said {
        Said {
            trust: Trust::PLAIN,
            outcome: Err(reason),
        }
    }

    /// Minutes ago: of the attack, watched since, observed at.
    fn told(said: &[Said]) -> Result<(Option<i64>, i64, i64), Reason> {
        let merged = merge(Signal::SignallingAnomaly, said, noon())?;
        let Observed::Signalling(seen) = merged.what else {
            panic!("{:?}", merged.what);
        };
        let minutes = |at: Timestamp| noon().duration_since(at).as_mins();
        let attack = seen.passed_in.map(|within| minutes(within.before()));
        Ok((
            attack,
            minutes(seen.monitored_since),
            minutes(merged.observed_at),
        ))
    }

    #[test]
    fn none_takes_all_firewalls_and_one_attack_is_enough() {
        let both = |one, other| told(&[one, other]);
        assert_eq!(
            both(firewall(None, 90, 1), firewall(None, 60, 2)),
            Ok((None, 60, 2))
        );
        assert_eq!(
            both(firewall(Some(30), 90, 0), firewall(None, 60, 0)),
            Ok((Some(30), 60, 0))
        );
        // One saw it after the other looked last: yes, and no word of what came after.
        assert_eq!(
            both(firewall(Some(5), 90, 0), firewall(None, 60, 10)),
            Ok((Some(5), 5, 5))
        );
    }

    #[test]
    fn a_firewall_that_is_not_heard_leaves_what_another_saw_and_makes_no_no() {
        let down = || no(Reason::SourceDown);
        assert_eq!(
            told(&[firewall(None, 90, 0), down()]),
            Err(Reason::SourceDown)
        );
        assert_eq!(
            told(&[firewall(Some(30), 90, 0), down()]),
            Ok((Some(30), 0, 0))
        );
        // A source that never knows guards no door.
        let never = no(Reason::NotAvailable);
        assert_eq!(told(&[firewall(None, 90, 0), never]), Ok((None, 90, 0)));
    }

    #[test]
    fn a_wrong_clock_moves_each_bound_to_where_it_claims_less() {
        let mut one = firewall(Some(30), 90, 0);
        one.trust.clock_error = SignedDuration::from_mins(2);
        assert_eq!(told(&[one.clone()]), Ok((Some(28), 88, 2)));
        let Ok(observation) = merge(Signal::SignallingAnomaly, &[one], noon()) else {
            panic!("nothing merged");
        };
        let Observed::Signalling(seen) = observation.what else {
            panic!("{:?}", observation.what);
        };
        assert_eq!(seen.passed_in.unwrap().after(), ago(32));
    }
}
