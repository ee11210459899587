//! What is wrong with a document, and where.

use std::fmt;

/// One mistake: where, which key, which rule.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mistake {
    /// Line in the document, from 1.
    pub line: usize,
    /// The key at fault, such as `clause.granularity`; empty where the text is no TOML at all.
    pub key: String,
    /// The rule that it breaks, lower case, no full stop.
    pub rule: String,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.key.is_empty() {
            write!(f, "line {}: {}", self.line, self.rule)
        } else {
            write!(f, "line {}: `{}`: {}", self.line, self.key, self.rule)
        }
    }
}

/// All mistakes of a document, in the order of its lines. Never empty.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Mistakes {
    mistakes: Vec<Mistake>,
    more: bool,
}

impl Mistakes {
    /// Beyond this many the rest is not listed.
    pub const COUNT_MAX: usize = 100;

    /// `Ok` if there are none.
    pub(crate) fn check(mut mistakes: Vec<Mistake>) -> Result<(), Self> {
        if mistakes.is_empty() {
            return Ok(());
        }
        mistakes.sort();
        mistakes.dedup();
        let more = mistakes.len() > Self::COUNT_MAX;
        mistakes.truncate(Self::COUNT_MAX);
        Err(Self { mistakes, more })
    }

    /// For a document that is refused although no rule named a line: refused all the same.
    pub(crate) fn unexplained() -> Self {
        Self {
            mistakes: vec![Mistake {
                line: 1,
                key: String::new(),
                rule: "the document can't be read".to_owned(),
            }],
            more: false,
        }
    }

    /// The mistakes, by line.
    #[must_use]
    pub fn as_slice(&self) -> &[Mistake] {
        &self.mistakes
    }

    /// Whether there are more than [`Self::COUNT_MAX`], so that the list is cut.
    #[must_use]
    pub const fn more(&self) -> bool {
        self.more
    }
}

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, mistake) in self.mistakes.iter().enumerate() {
            let separator = if at == 0 { "" } else { "; " };
            write!(f, "{separator}{mistake}")?;
        }
        if self.more {
            f.write_str("; and more")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mistake(line: usize) -> Mistake {
        Mistake {
            line,
            key: "clause.id".into(),
            rule: "is required".into(),
        }
    }

    #[test]
    fn mistakes_stand_in_the_order_of_the_lines() {
        assert!(Mistakes::check(Vec::new()).is_ok());
        let error = Mistakes::check(vec![mistake(9), mistake(2), mistake(9)]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "line 2: `clause.id`: is required; line 9: `clause.id`: is required"
        );
    }

    #[test]
    fn a_hopeless_document_does_not_list_mistakes_without_end() {
        let error = Mistakes::check((0..500).map(mistake).collect()).unwrap_err();
        assert_eq!(error.as_slice().len(), Mistakes::COUNT_MAX);
        assert!(error.more() && error.to_string().ends_with("; and more"));
    }
}
