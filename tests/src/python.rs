//! The tools and libraries of others with which the CAMARA door is tried.

use std::{io, path::PathBuf};

use accord_adapters::python;

/// What is installed, each at one version.
const PACKAGES: [&str; 5] = [
    "schemathesis==4.32.5",
    "network-as-code==10.0.0",
    "Authlib==1.9.10",
    "httpx==0.28.1",
    "requests==2.34.2",
];

/// The directory of the virtual environment that has them.
///
/// # Errors
/// If it can't be made.
pub fn camara_tools() -> io::Result<PathBuf> {
    python::environment("python-camara", &PACKAGES)
}
