//! What the broker does beside the questions: its own acts on the record, documents whose day has
//! not come, health, and readers that follow the log over a month's end.

use std::{
    fs,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
};

use accord_broker::{config::Config, serve};
use accord_client::CallError;
use accord_proto::{
    agreement::with_dates,
    clock::{Clock, ManualClock, SystemClock},
    v1::{self, entry::Event, operation::Kind},
};
use accord_tests::world::{World, WorldFiles, WorldSpec, wait_until};
use aws_lc_rs::digest::{SHA256, digest};
use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use prost::Message as _;
use tempfile::TempDir;
use tokio::time::{Duration, timeout};
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};

use crate::{caller::Caller, doors::admin, record, said::Stage};

/// The acts of one kind from an index on.
fn acts(world: &World, from: u64, kind: Kind) -> Vec<v1::Operation> {
    let events = record::since(world, from).into_iter();
    let acts = events.filter_map(|event| match event {
        Event::Operation(act) if act.kind == kind as i32 => Some(act),
        _ => None,
    });
    acts.collect()
}

/// The documents of one kind that were taken or refused from an index on.
fn loaded(world: &World, from: u64, kind: &str) -> Vec<v1::DocumentLoaded> {
    let events = record::since(world, from).into_iter();
    let loaded = events.filter_map(|event| match event {
        Event::DocumentLoaded(loaded) if loaded.kind == kind => Some(loaded),
        _ => None,
    });
    loaded.collect()
}

fn sha256(path: &Path) -> Vec<u8> {
    digest(&SHA256, &fs::read(path).unwrap()).as_ref().to_vec()
}

#[tokio::test]
async fn a_tail_goes_on_from_one_month_into_the_next() {
    let dir = TempDir::new().unwrap();
    let spec = WorldSpec::default();
    let now = spec.clock.now();
    let past = WorldSpec {
        clock: ManualClock::at(now - SignedDuration::from_hours(35 * 24)),
        ..spec.clone()
    };
    WorldFiles::write(dir.path(), &past).unwrap();
    let files = WorldFiles::write(dir.path(), &spec).unwrap();
    let world = World::start(files, spec.clock.clone()).await.unwrap();
    let origins = world.broker.ledger().origins().unwrap();
    let [old, new] = origins.as_slice() else {
        panic!("{origins:?}");
    };
    let mut tail = world
        .authority()
        .unwrap()
        .tail(old, 0, false)
        .await
        .unwrap();
    let mut seen = Vec::new();
    for _ in 0..3 {
        let next = timeout(Duration::from_secs(20), tail.next()).await;
        let entry = next.unwrap().unwrap().unwrap();
        seen.push((entry.origin, entry.index));
    }
    let [old, new] = [old, new].map(String::as_str);
    let seen: Vec<_> = seen.iter().map(|(o, at)| (o.as_str(), *at)).collect();
    assert_eq!(seen, [(old, 0), (new, 0), (new, 1)]);
    let reads = record::since(&world, 0).into_iter();
    let reads: Vec<_> = reads
        .filter_map(|event| match event {
            Event::AuditRead(read) => Some(read.origin),
            _ => None,
        })
        .collect();
    assert_eq!(reads, [old]);
}

