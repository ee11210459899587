//! What is written, and what is only looked at.

use futures_util::FutureExt as _;

use super::*;

/// The keys of what is written while `deed` is done. sled tells each write before it returns.
fn written(views: &Views, deed: impl FnOnce()) -> Vec<Vec<u8>> {
    let mut events = views.store.read(|db| Ok(db.watch_prefix([]))).unwrap();
    deed();
    let told = std::iter::from_fn(|| (&mut events).now_or_never().flatten());
    told.map(|event| event.key().to_vec()).collect()
}

#[test]
fn of_whom_nothing_is_held_an_opt_out_and_a_denial_write_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let views = open(dir.path()).views;
    let now = "2026-11-21T12:05:00Z".parse().unwrap();
    let (held, unheard) = ([1; 16], [2; 16]);
    keep(&views, &held, "2026-11-21T12:00:00Z");
    let record = || codec::key(&held, Signal::Roaming).to_vec();
    let opt_outs = written(&views, || {
        views.withdraw_all(&unheard, now);
        views.withdraw_all(&held, now);
    });
    assert_eq!(opt_outs, [record()]);
    assert_eq!(views.find(&held, Signal::Roaming), None);
    let denials = written(&views, || {
        views.doubt(&unheard, Signal::Roaming, None, now);
        views.doubt(&held, Signal::Roaming, None, now);
    });
    assert!(denials.is_empty(), "{denials:?}");
}

#[test]
fn what_stays_as_it_is_is_not_written_again() {
    let dir = tempfile::tempdir().unwrap();
    let views = open(dir.path()).views;
    let digest = [1; 16];
    let (now, newer) = (
        "2026-11-21T12:05:00Z".parse().unwrap(),
        seen("2026-11-21T12:04:00Z"),
    );
    let kept = written(&views, || {
        keep(&views, &digest, "2026-11-21T12:03:00Z");
        // Older than what is held, which tells the same.
        keep(&views, &digest, "2026-11-21T12:02:00Z");
        // Newer, and told by what is held.
        views.doubt(&digest, Signal::Roaming, Some((&newer, false)), now);
    });
    assert_eq!(kept.len(), 1);
    let withdrawn = written(&views, || {
        views.withdraw(&digest, Signal::Roaming, now);
        // Observed before it was withdrawn.
        keep(&views, &digest, "2026-11-21T12:04:00Z");
    });
    assert_eq!(withdrawn.len(), 1);
}
