use std::collections::HashMap;
use std::sync::Arc;

use accord_proto::c2sp::witness::{REQUEST_BYTES_MAX, origin_sha256};
use accord_proto::c2sp::{CosignerKey, SigningKey};
use accord_proto::clock::ManualClock;
use accord_proto::merkle::{Frontier, Hash, NodeReader, leaf_hash, prove_consistency};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::serve::OnAnswer;
use super::*;

/// A log in memory.
#[derive(Default)]
struct Log {
    frontier: Frontier,
    nodes: HashMap<(u32, u64), Hash>,
}

impl NodeReader for Log {
    type Error = ProofError;

    fn node(&self, level: u32, index: u64) -> Result<Hash, ProofError> {
        Ok(self.nodes[&(level, index)])
    }
}

impl Log {
    fn of(entries: &[&str]) -> Self {
        let mut log = Self::default();
        let Self { frontier, nodes } = &mut log;
        for entry in entries {
            frontier.append_with(leaf_hash(entry.as_bytes()), |level, index, hash| {
                nodes.insert((level, index), *hash);
            });
        }
        log
    }

    fn note(&self, key: &SigningKey) -> SignedNote {
        let checkpoint = Checkpoint {
            origin: key.verifier().name().to_owned(),
            size: self.frontier.size(),
            root: self.frontier.root(),
        };
        checkpoint.sign(key).unwrap()
    }

    fn request(&self, key: &SigningKey, old: u64) -> String {
        let size = self.frontier.size();
        let proof = match old {
            0 => Vec::new(),
            old => prove_consistency(self, old, size).unwrap(),
        };
        let checkpoint = self.note(key);
        let request = AddCheckpoint {
            old,
            proof,
            checkpoint,
        };
        request.to_string()
    }
}

struct Case {
    dir: tempfile::TempDir,
    key: SigningKey,
    cosigner: CosignerKey,
}

impl Case {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let cosigner = Witness::init(dir.path(), "regulator.example/w").unwrap();
        Self {
            key: SigningKey::generate("accord/2026-11").unwrap(),
            cosigner: cosigner.key().clone(),
            dir,
        }
    }

    fn open(&self) -> Witness {
        let clock = ManualClock::at("2026-11-26T12:00:00Z".parse().unwrap());
        let base = self.key.renamed("accord").unwrap();
        Witness::open(self.dir.path(), vec![base.verifier().clone()], clock).unwrap()
    }
}

fn kind(result: Result<Seen, NotCosigned>) -> &'static str {
    match result {
        Ok(_) => "cosigned",
        Err(NotCosigned::Malformed(_)) => "malformed",
        Err(NotCosigned::Contradiction(_)) => "contradiction",
        Err(NotCosigned::UnknownLog { .. }) => "unknown log",
        Err(NotCosigned::Signature(_)) => "signature",
        Err(NotCosigned::Conflict { .. }) => "conflict",
        Err(NotCosigned::Inconsistent { .. }) => "inconsistent",
        Err(NotCosigned::Store(_)) => "store",
    }
}

#[test]
fn a_log_that_grows_is_cosigned_and_what_was_seen_survives_a_restart() {
    let case = Case::new();
    let (short, long) = (
        Log::of(&["a", "b", "c"]),
        Log::of(&["a", "b", "c", "d", "e"]),
    );
    let witness = case.open();
    let seen = witness
        .add_checkpoint(&short.request(&case.key, 0))
        .unwrap();
    assert_eq!((seen.origin.as_str(), seen.size), ("accord/2026-11", 3));
    drop(witness);
    let witness = case.open();
    let seen = witness.add_checkpoint(&long.request(&case.key, 3)).unwrap();
    let note = long.note(&case.key);
    let time = case.cosigner.verify(note.text(), &seen.cosignature);
    assert_eq!(time, Some(1_795_694_400));
    // The same once more: a log whose answer got lost.
    assert_eq!(
        kind(witness.add_checkpoint(&long.request(&case.key, 5))),
        "cosigned"
    );
}

#[test]
fn a_log_that_lost_or_changed_entries_is_not_cosigned() {
    let case = Case::new();
    let witness = case.open();
    let log = Log::of(&["a", "b", "c", "d"]);
    witness.add_checkpoint(&log.request(&case.key, 0)).unwrap();
    let shorter = Log::of(&["a", "b", "c"]);
    let changed = Log::of(&["a", "X", "c", "d"]);
    let changed_and_longer = Log::of(&["a", "X", "c", "d", "e"]);
    for (request, expected) in [
        (shorter.request(&case.key, 0), "conflict"),
        (shorter.request(&case.key, 3), "conflict"),
        (changed.request(&case.key, 4), "conflict"),
        (changed_and_longer.request(&case.key, 4), "inconsistent"),
        (changed_and_longer.request(&case.key, 0), "conflict"),
        (changed_and_longer.request(&case.key, 3), "conflict"),
    ] {
        assert_eq!(
            kind(witness.add_checkpoint(&request)),
            expected,
            "{request}"
        );
    }
    let honest = Log::of(&["a", "b", "c", "d", "e"]);
    assert_eq!(
        kind(witness.add_checkpoint(&honest.request(&case.key, 4))),
        "cosigned"
    );
}

