//! The view, kept, closed, killed, damaged and opened again.

mod denied;
mod full;
mod rotten;
mod written;

use accord_proto::observation::{Observed, Roaming, SourceClass};
use jiff::SignedDuration;

use super::{guarded::DAMAGED_FILE, *};

fn seen(at: &str) -> Observation {
    let what = Observed::Roaming(Roaming {
        roaming: true,
        visited_mcc: Some(208),
    });
    let observed_at: Timestamp = at.parse().unwrap();
    Observation {
        what,
        observed_at,
        source: SourceClass::Network,
    }
}

/// What everything rests on here.
fn said() -> Said {
    Said {
        instance: "a".to_owned(),
        journal_index: 1,
        digest: [9; 32],
    }
}

fn north() -> OrgName {
    OrgName::parse("north-mobile").unwrap()
}

fn keep(views: &Views, digest: &NumberDigest, at: &str) {
    views.keep(digest, Signal::Roaming, &seen(at), false, &said());
}

fn open(dir: &Path) -> Opened {
    Views::open(&dir.join("view"), &dir.join("view.key"), 1 << 20).unwrap()
}

#[test]
fn keeps_the_newest_observation_over_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let number = Msisdn::parse("+447700900006").unwrap();
    let views = open(dir.path()).views;
    let digest = views.digest(&north(), &number);
    let (newer, older) = (seen("2026-11-21T12:00:00Z"), seen("2026-11-21T11:00:00Z"));
    views.keep(&digest, Signal::Roaming, &newer, false, &said());
    views.keep(&digest, Signal::Roaming, &older, false, &said());
    let epoch = views.epoch();
    views.close();
    drop(views);
    let again = open(dir.path());
    assert!(again.rebuilt.is_none());
    assert_eq!(again.views.epoch(), epoch);
    let found = again.views.find(&digest, Signal::Roaming).unwrap();
    assert_eq!(found.observation, newer);
    assert_eq!(again.views.find(&digest, Signal::SimSwap), None);
}

#[test]
fn what_is_denied_of_one_signal_goes_alone() {
    let dir = tempfile::tempdir().unwrap();
    let views = open(dir.path()).views;
    let (one, other) = ([1; 16], [2; 16]);
    keep(&views, &one, "2026-11-21T12:00:00Z");
    keep(&views, &other, "2026-11-21T12:00:00Z");
    let now = "2026-11-21T12:00:01Z".parse().unwrap();
    views.doubt(&one, Signal::SimSwap, None, now);
    assert!(views.find(&one, Signal::Roaming).is_some());
    views.doubt(&one, Signal::Roaming, None, now);
    assert_eq!(views.find(&one, Signal::Roaming), None);
    assert!(views.find(&other, Signal::Roaming).is_some());
}

#[test]
fn what_one_operator_said_is_not_found_as_anothers() {
    let dir = tempfile::tempdir().unwrap();
    let number = Msisdn::parse("+447700900006").unwrap();
    let views = open(dir.path()).views;
    let digest = views.digest(&north(), &number);
    keep(&views, &digest, "2026-11-21T12:00:00Z");
    let ported = views.digest(&OrgName::parse("south-mobile").unwrap(), &number);
    assert_eq!(views.find(&ported, Signal::Roaming), None);
    assert!(views.find(&digest, Signal::Roaming).is_some());
}

#[test]
fn an_older_observation_never_overwrites_a_newer_one_that_comes_at_the_same_time() {
    let dir = tempfile::tempdir().unwrap();
    let views = open(dir.path()).views;
    let number = Msisdn::parse("+447700900006").unwrap();
    let digest = views.digest(&north(), &number);
    let at = |minutes: i64| {
        let mut one = seen("2026-01-01T00:00:00Z");
        one.observed_at += SignedDuration::from_mins(minutes);
        one
    };
    let start = std::sync::Barrier::new(2);
    std::thread::scope(|scope| {
        for first in 0..2 {
            let (views, start) = (&views, &start);
            scope.spawn(move || {
                for minutes in 0..2_000 {
                    start.wait();
                    views.keep(
                        &digest,
                        Signal::Roaming,
                        &at(minutes * 2 + first),
                        false,
                        &said(),
                    );
                    start.wait();
                    let found = views.find(&digest, Signal::Roaming).unwrap();
                    assert_eq!(found.observation, at(minutes * 2 + 1));
                }
            });
        }
    });
}

