//! No file that the broker wrote holds a number, in any common spelling, nor a bearer token; and of
//! the adapter's files only the one that is meant to.
//!
//! Every party does everything here, also what is refused, while broker and adapter log at their
//! finest.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use accord_adapters::runtime::Restriction;
use accord_client::{Client, Lookup, Scope};
use accord_proto::{msisdn::Msisdn, observation::SwapKind, purpose::Purpose, reason::Reason};
use accord_tests::world::{ChildBroker, WorldSpec, wait_until};
use jiff::civil::date;
use rustix::process::{Pid, Signal, kill_process};
use tokio::process::Child;

use super::{
    rig::{Rig, adapter_process, files_below, get, unanswered, value_of},
    spellings::Search,
};

/// Numbers that are asked about, in one way or another.
const USED: [&str; 12] = [
    "+447700900001",
    "+447700900004",
    "+447700900012",
    "+447700900015",
    "+447700900016",
    "+447700900029",
    "+447700900032",
    "+447700900123",
    "+33639980001",
    "+33639980007",
    "+33639980123",
    "+99912345678",
];
/// A subscriber who opts out, and one whose SIM is swapped and pushed.
const OPTED_OUT: &str = "+447700900321";
const LOCKED: &str = "+447700900322";
const PUSHED: &str = "+33639980321";
const LONG: Duration = Duration::from_secs(5);

/// The north's adapter as a program of its own, at its finest log, with a restrictions file.
fn start_adapter(rig: &Rig) -> Child {
    let config = rig.files.adapter_config_path("north-mobile");
    let dir = config.parent().unwrap();
    fs::write(
        dir.join("restrictions.toml"),
        "opted_out_file = \"out.txt\"\nswap_locked_file = \"locked.txt\"\n",
    )
    .unwrap();
    fs::write(dir.join("out.txt"), format!("{OPTED_OUT}\n")).unwrap();
    fs::write(dir.join("locked.txt"), format!("{LOCKED}\n")).unwrap();
    let more = "\n[restrictions]\nfile = \"restrictions.toml\"\n\n[log]\nfilter = \"trace\"\nformat = \"json\"\n";
    fs::write(&config, fs::read_to_string(&config).unwrap() + more).unwrap();
    adapter_process(&config, &rig.files.dir().join("adapter.log"))
}

fn stop(child: &Child) {
    let pid = i32::try_from(child.id().unwrap()).unwrap();
    kill_process(Pid::from_raw(pid).unwrap(), Signal::TERM).unwrap();
}

async fn lookups(first: &Client, second: &Client) {
    for number in USED {
        for lookup in [
            Lookup::about(number, Purpose::Payment)
                .sim_swap()
                .call_forwarding()
                .roaming(),
            Lookup::about(number, Purpose::Complaint)
                .sim_swap()
                .device_swap(),
            Lookup::about(number, Purpose::OtpSend)
                .sim_swap_within(24)
                .call_forwarding(),
            // A purpose without a clause, and a date that is hashed.
            Lookup::about(number, Purpose::DormantAccount).number_recycling(date(2024, 1, 31)),
            // References that a bank should not have chosen so.
            Lookup::about(number, Purpose::Payment)
                .sim_swap()
                .customer_ref(number)
                .request_id(format!("ask-{number}")),
            Lookup::about(number, Purpose::LimitChange)
                .tenure(date(2024, 1, 31))
                .consent_ref("consent-1")
                .with_proof(),
        ] {
            // Repeated, so that the kept answer is read as well.
            let again = lookup.clone();
            first.lookup(lookup).await.unwrap();
            first.lookup(again).await.unwrap();
        }
        let lookup = Lookup::about(number, Purpose::DormantAccount);
        second
            .lookup(lookup.number_recycling(date(2024, 1, 31)))
            .await
            .unwrap();
        // On behalf of nobody whom an agreement names, and for a purpose that it does not.
        let lookup = Lookup::about(number, Purpose::OtpSend).sim_swap_within(24);
        drop(second.lookup(lookup.on_behalf_of("shop-b")).await);
        drop(
            second
                .lookup(Lookup::about(number, Purpose::Login).roaming())
                .await,
        );
    }
}

/// More answers than the store of kept answers holds in memory.
async fn fill_replays(rig: &Rig, client: &Client) {
    let replay = rig.files.dir().join("replay");
    let filled = wait_until("kept answers on disk", || async {
        for number in USED {
            let lookup = Lookup::about(number, Purpose::Payment)
                .roaming()
                .with_proof();
            client.lookup_within(lookup, LONG).await.unwrap();
        }
        files_below(&replay)
            .iter()
            .any(|file| file.metadata().is_ok_and(|file| file.len() > 0))
    });
    filled.await.unwrap();
}

async fn screening(client: &Client) {
    let lines: Vec<_> = USED
        .into_iter()
        .map(|number| {
            (
                number,
                Lookup::about(number, Purpose::Payment).roaming().sim_swap(),
            )
        })
        .collect();
    let scope = Scope::new([Purpose::Payment]);
    let mut results = client.screen(scope, tokio_stream::iter(lines));
    let mut count = 0;
    while let Some(result) = results.next().await {
        result.unwrap().outcome.unwrap();
        count += 1;
    }
    assert_eq!(count, USED.len());
}

async fn audit(rig: &Rig) {
    for party in ["central-bank", "first-bank", "north-mobile"] {
        let auditor = rig.auditor(party);
        auditor.checkpoint("").await.unwrap();
        let mut entries = auditor.tail("", 0, true).await.unwrap();
        while entries.next().await.unwrap().is_some() {}
    }
    // Refused: the entry is not the operator's.
    drop(rig.auditor("sud-mobile").entry("", 1).await);
}

