//! The Accord broker.
//!
//! Read [`path`] first: it shows the whole life of a question on one screen.

mod acts_file;
pub mod anomaly;
pub mod config;
pub mod doors;
pub mod durable;
mod entry;
pub mod governance;
pub mod identity;
pub mod index;
pub mod ledger;
pub mod link;
pub mod metrics;
pub mod oauth;
pub mod path;
pub mod refusals;
pub mod remit;
pub mod replay;
pub mod routing;
pub mod serve;
mod stamp;
pub mod subjects;
mod unpoisoned;
pub mod views;
pub mod witnesses;
