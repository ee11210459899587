//! What must not be made of what a server says.

use std::path::PathBuf;
use std::sync::Arc;

use accord_adapters::conformance;
use accord_adapters::diameter::DiameterSh;
use accord_adapters::source::Source;
use accord_proto::clock::{Clock as _, ManualClock};
use accord_proto::observation::{
    ChangedIn, Forwarding, ForwardingCondition, ForwardingTarget, Observed, Roaming,
};
use accord_proto::reason::Reason;
use accord_proto::signal::Signal;
use jiff::{SignedDuration, Timestamp};

use crate::fake::{Fake, Mood};
use crate::support::{self, NEW, OLD, change, forwarding, peer, roaming, swap};

/// A scripted server, a clock that stands, and a source.
struct Bench {
    fake: Fake,
    clock: Arc<ManualClock>,
    source: Arc<DiameterSh>,
    path: PathBuf,
    _dir: tempfile::TempDir,
}

fn at(second: i64) -> Timestamp {
    let zero: Timestamp = "2026-11-26T00:00:00Z".parse().unwrap();
    zero + SignedDuration::from_secs(second)
}

fn between(after: i64, before: i64) -> Option<ChangedIn> {
    ChangedIn::new(at(after), at(before))
}

impl Bench {
    async fn start(keys: &str, sections: &str) -> Self {
        let fake = Fake::start(Mood::Serve).await;
        let (dir, path) = support::folder();
        let clock = ManualClock::at(at(0));
        let sections = format!("{}{sections}", peer(fake.address()));
        let source = support::open(&path, clock.clone(), keys, &sections);
        Self {
            fake,
            clock,
            source,
            path,
            _dir: dir,
        }
    }

    fn wait(&self, seconds: i64) {
        self.clock.step(SignedDuration::from_secs(seconds));
    }
}

#[tokio::test]
async fn the_first_ask_only_begins_the_watch_and_a_new_imsi_is_an_interval() {
    let bench = Bench::start("", "").await;
    bench.fake.imsi(1, OLD);
    let first = swap(&bench.source, 1).await.unwrap();
    assert_eq!(
        (first.changed_in, first.monitored_since),
        (None, Some(at(0)))
    );
    bench.wait(10);
    assert_eq!(
        bench.source.poll_once().await.unwrap().asked,
        1,
        "now watched"
    );
    bench.fake.imsi(1, NEW);
    bench.wait(10);
    let mut changes = bench.source.changes().unwrap();
    assert_eq!(bench.source.poll_once().await.unwrap().changed, 1);
    let swapped = swap(&bench.source, 1).await.unwrap();
    assert_eq!(swapped.changed_in, between(10, 20));
    assert_eq!(swapped.monitored_since, Some(at(0)));
    let pushed = changes.try_recv().unwrap();
    assert!(pushed.msisdn == support::number(1) && pushed.signal == Signal::SimSwap);
    assert_eq!(pushed.observation.unwrap().what, Observed::Change(swapped));
}

#[tokio::test]
async fn a_number_never_seen_is_unknown_and_one_in_the_gap_of_a_swap_is_not() {
    let bench = Bench::start("home_plmns = [\"90170\"]", "").await;
    assert_eq!(swap(&bench.source, 1).await, Err(Reason::UnknownNumber));
    assert_eq!(
        bench.source.poll_once().await.unwrap().asked,
        0,
        "and not watched"
    );
    bench.fake.imsi(1, OLD);
    bench.fake.imsi(2, OLD);
    swap(&bench.source, 1).await.unwrap();
    swap(&bench.source, 2).await.unwrap();
    let mut changes = bench.source.changes().unwrap();
    let mut taken_back = |last| {
        let mut taken = Vec::new();
        while let Ok(change) = changes.try_recv() {
            assert!(change.msisdn == support::number(last));
            assert_eq!(change.observation, None);
            taken.push(change.signal);
        }
        taken
    };
    bench.fake.forget(1);
    bench.wait(10);
    assert_eq!(swap(&bench.source, 1).await, Err(Reason::Undecided));
    assert_eq!(roaming(&bench.source, 1).await, Err(Reason::Stale));
    let sweep = bench.source.poll_once().await.unwrap();
    assert_eq!((sweep.missing, sweep.withdrawn), (1, 0));
    // What a broker may hold is taken back, once, by whatever finds it out first.
    assert_eq!(taken_back(1), [Signal::SimSwap, Signal::Roaming]);
    bench.fake.forget(2);
    assert_eq!(bench.source.poll_once().await.unwrap().withdrawn, 2);
    assert_eq!(taken_back(2), [Signal::SimSwap, Signal::Roaming]);
    assert_eq!(bench.source.poll_once().await.unwrap().withdrawn, 0);
    bench.fake.imsi(1, NEW);
    bench.wait(10);
    assert_eq!(
        swap(&bench.source, 1).await.unwrap().changed_in,
        between(0, 20)
    );
}

