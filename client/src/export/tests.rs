//! Exports, read back: every entry and every cell comes out as it went in.

mod outside;

use std::fs;

use accord_proto::{
    c2sp::{Checkpoint, SigningKey},
    v1::{self, entry::Event},
};
use prost::Message as _;
use tempfile::TempDir;

use super::{
    Checked, Exporter, Format, ReadError, read,
    sheet::{as_it_was, inert},
};
use crate::{LedgerEntry, footer::Footer};

const TEXT_FORMATS: [Format; 3] = [Format::Jsonl, Format::Csv, Format::Ocsf];
#[cfg(feature = "parquet")]
const FORMATS: [Format; 4] = Format::ALL;
#[cfg(not(feature = "parquet"))]
const FORMATS: [Format; 3] = TEXT_FORMATS;

/// What breaks formats that are put together by hand.
const NASTY: [&str; 16] = [
    "",
    "=HYPERLINK(\"http://evil\",\"click\")",
    "+1",
    "-1+2",
    "@SUM(A1)",
    "\tTab",
    "'quoted'",
    "''",
    "a,b;c",
    "\"double\"",
    "line\nbreak",
    "line\r\nbreak",
    "\r",
    "nul\0byte",
    "\u{202e}tfel-ot-thgir",
    "…ünï©ødé 👻",
];

fn footer() -> Footer {
    Footer {
        owner: "spiffe://accord.test/authority/central-bank".to_owned(),
        recipients: vec![
            "=cmd|' /C calc'!A0".to_owned(),
            "Joint Committee".to_owned(),
        ],
        description: "all accesses: \"May\"\n".to_owned(),
        purpose: "case".to_owned(),
        sensitivity: "restricted".to_owned(),
        case: "2026-0042".to_owned(),
        needed_by: "2026-12-31".to_owned(),
        made: "2026-11-26T12:00:00Z".to_owned(),
        terms: crate::footer::NO_ONWARD_DISCLOSURE.to_owned(),
    }
}

fn entry(index: u64, event: Event) -> LedgerEntry {
    let entry = v1::Entry {
        salt: vec![7; 32],
        event: Some(event),
        time_unix_ms: 1_795_000_000_000 + index,
    };
    let origin = "accord-sandbox/2026-11".to_owned();
    LedgerEntry::parse(origin, index, entry.encode_to_vec()).unwrap()
}

/// Entries with a nasty text in every field that holds text.
fn entries() -> Vec<LedgerEntry> {
    let mut events = Vec::new();
    for text in NASTY {
        let text = text.to_owned();
        events.push(Event::Access(v1::Access {
            bank: text.clone(),
            on_behalf_of: text.clone(),
            application: text.clone(),
            operator: text.clone(),
            purpose: v1::Purpose::Payment as i32,
            agreement: text.clone(),
            subject_tag: vec![1; 16],
            tag_month: text.clone(),
            signals: vec![v1::SignalRecord {
                signal: 99,
                reason: 77,
                clause: text.clone(),
                granularity: text.clone(),
                ..v1::SignalRecord::default()
            }],
            ..v1::Access::default()
        }));
        events.push(Event::RefusedCall(v1::RefusedCall {
            party: text.clone(),
            method: text.clone(),
            reason: text.clone(),
            field: text.clone(),
        }));
        events.push(Event::Operation(v1::Operation {
            kind: -1,
            detail: text,
            ..v1::Operation::default()
        }));
    }
    (3..)
        .zip(events)
        .map(|(at, event)| entry(at, event))
        .collect()
}

fn note(size: u64) -> String {
    let key = SigningKey::generate("accord-sandbox/2026-11").unwrap();
    let checkpoint = Checkpoint {
        origin: "accord-sandbox/2026-11".to_owned(),
        size,
        root: [9; 32],
    };
    checkpoint.sign(&key).unwrap().to_string()
}

fn export(
    dir: &TempDir,
    format: Format,
    entries: &[LedgerEntry],
) -> (std::path::PathBuf, [u8; 32]) {
    let mut exporter = Exporter::begin(Vec::new(), format, footer()).unwrap();
    exporter.log(&note(1_000)).unwrap();
    entries
        .iter()
        .for_each(|entry| exporter.entry(entry).unwrap());
    let (bytes, exported) = exporter.finish().unwrap();
    assert_eq!(exported.entries, entries.len() as u64);
    assert_eq!(exported.bytes, bytes.len() as u64);
    let path = dir.path().join(format!("export.{}", format.name()));
    fs::write(&path, bytes).unwrap();
    (path, exported.sha256)
}

