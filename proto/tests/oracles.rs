//! Our tree, proofs, notes, checkpoints and paths against crates that others wrote.

#![expect(
    clippy::indexing_slicing,
    reason = "a test stops at a tree that lacks a node"
)]

use accord_proto::c2sp::{Checkpoint, SignedNote, SigningKey, Tile};
use accord_proto::merkle::{
    self, Frontier, Hash, NodeReader, ProofError, leaf_hash, node_hash, prove_consistency,
    prove_inclusion, verify_consistency, verify_inclusion,
};
use ct_merkle::mem_backed_tree::MemoryBackedTree;
use sha2::Sha256;
use signed_note::{StandardVerifier, VerifierList};
use tlog_tiles::{HashReader, prove_record, prove_tree, record_hash, stored_hash_index};

const SIZE_MAX: u64 = 600;

/// All nodes of a tree, by level.
#[derive(Default)]
struct Nodes {
    levels: Vec<Vec<Hash>>,
    frontier: Frontier,
}

impl Nodes {
    fn append(&mut self, leaf: Hash) {
        let levels = &mut self.levels;
        self.frontier.append_with(leaf, |level, index, hash| {
            let level = level as usize;
            if levels.len() == level {
                levels.push(Vec::new());
            }
            assert_eq!(levels[level].len() as u64, index);
            levels[level].push(*hash);
        });
    }
}

impl NodeReader for Nodes {
    type Error = ProofError;

    fn node(&self, level: u32, index: u64) -> Result<Hash, ProofError> {
        Ok(self.levels[level as usize][index as usize])
    }
}

/// The same nodes for `tlog_tiles`.
impl HashReader for Nodes {
    fn read_hashes(&self, indexes: &[u64]) -> Result<Vec<tlog_tiles::Hash>, tlog_tiles::Error> {
        let hash = |index: &u64| {
            let (level, n) = tlog_tiles::split_stored_hash_index(*index);
            assert_eq!(stored_hash_index(level, n), *index);
            tlog_tiles::Hash(self.levels[level as usize][n as usize])
        };
        Ok(indexes.iter().map(hash).collect())
    }
}

fn leaf(index: u64) -> Vec<u8> {
    format!("leaf {index}").into_bytes()
}

/// Every index of a small tree; of a larger one those at the edges of its subtrees and tiles.
fn samples(size: u64) -> impl Iterator<Item = u64> {
    let edges = [0, 1, 127, 128, 255, 256, 257, 511, 512, size / 2, size / 3];
    let last = [size - 1, size.saturating_sub(2)];
    (0..size).filter(move |i| size <= 70 || edges.contains(i) || last.contains(i))
}

#[test]
fn roots_and_inclusion_proofs_equal_those_of_two_other_crates() {
    let (mut nodes, mut other) = (Nodes::default(), MemoryBackedTree::<Sha256, _>::new());
    for size in 1..=SIZE_MAX {
        let bytes = leaf(size - 1);
        assert_eq!(record_hash(&bytes).0, leaf_hash(&bytes));
        nodes.append(leaf_hash(&bytes));
        other.push(bytes);
        let root = nodes.frontier.root();
        assert_eq!(other.root().as_bytes().as_slice(), root);
        assert_eq!(tlog_tiles::tree_hash(size, &nodes).unwrap().0, root);
        assert_eq!(merkle::root_at(&nodes, size).unwrap(), root);
        for index in samples(size) {
            let proof = prove_inclusion(&nodes, index, size).unwrap();
            let theirs = prove_record(size, index, &nodes).unwrap();
            assert_eq!(theirs.iter().map(|h| h.0).collect::<Vec<_>>(), proof);
            let theirs = other.prove_inclusion(index as usize);
            assert_eq!(theirs.as_bytes(), proof.concat());
            let leaf = leaf_hash(&leaf(index));
            verify_inclusion(&leaf, index, size, &proof, &root).unwrap();
        }
    }
}

#[test]
fn consistency_proofs_equal_those_of_another_crate_for_all_sizes() {
    let mut nodes = Nodes::default();
    let mut roots = vec![merkle::empty_root()];
    for new in 1..=SIZE_MAX {
        nodes.append(leaf_hash(&leaf(new - 1)));
        roots.push(nodes.frontier.root());
        let exhaustive = new < 140;
        for old in (0..=new).filter(|old| exhaustive || old % 5 == new % 5) {
            let proof = prove_consistency(&nodes, old, new).unwrap();
            let (old_root, new_root) = (roots[old as usize], roots[new as usize]);
            verify_consistency((old, &old_root), (new, &new_root), &proof).unwrap();
            if old > 0 {
                let theirs = prove_tree(new, old, &nodes).unwrap();
                assert_eq!(theirs.iter().map(|h| h.0).collect::<Vec<_>>(), proof);
            }
        }
    }
}

