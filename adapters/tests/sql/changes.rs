//! Changes: pushed as they happen, none missed, none believed because a notification says so.

use std::sync::Arc;

use accord_adapters::source::{Source as _, SourceChange};
use accord_adapters::sql::SqlSource;
use accord_proto::observation::SwapKind;
use accord_proto::signal::Signal;
use tokio::sync::mpsc::Receiver;
use tokio::task::JoinHandle;
use tokio::time::{Duration, timeout};

use super::rig::{Rig, change, number, wait_until};

struct Followed {
    changes: Receiver<SourceChange>,
    watching: JoinHandle<()>,
}

impl Drop for Followed {
    fn drop(&mut self) {
        self.watching.abort();
    }
}

impl Followed {
    fn start(rig: &Rig, more: &str) -> Self {
        let bookmark = rig.dir.path().join("bookmark");
        let source: SqlSource = rig.source(&format!(
            "changes = {{ query = \"select msisdn, changed_at, id from accord.subscriber\", \
             bookmark_file = {bookmark:?}, {more} }}"
        ));
        let changes = source.changes().unwrap();
        let source = Arc::new(source);
        let watching = tokio::spawn(async move { source.watch().await });
        Self { changes, watching }
    }

    /// The next SIM swap that is pushed: the last digits of its number, and its kind.
    async fn next(&mut self) -> (String, Option<SwapKind>) {
        loop {
            let next = timeout(Duration::from_secs(30), self.changes.recv());
            let pushed = next.await.unwrap().unwrap();
            if pushed.signal == Signal::SimSwap {
                let digits = pushed.msisdn.expose_digits();
                let last = digits.get(digits.len() - 3..).unwrap().to_owned();
                return (last, change(pushed.observation.as_ref().unwrap()).kind);
            }
        }
    }
}

fn swap(last: u16, more: &str) -> String {
    let digits = number(last).expose_digits().to_owned();
    format!(
        "insert into subscription (msisdn, begun, begun_by, sim_at, sim_why{}) values
        ('{digits}', '2020-01-01', 'NEW', now() - interval '1 s', 'REPL'{});",
        if more.is_empty() { "" } else { ", changed_at" },
        more
    )
}

/// So slow that only a notification can be the reason.
const BY_NOTIFICATION: &str = "channel = \"accord_changes\", poll_ms = 3600000";

#[tokio::test]
#[ignore = "needs postgresql"]
async fn a_swap_is_pushed_when_the_database_notifies_and_what_it_says_is_not_read() {
    let mut rig = Rig::start().await;
    rig.run(&swap(1, "")).await;
    let mut followed = Followed::start(&rig, BY_NOTIFICATION);
    let replaced = Some(SwapKind::Replacement);
    assert_eq!(followed.next().await, ("001".to_owned(), replaced));
    wait_until("the adapter to listen", || async {
        let rows = rig.admin.query(
            "select 1 from pg_stat_activity where application_name = 'accord-adapter changes' and query like 'listen%' or application_name = 'accord-adapter changes' and state = 'idle'",
            &[],
        );
        !rows.await.unwrap().is_empty()
    })
    .await;
    // Lies about another number, and a torrent of them.
    for _ in 0..100 {
        rig.run("notify accord_changes, '{\"msisdn\": \"447700900099\", \"sim_at\": \"now\"}'")
            .await;
    }
    rig.run(&swap(2, "")).await;
    assert_eq!(followed.next().await, ("002".to_owned(), replaced));

    // While the server is away nothing notifies; what was missed is found when it is back.
    rig.server.crash().unwrap();
    rig.server.restart().await.unwrap();
    rig.admin = rig.server.admin().await.unwrap();
    rig.run(&swap(3, "")).await;
    assert_eq!(followed.next().await, ("003".to_owned(), replaced));
}

