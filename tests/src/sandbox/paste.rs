//! Printed commands, as a shell takes them.

use std::path::Path;

/// A path as one word of a shell.
pub(super) fn word(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |char: char| char.is_ascii_alphanumeric() || "/._-+@%:,=".contains(char);
    if !text.is_empty() && text.chars().all(plain) {
        return text;
    }
    // Within single quotes nothing means anything but a single quote.
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// What to add to a command of `accord` so that it finds a sandbox that isn't in the usual place.
pub(super) fn profile_flag(dir: &Path) -> String {
    flag("--profile", dir)
}

/// The same for a command of the sandbox.
pub(super) fn dir_flag(dir: &Path) -> String {
    flag("--dir", dir)
}

fn flag(name: &str, dir: &Path) -> String {
    if dir == Path::new(".accord") {
        String::new()
    } else {
        format!(" {name} {}", word(dir))
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn a_path_is_one_word_whatever_is_in_it() {
        assert_eq!(
            word(Path::new(".accord/numbers.txt")),
            ".accord/numbers.txt"
        );
        for path in [
            "sp ace/d", "it's", "$HOME", "a;b", "*", "~", "", "a\"b", "é",
        ] {
            let script = format!("printf %s {}", word(Path::new(path)));
            let said = Command::new("sh").args(["-c", &script]).output().unwrap();
            assert_eq!(String::from_utf8(said.stdout).unwrap(), path);
        }
    }

    #[test]
    fn the_usual_directory_needs_no_flag() {
        assert_eq!(profile_flag(Path::new(".accord")), "");
        assert_eq!(dir_flag(Path::new("sp ace/d")), " --dir 'sp ace/d'");
    }
}
