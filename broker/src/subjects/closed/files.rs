//! The directory of the months' keys, and that of the sealed halves of those that were split.
//!
//! A month's halves lie in one file, so that one rename makes both durable or neither. Each half
//! opens with its authority's share key only, so their directory may be backed up; that of the keys
//! must not. A key is erased by removing its file and syncing the directory. Writing over it first
//! would be idle: disks of today, and file systems that copy on write, put new bytes elsewhere.
//! Whoever must be sure keeps the keys on an encrypted volume whose key can be destroyed.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use accord_proto::{
    agreement::ShareKeys,
    shares::{SealedShare, split},
    subject::Month,
    v1::NamedDigest,
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

/// The directories.
#[derive(Clone, Debug)]
pub(super) struct Files {
    keys: PathBuf,
    sealed: PathBuf,
}

/// The months of which there is a file.
#[derive(Debug, Default)]
pub(super) struct Months {
    pub(super) keys: BTreeSet<Month>,
    /// With the digests of what lies there; none where that is not two halves.
    pub(super) shares: BTreeMap<Month, Vec<NamedDigest>>,
}

impl Files {
    pub(super) fn open(keys: &Path, sealed: &Path) -> Result<Self, ClosedError> {
        durable::private_dir(sealed)?;
        Ok(Self {
            keys: keys.to_owned(),
            sealed: sealed.to_owned(),
        })
    }

    pub(super) fn months(&self) -> Result<Months, ClosedError> {
        let mut months = Months::default();
        for name in durable::names(&self.keys)? {
            months.keys.extend(month_of(&name));
        }
        for name in durable::names(&self.sealed)? {
            let shares = name.strip_prefix(PREFIX);
            let shares = shares.and_then(|name| name.strip_suffix(SUFFIX));
            if let Some(month) = shares.and_then(Month::parse) {
                let found = self.shares(month)?;
                let digests = found.as_ref().map(digests).unwrap_or_default();
                months.shares.insert(month, digests);
            }
        }
        Ok(months)
    }

    /// Splits a month's key anew: the two halves, the telecom regulator's first, durable when this
    /// returns. The key stays.
    pub(super) fn split(
        &self,
        ledger: &str,
        month: Month,
        keys: &ShareKeys,
    ) -> Result<[SealedShare; 2], ClosedError> {
        let key = read_checked(&self.keys, month)?.ok_or(ClosedError::NoKey(month))?;
        let (regulator, bank) = (&keys.telecom_regulator, &keys.central_bank);
        let [one, other] = split(ledger, month, &key, [regulator.name(), bank.name()])?;
        let shares = [one.seal(regulator)?, other.seal(bank)?];
        let [one, other] = shares.each_ref().map(ToString::to_string);
        let text = format!("{}{BETWEEN}{other}", one.trim_end());
        durable::replace(&self.shares_path(month), text.as_bytes())?;
        Ok(shares)
    }

    /// The sealed halves of a month; `None` if there are none, or the file is damaged.
    pub(super) fn shares(&self, month: Month) -> Result<Option<[SealedShare; 2]>, ClosedError> {
        let path = self.shares_path(month);
        let Some(bytes) = durable::read_if_present(&path)? else {
            return Ok(None);
        };
        let halves = std::str::from_utf8(&bytes)
            .ok()
            .and_then(|text| text.split_once(BETWEEN))
            .and_then(|(one, other)| {
                let one = SealedShare::parse(one).ok()?;
                Some([one, SealedShare::parse(other).ok()?])
            });
        if halves.is_none() {
            let path = path.display();
            tracing::error!(%path, "this does not hold the two sealed halves of a key");
        }
        Ok(halves)
    }

    /// Erases a month's key.
    pub(super) fn erase_key(&self, month: Month) -> Result<(), ClosedError> {
        Ok(erase(&self.keys, month)?)
    }

    /// Destroys all that is left of a month: its halves, and its key, should a backup have brought
    /// it back.
    pub(super) fn destroy(&self, month: Month) -> Result<(), ClosedError> {
        durable::remove(&self.shares_path(month))?;
        self.erase_key(month)
    }

    fn shares_path(&self, month: Month) -> PathBuf {
        self.sealed.join(format!("{PREFIX}{month}{SUFFIX}"))
    }
}

/// What is on the record of a split: both sealed halves, and what they make together.
pub(super) fn digests(shares: &[SealedShare; 2]) -> Vec<NamedDigest> {
    let halves = shares.iter();
    let halves = halves.map(|share| digest(share.facts().half.clone(), share.sha256()));
    let [one, _] = shares;
    let commitment = digest("commitment".to_owned(), one.facts().commitment);
    halves.chain([commitment]).collect()
}

pub(super) fn digest(name: String, sha256: [u8; 32]) -> NamedDigest {
    let sha256 = sha256.to_vec();
    NamedDigest { name, sha256 }
}
