//! What can be wrong with a profile.

use std::{io, path::PathBuf};

/// Why there is no usable profile. The text names the file and what to do.
#[derive(Debug, thiserror::Error)]
pub enum ProfileError {
    /// Nothing found from the working directory upwards.
    #[error(
        "no profile found: there is no `.accord/profile.toml` here or in a directory above; \
         start `cargo sandbox`, or name a directory with --profile or ACCORD_PROFILE"
    )]
    NotFound,
    /// A profile that can't be read.
    #[error("can't read the profile `{path}`")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A profile that can't be written.
    #[error("can't write the profile `{path}`")]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A profile with a mistake.
    #[error("the profile `{path}` has a mistake: {message}")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Line, key and rule.
        message: String,
    },
    /// `--as` names nobody.
    #[error("the profile knows no party `{name}`; it knows {known}")]
    UnknownParty {
        /// As given.
        name: String,
        /// Those that are known, for a sentence.
        known: String,
    },
    /// The profile has nobody who could do this.
    #[error("the profile has no {role}; it knows {known}")]
    NoSuchRole {
        /// The role that the command needs.
        role: &'static str,
        /// Those that are known, for a sentence.
        known: String,
    },
}
