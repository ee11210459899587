//! The fault table: a short round of all of it, and the page that holds a long one.

use std::{fs, path::Path};

use accord_tests::soak::{Plan, rows, run};
use tempfile::TempDir;

use super::rig::program;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs strace, and root for the power cuts"]
async fn every_fault_loses_nothing_that_was_acknowledged_or_is_refused_with_the_reason() {
    let dir = TempDir::new().unwrap();
    let plan = Plan::short(program("accord-bench"), program("accord-broker"));
    let mut table = rows();
    let done = run(&plan, dir.path(), &mut table, &|_| {}).await;
    println!("{}", table.to_markdown());
    done.unwrap();
    assert!(table.wrong().is_empty(), "{:#?}", table.wrong());
}

/// Figures differ from run to run; which faults there are does not.
#[test]
fn the_page_has_the_rows_of_the_program() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/faults.md");
    let page = fs::read_to_string(path).unwrap();
    let cells = |line: &str| -> Vec<String> {
        let cells = line.trim_matches('|').split('|');
        cells.map(|cell| cell.trim().to_owned()).collect()
    };
    let of_page: Vec<_> = page
        .lines()
        .filter(|line| line.starts_with("| ") && !line.starts_with("| Fault"))
        .map(cells)
        .collect();
    let printed: Vec<_> = of_page.iter().map(|cells| cells[..2].join(", ")).collect();
    let of_program: Vec<_> = rows()
        .rows
        .iter()
        .map(|row| format!("{}, {}", row.name.fault, row.name.place))
        .collect();
    assert_eq!(printed, of_program, "print it anew: accord-bench soak");
    for cells in of_page {
        let [.., rounds, outcome] = cells.as_slice() else {
            panic!("{cells:?}")
        };
        let good = outcome.contains("nothing acknowledged is lost") || outcome.contains("refuses");
        assert!(good && !outcome.contains("BAD"), "{cells:?}");
        assert!(
            rounds.chars().any(|sign| ('1'..='9').contains(&sign)),
            "{cells:?}"
        );
    }
}
