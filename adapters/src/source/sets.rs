//! Sets of signals that can be lent.

use accord_proto::signal::Signal;

/// A signal's bit in a set.
pub(crate) const fn signal_bit(signal: Signal) -> usize {
    1 << (signal.to_wire() as usize - 1)
}

/// Every subset of the signals, so that a source can be lent one for as long as it takes, without
/// an allocation for each ask.
#[derive(Debug)]
pub(crate) struct SignalSets {
    sets: Vec<Vec<Signal>>,
    known: usize,
}

impl SignalSets {
    /// The sets of a source that knows these signals.
    pub(crate) fn new(known: &[Signal]) -> Self {
        let subset = |bits: usize| {
            let member = |signal: &&Signal| bits & signal_bit(**signal) != 0;
            Signal::ALL.iter().filter(member).copied().collect()
        };
        Self {
            sets: (0..1 << Signal::ALL.len()).map(subset).collect(),
            known: known.iter().fold(0, |bits, one| bits | signal_bit(*one)),
        }
    }

    /// The set of these bits.
    pub(crate) fn subset(&self, bits: usize) -> &[Signal] {
        self.sets.get(bits).map(Vec::as_slice).unwrap_or_default()
    }

    /// What the source knows of these.
    pub(crate) fn known_of(&self, bits: usize) -> &[Signal] {
        self.subset(bits & self.known)
    }

    /// What the source can ever answer.
    pub(crate) fn answerable(&self) -> &[Signal] {
        self.subset(self.known)
    }
}
