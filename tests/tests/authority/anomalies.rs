//! What is unusual, on the record of a broker that runs.

use accord_client::{Lookup, Scope};
use accord_proto::{
    purpose::Purpose,
    v1::{self, anomaly::Kind, entry::Event},
};
use accord_tests::world::wait_until;

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