#[tokio::test]
async fn an_imsi_that_is_not_told_any_more_is_no_unchanged_one() {
    let bench = Bench::start("", "").await;
    bench.fake.know(1, "");
    assert_eq!(swap(&bench.source, 1).await, Err(Reason::NotAvailable));
    bench.fake.imsi(1, OLD);
    swap(&bench.source, 1).await.unwrap();
    bench.fake.know(1, "");
    assert_eq!(swap(&bench.source, 1).await, Err(Reason::Undecided));
}

#[tokio::test]
async fn a_document_about_another_number_swaps_nobodys_sim() {
    let bench = Bench::start("", "").await;
    bench.fake.imsi(1, OLD);
    swap(&bench.source, 1).await.unwrap();
    let other = format!(
        "<PublicIdentifiers><MSISDN>447700900002</MSISDN></PublicIdentifiers><IMSI>{NEW}</IMSI>"
    );
    bench.fake.know(1, &other);
    assert_eq!(swap(&bench.source, 1).await, Err(Reason::SourceDown));
    bench.fake.imsi(1, OLD);
    assert_eq!(swap(&bench.source, 1).await.unwrap().changed_in, None);
}

#[tokio::test]
async fn a_gap_in_watching_restarts_the_watch_and_a_failed_sweep_vouches_for_nothing() {
    let bench = Bench::start("poll_ms = 10000\ngap_max_ms = 60000", "").await;
    bench.fake.imsi(1, OLD);
    swap(&bench.source, 1).await.unwrap();
    bench.wait(50);
    bench.fake.be(Mood::Result(3_004));
    assert!(bench.source.poll_once().await.is_err());
    bench.fake.be(Mood::Serve);
    bench.wait(20);
    assert_eq!(
        swap(&bench.source, 1).await.unwrap().monitored_since,
        Some(at(70))
    );
}

#[tokio::test]
async fn a_number_that_fails_takes_nothing_from_the_watch_over_the_others() {
    let bench = Bench::start("poll_ms = 10000\ngap_max_ms = 60000", "").await;
    for last in 1..=4 {
        bench.fake.imsi(last, OLD);
        swap(&bench.source, last).await.unwrap();
    }
    bench.fake.refuse(2, 3_002);
    bench.wait(50);
    let sweep = bench.source.poll_once().await.unwrap();
    assert_eq!((sweep.asked, sweep.unusable), (4, 1));
    bench.wait(50);
    for last in [1, 3, 4] {
        let since = swap(&bench.source, last).await.unwrap().monitored_since;
        assert_eq!(since, Some(at(0)), "{last}");
    }
}

