//! The tag keys that the broker holds: this month's and last month's, in a directory of their own,
//! never beside the ledger.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use accord_proto::{
    msisdn::Msisdn,
    subject::{Month, SubjectTag, TagKey},
};
use arc_swap::ArcSwap;
use aws_lc_rs::rand;
use jiff::Timestamp;

use super::key_check;
use crate::durable;

/// A key's file is `tag-<month>.key`.
const PREFIX: &str = "tag-";
const SUFFIX: &str = ".key";

/// This month's key and, where there is one, last month's.
#[derive(Debug)]
pub struct TagKeys {
    dir: PathBuf,
    current: ArcSwap<Pair>,
}

/// The two keys of one moment.
#[derive(Debug)]
pub struct Pair {
    /// This month's.
    pub this_month: TagKey,
    /// Last month's, if the broker ran then.
    pub last_month: Option<TagKey>,
}

impl Pair {
    /// This month's key first, then last month's.
    pub fn keys(&self) -> impl Iterator<Item = &TagKey> {
        std::iter::once(&self.this_month).chain(&self.last_month)
    }

    /// The tags of a number, this month's first.
    #[must_use]
    pub fn tags(&self, msisdn: &Msisdn) -> Vec<SubjectTag> {
        self.keys().map(|key| key.subject(msisdn)).collect()
    }
}

/// Why the keys can't be used.
#[derive(Debug, thiserror::Error)]
pub enum TagKeyError {
    /// The operating system said no.
    #[error(transparent)]
    File(#[from] durable::Failed),
    /// The key, or what it is checked against, is not as it was written.
    #[error(
        "`{0}` is damaged: put it back as it was, if anybody can; under another key nobody would \
         find this month's subjects again"
    )]
    Damaged(PathBuf),
    /// Not 32 bytes.
    #[error("`{0}` is not a tag key: it must hold exactly 32 bytes")]
    Length(PathBuf),
    /// No randomness.
    #[error("the system gave no random bytes")]
    Random,
}

impl TagKeys {
    /// Opens the keys of a moment; makes this month's if there is none yet.
    ///
    /// # Errors
    /// [`TagKeyError`] names the file.
    pub fn open(dir: &Path, now: Timestamp) -> Result<(Self, bool), TagKeyError> {
        durable::private_dir(dir)?;
        let (pair, made) = load(dir, Month::of(now))?;
        Ok((
            Self {
                dir: dir.to_owned(),
                current: ArcSwap::from_pointee(pair),
            },
            made,
        ))
    }

    /// Whether the keys that are there can be used at a moment; none is made.
    ///
    /// # Errors
    /// [`TagKeyError`] names the file.
    pub fn check(dir: &Path, now: Timestamp) -> Result<(), TagKeyError> {
        let this_month = Month::of(now);
        for month in [this_month, this_month.previous()] {
            let path = path_of(dir, month);
            if let Some(key) = read(&path, month)? {
                key_check::compare(&path, &key)?;
            }
        }
        Ok(())
    }

    /// The keys in use.
    #[must_use]
    pub fn pair(&self) -> Arc<Pair> {
        self.current.load_full()
    }

    /// Goes on to the next month if it has begun; `true` if it has.
    ///
    /// # Errors
    /// [`TagKeyError`] names the file; the keys stay as they are.
    pub fn roll(&self, now: Timestamp) -> Result<bool, TagKeyError> {
        let month = Month::of(now);
        if self.current.load().this_month.month() >= month {
            return Ok(false);
        }
        let (pair, _) = load(&self.dir, month)?;
        self.current.store(Arc::new(pair));
        Ok(true)
    }
}

fn load(dir: &Path, month: Month) -> Result<(Pair, bool), TagKeyError> {
    let path = |month| path_of(dir, month);
    let last_month = read(&path(month.previous()), month.previous())?;
    if let Some(key) = &last_month {
        key_check::hold(&path(month.previous()), key)?;
    }
    if let Some(this_month) = read(&path(month), month)? {
        key_check::hold(&path(month), &this_month)?;
        return Ok((
            Pair {
                this_month,
                last_month,
            },
            false,
        ));
    }
    let this_month = make(&path(month), month)?;
    key_check::hold(&path(month), &this_month)?;
    Ok((
        Pair {
            this_month,
            last_month,
        },
        true,
    ))
}

