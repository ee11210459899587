//! A number that comes to another operator: what each said before stays its own.

use accord_adapters::runtime::Restriction;
use accord_client::Lookup;
use accord_proto::{
    msisdn::Msisdn,
    purpose::Purpose,
    v1::{adapter_link::Kind, entry::Event},
};
use accord_tests::world::{World, WorldFiles, WorldSpec, wait_until};
use tempfile::TempDir;

use crate::{
    record,
    said::{north, one, word},
};

#[tokio::test]
async fn views_and_opt_outs_are_the_operators_own_before_and_after_a_port() {
    let dir = TempDir::new().unwrap();
    let spec = WorldSpec::default();
    let mut files = WorldFiles::write(dir.path(), &spec).unwrap();
    files.fix_ports().unwrap();
    let config = files.broker_config_path();
    let text = std::fs::read_to_string(&config).unwrap();
    let text = text.replace("[authorities]", "ported = \"ported.csv\"\n\n[authorities]");
    std::fs::write(&config, text).unwrap();
    let port = |numbers: &[String]| {
        let lines = numbers
            .iter()
            .map(|number| format!("{number},sud-mobile\n"));
        std::fs::write(dir.path().join("ported.csv"), lines.collect::<String>()).unwrap();
    };
    port(&[]);
    let world = World::start(files, spec.clock).await.unwrap();
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
