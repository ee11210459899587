//! Locks whose holder may have panicked. One rule for what limits, counts and routes: whoever comes
//! next goes on with what the lock guards. To refuse instead would make one panic an outage, and to
//! begin anew would lift a limit.
//!
//! Only what an operator or a subscriber has stopped (`link`) is not taken from such a lock: a list that
//! may lack one stops all.

use std::sync::{Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// Locks, whoever panicked before.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Reads, whoever panicked before.
pub(crate) fn read<T>(lock: &RwLock<T>) -> RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(PoisonError::into_inner)
}

/// Writes, whoever panicked before.
pub(crate) fn write<T>(lock: &RwLock<T>) -> RwLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(PoisonError::into_inner)
}
