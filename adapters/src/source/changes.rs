//! Changes on their way from a source to the runtime.

use std::sync::{Mutex, PoisonError};

use tokio::sync::mpsc;

use super::SourceChange;

/// The most that wait for the runtime.
const CHANGES_MAX: usize = 1_024;

/// The runtime's end, which is taken once.
#[derive(Debug, Default)]
pub(crate) struct ChangesOut(Mutex<Option<mpsc::Receiver<SourceChange>>>);

impl ChangesOut {
    /// Both ends, for at most `CHANGES_MAX` changes that wait.
    pub(crate) fn channel() -> (mpsc::Sender<SourceChange>, Self) {
        let (tell, out) = mpsc::channel(CHANGES_MAX);
        (tell, Self(Mutex::new(Some(out))))
    }

    /// The end, for who asks first.
    pub(crate) fn take(&self) -> Option<mpsc::Receiver<SourceChange>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}
