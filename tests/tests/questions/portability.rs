//! The database of ported numbers: where a question goes, on what basis, and how fresh that is.

use std::path::Path;

use accord_client::{Lookup, answer::RoutingBasis};
use accord_proto::{hex, purpose::Purpose, v1::entry::Event};
use accord_tests::world::{World, WorldFiles, WorldSpec, wait_until};
use aws_lc_rs::digest::{SHA256, digest};
use jiff::{SignedDuration, Timestamp};
use tempfile::TempDir;

use crate::{
    record,
    said::{ask, north, now, one, sud, word},
};

/// A database with these rows.
fn database(as_of: Timestamp, rows: &[String]) -> String {
    let lines: String = rows.iter().map(|row| format!("{row}\n")).collect();
    let text = format!("accord-portability,1\nas_of,{as_of}\nnumber,recipient,ported\n{lines}");
    let hash = hex::encode(digest(&SHA256, text.as_bytes()).as_ref());
    format!("{text}end,{},{hash}\n", rows.len())
}

/// As the page says that a file is put in its place: whole.
fn put(dir: &Path, text: &str) {
    std::fs::write(dir.join("portability.new"), text).unwrap();
    std::fs::rename(dir.join("portability.new"), dir.join("portability.csv")).unwrap();
}

async fn world(dir: &Path) -> World {
    let spec = WorldSpec::default();
    let mut files = WorldFiles::write(dir, &spec).unwrap();
    files.fix_ports().unwrap();
    let config = files.broker_config_path();
    let section = "[portability]\nfile = \"portability.csv\"\n\
                   operators = { \"20815\" = \"sud-mobile\" }\n\n[authorities]";
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, text.replace("[authorities]", section)).unwrap();
    World::start(files, spec.clock).await.unwrap()
}

fn hours_ago(hours: i64) -> Timestamp {
    let at = now() - SignedDuration::from_hours(hours);
    Timestamp::from_second(at.as_second()).unwrap()
}

fn sim(number: String) -> Lookup {
    Lookup::about(number, Purpose::Payment).sim_swap()
}

#[tokio::test]
async fn the_database_says_who_serves_a_number_and_as_of_when() {
    let dir = TempDir::new().unwrap();
    let as_of = hours_ago(10);
    let rows = [
        format!("{},20815,2024-05-01", north(1)),
        format!("{}-{},sud-mobile,", north(100), north(199)),
        format!("{},nobody-here,", north(3)),
        format!("{},north-mobile,", north(150)),
    ];
    put(dir.path(), &database(as_of, &rows));
    let world = world(dir.path()).await;
    let bank = world.client("first-bank").unwrap();
    for (number, basis, said) in [
        // Its new operator is asked, which here knows only its own range.
        (north(1), Some(RoutingBasis::Ported), "not_ours"),
        (north(101), Some(RoutingBasis::Ported), "not_ours"),
        // An operator that is not of Accord: its former one is not asked.
        (north(3), None, "not_covered"),
    ] {
        let answered = ask(&bank, sim(number)).await;
        assert_eq!(word(&answered.signals()[0]), said);
        assert_eq!(answered.answer.routing_basis, basis);
        let fresh = basis.map(|_| as_of);
        assert_eq!(answered.answer.routing_as_of, fresh);
    }
    for (number, basis) in [
        // A number by itself comes before its range.
        (north(150), RoutingBasis::Ported),
        (north(2), RoutingBasis::Prefix),
        (sud(2), RoutingBasis::Prefix),
    ] {
        let answered = ask(&bank, sim(number)).await;
        assert_ne!(word(&answered.signals()[0]), "not_ours");
        assert_eq!(answered.answer.routing_basis, Some(basis));
        // That nobody had it ported is as fresh as the database, too.
        assert_eq!(answered.answer.routing_as_of, Some(as_of));
    }
    // Under no clause the route stays unknown to the bank, and so does its freshness.
    let second = world.client("second-bank").unwrap();
    let answered = ask(&second, sim(north(1))).await;
    assert_eq!(answered.answer.routing_basis, None);
    assert_eq!(answered.answer.routing_as_of, None);
}

