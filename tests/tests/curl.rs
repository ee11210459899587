//! The README's walk-through with curl, typed as it stands there.

#![expect(
    clippy::unwrap_used,
    reason = "clippy does not see that helpers here are test code too"
)]

use std::{env, fs, os::unix::fs::PermissionsExt as _, path::Path, process::Command};

use accord_tests::world::{World, WorldFiles, WorldSpec, broker_binary};
use tempfile::TempDir;

/// Where the README has the sandbox's door.
const DOOR: &str = "https://localhost:7445";
/// Printed after each command, so that what each of them says is told apart.
const DONE: &str = "== done ==";

/// The commands of the README's block with curl, each with the line that it prints there, if any.
fn block(readme: &str) -> Vec<(String, Option<String>)> {
    let blocks = readme.split("```console\n").skip(1);
    let mut blocks = blocks.filter_map(|rest| rest.split("```").next());
    let block = blocks.find(|block| block.contains("curl")).unwrap();
    assert!(block.lines().count() <= 10, "at most ten lines: {block}");
    let mut commands: Vec<(String, Option<String>)> = Vec::new();
    for line in block.replace("\\\n", "").lines() {
        match line.strip_prefix("$ ") {
            Some(command) => commands.push((command.to_owned(), None)),
            None => commands.last_mut().unwrap().1 = Some(line.to_owned()),
        }
    }
    commands
}

/// A `cargo` that runs what was built already.
fn shim(dir: &Path) {
    let accord = broker_binary().unwrap().with_file_name("accord");
    let text = format!("#!/bin/sh\nshift\nexec {} \"$@\"\n", accord.display());
    let path = dir.join("cargo");
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs curl"]
async fn the_walk_through_with_curl_prints_what_the_readme_says() {
    let dir = TempDir::new().unwrap();
    let spec = WorldSpec {
        camara_port: Some(0),
        ..WorldSpec::default()
    };
    let files = WorldFiles::write(&dir.path().join(".accord"), &spec).unwrap();
    let world = World::start(files, spec.clock.clone()).await.unwrap();
    shim(dir.path());
    let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("../README.md");
    let commands = block(&fs::read_to_string(readme).unwrap());
    let door = world.files.camara_url().unwrap();
    let script: String = commands
        .iter()
        .map(|(command, _)| format!("{}\necho; echo {DONE}\n", command.replace(DOOR, &door)))
        .collect();
    let path = format!("{}:{}", dir.path().display(), env::var("PATH").unwrap());
    let (home, script) = (dir.path().to_owned(), format!("set -eu\n{script}"));
    let run = tokio::task::spawn_blocking(move || {
        let mut bash = Command::new("bash");
        bash.args(["-c", &script])
            .current_dir(home)
            .env("PATH", path);
        bash.env_remove("ACCORD_PROFILE").output().unwrap()
    });
    let output = run.await.unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}{errors}");
    for ((command, expected), told) in commands.iter().zip(said.split(DONE)) {
        let Some(expected) = expected else {
            continue;
        };
        let told = told.trim();
        match expected.strip_suffix('…') {
            Some(start) => assert!(told.starts_with(start), "{command}\n{told}"),
            None => assert_eq!(told, expected, "{command}"),
        }
    }
}