#[test]
fn a_sweep_removes_what_is_too_old_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let views = open(dir.path()).views;
    let digest = |number| views.digest(&north(), &Msisdn::parse(number).unwrap());
    let (old, new) = (digest("+447700900006"), digest("+447700900007"));
    keep(&views, &old, "2026-11-21T11:59:59Z");
    keep(&views, &new, "2026-11-21T12:00:00Z");
    assert_eq!(views.sweep("2026-11-21T12:00:00Z".parse().unwrap()), 1);
    assert_eq!(views.find(&old, Signal::Roaming), None);
    assert!(views.find(&new, Signal::Roaming).is_some());
    // The records that are no observations are still there.
    let epoch = views.epoch();
    views.close();
    drop(views);
    let again = open(dir.path());
    assert!(again.rebuilt.is_none());
    assert_eq!(again.views.epoch(), epoch);
}

#[test]
fn a_damaged_store_is_set_aside_and_begun_anew() {
    let dir = tempfile::tempdir().unwrap();
    let number = Msisdn::parse("+447700900006").unwrap();
    let views = open(dir.path()).views;
    let digest = views.digest(&north(), &number);
    for hours in 0..2_000 {
        let mut one = seen("2026-01-01T00:00:00Z");
        one.observed_at += SignedDuration::from_hours(hours);
        views.keep(&digest, Signal::Roaming, &one, false, &said());
    }
    let epoch = views.epoch();
    views.close();
    drop(views);
    let conf = dir.path().join("view").join("conf");
    std::fs::write(conf, b"this is no sled store, but it was one a moment ago").unwrap();
    let again = open(dir.path());
    assert!(matches!(again.rebuilt, Some(Rebuilt::Damaged(aside)) if aside.exists()));
    assert_ne!(again.views.epoch(), epoch);
    assert_eq!(again.views.find(&digest, Signal::Roaming), None);
    keep(&again.views, &digest, "2026-11-21T12:00:00Z");
    assert!(again.views.find(&digest, Signal::Roaming).is_some());
}

#[test]
fn a_store_that_was_not_closed_is_begun_anew_and_not_set_aside() {
    let dir = tempfile::tempdir().unwrap();
    let number = Msisdn::parse("+447700900006").unwrap();
    let views = open(dir.path()).views;
    let digest = views.digest(&north(), &number);
    keep(&views, &digest, "2026-11-21T12:00:00Z");
    let epoch = views.epoch();
    drop(views);
    let again = open(dir.path());
    assert!(again.rebuilt == Some(Rebuilt::NotClosed));
    assert_ne!(again.views.epoch(), epoch);
    assert_eq!(again.views.find(&digest, Signal::Roaming), None);
}

#[test]
fn a_store_that_is_open_is_neither_set_aside_nor_emptied() {
    let dir = tempfile::tempdir().unwrap();
    let views = open(dir.path()).views;
    let digest = [1; 16];
    keep(&views, &digest, "2026-11-21T12:00:00Z");
    let second = Views::open(
        &dir.path().join("view"),
        &dir.path().join("view.key"),
        1 << 20,
    );
    assert!(matches!(second, Err(ViewError::InUse(_))));
    assert!(is_found(&views, &digest));
    views.close();
    drop(views);
    let again = open(dir.path());
    assert!(again.rebuilt.is_none());
    assert!(is_found(&again.views, &digest));
}

#[test]
fn a_store_that_lost_its_end_is_set_aside() {
    let dir = tempfile::tempdir().unwrap();
    let views = open(dir.path()).views;
    views.close();
    drop(views);
    let marker = dir.path().join("view").join("closed");
    std::fs::write(marker, [0; 16]).unwrap();
    let again = open(dir.path());
    assert!(matches!(again.rebuilt, Some(Rebuilt::Damaged(_))));
}

