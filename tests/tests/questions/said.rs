//! A world for one test, and short forms of what it says.

use std::ops::Deref;

use accord_client::{Answered, CallError, Client, Lookup, Outcome, Refusal, SignalOutcome, Value};
use accord_proto::{
    clock::{Clock as _, SystemClock},
    purpose::Purpose,
    reason::Reason,
};
use accord_tests::world::{World, WorldFiles, WorldSpec};
use jiff::{Timestamp, ToSpan as _, civil::Date, tz::TimeZone};
use tempfile::TempDir;
use tokio::time::Duration;

use crate::record;

/// A debug build on a busy machine may take this long; the operators have their own deadline.
const PATIENCE: Duration = Duration::from_secs(20);

/// A world in a directory that goes when the test ends.
pub(crate) struct Stage {
    // Dropped in this order: first what runs, then where it ran.
    pub(crate) world: World,
    pub(crate) dir: TempDir,
}

impl Deref for Stage {
    type Target = World;

    fn deref(&self) -> &World {
        &self.world
    }
}

impl Stage {
    /// The sandbox. Each refusal is on the record by itself.
    pub(crate) async fn sandbox() -> Self {
        Self::of(&WorldSpec::default().limit("refusals_per_second", 1_000)).await
    }

    pub(crate) async fn of(spec: &WorldSpec) -> Self {
        let dir = TempDir::new().unwrap();
        let files = WorldFiles::write(dir.path(), spec).unwrap();
        let world = World::start(files, spec.clock.clone()).await.unwrap();
        record::settled(&world).await;
        Self { world, dir }
    }

    /// Stops broker and adapters, and starts them again in the same place.
    pub(crate) async fn restarted(self) -> Self {
        let Self { world, dir } = self;
        let spec = world.files.spec().clone();
        world.stop().await.unwrap();
        let files = WorldFiles::write(dir.path(), &spec).unwrap();
        let world = World::start(files, spec.clock).await.unwrap();
        record::settled(&world).await;
        Self { world, dir }
    }

    pub(crate) fn bank(&self, name: &str) -> Client {
        self.client(name).unwrap()
    }
}

/// A number of `north-mobile` by its last three digits.
pub(crate) fn north(digits: u16) -> String {
    format!("+447700900{digits:03}")
}

/// A number of `sud-mobile`.
pub(crate) fn sud(digits: u16) -> String {
    format!("+33639980{digits:03}")
}

/// A question under clause 3.1 of the sandbox, which grants caching.
pub(crate) fn sim(digits: u16) -> Lookup {
    Lookup::about(north(digits), Purpose::Payment).sim_swap()
}

/// So many days ago, UTC.
pub(crate) fn days_ago(days: i64) -> Date {
    now()
        .to_zoned(TimeZone::UTC)
        .date()
        .checked_sub(days.days())
        .unwrap()
}

pub(crate) fn now() -> Timestamp {
    SystemClock.now()
}

pub(crate) async fn ask(client: &Client, lookup: Lookup) -> Answered {
    let answered = client.lookup_within(lookup, PATIENCE).await;
    answered.unwrap_or_else(|error| panic!("{error:?}"))
}

/// The refusal of a whole question.
pub(crate) async fn refusal(client: &Client, lookup: Lookup) -> Refusal {
    match client.lookup_within(lookup, PATIENCE).await {
        Err(CallError::Refused(refusal)) => refusal,
        other => panic!("not refused: {other:?}"),
    }
}

/// The only signal of an answer.
pub(crate) async fn one(client: &Client, lookup: Lookup) -> SignalOutcome {
    let answered = ask(client, lookup).await;
    assert_eq!(answered.signals().len(), 1);
    answered.signals()[0].clone()
}

/// One outcome in one line: `yes`, `0–4 h`, `≥ 1 year`, `timeout`.
pub(crate) fn word(outcome: &SignalOutcome) -> String {
    let Some(value) = outcome.value() else {
        return reason(outcome).map_or_else(String::new, |reason| reason.name().to_owned());
    };
    match value {
        Value::YesNo(true) => "yes".to_owned(),
        Value::YesNo(false) => "no".to_owned(),
        Value::Band {
            lowest,
            at_least: true,
            ..
        } => format!("≥ {}", lowest.younger_edge()),
        Value::Band {
            lowest, highest, ..
        } if lowest == highest => lowest.words().to_owned(),
        Value::Band {
            lowest, highest, ..
        } => format!("{}…{}", lowest.words(), highest.words()),
        Value::Interval { after, before } => {
            format!("interval {} {}", after.is_some(), before.is_some())
        }
        Value::Forwarding(active) if active.is_empty() => "none".to_owned(),
        Value::Forwarding(active) => {
            let parts = active
                .iter()
                .map(|one| format!("{}→{:?}", one.condition, one.target));
            parts.collect::<Vec<_>>().join(" ")
        }
        Value::Roaming(roaming) => match (roaming.roaming, roaming.visited_mcc) {
            (false, _) => "home".to_owned(),
            (true, mcc) => format!("abroad {}", mcc.unwrap_or(0)),
        },
        other => panic!("no word for {other:?}"),
    }
}

pub(crate) fn reason(outcome: &SignalOutcome) -> Option<Reason> {
    match &outcome.outcome {
        Outcome::Unanswered { reason, .. } => Some(*reason),
        Outcome::Value { .. } => None,
    }
}

pub(crate) fn detail(outcome: &SignalOutcome) -> &str {
    match &outcome.outcome {
        Outcome::Unanswered { detail, .. } => detail,
        Outcome::Value { .. } => "",
    }
}

pub(crate) fn words(answered: &Answered) -> Vec<String> {
    answered.signals().iter().map(word).collect()
}
