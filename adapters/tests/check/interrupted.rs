//! A check that is told to stop, or that has much to fetch.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use accord_adapters::file_drop::testing::RealSshd;

use crate::{Desk, hlr, line};

const NUMBER: [&str; 4] = ["--number", "+447700900001", "--rounds", "1"];

fn begin(desk: &Desk) -> Child {
    Command::new(env!("CARGO_BIN_EXE_accord-adapter"))
        .args(["check", "--config"])
        .arg(&desk.config)
        .args(["--deadline-ms", "5000", "--number", "+447700900001"])
        .env("TMPDIR", desk.path("tmp"))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Waits until something is so.
fn until(mut so: impl FnMut() -> bool, what: &str) {
    let found = (0..2_000).any(|_| {
        std::thread::sleep(Duration::from_millis(10));
        so()
    });
    assert!(found, "{what}");
}

/// Interrupts it, and expects this exit code and these words, and nothing behind.
fn interrupt(desk: &Desk, check: Child, signal: &str, code: i32) {
    let scratch = desk.scratch();
    assert_eq!(scratch.len(), 1, "where it keeps what it fetches");
    let first = scratch.first().unwrap();
    let mode = fs::metadata(first).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
    let pid = check.id().to_string();
    let killed = Command::new("kill").args([signal, &pid]).status();
    assert!(killed.unwrap().success());
    let said = crate::said(&check.wait_with_output().unwrap());
    assert_eq!(said.code, Some(code), "{}", said.err);
    let name = signal.replace('-', "SIG");
    let words = format!("interrupted by {name}: nothing was concluded, and what was fetched is");
    assert!(said.err.contains(&words), "{}", said.err);
    // What was known at once, and no result.
    assert!(
        said.out.contains("to brokers the adapter is"),
        "{}",
        said.out
    );
    assert!(!said.out.contains("result:"), "{}", said.out);
    desk.assert_clean();
}

#[test]
fn a_check_that_is_interrupted_leaves_nothing_behind_and_says_so() {
    for (signal, code) in [("-HUP", 129), ("-INT", 130), ("-TERM", 143)] {
        let silent = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = silent.local_addr().unwrap().to_string();
        let desk = Desk::with(&hlr::source(&address, "request_timeout_ms = 5000"));
        let check = begin(&desk);
        // It asks by now, and has made its directory.
        silent.set_nonblocking(true).unwrap();
        until(|| silent.accept().is_ok(), "it asks nobody");
        interrupt(&desk, check, signal, code);
    }
}

fn exports(complete: &str, sftp: &str) -> String {
    format!(
        "[[source]]\nkind = \"csv\"\nname = \"billing\"\ndirectory = \"spool\"\n\
         file_name = \"subscribers-%Y%m%d.csv\"\nencoding = \"utf-8\"\ntime_zone = \"UTC\"\n\
         never = [\"-\"]\n[source.number]\ncountry_code = \"44\"\n\
         [source.exported_at]\nfrom = \"file_name\"\ntime = \"00:00\"\n\
         [source.complete]\n{complete}\n[source.columns]\nmsisdn = \"MSISDN\"\n\
         sim_changed_at = {{ name = \"SIM\", format = \"%Y-%m-%d\", \
         history_since = \"2015-01-01\" }}\n[source.sftp]\n{sftp}"
    )
}

/// The name of an export of so many days ago.
fn name(days: i64) -> String {
    let now = accord_proto::clock::Clock::now(&accord_proto::clock::SystemClock);
    let day = now - jiff::SignedDuration::from_hours(24 * days);
    format!("subscribers-{}.csv", day.strftime("%Y%m%d"))
}

const GOOD: &str = "MSISDN,SIM\n+447700900001,2024-05-01\n";

#[test]
#[ignore = "needs sshd"]
fn a_check_that_is_interrupted_while_it_fetches_leaves_nothing_of_it() {
    let server = tempfile::tempdir().unwrap();
    let sshd = RealSshd::start(server.path()).unwrap();
    // A hole: no disk is used at the server's, and it takes a while to come.
    let large = fs::File::create(sshd.files().join(name(0))).unwrap();
    large.set_len(4 << 30).unwrap();
    let sftp = sshd.section().unwrap();
    let desk = Desk::with(&exports("by = \"final_newline\"", &sftp));
    let check = begin(&desk);
    let part = format!(".{}.part", name(0));
    let fetched = || {
        let scratch = desk.scratch();
        let mut spools = scratch
            .iter()
            .map(|at| at.join("billing.spool").join(&part));
        spools.any(|part| fs::metadata(part).is_ok_and(|part| part.len() > 1 << 20))
    };
    until(fetched, "nothing comes");
    interrupt(&desk, check, "-INT", 130);
    // Nor in the adapter's own spool.
    assert!(!desk.path("spool").exists());
}

#[test]
#[ignore = "needs sshd"]
fn of_many_exports_the_newest_that_can_be_used_is_fetched_and_no_other() {
    let server = tempfile::tempdir().unwrap();
    let sshd = RealSshd::start(server.path()).unwrap();
    let put = |name: &str, text: &str| fs::write(sshd.files().join(name), text).unwrap();
    // Each larger than what is allowed: a check that touched one of them would say so.
    for days in 3..30 {
        put(&name(days), &"x".repeat(2 << 20));
        put(&format!("{}.done", name(days)), "1");
    }
    // One whose time is still to come is no export.
    put(&name(-400), &"x".repeat(2 << 20));
    put(&name(1), GOOD);
    put(&format!("{}.done", name(1)), "1");
    let sftp = format!("{}file_mib_max = 1\n", sshd.section().unwrap());
    let desk = Desk::with(&exports("by = \"done_file\"", &sftp));
    let said = desk.check(&NUMBER);
    assert_eq!(said.code, Some(0), "{}{}", said.out, said.err);
    assert_eq!(line(&said.out, "sim_swap")[1..4], ["1", "of", "1"]);
    // Tonight's is still being written: that is named, and yesterday's is answered from.
    put(&name(0), GOOD);
    let said = desk.check(&NUMBER);
    assert_eq!(said.code, Some(1), "{}", said.out);
    let wrong = "wrong: the newest export was refused: the `.done` file is not there";
    assert!(said.out.contains(wrong), "{}", said.out);
    assert_eq!(line(&said.out, "sim_swap")[1..4], ["1", "of", "1"]);
}
