//! Since when the quorum of witnesses fails, as a file: two lines, the instant and its CRC-32C.

use std::{io, path::Path};

use jiff::Timestamp;

/// The text of the file.
pub(super) fn text(since: Timestamp) -> String {
    let instant = since.to_string();
    let crc = crc32c::crc32c(instant.as_bytes());
    format!("{instant}\n{crc:08x}\n")
}

/// Reads the file; `None` where there is none. One that is not as it was written is taken for a loss
/// of long ago: a bit that flipped must not give a broker without witnesses more time.
pub(super) fn read(path: &Path) -> Option<Timestamp> {
    match std::fs::read_to_string(path) {
        Ok(found) => {
            let instant = found.lines().next().and_then(|line| line.parse().ok());
            Some(
                instant
                    .filter(|instant| text(*instant) == found)
                    .unwrap_or_else(|| damaged(path)),
            )
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(_) => Some(damaged(path)),
    }
}

fn damaged(path: &Path) -> Timestamp {
    let path = path.display();
    tracing::warn!(%path, "damaged: the witnesses' quorum is taken for lost since long ago");
    Timestamp::UNIX_EPOCH
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loss_is_read_back_and_a_flipped_bit_gives_no_more_time() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("witnesses.lost");
        assert_eq!(read(&path), None);
        let since = Timestamp::from_second(1_800_000_000).unwrap();
        let bytes = text(since).into_bytes();
        std::fs::write(&path, &bytes).unwrap();
        assert_eq!(read(&path), Some(since));
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            std::fs::write(&path, flipped).unwrap();
            assert_eq!(read(&path), Some(Timestamp::UNIX_EPOCH), "bit {bit}");
        }
    }
}
