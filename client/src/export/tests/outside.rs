//! Exports as others read them: OCSF events under the schema that OCSF publishes, and Parquet with
//! Apache Arrow.

use std::{
    fs::{self, File},
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use accord_proto::v1::entry::Event;

use super::*;

/// Of PyPI.
const PACKAGES: [&str; 3] = [
    "ocsf-json-schema==1.2.0",
    "jsonschema==4.26.0",
    "pyarrow==22.0.0",
];
const OCSF: &str = include_str!("ocsf.py");

/// The python of a virtual environment under `target/`, which is made if it is missing.
fn python() -> PathBuf {
    let target = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target");
    let home = target.join("python-exports");
    let (python, complete) = (home.join("bin/python"), home.join("complete"));
    fs::create_dir_all(&target).unwrap();
    let lock = File::create(target.join("python-exports.lock")).unwrap();
    lock.lock().unwrap();
    let wanted = PACKAGES.join(" ");
    if fs::read_to_string(&complete).is_ok_and(|have| have == wanted) {
        return python;
    }
    run(
        Command::new("python3")
            .args(["-m", "venv", "--clear"])
            .arg(&home),
        "",
    );
    let pip = ["-m", "pip", "install", "--quiet"];
    run(Command::new(&python).args(pip).args(PACKAGES), "");
    fs::write(&complete, wanted).unwrap();
    python
}

/// What a command that went well printed.
fn run(command: &mut Command, input: &str) -> String {
    let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = piped.spawn().unwrap();
    let mut to = child.stdin.take().unwrap();
    let input = input.to_owned();
    let writing = std::thread::spawn(move || to.write_all(input.as_bytes()));
    let output = child.wait_with_output().unwrap();
    writing.join().unwrap().unwrap();
    assert!(output.status.success(), "{command:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// One entry of each kind, beside those with nasty texts.
fn of_every_kind() -> Vec<LedgerEntry> {
    let kinds = [
        Event::LogOpened(v1::LogOpened::default()),
        Event::Access(v1::Access::default()),
        Event::Operation(v1::Operation::default()),
        Event::AdapterLink(v1::AdapterLink::default()),
        Event::SourceChanges(v1::SourceChanges::default()),
        Event::DocumentLoaded(v1::DocumentLoaded::default()),
        Event::AuditRead(v1::AuditRead::default()),
        Event::RefusedCall(v1::RefusedCall::default()),
        Event::RefusalCount(v1::RefusalCount::default()),
        Event::Export(v1::Export::default()),
        Event::AgreementAct(v1::AgreementAct::default()),
        Event::Anomaly(v1::Anomaly::default()),
        Event::KeyAct(v1::KeyAct::default()),
    ];
    let mut all = entries();
    let first = all.last().unwrap().index + 1;
    all.extend((first..).zip(kinds).map(|(at, event)| entry(at, event)));
    all
}

#[test]
#[ignore = "needs python3 and PyPI"]
fn every_event_keeps_to_the_schema_that_ocsf_publishes() {
    let dir = TempDir::new().unwrap();
    let all = of_every_kind();
    let (path, _) = export(&dir, Format::Ocsf, &all);
    let text = fs::read_to_string(path).unwrap();
    let told = run(Command::new(python()).args(["-c", OCSF]), &text);
    let expected = format!("{} events, 0 faults, OCSF 1.8.0\n", all.len());
    assert_eq!(told, expected);
    // The judge notices what is wrong.
    let broken = text.replacen("\"severity_id\":1", "\"severity_id\":7", 1);
    let broken = broken.replacen("\"operation\":", "\"what\":", 1);
    let told = run(Command::new(python()).args(["-c", OCSF]), &broken);
    assert!(
        told.contains("event 1: event/severity_id") && told.contains("event/api"),
        "{told}"
    );
}

/// What a Parquet file says, by pyarrow: the metadata, then each row.
#[cfg(feature = "parquet")]
const ARROW: &str = r#"
import json, sys
import pyarrow.parquet as parquet

file = parquet.ParquetFile(sys.argv[1])
meta = {key.decode(): value.decode() for key, value in file.schema_arrow.metadata.items()}
print(json.dumps({key: meta[key] for key in ("accord.footer", "accord.checkpoints")}))
for row in file.read().to_pylist():
    row["time"] = row["time"].isoformat(timespec="milliseconds")
    print(json.dumps(row))
"#;

#[cfg(feature = "parquet")]
#[test]
#[ignore = "needs python3 and PyPI"]
fn arrow_reads_every_cell_of_a_parquet_file_and_its_footer() {
    use super::super::columns::{NAMES, row};

    let dir = TempDir::new().unwrap();
    let all = of_every_kind();
    let (path, _) = export(&dir, Format::Parquet, &all);
    let told = run(Command::new(python()).args(["-c", ARROW]).arg(&path), "");
    let mut lines = told
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    let metadata = lines.next().unwrap();
    let found: Footer = serde_json::from_str(metadata["accord.footer"].as_str().unwrap()).unwrap();
    assert_eq!(found, footer());
    let checkpoints = metadata["accord.checkpoints"].as_str().unwrap();
    assert!(checkpoints.contains("accord-sandbox/2026-11"));
    let mut rows = 0;
    for (line, entry) in lines.zip(&all) {
        for (name, expected) in NAMES.iter().zip(row(entry)) {
            let cell = &line[*name];
            let text = cell.as_str().map(str::to_owned);
            let found = text.unwrap_or_else(|| cell.to_string());
            let expected = match *name {
                "time" => {
                    let at = i64::try_from(entry.entry.time_unix_ms).unwrap();
                    let at = jiff::Timestamp::from_millisecond(at).unwrap();
                    at.strftime("%Y-%m-%dT%H:%M:%S%.3f+00:00").to_string()
                }
                "elapsed_us" if expected.is_empty() => "0".to_owned(),
                _ => expected,
            };
            assert_eq!(found, expected, "{name} of {}", entry.index);
        }
        rows += 1;
    }
    assert_eq!(rows, all.len());
}

#[cfg(feature = "parquet")]
#[test]
fn a_parquet_file_whose_cell_was_changed_is_not_believed() {
    let dir = TempDir::new().unwrap();
    let (path, _) = export(&dir, Format::Parquet, &of_every_kind());
    let (checked, found) = read_all(&path, Format::Parquet).unwrap();
    assert_eq!(checked.entries, found.len() as u64);
    let mut bytes = fs::read(&path).unwrap();
    // A word of a summary, wherever its column lies.
    let word = b"evil";
    let at = bytes.windows(word.len()).position(|part| part == word);
    bytes[at.unwrap()] = b'E';
    fs::write(&path, bytes).unwrap();
    read_all(&path, Format::Parquet).unwrap_err();
    fs::write(&path, "PAR1").unwrap();
    let none = read_all(&path, Format::Parquet).unwrap_err();
    assert!(none.to_string().contains("no Parquet file"), "{none}");
}