#[test]
fn strangers_and_broken_requests_are_told_apart() {
    let case = Case::new();
    let witness = case.open();
    let log = Log::of(&["a", "b"]);
    let stranger = SigningKey::generate("other/2026-11").unwrap();
    let namesake = SigningKey::generate("accord/2026-11").unwrap();
    let good = log.request(&case.key, 0);
    for (request, expected) in [
        (log.request(&stranger, 0), "unknown log"),
        (log.request(&namesake, 0), "signature"),
        (good.replace("\n2\n", "\n3\n"), "signature"),
        (good.replace("old 0", "old 3"), "contradiction"),
        (good.replace("old 0", "old"), "malformed"),
    ] {
        assert_eq!(
            kind(witness.add_checkpoint(&request)),
            expected,
            "{request}"
        );
    }
}

#[test]
fn only_what_was_verified_is_shown_of_what_was_sent() {
    let case = Case::new();
    let witness = case.open();
    let log = Log::of(&["a", "b"]);
    let stranger = SigningKey::generate("stranger").unwrap();
    let request = log.request(&case.key, 0);
    let junk = stranger.sign(b"anything\n");
    let request = format!("{request}{junk}\n");
    let seen = witness.add_checkpoint(&request).unwrap();
    let shown = witness
        .seen(&origin_sha256("accord/2026-11"))
        .unwrap()
        .unwrap();
    let shown = SignedNote::parse(&shown).unwrap();
    let names: Vec<_> = shown.signatures().iter().map(|line| line.name()).collect();
    assert_eq!(names, ["accord/2026-11", "regulator.example/w"]);
    assert!(shown.signatures().contains(&seen.cosignature));
}

#[test]
fn a_damaged_memory_is_not_taken_for_an_empty_one() {
    let case = Case::new();
    let witness = case.open();
    let log = Log::of(&["a"]);
    witness.add_checkpoint(&log.request(&case.key, 0)).unwrap();
    let file = std::fs::read_dir(case.dir.path())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| path.extension().is_some_and(|ext| ext == "checkpoint"))
        .unwrap();
    for damage in ["", "accord/2026-11\n0\n"] {
        std::fs::write(&file, damage).unwrap();
        assert_eq!(
            kind(witness.add_checkpoint(&log.request(&case.key, 0))),
            "store"
        );
    }
}

#[test]
fn no_flipped_bit_of_what_was_seen_lets_a_log_be_cut() {
    let case = Case::new();
    let witness = case.open();
    let log = Log::of(&["a", "b", "c", "d"]);
    witness.add_checkpoint(&log.request(&case.key, 0)).unwrap();
    let path = case
        .dir
        .path()
        .join(format!("{}.checkpoint", origin_sha256("accord/2026-11")));
    let whole = std::fs::read(&path).unwrap();
    let text = log.note(&case.key).text().len();
    for bit in 0..text * 8 {
        let mut flipped = whole.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        std::fs::write(&path, flipped).unwrap();
        for old in 0..=4 {
            let longer = Log::of(&["a", "b", "c", "d", "e"]);
            let answer = witness.add_checkpoint(&longer.request(&case.key, old));
            assert_eq!(kind(answer), "store", "bit {bit}, old {old}");
        }
        let seen = witness.seen(&origin_sha256("accord/2026-11"));
        assert!(matches!(seen, Err(StoreError::Damaged(_))), "bit {bit}");
    }
    std::fs::write(&path, whole).unwrap();
    assert_eq!(
        kind(witness.add_checkpoint(&log.request(&case.key, 4))),
        "cosigned"
    );
}

