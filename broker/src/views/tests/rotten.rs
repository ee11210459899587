//! Damage that opening does not look at.

use std::os::unix::fs::FileExt as _;

use super::*;

/// A store with so many observations that most of them lie in its older parts.
fn large(dir: &Path) -> Vec<NumberDigest> {
    let views = open(dir).views;
    let digests: Vec<NumberDigest> = (0_u32..20_000)
        .map(|number| {
            let mut digest = [0x5a; 16];
            for (to, from) in digest.iter_mut().zip(number.to_be_bytes()) {
                *to = from;
            }
            digest
        })
        .collect();
    for digest in &digests {
        keep(&views, digest, "2026-11-21T12:00:00Z");
    }
    views.close();
    drop(views);
    // At its next opening sled writes down where everything is, so that the one after that looks
    // at what was added since, and at nothing else.
    open(dir).views.close();
    digests
}

/// Writes something else over each byte of a store's file, in its place, while the store is open.
fn rot(dir: &Path) {
    let db = dir.join("view/db");
    let mut bytes = std::fs::read(&db).unwrap();
    for byte in &mut bytes {
        *byte = byte.wrapping_mul(31).wrapping_add(0x5a);
    }
    let file = std::fs::OpenOptions::new().write(true).open(&db).unwrap();
    file.write_all_at(&bytes, 0).unwrap();
}

/// What the next process finds.
fn copied(dir: &Path) -> tempfile::TempDir {
    let copy = tempfile::tempdir().unwrap();
    std::fs::create_dir(copy.path().join("view")).unwrap();
    std::fs::copy(dir.join("view.key"), copy.path().join("view.key")).unwrap();
    for file in std::fs::read_dir(dir.join("view")).unwrap() {
        let file = file.unwrap();
        if file.file_type().unwrap().is_file() {
            std::fs::copy(file.path(), copy.path().join("view").join(file.file_name())).unwrap();
        }
    }
    copy
}

#[test]
fn damage_that_shows_only_when_it_is_read_takes_the_store_out_of_use_until_the_next_start() {
    let dir = tempfile::tempdir().unwrap();
    let digests = large(dir.path());
    let Opened { views, rebuilt } = open(dir.path());
    assert!(rebuilt.is_none());
    // What was looked at in opening is in memory, and is a small part.
    rot(dir.path());
    let found = |digest| is_found(&views, digest);
    assert!(!digests.iter().all(found));
    assert_eq!(views.failures(), 1);
    // Not even what is sound: nobody knows what else is wrong.
    assert!(!digests.iter().any(found));
    assert_eq!(views.sweep("2026-11-22T12:00:00Z".parse().unwrap()), 0);
    keep(&views, &digests[0], "2026-11-21T13:00:00Z");
    assert!(!found(&digests[0]));
    assert_eq!(views.failures(), 1, "it is still used");
    assert!(dir.path().join("view").join(DAMAGED_FILE).exists());
    views.close();
    drop(views);
    // This process keeps what it has given up open; the next one does not.
    let next = copied(dir.path());
    let again = open(next.path());
    assert!(matches!(again.rebuilt, Some(Rebuilt::Damaged(_))));
    keep(&again.views, &digests[0], "2026-11-21T13:00:00Z");
    assert!(again.views.find(&digests[0], Signal::Roaming).is_some());
}
