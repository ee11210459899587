//! Frames from bytes that come in pieces.

use super::{Decoded, FrameError, decode};

/// Frames from bytes that come in pieces.
#[derive(Debug)]
pub struct FrameStream {
    buffer: Vec<u8>,
    start: usize,
    offset: u64,
}

impl FrameStream {
    /// A stream whose first byte lies at `offset` of the segment.
    #[must_use]
    pub const fn new(offset: u64) -> Self {
        Self {
            buffer: Vec::new(),
            start: 0,
            offset,
        }
    }

    /// Adds the bytes that follow.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.drain(..self.start);
        self.start = 0;
        self.buffer.extend_from_slice(bytes);
    }

    /// Where in the segment the next frame begins.
    #[must_use]
    pub const fn offset(&self) -> u64 {
        self.offset
    }

    /// The bytes that are here and not yet taken.
    #[must_use]
    pub fn rest(&self) -> &[u8] {
        self.buffer.get(self.start..).unwrap_or_default()
    }

    /// Takes the next frame; anything else stays where it is.
    ///
    /// # Errors
    /// [`FrameError`]: the bytes at [`Self::offset`] are not as they were written.
    pub fn take(&mut self) -> Result<Decoded<'_>, FrameError> {
        let bytes = self.buffer.get(self.start..).unwrap_or_default();
        let decoded = decode(bytes)?;
        if let Decoded::Frame(frame) = decoded {
            self.start += frame.len();
            self.offset += u64::try_from(frame.len()).unwrap_or_default();
        }
        Ok(decoded)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{FrameKind, encode_checkpoint, encode_entry};
    use super::*;

    #[test]
    fn a_stream_in_pieces_of_one_byte_gives_the_same_frames() {
        let mut bytes = Vec::new();
        encode_entry(&mut bytes, 7, b"prefix", 99).unwrap();
        encode_checkpoint(&mut bytes, 8, "note").unwrap();
        let mut stream = FrameStream::new(100);
        let mut kinds = Vec::new();
        for byte in &bytes {
            stream.push(&[*byte]);
            if let Decoded::Frame(frame) = stream.take().unwrap() {
                kinds.push(frame.kind);
            }
        }
        assert_eq!(kinds, [FrameKind::Entry, FrameKind::Checkpoint]);
        assert_eq!(stream.offset(), 100 + bytes.len() as u64);
    }
}
