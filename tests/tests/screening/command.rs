//! `accord screen FILE`.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::{Output, Stdio},
};

use accord_tests::world::{World, WorldSpec, broker_binary, wait_until};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tokio::process::{Child, Command};

use super::{access_count, start};

/// What is asked.
const ASK: [&str; 4] = ["--purpose", "payment", "--signal", "roaming"];

/// `accord`, built beside the broker.
fn accord(profile: &Path, numbers: &Path, more: &[&str]) -> Child {
    let binary = broker_binary().unwrap().with_file_name("accord");
    let mut command = Command::new(binary);
    command.arg("screen").arg(numbers).args(ASK).args(more);
    command.env("ACCORD_PROFILE", profile);
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command.kill_on_drop(true).spawn().unwrap()
}

async fn screen(world: &World, numbers: &Path, more: &[&str]) -> (i32, String, String) {
    let child = accord(world.files.dir(), numbers, more);
    told(&child.wait_with_output().await.unwrap())
}

fn told(output: &Output) -> (i32, String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (
        output.status.code().unwrap(),
        text(&output.stdout),
        text(&output.stderr),
    )
}

fn numbers(world: &World, range: impl Iterator<Item = u32>) -> PathBuf {
    let path = world.files.dir().join("numbers.txt");
    let text: String = range
        .map(|number| format!("+447700900{number:03}\n"))
        .collect();
    fs::write(&path, text).unwrap();
    path
}

/// The answers of an output, by the line of the input.
fn answers(output: &Path) -> BTreeMap<u64, Value> {
    let mut answers = BTreeMap::new();
    for line in fs::read_to_string(output).unwrap().lines() {
        let value: Value = serde_json::from_str(line).unwrap();
        let at = value["line"].as_u64().unwrap();
        assert!(
            answers.insert(at, value).is_none(),
            "line {at} stands twice"
        );
    }
    answers
}

#[tokio::test]
async fn the_command_asks_only_for_the_lines_that_its_output_lacks() {
    let (_dir, world) = start(WorldSpec::default()).await;
    let file = numbers(&world, 100..300);
    let output = file.with_file_name("numbers.txt.answers.jsonl");
    let (code, out, error) = screen(&world, &file, &[]).await;
    assert_eq!(code, 0, "{error}");
    assert!(out.contains("200 answered"), "{out}");
    assert!(error.contains("200 numbers, 0 answered before"), "{error}");
    assert!(
        !out.contains('\u{1b}') && !error.contains('\u{1b}'),
        "plain when piped"
    );
    let first = answers(&output);
    assert_eq!((first.len(), access_count(&world)), (200, 200));

    // Of the last lines only half of one is left, as a power cut may leave it.
    let text = fs::read_to_string(&output).unwrap();
    let kept: Vec<&str> = text.lines().take(150).collect();
    let half: String = text.lines().nth(150).unwrap().chars().take(40).collect();
    let torn = format!("{}\n{half}", kept.join("\n"));
    fs::write(&output, torn).unwrap();
    let (code, out, error) = screen(&world, &file, &["--json"]).await;
    assert_eq!(code, 0, "{error}");
    assert!(error.contains("150 answered before"), "{error}");
    let report: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(report["answered"], 200, "{out}");
    assert_eq!(report["earlier"], 150, "{out}");
    // The same request ids within ten minutes: the same answers, and no second entry.
    assert_eq!(answers(&output), first);
    assert_eq!(access_count(&world), 200);

    let (code, _, error) = screen(&world, &file, &["--json"]).await;
    assert_eq!(code, 0);
    assert!(error.contains("200 answered before"), "{error}");
    assert_eq!(access_count(&world), 200);
}

