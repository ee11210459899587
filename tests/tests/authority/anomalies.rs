//! What is unusual, on the record of a broker that runs.

use std::fs;

use accord_client::{Lookup, Scope};
use accord_proto::{
    purpose::Purpose,
    v1::{self, anomaly::Kind, entry::Event},
};
use accord_tests::world::{PastQuestion, WorldFiles, WorldSpec, wait_until};
use jiff::SignedDuration;
use tempfile::TempDir;

use crate::stage::Stage;

/// One bank screens these numbers of one block.
async fn screened(stage: &Stage, numbers: std::ops::Range<u16>) {
    let bank = stage.client("first-bank").unwrap();
    let lines = numbers.map(|at| {
        let number = format!("+447700900{at:03}");
        ((), Lookup::about(number, Purpose::Payment).roaming())
    });
    let scope = Scope::new([Purpose::Payment]);
    let mut results = bank.screen(scope, tokio_stream::iter(lines));
    while let Some(result) = results.next().await {
        result.unwrap().outcome.unwrap();
    }
}

fn noticed(stage: &Stage) -> Vec<v1::Anomaly> {
    let found = stage.since(0).into_iter().filter_map(|event| {
        let Event::Anomaly(anomaly) = event else {
            return None;
        };
        Some(anomaly)
    });
    found.collect()
}

#[tokio::test]
async fn a_range_asked_number_by_number_is_on_the_record_and_counted() {
    let stage = Stage::sandbox().await;
    // Half of a block is a bank with many customers there.
    screened(&stage, 200..250).await;
    screened(&stage, 100..200).await;
    wait_until("the range to be noticed", || async {
        !noticed(&stage).is_empty()
    })
    .await
    .unwrap();
    let found = noticed(&stage);
    let [anomaly] = found.as_slice() else {
        panic!("{found:?}");
    };
    assert_eq!(anomaly.kind(), Kind::Enumeration);
    assert_eq!((&*anomaly.bank, anomaly.counted), ("first-bank", 80));
    // No number, not even a part of one.
    assert!(anomaly.subject_tag.is_empty() && !format!("{anomaly:?}").contains("9001"));
}

/// What the sandbox's programs call themselves.
const APPLICATION: &str = "accord";
/// Asked about by another bank, earlier today.
const OF_MANY: &str = "+447700900301";
/// Asked about by first-bank, twice before.
const AGAIN: &str = "+447700900302";

/// A sandbox whose broker was stopped and is started again: the day before yesterday first-bank
/// asked, as much as makes it known, and a moment ago once more.
async fn started_again(dir: TempDir) -> Stage {
    let spec = WorldSpec::default();
    let files = WorldFiles::write(dir.path(), &spec).unwrap();
    let config = files.broker_config_path();
    let mut text = fs::read_to_string(&config).unwrap();
    text.push_str(
        "\n[anomalies]\nlearning_days = 1\nspike_questions_min = 10\nspike_factor = 2\n\
         askers_min = 2\nrepeats_min = 3\n",
    );
    fs::write(&config, text).unwrap();
    let now = spec.clock.now();
    let then = now - SignedDuration::from_hours(30);
    let numbers: Vec<_> = (0..50)
        .map(|at| format!("+447700900{:03}", 400 + at))
        .collect();
    let question = |at, bank, number| PastQuestion {
        at,
        bank,
        application: APPLICATION,
        number,
    };
    let again_and_again = (0..1_000).zip(numbers.iter().cycle());
    let mut past: Vec<_> = again_and_again
        .map(|(at, number)| {
            let when = then + SignedDuration::from_secs(at);
            question(when, "first-bank", number.as_str())
        })
        .collect();
    past.push(question(now, "third-bank", OF_MANY));
    // By another of its applications, whose hours are another matter.
    let by_another = PastQuestion {
        application: "another",
        ..question(now, "first-bank", AGAIN)
    };
    past.extend([by_another, by_another]);
    files.ask_in_past(&past).unwrap();
    Stage::of(dir, files, spec).await
}

#[tokio::test]
async fn what_was_usual_before_a_restart_is_known_after_it() {
    let stage = started_again(TempDir::new().unwrap()).await;
    // What was unusual then was told then.
    assert_eq!(noticed(&stage), []);
    let told = async |kind: Kind| {
        wait_until(kind.as_str_name(), || async {
            noticed(&stage).iter().any(|anomaly| anomaly.kind() == kind)
        })
        .await
        .unwrap();
        let found = noticed(&stage).into_iter();
        let found: Vec<_> = found.filter(|anomaly| anomaly.kind() == kind).collect();
        let [one] = found.as_slice() else {
            panic!("{found:?}")
        };
        one.clone()
    };
    let ask = async |number: &str| {
        let lookup = Lookup::about(number, Purpose::Payment).roaming();
        stage.ask("first-bank", lookup).await;
    };
    // The second bank that asks about it today, at an hour at which its application never did.
    ask(OF_MANY).await;
    let many = told(Kind::ManyAskers).await;
    assert_eq!((many.counted, many.bank.as_str()), (2, ""));
    let off = told(Kind::OffHours).await;
    assert_eq!((&*off.bank, &*off.application), ("first-bank", APPLICATION));
    // For the third time today.
    ask(AGAIN).await;
    let again = told(Kind::Surveillance).await;
    assert_eq!((again.counted, &*again.bank), (3, "first-bank"));
    assert_ne!(again.subject_tag, many.subject_tag);
    // Far more than in the quiet hours before the restart, which only the ledger knows of.
    screened(&stage, 100..160).await;
    wait_until("the spike to be noticed", || async {
        let found = noticed(&stage);
        found.iter().any(|anomaly| anomaly.kind() == Kind::Spike)
    })
    .await
    .unwrap();
}
