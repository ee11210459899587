//! accord-broker
