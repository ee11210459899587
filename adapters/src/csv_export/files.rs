//! Which file to read, whether it is whole as far as its neighbours say, and the size of the last
//! one accepted.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::config::Complete;
use super::hashed::Content;
use super::plan::{ExportedPlan, Plan};
use super::refusal::Refusal;
use crate::disk;
use crate::file_drop::{Role, Wanted};

/// The most entries of the directory that are looked at. Only the newest are kept of them.
const ENTRIES_MAX: usize = 1_000_000;

/// The most files tried at once, newest first.
const CANDIDATES_MAX: usize = 8;

/// The largest file of checksums.
const CHECKSUM_BYTES_MAX: u64 = 1 << 20;

/// What is said of a file beside it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Declared {
    pub(super) rows: Option<u64>,
    pub(super) sha256: Option<Content>,
}

/// Which bytes a file has, as far as can be told without reading them.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Stamp {
    path: PathBuf,
    inode: u64,
    bytes: u64,
    written: (i64, i64),
}

/// A file to read.
#[derive(Clone, Debug)]
pub(super) struct Candidate {
    pub(super) path: PathBuf,
    pub(super) stamp: Stamp,
    /// When it was exported, unless a column says.
    pub(super) exported_at: Option<Timestamp>,
}

/// The newest files there are, newest first. Of those whose names lie in the future there is one, to
/// be refused, and it takes no other's place.
pub(super) fn candidates(plan: &Plan, now: Timestamp) -> Result<Vec<Candidate>, Refusal> {
    let directory = &plan.config.directory;
    let ExportedPlan::FileName { format, added } = &plan.exported_at else {
        let path = directory.join(&plan.config.file_name);
        return Ok(vec![candidate(path, None)?]);
    };
    let io = |error| Refusal::Io("read `directory`", error);
    let (mut named, mut future) = (Vec::new(), None);
    for (place, entry) in std::fs::read_dir(directory).map_err(io)?.enumerate() {
        if place >= ENTRIES_MAX {
            return Err(Refusal::Crowded(ENTRIES_MAX));
        }
        let entry = entry.map_err(io)?;
        let name = entry.file_name();
        let bounds = name
            .to_str()
            .and_then(|name| format.bounds(&format!("{name}{added}")));
        if let Some((exported_at, _)) = bounds {
            if exported_at > now {
                future = future.max(Some((exported_at, entry.path())));
                continue;
            }
            named.push((exported_at, entry.path()));
        }
        if named.len() > 2 * CANDIDATES_MAX {
            keep_newest(&mut named);
        }
    }
    keep_newest(&mut named);
    let newest = future.into_iter().chain(named);
    newest.map(|(at, path)| candidate(path, Some(at))).collect()
}

fn keep_newest(named: &mut Vec<(Timestamp, PathBuf)>) {
    named.sort_by(|one, other| other.cmp(one));
    named.truncate(CANDIDATES_MAX);
}

/// What the system knows of a file; `absent` if there is none.
fn look_at(path: &Path, absent: Refusal, doing: &'static str) -> Result<Metadata, Refusal> {
    std::fs::metadata(path).map_err(|error| {
        if error.kind() == std::io::ErrorKind::NotFound {
            absent
        } else {
            Refusal::Io(doing, error)
        }
    })
}

fn candidate(path: PathBuf, exported_at: Option<Timestamp>) -> Result<Candidate, Refusal> {
    let metadata = look_at(&path, Refusal::Absent, "look at the file")?;
    Ok(Candidate {
        exported_at,
        stamp: stamp(&path, &metadata),
        path,
    })
}

fn stamp(path: &Path, metadata: &Metadata) -> Stamp {
    Stamp {
        path: path.to_owned(),
        inode: metadata.ino(),
        bytes: metadata.len(),
        written: (metadata.mtime(), metadata.mtime_nsec()),
    }
}

impl Candidate {
    /// Whether the file is still the one that was looked at.
    pub(super) fn is_unchanged(&self) -> bool {
        let metadata = std::fs::metadata(&self.path);
        metadata.is_ok_and(|metadata| stamp(&self.path, &metadata) == self.stamp)
    }

    /// Looks at the marker or checksum, where one is required, and gives what it says.
    pub(super) fn declared(&self, plan: &Plan) -> Result<Declared, Refusal> {
        let rows = |rows| Declared { rows, sha256: None };
        let sha256 = |sha256| Declared {
            rows: None,
            sha256: Some(sha256),
        };
        match &plan.config.complete {
            Complete::Trailer { .. } | Complete::FinalNewline => Ok(rows(None)),
            Complete::DoneFile => self.done().map(rows),
            Complete::Sha256File => {
                let text = read_checksums(&beside(&self.path, ".sha256"))?;
                checksum_of(&text, self.name(), true).map(sha256)
            }
            Complete::Manifest { name } => {
                let text = read_checksums(&self.path.with_file_name(name))?;
                checksum_of(&text, self.name(), false).map(sha256)
            }
        }
    }

