//! Suppliers of portability data, asked by ENUM: real zones of a real name server, and servers that
//! do not answer.

use std::{fmt::Write as _, net::SocketAddr, path::Path};

use accord_client::{Lookup, answer::RoutingBasis};
use accord_proto::purpose::Purpose;
use accord_tests::world::{World, WorldFiles, WorldSpec};
use tempfile::TempDir;
use tokio::net::UdpSocket;

use crate::{
    doors::admin,
    nsd::{Nsd, naptr},
    said::{ask, north, now, one, sud, word},
};

const NETWORKS: &str =
    "{ \"234-15\" = \"north-mobile\", \"208-15\" = \"sud-mobile\", \"208-16\" = \"nobody-here\" }";
const ROUTING: &str = "{ \"3363998\" = \"sud-mobile\", \"44\" = \"nobody-here\" }";

/// One supplier, as it stands in the configuration.
struct Supplier<'a> {
    zone: &'a str,
    server: SocketAddr,
    dialect: &'a str,
    covers: String,
    absent: &'a str,
    timeout_ms: u32,
}

impl<'a> Supplier<'a> {
    fn new(zone: &'a str, server: SocketAddr, dialect: &'a str, covers: String) -> Self {
        Self {
            zone,
            server,
            dialect,
            covers,
            absent: "not_ported",
            // A debug build on a busy machine must not take it for a hung one.
            timeout_ms: 10_000,
        }
    }
}

