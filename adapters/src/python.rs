//! Python programs that others wrote, for tests: packages of PyPI in a virtual environment under
//! `target/`, which is made when it is missing. For tests only (`test-util`).

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The directory of an environment with these packages, each at one version. Tests of several
/// programs may ask for it at once; an environment with other packages is made anew.
///
/// # Errors
/// If there is no python3, no PyPI, or no room; with what was said.
pub fn environment(name: &str, packages: &[&str]) -> io::Result<PathBuf> {
    let target = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target");
    let home = target.join(name);
    let (complete, wanted) = (home.join("complete"), packages.join(" "));
    fs::create_dir_all(&target)?;
    let lock = File::create(target.join(format!("{name}.lock")))?;
    lock.lock()?;
    if fs::read_to_string(&complete).is_ok_and(|have| have == wanted) {
        return Ok(home);
    }
    run(Command::new("python3")
        .args(["-m", "venv", "--clear"])
        .arg(&home))?;
    let install = ["-m", "pip", "install", "--quiet"];
    run(Command::new(home.join("bin/python"))
        .args(install)
        .args(packages))?;
    fs::write(&complete, wanted)?;
    Ok(home)
}

fn run(command: &mut Command) -> io::Result<()> {
    let ran = command.stdin(Stdio::null()).output()?;
    if ran.status.success() {
        return Ok(());
    }
    Err(io::Error::other(
        String::from_utf8_lossy(&ran.stderr).into_owned(),
    ))
}
