//! The report as a file, and where the numbers come from.

use serde_json::Value;

use crate::{Desk, VIRTUAL};

#[test]
fn a_report_is_written_for_people_and_for_machines_and_names_no_subscriber() {
    let desk = Desk::with(VIRTUAL);
    let (json, text) = (desk.path("report.json"), desk.path("report.txt"));
    let ask = |file: &std::path::Path| {
        let file = file.to_str().unwrap();
        desk.check(&[
            "--number",
            "+447700900001",
            "--rounds",
            "2",
            "--report",
            file,
        ])
    };
    assert_eq!(ask(&json).code, Some(0));
    let said = ask(&text);
    assert_eq!(std::fs::read_to_string(&text).unwrap(), said.out);
    let report = std::fs::read_to_string(&json).unwrap();
    assert!(!report.contains("7700900"), "{report}");
    let report: Value = serde_json::from_str(&report).unwrap();
    assert_eq!(report["conforms"], true);
    assert_eq!(report["operator"], "north-mobile");
    assert_eq!(report["config_sha256"].as_str().unwrap().len(), 64);
    let source = &report["sources"][0];
    assert_eq!(source["state"], "up");
    assert_eq!(source["questions"], 2);
    assert_eq!(source["signals"][0]["answered"], 2);
    assert_eq!(source["examples"][0]["number"], 1);
}

#[test]
fn the_report_of_a_source_that_does_not_conform_says_so() {
    let desk = Desk::with(VIRTUAL);
    let json = desk.path("report.json");
    let file = json.to_str().unwrap();
    let said = desk.check(&["--number", "+447700900032", "--report", file]);
    assert_eq!(said.code, Some(1));
    let report: Value = serde_json::from_slice(&std::fs::read(&json).unwrap()).unwrap();
    assert_eq!(report["conforms"], false);
    assert_ne!(report["sources"][0]["wrong"], Value::Array(Vec::new()));
    let nowhere = desk.check(&["--report", "/nowhere/report.json"]);
    assert_eq!(nowhere.code, Some(1));
    assert!(nowhere.err.contains("cannot write `/nowhere/report.json`"));
}

#[test]
fn known_subscribers_come_from_a_file_that_the_configuration_or_the_command_names() {
    let section = "[check]\nnumbers_file = \"known.txt\"\n";
    let desk = Desk::with(&format!("{section}{VIRTUAL}"));
    let known = "\u{feff}+447700900000\r\n# a quiet one\n\n+447700900001 # swapped\n";
    std::fs::write(desk.path("known.txt"), known).unwrap();
    let said = desk.check(&["--rounds", "1"]);
    assert_eq!(said.code, Some(0), "{}", said.err);
    assert!(said.out.contains("2 questions"), "{}", said.out);
    std::fs::write(desk.path("other.txt"), "+447700900002\n").unwrap();
    let other = desk.path("other.txt");
    let said = desk.check(&["--rounds", "1", "--numbers", other.to_str().unwrap()]);
    assert!(said.out.contains("1 questions"), "{}", said.out);
}

#[test]
fn a_mistake_among_the_numbers_is_named_by_its_place_and_exits_64() {
    let desk = Desk::with(VIRTUAL);
    std::fs::write(desk.path("bad.txt"), "+447700900000\n07700900001\n").unwrap();
    let bad = desk.path("bad.txt");
    let bad = bad.to_str().unwrap();
    let many = desk.path("many.txt");
    std::fs::write(&many, "+447700900000\n".repeat(1_001)).unwrap();
    let large = desk.path("large.txt");
    std::fs::write(&large, " ".repeat(70_000)).unwrap();
    for (arguments, expected) in [
        (["--numbers", bad], "bad.txt`, line 2: "),
        (["--number", "447700900001"], "number 1: "),
        (["--numbers", "/nowhere"], "cannot read `/nowhere`"),
        (
            ["--numbers", many.to_str().unwrap()],
            "at most 1000 numbers",
        ),
        (["--numbers", large.to_str().unwrap()], "larger than 64 KiB"),
        (["--numbers", "/tmp"], "`/tmp`: it is no file"),
    ] {
        let said = desk.check(&arguments);
        assert_eq!(said.code, Some(64), "{expected}: {}", said.err);
        assert!(said.err.contains(expected), "{}", said.err);
    }
}
