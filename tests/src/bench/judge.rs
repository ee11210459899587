//! Whether an aim of the project is met, in a word.

/// Judges aims, or not: figures of a short run, or of a program that is not optimised, say nothing.
#[derive(Clone, Copy, Debug)]
pub(super) struct Judge(pub(super) bool);

impl Judge {
    /// What is printed behind a figure.
    pub(super) const fn met(self, is: bool) -> &'static str {
        match (self.0, is) {
            (false, _) => "not judged",
            (true, true) => "met",
            (true, false) => "missed",
        }
    }
}
