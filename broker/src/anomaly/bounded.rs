//! A map that holds so many keys and no more: the oldest goes.

use std::{
    collections::{HashMap, VecDeque},
    hash::Hash,
};

/// A map of bounded size, for one window of time.
#[derive(Debug)]
pub(super) struct Bounded<K, V> {
    found: HashMap<K, V>,
    order: VecDeque<K>,
    entries_max: usize,
    window: i64,
}

impl<K: Clone + Eq + Hash, V: Default> Bounded<K, V> {
    pub(super) fn new(entries_max: usize) -> Self {
        Self {
            found: HashMap::new(),
            order: VecDeque::new(),
            entries_max,
            window: i64::MIN,
        }
    }

    /// What is known under a key in this window. With a new window all that was before is forgotten.
    pub(super) fn within(&mut self, window: i64, key: &K) -> &mut V {
        if self.window != window {
            self.window = window;
            self.found.clear();
            self.order.clear();
        }
        self.at(key)
    }

    /// What is known under a key, whatever the window.
    pub(super) fn at(&mut self, key: &K) -> &mut V {
        if !self.found.contains_key(key) {
            if self.order.len() >= self.entries_max
                && let Some(oldest) = self.order.pop_front()
            {
                self.found.remove(&oldest);
            }
            self.order.push_back(key.clone());
        }
        self.found.entry(key.clone()).or_default()
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.found.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_goes_where_there_is_no_room_and_all_go_with_the_window() {
        let mut bounded: Bounded<u32, u32> = Bounded::new(2);
        for key in [1, 2, 1, 3] {
            *bounded.within(0, &key) += 1;
        }
        assert_eq!((bounded.len(), *bounded.within(0, &2)), (2, 1));
        assert_eq!(*bounded.within(0, &1), 0);
        assert_eq!(*bounded.within(1, &2), 0);
        assert_eq!(bounded.len(), 1);
    }
}