fn read_all(
    path: &std::path::Path,
    format: Format,
) -> Result<(Checked, Vec<LedgerEntry>), ReadError> {
    let mut entries = Vec::new();
    let checked = read(path, format, |entry| entries.push(entry))?;
    Ok((checked, entries))
}

#[test]
fn every_entry_comes_out_of_every_format_as_it_went_in() {
    let dir = TempDir::new().unwrap();
    for format in FORMATS {
        let (path, sha256) = export(&dir, format, &entries());
        let (checked, found) = read_all(&path, format).unwrap();
        assert_eq!(checked.sha256, sha256, "{format:?}");
        assert_eq!(checked.entries, found.len() as u64);
        for (found, expected) in found.iter().zip(&entries()) {
            assert_eq!(found.bytes, expected.bytes, "{format:?} {}", expected.index);
            assert_eq!(
                (found.index, &found.origin),
                (expected.index, &expected.origin)
            );
        }
        let expected: Vec<_> = footer()
            .pairs()
            .map(|(name, value)| (name.to_owned(), value))
            .into();
        assert_eq!(checked.footer, expected, "{format:?}");
        assert_eq!(checked.checkpoints.len(), 1);
    }
}

#[test]
fn any_cell_can_be_read_back_and_none_is_a_formula() {
    // All short texts of the characters that matter, beside the long ones.
    let alphabet = [
        '=', '+', '-', '@', '\'', '"', ',', '\n', '\r', '\t', ' ', 'a',
    ];
    let mut texts: Vec<String> = NASTY.map(str::to_owned).into();
    for a in alphabet {
        texts.push(a.to_string());
        for b in alphabet {
            texts.push([a, b].iter().collect());
            texts.extend(alphabet.map(|c| [a, b, c].iter().collect::<String>()));
        }
    }
    let mut writer = csv::Writer::from_writer(Vec::new());
    for text in &texts {
        let cell = inert(text);
        assert!(
            !cell.starts_with(['=', '+', '-', '@', '\t', '\r']),
            "{text:?}"
        );
        assert_eq!(as_it_was(&cell), text);
        writer.write_record([cell.as_str(), "x"]).unwrap();
    }
    let bytes = writer.into_inner().unwrap();
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .from_reader(bytes.as_slice());
    let found = reader
        .records()
        .map(|row| as_it_was(&row.unwrap()[0]).to_owned());
    assert_eq!(found.collect::<Vec<_>>(), texts);
}

#[test]
fn a_field_that_was_changed_is_found_with_its_line() {
    let dir = TempDir::new().unwrap();
    let event = |bank: &str| {
        Event::Access(v1::Access {
            bank: bank.to_owned(),
            operator: "north-mobile".to_owned(),
            ..v1::Access::default()
        })
    };
    let honest = [
        entry(3, event("first-bank")),
        entry(4, event("second-bank")),
    ];
    for format in TEXT_FORMATS {
        let (path, _) = export(&dir, format, &honest);
        let text = fs::read_to_string(&path).unwrap();
        // Each place in which the bank stands in clear.
        assert!(text.contains("second-bank"));
        fs::write(&path, text.replace("second-bank", "other-bank")).unwrap();
        let line = if format == Format::Csv { 3 } else { 2 };
        match read_all(&path, format) {
            Err(ReadError::Changed { line: at }) => assert_eq!(at, line, "{format:?}"),
            other => panic!("{format:?} {other:?}"),
        }
    }
}

