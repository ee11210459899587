//! What sources push, and what is told of it.

use super::*;

#[tokio::test]
async fn changes_of_all_sources_arrive_each_with_its_clocks_error() {
    let clock: SharedClock = ManualClock::at("2026-11-21T12:00:00Z".parse().unwrap());
    let mut parts = Vec::new();
    let mut pushes = Vec::new();
    for keys in [
        "name = \"one\"\nclock_error_ms = 60000",
        "name = \"two\"\nsignals = [\"roaming\"]",
    ] {
        let (push, pushed) = mpsc::channel(8);
        let source = Scripted {
            does: Mutex::new(Does::Hangs),
            asked: AtomicUsize::new(0),
            clock: clock.clone(),
            pushed: Mutex::new(Some(pushed)),
            restricts: None,
            vetoes: false,
        };
        parts.push(Part::new(&section(keys), Arc::new(source)));
        pushes.push(push);
    }
    let several = Several::new(parts, clock.clone());
    let mut changes = several.changes().unwrap();
    let change = |signal, hours| {
        SourceChange::told(number(), signal, observation(signal, hours, clock.now()))
    };
    // A source that is not believed for a signal pushes nothing of it.
    pushes[1].send(change(Signal::SimSwap, 3)).await.unwrap();
    pushes[1].send(change(Signal::Roaming, 3)).await.unwrap();
    assert_eq!(changes.recv().await.unwrap().signal, Signal::Roaming);
    // But that a line began ends what others said of the one before it, whoever is believed: of what
    // any of them knows. So does a beginning that can't be.
    let begins = |change| SourceChange {
        begins: true,
        ..change
    };
    for (push, signal, hours) in [
        (1, Signal::Tenure, 3),
        (1, Signal::SimSwap, 3),
        (0, Signal::SimSwap, -3),
    ] {
        let begins = begins(change(signal, hours));
        pushes[push].send(begins).await.unwrap();
        if signal != Signal::Tenure {
            let told = changes.recv().await.unwrap();
            assert_eq!((told.signal, told.observation), (signal, None), "{push}");
        }
    }
    pushes[0].send(change(Signal::SimSwap, 3)).await.unwrap();
    let told = changes.recv().await.unwrap();
    let Observed::Change(told) = told.observation.unwrap().what else {
        panic!()
    };
    // What one of them takes back is taken back, of what any of them knows.
    for signal in [Signal::SimSwap, Signal::Tenure, Signal::Roaming] {
        let gone = SourceChange::withdrawal(number(), signal);
        pushes[1].send(gone).await.unwrap();
    }
    for signal in [Signal::SimSwap, Signal::Roaming] {
        let gone = changes.recv().await.unwrap();
        assert_eq!((gone.signal, gone.observation), (signal, None));
    }
    let within = told.changed_in.unwrap();
    let wide = within.before().duration_since(within.after());
    assert_eq!(wide.as_secs(), 120);
    drop(several);
}

/// Two sources that know swaps, of which the first pushes; the second does what it is told.
async fn pushed(second: Does, hours: i64, begins: i64) -> Option<Observation> {
    change_pushed(second, hours, begins).await?.observation
}

async fn change_pushed(second: Does, hours: i64, begins: i64) -> Option<SourceChange> {
    change_of(Signal::SimSwap, second, hours, begins).await
}

async fn change_of(signal: Signal, second: Does, hours: i64, begins: i64) -> Option<SourceChange> {
    let mut stage = stage(&[(Does::Hangs, "name = \"one\""), (second, "name = \"two\"")]);
    let (push, pushed) = mpsc::channel(8);
    *stage.sources[0].pushed.lock().unwrap() = Some(pushed);
    let now = stage.clock.now();
    let mut said = observation(signal, hours, now);
    said.observed_at = now - SignedDuration::from_mins(begins);
    let change = SourceChange::told(number(), signal, said);
    let mut changes = stage.several.changes().unwrap();
    push.send(change).await.unwrap();
    drop((push, std::mem::take(&mut stage.sources)));
    changes.recv().await
}