    fn name(&self) -> &str {
        let name = self.path.file_name();
        name.and_then(|name| name.to_str()).unwrap_or_default()
    }

    /// The rows that the marker declares.
    fn done(&self) -> Result<Option<u64>, Refusal> {
        let marker = beside(&self.path, ".done");
        let metadata = look_at(&marker, Refusal::NotDone, "look at the marker")?;
        if (metadata.mtime(), metadata.mtime_nsec()) < self.stamp.written {
            return Err(Refusal::NotDone);
        }
        // A marker is empty or holds a number; nothing longer is read.
        if metadata.len() > 64 {
            return Ok(None);
        }
        let text = std::fs::read_to_string(&marker);
        let text = text.map_err(|error| Refusal::Io("read the marker", error))?;
        Ok(text.trim().parse().ok())
    }
}

pub(crate) fn beside(path: &Path, added: &str) -> PathBuf {
    let mut path = path.to_owned().into_os_string();
    path.push(added);
    PathBuf::from(path)
}

pub(crate) fn read_checksums(path: &Path) -> Result<String, Refusal> {
    let metadata = look_at(path, Refusal::NoChecksum, "look at the checksum")?;
    if metadata.len() > CHECKSUM_BYTES_MAX {
        return Err(Refusal::BadChecksum);
    }
    let bytes = std::fs::read(path);
    let bytes = bytes.map_err(|error| Refusal::Io("read the checksum", error))?;
    String::from_utf8(bytes).map_err(|_| Refusal::BadChecksum)
}

/// The checksum of a file, out of lines such as `<64 hex digits>  <name>` or ` *<name>`. One that
/// stands `alone` may lack the name.
pub(crate) fn checksum_of(text: &str, name: &str, alone: bool) -> Result<Content, Refusal> {
    let mut found = None;
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        let (hex, named) = line
            .trim_end()
            .split_at_checked(64)
            .ok_or(Refusal::BadChecksum)?;
        let named = named
            .trim_start_matches([' ', '*'])
            .trim_start_matches("./");
        if named != name && !(alone && named.is_empty()) {
            continue;
        }
        let content = parse_hex(hex).ok_or(Refusal::BadChecksum)?;
        if found.is_some_and(|found| found != content) {
            return Err(Refusal::BadChecksum);
        }
        found = Some(content);
    }
    found.ok_or(Refusal::NoChecksum)
}

/// As above, for fuzz targets.
///
/// # Errors
/// [`Refusal`]: there is none, or the text is none of checksums.
#[cfg(any(test, feature = "test-util"))]
pub fn checksum(text: &str, name: &str, alone: bool) -> Result<[u8; 32], Refusal> {
    checksum_of(text, name, alone)
}

fn parse_hex(text: &str) -> Option<Content> {
    let mut content = Content::default();
    for (byte, at) in content.iter_mut().zip((0..64).step_by(2)) {
        let pair = text.get(at..at + 2)?;
        let digits = pair.bytes().all(|byte| byte.is_ascii_hexdigit());
        *byte = u8::from_str_radix(pair, 16).ok().filter(|_| digits)?;
    }
    Some(content)
}

/// Which names a server's files have that are wanted: the export's, and what says that it is whole.
pub(super) fn wanted(plan: &Plan) -> Wanted {
    let pattern = match &plan.exported_at {
        ExportedPlan::FileName { format, added } => Some((format.clone(), added.clone())),
        ExportedPlan::Column { .. } => None,
    };
    let (fixed, complete) = (plan.config.file_name.clone(), plan.config.complete.clone());
    Box::new(move |name: &str| {
        let exported = |name: &str| match &pattern {
            Some((format, added)) => Some(format.bounds(&format!("{name}{added}"))?.0),
            None => (name == fixed).then_some(Timestamp::UNIX_EPOCH),
        };
        let is_export = |name: &str| exported(name).is_some();
        let says_more = match &complete {
            Complete::DoneFile => name.strip_suffix(".done").is_some_and(is_export),
            Complete::Sha256File => name.strip_suffix(".sha256").is_some_and(is_export),
            Complete::Manifest { name: manifest } => name == manifest,
            Complete::Trailer { .. } | Complete::FinalNewline => false,
        };
        if says_more {
            return Some(Role::About);
        }
        exported(name).map(Role::Content)
    })
}

/// What is remembered of the last accepted file over a restart.
#[derive(Clone, Copy, Debug, serde::Deserialize, serde::Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Accepted {
    pub(super) rows: u64,
}

impl Accepted {
    /// `None`: there is no such file yet.
    pub(super) fn load(path: &Path) -> std::io::Result<Option<Self>> {
        match std::fs::read(path) {
            Ok(bytes) => Ok(Some(serde_json::from_slice(&bytes)?)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    pub(super) fn store(self, path: &Path) -> std::io::Result<()> {
        disk::replace(path, &serde_json::to_vec(&self)?)
    }
}
