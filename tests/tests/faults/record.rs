//! Holds what clients were told against what the ledger holds, with no broker running.

use accord_broker::ledger::{Ledger, LedgerConfig};
use accord_client::{Answered, Verified, verify_dir};
use accord_proto::{
    c2sp::SigningKey,
    merkle::{Frontier, Hash, leaf_hash},
    segment::time_of,
    v1::{self, entry::Event},
};
use accord_tests::world::WorldFiles;
use aws_lc_rs::digest::{Context, SHA256};
use prost::Message as _;

/// Entries read at a time.
const CHUNK: u64 = 4_096;

/// An answer that reached a client, and who asked.
pub(crate) struct Told {
    pub(crate) bank: String,
    pub(crate) answered: Answered,
}

/// The size and root of a verified ledger.
pub(crate) type Head = (u64, Hash);

/// Every entry of the current log, oldest first.
pub(crate) struct Record {
    pub(crate) entries: Vec<Vec<u8>>,
}

/// Hashes the whole ledger again as an auditor would, offline.
pub(crate) fn verify(files: &WorldFiles) -> Verified {
    let key = files.log_vkey().unwrap();
    verify_dir(&files.ledger_dir(), &[key]).unwrap()
}

/// Where the log stands, after it was verified.
pub(crate) fn head(files: &WorldFiles) -> Head {
    let verified = verify(files);
    let log = verified.logs.last().unwrap();
    (log.entries, log.root)
}

impl Record {
    /// Reads the ledger of a world whose broker has ended.
    pub(crate) fn read(files: &WorldFiles) -> Self {
        let text = std::fs::read_to_string(files.dir().join("ledger.key")).unwrap();
        let config = LedgerConfig {
            free_bytes_min: 0,
            segment_bytes: u64::from(files.spec().segment_mib) << 20,
            ..LedgerConfig::new(files.ledger_dir(), SigningKey::parse(text.trim()).unwrap())
        };
        let (ledger, _) = Ledger::open(config, files.spec().clock.clone()).unwrap();
        let mut entries = Vec::new();
        loop {
            let from = u64::try_from(entries.len()).unwrap();
            let more = ledger.entries(None, from, CHUNK).unwrap();
            if more.is_empty() {
                return Self { entries };
            }
            entries.extend(more);
        }
    }

    /// The event of each entry.
    pub(crate) fn events(&self) -> impl Iterator<Item = Event> {
        let decode = |bytes: &Vec<u8>| v1::Entry::decode(bytes.as_slice()).unwrap();
        self.entries
            .iter()
            .map(move |bytes| decode(bytes).event.unwrap())
    }

    /// Number of recorded questions.
    pub(crate) fn accesses(&self) -> usize {
        let is_access = |event: &Event| matches!(event, Event::Access(_));
        self.events().filter(is_access).count()
    }

    /// Number of recorded acts of the broker of one kind.
    pub(crate) fn operations(&self, kind: v1::operation::Kind) -> usize {
        let is_it = |event: &Event| matches!(event, Event::Operation(act) if act.kind() == kind);
        self.events().filter(is_it).count()
    }

    /// Every answer that a client received has its entry: at the index of its receipt, with the
    /// receipt's leaf hash, under the asker's name, and bound to the exact bytes of the answer.
    pub(crate) fn assert_holds(&self, told: &[Told]) {
        for Told { bank, answered } in told {
            let receipt = &answered.receipt;
            let index = usize::try_from(receipt.index).unwrap();
            let size = self.entries.len();
            let bytes = self.entries.get(index);
            let bytes = bytes.unwrap_or_else(|| panic!("no entry {index} in a log of {size}"));
            assert_eq!(leaf_hash(bytes), receipt.leaf_hash, "entry {index}");
            let entry = v1::Entry::decode(bytes.as_slice()).unwrap();
            let Some(Event::Access(access)) = entry.event else {
                panic!("entry {index} is no access");
            };
            assert_eq!(&access.bank, bank, "entry {index}");
            let mut digest = Context::new(&SHA256);
            digest.update(&answered.nonce);
            digest.update(&answered.answer_bytes);
            assert_eq!(
                access.answer_digest,
                digest.finish().as_ref(),
                "entry {index}"
            );
        }
    }

    /// No two answers share an entry.
    pub(crate) fn assert_each_its_own(told: &[Told]) {
        let mut indexes: Vec<_> = told
            .iter()
            .map(|told| told.answered.receipt.index)
            .collect();
        indexes.sort_unstable();
        let count = indexes.len();
        indexes.dedup();
        assert_eq!(indexes.len(), count, "two answers share an entry");
    }

    /// The times never go back.
    pub(crate) fn assert_in_order(&self) {
        let times: Vec<u64> = self
            .entries
            .iter()
            .map(|entry| time_of(entry).unwrap())
            .collect();
        assert!(times.is_sorted(), "a time goes back");
    }

    /// What was seen before is still there, unchanged: the log only grew.
    pub(crate) fn assert_continues(&self, heads: &[Head]) {
        let mut heads = heads.iter();
        let mut next = heads.next();
        let mut tree = Frontier::default();
        for (size, entry) in (1_u64..).zip(&self.entries) {
            tree.append(leaf_hash(entry));
            while let Some((seen, root)) = next
                && *seen == size
            {
                assert_eq!(
                    &tree.root(),
                    root,
                    "the log was rewritten before entry {size}"
                );
                next = heads.next();
            }
        }
        assert!(next.is_none(), "the log is shorter than it was, {next:?}");
    }
}
