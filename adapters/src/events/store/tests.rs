//! The journal, filled, cut, damaged and opened again.

use super::*;
use crate::events::config::Carried;
use crate::events::envelope::Happened;
use crate::events::line::Micros;
use crate::events::watch::Pace;

struct Dir(tempfile::TempDir);

impl Dir {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn open(&self) -> Result<Store, StoreError> {
        let declared = [("crm".to_owned(), vec![Carried::Swaps])];
        Store::open(
            &self.0.path().join("j"),
            &self.0.path().join("key"),
            10,
            Producers::new(&declared.into()),
        )
    }

    fn file(&self) -> PathBuf {
        self.0.path().join("j").join(FILE)
    }
}

fn number(last: u16) -> Msisdn {
    Msisdn::parse(&format!("+447700900{last:03}")).unwrap()
}

fn line(store: &Store, last: u16) -> Line {
    store.known(&store.keyed(number(last)), |_| ()).0
}

fn since(store: &Store) -> Micros {
    store.producers(|all| all.watch(Carried::Swaps).since)
}

fn swap(store: &Store, last: u16, at: Micros) -> bool {
    store
        .change(&store.keyed(number(last)), |line| {
            line.take(Happened::SimSwap(None), at)
        })
        .unwrap()
}

#[test]
fn what_was_flushed_is_there_again_and_no_number_is_in_the_file() {
    let dir = Dir::new();
    let store = dir.open().unwrap();
    assert!(swap(&store, 1, 5) && swap(&store, 2, 6));
    assert!(
        swap(&store, 1, 5),
        "it was not pushed yet: the program may have ended before"
    );
    store.pushed([store.keyed(number(1))].iter());
    assert!(
        !swap(&store, 1, 5),
        "an event that comes twice changes nothing"
    );
    let place = Place {
        stream_made: 7,
        sequence: 77,
    };
    store.set_place(place);
    store.flush().unwrap();
    assert!(swap(&store, 1, 9));
    store.flush().unwrap();
    assert!(matches!(dir.open(), Err(StoreError::Locked(_))));
    drop(store);
    let store = dir.open().unwrap();
    assert_eq!(line(&store, 1).sim.at, 9);
    assert_eq!(line(&store, 2).sim.at, 6);
    assert_eq!(line(&store, 3), Line::default());
    assert_eq!(store.place(), place);
    let bytes = std::fs::read(dir.file()).unwrap();
    for spelling in ["7700900001", "447700900001"] {
        assert!(
            !bytes
                .windows(spelling.len())
                .any(|part| part == spelling.as_bytes())
        );
    }
}

#[test]
fn an_unfinished_write_is_dropped_and_damage_restarts_the_watch() {
    let dir = Dir::new();
    let store = dir.open().unwrap();
    let pace = Pace {
        lateness: 0,
        gap_max: 10,
    };
    store.set_producers(|all| all.heard("crm", 500, pace));
    store.flush().unwrap();
    for at in 1..4 {
        swap(&store, 1, at);
        store.flush().unwrap();
    }
    drop(store);
    let whole = std::fs::read(dir.file()).unwrap();
    std::fs::write(dir.file(), &whole[..whole.len() - 3]).unwrap();
    let store = dir.open().unwrap();
    assert_eq!(line(&store, 1).sim.at, 2);
    assert_eq!(since(&store), 500);
    drop(store);
    let mut damaged = whole;
    damaged[HEADER_LEN + RECORD_LEN + 30] ^= 1;
    std::fs::write(dir.file(), &damaged).unwrap();
    let store = dir.open().unwrap();
    assert_eq!(since(&store), 0, "nobody knows what is missing");
    // And it is written down that it restarted, before anything else.
    store.flush().unwrap();
    drop(store);
    assert_eq!(since(&dir.open().unwrap()), 0);
}

#[test]
fn a_journal_of_another_key_or_of_another_program_is_refused() {
    let dir = Dir::new();
    drop(dir.open().unwrap());
    let key = dir.0.path().join("key");
    std::fs::remove_file(&key).unwrap();
    assert!(matches!(dir.open(), Err(StoreError::WrongKey(_))));
    std::fs::write(dir.file(), b"something else, and long enough for a header").unwrap();
    assert!(matches!(dir.open(), Err(StoreError::Foreign(_))));
}

#[test]
fn it_grows_neither_beyond_its_limit_nor_without_need() {
    let dir = Dir::new();
    let store = dir.open().unwrap();
    for last in 0..10 {
        assert!(swap(&store, last, 1));
    }
    let full = store.change(&store.keyed(number(10)), |line| {
        line.take(Happened::Cease, 1)
    });
    assert!(matches!(full, Err(StoreError::Full)));
    for at in 2..6_000 {
        swap(&store, 1, at);
        if at % 100 == 0 {
            store.flush().unwrap();
        }
    }
    store.flush().unwrap();
    let size = std::fs::metadata(dir.file()).unwrap().len();
    assert!(size < 600_000, "{size}");
    drop(store);
    assert_eq!(line(&dir.open().unwrap(), 1).sim.at, 5_999);
}
