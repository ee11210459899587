//! What tells that a file was changed, without reading it.

use std::{fs, os::unix::fs::MetadataExt as _, path::Path};

/// Length and times alone would miss a file that another one of the same length took the place of,
/// with its time kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp(Option<[i64; 6]>);

impl Stamp {
    /// Of a file; one that can't be looked at has a stamp of its own.
    pub(crate) fn of(path: &Path) -> Self {
        Self(fs::metadata(path).ok().map(|meta| {
            [
                meta.mtime(),
                meta.mtime_nsec(),
                meta.ctime(),
                meta.ctime_nsec(),
                meta.size().cast_signed(),
                meta.ino().cast_signed(),
            ]
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_the_same_length_and_time_is_another_one_all_the_same() {
        let dir = tempfile::tempdir().unwrap();
        let [path, other] = ["one", "other"].map(|name| dir.path().join(name));
        fs::write(&path, "suspended").unwrap();
        fs::write(&other, "permitted").unwrap();
        let time = fs::metadata(&path).unwrap().modified().unwrap();
        fs::File::options()
            .write(true)
            .open(&other)
            .and_then(|file| file.set_modified(time))
            .unwrap();
        let before = Stamp::of(&path);
        assert_eq!(Stamp::of(&path), before);
        fs::rename(&other, &path).unwrap();
        assert_ne!(Stamp::of(&path), before);
        fs::remove_file(&path).unwrap();
        assert_eq!(Stamp::of(&path), Stamp::of(&other));
    }
}
