//! The last change, from what several sources claim of it. The module above says what a claim is.

use accord_proto::{
    observation::{Change, ChangedIn, Observation, Observed, SourceClass, SwapKind},
    reason::Reason,
};
use jiff::{SignedDuration, Timestamp};

use super::{Trust, earlier, later};

/// What one source claims, each bound moved to where it claims less.
#[derive(Clone, Copy, Debug)]
struct Claim {
    /// At least one change lies here.
    exists: Option<Exists>,
    /// No change lies here, if it is not empty.
    quiet: Quiet,
    /// Watched without a gap since then; `Timestamp::MIN`: it knows the whole life.
    watched: Quiet,
    kind: Option<SwapKind>,
    source: SourceClass,
    stands_for: SignedDuration,
}

/// The interval `(lo, hi]`, or `[lo, hi]` if `closed`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Exists {
    lo: Timestamp,
    closed: bool,
    hi: Timestamp,
}

/// The interval `(from, to]`; empty if it does not end after it begins.
#[derive(Clone, Copy, Debug)]
struct Quiet {
    from: Timestamp,
    to: Timestamp,
}

impl Claim {
    fn new(observation: &Observation, change: &Change, trust: Trust, now: Timestamp) -> Self {
        let error = trust.clock_error;
        let to = earlier(observation.observed_at, error);
        let exists = change.changed_in.map(|within| {
            let lo = earlier(within.after(), error);
            Exists {
                lo,
                closed: within.after() == within.before(),
                // Whatever its clock says: it was heard of, so it lies not after now.
                hi: later(within.before(), error).min(now.max(lo)),
            }
        });
        let watched_from = change
            .monitored_since
            .map_or(Timestamp::MIN, |since| later(since, error));
        let quiet_from = change
            .changed_in
            .map_or(watched_from, |within| later(within.before(), error));
        Self {
            exists,
            quiet: Quiet {
                from: quiet_from,
                to,
            },
            watched: Quiet {
                from: watched_from,
                to,
            },
            kind: change.kind,
            source: observation.source,
            stands_for: trust.stands_for,
        }
    }
}

pub(super) fn merge(
    observed: &[(&Observation, Trust)],
    doubt: bool,
    now: Timestamp,
) -> Result<Observation, Reason> {
    let mut claims = Vec::with_capacity(observed.len());
    for (observation, trust) in observed {
        if let Observed::Change(change) = &observation.what {
            claims.push(Claim::new(observation, change, *trust, now));
        }
    }
    let quiets: Vec<Quiet> = claims.iter().map(|claim| claim.quiet).collect();
    for claim in &mut claims {
        if let Some(exists) = claim.exists {
            claim.exists = Some(cut(exists, &quiets).ok_or(Reason::Contradicted)?);
        }
    }
    // The newest lower bound of a change, and who has it.
    let newest = claims
        .iter()
        .filter_map(|claim| Some((claim.exists?, claim.source)))
        .max_by_key(|(exists, _)| (exists.lo, !exists.closed));
    if doubt {
        let (exists, source) = newest.ok_or(Reason::Undecided)?;
        let until = now.max(exists.hi);
        return Ok(last_change(exists, until, until, source));
    }
    let until = observed_until(&claims, &quiets);
    let quiet_from = reach(until, &quiets);
    let Some((exists, source)) = newest else {
        return Ok(none_since(&claims, quiet_from, until));
    };
    let (until, upper) = (until.max(exists.hi), quiet_from.max(exists.lo));
    let mut merged = last_change(exists, upper, until, source);
    if let Observed::Change(change) = &mut merged.what {
        change.kind = kind(&claims, exists, upper);
        let watches: Vec<Quiet> = claims.iter().map(|claim| claim.watched).collect();
        let since = reach(until, &watches);
        change.monitored_since = (since > Timestamp::MIN).then_some(since);
    }
    Ok(merged)
}

