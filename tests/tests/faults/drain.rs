//! SIGTERM: what is on its way is answered and recorded, and nobody holds the broker up.

use std::{process::Stdio, time::Duration};

use accord_client::Lookup;
use accord_proto::{purpose::Purpose, v1::operation::Kind};
use accord_tests::world::WorldSpec;
use rustix::process::{Pid, Signal, kill_process};
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::{Child, Command},
    time::Instant,
};

use super::{
    record::{Record, Told, verify},
    rig::{Rig, program, unanswered},
};

const DRAIN_SECONDS: u32 = 4;
/// What start, abort and scheduling may take beside it.
const MARGIN: Duration = Duration::from_secs(3);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn questions_on_their_way_are_answered_and_recorded_before_the_broker_ends() {
    let mut rig = Rig::new(&WorldSpec::default());
    let broker = rig.broker().await;
    rig.attach_adapters().await;
    let client = rig.client("first-bank");
    let asking: Vec<_> = (0..20)
        .map(|_| {
            let client = client.clone();
            // The last three digits 010: answered after 600 ms.
            let lookup = Lookup::about("+447700900010", Purpose::Payment).sim_swap();
            tokio::spawn(async move { client.lookup(lookup).await })
        })
        .collect();
    rig.wait_in_flight(20.0).await;
    let began = Instant::now();
    let ended = broker.terminate().await.unwrap();
    let took = began.elapsed();
    assert_eq!(ended.code(), Some(0), "{}", rig.log());
    let mut told = Vec::new();
    for asked in asking {
        let answered = asked.await.unwrap().unwrap();
        assert_eq!(unanswered(&answered), None);
        let bank = "first-bank".to_owned();
        told.push(Told { bank, answered });
    }
    // Attached adapters are sent away, and do not use up the drain time of 20 s.
    assert!(took < Duration::from_secs(5), "{took:?}");
    verify(&rig.files);
    let record = Record::read(&rig.files);
    record.assert_holds(&told);
    assert_eq!(record.operations(Kind::Stop), 1);
}

/// `accord audit tail`, which follows the ledger, stopped by SIGSTOP once it has a line: its
/// connection stays open, and it neither reads nor closes.
async fn deaf_client(rig: &Rig) -> Child {
    let mut child = Command::new(program("accord"))
        .arg("--profile")
        .arg(rig.files.dir())
        .args(["audit", "tail", "--from", "0"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(lines.next_line().await.unwrap().is_some());
    let pid = i32::try_from(child.id().unwrap()).unwrap();
    kill_process(Pid::from_raw(pid).unwrap(), Signal::STOP).unwrap();
    child
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deaf_client_does_not_hold_the_drain_beyond_its_deadline() {
    let spec = WorldSpec::default().limit("drain_seconds_max", DRAIN_SECONDS);
    let mut rig = Rig::new(&spec);
    let broker = rig.broker().await;
    let deaf = deaf_client(&rig).await;
    // Connected, and silent from the first byte on.
    let address = ("127.0.0.1", rig.files.grpc_port());
    let silent = tokio::net::TcpStream::connect(address).await.unwrap();
    let began = Instant::now();
    let ended = broker.terminate().await.unwrap();
    let took = began.elapsed();
    assert_eq!(ended.code(), Some(0), "{}", rig.log());
    let most = Duration::from_secs(u64::from(DRAIN_SECONDS)) + MARGIN;
    assert!(took < most, "{took:?}");
    drop((deaf, silent));
    verify(&rig.files);
    assert_eq!(Record::read(&rig.files).operations(Kind::Stop), 1);
}
