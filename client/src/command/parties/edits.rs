//! Changes of a text, each in its place: everything else stays to the byte as it was.

use std::ops::Range;

/// A part of the text, and what takes its place.
type Change = (Range<usize>, String);

/// Changes of one text, which never overlap.
#[derive(Debug)]
pub(super) struct Edits<'t> {
    text: &'t str,
    changes: Vec<Change>,
}

/// Neighbouring lines that change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Hunk {
    /// The first of them in the old text, counted from 1.
    pub(super) line: usize,
    /// Lines that go.
    pub(super) old: Vec<String>,
    /// Lines that come.
    pub(super) new: Vec<String>,
}

impl<'t> Edits<'t> {
    /// None yet.
    pub(super) const fn of(text: &'t str) -> Self {
        Self {
            text,
            changes: Vec::new(),
        }
    }

    /// Puts something in the place of a part of the text.
    pub(super) fn replace(&mut self, part: Range<usize>, with: impl Into<String>) {
        self.changes.push((part, with.into()));
    }

    /// Puts something at a place.
    pub(super) fn insert(&mut self, at: usize, what: impl Into<String>) {
        self.replace(at..at, what);
    }

    /// The changed text.
    pub(super) fn apply(&self) -> String {
        self.with_changes(0..self.text.len(), &self.sorted())
    }

    /// What changes, line by line.
    pub(super) fn hunks(&self) -> Vec<Hunk> {
        let mut hunks: Vec<(Range<usize>, Vec<&Change>)> = Vec::new();
        for change in self.sorted() {
            let lines = self.whole_lines(change);
            match hunks.last_mut().filter(|(last, _)| lines.start < last.end) {
                Some((last, changes)) => {
                    last.end = last.end.max(lines.end);
                    changes.push(change);
                }
                None => hunks.push((lines, vec![change])),
            }
        }
        let lines = |text: &str| text.lines().map(str::to_owned).collect();
        hunks
            .into_iter()
            .map(|(part, changes)| Hunk {
                line: 1 + self.slice(0..part.start).matches('\n').count(),
                old: lines(self.slice(part.clone())),
                new: lines(&self.with_changes(part, &changes)),
            })
            .collect()
    }

    fn sorted(&self) -> Vec<&Change> {
        let mut changes: Vec<_> = self.changes.iter().collect();
        changes.sort_by_key(|(part, _)| (part.start, part.end));
        changes
    }

    fn with_changes(&self, part: Range<usize>, changes: &[&Change]) -> String {
        let mut changed = String::new();
        let mut from = part.start;
        for (at, with) in changes {
            changed.push_str(self.slice(from..at.start));
            changed.push_str(with);
            from = at.end;
        }
        changed + self.slice(from..part.end)
    }

    /// The lines that a change touches: none where whole lines are put between two.
    fn whole_lines(&self, (part, with): &Change) -> Range<usize> {
        let start = line_start(self.text, part.start);
        let between = |at: usize| line_start(self.text, at) == at;
        let whole = between(part.start) && between(part.end);
        let end = if whole && (with.is_empty() || with.ends_with('\n')) {
            part.end
        } else {
            line_end(self.text, part.end)
        };
        start..end
    }

    fn slice(&self, part: Range<usize>) -> &'t str {
        self.text.get(part).unwrap_or_default()
    }
}

/// Where the line begins in which a place lies.
pub(super) fn line_start(text: &str, at: usize) -> usize {
    let before = text.get(..at).unwrap_or_default();
    before.rfind('\n').map_or(0, |newline| newline + 1)
}

/// Where the next line begins.
pub(super) fn line_end(text: &str, at: usize) -> usize {
    let after = text.get(at..).unwrap_or_default();
    after
        .find('\n')
        .map_or(text.len(), |newline| at + newline + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "one\ntwo = [1, 2]\n\nthree\n";

    fn place(what: &str) -> usize {
        TEXT.find(what).unwrap()
    }

    #[test]
    fn changes_apply_in_their_places_whatever_their_order() {
        let mut edits = Edits::of(TEXT);
        edits.insert(place("three"), "new\n");
        edits.replace(place("2")..place("2") + 1, "3");
        edits.insert(place("1"), "0, ");
        assert_eq!(edits.apply(), "one\ntwo = [0, 1, 3]\n\nnew\nthree\n");
        let [line, between] = edits.hunks().try_into().unwrap();
        assert_eq!(
            line,
            Hunk {
                line: 2,
                old: vec!["two = [1, 2]".to_owned()],
                new: vec!["two = [0, 1, 3]".to_owned()],
            }
        );
        assert_eq!((between.line, between.old.len()), (4, 0));
        assert_eq!(between.new, ["new"]);
    }

    #[test]
    fn lines_that_go_are_shown_alone() {
        let mut edits = Edits::of(TEXT);
        edits.replace(place("two")..place("three"), "");
        assert_eq!(edits.apply(), "one\nthree\n");
        let [gone] = edits.hunks().try_into().unwrap();
        assert_eq!((gone.line, gone.old.len(), gone.new.len()), (2, 2, 0));
        assert_eq!(Edits::of(TEXT).apply(), TEXT);
        assert!(Edits::of(TEXT).hunks().is_empty());
    }
}
