//! accord-client
