//! That an exported entry is in its log: the hashes of its audit path (RFC 9162 section 2.1.3), from
//! its leaf to the root of the checkpoint that the export holds.
//!
//! ```text
//! {"size": 164, "hashes": ["base64, the leaf's sibling first", …]}
//! ```
//!
//! `size` is that of the checkpoint: with it a line can be read before the checkpoint, which stands
//! at the end of some formats.

use std::collections::BTreeMap;

use accord_proto::merkle::{Hash, PROOF_HASHES_MAX, root_of_path};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value as Json, json};

use super::parse_checkpoint;
use crate::LedgerEntry;

/// A path as it stands in a line.
pub(super) fn to_json(size: u64, hashes: &[Hash]) -> Json {
    let hashes: Vec<_> = hashes.iter().map(|hash| STANDARD.encode(hash)).collect();
    json!({"size": size, "hashes": hashes})
}

/// The path of a line; `None`: it is none, or is written in another way than [`to_json`]'s.
fn of_json(value: &Json) -> Option<(u64, Vec<Hash>)> {
    let size = value.get("size")?.as_u64()?;
    let texts = value.get("hashes")?.as_array()?;
    if texts.len() > PROOF_HASHES_MAX {
        return None;
    }
    let hash = |text: &Json| Hash::try_from(STANDARD.decode(text.as_str()?).ok()?).ok();
    let hashes: Vec<Hash> = texts.iter().map(hash).collect::<Option<_>>()?;
    (to_json(size, &hashes) == *value).then_some((size, hashes))
}

/// Where the paths of an export lead.
#[derive(Debug, Default)]
pub(super) struct Roots {
    /// Size and root by log: all paths of a log must lead to one.
    by_origin: BTreeMap<String, (u64, Hash)>,
    /// How many paths there were.
    pub(super) count: u64,
}

impl Roots {
    /// Follows the path of an entry; false: it is none, or leads elsewhere than those before it.
    pub(super) fn follow(&mut self, entry: &LedgerEntry, path: &Json) -> bool {
        let Some((size, hashes)) = of_json(path) else {
            return false;
        };
        let Ok(root) = root_of_path(&entry.leaf_hash(), entry.index, size, &hashes) else {
            return false;
        };
        self.count += 1;
        let origin = entry.origin.clone();
        *self.by_origin.entry(origin).or_insert((size, root)) == (size, root)
    }

    /// A log whose paths do not lead to its checkpoint among these.
    pub(super) fn astray(&self, checkpoints: &[(String, String)]) -> Option<&str> {
        let reached = |origin: &str, led: (u64, Hash)| {
            let notes = checkpoints.iter().filter(|(log, _)| log == origin);
            let mut known = notes.filter_map(|(_, note)| parse_checkpoint(note));
            known.any(|checkpoint| (checkpoint.size, checkpoint.root) == led)
        };
        let mut logs = self.by_origin.iter();
        let (origin, _) = logs.find(|(origin, led)| !reached(origin, **led))?;
        Some(origin)
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::HashMap, path::Path};

    use accord_proto::c2sp::{Checkpoint, SigningKey};
    use accord_proto::merkle::{Frontier, NodeReader, ProofError, prove_inclusion};
    use accord_proto::v1::{self, entry::Event};
    use prost::Message as _;

    use super::*;
    use crate::export::{ExportError, Exporter, Format, ReadError, read};
    use crate::footer::{Footer, NO_ONWARD_DISCLOSURE};

    const ORIGIN: &str = "accord-sandbox/2026-11";
    const SIZE: u64 = 37;

    #[derive(Default)]
    struct Tree {
        frontier: Frontier,
        nodes: HashMap<(u32, u64), Hash>,
    }

    impl NodeReader for Tree {
        type Error = ProofError;

        fn node(&self, level: u32, index: u64) -> Result<Hash, ProofError> {
            Ok(self.nodes[&(level, index)])
        }
    }

    impl Tree {
        fn new() -> Self {
            let mut tree = Self::default();
            for index in 0..SIZE {
                let Self { frontier, nodes } = &mut tree;
                frontier.append_with(entry(index).leaf_hash(), |level, index, hash| {
                    nodes.insert((level, index), *hash);
                });
            }
            tree
        }

        fn path(&self, index: u64) -> Vec<Hash> {
            prove_inclusion(self, index, SIZE).unwrap()
        }

        fn note(&self) -> String {
            let checkpoint = Checkpoint {
                origin: ORIGIN.to_owned(),
                size: SIZE,
                root: self.frontier.root(),
            };
            let key = SigningKey::generate(ORIGIN).unwrap();
            checkpoint.sign(&key).unwrap().to_string()
        }
    }

    fn entry(index: u64) -> LedgerEntry {
        let entry = v1::Entry {
            salt: vec![7; 32],
            event: Some(Event::Access(v1::Access {
                bank: format!("bank-{index}"),
                ..v1::Access::default()
            })),
            time_unix_ms: 1_795_000_000_000 + index,
        };
        LedgerEntry::parse(ORIGIN.to_owned(), index, entry.encode_to_vec()).unwrap()
    }