async fn world(dir: &Path, suppliers: &[Supplier<'_>]) -> World {
    let spec = WorldSpec::default().limit("operator_deadline_ms", 10_000);
    let mut files = WorldFiles::write(dir, &spec).unwrap();
    files.fix_ports().unwrap();
    let mut section = "[enum]\n".to_owned();
    for (at, one) in suppliers.iter().enumerate() {
        let operators = match one.dialect {
            "rfc4694" => ROUTING,
            _ => NETWORKS,
        };
        write!(
            section,
            "[[enum.suppliers]]\nname = \"supplier-{at}\"\nzone = \"{}\"\nservers = [\"{}\"]\n\
             dialect = \"{}\"\ncovers = [\"{}\"]\nabsent = \"{}\"\ntimeout_ms = {}\n\
             operators = {operators}\n\n",
            one.zone, one.server, one.dialect, one.covers, one.absent, one.timeout_ms
        )
        .unwrap();
    }
    let config = files.broker_config_path();
    let text = std::fs::read_to_string(&config).unwrap();
    let text = text.replace("[authorities]", &format!("{section}[authorities]"));
    std::fs::write(&config, text).unwrap();
    World::start(files, spec.clock).await.unwrap()
}

/// What a hundred numbers begin with.
fn hundred(at: u16) -> String {
    format!("+447700900{at}")
}

fn sim(number: String) -> Lookup {
    Lookup::about(number, Purpose::Payment).sim_swap()
}

/// How often a supplier was asked, with what outcome.
async fn asked(world: &World, supplier: usize, outcome: &str) -> u64 {
    let text = admin(world, "/metrics").await;
    let series = format!(
        "accord_enum_lookups_total{{supplier=\"supplier-{supplier}\",outcome=\"{outcome}\"}} "
    );
    let line = text.lines().find_map(|line| line.strip_prefix(&series));
    line.map_or(0, |count| count.parse().unwrap())
}

/// What a supplier of each dialect says of its hundred numbers.
fn zones() -> [String; 3] {
    let host = |mnc: &str, mcc: &str| format!("ims.mnc{mnc}.mcc{mcc}.3gppnetwork.org");
    let (rfc, pairs, ims) = (
        |at: u16| north(100 + at),
        |at: u16| north(200 + at),
        |at: u16| north(300 + at),
    );
    let tel = [
        naptr(&rfc(1), &format!("tel:{};npdi;rn=+33639980", rfc(1))),
        naptr(&rfc(2), &format!("tel:{};npdi", rfc(2))),
        naptr(&rfc(3), &format!("tel:{};npdi;rn=+4477", rfc(3))),
    ];
    let key = |mcc, mnc, err| format!("country=XX;mcc={mcc};mnc={mnc};ported=true;err={err}");
    let key_value = [
        naptr(&pairs(1), &key(208, "015", 0)),
        naptr(&pairs(2), &key(234, "015", 0)),
        naptr(&pairs(3), &key(208, "016", 0)),
        naptr(&pairs(4), &key(234, "015", 3)),
    ];
    let sip = [
        naptr(
            &ims(1),
            &format!("sip:{}@{};cost=0.01;ported=1", ims(1), host("15", "208")),
        ),
        naptr(
            &ims(2),
            &format!("sip:{}{};cost=0.01;ported=0", ims(2), host("15", "234")),
        ),
        naptr(
            &ims(3),
            &format!("sip:{}@{};ported=1", ims(4), host("15", "208")),
        ),
    ];
    [tel.concat(), key_value.concat(), sip.concat()]
}

#[tokio::test]
#[ignore = "needs nsd"]
async fn each_dialect_says_who_serves_a_number() {
    let (rfc, pairs, ims) = (
        |at: u16| north(100 + at),
        |at: u16| north(200 + at),
        |at: u16| north(300 + at),
    );
    let [tel, key_value, sip] = zones();
    let nsd = Nsd::serving(&[
        ("tel.example", &tel),
        ("pairs.example", &key_value),
        ("ims.example", &sip),
    ])
    .await;
    let dir = TempDir::new().unwrap();
    let world = world(
        dir.path(),
        &[
            Supplier::new("tel.example", nsd.address, "rfc4694", hundred(1)),
            Supplier::new("pairs.example", nsd.address, "key_value", hundred(2)),
            Supplier::new("ims.example", nsd.address, "ims_sip", hundred(3)),
        ],
    )
    .await;
    let bank = world.client("first-bank").unwrap();
    let (by_enum, by_prefix) = (Some(RoutingBasis::Enum), Some(RoutingBasis::Prefix));
    for (number, basis, said) in [
        // Ported to sud-mobile, which here knows only its own range.
        (rfc(1), by_enum, Some("not_ours")),
        (pairs(1), by_enum, Some("not_ours")),
        (ims(1), by_enum, Some("not_ours")),
        // Served by north-mobile, by the supplier's own word.
        (pairs(2), by_enum, None),
        (ims(2), by_enum, None),
        // Not ported: by its word, and by its silence.
        (rfc(2), by_prefix, None),
        (rfc(9), by_prefix, None),
        (pairs(9), by_prefix, None),
        // Served by an operator that is not of Accord.
        (rfc(3), None, Some("not_covered")),
        (pairs(3), None, Some("not_covered")),
        // It could not find out; and an answer about another number.
        (pairs(4), None, Some("route_unknown")),
        (ims(3), None, Some("route_unknown")),
        // Nobody is asked about it.
        (sud(2), by_prefix, None),
    ] {
        let began = now();
        let answered = ask(&bank, sim(number.clone())).await;
        let outcome = &answered.signals()[0];
        match said {
            Some(said) => assert_eq!(word(outcome), said),
            None => assert!(outcome.value().is_some(), "{}", word(outcome)),
        }
        assert_eq!(answered.answer.routing_basis, basis);
        // Who was not asked did not say as of when.
        let told = basis.is_some() && number != sud(2);
        assert_eq!(answered.answer.routing_as_of.is_some(), told);
        if let Some(fresh) = answered.answer.routing_as_of {
            assert!(fresh >= began && fresh <= answered.answer.answered_at);
        }
    }
    assert_eq!(asked(&world, 2, "unreadable").await, 1);
    assert_eq!(asked(&world, 1, "servfail").await, 1);
}

#[tokio::test]
#[ignore = "needs nsd"]
async fn an_answer_is_kept_for_as_long_as_it_says_and_remembers_when_it_was_given() {
    let text = naptr(&north(101), "country=XX;mcc=234;mnc=015;ported=false;err=0");
    let nsd = Nsd::serving(&[("pairs.example", &text)]).await;
    let dir = TempDir::new().unwrap();
    let supplier = Supplier::new("pairs.example", nsd.address, "key_value", "+44".to_owned());
    let world = world(dir.path(), &[supplier]).await;
    let bank = world.client("first-bank").unwrap();
    let first = ask(&bank, sim(north(101))).await;
    // What was said is still true with the server gone, and no fresher than it was.
    drop(nsd);
    let again = ask(&bank, sim(north(101))).await;
    assert_eq!(first.answer.routing_as_of, again.answer.routing_as_of);
    assert!(again.answer.answered_at > first.answer.answered_at);
    assert_eq!(asked(&world, 0, "found").await, 1);
    assert_eq!(asked(&world, 0, "cached").await, 1);
    // Of any other number nothing is known now.
    assert_eq!(word(&one(&bank, sim(north(102))).await), "route_unknown");
}

#[tokio::test]
#[ignore = "needs nsd"]
async fn a_supplier_that_fails_leaves_the_operator_unknown() {
    let found = naptr(&north(501), "country=XX;mcc=234;mnc=015;ported=false;err=0");
    let garbage = naptr(&north(301), "free text");
    let nsd = Nsd::serving(&[
        ("broken.example", ""),
        ("pairs.example", &found),
        ("garbage.example", &garbage),
    ])
    .await;
    // It takes questions and never answers.
    let hole = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let silent = hole.local_addr().unwrap();
    let of = |zone, at| Supplier::new(zone, nsd.address, "key_value", hundred(at));
    let hung = |zone, at| Supplier {
        timeout_ms: 200,
        ..Supplier::new(zone, silent, "key_value", hundred(at))
    };
    let dir = TempDir::new().unwrap();
    let unknown = Supplier {
        absent: "unknown",
        ..of("pairs.example", 4)
    };
    let suppliers = [
        of("broken.example", 1),
        of("nowhere.example", 2),
        of("garbage.example", 3),
        unknown,
        hung("pairs.example", 5),
        of("pairs.example", 5),
        hung("pairs.example", 6),
    ];
    let world = world(dir.path(), &suppliers).await;
    let bank = world.client("first-bank").unwrap();
    for (number, outcome, supplier) in [
        (north(101), "servfail", 0),
        (north(201), "refused", 1),
        (north(301), "unreadable", 2),
        // NXDOMAIN, which under this contract says nothing.
        (north(401), "absent", 3),
        // The next supplier's silence does not make up for it.
        (north(502), "timeout", 4),
        (north(601), "timeout", 6),
    ] {
        let answered = ask(&bank, sim(number)).await;
        assert_eq!(word(&answered.signals()[0]), "route_unknown", "{outcome}");
        assert_eq!(answered.answer.routing_basis, None);
        assert_eq!(asked(&world, supplier, outcome).await, 1, "{outcome}");
    }
    // But the next one's word does.
    let answered = ask(&bank, sim(north(501))).await;
    assert!(answered.signals()[0].value().is_some());
    assert_eq!(answered.answer.routing_basis, Some(RoutingBasis::Enum));
}

#[tokio::test]
async fn nobody_outside_learns_of_a_question_under_no_clause() {
    let hole = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let supplier = Supplier {
        timeout_ms: 200,
        ..Supplier::new(
            "pairs.example",
            hole.local_addr().unwrap(),
            "key_value",
            "+44".to_owned(),
        )
    };
    let dir = TempDir::new().unwrap();
    let world = world(dir.path(), &[supplier]).await;
    let bank = world.client("first-bank").unwrap();
    let dormant = Lookup::about(north(1), Purpose::DormantAccount).sim_swap();
    assert_eq!(word(&one(&bank, dormant).await), "not_authorised");
    assert_eq!(
        hole.try_recv(&mut [0; 512]).map_err(|error| error.kind()),
        Err(std::io::ErrorKind::WouldBlock)
    );
    // For a purpose of which some clause lets it ask the question does reach the supplier.
    assert_eq!(word(&one(&bank, sim(north(1))).await), "route_unknown");
    assert!(hole.recv(&mut [0; 512]).await.is_ok());
    assert_eq!(asked(&world, 0, "timeout").await, 1);
}
