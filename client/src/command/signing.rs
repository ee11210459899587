//! Signing documents: a key is made, the text is read, the note is written.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use accord_proto::{
    c2sp::{SignedNote, SigningKey},
    document::Mistakes,
    shares::ShareSecret,
};
use serde_json::json;

use super::{
    exit::{Exit, Failure},
    terminal::Terminal,
};

/// The most bytes of a document.
const DOCUMENT_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// `accord new-key`: makes the key of an authority or of a ledger, and prints the key that verifies
/// what it signs.
pub(super) fn new_key(name: &str, to: &Path, terminal: &mut Terminal) -> Result<Exit, Failure> {
    let key = SigningKey::generate(name)
        .map_err(|error| Failure::new(Exit::Usage, "can't make a key").because(&error))?;
    write_new(to, &format!("{}\n", key.to_secret_text().expose()))?;
    let verifier = key.verifier().to_string();
    if terminal.is_json() {
        terminal.json(&json!({"file": to.display().to_string(), "vkey": verifier}))?;
    } else {
        terminal.line(&verifier)?;
        terminal.note(&format!(
            "`{}` signs, and nobody else may read it; the line above verifies, and everybody may",
            to.display()
        ));
    }
    Ok(Exit::Ok)
}

/// `accord new-share-key`: makes the key with which an authority opens its halves of the months'
/// keys, and prints the one to which they are sealed.
pub(super) fn new_share_key(
    name: &str,
    to: &Path,
    terminal: &mut Terminal,
) -> Result<Exit, Failure> {
    let secret = ShareSecret::generate(name)
        .map_err(|error| Failure::new(Exit::Usage, "can't make a key").because(&error))?;
    write_new(to, &format!("{}\n", secret.to_secret_text().expose()))?;
    let key = secret.key().to_string();
    if terminal.is_json() {
        terminal.json(&json!({"file": to.display().to_string(), "share_key": key}))?;
    } else {
        terminal.line(&key)?;
        terminal.note(&format!(
            "`{}` opens your halves of the months' keys, and nobody else may read it; the line \
             above goes into the agreement's [share_keys]",
            to.display()
        ));
    }
    Ok(Exit::Ok)
}

/// What opens an authority's halves. What the file holds is never shown.
pub(super) fn share_secret(file: &Path) -> Result<ShareSecret, Failure> {
    ShareSecret::parse(&read(file)?).map_err(|error| {
        let message = format!("no share key in `{}`", file.display());
        Failure::new(Exit::Failure, message)
            .because(&error)
            .hint("`accord new-share-key` makes one")
    })
}

/// Whether a file can still be made: what is there is left alone.
pub(super) fn check_new(file: &Path) -> Result<(), Failure> {
    if !file.exists() {
        return Ok(());
    }
    let message = format!("`{}` is there already", file.display());
    Err(Failure::new(Exit::Usage, message).hint("name a new file, or move it away"))
}

/// A key that is there already has signed something.
pub(super) fn write_new(to: &Path, text: &str) -> Result<(), Failure> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600);
    }
    let write = || io::Write::write_all(&mut options.open(to)?, text.as_bytes());
    write().map_err(|error| unwritable(to, &error))
}

/// The text of a document, signed or not.
pub(super) fn note(file: &Path) -> Result<SignedNote, Failure> {
    let text = read(file)?;
    if let Ok(note) = SignedNote::parse(&text) {
        return Ok(note);
    }
    SignedNote::unsigned(text.as_str()).map_err(|error| {
        let message = format!("`{}` can't be signed", file.display());
        Failure::new(Exit::Failure, message).because(&error)
    })
}

/// An authority's key. What the file holds is never shown.
pub(super) fn signing_key(file: &Path) -> Result<SigningKey, Failure> {
    SigningKey::parse(read(file)?.trim()).map_err(|error| {
        let message = format!("no signing key in `{}`", file.display());
        Failure::new(Exit::Failure, message).because(&error)
    })
}

/// Signs, writes the note, and gives the names of all who signed it.
pub(super) fn sign(
    mut note: SignedNote,
    key: &SigningKey,
    to: &Path,
) -> Result<Vec<String>, Failure> {
    note.sign(key)
        .map_err(|error| Failure::new(Exit::Failure, "can't sign").because(&error))?;
    write_whole(to, &note.to_string())?;
    let signatures = note.signatures().iter();
    Ok(signatures
        .map(|signature| signature.name().to_owned())
        .collect())
}

/// Names file, line, key and rule of each mistake, as compilers do.
pub(super) fn report(
    file: &Path,
    mistakes: &Mistakes,
    terminal: &mut Terminal,
) -> Result<Exit, Failure> {
    if terminal.is_json() {
        let list = mistakes.as_slice().iter().map(ToString::to_string);
        let list: Vec<_> = list.collect();
        terminal.json(&json!({"file": file.display().to_string(), "mistakes": list}))?;
    } else {
        for mistake in mistakes.as_slice() {
            terminal.line(&format!("{}: {mistake}", file.display()))?;
        }
    }
    let more = if mistakes.more() { " and more" } else { "" };
    terminal.note(&format!("{} mistakes{more}", mistakes.as_slice().len()));
    Ok(Exit::Failure)
}

/// A whole file.
pub(super) fn read(file: &Path) -> Result<String, Failure> {
    let read = || {
        if fs::metadata(file)?.len() > DOCUMENT_BYTES_MAX {
            return Err(io::Error::other("it is too long"));
        }
        fs::read_to_string(file)
    };
    read().map_err(|error| {
        Failure::new(Exit::Failure, format!("can't read `{}`", file.display())).because(&error)
    })
}

/// Whole or not at all: a new file takes the place of the old one.
pub(super) fn write_whole(to: &Path, text: &str) -> Result<(), Failure> {
    let mut beside = to.as_os_str().to_owned();
    beside.push(".new");
    let beside = PathBuf::from(beside);
    let write = || {
        fs::write(&beside, text)?;
        fs::rename(&beside, to)
    };
    write().map_err(|error| unwritable(to, &error))
}

fn unwritable(to: &Path, error: &io::Error) -> Failure {
    Failure::new(Exit::Failure, format!("can't write `{}`", to.display())).because(error)
}
