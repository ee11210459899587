//! Directories that must lie apart, whatever way their paths are written.

use std::path::{Component, Path, PathBuf, absolute};

/// Whether `inner` lies inside `outer`, or is the same: `keys`, `./keys`, `../broker/keys`, its
/// absolute path and a link that leads there are one place.
pub(super) fn lies_within(inner: &Path, outer: &Path) -> bool {
    place_of(inner).starts_with(place_of(outer))
}

/// Where a path leads, component by component as the system would go; whatever of it is not there yet
/// is taken as it is written.
fn place_of(path: &Path) -> PathBuf {
    // It fails of an empty path, and where the working directory is gone; then the text has to do.
    let path = absolute(path).unwrap_or_else(|_| path.to_owned());
    let mut place = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => {
                place.pop();
            }
            Component::Prefix(_) | Component::RootDir | Component::Normal(_) => {
                place.push(component);
                // A link is followed before a `..` behind it is.
                if let Ok(real) = place.canonicalize() {
                    place = real;
                }
            }
        }
    }
    place
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_place_is_the_same_however_it_is_written() {
        let dir = tempfile::tempdir().unwrap();
        let at = |path: &str| dir.path().join(path);
        fs::create_dir(at("ledger")).unwrap();
        for inner in [
            "ledger",
            "ledger/keys",
            "./ledger/keys",
            "other/../ledger/keys",
            "ledger/not/there/../../keys",
        ] {
            assert!(lies_within(&at(inner), &at("ledger")), "{inner}");
            assert!(lies_within(&at(inner), &at("x/../ledger/.")), "{inner}");
        }
        for outside in ["keys", "ledgers", "ledger/../keys", "."] {
            assert!(!lies_within(&at(outside), &at("ledger")), "{outside}");
        }
    }

    #[test]
    fn a_relative_path_and_an_absolute_one_are_compared() {
        let here = std::env::current_dir().unwrap();
        let [keys, ledger] = ["ledger/keys", "ledger"].map(Path::new);
        assert!(lies_within(keys, &here.join(ledger)));
        assert!(lies_within(&here.join(keys), ledger));
        assert!(!lies_within(&here.join("keys"), ledger));
    }

    #[test]
    fn a_link_leads_where_it_leads() {
        let dir = tempfile::tempdir().unwrap();
        let at = |path: &str| dir.path().join(path);
        fs::create_dir_all(at("disk/ledger")).unwrap();
        std::os::unix::fs::symlink(at("disk/ledger"), at("link")).unwrap();
        assert!(lies_within(&at("link/keys"), &at("disk/ledger")));
        assert!(lies_within(&at("disk/ledger/keys"), &at("link")));
        // The parent of what the link leads to.
        assert!(lies_within(&at("link/../keys"), &at("disk")));
        assert!(!lies_within(&at("link/../keys"), &at("link")));
    }
}
