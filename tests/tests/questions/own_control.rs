//! The operator's own control: a ceiling of its source, and a journal that reconciles with what an
//! auditor exports of the ledger.

use std::{
    fs::{self, File},
    path::Path,
};

use accord_adapters::{
    config::AdapterConfig,
    reconcile::{Reconciled, Scope, reconcile},
};
use accord_client::{
    export::{Exporter, Format},
    footer::Footer,
};
use accord_tests::world::{WorldSpec, wait_until};
use futures_util::future::join_all;
use serde_json::{Value as Json, json};

use crate::said::{Stage, ask, one, sim, word};

#[tokio::test]
async fn beyond_its_ceiling_a_source_is_overloaded_and_comes_back() {
    let mut spec = WorldSpec::default();
    for operator in &mut spec.operators {
        operator.source.push_str("asks_per_second = 4\n");
    }
    let stage = Stage::of(&spec).await;
    let bank = stage.bank("first-bank");
    let asked = (100..120).map(|digits| one(&bank, sim(digits)));
    let told = join_all(asked).await;
    let told: Vec<_> = told.iter().map(word).collect();
    let overloaded = told.iter().filter(|word| *word == "overloaded").count();
    assert!((1..=18).contains(&overloaded), "{told:?}");
    wait_until("the source to have a turn again", || async {
        word(&one(&bank, sim(121)).await) != "overloaded"
    })
    .await
    .unwrap();
}

/// Exports what the operator itself may read of the ledger.
async fn export(stage: &Stage, path: &Path) {
    let auditor = stage.auditor("north-mobile").unwrap();
    let checkpoint = auditor.checkpoint("").await.unwrap();
    let (origin, size) = (&checkpoint.checkpoint.origin, checkpoint.checkpoint.size);
    let text = |text: &str| text.to_owned();
    let footer = Footer {
        owner: text("spiffe://accord.test/operator/north-mobile"),
        recipients: vec![text("north-mobile")],
        description: text("entries about north-mobile"),
        purpose: text("reconciliation"),
        sensitivity: text("confidential"),
        case: String::new(),
        needed_by: text("2026-12-31"),
        made: text("2026-11-26T12:00:00Z"),
        terms: text(accord_client::footer::NO_ONWARD_DISCLOSURE),
    };
    let file = File::create(path).unwrap();
    let mut exporter = Exporter::begin(file, Format::Jsonl, footer).unwrap();
    exporter.log(&checkpoint.note.to_string()).unwrap();
    let mut tail = auditor.tail("", 0, true).await.unwrap();
    while let Some(mut entry) = tail.next().await.unwrap() {
        entry.origin.clone_from(origin);
        if entry.index < size {
            exporter.entry(&entry).unwrap();
        }
    }
    exporter.finish().unwrap();
}

fn compare(stage: &Stage, export: &Path) -> Reconciled {
    let config = AdapterConfig::load(&stage.files.adapter_config_path("north-mobile")).unwrap();
    reconcile(&Scope {
        operator: config.operator.as_str(),
        instance: &config.instance,
        journal_dir: &config.journal.dir,
        journal_key: &config.checkpoint_verifier().unwrap(),
        export,
        broker: None,
        from: None,
        until: None,
    })
    .unwrap()
}

/// Leaves a line out of an export, as if the ledger never had it.
fn without(export: &Path, line: usize) {
    let text = fs::read_to_string(export).unwrap();
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let mut footer: Json = serde_json::from_str(&lines.pop().unwrap()).unwrap();
    lines.remove(line);
    footer["entries"] = json!(lines.len());
    lines.push(footer.to_string());
    fs::write(export, lines.join("\n") + "\n").unwrap();
}

#[tokio::test]
async fn the_operators_journal_reconciles_with_the_ledger() {
    const ASKED: u64 = 20;
    let stage = Stage::sandbox().await;
    let bank = stage.bank("first-bank");
    // Each number twice: the view serves some of what was asked before.
    for digits in 200..200 + u16::try_from(ASKED).unwrap() {
        for _ in 0..2 {
            ask(&bank, sim(digits)).await;
        }
        ask(&stage.bank("second-bank"), sim(digits)).await;
    }
    let path = stage.dir.path().join("export.jsonl");
    // What the view served is reported a moment after it was told.
    wait_until("every difference to be gone", || async {
        export(&stage, &path).await;
        compare(&stage, &path).differences.is_empty()
    })
    .await
    .unwrap();
    let reconciled = compare(&stage, &path);
    assert!(reconciled.matched >= 2 * ASKED, "{reconciled:?}");
    assert!(reconciled.from_view > 0, "{reconciled:?}");
    assert_eq!(reconciled.grounded, reconciled.from_view, "{reconciled:?}");
    assert_eq!((reconciled.heads, reconciled.unused), (1, 0));

    // One entry that the ledger withheld is found out.
    let lines = fs::read_to_string(&path).unwrap();
    let replies: Vec<usize> = lines
        .lines()
        .enumerate()
        .filter(|(_, line)| {
            let line: Json = serde_json::from_str(line).unwrap();
            line["access"]["replies"][0]["instance"] == "a"
        })
        .map(|(at, _)| at)
        .collect();
    without(&path, replies[replies.len() / 2]);
    let differences = compare(&stage, &path).differences;
    let said: Vec<_> = differences.iter().map(ToString::to_string).collect();
    assert!(
        said.len() == 1 && said[0].starts_with("asked, and not on the record: journal "),
        "{said:?}"
    );
}