#[tokio::test]
async fn a_party_has_room_for_so_many_tails_and_no_more() {
    let stage = Stage::sandbox().await;
    let auditor = stage.auditor("first-bank").unwrap();
    let mut tails = Vec::new();
    for _ in 0..4 {
        tails.push(auditor.tail("", 0, false).await.unwrap());
    }
    match auditor.tail("", 0, false).await {
        Err(CallError::Refused(refusal)) => assert_eq!(refusal.reason, "OVERLOADED"),
        other => panic!("{other:?}"),
    }
    // Another party has its own, and a tail that was left makes room.
    stage.authority().unwrap().tail("", 0, true).await.unwrap();
    tails.pop();
    wait_until("room for a tail", || async {
        auditor.tail("", 0, false).await.is_ok()
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn the_documents_and_certificates_in_force_are_on_the_record_before_anybody_is_let_in() {
    let dir = TempDir::new().unwrap();
    let spec = WorldSpec::default();
    let files = WorldFiles::write(dir.path(), &spec).unwrap();
    let config = Config::read(&files.broker_config_path()).unwrap();
    let broker = serve::start(config, spec.clock).await.unwrap();
    let ledger = broker.ledger();
    let mut kinds = Vec::new();
    for index in 0..ledger.size() {
        let bytes = ledger.entry(None, index).unwrap();
        match v1::Entry::decode(bytes.as_slice()).unwrap().event.unwrap() {
            Event::DocumentLoaded(loaded) => kinds.push(loaded.kind),
            Event::Operation(act) => kinds.push(act.kind().as_str_name().to_owned()),
            _ => {}
        }
    }
    for kind in [
        "agreement",
        "parties",
        "KIND_CERTIFICATES_LOADED",
        "KIND_REVOCATIONS_LOADED",
    ] {
        assert!(kinds.iter().any(|known| known == kind), "{kind}: {kinds:?}");
    }
    broker.drain().await;
}

#[tokio::test]
async fn each_load_of_a_revocation_list_is_on_the_record_with_its_digest() {
    let stage = Stage::sandbox().await;
    let pki = stage.files.dir().join("pki");
    let digests = |act: &v1::Operation| -> Vec<Vec<u8>> {
        act.digests.iter().map(|one| one.sha256.clone()).collect()
    };
    let first = acts(&stage, 0, Kind::RevocationsLoaded);
    assert_eq!(first.len(), 1);
    let certificates = acts(&stage, 0, Kind::CertificatesLoaded);
    assert_eq!(certificates.len(), 1);
    let names: Vec<_> = certificates[0]
        .digests
        .iter()
        .map(|one| &one.name)
        .collect();
    assert_eq!(names, ["certificate", "client_roots"]);
    let from = record::size(&stage);
    stage.files.revoke("second-bank").unwrap();
    wait_until("the new list on the record", || async {
        !acts(&stage, from, Kind::RevocationsLoaded).is_empty()
    })
    .await
    .unwrap();
    let second = acts(&stage, from, Kind::RevocationsLoaded);
    assert_ne!(digests(&first[0]), digests(&second[0]));
    let list = fs::read_dir(&pki).unwrap().find_map(|file| {
        let path = file.unwrap().path();
        let is_it = [sha256(&path)] == digests(&second[0])[..];
        is_it.then_some(path)
    });
    assert!(list.is_some(), "the digest is of a file in `pki`");
    assert!(acts(&stage, from, Kind::CertificatesLoaded).is_empty());
}

/// The system's clock, moved: a clock that stood still would seem to step back.
#[derive(Debug, Default)]
struct Moved {
    by_ms: AtomicI64,
}

impl Moved {
    fn step(&self, seconds: i64) {
        self.by_ms.fetch_add(seconds * 1_000, Ordering::SeqCst);
    }
}

impl Clock for Moved {
    fn now(&self) -> Timestamp {
        SystemClock.now() + SignedDuration::from_millis(self.by_ms.load(Ordering::SeqCst))
    }
}

#[tokio::test]
async fn a_clock_that_steps_is_told_to_health_and_goes_on_the_record_afterwards() {
    let clock = Arc::new(Moved::default());
    let spec = WorldSpec {
        clock: clock.clone(),
        ..WorldSpec::default()
    };
    let stage = Stage::of(&spec).await;
    let channel = Caller::party(&stage, "first-bank").channel;
    let turns = async |status: ServingStatus| {
        wait_until("health to turn", || async {
            let mut told = Vec::new();
            // The banks' door, and the whole.
            for service in ["accord.v1.SignalService", ""].map(str::to_owned) {
                let mut health = HealthClient::new(channel.clone());
                let checked = health.check(HealthCheckRequest { service }).await.unwrap();
                told.push(checked.into_inner().status);
            }
            told == [status as i32; 2]
        })
        .await
        .unwrap();
    };
    let from = record::size(&stage);
    // Who looks now and then may miss a step that is over sooner, and then nothing was refused.
    wait_until("the step on the record", || async {
        turns(ServingStatus::Serving).await;
        clock.step(1_800);
        turns(ServingStatus::NotServing).await;
        let said = admin(&stage, "/readyz").await;
        assert!(said.starts_with("HTTP/1.1 503"), "{said}");
        assert!(
            said.ends_with("not ready: the wall clock stepped, so entries can not be timed\n"),
            "{said}"
        );
        clock.step(-1_800);
        turns(ServingStatus::Serving).await;
        !acts(&stage, from, Kind::ClockStep).is_empty()
    })
    .await
    .unwrap();
    let step = &acts(&stage, from, Kind::ClockStep)[0].detail;
    assert!(step.starts_with("the clock stepped by 1"), "{step}");
}

#[tokio::test]
async fn an_agreement_whose_day_has_not_come_waits_for_it() {
    let dir = TempDir::new().unwrap();
    let spec = WorldSpec::default();
    let files = WorldFiles::write(dir.path(), &spec).unwrap();
    let today = spec.clock.now().to_zoned(TimeZone::UTC).date();
    let tomorrow = today.tomorrow().unwrap();
    let midnight = tomorrow.to_zoned(TimeZone::UTC).unwrap().timestamp();
    // A quarter of an hour shall be no step to the ledger.
    let config = files.broker_config_path();
    let patient = fs::read_to_string(&config).unwrap().replacen(
        "[ledger]\n",
        "[ledger]\nclock_step_seconds_max = 3600\n",
        1,
    );
    fs::write(&config, patient).unwrap();
    let clock = Arc::new(Moved::default());
    let ahead = midnight.duration_since(spec.clock.now()).as_secs() - 600;
    clock.step(ahead);
    let world = World::start(files, clock.clone()).await.unwrap();
    let auditor = world.auditor("first-bank").unwrap();
    let first = auditor.agreement().await.unwrap();
    let from = record::size(&world);
    let text = world.files.next_agreement_text().unwrap();
    let expires = today.saturating_add(jiff::Span::new().days(300));
    let text = with_dates(&text, tomorrow, expires).unwrap();
    world.files.resign_agreement(&text).unwrap();
    // A list of parties that is refused shows that the files were looked at.
    let register = fs::read_to_string(world.files.parties_path()).unwrap();
    fs::write(world.files.parties_path(), "").unwrap();
    wait_until("a look at the files", || async {
        !loaded(&world, from, "parties").is_empty()
    })
    .await
    .unwrap();
    assert_eq!(loaded(&world, from, "agreement"), []);
    assert_eq!(auditor.agreement().await.unwrap().sha256, first.sha256);
    // Nor does a restart bring it forward, or bring the old one down.
    drop(auditor);
    fs::write(world.files.parties_path(), register).unwrap();
    let (files, _) = world.stop().await.unwrap();
    let world = World::start(files, clock.clone()).await.unwrap();
    record::settled(&world).await;
    let auditor = world.auditor("first-bank").unwrap();
    assert_eq!(auditor.agreement().await.unwrap().sha256, first.sha256);
    let from = record::size(&world);
    let loaded = || loaded(&world, from, "agreement");
    clock.step(900);
    wait_until("the new agreement", || async { !loaded().is_empty() })
        .await
        .unwrap();
    let entry = &loaded()[0];
    assert_eq!((entry.version, entry.refused.as_str()), (2, ""));
    wait_until("the new agreement in force", || async {
        auditor.agreement().await.unwrap().sha256 == entry.sha256
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn the_agreement_is_read_at_the_auditors_rate() {
    let spec = WorldSpec::default().limit("audit_per_second", 3);
    let stage = Stage::of(&spec).await;
    let auditor = stage.auditor("first-bank").unwrap();
    let reads = futures_util::future::join_all((0..20).map(|_| auditor.agreement())).await;
    let limited = reads.into_iter().filter(|read| match read {
        Err(CallError::Refused(refusal)) => refusal.reason == "RATE_LIMITED",
        _ => false,
    });
    assert!(limited.count() >= 10);
}
