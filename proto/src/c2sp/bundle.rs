//! C2SP `tlog-tiles` entry bundles: the entries below one tile of level 0, each with its length
//! before it, as 16 bits, big-endian.

use super::tiles::{TILE_HASHES, index_path, parse_index};

/// Bytes of an entry's length.
const LEN_BYTES: usize = 2;
/// The most bytes of a bundle: 256 entries of 65,535 bytes.
pub const BUNDLE_BYTES_MAX: usize = 256 * (LEN_BYTES + 65_535);

/// Why bytes are no entry bundle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BundleError {
    /// The last entry is cut off.
    #[error("the bundle ends in the middle of an entry")]
    CutOff,
    /// An entry is longer than its length can say.
    #[error("an entry of a bundle has at most 65535 bytes")]
    EntryTooLong,
}

/// Where an entry bundle lies: number `index`, holding its first `width` entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Bundle {
    index: u64,
    width: u16,
}

impl Bundle {
    /// A bundle with its first `width` entries, 1 to 256.
    #[must_use]
    pub const fn new(index: u64, width: u16) -> Option<Self> {
        // Beyond that an entry's own index would not fit.
        if width == 0 || width > 256 || index > u64::MAX / TILE_HASHES {
            return None;
        }
        Some(Self { index, width })
    }

    /// The bundle's number: that of the level-0 tile over it.
    #[must_use]
    pub const fn index(self) -> u64 {
        self.index
    }

    /// How many entries it holds.
    #[must_use]
    pub const fn width(self) -> u16 {
        self.width
    }

    /// Index of its first entry.
    #[must_use]
    pub const fn first(self) -> u64 {
        self.index.saturating_mul(TILE_HASHES)
    }

    /// The path below the log's prefix, such as `tile/entries/x001/x234/067` or
    /// `tile/entries/000.p/12`.
    #[must_use]
    pub fn path(self) -> String {
        let mut path = format!("tile/entries/{}", index_path(self.index));
        if self.width < 256 {
            path.push_str(&format!(".p/{}", self.width));
        }
        path
    }

    /// Reads a path, in the one spelling that the format allows.
    #[must_use]
    pub fn parse_path(path: &str) -> Option<Self> {
        let (index, width) = parse_index(path.strip_prefix("tile/entries/")?)?;
        let bundle = Self::new(index, width)?;
        (bundle.path() == path).then_some(bundle)
    }
}

/// Appends an entry to a bundle's bytes.
///
/// # Errors
/// [`BundleError::EntryTooLong`]; nothing is appended then.
pub fn push_entry(bundle: &mut Vec<u8>, entry: &[u8]) -> Result<(), BundleError> {
    let len = u16::try_from(entry.len()).map_err(|_| BundleError::EntryTooLong)?;
    bundle.extend_from_slice(&len.to_be_bytes());
    bundle.extend_from_slice(entry);
    Ok(())
}

/// The entries of a bundle's bytes, in order. After an error nothing follows.
#[derive(Clone, Copy, Debug)]
pub struct BundleEntries<'a> {
    rest: &'a [u8],
}

impl<'a> BundleEntries<'a> {
    /// Reads a bundle's bytes. How many entries there must be, the caller knows.
    #[must_use]
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    fn take(&mut self) -> Option<&'a [u8]> {
        let (len, rest) = self.rest.split_first_chunk::<LEN_BYTES>()?;
        let (entry, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes(*len)))?;
        self.rest = rest;
        Some(entry)
    }
}

impl<'a> Iterator for BundleEntries<'a> {
    type Item = Result<&'a [u8], BundleError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let entry = self.take();
        if entry.is_none() {
            self.rest = &[];
        }
        Some(entry.ok_or(BundleError::CutOff))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_those_of_the_specification_and_no_others_are_read() {
        for (path, index, width) in [
            ("tile/entries/005", 5, 256),
            ("tile/entries/x001/x234/067", 1_234_067, 256),
            ("tile/entries/000.p/12", 0, 12),
        ] {
            let bundle = Bundle::parse_path(path).unwrap();
            assert_eq!((bundle.index(), bundle.width()), (index, width));
            assert_eq!(bundle.path(), path);
            assert_eq!(bundle.first(), index * 256);
        }
        for path in [
            "tile/entries/5",
            "tile/entries/x000/005",
            "tile/entries/005.p/0",
            "tile/entries/005.p/256",
            "tile/entries/005.p/+1",
            "tile/entries/",
            "tile/0/005",
            "tile/entries/x999/x999/x999/x999/x999/x999/999",
        ] {
            assert_eq!(Bundle::parse_path(path), None, "{path}");
        }
    }

    #[test]
    fn entries_come_back_and_a_cut_is_noticed() {
        let longest = vec![7; 65_535];
        let mut bytes = Vec::new();
        for entry in [&b"one"[..], b"", &longest] {
            push_entry(&mut bytes, entry).unwrap();
        }
        assert_eq!(&bytes[..7], [0, 3, b'o', b'n', b'e', 0, 0]);
        let entries: Result<Vec<_>, _> = BundleEntries::new(&bytes).collect();
        assert_eq!(entries.unwrap(), [&b"one"[..], b"", &longest]);
        let too_long = push_entry(&mut bytes, &vec![7; 65_536]);
        assert_eq!(too_long, Err(BundleError::EntryTooLong));
        for cut in [1, 2, 4, 6, 8, 9] {
            let mut entries = BundleEntries::new(&bytes[..cut]);
            let last = entries.by_ref().last();
            assert_eq!(last, Some(Err(BundleError::CutOff)), "{cut}");
            assert_eq!(entries.next(), None);
        }
    }
}
