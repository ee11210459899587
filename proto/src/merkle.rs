//! The Merkle tree of RFC 6962 section 2.1: hashes, the compact right edge, and both kinds of
//! proof, made and checked.
//!
//! A *node* at (level, index) is the root of the complete subtree over the leaves
//! `index << level .. (index + 1) << level`; leaf hashes are at level 0.

mod verify;

use crate::digest::sha256;

pub use verify::{root_of_path, verify_consistency, verify_inclusion};

/// A SHA-256 digest.
pub type Hash = [u8; 32];

/// Longest proof: a tree of 2^63 leaves.
pub const PROOF_HASHES_MAX: usize = 64;

/// Why a proof doesn't hold, or can't be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// No such leaf, or the older tree is the larger one.
    #[error("the index or the older size lies beyond the tree")]
    Range,
    /// Too few or too many hashes.
    #[error("the proof has the wrong number of hashes for these sizes")]
    Length,
    /// The hashes don't lead to the root.
    #[error("the proof does not lead to the root")]
    Root,
}

/// The root of a tree without leaves.
#[must_use]
pub fn empty_root() -> Hash {
    sha256(&[&[]])
}

/// `SHA-256(0x00 || entry)`.
#[must_use]
pub fn leaf_hash(entry: &[u8]) -> Hash {
    let mut prefixed = Vec::with_capacity(entry.len() + 1);
    prefixed.push(0);
    prefixed.extend_from_slice(entry);
    sha256(&[&prefixed])
}

/// The leaf hash of an entry whose 0x00 byte already stands before it, without a copy.
pub(crate) fn leaf_hash_prefixed(prefixed: &[u8]) -> Hash {
    sha256(&[prefixed])
}

/// `SHA-256(0x01 || left || right)`.
#[must_use]
pub fn node_hash(left: &Hash, right: &Hash) -> Hash {
    let mut bytes = [1; 65];
    for (to, from) in bytes.iter_mut().skip(1).zip(left.iter().chain(right)) {
        *to = *from;
    }
    sha256(&[&bytes])
}

/// The root of a complete subtree, from its hashes one or more levels below. `None` unless their
/// number is a power of two.
#[must_use]
pub fn complete_root(hashes: &[Hash]) -> Option<Hash> {
    if !hashes.len().is_power_of_two() {
        return None;
    }
    let mut frontier = Frontier::new();
    for hash in hashes {
        frontier.append(*hash);
    }
    Some(frontier.root())
}

/// The right edge of a tree: all that is needed to append to it and to know its root.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Frontier {
    size: u64,
    /// Roots of the complete subtrees that make up the tree, largest first. Invariant: one for
    /// each bit that is set in `size`.
    nodes: Vec<Hash>,
}

impl Frontier {
    /// The empty tree.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            size: 0,
            nodes: Vec::new(),
        }
    }

    /// The edge of a stored tree, cut off at `size` leaves.
    ///
    /// # Errors
    /// Whatever the reader reports.
    pub fn restore<R: NodeReader>(size: u64, reader: &R) -> Result<Self, R::Error> {
        let mut nodes = Vec::new();
        let mut start = 0;
        for level in (0..u64::BITS).rev().filter(|bit| size >> bit & 1 == 1) {
            nodes.push(reader.node(level, start >> level)?);
            start += 1 << level;
        }
        Ok(Self { size, nodes })
    }

    /// Number of leaves.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// Appends a leaf hash.
    pub fn append(&mut self, leaf: Hash) {
        self.append_with(leaf, |_, _, _| {});
    }

    /// Appends a leaf hash and shows each node that became complete, the leaf first.
    pub fn append_with(&mut self, leaf: Hash, mut complete: impl FnMut(u32, u64, &Hash)) {
        let (mut node, mut level, mut index) = (leaf, 0, self.size);
        complete(level, index, &node);
        while index & 1 == 1 {
            let Some(left) = self.nodes.pop() else { break };
            node = node_hash(&left, &node);
            level += 1;
            index >>= 1;
            complete(level, index, &node);
        }
        self.nodes.push(node);
        self.size += 1;
    }

    /// The root of the tree.
    #[must_use]
    pub fn root(&self) -> Hash {
        let mut nodes = self.nodes.iter().rev();
        let Some(last) = nodes.next() else {
            return empty_root();
        };
        nodes.fold(*last, |right, left| node_hash(left, &right))
    }
}

/// Where proofs find the nodes of a stored tree.
pub trait NodeReader {
    /// What can go wrong.
    type Error: From<ProofError>;

    /// The complete node at `level` and `index`.
    ///
    /// # Errors
    /// Where the node can't be read.
    fn node(&self, level: u32, index: u64) -> Result<Hash, Self::Error>;
}

