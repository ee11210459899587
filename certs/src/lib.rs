//! Makes a PKI and token keys: in memory for tests, on disk for the sandbox.
//!
//! ```text
//!   Pki (a CA) ──issue──▶ Leaf (certificate and key)     disk (0600 keys, 0700 folders)
//!       └───────crl────▶ revocation list                 TokenKey (ES256, Ed25519)
//! ```
//!
//! The broker makes no keys and doesn't depend on this crate. Time is passed in, so that a test
//! can hold a certificate that expired or a list that is no longer current.
//!
//! ```
//! use accord_certs::{LeafOptions, Pki, TokenKey};
//!
//! let now = "2026-11-03T10:00:00Z".parse()?;
//! let pki = Pki::new("accord.test", now)?;
//! let bank = pki.issue("bank", "first-bank", &LeafOptions::at(now))?;
//! let crl = pki.crl(&[bank.serial()], now, now + jiff::SignedDuration::from_hours(24))?;
//! let token_key = TokenKey::es256()?;
//! assert!(bank.certificate_pem().starts_with("-----BEGIN CERTIFICATE-----"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod disk;
mod error;
mod leaf;
mod pki;
mod token_key;

pub use error::CertsError;
pub use leaf::{Leaf, LeafOptions};
pub use pki::Pki;
pub use token_key::TokenKey;
