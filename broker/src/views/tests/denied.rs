//! What is held, and then denied.

use super::*;

#[test]
fn what_is_denied_does_not_come_back_with_what_was_observed_before() {
    let dir = tempfile::tempdir().unwrap();
    let views = open(dir.path()).views;
    let digest = [1; 16];
    let now = "2026-11-21T12:05:00Z".parse().unwrap();
    let mut home = seen("2026-11-21T12:05:00Z");
    home.what = Observed::Roaming(Roaming {
        roaming: false,
        visited_mcc: None,
    });
    let doubt = |said: &Observation, lock| {
        views.doubt(&digest, Signal::Roaming, Some((said, lock)), now);
    };
    let at = || {
        let found = views.find(&digest, Signal::Roaming);
        found.map(|kept| kept.observation.observed_at.to_string())
    };
    // Of what is not held nothing is kept.
    doubt(&home, false);
    assert_eq!(at(), None);
    keep(&views, &digest, "2026-11-21T12:00:00Z");
    doubt(&seen("2026-11-21T12:04:00Z"), false);
    assert_eq!(at().as_deref(), Some("2026-11-21T12:00:00Z"));
    doubt(&home, false);
    keep(&views, &digest, "2026-11-21T12:04:59Z");
    assert_eq!(at(), None);
    keep(&views, &digest, "2026-11-21T12:05:00Z");
    assert_eq!(at().as_deref(), Some("2026-11-21T12:05:00Z"));
    // Another word on the lock is another word.
    doubt(&seen("2026-11-21T12:05:00Z"), true);
    assert_eq!(at(), None);
}
