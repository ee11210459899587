//! Checking proofs. Tests are in the crate's `tests/oracles.rs`.

use super::{Hash, ProofError, empty_root, node_hash};

/// Checks an audit path, as in RFC 9162 section 2.1.3.2.
///
/// # Errors
/// [`ProofError`] says in what way the proof fails.
pub fn verify_inclusion(
    leaf: &Hash,
    index: u64,
    size: u64,
    proof: &[Hash],
    root: &Hash,
) -> Result<(), ProofError> {
    let leads_to = root_of_path(leaf, index, size, proof)?;
    (leads_to == *root).then_some(()).ok_or(ProofError::Root)
}

/// The root to which an audit path leads, whichever that is.
///
/// # Errors
/// [`ProofError::Range`], [`ProofError::Length`]: it is no path of that leaf in a tree of this size.
pub fn root_of_path(
    leaf: &Hash,
    index: u64,
    size: u64,
    proof: &[Hash],
) -> Result<Hash, ProofError> {
    if index >= size {
        return Err(ProofError::Range);
    }
    let (mut node, mut last, mut hash) = (index, size - 1, *leaf);
    for sibling in proof {
        if last == 0 {
            return Err(ProofError::Length);
        }
        if node & 1 == 1 || node == last {
            hash = node_hash(sibling, &hash);
            while node & 1 == 0 && node != 0 {
                node >>= 1;
                last >>= 1;
            }
        } else {
            hash = node_hash(&hash, sibling);
        }
        node >>= 1;
        last >>= 1;
    }
    if last != 0 {
        return Err(ProofError::Length);
    }
    Ok(hash)
}

/// Checks that the tree of `new` leaves continues the tree of `old` leaves, as in RFC 9162
/// section 2.1.4.2. Any tree continues the empty one.
///
/// # Errors
/// [`ProofError`] says in what way the proof fails.
pub fn verify_consistency(
    (old, old_root): (u64, &Hash),
    (new, new_root): (u64, &Hash),
    proof: &[Hash],
) -> Result<(), ProofError> {
    if old > new {
        return Err(ProofError::Range);
    }
    if old == 0 || old == new {
        let same = if old == 0 {
            *old_root == empty_root()
        } else {
            old_root == new_root
        };
        return match (proof.is_empty(), same) {
            (false, _) => Err(ProofError::Length),
            (true, false) => Err(ProofError::Root),
            (true, true) => Ok(()),
        };
    }
    let own_root = [*old_root];
    let mut path = if old.is_power_of_two() {
        own_root.iter().chain(proof)
    } else {
        [].iter().chain(proof)
    };
    let mut node = old - 1;
    let mut last = new - 1;
    let skip = node.trailing_ones();
    node >>= skip;
    last >>= skip;
    let first = path.next().ok_or(ProofError::Length)?;
    let (mut old_hash, mut new_hash) = (*first, *first);
    for sibling in path {
        if last == 0 {
            return Err(ProofError::Length);
        }
        if node & 1 == 1 || node == last {
            old_hash = node_hash(sibling, &old_hash);
            new_hash = node_hash(sibling, &new_hash);
            while node & 1 == 0 && node != 0 {
                node >>= 1;
                last >>= 1;
            }
        } else {
            new_hash = node_hash(&new_hash, sibling);
        }
        node >>= 1;
        last >>= 1;
    }
    if last != 0 {
        return Err(ProofError::Length);
    }
    let holds = old_hash == *old_root && new_hash == *new_root;
    holds.then_some(()).ok_or(ProofError::Root)
}
