//! How many connections each caller of a witness has: one that opens many and says nothing would
//! keep all others out.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

/// Connections at once from one address. A broker needs one.
pub(super) const OF_ONE_MAX: usize = 8;

/// Who is connected.
#[derive(Debug, Default)]
pub(super) struct Callers(Mutex<HashMap<IpAddr, usize>>);

/// One connection of a caller; it counts until this is dropped.
#[derive(Debug)]
pub(super) struct Call {
    callers: Arc<Callers>,
    from: IpAddr,
}

impl Callers {
    /// One more connection; `None` if the caller has enough.
    pub(super) fn enter(self: &Arc<Self>, from: IpAddr) -> Option<Call> {
        let mut callers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = callers.entry(from).or_default();
        if *count >= OF_ONE_MAX {
            return None;
        }
        *count += 1;
        drop(callers);
        Some(Call {
            callers: Arc::clone(self),
            from,
        })
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        let callers = &self.callers.0;
        let mut callers = callers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = callers.get_mut(&self.from) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                callers.remove(&self.from);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_caller_has_so_many_connections_and_leaves_nothing_behind() {
        let callers = Arc::new(Callers::default());
        let one: IpAddr = "192.0.2.1".parse().unwrap();
        let other: IpAddr = "192.0.2.2".parse().unwrap();
        let mut calls: Vec<_> = (0..OF_ONE_MAX)
            .map(|_| callers.enter(one).unwrap())
            .collect();
        assert!(callers.enter(one).is_none());
        assert!(callers.enter(other).is_some());
        drop(calls.pop());
        assert!(callers.enter(one).is_some());
        drop(calls);
        assert!(callers.0.lock().unwrap().is_empty());
    }
}