#[test]
fn what_was_cut_off_doubled_or_turned_around_is_found() {
    let dir = TempDir::new().unwrap();
    let event = || Event::RefusalCount(v1::RefusalCount::default());
    let honest = [entry(3, event()), entry(4, event()), entry(5, event())];
    for format in [Format::Jsonl, Format::Csv] {
        let (path, _) = export(&dir, format, &honest);
        let text = fs::read_to_string(&path).unwrap();
        let lines: Vec<_> = text.split_inclusive('\n').collect();
        let from = usize::from(format == Format::Csv);
        let mut broken = vec![
            lines[..from + 3].concat(),
            lines[..from + 1]
                .iter()
                .chain(&lines[from..])
                .copied()
                .collect(),
            text.chars().take(text.chars().count() - 3).collect(),
            text.replace("without both authorities", "without asking"),
            text.replace("2026-0042", "2026-0043")
                .replace("owner", "loser"),
        ];
        let mut turned = lines.clone();
        turned.swap(from, from + 1);
        broken.push(turned.concat());
        let mut behind = lines.clone();
        behind.push(lines[from]);
        broken.push(behind.concat());
        for (at, text) in broken.iter().enumerate() {
            fs::write(&path, text).unwrap();
            assert!(read_all(&path, format).is_err(), "{format:?} {at}");
        }
    }
    // A line left out of the middle is missed by its count.
    let (path, _) = export(&dir, Format::Jsonl, &honest);
    let text = fs::read_to_string(&path).unwrap();
    let kept = text
        .split_inclusive('\n')
        .enumerate()
        .filter(|(at, _)| *at != 1);
    fs::write(&path, kept.map(|(_, line)| line).collect::<String>()).unwrap();
    assert!(matches!(
        read_all(&path, Format::Jsonl),
        Err(ReadError::Short(_))
    ));
}

#[test]
fn an_entry_beyond_the_checkpoint_is_not_exported() {
    let mut exporter = Exporter::begin(Vec::new(), Format::Jsonl, footer()).unwrap();
    let event = || Event::RefusalCount(v1::RefusalCount::default());
    exporter.entry(&entry(1, event())).unwrap_err();
    exporter.log(&note(2)).unwrap();
    assert_eq!(exporter.covered("accord-sandbox/2026-11"), Some(2));
    exporter.entry(&entry(1, event())).unwrap();
    exporter.entry(&entry(2, event())).unwrap_err();
    assert!(exporter.log("no checkpoint").is_err());
}

#[test]
fn an_ocsf_event_has_what_its_class_requires() {
    let dir = TempDir::new().unwrap();
    let (path, _) = export(&dir, Format::Ocsf, &entries());
    for line in fs::read_to_string(path).unwrap().lines() {
        let event: serde_json::Value = serde_json::from_str(line).unwrap();
        for required in [
            "activity_id",
            "actor",
            "api",
            "category_uid",
            "class_uid",
            "metadata",
            "severity_id",
            "src_endpoint",
            "time",
            "type_uid",
        ] {
            assert!(event.get(required).is_some(), "{required}");
        }
        let number = |name: &str| event[name].as_u64().unwrap();
        assert_eq!((number("category_uid"), number("class_uid")), (6, 6003));
        assert_eq!(number("type_uid"), 600_300 + number("activity_id"));
        assert_eq!(event["metadata"]["version"], super::ocsf::VERSION);
        let attested = &event["attestation_list"][0];
        assert_eq!(attested["fingerprint"]["algorithm_id"], 3);
        assert_eq!(attested["chain_uid"], "accord-sandbox/2026-11");
    }
}

#[test]
fn a_format_is_known_by_its_name_and_by_the_files() {
    for format in Format::ALL {
        assert_eq!(Format::from_name(format.name()), Some(format));
    }
    for (file, format) in [
        ("a.jsonl", Some(Format::Jsonl)),
        ("a.ocsf.jsonl", Some(Format::Ocsf)),
        ("A.CSV", Some(Format::Csv)),
        ("a.parquet", Some(Format::Parquet)),
        ("a.txt", None),
    ] {
        assert_eq!(Format::of_file_name(file), format, "{file}");
    }
}

#[cfg(not(feature = "parquet"))]
#[test]
fn a_build_without_parquet_says_how_to_get_it() {
    let refused = Exporter::begin(Vec::new(), Format::Parquet, footer()).unwrap_err();
    assert!(refused.to_string().contains("--features parquet"));
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("e.parquet");
    fs::write(&file, "PAR1").unwrap();
    let refused = read_all(&file, Format::Parquet).unwrap_err();
    assert!(refused.to_string().contains("--features parquet"));
}