/// An interval without the quiet times at both its ends; `None` if nothing is left of it.
fn cut(mut exists: Exists, quiets: &[Quiet]) -> Option<Exists> {
    if exists.closed && exists.lo == exists.hi {
        let excludes = |quiet: &Quiet| quiet.from < exists.lo && exists.lo <= quiet.to;
        return (!quiets.iter().any(excludes)).then_some(exists);
    }
    // A closed lower end of more than an instant: the nanosecond before it, open.
    if exists.closed {
        exists.lo = earlier(exists.lo, NANOSECOND);
        exists.closed = false;
    }
    while let Some(quiet) = quiets
        .iter()
        .find(|quiet| quiet.from <= exists.lo && exists.lo < quiet.to)
    {
        exists.lo = quiet.to;
    }
    while let Some(quiet) = quiets
        .iter()
        .find(|quiet| quiet.from < exists.hi && exists.hi <= quiet.to)
    {
        exists.hi = quiet.from;
    }
    (exists.lo < exists.hi).then_some(exists)
}

/// Since when nothing has changed up to `until`, as far as the quiet times touch.
fn reach(until: Timestamp, quiets: &[Quiet]) -> Timestamp {
    let mut from = until;
    while let Some(quiet) = quiets
        .iter()
        .find(|quiet| quiet.from < from && from <= quiet.to)
    {
        from = quiet.from;
    }
    from
}

/// As of when the answer holds: the newest instant, or an older one before which more is known.
fn observed_until(claims: &[Claim], quiets: &[Quiet]) -> Timestamp {
    let changed = claims.iter().filter_map(|claim| Some(claim.exists?.hi));
    let changed = changed.max().unwrap_or(Timestamp::MIN);
    let ends = claims.iter().map(|claim| claim.quiet.to);
    let newest = ends.max().unwrap_or(Timestamp::MIN).max(changed);
    let mut best = newest;
    for claim in claims {
        let at = claim.quiet.to;
        let known_for = |until: Timestamp| until.duration_since(reach(until, quiets));
        let apart = reach(best, quiets) > at;
        let stands = newest.duration_since(at) <= claim.stands_for;
        if apart && stands && at >= changed && known_for(at) > known_for(best) {
            best = at;
        }
    }
    best
}

fn none_since(claims: &[Claim], since: Timestamp, until: Timestamp) -> Observation {
    let supports = claims.iter().find(|claim| claim.quiet.to >= until);
    let change = Change {
        changed_in: None,
        monitored_since: (since > Timestamp::MIN).then_some(since),
        kind: None,
    };
    Observation {
        what: Observed::Change(change),
        observed_at: until,
        source: supports.map_or(SourceClass::Network, |claim| claim.source),
    }
}

/// The last change lies from `exists.lo` to `upper`.
fn last_change(
    exists: Exists,
    upper: Timestamp,
    until: Timestamp,
    source: SourceClass,
) -> Observation {
    // An interval that is more than an instant has an open lower end.
    let after = if exists.closed && upper > exists.lo {
        earlier(exists.lo, NANOSECOND)
    } else {
        exists.lo
    };
    let change = Change {
        changed_in: ChangedIn::new(after, upper),
        monitored_since: Some(after),
        kind: None,
    };
    Observation {
        what: Observed::Change(change),
        observed_at: until,
        source,
    }
}

/// The kind of the last change, if all who saw that very change agree.
fn kind(claims: &[Claim], last: Exists, upper: Timestamp) -> Option<SwapKind> {
    let saw_it = |claim: &&Claim| {
        claim.exists.is_some_and(|exists| {
            let overlaps = exists.hi > last.lo || (exists.hi == last.lo && last.closed);
            overlaps && (claim.quiet.to >= upper || exists.hi >= upper)
        })
    };
    let mut kinds = claims.iter().filter(saw_it).filter_map(|claim| claim.kind);
    let first = kinds.next()?;
    kinds.all(|other| other == first).then_some(first)
}

const NANOSECOND: SignedDuration = SignedDuration::from_nanos(1);
