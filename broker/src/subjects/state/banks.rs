//! Each bank's share of the table of subjects.

use std::sync::{
    RwLock,
    atomic::{AtomicUsize, Ordering},
};

use accord_proto::party::OrgName;

use crate::unpoisoned;

/// The most banks that are told apart; licensed banks are far fewer.
const BANKS_MAX: usize = 4_096;

/// How many slots each bank holds.
#[derive(Debug)]
pub(super) struct Banks {
    names: RwLock<Vec<OrgName>>,
    held: Vec<AtomicUsize>,
    share: usize,
}

impl Banks {
    /// Each bank may hold `share` slots.
    pub(super) fn new(share: usize) -> Self {
        let held = std::iter::repeat_with(AtomicUsize::default)
            .take(BANKS_MAX)
            .collect();
        Self {
            names: RwLock::default(),
            held,
            share,
        }
    }

    /// The number that stands for a bank; `None` if there are too many.
    pub(super) fn index(&self, bank: &OrgName) -> Option<u16> {
        let known = unpoisoned::read(&self.names)
            .iter()
            .position(|name| name == bank);
        let at = match known {
            Some(at) => at,
            None => {
                let mut names = unpoisoned::write(&self.names);
                match names.iter().position(|name| name == bank) {
                    Some(at) => at,
                    None if names.len() < BANKS_MAX => {
                        names.push(bank.clone());
                        names.len() - 1
                    }
                    None => return None,
                }
            }
        };
        u16::try_from(at).ok()
    }

    pub(super) fn has_room(&self, bank: u16) -> bool {
        self.count(bank)
            .is_some_and(|held| held.load(Ordering::Relaxed) < self.share)
    }

    pub(super) fn take(&self, bank: u16) {
        if let Some(held) = self.count(bank) {
            held.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(super) fn release(&self, bank: u16) {
        if let Some(held) = self.count(bank) {
            held.fetch_sub(1, Ordering::Relaxed);
        }
    }

    fn count(&self, bank: u16) -> Option<&AtomicUsize> {
        self.held.get(usize::from(bank))
    }
}