#[tokio::test]
async fn the_command_that_was_interrupted_goes_on_where_it_was() {
    let (_dir, world) = start(WorldSpec::default()).await;
    let file = numbers(&world, 100..900);
    let output = file.with_file_name("out.jsonl");
    let more = ["--output", output.to_str().unwrap()];
    let child = accord(world.files.dir(), &file, &more);
    wait_until("the first answers to be written", || async {
        fs::metadata(&output).is_ok_and(|meta| meta.len() > 0)
    })
    .await
    .unwrap();
    let pid = i32::try_from(child.id().unwrap()).unwrap();
    kill_process(Pid::from_raw(pid).unwrap(), Signal::INT).unwrap();
    let (code, _, error) = told(&child.wait_with_output().await.unwrap());
    assert_eq!(code, 1, "{error}");
    assert!(error.contains("goes on from here"), "{error}");
    let before = answers(&output);
    assert!(!before.is_empty() && before.len() < 800, "{}", before.len());

    let (code, _, error) = screen(&world, &file, &more).await;
    assert!(
        error.contains(&format!("{} answered before", before.len())),
        "{error}"
    );
    let after = answers(&output);
    assert_eq!(code, 0, "{error}");
    assert_eq!(after.len(), 800);
    assert!(before.iter().all(|(line, answer)| after[line] == *answer));
    assert_eq!(access_count(&world), 800, "no line has two entries");
}

#[tokio::test]
async fn lines_that_timed_out_are_asked_again_where_that_is_wanted() {
    let (_dir, world) = start(WorldSpec::default()).await;
    // A quiet number, one whose operator never answers, and one that no operator serves.
    let file = world.files.dir().join("late.txt");
    fs::write(&file, "+447700900100\n+447700900011\n+99907000001\n").unwrap();
    let output = file.with_file_name("late.txt.answers.jsonl");
    let lines = || {
        let text = fs::read_to_string(&output).unwrap();
        let lines = text.lines().map(|line| serde_json::from_str(line).unwrap());
        lines.collect::<Vec<Value>>()
    };
    let (code, out, error) = screen(&world, &file, &[]).await;
    assert_eq!(code, 4, "{out}{error}");
    assert!(
        out.contains(&format!("answers: {}", output.display())),
        "{out}"
    );
    assert!(error.contains("--retry-unanswered"), "{error}");
    assert_eq!(lines().len(), 3);

    let (code, out, _) = screen(&world, &file, &[]).await;
    assert_eq!(code, 4, "what lacks a value still lacks it: {out}");
    assert!(
        out.contains("1 answered, 0 partly answered, 2 unanswered"),
        "{out}"
    );
    assert_eq!((lines().len(), access_count(&world)), (3, 3));

    let (code, out, error) = screen(&world, &file, &["--retry-unanswered"]).await;
    assert_eq!(code, 4, "{out}{error}");
    assert!(error.contains("1 of them asked again"), "{error}");
    assert!(
        out.contains("1 answered, 0 partly answered, 2 unanswered"),
        "{out}"
    );
    let lines = lines();
    assert_eq!((lines.len(), access_count(&world)), (4, 4));
    let first = lines.iter().find(|line| line["line"] == 2).unwrap();
    let last = lines.last().unwrap();
    assert_eq!(
        (&last["line"], &last["outcome"]),
        (&2.into(), &"unanswered".into())
    );
    let id = first["request_id"].as_str().unwrap();
    assert_eq!(last["request_id"], format!("{id}-2"));
}

#[tokio::test]
async fn the_exit_code_says_that_a_line_has_no_value() {
    let (_dir, world) = start(WorldSpec::default()).await;
    let file = world.files.dir().join("mixed.txt");
    fs::write(&file, "+447700900100\n+99907000001\n0770\n").unwrap();
    let (code, out, error) = screen(&world, &file, &[]).await;
    assert_eq!(code, 4, "{out}{error}");
    let answers = answers(&file.with_file_name("mixed.txt.answers.jsonl"));
    assert_eq!(answers.len(), 3);
    assert_eq!(
        answers[&3]["result"]["refused"]["field"], "msisdn",
        "{:?}",
        answers[&3]
    );
}