#[test]
fn no_number_lies_in_the_store() {
    let dir = tempfile::tempdir().unwrap();
    let views = open(dir.path()).views;
    let number = Msisdn::parse("+447700900006").unwrap();
    let digest = views.digest(&north(), &number);
    keep(&views, &digest, "2026-11-21T12:00:00Z");
    views.close();
    drop(views);
    let mut bytes = 0;
    for file in std::fs::read_dir(dir.path().join("view")).unwrap() {
        let path = file.unwrap().path();
        if path.is_file() {
            let content = std::fs::read(path).unwrap();
            bytes += content.len();
            assert!(!content.windows(9).any(|window| window == b"700900006"));
        }
    }
    assert!(bytes > 0);
}

#[test]
fn a_store_that_is_gone_is_begun_anew_and_the_first_one_ever_is_not() {
    let dir = tempfile::tempdir().unwrap();
    let first = open(dir.path());
    assert_eq!(first.rebuilt, None);
    first.views.close();
    let epoch = first.views.epoch();
    drop(first);
    std::fs::remove_dir_all(dir.path().join("view")).unwrap();
    let again = open(dir.path());
    assert_eq!(again.rebuilt, Some(Rebuilt::Missing));
    assert_ne!(again.views.epoch(), epoch);
}

#[test]
fn two_damaged_stores_are_kept_and_no_more() {
    let dir = tempfile::tempdir().unwrap();
    for _ in 0..5 {
        let views = open(dir.path()).views;
        views.close();
        drop(views);
        std::fs::write(dir.path().join("view/conf"), b"no sled store any more").unwrap();
    }
    let again = open(dir.path());
    let aside = dir.path().join("view.damaged-5");
    assert_eq!(again.rebuilt, Some(Rebuilt::Damaged(aside)));
    let names = std::fs::read_dir(dir.path()).unwrap();
    let mut names: Vec<_> = names.map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(
        names,
        ["view", "view.damaged-4", "view.damaged-5", "view.key"]
    );
}

#[test]
fn a_key_that_a_crash_left_half_written_is_made_anew() {
    let dir = tempfile::tempdir().unwrap();
    let partial = dir.path().join("view.partial");
    std::fs::write(&partial, b"half").unwrap();
    let digest = |views: &Views| {
        let number = Msisdn::parse("+447700900006").unwrap();
        views.digest(&north(), &number)
    };
    let views = open(dir.path()).views;
    let first = digest(&views);
    assert!(!partial.exists());
    drop(views);
    assert_eq!(digest(&open(dir.path()).views), first);
}

fn is_found(views: &Views, digest: &NumberDigest) -> bool {
    views.find(digest, Signal::Roaming).is_some()
}

#[test]
fn what_was_withdrawn_comes_back_only_with_what_was_observed_later() {
    let dir = tempfile::tempdir().unwrap();
    let views = open(dir.path()).views;
    let digest = [1; 16];
    let now: Timestamp = "2026-11-21T12:00:00Z".parse().unwrap();
    let until = now + CLOCK_SKEW_MAX;
    let found = || {
        views
            .find(&digest, Signal::Roaming)
            .map(|kept| kept.observation)
    };
    keep(&views, &digest, "2026-11-21T12:00:01Z");
    views.keep(
        &digest,
        Signal::SimSwap,
        &seen("2026-11-21T11:00:00Z"),
        false,
        &said(),
    );
    views.withdraw(&digest, Signal::Roaming, now);
    assert_eq!(found(), None);
    // An answer that was on its way.
    keep(&views, &digest, "2026-11-21T12:00:00Z");
    keep(&views, &digest, "2026-11-21T12:00:02Z");
    assert_eq!(found(), None);
    // Another one, in between, was that its sources contradict each other.
    views.doubt(&digest, Signal::Roaming, None, now);
    keep(&views, &digest, "2026-11-21T12:00:01Z");
    assert_eq!(found(), None);
    // It is swept as what was observed then.
    assert_eq!(
        views.sweep(until),
        1,
        "what does not decode as its signal goes"
    );
    keep(&views, &digest, "2026-11-21T12:00:00Z");
    assert_eq!(found(), None);
    assert_eq!(views.sweep(until + SignedDuration::from_secs(1)), 1);
    keep(&views, &digest, "2026-11-21T12:00:00Z");
    assert_eq!(found(), Some(seen("2026-11-21T12:00:00Z")));
    views.withdraw(&digest, Signal::Roaming, now);
    keep(&views, &digest, "2026-11-21T12:00:03Z");
    assert_eq!(found(), Some(seen("2026-11-21T12:00:03Z")));
}
