//! What can go wrong.

use std::io;
use std::path::PathBuf;

/// Why no certificate, list or key was made or written.
#[derive(Debug, thiserror::Error)]
pub enum CertsError {
    /// A name, a date or a key that no certificate can hold.
    #[error("cannot make the {what}")]
    Make {
        /// What was to be made.
        what: &'static str,
        /// The cause.
        #[source]
        source: rcgen::Error,
    },
    /// The system gave no random numbers.
    #[error("the system gives no random numbers")]
    Random,
    /// A file or folder can't be written.
    #[error("cannot write `{}`", path.display())]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
}

impl CertsError {
    pub(crate) fn make(what: &'static str) -> impl FnOnce(rcgen::Error) -> Self {
        move |source| Self::Make { what, source }
    }
}