#[tokio::test]
async fn a_new_database_takes_effect_while_the_broker_runs_and_a_bad_one_changes_nothing() {
    let dir = TempDir::new().unwrap();
    put(dir.path(), &database(hours_ago(48), &[]));
    let world = world(dir.path()).await;
    let bank = world.client("first-bank").unwrap();
    assert_ne!(word(&one(&bank, sim(north(4))).await), "not_ours");
    let before = record::size(&world);
    let ported = format!("{},sud-mobile,2024-05-01", north(4));
    let yesterday = hours_ago(24);
    let good = database(yesterday, &[ported]);
    put(dir.path(), &good);
    wait_until("the port to be known", || async {
        word(&one(&bank, sim(north(4))).await) == "not_ours"
    })
    .await
    .unwrap();
    let refusals = |why: &'static str| {
        let events = record::since(&world, before);
        events.into_iter().any(|event| {
            matches!(event, Event::DocumentLoaded(loaded)
                if loaded.kind == "portability" && loaded.refused.contains(why))
        })
    };
    let loaded = record::since(&world, before).into_iter().any(|event| {
        matches!(event, Event::DocumentLoaded(loaded)
            if loaded.kind == "portability" && loaded.refused.is_empty()
                && loaded.id == yesterday.to_string())
    });
    assert!(loaded);
    for (bad, why) in [
        (good.replace("sud-mobile", "sud-mobilf"), "damaged"),
        (
            good.get(..good.len() / 2).unwrap().to_owned(),
            "it is not whole",
        ),
        (
            database(hours_ago(72), &[]),
            "is before that of the one in force",
        ),
        (database(hours_ago(-1), &[]), "in the future"),
        (format!("{}x", good.replace(',', ";")), "line 1"),
    ] {
        put(dir.path(), &bad);
        wait_until(why, || async { refusals(why) }).await.unwrap();
        assert_eq!(word(&one(&bank, sim(north(4))).await), "not_ours", "{why}");
    }
    std::fs::remove_file(dir.path().join("portability.csv")).unwrap();
    wait_until("its absence to be noticed", || async {
        refusals("can't read")
    })
    .await
    .unwrap();
    assert_eq!(word(&one(&bank, sim(north(4))).await), "not_ours");
    // And it goes on with the next good one.
    put(dir.path(), &database(hours_ago(1), &[]));
    wait_until("the number to be back", || async {
        word(&one(&bank, sim(north(4))).await) != "not_ours"
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn a_broker_does_not_start_with_a_bad_database() {
    let dir = TempDir::new().unwrap();
    let spec = WorldSpec::default();
    let files = WorldFiles::write(dir.path(), &spec).unwrap();
    let config = files.broker_config_path();
    let section = "[portability]\nfile = \"portability.csv\"\n\n[authorities]";
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, text.replace("[authorities]", section)).unwrap();
    let rows = [format!("{},sud-mobile,1901-01-01", north(1))];
    put(dir.path(), &database(hours_ago(1), &rows));
    let Err(error) = World::start(files, spec.clock).await else {
        panic!("it started");
    };
    let said = error.chain();
    assert!(
        said.contains("portability.csv") && said.contains("line 4"),
        "{said}"
    );
    assert!(!said.contains("7700900"), "{said}");
}

#[tokio::test]
async fn an_operator_disowns_a_number_that_it_lost_and_counts_a_port_as_a_swap() {
    let dir = TempDir::new().unwrap();
    let ported = now() - SignedDuration::from_hours(10 * 24);
    let rows = [
        format!("{},sud-mobile,2024-05-01", north(2)),
        format!("{},north-mobile,{ported}", north(18)),
    ];
    put(dir.path(), &database(hours_ago(1), &rows));
    let mut spec = WorldSpec::default();
    for operator in &mut spec.operators {
        if operator.name == "north-mobile" {
            let file = dir.path().join("portability.csv");
            operator.source += &format!(
                "\n[[source]]\nkind = \"portability\"\nfile = {file:?}\nown = [\"north-mobile\"]\n"
            );
        }
    }
    let files = WorldFiles::write(dir.path(), &spec).unwrap();
    let world = World::start(files, spec.clock).await.unwrap();
    let bank = world.client("first-bank").unwrap();
    // The broker has no database, and asks the operator of the range.
    wait_until("the adapter to have read the database", || async {
        word(&one(&bank, sim(north(2))).await) == "not_ours"
    })
    .await
    .unwrap();
    // Watched for three days only, without a change: so the port, or a swap before those.
    let since_port = word(&one(&bank, sim(north(18))).await);
    assert_eq!(since_port, "3–4 days…7–14 days");
    // Another number is as it was.
    assert_eq!(word(&one(&bank, sim(north(1))).await), "0–4 h");
}
