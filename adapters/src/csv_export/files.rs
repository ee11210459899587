//! Which file to read, whether it is whole as far as its neighbours say, and the size of the last
//! one accepted.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::config::Complete;
use super::plan::{ExportedPlan, Plan};
use super::refusal::Refusal;
use crate::disk;

/// The most entries of the directory that are looked at.
const ENTRIES_MAX: usize = 10_000;

/// The most files tried at once, newest first.
const CANDIDATES_MAX: usize = 8;

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

/// The files there are, newest first.
pub(super) fn candidates(plan: &Plan) -> Result<Vec<Candidate>, Refusal> {
    let directory = &plan.config.directory;
    let ExportedPlan::FileName { format, added } = &plan.exported_at else {
        let path = directory.join(&plan.config.file_name);
        return Ok(vec![candidate(path, None)?]);
    };
    let io = |error| Refusal::Io("read the directory", error);
    let mut named = Vec::new();
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
            named.push((exported_at, entry.path()));
        }
    }
    named.sort_by(|one, other| other.cmp(one));
    let newest = named.into_iter().take(CANDIDATES_MAX);
    newest.map(|(at, path)| candidate(path, Some(at))).collect()
}

fn candidate(path: PathBuf, exported_at: Option<Timestamp>) -> Result<Candidate, Refusal> {
    let metadata = std::fs::metadata(&path).map_err(|error| {
        if error.kind() == std::io::ErrorKind::NotFound {
            Refusal::Absent
        } else {
            Refusal::Io("look at the file", error)
        }
    })?;
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

    /// Looks at the marker, where one is required, and gives the number of rows in it.
    pub(super) fn declared_rows(&self, plan: &Plan) -> Result<Option<u64>, Refusal> {
        match plan.config.complete {
            Complete::DoneFile => {}
            Complete::Trailer { .. } | Complete::FinalNewline => return Ok(None),
        }
        let mut marker = self.path.clone().into_os_string();
        marker.push(".done");
        let metadata = std::fs::metadata(&marker).map_err(|_| Refusal::NotDone)?;
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