#[tokio::test]
async fn what_was_watched_outlives_a_restart() {
    let bench = Bench::start("", "").await;
    bench.fake.imsi(1, OLD);
    swap(&bench.source, 1).await.unwrap();
    bench.source.poll_once().await.unwrap();
    let Bench {
        fake,
        clock,
        source,
        path,
        _dir,
    } = bench;
    drop(source);
    clock.step(SignedDuration::from_secs(60));
    fake.imsi(1, NEW);
    let again = support::open(&path, clock, "", &peer(fake.address()));
    let swapped = swap(&again, 1).await.unwrap();
    assert_eq!(
        (swapped.changed_in, swapped.monitored_since),
        (between(0, 60), Some(at(0)))
    );
    for file in std::fs::read_dir(path.join("journal/sim")).unwrap() {
        let bytes = std::fs::read(file.unwrap().path()).unwrap();
        for secret in ["447700900001", OLD, NEW] {
            let found = bytes
                .windows(secret.len())
                .any(|part| part == secret.as_bytes());
            assert!(!found, "a number or an IMSI lies in clear in the journal");
        }
    }
}

#[tokio::test]
async fn another_software_version_is_no_other_device() {
    let bench = Bench::start("device_swap = true", "").await;
    let device = async |imeisv: &str| {
        bench.fake.know(
            1,
            &format!("<IMSI>{OLD}</IMSI><Extension><IMEISV>{imeisv}</IMEISV></Extension>"),
        );
        bench.wait(10);
        change(support::ask(&bench.source, 1, Signal::DeviceSwap).await)
            .unwrap()
            .changed_in
    };
    assert_eq!(device("3534900698733101").await, None);
    assert_eq!(device("3534900698733102").await, None);
    assert_eq!(device("3534900698733201").await, between(20, 30));
    assert_eq!(
        swap(&bench.source, 1).await.unwrap().changed_in,
        None,
        "the card is the same"
    );
}

#[tokio::test]
async fn a_phone_of_one_domain_is_where_that_domain_says() {
    let bench = Bench::start("home_plmns = [\"90170\"]", "").await;
    let abroad = "<PSLocationInformation><Extension><VisitedPLMNID>20801</VisitedPLMNID></Extension></PSLocationInformation>";
    bench.fake.know(1, abroad);
    let visited = Roaming {
        roaming: true,
        visited_mcc: Some(208),
    };
    assert_eq!(roaming(&bench.source, 1).await, Ok(visited));
    bench.fake.know(1, "");
    assert_eq!(roaming(&bench.source, 1).await, Err(Reason::NotAvailable));
    bench.fake.be(Mood::Experimental(4_100));
    assert_eq!(roaming(&bench.source, 1).await, Err(Reason::NotAvailable));
}

#[tokio::test]
async fn where_a_phone_was_days_ago_is_told_as_of_then() {
    let bench = Bench::start("home_plmns = [\"90170\"]\nregistration_ms = 86400000", "").await;
    let place = |domain: &str, age: &str| {
        format!(
            "<{domain}LocationInformation>{age}<Extension><VisitedPLMNID>90170</VisitedPLMNID></Extension>\
             </{domain}LocationInformation>"
        )
    };
    let age =
        |minutes: &str| format!("<AgeOfLocationInformation>{minutes}</AgeOfLocationInformation>");
    let days = |days: i64| SignedDuration::from_hours(24 * days);
    for (cs, ps, ago) in [
        // Nothing is said of it, or it was within the time that is vouched for.
        (place("CS", ""), String::new(), days(0)),
        (place("CS", &age("1440")), String::new(), days(0)),
        (place("CS", &age("4320")), String::new(), days(2)),
        // The packet network heard of it since.
        (place("CS", &age("4320")), place("PS", &age("5")), days(0)),
        // No age is an old one.
        (
            place("CS", &age("soon")),
            String::new(),
            SignedDuration::from_mins(32_767) - days(1),
        ),
    ] {
        bench.fake.know(1, &format!("{cs}{ps}"));
        let said = support::ask(&bench.source, 1, Signal::Roaming).await;
        let at = said.unwrap().observed_at;
        assert_eq!(bench.clock.now().duration_since(at), ago, "{cs}{ps}");
    }
}

const FORWARDING: &str =
    "[forwarding]\nservice_indications = [\"MMTEL-Services\"]\nvoicemail = [\"tel:121\"]";

