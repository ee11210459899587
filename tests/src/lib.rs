//! accord-tests
