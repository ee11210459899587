//! The public formats against vectors that another implementation made (`vectors/make.py`, from the
//! texts of C2SP and RFC 6962): each is read, believed, and written again to the byte.

#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test stops at the first vector that is not met"
)]

use accord_proto::c2sp::{
    AddCheckpoint, Checkpoint, Cosigner, CosignerKey, LogProof, Policy, SignedNote, SigningKey,
    Tile, VerifierKey, witness::parse_cosignatures,
};
use accord_proto::merkle::{
    Frontier, Hash, NodeReader, ProofError, leaf_hash, prove_consistency, prove_inclusion,
    verify_consistency,
};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};

const ORIGIN: &str = "log.example/2026-11";
const SIZE: u64 = 300;
const OLD: u64 = 70;
const INDEX: u64 = 3;
const WHEN: u64 = 1_700_000_000;

const LOG: &str = include_str!("vectors/log.vkey");
const WITNESS: &str = include_str!("vectors/witness.vkey");
const SECOND: &str = include_str!("vectors/second.vkey");
const NOTE: &str = include_str!("vectors/note");
const CHECKPOINT: &str = include_str!("vectors/checkpoint");
const CHECKPOINT_OLD: &str = include_str!("vectors/checkpoint.old");
const COSIGNED: &str = include_str!("vectors/cosigned");
const PROOF: &str = include_str!("vectors/proof");
const REQUEST: &str = include_str!("vectors/add-checkpoint");
const POLICY: &str = include_str!("vectors/policy");
const TILES: &str = include_str!("vectors/tiles");

/// The text of the secret key whose seed are 32 bytes in a row.
fn secret(vkey: &str, first: u8, kind: u8) -> String {
    let parts: Vec<&str> = vkey.splitn(3, '+').collect();
    let seed: Vec<u8> = std::iter::once(kind).chain(first..first + 32).collect();
    let seed = STANDARD.encode(seed);
    format!("PRIVATE+KEY+{}+{}+{seed}", parts[0], parts[1])
}

fn log_key() -> SigningKey {
    SigningKey::parse(&secret(LOG.trim(), 0, 1)).unwrap()
}

fn cosigner() -> Cosigner {
    Cosigner::parse(&secret(WITNESS.trim(), 32, 4)).unwrap()
}

/// All nodes of the tree of the vectors, by level.
#[derive(Default)]
struct Nodes {
    levels: Vec<Vec<Hash>>,
    frontier: Frontier,
}

impl Nodes {
    fn of(size: u64) -> Self {
        let mut nodes = Self::default();
        let levels = &mut nodes.levels;
        for number in 0..size {
            let leaf = leaf_hash(format!("entry {number}").as_bytes());
            nodes.frontier.append_with(leaf, |level, _, hash| {
                let level = level as usize;
                levels.resize_with(levels.len().max(level + 1), Vec::new);
                levels[level].push(*hash);
            });
        }
        nodes
    }

    fn checkpoint(&self) -> Checkpoint {
        Checkpoint {
            origin: ORIGIN.into(),
            size: self.frontier.size(),
            root: self.frontier.root(),
        }
    }
}

impl NodeReader for Nodes {
    type Error = ProofError;

    fn node(&self, level: u32, index: u64) -> Result<Hash, ProofError> {
        Ok(self.levels[level as usize][index as usize])
    }
}

#[test]
fn keys_have_the_ids_and_public_halves_of_the_vectors() {
    assert_eq!(log_key().verifier().to_string(), LOG.trim());
    assert_eq!(cosigner().key().to_string(), WITNESS.trim());
    assert_eq!(
        VerifierKey::parse(SECOND.trim()).unwrap().to_string(),
        SECOND.trim()
    );
}

#[test]
fn a_signed_note_of_two_keys() {
    let note = SignedNote::parse(NOTE).unwrap();
    let known = [LOG, SECOND].map(|key| VerifierKey::parse(key.trim()).unwrap());
    assert_eq!(note.verify(&known).unwrap(), [ORIGIN, "second.example"]);
    let mut again = SignedNote::unsigned(note.text()).unwrap();
    again.sign(&log_key()).unwrap();
    let second = SigningKey::parse(&secret(SECOND.trim(), 64, 1)).unwrap();
    again.sign(&second).unwrap();
    assert_eq!(again.to_string(), NOTE);
}

