//! accord-certs
