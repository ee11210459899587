//! The two keys of a journal. Each is made on first use, with mode 0600.

use std::{
    fmt, fs,
    io::ErrorKind,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use accord_proto::{c2sp::SigningKey, msisdn::Msisdn, secret::Secret};
use aws_lc_rs::{hmac, rand};

use super::Hex;
use crate::disk;

/// Why a key file can't be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    /// It can't be read or made.
    #[error("cannot {deed} key file `{}`", path.display())]
    Io {
        /// What was tried.
        deed: &'static str,
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        error: std::io::Error,
    },
    /// Others may read it.
    #[error("key file `{}` can be read by others than its owner: chmod 600", .0.display())]
    Exposed(PathBuf),
    /// It holds something else.
    #[error("key file `{}` does not hold {expected}", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What it must hold.
        expected: &'static str,
    },
    /// No randomness, or a name that no key may have.
    #[error("cannot make a key for `{}`", .0.display())]
    Make(PathBuf),
}

/// Makes pseudonyms of numbers. Whoever holds it can search the journal for a number.
pub struct SubjectKey(hmac::Key);

impl SubjectKey {
    /// A key of 32 bytes.
    #[must_use]
    pub fn new(key: &[u8; 32]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, key))
    }

    /// Reads a key of 64 hexadecimal digits, or makes one.
    ///
    /// # Errors
    /// [`KeyFileError`].
    pub fn load_or_make(path: &Path) -> Result<Self, KeyFileError> {
        let text = load_or_make(path, || {
            let mut key = [0; 32];
            rand::fill(&mut key).ok()?;
            Some(accord_proto::hex::encode(&key))
        })?;
        let content = || KeyFileError::Content {
            path: path.to_owned(),
            expected: "64 hexadecimal digits",
        };
        let digits = text.expose().trim();
        if digits.len() != 64 {
            return Err(content());
        }
        let mut key = [0; 32];
        for (to, pair) in key.iter_mut().zip(digits.as_bytes().chunks_exact(2)) {
            *to = std::str::from_utf8(pair)
                .ok()
                .and_then(|pair| u8::from_str_radix(pair, 16).ok())
                .ok_or_else(content)?;
        }
        Ok(Self::new(&key))
    }

    /// `HMAC-SHA256(key, E.164 with its plus sign)`, first 16 bytes.
    #[must_use]
    pub fn subject(&self, msisdn: &Msisdn) -> Hex<16> {
        let mut first = [0; 16];
        let tag = hmac::sign(&self.0, msisdn.expose().as_bytes());
        for (to, from) in first.iter_mut().zip(tag.as_ref()) {
            *to = *from;
        }
        Hex(first)
    }
}

impl fmt::Debug for SubjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SubjectKey([secret])")
    }
}

/// Reads the key that signs checkpoints (`PRIVATE+KEY+…`), or makes one of this name.
///
/// # Errors
/// [`KeyFileError`].
pub fn load_or_make_checkpoint_key(path: &Path, name: &str) -> Result<SigningKey, KeyFileError> {
    let text = load_or_make(path, || {
        let key = SigningKey::generate(name).ok()?;
        Some(key.to_secret_text().expose().clone())
    })?;
    SigningKey::parse(text.expose()).map_err(|_| KeyFileError::Content {
        path: path.to_owned(),
        expected: "a C2SP signing key, `PRIVATE+KEY+name+id+base64`",
    })
}

fn load_or_make(
    path: &Path,
    make: impl FnOnce() -> Option<String>,
) -> Result<Secret<String>, KeyFileError> {
    let io = |deed| {
        move |error| KeyFileError::Io {
            deed,
            path: path.to_owned(),
            error,
        }
    };
    match fs::metadata(path) {
        Ok(metadata) if metadata.permissions().mode() & 0o077 != 0 => {
            return Err(KeyFileError::Exposed(path.to_owned()));
        }
        Ok(_) => {
            return fs::read_to_string(path)
                .map(Secret::new)
                .map_err(io("read"));
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(io("read")(error)),
    }
    let text = make().ok_or_else(|| KeyFileError::Make(path.to_owned()))?;
    if let Some(dir) = path.parent() {
        fs::create_dir_all(dir).map_err(io("make the folder of"))?;
    }
    // Whole or not at all: a part of a key would keep the adapter from starting ever again.
    disk::make(path, text.as_bytes()).map_err(io("make"))?;
    tracing::info!(file = %path.display(), "key made");
    Ok(Secret::new(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_that_a_crash_left_half_written_are_made_anew() {
        let dir = tempfile::TempDir::new().unwrap();
        let (subject, checkpoint) = (dir.path().join("a.key"), dir.path().join("b.key"));
        for path in [&subject, &checkpoint] {
            fs::write(path.with_extension("key.partial"), "PRIVATE+K").unwrap();
        }
        let number = Msisdn::parse("+447700900001").unwrap();
        let made = SubjectKey::load_or_make(&subject).unwrap();
        let again = SubjectKey::load_or_make(&subject).unwrap();
        assert_eq!(made.subject(&number).0, again.subject(&number).0);
        let made = load_or_make_checkpoint_key(&checkpoint, "north/a").unwrap();
        let again = load_or_make_checkpoint_key(&checkpoint, "north/a").unwrap();
        assert_eq!(made.verifier(), again.verifier());
        let left: Vec<_> = fs::read_dir(dir.path()).unwrap().collect();
        assert_eq!(left.len(), 2, "{left:?}");
    }
}
