//! The sandbox's directory: whose it is, who works in it, and what stays in it.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io,
    net::{Ipv4Addr, TcpListener},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    sync::Mutex,
};

use accord_adapters::virtual_operator::TEST_NUMBERS;
use accord_certs::disk;
use tracing_subscriber::EnvFilter;

use super::{SandboxError, closed::SHARE_FILES};
use crate::world::{NORTH_PREFIX, WorldError, WorldFiles, WorldSpec};

/// Says that the directory is the sandbox's, so that it may remove files from it.
const MARKER: &str = "README.txt";
const MARKER_TEXT: &str = "\
Made by `cargo sandbox`; no key in here is worth anything. A start without --keep removes ledger,
keys, view and journals; the whole directory may be deleted at any time.
";
/// What belongs to a run, besides what a world leaves behind.
const RUN_FILES: [&str; 3] = ["broker.log", "numbers.txt", "numbers.txt.answers.jsonl"];
/// The copy whose byte was flipped.
pub(super) const DAMAGED_DIR: &str = "ledger-damaged";
/// Where the printed commands put a mirror.
pub(super) const MIRROR_DIR: &str = "mirror";
/// Where they put the halves that the authorities keep.
pub(super) const HALVES_DIR: &str = "halves";

/// The directory, while this process works in it.
#[derive(Debug)]
pub(super) struct Home {
    dir: PathBuf,
    _lock: File,
}

impl Home {
    /// Takes the directory, makes it if need be, and changes nothing in it.
    pub(super) fn open(dir: &Path) -> Result<Self, SandboxError> {
        let marker = dir.join(MARKER);
        let is_empty = match fs::read_dir(dir) {
            Ok(mut entries) => entries.next().is_none(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => true,
            Err(error) => return Err(WorldError::io("list", dir)(error).into()),
        };
        if !is_empty && !marker.is_file() {
            let dir = dir.to_owned();
            return Err(SandboxError::ForeignDir { dir });
        }
        disk::private_dir(dir).map_err(WorldError::from)?;
        disk::write_public(&marker, MARKER_TEXT).map_err(WorldError::from)?;
        disk::write_public(&dir.join(".gitignore"), "*\n").map_err(WorldError::from)?;
        Ok(Self {
            dir: dir.to_owned(),
            _lock: lock(dir)?,
        })
    }

    /// Removes what the last run left behind.
    pub(super) fn forget_last_run(&self) -> Result<(), SandboxError> {
        WorldFiles::forget_runs(&self.dir)?;
        remove_dir(&self.dir.join(DAMAGED_DIR))?;
        remove_dir(&self.dir.join(MIRROR_DIR))?;
        remove_dir(&self.dir.join(HALVES_DIR))?;
        for name in RUN_FILES.into_iter().chain(SHARE_FILES) {
            remove_file(&self.dir.join(name))?;
        }
        Ok(())
    }

    /// From now on, what broker and adapters log goes into `broker.log`.
    pub(super) fn log_to_file(&self) -> Result<(), SandboxError> {
        let path = self.dir.join("broker.log");
        let file = OpenOptions::new()
            .create(true)
            .append(true)
            .mode(0o600)
            .open(&path)
            .map_err(WorldError::io("write", &path))?;
        let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
        let log = tracing_subscriber::fmt()
            .with_env_filter(filter)
            .with_ansi(false)
            .with_writer(Mutex::new(file));
        // Only a second subscriber in one process could fail; then the first one logs.
        let _ = log.try_init();
        Ok(())
    }

    /// A file of the north operator's test numbers, to be screened.
    pub(super) fn write_numbers(&self, spec: &WorldSpec) -> Result<PathBuf, SandboxError> {
        let mut text = "# Every test number of north-mobile, for `accord screen`\n".to_owned();
        let served = spec.operators.iter().flat_map(|operator| &operator.ranges);
        for prefix in served.filter(|prefix| *prefix == NORTH_PREFIX) {
            for number in TEST_NUMBERS {
                text.push_str(&format!("{prefix}{:03}\n", number.digits));
            }
        }
        let path = self.dir.join("numbers.txt");
        disk::write_public(&path, &text).map_err(WorldError::from)?;
        Ok(path)
    }
}

fn lock(dir: &Path) -> Result<File, SandboxError> {
    let path = dir.join("lock");
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .map_err(WorldError::io("open", &path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(SandboxError::Locked {
            dir: dir.to_owned(),
        }),
        Err(TryLockError::Error(error)) => Err(WorldError::io("lock", &path)(error).into()),
    }
}

/// Whether a port can be had; the broker takes it a moment later.
pub(super) fn check_port(port: u16, flag: &'static str) -> Result<(), SandboxError> {
    match TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
            Err(SandboxError::PortInUse { port, flag })
        }
        Err(source) => Err(SandboxError::Port { port, flag, source }),
    }
}

fn remove_file(path: &Path) -> Result<(), SandboxError> {
    absent_is_fine(fs::remove_file(path), path)
}

/// Removes a directory with all that is in it, if it is there.
pub(super) fn remove_dir(path: &Path) -> Result<(), SandboxError> {
    absent_is_fine(fs::remove_dir_all(path), path)
}

fn absent_is_fine(removed: io::Result<()>, path: &Path) -> Result<(), SandboxError> {
    match removed {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(WorldError::io("remove", path)(error).into())
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_with_other_files_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("ledger")).unwrap();
        let error = Home::open(dir.path()).unwrap_err().to_string();
        assert!(error.contains("--dir"), "{error}");
        assert!(!dir.path().join(MARKER).exists());
    }

    #[test]
    fn two_sandboxes_do_not_share_a_directory() {
        let dir = tempfile::tempdir().unwrap();
        let first = Home::open(dir.path()).unwrap();
        let error = Home::open(dir.path()).unwrap_err();
        assert!(matches!(error, SandboxError::Locked { .. }), "{error}");
        drop(first);
        Home::open(dir.path()).unwrap();
    }

    #[test]
    fn only_what_a_run_left_behind_is_forgotten() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::open(dir.path()).unwrap();
        for name in ["ledger", "pki"] {
            fs::create_dir(dir.path().join(name)).unwrap();
        }
        home.forget_last_run().unwrap();
        assert!(!dir.path().join("ledger").exists());
        assert!(dir.path().join("pki").exists());
    }

    #[test]
    fn a_port_in_use_names_the_port_and_the_flag() {
        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = taken.local_addr().unwrap().port();
        let error = check_port(port, "--grpc-port").unwrap_err().to_string();
        assert!(error.contains(&port.to_string()), "{error}");
        assert!(error.contains("--grpc-port"), "{error}");
    }
}
