//! Secrets that can't be printed.

use std::fmt;

/// Holds a token or a key. `Debug` redacts it and there is no `Display`; `expose` is easy to find
/// in review.
#[derive(Clone, PartialEq, Eq, serde::Deserialize)]
#[serde(transparent)]
pub struct Secret<T>(T);

impl<T> Secret<T> {
    /// Wraps a secret.
    pub const fn new(secret: T) -> Self {
        Self(secret)
    }

    /// The secret itself. Never hand it to a log, an error or a metric.
    pub const fn expose(&self) -> &T {
        &self.0
    }
}

impl<T> fmt::Debug for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_redacted_in_debug() {
        assert_eq!(format!("{:?}", Secret::new("hunter2")), "[secret]");
    }
}