/// Where a month's key lies.
fn path_of(dir: &Path, month: Month) -> PathBuf {
    dir.join(format!("{PREFIX}{month}{SUFFIX}"))
}

/// The month of a key's file, by its name.
pub(super) fn month_of(name: &str) -> Option<Month> {
    Month::parse(name.strip_prefix(PREFIX)?.strip_suffix(SUFFIX)?)
}

/// The bytes of a month's key; `None` if there is none.
fn read_bytes(path: &Path) -> Result<Option<[u8; TagKey::LEN]>, TagKeyError> {
    let Some(bytes) = durable::read_if_present(path)? else {
        return Ok(None);
    };
    let key = bytes.as_slice().try_into();
    key.map(Some).map_err(|_| TagKeyError::Length(path.into()))
}

/// The bytes of a key that is as it was written; `None` if there is none.
pub(super) fn read_checked(
    dir: &Path,
    month: Month,
) -> Result<Option<[u8; TagKey::LEN]>, TagKeyError> {
    let path = path_of(dir, month);
    let Some(bytes) = read_bytes(&path)? else {
        return Ok(None);
    };
    key_check::compare(&path, &TagKey::new(month, &bytes))?;
    Ok(Some(bytes))
}

/// Erases a month's key, and what it was checked against.
pub(super) fn erase(dir: &Path, month: Month) -> Result<(), durable::Failed> {
    let path = path_of(dir, month);
    durable::remove(&path)?;
    durable::remove(&key_check::path_of(&path))?;
    Ok(())
}

fn read(path: &Path, month: Month) -> Result<Option<TagKey>, TagKeyError> {
    Ok(read_bytes(path)?.map(|key| TagKey::new(month, &key)))
}

/// Makes a key and puts it in place durably: entries tagged with a key that a power cut took away
/// could never be found again.
fn make(path: &Path, month: Month) -> Result<TagKey, TagKeyError> {
    let mut key = [0; TagKey::LEN];
    rand::fill(&mut key).map_err(|_| TagKeyError::Random)?;
    durable::replace(path, &key)?;
    Ok(TagKey::new(month, &key))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_key_is_made_once_and_found_again() {
        let dir = tempfile::tempdir().unwrap();
        let now = "2026-11-21T12:00:00Z".parse().unwrap();
        let number = Msisdn::parse("+447700900001").unwrap();
        let (keys, made) = TagKeys::open(dir.path(), now).unwrap();
        assert!(made);
        let tags = keys.pair().tags(&number);
        let (again, made) = TagKeys::open(dir.path(), now).unwrap();
        assert!(!made);
        assert_eq!(again.pair().tags(&number), tags);
    }

    #[test]
    fn in_a_new_month_the_tag_changes_and_the_old_one_is_still_known() {
        let dir = tempfile::tempdir().unwrap();
        let number = Msisdn::parse("+447700900001").unwrap();
        let (keys, _) = TagKeys::open(dir.path(), "2026-11-30T23:59:59Z".parse().unwrap()).unwrap();
        let november = keys.pair().tags(&number);
        assert!(keys.roll("2026-12-01T00:00:00Z".parse().unwrap()).unwrap());
        let december = keys.pair().tags(&number);
        assert_eq!(december.len(), 2);
        assert_ne!(december.first(), november.first());
        assert_eq!(december.get(1), november.first());
    }

    #[test]
    fn a_damaged_key_is_named() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("tag-2026-11.key"), b"short").unwrap();
        let error = TagKeys::open(dir.path(), "2026-11-21T12:00:00Z".parse().unwrap()).unwrap_err();
        assert!(error.to_string().contains("tag-2026-11.key"), "{error}");
    }
}