#[test]
fn a_log_that_shows_nothing_any_more_is_named_with_the_time_since_when() {
    let case = Case::new();
    let start = "2026-11-26T12:00:00Z".parse().unwrap();
    let clock = ManualClock::at(start);
    let base = case.key.renamed("accord").unwrap();
    let other = SigningKey::generate("other").unwrap();
    let logs = vec![base.verifier().clone(), other.verifier().clone()];
    let witness = Witness::open(case.dir.path(), logs, clock.clone()).unwrap();
    let bound = SignedDuration::from_mins(10);
    let log = Log::of(&["a", "b"]);
    assert_eq!(witness.silent_for(bound), []);
    clock.step(SignedDuration::from_mins(8));
    witness.add_checkpoint(&log.request(&case.key, 0)).unwrap();
    clock.step(SignedDuration::from_mins(8));
    assert_eq!(witness.silent_for(bound), [("other", start)]);
    // The same checkpoint once more is what an idle broker shows.
    witness.add_checkpoint(&log.request(&case.key, 2)).unwrap();
    clock.step(SignedDuration::from_mins(9));
    assert_eq!(witness.silent_for(bound), [("other", start)]);
    // One that is not cosigned does not count.
    witness
        .add_checkpoint(&log.request(&case.key, 0))
        .unwrap_err();
    clock.step(SignedDuration::from_mins(2));
    let names: Vec<_> = witness.silent_for(bound).iter().map(|one| one.0).collect();
    assert_eq!(names, ["accord", "other"]);
}

#[test]
fn a_directory_has_one_key_and_one_process() {
    let case = Case::new();
    let again = Witness::init(case.dir.path(), "w").unwrap_err();
    assert!(again.to_string().contains("already"), "{again}");
    let _running = case.open();
    let clock = ManualClock::at("2026-11-26T12:00:00Z".parse().unwrap());
    let second = Witness::open(case.dir.path(), Vec::new(), clock.clone()).unwrap_err();
    assert!(
        second.to_string().contains("another witness runs"),
        "{second}"
    );
    let empty = tempfile::tempdir().unwrap();
    let none = Witness::open(empty.path(), Vec::new(), clock).unwrap_err();
    assert!(none.to_string().contains("--init"), "{none}");
}

async fn http(address: std::net::SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn over_http_each_outcome_has_the_status_of_the_specification() {
    let case = Case::new();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let said = Arc::new(Mutex::new(Vec::new()));
    let told = Arc::clone(&said);
    let on_answer: OnAnswer =
        Arc::new(move |line: &str| told.lock().unwrap().push(line.to_owned()));
    let serving = tokio::spawn(serve(listener, Arc::new(case.open()), on_answer));
    let post = |body: String| {
        format!(
            "POST /add-checkpoint HTTP/1.1\r\nhost: w\r\nconnection: close\r\n\
             content-length: {}\r\n\r\n{body}",
            body.len()
        )
    };
    let get = |path: &str| format!("GET {path} HTTP/1.1\r\nhost: w\r\nconnection: close\r\n\r\n");
    let log = Log::of(&["a", "b"]);
    let forked = Log::of(&["a", "X", "c"]);
    let sha256 = origin_sha256("accord/2026-11");
    let seen = format!("/{sha256}/checkpoint");
    for (request, status, body) in [
        (get(&seen), "404", "has seen no checkpoint"),
        (
            post(log.request(&case.key, 0)),
            "200",
            "— regulator.example/w ",
        ),
        (get(&seen), "200", "accord/2026-11\n2\n"),
        (post(log.request(&case.key, 0)), "409", "\r\n\r\n2\n"),
        (
            post(forked.request(&case.key, 2)),
            "422",
            "does not continue",
        ),
        (post("old".to_owned()), "400", "can't be read"),
        (post("x".repeat(REQUEST_BYTES_MAX + 1)), "400", "too long"),
        (get("/"), "404", "/add-checkpoint"),
        (get("/../witness.key/checkpoint"), "404", "/add-checkpoint"),
        (
            "PUT / HTTP/1.1\r\nhost: w\r\nconnection: close\r\n\r\n".into(),
            "405",
            "POST",
        ),
    ] {
        let answer = http(address, &request).await;
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status} ")),
            "{answer}"
        );
        assert!(answer.contains(body), "{answer}");
    }
    let conflict = http(address, &post(log.request(&case.key, 0))).await;
    assert!(
        conflict.contains("content-type: text/x.tlog.size"),
        "{conflict}"
    );
    assert_eq!(
        said.lock().unwrap()[0],
        "accord/2026-11: cosigned 2 entries"
    );
    serving.abort();
}

#[tokio::test]
async fn one_caller_that_holds_connections_keeps_no_other_out() {
    let case = Case::new();
    let listener = TcpListener::bind("0.0.0.0:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let serving = tokio::spawn(serve(
        listener,
        Arc::new(case.open()),
        Arc::new(|_: &str| ()),
    ));
    let mut held = Vec::new();
    for _ in 0..80 {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.2:0".parse().unwrap()).unwrap();
        let to = format!("127.0.0.2:{port}").parse().unwrap();
        held.push(socket.connect(to).await.unwrap());
    }
    let address = format!("127.0.0.1:{port}").parse().unwrap();
    let get = "GET / HTTP/1.1\r\nhost: w\r\nconnection: close\r\n\r\n";
    let answered = http(address, get).await;
    assert!(answered.starts_with("HTTP/1.1 404"), "{answered}");
    drop(held);
    serving.abort();
}
