//! The secrets that sign webhooks, read for each request so that one can replace another.

use std::io;
use std::path::{Path, PathBuf};

use accord_proto::secret::Secret;
use base64::{Engine as _, prelude::BASE64_STANDARD};

const SECRETS_MAX: usize = 4;

/// Why there are no secrets.
#[derive(Debug, thiserror::Error)]
pub(super) enum SecretsError {
    #[error("`webhook.secret_file`: can't read `{}`", path.display())]
    Read {
        path: PathBuf,
        #[source]
        error: io::Error,
    },
    #[error(
        "`webhook.secret_file`: line {line} of `{}` is no `whsec_` and Base64 of 24 to 64 bytes",
        path.display()
    )]
    Line { path: PathBuf, line: usize },
    #[error("`webhook.secret_file`: `{}` has {found} secrets, and must have 1 to {SECRETS_MAX}", path.display())]
    Count { path: PathBuf, found: usize },
}

/// The secrets in force, a line each.
pub(super) fn secrets(path: &Path) -> Result<Vec<Secret<Vec<u8>>>, SecretsError> {
    let text = std::fs::read_to_string(path).map_err(|error| SecretsError::Read {
        path: path.to_owned(),
        error,
    })?;
    let mut secrets = Vec::new();
    for (number, line) in (1..).zip(text.lines().map(str::trim)) {
        if line.is_empty() {
            continue;
        }
        let bytes = line
            .strip_prefix("whsec_")
            .and_then(|base64| BASE64_STANDARD.decode(base64).ok())
            .filter(|bytes| (24..=64).contains(&bytes.len()));
        let bytes = bytes.ok_or_else(|| SecretsError::Line {
            path: path.to_owned(),
            line: number,
        })?;
        secrets.push(Secret::new(bytes));
    }
    if secrets.is_empty() || secrets.len() > SECRETS_MAX {
        return Err(SecretsError::Count {
            path: path.to_owned(),
            found: secrets.len(),
        });
    }
    Ok(secrets)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::words;

    #[test]
    fn a_file_of_secrets_has_secrets_only() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("secret");
        for text in ["", "whsec_AAAA\n", "secret\n", "whsec_!!\n"] {
            std::fs::write(&file, text).unwrap();
            assert!(secrets(&file).is_err(), "{text}");
        }
        let said = |path: &Path| words(&secrets(path).unwrap_err());
        let absent = said(&dir.path().join("absent"));
        assert!(
            absent.ends_with("absent`: No such file or directory (os error 2)"),
            "{absent}"
        );
        std::fs::write(&file, format!("whsec_{}\nwhsec_short\n", "A".repeat(32))).unwrap();
        let second = said(&file);
        assert!(
            second.contains("line 2 of `") && !second.contains("short"),
            "{second}"
        );
    }
}