/// The root of the leaves `start..end`, where `start` is a multiple of the largest power of two
/// that the range holds, as in each range of RFC 6962.
fn range_root<R: NodeReader>(reader: &R, start: u64, end: u64) -> Result<Hash, R::Error> {
    let count = end - start;
    if count.is_power_of_two() {
        let level = count.trailing_zeros();
        return reader.node(level, start >> level);
    }
    let split = start + split_of(count);
    let left = range_root(reader, start, split)?;
    Ok(node_hash(&left, &range_root(reader, split, end)?))
}

/// The largest power of two below `count`, which is at least 2.
const fn split_of(count: u64) -> u64 {
    1 << (u64::BITS - 1 - (count - 1).leading_zeros())
}

/// The root of the first `size` leaves of a stored tree.
///
/// # Errors
/// Whatever the reader reports.
pub fn root_at<R: NodeReader>(reader: &R, size: u64) -> Result<Hash, R::Error> {
    if size == 0 {
        return Ok(empty_root());
    }
    range_root(reader, 0, size)
}

/// The audit path of RFC 6962 section 2.1.1, the leaf's sibling first.
///
/// # Errors
/// [`ProofError::Range`] for an index beyond `size`, or what the reader reports.
pub fn prove_inclusion<R: NodeReader>(
    reader: &R,
    index: u64,
    size: u64,
) -> Result<Vec<Hash>, R::Error> {
    if index >= size {
        return Err(ProofError::Range.into());
    }
    let (mut start, mut end) = (0, size);
    let mut path = Vec::new();
    while end - start > 1 {
        let split = start + split_of(end - start);
        if index < split {
            path.push(range_root(reader, split, end)?);
            end = split;
        } else {
            path.push(range_root(reader, start, split)?);
            start = split;
        }
    }
    path.reverse();
    Ok(path)
}

/// The consistency proof of RFC 6962 section 2.1.2; empty where `old` is 0 or equals `new`.
///
/// # Errors
/// [`ProofError::Range`] where `old` is the larger one, or what the reader reports.
pub fn prove_consistency<R: NodeReader>(
    reader: &R,
    old: u64,
    new: u64,
) -> Result<Vec<Hash>, R::Error> {
    if old > new {
        return Err(ProofError::Range.into());
    }
    if old == 0 || old == new {
        return Ok(Vec::new());
    }
    let (mut start, mut end) = (0, new);
    let mut path = Vec::new();
    // Invariant: start < old <= end. At old == end the rest of the old tree is one node.
    while old != end {
        let split = start + split_of(end - start);
        if old <= split {
            path.push(range_root(reader, split, end)?);
            end = split;
        } else {
            path.push(range_root(reader, start, split)?);
            start = split;
        }
    }
    // The old tree itself needs no hash: the verifier has its root.
    if start != 0 {
        path.push(range_root(reader, start, end)?);
    }
    path.reverse();
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The leaves of certificate-transparency's reference tests.
    const LEAVES: [&[u8]; 8] = [
        b"",
        b"\x00",
        b"\x10",
        b"\x20\x21",
        b"\x30\x31",
        b"\x40\x41\x42\x43",
        b"\x50\x51\x52\x53\x54\x55\x56\x57",
        b"\x60\x61\x62\x63\x64\x65\x66\x67\x68\x69\x6a\x6b\x6c\x6d\x6e\x6f",
    ];

    fn hex(hash: &Hash) -> String {
        hash.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    #[test]
    fn roots_equal_those_of_the_reference_tests() {
        let roots = [
            "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
            "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
            "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
            "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
            "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
            "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
            "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
        ];
        let mut frontier = Frontier::new();
        assert_eq!(
            hex(&frontier.root()),
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        );
        for (leaf, root) in LEAVES.iter().zip(roots) {
            frontier.append(leaf_hash(leaf));
            assert_eq!(hex(&frontier.root()), root);
        }
    }

    #[test]
    fn complete_nodes_are_shown_once_each() {
        let mut frontier = Frontier::new();
        let mut seen = Vec::new();
        for leaf in LEAVES {
            frontier.append_with(leaf_hash(leaf), |level, index, _| seen.push((level, index)));
        }
        assert_eq!(seen.len(), 15);
        assert_eq!(&seen[4..7], [(0, 3), (1, 1), (2, 0)]);
    }

    #[test]
    fn a_complete_root_needs_a_power_of_two() {
        let hashes: Vec<Hash> = LEAVES.iter().map(|leaf| leaf_hash(leaf)).collect();
        assert!(complete_root(&hashes[..3]).is_none());
        assert!(complete_root(&[]).is_none());
        assert_eq!(
            hex(&complete_root(&hashes).unwrap()),
            "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"
        );
    }
}
