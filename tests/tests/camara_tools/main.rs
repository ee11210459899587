//! The CAMARA door, tried by tools that others wrote: schemathesis, which asks whatever an OpenAPI
//! description allows and forbids, and client libraries of CAMARA and of OAuth.
//!
//! They come from PyPI into a virtual environment under `target/`, which is made when it is missing.

// `cfg(test)` tells clippy that helpers here are test code too.
#[cfg(test)]
mod client_library;
#[cfg(test)]
mod python;
#[cfg(test)]
mod schemas;
