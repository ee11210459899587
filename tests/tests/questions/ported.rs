//! A number that comes to another operator: what each said before stays its own.

use accord_adapters::runtime::Restriction;
use accord_client::Lookup;
use accord_proto::{
    msisdn::Msisdn,
    purpose::Purpose,
    v1::{Signal, adapter_link::Kind, entry::Event},
};
use accord_tests::world::{World, WorldFiles, WorldSpec, wait_until};
use tempfile::TempDir;

use crate::{
    played::{Played, alone, change, links, says, swapped, withdrawal},
    record,
    said::{Stage, north, one, word},
};

/// A world with a list of ported numbers, empty at first.
async fn with_ports() -> Stage {
    let dir = TempDir::new().unwrap();
    let spec = WorldSpec::default();
    let mut files = WorldFiles::write(dir.path(), &spec).unwrap();
    files.fix_ports().unwrap();
    let config = files.broker_config_path();
    let text = std::fs::read_to_string(&config).unwrap();
    let text = text.replace("[authorities]", "ported = \"ported.csv\"\n\n[authorities]");
    std::fs::write(&config, text).unwrap();
    port(&dir, &[]);
    let world = World::start(files, spec.clock).await.unwrap();
    Stage { world, dir }
}

/// These numbers are served by `sud-mobile` now, and no others.
fn port(dir: &TempDir, numbers: &[String]) {
    let lines = numbers
        .iter()
        .map(|number| format!("{number},sud-mobile\n"));
    std::fs::write(dir.path().join("ported.csv"), lines.collect::<String>()).unwrap();
}

#[tokio::test]
async fn views_and_opt_outs_are_the_operators_own_before_and_after_a_port() {
    let world = with_ports().await;
    let port = |numbers: &[String]| port(&world.dir, numbers);
    let bank = world.client("first-bank").unwrap();
    let sim = |digits| Lookup::about(north(digits), Purpose::Payment).sim_swap();
    // The view holds what the first operator said of both.
    for digits in [1, 2] {
        assert_ne!(word(&one(&bank, sim(digits)).await), "not_ours");
    }
    // The next operator is told before the number comes to it.
    let before = record::size(&world);
    let opted_out = Restriction::OptedOut(Msisdn::parse(&north(2)).unwrap());
    let sud = world.adapter("sud-mobile").unwrap().restrictions();
    sud.impose(opted_out).unwrap();
    port(&[north(1), north(2)]);
    wait_until("the view to be another operator's", || async {
        word(&one(&bank, sim(1)).await) == "not_ours"
    })
    .await
    .unwrap();
    wait_until("the opt-out to hold", || async {
        word(&one(&bank, sim(2)).await) == "opted_out"
    })
    .await
    .unwrap();
    let accused = record::since(&world, before).into_iter().any(
        |event| matches!(event, Event::AdapterLink(link) if link.kind == Kind::NotBelieved as i32),
    );
    assert!(!accused);
}

/// Which subjects the entry of the next batch names.
async fn withdrawn(world: &World, played: &mut Played, sequence: u64, of: &[u16]) -> Vec<bool> {
    let before = record::size(world);
    let changes = of.iter().map(|digits| withdrawal(&north(*digits)));
    played.pushed(sequence, changes.collect()).await;
    let batch = record::only_batch(world, before);
    assert!(!batch.digest.is_empty());
    assert!(batch.subjects.iter().all(|subject| subject.withdrawn));
    let tags = batch
        .subjects
        .iter()
        .map(|subject| subject.subject_tag.len());
    tags.map(|length| length == 16).collect()
}

#[tokio::test]
async fn a_withdrawal_names_whom_it_is_about_only_where_the_operator_spoke_of_him_before() {
    let (world, mut played) = alone(with_ports().await).await;
    let port = |numbers: &[String]| port(&world.dir, numbers);
    let swap = change(&north(1), swapped(60, 60));
    played.pushed(1, vec![swap]).await;
    let bank = world.client("first-bank").unwrap();
    let sim = |digits| Lookup::about(north(digits), Purpose::Payment).sim_swap();
    assert_eq!(word(&one(&bank, sim(1)).await), "0–4 h");
    port(&[north(1), north(2)]);
    wait_until("the numbers to be another operator's", || async {
        word(&one(&bank, sim(1)).await) == "not_ours"
    })
    .await
    .unwrap();
    let before = record::size(&world);
    // Of the one it spoke before. Of the other it learns no more than it knew.
    assert_eq!(
        withdrawn(&world, &mut played, 2, &[1, 2]).await,
        [true, false]
    );
    assert_eq!(
        withdrawn(&world, &mut played, 3, &[1, 2]).await,
        [false, false]
    );
    assert!(links(&world, before, Kind::NotBelieved, "played").is_empty());
    // What it took back does not come back with the number.
    port(&[]);
    let swap = says(Signal::SimSwap, swapped(60 * 24 * 400, 60 * 24 * 400));
    let answered = wait_until("the number to be back", || async {
        word(&one(&bank, sim(1)).await) == "1–2 years"
    });
    let (answered, ()) = tokio::join!(answered, played.answer(vec![swap]));
    answered.unwrap();
}