/// Opt-outs and locks of the file, one imposed at run time, and a pushed change.
async fn restrictions(rig: &Rig, client: &Client) {
    let opted_out = wait_until("the opt-out to be in force", || async {
        let lookup = Lookup::about(OPTED_OUT, Purpose::Payment).sim_swap();
        unanswered(&client.lookup(lookup).await.unwrap()) == Some(Reason::OptedOut)
    });
    opted_out.await.unwrap();
    let locked = Lookup::about(LOCKED, Purpose::Payment).sim_swap();
    client.lookup(locked).await.unwrap();
    let sud = &rig.adapters["sud-mobile"];
    let number = Msisdn::parse(PUSHED).unwrap();
    assert!(
        sud.virtual_operator()
            .unwrap()
            .swap_sim(number, SwapKind::Esim)
    );
    sud.restrictions()
        .impose(Restriction::SwapLocked(number))
        .unwrap();
    let pushed = wait_until("the pushed change", || async {
        let lookup = Lookup::about(PUSHED, Purpose::Payment).sim_swap();
        let answered = client.lookup_within(lookup, LONG).await.unwrap();
        answered.signals()[0].customer_lock
    });
    pushed.await.unwrap();
}

/// What the broker, or the adapter of the north, wrote: no number and no token.
fn assert_clean(search: &Search, paths: &[PathBuf]) {
    assert!(!paths.is_empty());
    let found: Vec<_> = paths.iter().flat_map(|path| search.find_in(path)).collect();
    let count = found.len();
    let some: Vec<_> = found.into_iter().take(20).collect();
    assert!(some.is_empty(), "{count} finds:\n{}", some.join("\n"));
}

fn written_by_broker(dir: &Path) -> Vec<PathBuf> {
    let mut paths = vec![dir.join("broker.log"), dir.join("metrics.txt")];
    for name in ["ledger", "view", "replay", "keys", "sealed"] {
        paths.extend(files_below(&dir.join(name)));
    }
    paths.extend(views_set_aside(dir).iter().flat_map(|dir| files_below(dir)));
    paths
}

fn views_set_aside(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap());
    let aside = entries.filter(|entry| {
        let name = entry.file_name();
        name.to_str().unwrap().starts_with("view.damaged-")
    });
    aside.map(|entry| entry.path()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_file_holds_a_number_or_a_token_after_a_mixed_load() {
    let mut rig = Rig::new(&WorldSpec::default());
    let mut broker: ChildBroker = rig.launch(&[("RUST_LOG", "trace")]);
    broker.wait_ready(&rig.files).await.unwrap();
    rig.attach_adapters().await;
    rig.adapters
        .remove("north-mobile")
        .unwrap()
        .stop()
        .await
        .unwrap();
    let mut north = start_adapter(&rig);
    let (first, second) = (rig.client("first-bank"), rig.client("second-bank"));
    let attached = wait_until("the adapter of the north", || async {
        let lookup = Lookup::about(USED[0], Purpose::Payment).sim_swap();
        unanswered(&first.lookup(lookup).await.unwrap()).is_none()
    });
    attached.await.unwrap();
    lookups(&first, &second).await;
    super::raw::malformed(&rig).await;
    screening(&first).await;
    restrictions(&rig, &first).await;
    audit(&rig).await;
    fill_replays(&rig, &first).await;
    let (status, metrics) = get(rig.admin(), "/metrics").await;
    assert_eq!(status, 200);
    assert!(value_of(&metrics, "accord_view_served_total").unwrap() > 0.0);
    let dir = rig.files.dir().to_owned();
    fs::write(dir.join("metrics.txt"), metrics).unwrap();

    // As it runs, with the answers that it keeps for repeats.
    let numbers = USED.into_iter().chain([OPTED_OUT, LOCKED, PUSHED]);
    let numbers: Vec<_> = numbers.chain(super::raw::MALFORMED_DIGITS).collect();
    let search = Search::new(numbers);
    assert_clean(&search, &written_by_broker(&dir));
    // And what only its end writes.
    assert!(broker.terminate().await.unwrap().success());
    stop(&north);
    assert!(north.wait().await.unwrap().success());
    assert_clean(&search, &written_by_broker(&dir));
    // A view that is set aside keeps what is in it.
    fs::write(dir.join("view/conf"), b"no store any more").unwrap();
    let broker = rig.broker().await;
    let [aside] = views_set_aside(&dir).try_into().unwrap();
    assert!(fs::metadata(aside.join("db")).unwrap().len() > 0);
    assert!(broker.terminate().await.unwrap().success());
    assert_clean(&search, &written_by_broker(&dir));
    assert!(
        rig.log().contains("TRACE"),
        "the broker did not log at its finest"
    );

    let mut journal = files_below(&dir.join("adapters"));
    let meant_to = ["changes.bin", "out.txt", "locked.txt"];
    journal.retain(|path| meant_to.iter().all(|name| !path.ends_with(name)));
    // Its configuration names the range that it serves.
    journal.push(dir.join("adapter.log"));
    assert!(journal.len() > 4, "{journal:?}");
    assert_clean(&search, &journal);
    let changes = dir.join("adapters/sud-mobile/journal/changes.bin");
    assert!(
        !search.find_in(&changes).is_empty(),
        "the search finds nothing at all"
    );
}