    fn exporter(format: Format) -> Exporter<Vec<u8>> {
        let footer = Footer {
            owner: "spiffe://accord.test/authority/central-bank".to_owned(),
            recipients: vec!["Joint Committee".to_owned()],
            description: "all".to_owned(),
            purpose: "case".to_owned(),
            sensitivity: "internal".to_owned(),
            case: String::new(),
            needed_by: "2026-12-31".to_owned(),
            made: "2026-11-26T12:00:00Z".to_owned(),
            terms: NO_ONWARD_DISCLOSURE.to_owned(),
        };
        Exporter::begin(Vec::new(), format, footer).unwrap()
    }

    /// An export of some entries with their proofs.
    fn exported(tree: &Tree, format: Format, indices: &[u64]) -> String {
        let mut exporter = exporter(format);
        exporter.log(&tree.note()).unwrap();
        for index in indices {
            let path = tree.path(*index);
            exporter.proved_entry(&entry(*index), &path).unwrap();
        }
        String::from_utf8(exporter.finish().unwrap().0).unwrap()
    }

    fn proved(path: &Path, format: Format, text: &str) -> Result<u64, ReadError> {
        std::fs::write(path, text).unwrap();
        read(path, format, |_| ()).map(|checked| checked.proved)
    }

    #[test]
    fn each_line_holds_by_itself_and_one_changed_hash_is_found() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("export");
        let tree = Tree::new();
        for (format, at) in [
            (Format::Jsonl, "/proof"),
            (Format::Ocsf, "/unmapped/inclusion_proof"),
        ] {
            let text = exported(&tree, format, &[0, 5, 31, 32, 36]);
            assert_eq!(proved(&file, format, &text).unwrap(), 5, "{format:?}");
            for line in 0..5 {
                let changed = |change: &dyn Fn(&mut Json)| {
                    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
                    let mut value: Json = serde_json::from_str(&lines[line]).unwrap();
                    change(value.pointer_mut(at).unwrap());
                    lines[line] = value.to_string();
                    proved(&file, format, &(lines.join("\n") + "\n")).unwrap_err()
                };
                let another = STANDARD.encode([9; 32]);
                for error in [
                    changed(&|proof| proof["hashes"][0] = another.as_str().into()),
                    changed(&|proof| proof["size"] = (SIZE + 1).into()),
                    changed(&|proof| {
                        proof["hashes"].as_array_mut().unwrap().pop();
                    }),
                    changed(&|proof| proof["more"] = true.into()),
                    changed(&|proof| *proof = "none".into()),
                ] {
                    // The first line leads where it likes; the second shows that it does not agree.
                    let found = matches!(
                        error,
                        ReadError::Proof { line: at } if at == line as u64 + 1 || (line, at) == (0, 2)
                    );
                    assert!(found, "{format:?} line {line}: {error:?}");
                }
            }
        }
    }

    #[test]
    fn proofs_that_agree_with_each_other_and_not_with_the_checkpoint_are_found() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("export");
        let tree = Tree::new();
        let text = exported(&tree, Format::Jsonl, &[0, 5]);
        let mut other = Tree::new();
        other.frontier.append(entry(99).leaf_hash());
        let (mine, theirs) = (tree.note(), other.note());
        let root = |note: &str| note.lines().nth(2).unwrap().to_owned();
        let text = text.replace(&root(&mine), &root(&theirs));
        let error = proved(&file, Format::Jsonl, &text).unwrap_err();
        assert!(matches!(error, ReadError::OtherRoot { .. }), "{error}");
        assert!(error.to_string().contains(ORIGIN), "{error}");
    }

    #[test]
    fn lines_with_and_without_a_proof_are_counted_apart() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("export");
        let tree = Tree::new();
        let mut exporter = exporter(Format::Jsonl);
        exporter.log(&tree.note()).unwrap();
        exporter.entry(&entry(3)).unwrap();
        exporter.proved_entry(&entry(4), &tree.path(4)).unwrap();
        let text = String::from_utf8(exporter.finish().unwrap().0).unwrap();
        assert_eq!(proved(&file, Format::Jsonl, &text).unwrap(), 1);
    }

    #[test]
    fn no_proof_that_does_not_hold_is_written_and_none_where_there_is_no_room() {
        let tree = Tree::new();
        let mut lines = exporter(Format::Jsonl);
        lines.log(&tree.note()).unwrap();
        let error = lines.proved_entry(&entry(4), &tree.path(5)).unwrap_err();
        assert!(
            matches!(error, ExportError::Proof { index: 4, .. }),
            "{error}"
        );
        let mut sheet = exporter(Format::Csv);
        sheet.log(&tree.note()).unwrap();
        let error = sheet.proved_entry(&entry(4), &tree.path(4)).unwrap_err();
        assert!(matches!(error, ExportError::NoProofs), "{error}");
    }
}
