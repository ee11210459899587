//! Lists of disconnected numbers that come by SFTP.

use std::{fs, sync::Arc, time::Duration};

use accord_adapters::{
    file_drop::testing::RealSshd,
    number_list::{ListConfig, NumberList},
    source::{Condition, Source as _},
};
use accord_proto::{
    clock::ManualClock,
    msisdn::Msisdn,
    observation::{Change, Observed},
    reason::Reason,
    signal::Signal,
};
use tempfile::TempDir;
use tokio::time::Instant;

use super::fetched::sha256;

const NOW: &str = "2026-12-20T12:00:00Z";

async fn change(source: &NumberList, last: u16) -> Result<Change, Reason> {
    let number = Msisdn::parse(&format!("+447700900{last:03}")).unwrap();
    let by = Instant::now() + Duration::from_secs(5);
    let mut told = source.observe(number, &[Signal::NumberRecycling], by).await;
    let Observed::Change(change) = told.signals.remove(0).1?.what else {
        return Err(Reason::NotAvailable);
    };
    Ok(change)
}

#[tokio::test]
#[ignore = "needs sshd"]
async fn a_months_list_is_fetched_whole_and_one_without_its_checksum_is_not_believed() {
    let (server, spool) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let sshd = RealSshd::start(server.path()).unwrap();
    let config: ListConfig = toml::from_str(&format!(
        "directory = {:?}\nfile_name = \"mnrl-%Y-%m.csv\"\ntime_zone = \"UTC\"\n\
         covers = {{ by = \"month\" }}\ncomplete = \"sha256_file\"\n\
         columns = {{ number = \"MOBILE_NO\" }}\n\
         number = {{ country_code = \"44\", bare = \"national\" }}\nreload_ms = 10\n[sftp]\n{}",
        spool.path(),
        sshd.section().unwrap()
    ))
    .unwrap();
    let clock = ManualClock::at(NOW.parse().unwrap());
    let source = Arc::new(NumberList::open(config, clock).unwrap());
    let put = |name: &str, text: &str| fs::write(sshd.files().join(name), text).unwrap();
    let fetch = async || source.files().unwrap().fetch().await.unwrap();
    let list = "MOBILE_NO\n7700900001\n";
    put("mnrl-2026-11.csv", list);
    put("readme.txt", "no list");
    fetch().await;
    assert!(Arc::clone(&source).reload_now().await.is_err());
    assert_eq!(change(&source, 1).await, Err(Reason::SourceDown));

    let sum = format!("{}  mnrl-2026-11.csv\n", sha256(list));
    put("mnrl-2026-11.csv.sha256", &sum);
    fetch().await;
    Arc::clone(&source).reload_now().await.unwrap();
    assert_eq!(source.state().condition, Condition::Up);
    let within = change(&source, 1).await.unwrap().changed_in.unwrap();
    assert_eq!(within.after().to_string(), "2026-11-01T00:00:00Z");
    assert_eq!(within.before().to_string(), "2026-12-01T00:00:00Z");
    assert_eq!(change(&source, 2).await.unwrap().changed_in, None);
    assert!(!spool.path().join("readme.txt").exists());
    // With the server gone, what was fetched stays in force.
    drop(sshd);
    assert!(source.files().unwrap().fetch().await.is_err());
    assert!(change(&source, 1).await.is_ok());
}
