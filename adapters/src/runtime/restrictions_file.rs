//! A file of restrictions, for operators without a system that would call the library.
//! Its form stands in [`crate::config`].

use std::{
    collections::HashSet,
    fs,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use accord_proto::{
    msisdn::{Msisdn, MsisdnError},
    party::OrgName,
    signal::Signal,
};
use serde::Deserialize;
use tokio::{
    sync::watch,
    time::{MissedTickBehavior, interval},
};

use crate::config::describe;

use super::{
    RuntimeError,
    link::stopped,
    restrictions::{Restriction, RestrictionHandle, RestrictionsError},
};

/// Effective within a second: half of it for the look, half for the way.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// What is wrong with a restrictions file. It never repeats a number.
#[derive(Debug, thiserror::Error)]
pub enum RestrictionsFileError {
    /// A file can't be read.
    #[error("cannot read `{}`", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        error: std::io::Error,
    },
    /// The file is not TOML of the documented form.
    #[error("`{}`: {what}", path.display())]
    Toml {
        /// The file.
        path: PathBuf,
        /// Line and rule.
        what: String,
    },
    /// A line of a list is no number.
    #[error("`{}`, line {line}: {error}", path.display())]
    Number {
        /// The list.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// The rule.
        error: MsisdnError,
    },
    /// It can't be put in force.
    #[error(transparent)]
    Impose(#[from] RestrictionsError),
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    opted_out_file: Option<PathBuf>,
    swap_locked_file: Option<PathBuf>,
    #[serde(default)]
    kill: Vec<Kill>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Kill {
    bank: Option<OrgName>,
    signal: Option<Signal>,
}

/// Reads a file of restrictions, and imposes none.
///
/// # Errors
/// [`RestrictionsFileError`] names the file and the line.
pub fn check_restrictions(path: &Path) -> Result<(), RestrictionsFileError> {
    read(path, &mut Vec::new()).map(drop)
}

/// Keeps what a file says in force.
#[derive(Debug)]
pub(super) struct Watcher {
    path: PathBuf,
    handle: RestrictionHandle,
    imposed: HashSet<Restriction>,
    /// Each file read, with its time and length then.
    seen: Vec<(PathBuf, Stamp)>,
}

type Stamp = Option<(SystemTime, u64)>;

impl Watcher {
    pub(super) fn new(path: PathBuf, handle: RestrictionHandle) -> Self {
        Self {
            path,
            handle,
            imposed: HashSet::new(),
            seen: Vec::new(),
        }
    }

    /// Reads the file and imposes and lifts the difference.
    pub(super) fn load(&mut self) -> Result<(), RestrictionsFileError> {
        let mut seen = vec![(self.path.clone(), stamp(&self.path))];
        let read = read(&self.path, &mut seen);
        // Also when it is wrong: it is read again once it changes.
        self.seen = seen;
        let wanted = read?;
        for restriction in wanted.difference(&self.imposed) {
            self.handle.impose(restriction.clone())?;
        }
        for restriction in self.imposed.difference(&wanted) {
            self.handle.lift(restriction.clone())?;
        }
        tracing::info!(
            file = %self.path.display(),
            restrictions = wanted.len(),
            "restrictions in force"
        );
        self.imposed = wanted;
        Ok(())
    }

    fn changed(&self) -> bool {
        self.seen.iter().any(|(path, then)| stamp(path) != *then)
    }

    pub(super) async fn run(
        mut self,
        mut stopping: watch::Receiver<bool>,
    ) -> Result<(), RuntimeError> {
        let mut looks = interval(LOOK_EVERY);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = looks.tick() => {}
                () = stopped(&mut stopping) => return Ok(()),
            }
            if self.changed()
                && let Err(error) = self.load()
            {
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    "restrictions file is wrong; the former restrictions stay in force"
                );
            }
        }
    }
}

fn stamp(path: &Path) -> Stamp {
    let metadata = fs::metadata(path).ok()?;
    Some((metadata.modified().ok()?, metadata.len()))
}

fn read(
    path: &Path,
    seen: &mut Vec<(PathBuf, Stamp)>,
) -> Result<HashSet<Restriction>, RestrictionsFileError> {
    let document = text(path)?;
    let document: Document =
        toml::from_str(&document).map_err(|error| RestrictionsFileError::Toml {
            path: path.to_owned(),
            what: describe(&document, &error),
        })?;
    let mut wanted = HashSet::new();
    for kill in document.kill {
        wanted.insert(Restriction::Kill {
            bank: kill.bank,
            signal: kill.signal,
        });
    }
    let dir = path.parent().unwrap_or_else(|| Path::new(""));
    let mut list = |file: Option<PathBuf>,
                    restriction: fn(Msisdn) -> Restriction|
     -> Result<(), RestrictionsFileError> {
        let Some(path) = file.map(|file| dir.join(file)) else {
            return Ok(());
        };
        seen.push((path.clone(), stamp(&path)));
        let text = text(&path)?;
        // Some editors begin a file with a mark that nobody sees.
        let unmarked = text.strip_prefix('\u{feff}').unwrap_or(&text);
        for (at, line) in unmarked.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let msisdn = Msisdn::parse(line).map_err(|error| RestrictionsFileError::Number {
                path: path.clone(),
                line: at + 1,
                error,
            })?;
            wanted.insert(restriction(msisdn));
        }
        Ok(())
    };
    list(document.opted_out_file, Restriction::OptedOut)?;
    list(document.swap_locked_file, Restriction::SwapLocked)?;
    Ok(wanted)
}

fn text(path: &Path) -> Result<String, RestrictionsFileError> {
    fs::read_to_string(path).map_err(|error| RestrictionsFileError::Read {
        path: path.to_owned(),
        error,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_says_what_is_restricted() {
        let dir = tempfile::TempDir::new().unwrap();
        let path = dir.path().join("restrictions.toml");
        let list = dir.path().join("out.txt");
        let lines = "\u{feff}# left us\r\n+447700900013\r\n\n  +447700900014\n";
        fs::write(&list, lines).unwrap();
        fs::write(
            &path,
            "opted_out_file = 'out.txt'\n[[kill]]\nbank = 'first-bank'\n[[kill]]\nsignal = 'tenure'\n",
        )
        .unwrap();
        let mut seen = Vec::new();
        let wanted = read(&path, &mut seen).unwrap();
        assert_eq!(wanted.len(), 4);
        assert!(wanted.contains(&Restriction::OptedOut(
            Msisdn::parse("+447700900014").unwrap()
        )));
        assert!(wanted.contains(&Restriction::Kill {
            bank: None,
            signal: Some(Signal::Tenure),
        }));
        assert_eq!(seen, [(list.clone(), stamp(&list))]);
    }

    #[test]
    fn mistakes_name_the_file_and_the_line_and_no_number() {
        let dir = tempfile::TempDir::new().unwrap();
        let path = dir.path().join("restrictions.toml");
        let error = |text: &str| {
            fs::write(&path, text).unwrap();
            read(&path, &mut Vec::new()).unwrap_err().to_string()
        };
        fs::write(dir.path().join("out.txt"), "+447700900013\n447700900014\n").unwrap();
        let said = error("opted_out_file = 'out.txt'");
        assert!(
            said.contains("out.txt`, line 2: a number begins with"),
            "{said}"
        );
        assert!(!said.contains("900014"));
        assert!(error("swap_locked_file = 'absent.txt'").contains("absent.txt"));
        assert!(error("[[kill]]\nsignal = 'sims'").contains("sim_swap"));
        assert!(error("opt_out = 'x'").contains("opt_out"));
    }
}