fn repository(indication: &str, data: &str) -> String {
    format!(
        "<RepositoryData><ServiceIndication>{indication}</ServiceIndication>\
         <SequenceNumber>4</SequenceNumber><ServiceData>{data}</ServiceData></RepositoryData>"
    )
}

fn rule(condition: &str, target: &str) -> String {
    format!(
        "<communication-diversion active=\"true\"><ruleset><rule id=\"1\"><conditions>{condition}</conditions>\
         <actions><forward-to><target>{target}</target></forward-to></actions></rule></ruleset></communication-diversion>"
    )
}

#[tokio::test]
async fn among_several_repositories_the_configured_one_is_read() {
    let bench = Bench::start("", FORWARDING).await;
    let other = repository("Other", &rule("", "tel:+447700900100"));
    let ours = repository("MMTEL-Services", &rule("<busy/>", "tel:121"));
    bench.fake.know(1, &format!("{other}{ours}"));
    let busy = Forwarding {
        condition: ForwardingCondition::Busy,
        target: ForwardingTarget::OwnVoicemail,
    };
    assert_eq!(forwarding(&bench.source, 1).await, Ok(vec![busy]));
    bench.fake.know(1, &format!("{ours}{ours}"));
    assert_eq!(
        forwarding(&bench.source, 1).await,
        Err(Reason::NotAvailable)
    );
}

#[tokio::test]
async fn diversion_that_is_absent_or_not_understood_is_never_none() {
    let bench = Bench::start("", FORWARDING).await;
    for (inside, reason) in [
        (String::new(), Reason::NotAvailable),
        (
            repository("MMTEL-Services", "").replace("<ServiceData></ServiceData>", ""),
            Reason::NotAvailable,
        ),
        (
            repository("MMTEL-Services", "<vendor/>"),
            Reason::NotAvailable,
        ),
        (
            repository("MMTEL-Services", &rule("<on-full-moon/>", "tel:121")),
            Reason::NotAvailable,
        ),
        (
            repository("MMTEL-Services", &rule("<validity/>", "tel:+447700900100")),
            Reason::Undecided,
        ),
    ] {
        bench.fake.know(1, &inside);
        assert_eq!(forwarding(&bench.source, 1).await, Err(reason), "{inside}");
    }
    bench.fake.know(
        1,
        &repository("MMTEL-Services", &rule("<rule-deactivated/>", "tel:121")),
    );
    assert_eq!(forwarding(&bench.source, 1).await, Ok(vec![]));
}

#[tokio::test]
async fn one_request_or_several_tell_the_same() {
    for keys in ["device_swap = true", "device_swap = true\ncombine = true"] {
        let bench = Bench::start(keys, FORWARDING).await;
        let diversion = repository("MMTEL-Services", &rule("", "tel:121"));
        bench.fake.know(
            1,
            &format!("{diversion}<IMSI>{OLD}</IMSI><IMEISV>3534900698733101</IMEISV>"),
        );
        let signals = [Signal::SimSwap, Signal::DeviceSwap, Signal::CallForwarding];
        let observed = support::observe(&bench.source, 1, &signals).await;
        assert!(
            observed.signals.iter().all(|(_, said)| said.is_ok()),
            "{observed:?}"
        );
        let asked = bench.fake.seen(|seen| seen.questions);
        assert_eq!(asked, if keys.contains("combine") { 1 } else { 3 });
    }
}

#[tokio::test]
async fn the_source_keeps_the_rules_of_all_sources() {
    let bench = Bench::start("device_swap = true\nhome_plmns = [\"90170\"]", FORWARDING).await;
    bench.fake.know(1, &format!("<IMSI>{OLD}</IMSI>"));
    for last in [1, 2] {
        let time = support::WAIT_MAX;
        let examined =
            conformance::examine(&*bench.source, support::number(last), time, &*bench.clock).await;
        assert_eq!(examined.faults, Vec::<String>::new());
    }
}
