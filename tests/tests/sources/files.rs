//! What files say newly ends what the broker answers from its view: the next export, which comes by a real
//! OpenSSH server (Debian package `openssh-server`), and the next database of ported numbers.

use std::{fmt::Write as _, path::Path};

use accord_adapters::file_drop::testing::RealSshd;
use accord_client::Value;
use accord_proto::{
    clock::{Clock as _, SystemClock},
    hex,
    reason::Reason,
};
use accord_tests::world::wait_until;
use aws_lc_rs::digest::{SHA256, digest};
use jiff::{SignedDuration, Timestamp};
use tempfile::TempDir;
use tokio::time::Instant;

use super::Cached;

const LEFT: &str = "+447700900002";
const SWAPPED: &str = "+447700900001";

fn source(sshd: &RealSshd, dir: &Path) -> String {
    let spool = dir.join("spool");
    let ported = dir.join("portability.csv");
    let sftp = sshd.section().unwrap();
    format!(
        r#"kind = "csv"
name = "billing"
directory = {spool:?}
file_name = "subscribers.csv"
encoding = "utf-8"
time_zone = "UTC"
reload_ms = 20
[source.number]
country_code = "44"
[source.exported_at]
from = "column"
name = "EXPORTED"
format = "%Y-%m-%d %H:%M:%S"
[source.complete]
by = "trailer"
text = "END"
[source.columns]
msisdn = "MSISDN"
sim_changed_at = {{ name = "SIM", format = "%Y-%m-%d %H:%M:%S", history_since = "whole_life" }}
[source.sftp]
{sftp}
[[source]]
kind = "portability"
file = {ported:?}
own = ["north-mobile"]
reload_ms = 20
"#
    )
}

fn minutes_ago(minutes: i64) -> Timestamp {
    SystemClock.now() - SignedDuration::from_mins(minutes)
}

/// Numbers, and when the SIM of each was changed. Two of different length are told apart by a server that
/// knows of a file's age no more than the second.
fn export(exported: Timestamp, rows: &[(&str, Timestamp)]) -> String {
    let cell = |at: Timestamp| at.strftime("%Y-%m-%d %H:%M:%S").to_string();
    let mut text = "MSISDN,SIM,EXPORTED\n".to_owned();
    for (number, sim) in rows {
        writeln!(text, "{number},{},{}", cell(*sim), cell(exported)).unwrap();
    }
    text + &format!("END,{},\n", rows.len())
}

/// A database of ported numbers with these rows.
fn ported(path: &Path, as_of: Timestamp, rows: &str) {
    let text = format!("accord-portability,1\nas_of,{as_of}\nnumber,recipient,ported\n{rows}");
    let hash = hex::encode(digest(&SHA256, text.as_bytes()).as_ref());
    let whole = format!("{text}end,{},{hash}\n", rows.lines().count());
    let partial = path.with_extension("partial");
    std::fs::write(&partial, whole).unwrap();
    std::fs::rename(partial, path).unwrap();
}

#[tokio::test]
#[ignore = "needs sshd"]
async fn what_a_file_says_newly_ends_what_the_broker_answers_from_its_view() {
    let dir = TempDir::new().unwrap();
    let server = dir.path().join("server");
    std::fs::create_dir(&server).unwrap();
    let sshd = RealSshd::start(&server).unwrap();
    std::fs::create_dir(dir.path().join("spool")).unwrap();
    let database = dir.path().join("portability.csv");
    ported(&database, minutes_ago(30), "");
    let long_ago = minutes_ago(60 * 24 * 700);
    let put = |text: String| {
        let partial = sshd.files().join("partial");
        std::fs::write(&partial, text).unwrap();
        std::fs::rename(partial, sshd.files().join("subscribers.csv")).unwrap();
    };
    let rows = [(SWAPPED, long_ago), (LEFT, long_ago)];
    put(export(minutes_ago(20), &rows));
    let bank = Cached::start(dir.path(), source(&sshd, dir.path())).await;
    let no = Ok(Value::YesNo(false));
    for number in [SWAPPED, LEFT] {
        let known = wait_until("the first export", || async {
            bank.asked(number).await == no
        });
        known.await.unwrap();
        let cached = wait_until("the view to answer", || async {
            let served = bank.served_from_view().await;
            bank.asked(number).await == no && bank.served_from_view().await > served
        });
        cached.await.unwrap();
    }

    let told = Instant::now();
    let swapped = (SWAPPED, minutes_ago(10));
    let rows = [swapped, (LEFT, long_ago), ("+447700900003", long_ago)];
    put(export(minutes_ago(5), &rows));
    let known = wait_until("the bank to know of the swap", || async {
        bank.asked(SWAPPED).await == Ok(Value::YesNo(true))
    });
    known.await.unwrap();
    println!("from the export to a bank's answer: {:.0?}", told.elapsed());
    // Of the other number nothing was taken back.
    let served = bank.served_from_view().await;
    assert_eq!(bank.asked(LEFT).await, no);
    assert_eq!(bank.served_from_view().await, served + 1);

    let told = Instant::now();
    let row = format!("{LEFT},sud-mobile,{}\n", minutes_ago(15));
    ported(&database, minutes_ago(1), &row);
    let known = wait_until("the bank to know of the port", || async {
        bank.asked(LEFT).await == Err(Reason::NotOurs)
    });
    known.await.unwrap();
    println!("from the port to a bank's answer: {:.0?}", told.elapsed());
}
