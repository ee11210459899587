//! Replies that nobody used, and the entries that account for them.

use std::collections::HashMap;

use super::{NEAR, export::Access, records::Record};

/// Entries of which some ask came to nothing, or was answered by another instance. Each accounts for
/// one reply that came too late or was not needed.
pub(super) struct Excuses<'a> {
    by_question: HashMap<(&'a str, i32), Vec<(&'a Access, bool)>>,
}

impl<'a> Excuses<'a> {
    pub(super) fn new(accesses: &'a [Access]) -> Self {
        let mut by_question: HashMap<_, Vec<_>> = HashMap::new();
        for access in accesses.iter().filter(|access| access.unused != 0) {
            let question = (access.bank.as_str(), access.purpose);
            by_question
                .entry(question)
                .or_default()
                .push((access, false));
        }
        for accesses in by_question.values_mut() {
            accesses.sort_unstable_by_key(|(access, _)| access.at);
        }
        Self { by_question }
    }

    /// Uses up an entry for a reply; false if none is left.
    pub(super) fn take(&mut self, record: &'a Record) -> bool {
        let question = (record.bank.as_str(), record.purpose);
        let Some(accesses) = self.by_question.get_mut(&question) else {
            return false;
        };
        let near = |access: &Access| record.at.duration_since(access.at).abs() <= NEAR;
        let first = accesses.partition_point(|(access, _)| access.at < record.at && !near(access));
        let candidates = accesses.iter_mut().skip(first);
        for (access, used) in candidates.take_while(|(access, _)| near(access)) {
            if !*used && record.signals & !access.unused == 0 {
                *used = true;
                return true;
            }
        }
        false
    }
}