#[test]
fn a_proof_with_one_wrong_thing_does_not_verify() {
    let mut nodes = Nodes::default();
    let mut roots = vec![merkle::empty_root()];
    for index in 0..70 {
        nodes.append(leaf_hash(&leaf(index)));
        roots.push(nodes.frontier.root());
    }
    let wrong = node_hash(&[0; 32], &[0; 32]);
    for (index, size) in [(0, 1), (3, 7), (6, 7), (64, 65), (12, 70), (69, 70)] {
        let leaf = leaf_hash(&leaf(index));
        let root = roots[size as usize];
        let proof = prove_inclusion(&nodes, index, size).unwrap();
        let fails = |leaf: &Hash, index, size, proof: &[Hash], root: &Hash| {
            assert!(verify_inclusion(leaf, index, size, proof, root).is_err());
        };
        fails(&wrong, index, size, &proof, &root);
        fails(&leaf, size, size, &proof, &root);
        fails(&leaf, index, size, &proof, &wrong);
        fails(&leaf, index, size, &[&proof[..], &[wrong]].concat(), &root);
        for at in 0..proof.len() {
            let mut changed = proof.clone();
            changed[at] = wrong;
            fails(&leaf, index, size, &changed, &root);
            changed.remove(at);
            fails(&leaf, index, size, &changed, &root);
        }
    }
    for (old, new) in [(1, 2), (3, 7), (4, 7), (6, 7), (64, 70), (69, 70)] {
        let (old_root, new_root) = (roots[old as usize], roots[new as usize]);
        let proof = prove_consistency(&nodes, old, new).unwrap();
        let fails = |old_root: &Hash, new_root: &Hash, proof: &[Hash]| {
            assert!(verify_consistency((old, old_root), (new, new_root), proof).is_err());
        };
        fails(&wrong, &new_root, &proof);
        fails(&old_root, &wrong, &proof);
        fails(&old_root, &new_root, &[&proof[..], &[wrong]].concat());
        for at in 0..proof.len() {
            let mut changed = proof.clone();
            changed[at] = wrong;
            fails(&old_root, &new_root, &changed);
            changed.remove(at);
            fails(&old_root, &new_root, &changed);
        }
    }
    let grown = [wrong];
    assert!(verify_consistency((5, &roots[5]), (5, &roots[5]), &grown).is_err());
    assert!(verify_consistency((5, &roots[5]), (5, &roots[6]), &[]).is_err());
    assert!(verify_consistency((6, &roots[6]), (5, &roots[5]), &[]).is_err());
}

#[test]
fn a_frontier_restored_from_nodes_goes_on_as_the_original() {
    let mut nodes = Nodes::default();
    for size in 0..300 {
        let restored = Frontier::restore(size, &nodes).unwrap();
        assert_eq!(restored, nodes.frontier);
        nodes.append(leaf_hash(&leaf(size)));
    }
}

#[test]
fn another_crate_opens_our_checkpoints_and_we_open_theirs() {
    let key = SigningKey::generate("accord-sandbox/2026-11").unwrap();
    let checkpoint = Checkpoint {
        origin: "accord-sandbox/2026-11".into(),
        size: 1_234_567,
        root: [42; 32],
    };
    let text = checkpoint.sign(&key).unwrap().to_string();

    let theirs = signed_note::Note::from_bytes(text.as_bytes()).unwrap();
    let verifier = StandardVerifier::new(&key.verifier().to_string()).unwrap();
    let (verified, unknown) = theirs
        .verify(&VerifierList::new(vec![Box::new(verifier)]))
        .unwrap();
    assert_eq!((verified.len(), unknown.len()), (1, 0));
    let parsed = tlog_tiles::Checkpoint::from_bytes(theirs.text()).unwrap();
    assert_eq!(parsed.origin(), checkpoint.origin);
    assert_eq!(parsed.size(), checkpoint.size);
    assert_eq!(parsed.hash().0, checkpoint.root);

    let back = SignedNote::parse(str::from_utf8(&theirs.to_bytes()).unwrap()).unwrap();
    let known = [key.verifier().clone()];
    assert_eq!(Checkpoint::open(&back, &known).unwrap(), checkpoint);
}

#[test]
fn tile_paths_equal_those_of_another_crate() {
    for index in [0, 1, 255, 999, 1000, 1_234_067, 999_999_999, 5_000_000_000] {
        for (level, width) in [(0, 256), (1, 255), (7, 1)] {
            let ours = Tile::partial(level, index, width).unwrap();
            // Theirs has the tile's height in its path, as Go's checksum database does.
            let theirs = tlog_tiles::Tile::new(8, level, index, u32::from(width), false);
            assert_eq!(ours.path(), theirs.path().replacen("tile/8/", "tile/", 1));
            assert_eq!(Tile::parse_path(&ours.path()), Some(ours));
        }
    }
}
