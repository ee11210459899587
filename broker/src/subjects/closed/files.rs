//! The keys' directory: keys of months, and the sealed halves of those that were split.
//!
//! A month's halves lie in one file, so that one rename makes both durable or neither. A key is
//! erased by removing its file and syncing the directory. Writing over it first would be idle: disks
//! of today, and file systems that copy on write, put new bytes elsewhere. Whoever must be sure
//! keeps this directory on an encrypted volume whose key can be destroyed.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use accord_proto::{
    agreement::ShareKeys,
    shares::{SealedShare, split},
    subject::Month,
};

use super::ClosedError;
use crate::{
    durable,
    subjects::tag_keys::{erase, month_of, read_checked},
};

const PREFIX: &str = "shares-";
const SUFFIX: &str = ".sealed";
/// Between the two halves in a file.
const BETWEEN: &str = "\n\n";

/// The directory.
#[derive(Clone, Debug)]
pub(super) struct Files {
    dir: PathBuf,
}

/// The months of which there is a file.
#[derive(Debug, Default)]
pub(super) struct Months {
    pub(super) keys: BTreeSet<Month>,
    pub(super) shares: BTreeSet<Month>,
}

impl Files {
    pub(super) fn new(dir: &Path) -> Self {
        Self {
            dir: dir.to_owned(),
        }
    }

    pub(super) fn months(&self) -> Result<Months, ClosedError> {
        let mut months = Months::default();
        for name in durable::names(&self.dir)? {
            months.keys.extend(month_of(&name));
            let shares = name.strip_prefix(PREFIX);
            let shares = shares.and_then(|name| name.strip_suffix(SUFFIX));
            months.shares.extend(shares.and_then(Month::parse));
        }
        Ok(months)
    }

    /// The two halves of a month's key, the telecom regulator's first: those that lie there, or new
    /// ones, durable when this returns. The key stays.
    pub(super) fn split(
        &self,
        ledger: &str,
        month: Month,
        keys: &ShareKeys,
    ) -> Result<[SealedShare; 2], ClosedError> {
        if let Some(shares) = self.shares(month)? {
            return Ok(shares);
        }
        let key = read_checked(&self.dir, month)?.ok_or(ClosedError::NoKey(month))?;
        let (regulator, bank) = (&keys.telecom_regulator, &keys.central_bank);
        let [one, other] = split(ledger, month, &key, [regulator.name(), bank.name()])?;
        let shares = [one.seal(regulator)?, other.seal(bank)?];
        let [one, other] = shares.each_ref().map(ToString::to_string);
        let text = format!("{}{BETWEEN}{other}", one.trim_end());
        durable::replace(&self.shares_path(month), text.as_bytes())?;
        Ok(shares)
    }

    /// The sealed halves of a month; `None` if there are none.
    pub(super) fn shares(&self, month: Month) -> Result<Option<[SealedShare; 2]>, ClosedError> {
        let path = self.shares_path(month);
        let Some(bytes) = durable::read_if_present(&path)? else {
            return Ok(None);
        };
        let text = String::from_utf8_lossy(&bytes);
        let malformed = || ClosedError::Malformed(path.clone());
        let (one, other) = text.split_once(BETWEEN).ok_or_else(malformed)?;
        let parse = |text: &str| SealedShare::parse(text).map_err(|_| malformed());
        Ok(Some([parse(one)?, parse(other)?]))
    }

    /// Erases a month's key.
    pub(super) fn erase_key(&self, month: Month) -> Result<(), ClosedError> {
        Ok(erase(&self.dir, month)?)
    }

    /// Destroys all that is left of a month: its halves, and its key, should a backup have brought
    /// it back.
    pub(super) fn destroy(&self, month: Month) -> Result<(), ClosedError> {
        durable::remove(&self.shares_path(month))?;
        self.erase_key(month)
    }

    fn shares_path(&self, month: Month) -> PathBuf {
        self.dir.join(format!("{PREFIX}{month}{SUFFIX}"))
    }
}
