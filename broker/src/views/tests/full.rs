//! A view whose disk takes no more.

use std::process::Command;

use super::*;

/// Where the process that may write little has its view.
const DIR: &str = "ACCORD_TEST_VIEW_THAT_FILLS_UP";
/// The one test that it runs.
const NAME: &str =
    "a_view_whose_disk_takes_no_more_serves_nothing_until_it_is_begun_anew_at_the_next_start";
/// It writes no file longer than so many KiB.
const FILE_KIB_MAX: u32 = 2_048;
/// Far more observations than that holds.
const KEPT_MAX: u32 = 2_000_000;

fn digest(number: u32) -> NumberDigest {
    let mut digest = [0x5a; 16];
    for (to, from) in digest.iter_mut().zip(number.to_be_bytes()) {
        *to = from;
    }
    digest
}

/// Keeps observations until one can't be written.
fn fill(dir: &Path) {
    let views = open(dir).views;
    keep(&views, &digest(0), "2026-11-21T12:00:00Z");
    assert!(is_found(&views, &digest(0)));
    let mut kept = 1;
    while views.is_in_use() && kept < KEPT_MAX {
        keep(&views, &digest(kept), "2026-11-21T12:00:00Z");
        kept += 1;
    }
    assert!(!views.is_in_use(), "it took {kept} observations");
    // A change is pushed. What was so before is served no more.
    keep(&views, &digest(0), "2026-11-21T12:05:00Z");
    assert!(!is_found(&views, &digest(0)));
    assert_eq!(views.failures(), 1);
    views.close();
}

#[test]
fn a_view_whose_disk_takes_no_more_serves_nothing_until_it_is_begun_anew_at_the_next_start() {
    if let Some(dir) = std::env::var_os(DIR) {
        return fill(Path::new(&dir));
    }
    let dir = tempfile::tempdir().unwrap();
    let (_, module) = module_path!().split_once("::").unwrap();
    let name = format!("{module}::{NAME}");
    // A write beyond the limit fails, as one to a full disk does.
    let limited = format!("ulimit -f {FILE_KIB_MAX} && trap '' XFSZ && exec \"$0\" \"$@\"");
    let child = Command::new("bash")
        .args(["-c", &limited])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", &name, "--nocapture"])
        .env(DIR, dir.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&child.stdout) + String::from_utf8_lossy(&child.stderr);
    assert!(child.status.success(), "{said}");
    assert!(said.contains("1 passed"), "{said}");
    let again = open(dir.path());
    assert_eq!(again.rebuilt, Some(Rebuilt::NotClosed));
    assert!(!is_found(&again.views, &digest(0)));
    keep(&again.views, &digest(0), "2026-11-21T12:05:00Z");
    assert!(is_found(&again.views, &digest(0)) && again.views.is_in_use());
}
