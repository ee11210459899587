//! The frames of a segment file, a piece at a time.

use std::fs::File;
use std::io::Read as _;
use std::ops::ControlFlow;
use std::path::Path;

use accord_proto::segment::{
    Decoded, Frame, FrameError, FrameStream, HEADER_BYTES_MAX, SegmentHeader,
};

use super::VerifyError;

const PIECE_BYTES: usize = 256 << 10;

/// How the frames of a segment end.
#[derive(Clone, Copy, Debug)]
pub(super) enum End {
    /// At a frame that is not as it was written.
    Broken { offset: u64, error: FrameError },
    /// With the file, or with zeros up to its end.
    Clean { offset: u64 },
    /// Where the caller wanted.
    Stopped { offset: u64 },
}

/// An open segment.
pub(super) struct Segment<'a> {
    path: &'a Path,
    file: File,
    stream: FrameStream,
    piece: Vec<u8>,
}

impl<'a> Segment<'a> {
    /// Opens a segment and reads its header; the error is what is wrong with the header.
    pub(super) fn open(
        path: &'a Path,
    ) -> Result<Result<(Self, SegmentHeader), FrameError>, VerifyError> {
        let mut file = File::open(path).map_err(VerifyError::io(path))?;
        let mut start = Vec::new();
        let limit = u64::try_from(HEADER_BYTES_MAX).unwrap_or(u64::MAX);
        file.by_ref()
            .take(limit)
            .read_to_end(&mut start)
            .map_err(VerifyError::io(path))?;
        Ok(SegmentHeader::decode(&start).map(|(header, len)| {
            let mut stream = FrameStream::new(u64::try_from(len).unwrap_or(0));
            stream.push(start.get(len..).unwrap_or_default());
            let piece = vec![0; PIECE_BYTES];
            let segment = Self {
                path,
                file,
                stream,
                piece,
            };
            (segment, header)
        }))
    }

    /// Shows each frame with its offset.
    pub(super) fn frames(
        &mut self,
        mut each: impl FnMut(u64, Frame<'_>) -> Result<ControlFlow<()>, VerifyError>,
    ) -> Result<End, VerifyError> {
        loop {
            let offset = self.stream.offset();
            match self.stream.take() {
                Ok(Decoded::Frame(frame)) => {
                    if each(offset, frame)?.is_break() {
                        let offset = self.stream.offset();
                        return Ok(End::Stopped { offset });
                    }
                    continue;
                }
                Ok(Decoded::Unwritten) => {
                    let error = FrameError::Length;
                    return Ok(if self.rest_is_zero()? {
                        End::Clean { offset }
                    } else {
                        End::Broken { offset, error }
                    });
                }
                Ok(Decoded::Incomplete) => {}
                Err(error) => return Ok(End::Broken { offset, error }),
            }
            if !self.fill()? {
                let zeros = self.stream.rest().iter().all(|byte| *byte == 0);
                let error = FrameError::Length;
                return Ok(if zeros {
                    End::Clean { offset }
                } else {
                    End::Broken { offset, error }
                });
            }
        }
    }

    fn fill(&mut self) -> Result<bool, VerifyError> {
        let len = self
            .file
            .read(&mut self.piece)
            .map_err(VerifyError::io(self.path))?;
        self.stream.push(self.piece.get(..len).unwrap_or_default());
        Ok(len > 0)
    }

    /// True if nothing but zeros follows.
    pub(super) fn rest_is_zero(&mut self) -> Result<bool, VerifyError> {
        if self.stream.rest().iter().any(|byte| *byte != 0) {
            return Ok(false);
        }
        loop {
            let len = self
                .file
                .read(&mut self.piece)
                .map_err(VerifyError::io(self.path))?;
            if len == 0 {
                return Ok(true);
            }
            if self.piece.iter().take(len).any(|byte| *byte != 0) {
                return Ok(false);
            }
        }
    }
}