/// How many hours ago the last change was, and how many minutes ago that was known.
fn told(observation: &Observation) -> (i64, i64) {
    let now: Timestamp = "2026-11-21T12:00:00Z".parse().unwrap();
    let Observed::Change(change) = &observation.what else {
        panic!("no change");
    };
    let last = change.changed_in.unwrap().before();
    let ago = |at| now.duration_since(at);
    (ago(last).as_hours(), ago(observation.observed_at).as_mins())
}

#[tokio::test(start_paused = true)]
async fn what_one_source_has_not_heard_of_takes_nothing_from_what_another_has_seen() {
    // It knows of an old swap only, as of a moment before the other one saw a new one.
    let seen = pushed(Does::Says(Ok(1)), 50_000, 90).await.unwrap();
    assert_eq!(told(&seen), (1, 0));
    // They exclude each other: what a view would deny is told, and nothing that denies it.
    let seen = pushed(Does::Says(Ok(1)), 50_000, 15).await.unwrap();
    assert_eq!(told(&seen), (1, 0));
    let seen = pushed(Does::Says(Ok(50_000)), 1, 15).await.unwrap();
    assert_eq!(told(&seen), (1, 15));
    // The other one says nothing: what happened is told, as of then and no later.
    for silent in [Does::Hangs, Does::Says(Err(Reason::SourceDown))] {
        let seen = pushed(silent, 50_000, 15).await.unwrap();
        assert_eq!(told(&seen), (50_000, 50_000 * 60));
    }
    let left = change_pushed(Does::Says(Err(Reason::NotOurs)), 1, 15).await;
    let left = left.expect("a view does not go on to hold what was said of a number that left");
    assert_eq!(left.observation, None);
    let alone = pushed(Does::Says(Err(Reason::NotWatched)), 1, 15).await;
    assert_eq!(
        told(&alone.unwrap()),
        (1, 15),
        "who knows nothing takes nothing"
    );
}

#[tokio::test(start_paused = true)]
async fn who_only_knows_whose_a_number_is_silences_nobody_by_being_down() {
    let clock: SharedClock = ManualClock::at("2026-11-21T12:00:00Z".parse().unwrap());
    let part = |name: &str, does, vetoes| {
        let source = Scripted {
            does: Mutex::new(does),
            asked: AtomicUsize::new(0),
            clock: clock.clone(),
            pushed: Mutex::default(),
            restricts: None,
            vetoes,
        };
        Part::new(&section(&format!("name = \"{name}\"")), Arc::new(source))
    };
    let deadline = Instant::now() + Duration::from_secs(1);
    for (said, expected) in [
        (Err(Reason::SourceDown), Ok(())),
        (Err(Reason::Undecided), Ok(())),
        (Err(Reason::NotOurs), Err(Reason::NotOurs)),
    ] {
        let parts = vec![
            part("one", Does::Says(Ok(1)), false),
            part("ported", Does::Says(said), true),
        ];
        let several = Several::new(parts, clock.clone());
        let told = several
            .observe(number(), &[Signal::SimSwap], deadline)
            .await;
        let (_, swap) = told.signals.into_iter().next().unwrap();
        assert_eq!(swap.map(drop), expected);
    }
    let alone = Several::new(vec![part("ported", Does::Hangs, true)], clock.clone());
    assert_eq!(
        alone.signals(),
        [Signal::Roaming],
        "what nobody knows is not claimed"
    );
}

#[tokio::test(start_paused = true)]
async fn a_state_that_another_source_can_not_confirm_is_taken_back() {
    let undecided = Does::Says(Err(Reason::Undecided));
    let change = change_of(Signal::Roaming, undecided, 1, 0).await;
    let change = change.expect("a view goes on to hold the state of before");
    assert_eq!((change.signal, change.observation), (Signal::Roaming, None));
}
