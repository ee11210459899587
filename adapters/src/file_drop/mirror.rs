//! What is fetched, and how it comes to lie in the spool.

use std::{
    cmp::Reverse,
    collections::HashSet,
    fs::{self, File},
    io::{self, BufWriter, Write as _},
    path::{Path, PathBuf},
    sync::atomic::{AtomicUsize, Ordering},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use jiff::Timestamp;

use super::{
    Role, SftpConfig, Wanted,
    session::{Remote, Server, Session, SftpError},
};

/// A marker or checksum up to this size is compared with what lies here.
const COMPARED_BYTES_MAX: u64 = 1 << 20;
/// The time of a file is told in seconds, so that a second one of the same size and second looks like
/// the first, as long as so many seconds have not passed by the server's own files.
const SAME_SECONDS: u32 = 2;
/// Where only the newest is fetched, and it is of no use, so many are tried.
const REACH_MAX: usize = 3;

/// What a round fetched.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fetched {
    /// Files.
    pub files: u64,
    /// Bytes.
    pub bytes: u64,
}

/// Copies what is wanted.
pub(super) struct Mirror {
    server: Server,
    directory: String,
    spool: PathBuf,
    wanted: Wanted,
    file_mib_max: u32,
    names_max: u32,
    /// What the server has no more goes here too.
    pub(super) clears: bool,
    newest: Option<Newest>,
}

/// Where only the newest is fetched.
#[derive(Debug)]
struct Newest {
    /// So many.
    reach: AtomicUsize,
    /// So many there were.
    offered: AtomicUsize,
}

impl Mirror {
    pub(super) fn new(server: Server, config: &SftpConfig, spool: PathBuf, wanted: Wanted) -> Self {
        Self {
            server,
            directory: config.directory.clone(),
            spool,
            wanted,
            file_mib_max: config.file_mib_max,
            names_max: config.names_max,
            clears: false,
            newest: config.newest_only.then(|| Newest {
                reach: AtomicUsize::new(1),
                offered: AtomicUsize::new(0),
            }),
        }
    }

    pub(super) fn reach_further(&self) -> bool {
        let further = |newest: &Newest| {
            let reached = newest.reach.load(Ordering::Relaxed);
            let most = newest.offered.load(Ordering::Relaxed).min(REACH_MAX);
            newest.reach.store(reached + 1, Ordering::Relaxed);
            reached < most
        };
        self.newest.as_ref().is_some_and(further)
    }

    pub(super) async fn fetch(&self, now: Timestamp) -> Result<Fetched, SftpError> {
        self.sweep()?;
        let session = Session::open(&self.server).await?;
        let wanted = |name: &str| match name.starts_with('.') {
            true => None,
            false => (self.wanted)(name),
        };
        let mut files = session
            .list(&self.directory, self.names_max, &wanted)
            .await?;
        // Whoever finds a marker must find what it is about; and the newest day is needed first.
        files.sort_by(|one, other| {
            let turn = |file: &Remote| match file.role {
                Role::Content(of) => (0, Reverse(Some(of)), Reverse(file.modified)),
                Role::About => (1, Reverse(None), Reverse(file.modified)),
            };
            let order = turn(one).cmp(&turn(other));
            order.then_with(|| one.name.cmp(&other.name))
        });
        let newest = files.iter().map(|file| file.modified).max().unwrap_or(0);
        let mut fetched = Fetched::default();
        let mut failed = None;
        let due = self.due(&files, now);
        for file in due.into_iter().filter(|file| !self.has(file, newest)) {
            // One file that can't be had does not stand in the way of the others.
            match self.take(&session, file).await {
                Ok(false) => {}
                Ok(true) => {
                    fetched.files += 1;
                    fetched.bytes += file.bytes;
                }
                Err(error) if error.is_of_one_file() => {
                    failed.get_or_insert(error);
                }
                Err(error) => return Err(error),
            }
        }
        if self.clears {
            self.clear(&files)?;
        }
        failed.map_or(Ok(fetched), Err)
    }