#[tokio::test]
#[ignore = "needs postgresql"]
async fn what_commits_late_and_what_happens_during_a_restart_is_found_by_paging() {
    let rig = Rig::start().await;
    let polling = "poll_ms = 100";
    let mut followed = Followed::start(&rig, polling);
    let replaced = Some(SwapKind::Replacement);

    // A transaction that began before the newest change and commits after it.
    let mut other = rig.server.admin().await.unwrap();
    let late = other.transaction().await.unwrap();
    late.batch_execute(&swap(1, "")).await.unwrap();
    rig.run(&swap(2, "")).await;
    assert_eq!(followed.next().await, ("002".to_owned(), replaced));
    late.commit().await.unwrap();
    assert_eq!(followed.next().await, ("001".to_owned(), replaced));

    // A change of the year 9999 hides none that comes after it.
    rig.run(&swap(3, ", '9999-12-31'")).await;
    rig.run(&swap(4, "")).await;
    assert_eq!(followed.next().await, ("004".to_owned(), replaced));

    // 1,000 changes of one time, and of one transaction: two pages.
    rig.run(
        "insert into subscription (msisdn, begun, begun_by, sim_at, sim_why)
        select '33639980' || lpad(n::text, 3, '0'), '2020-01-01', 'NEW', now(), 'ESIM'
        from generate_series(0, 999) n",
    )
    .await;
    let mut seen = std::collections::HashSet::new();
    while seen.len() < 1_000 {
        let (last, kind) = followed.next().await;
        assert_eq!(kind, Some(SwapKind::Esim));
        seen.insert(last);
    }
    // And what is no number holds nothing up.
    rig.run("insert into subscription (msisdn, begun, begun_by) values ('unknown', now(), 'NEW')")
        .await;

    let bookmark = rig.dir.path().join("bookmark");
    wait_until("the bookmark", || async { bookmark.exists() }).await;
    drop(followed);
    rig.run(&swap(5, "")).await;
    let mut followed = Followed::start(&rig, polling);
    let found = async { while followed.next().await.0 != "005" {} };
    timeout(Duration::from_secs(60), found).await.unwrap();
    let kept = std::fs::read_to_string(&bookmark).unwrap();
    assert!(
        kept.len() < 40 && kept.contains('T'),
        "a time and nothing else"
    );
}

#[tokio::test]
#[ignore = "needs postgresql"]
async fn a_line_that_ends_takes_back_all_that_was_told_of_it() {
    let rig = Rig::start().await;
    rig.run(&swap(1, "")).await;
    let mut followed = Followed::start(&rig, BY_NOTIFICATION);
    let replaced = Some(SwapKind::Replacement);
    assert_eq!(followed.next().await, ("001".to_owned(), replaced));
    rig.run("update subscription set ended = now() - interval '1 s', changed_at = now()")
        .await;
    rig.run("notify accord_changes").await;
    let mut withdrawn = Vec::new();
    while withdrawn.len() < Signal::ALL.len() {
        let next = timeout(Duration::from_secs(30), followed.changes.recv());
        let pushed = next.await.unwrap().unwrap();
        if pushed.observation.is_none() {
            assert!(pushed.msisdn == number(1));
            withdrawn.push(pushed.signal);
        }
    }
    assert_eq!(withdrawn, Signal::ALL);
}

#[tokio::test]
#[ignore = "needs postgresql"]
async fn a_row_that_changed_to_what_nobody_believes_takes_back_what_it_said() {
    let rig = Rig::start().await;
    rig.run(&swap(1, "")).await;
    let mut followed = Followed::start(&rig, BY_NOTIFICATION);
    let replaced = Some(SwapKind::Replacement);
    assert_eq!(followed.next().await, ("001".to_owned(), replaced));
    rig.run("update subscription set sim_at = '2062-01-01', changed_at = now()")
        .await;
    rig.run("notify accord_changes").await;
    let taken_back = async {
        loop {
            let change = followed.changes.recv().await.unwrap();
            if change.signal == Signal::SimSwap && change.observation.is_none() {
                return;
            }
        }
    };
    timeout(Duration::from_secs(30), taken_back).await.unwrap();
}
