//! The Accord broker.
//!
//! Read [`path`] first: it shows the whole life of a question on one screen.

pub mod identity;
pub mod link;
pub mod replay;
pub mod routing;
pub mod subjects;
pub mod views;