#[test]
fn checkpoints_of_both_sizes() {
    for (size, vector) in [(SIZE, CHECKPOINT), (OLD, CHECKPOINT_OLD)] {
        let signed = Nodes::of(size).checkpoint().sign(&log_key()).unwrap();
        assert_eq!(signed.to_string(), vector);
        let known = [VerifierKey::parse(LOG.trim()).unwrap()];
        let note = SignedNote::parse(vector).unwrap();
        assert_eq!(Checkpoint::open(&note, &known).unwrap().size, size);
    }
}

#[test]
fn a_cosignature() {
    let mut note = SignedNote::parse(CHECKPOINT).unwrap();
    let line = cosigner().cosign(note.text(), WHEN);
    note.add_signature(line).unwrap();
    assert_eq!(note.to_string(), COSIGNED);
    let key = CosignerKey::parse(WITNESS.trim()).unwrap();
    let times = note.signatures().iter();
    let times: Vec<_> = times
        .filter_map(|line| key.verify(note.text(), line))
        .collect();
    assert_eq!(times, [WHEN]);
    let (_, line) = COSIGNED.trim_end().rsplit_once('\n').unwrap();
    let read = parse_cosignatures(&format!("{line}\n")).unwrap();
    assert_eq!(read, note.signatures()[1..]);
}

#[test]
fn tiles_of_every_kind() {
    let nodes = Nodes::of(SIZE);
    let tiles = [
        (Tile::full(0, 0), &nodes.levels[0][..256]),
        (Tile::partial(0, 1, 44).unwrap(), &nodes.levels[0][256..]),
        (Tile::partial(1, 0, 1).unwrap(), &nodes.levels[8][..]),
    ];
    let line = |(tile, hashes): (Tile, &[Hash])| {
        let bytes = hashes.as_flattened();
        let digest = Sha256::digest(bytes);
        let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        format!("{} {} {hex}\n", tile.path(), bytes.len())
    };
    assert_eq!(tiles.map(line).concat(), TILES);
}

#[test]
fn a_proof_in_hand() {
    let nodes = Nodes::of(SIZE);
    let proof = LogProof {
        extra: None,
        index: INDEX,
        hashes: prove_inclusion(&nodes, INDEX, SIZE).unwrap(),
        checkpoint: SignedNote::parse(COSIGNED).unwrap(),
    };
    assert_eq!(proof.to_string(), PROOF);
    let read = LogProof::parse(PROOF).unwrap();
    let policy = Policy::parse(POLICY).unwrap();
    let leaf = leaf_hash(b"entry 3");
    let (checkpoint, cosigned) = read.verify_under(&leaf, &policy).unwrap();
    assert_eq!(checkpoint.size, SIZE);
    assert_eq!(
        (cosigned[0].witness.as_str(), cosigned[0].unix_s),
        ("w1", WHEN)
    );
    assert!(read.verify_under(&leaf_hash(b"entry 4"), &policy).is_err());
}

#[test]
fn a_request_to_a_witness() {
    let proof = prove_consistency(&Nodes::of(SIZE), OLD, SIZE).unwrap();
    let request = AddCheckpoint {
        old: OLD,
        proof,
        checkpoint: SignedNote::parse(CHECKPOINT).unwrap(),
    };
    assert_eq!(request.to_string(), REQUEST);
    let read = AddCheckpoint::parse(REQUEST).unwrap();
    assert_eq!(read, request);
    let (old, new) = (
        Nodes::of(OLD).frontier.root(),
        Nodes::of(SIZE).frontier.root(),
    );
    verify_consistency((OLD, &old), (SIZE, &new), &read.proof).unwrap();
}

#[test]
fn a_policy_that_wants_its_witness() {
    let policy = Policy::parse(POLICY).unwrap();
    assert_eq!(policy.logs()[0].key.to_string(), LOG.trim());
    assert_eq!(policy.witnesses()[0].key.to_string(), WITNESS.trim());
    assert_eq!(policy.quorum(), Some("g"));
    assert!(policy.open(&SignedNote::parse(COSIGNED).unwrap()).is_ok());
    assert!(
        policy
            .open(&SignedNote::parse(CHECKPOINT).unwrap())
            .is_err()
    );
}