    /// What is to be fetched of what is offered, which is in order.
    fn due<'a>(&self, files: &'a [Remote], now: Timestamp) -> Vec<&'a Remote> {
        let Some(newest) = &self.newest else {
            return files.iter().collect();
        };
        // No source takes one whose time is still to come.
        let can_be = |file: &&Remote| matches!(file.role, Role::Content(of) if of <= now);
        let (content, about): (Vec<&Remote>, Vec<&Remote>) =
            files.iter().partition(|file| file.is_content());
        let offered: Vec<&Remote> = content.iter().copied().filter(can_be).collect();
        newest.offered.store(offered.len(), Ordering::Relaxed);
        let reach = newest.reach.load(Ordering::Relaxed);
        let mut due: Vec<&Remote> = offered.into_iter().take(reach).collect();
        let says_of = |about: &Remote, some: &[&Remote]| {
            some.iter().any(|file| about.name.starts_with(&file.name))
        };
        // A manifest says something of all.
        let about = about
            .into_iter()
            .filter(|about| says_of(about, &due) || !says_of(about, &content));
        let about: Vec<&Remote> = about.collect();
        due.extend(about);
        due
    }

    /// Removes from the spool what was fetched once and is not offered any more. A server that offers
    /// nothing at all may have lost its disk, and takes nothing away.
    fn clear(&self, offered: &[Remote]) -> Result<(), SftpError> {
        if !offered.iter().any(Remote::is_content) {
            return Ok(());
        }
        let offered: HashSet<&str> = offered.iter().map(|file| file.name.as_str()).collect();
        for entry in fs::read_dir(&self.spool).map_err(spool("look"))? {
            let name = entry.map_err(spool("look"))?.file_name();
            let gone = name
                .to_str()
                .filter(|name| !offered.contains(name) && (self.wanted)(name).is_some());
            if let Some(name) = gone {
                fs::remove_file(self.spool.join(name)).map_err(spool("clean up"))?;
            }
        }
        Ok(())
    }

    /// Whether the very file lies in the spool: as large, and of the same time. Content that was
    /// replaced within a second is found out by its checksum; a checksum by nothing but a look.
    fn has(&self, file: &Remote, newest: u32) -> bool {
        let Ok(metadata) = fs::metadata(self.spool.join(&file.name)) else {
            return false;
        };
        let settled = file.modified.saturating_add(SAME_SECONDS) < newest;
        (settled || file.is_content() || file.bytes > COMPARED_BYTES_MAX)
            && metadata.len() == file.bytes
            && metadata.modified().ok() == Some(time(file))
    }

    /// Fetches a file; false: it is the one that lies here.
    async fn take(&self, session: &Session, file: &Remote) -> Result<bool, SftpError> {
        if file.bytes > u64::from(self.file_mib_max) << 20 {
            return Err(SftpError::TooLarge {
                name: file.name.clone(),
                mib: self.file_mib_max,
            });
        }
        let partial = Partial::create(&self.spool, &file.name)?;
        let mut to = BufWriter::with_capacity(1 << 20, &partial.file);
        let put = |piece: &[u8]| to.write_all(piece).map_err(spool("write"));
        session.read(&self.directory, file, put).await?;
        to.flush().map_err(spool("write"))?;
        drop(to);
        let path = self.spool.join(&file.name);
        if self.is_same(&partial, &path, file) {
            return Ok(false);
        }
        partial.keep(&path, time(file))?;
        Ok(true)
    }

    fn is_same(&self, partial: &Partial, path: &Path, file: &Remote) -> bool {
        let dated = fs::metadata(path).and_then(|metadata| metadata.modified());
        file.bytes <= COMPARED_BYTES_MAX
            && dated.is_ok_and(|dated| dated == time(file))
            && matches!((fs::read(path), fs::read(&partial.path)), (Ok(old), Ok(new)) if old == new)
    }

    /// Removes what a round left that broke off with the program.
    fn sweep(&self) -> Result<(), SftpError> {
        for entry in fs::read_dir(&self.spool).map_err(spool("look"))? {
            let name = entry.map_err(spool("look"))?.file_name();
            // Another source may fetch into the same directory.
            let left = name
                .to_str()
                .filter(|name| partial_of(name).is_some_and(|name| (self.wanted)(name).is_some()));
            if let Some(name) = left {
                fs::remove_file(self.spool.join(name)).map_err(spool("clean up"))?;
            }
        }
        Ok(())
    }
}

/// The name of the file that a hidden one is on its way to be.
fn partial_of(name: &str) -> Option<&str> {
    name.strip_prefix('.')?.strip_suffix(".part")
}

fn time(file: &Remote) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(u64::from(file.modified))
}

fn spool(act: &'static str) -> impl Fn(io::Error) -> SftpError {
    move |error| SftpError::Spool { act, error }
}

/// A file on its way, which goes unless it is kept.
struct Partial {
    file: File,
    path: PathBuf,
    kept: bool,
}

impl Partial {
    fn create(spool_dir: &Path, name: &str) -> Result<Self, SftpError> {
        let path = spool_dir.join(format!(".{name}.part"));
        let file = File::create(&path).map_err(spool("make a file"))?;
        Ok(Self {
            file,
            path,
            kept: false,
        })
    }

    /// Puts it in its place at once, durably.
    fn keep(mut self, path: &Path, modified: SystemTime) -> Result<(), SftpError> {
        self.file
            .set_modified(modified)
            .map_err(spool("date a file"))?;
        self.file.sync_all().map_err(spool("sync a file"))?;
        fs::rename(&self.path, path).map_err(spool("put a file"))?;
        self.kept = true;
        Ok(())
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        if !self.kept {
            // What is left over is swept before the next round.
            let _ = fs::remove_file(&self.path);
        }
    }
}
