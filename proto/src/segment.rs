//! The frames of the ledger's segment files, as bytes. No file is read or written here.
//!
//! ```text
//! segment   header frame frame … [zeros to the file's end]
//! header    "ACCORDLG" version:u16 origin_len:u16 first_index:u64 origin crc:u32
//! frame     len:u32 crc:u32 index:u64 kind:u8 payload[len]
//! ```
//!
//! Numbers are little-endian, checksums CRC-32C. A header's checksum covers all that stands before
//! it; a frame's covers its length and all that follows the checksum. Kind 0 is an entry, and
//! `index` its index; kind 1 a signed checkpoint that ends a batch, and `index` its size. The kind
//! of an entry is at once the 0x00 byte that RFC 6962 puts before a leaf. A length of zero is where
//! nothing has been written yet.

mod beyond;
mod offsets;
mod stream;

use crate::merkle::{Hash, leaf_hash_prefixed};

pub use beyond::{Beyond, look_beyond};
pub use offsets::SparseIndex;
pub use stream::FrameStream;

/// Longest entry in bytes: C2SP entry bundles count with 16 bits.
pub const ENTRY_BYTES_MAX: usize = 65_535;
/// Bytes of a frame before its payload.
pub const FRAME_HEADER_BYTES: usize = 17;
/// Longest frame in bytes.
pub const FRAME_BYTES_MAX: usize = FRAME_HEADER_BYTES + ENTRY_BYTES_MAX;
/// Longest origin in bytes.
pub const ORIGIN_BYTES_MAX: usize = 255;
/// Longest segment header in bytes.
pub const HEADER_BYTES_MAX: usize = HEADER_FIXED_BYTES + ORIGIN_BYTES_MAX + 4;

const MAGIC: [u8; 8] = *b"ACCORDLG";
const VERSION: u16 = 1;
const HEADER_FIXED_BYTES: usize = 20;
const KIND_ENTRY: u8 = 0;
const KIND_CHECKPOINT: u8 = 1;
/// The tag of `Entry.time_unix_ms`: field 1000, fixed64, as a varint.
const TIME_TAG: [u8; 2] = [0xc1, 0x3e];
/// Bytes of the time stamp that [`encode_entry`] adds.
pub const STAMP_BYTES: usize = 10;

/// Why bytes are no frame or no header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// A segment that doesn't begin as one, or of a later version.
    #[error("the segment's header is not that of a version {VERSION} segment")]
    Header,
    /// The length can't be.
    #[error("the frame's length is impossible")]
    Length,
    /// Bytes differ from those that were written.
    #[error("the checksum does not match")]
    Checksum,
    /// A kind that doesn't exist.
    #[error("the frame's kind is unknown")]
    Kind,
}

/// How a segment begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SegmentHeader {
    /// The log's origin.
    pub origin: String,
    /// Index of the first entry.
    pub first_index: u64,
}

impl SegmentHeader {
    /// The header's bytes.
    ///
    /// # Errors
    /// [`FrameError::Header`] for an origin that is empty or too long.
    pub fn encode(&self) -> Result<Vec<u8>, FrameError> {
        let origin = self.origin.as_bytes();
        if origin.is_empty() || origin.len() > ORIGIN_BYTES_MAX {
            return Err(FrameError::Header);
        }
        let len = u16::try_from(origin.len()).map_err(|_| FrameError::Header)?;
        let mut bytes = MAGIC.to_vec();
        bytes.extend_from_slice(&VERSION.to_le_bytes());
        bytes.extend_from_slice(&len.to_le_bytes());
        bytes.extend_from_slice(&self.first_index.to_le_bytes());
        bytes.extend_from_slice(origin);
        bytes.extend_from_slice(&crc32c::crc32c(&bytes).to_le_bytes());
        Ok(bytes)
    }

    /// Reads a header from the first [`HEADER_BYTES_MAX`] bytes of a segment, and says how many
    /// bytes it has.
    ///
    /// # Errors
    /// [`FrameError::Header`] or [`FrameError::Checksum`].
    pub fn decode(bytes: &[u8]) -> Result<(Self, usize), FrameError> {
        let (magic, rest) = bytes.split_first_chunk::<8>().ok_or(FrameError::Header)?;
        let (version, rest) = rest.split_first_chunk::<2>().ok_or(FrameError::Header)?;
        let (len, rest) = rest.split_first_chunk::<2>().ok_or(FrameError::Header)?;
        let (first_index, rest) = rest.split_first_chunk::<8>().ok_or(FrameError::Header)?;
        let len = usize::from(u16::from_le_bytes(*len));
        if *magic != MAGIC || u16::from_le_bytes(*version) != VERSION || len > ORIGIN_BYTES_MAX {
            return Err(FrameError::Header);
        }
        let (origin, rest) = rest.split_at_checked(len).ok_or(FrameError::Header)?;
        let crc = rest.first_chunk::<4>().ok_or(FrameError::Header)?;
        let end = HEADER_FIXED_BYTES + len;
        let covered = bytes.get(..end).ok_or(FrameError::Header)?;
        if crc32c::crc32c(covered) != u32::from_le_bytes(*crc) {
            return Err(FrameError::Checksum);
        }
        let header = Self {
            origin: str::from_utf8(origin)
                .map_err(|_| FrameError::Header)?
                .to_owned(),
            first_index: u64::from_le_bytes(*first_index),
        };
        Ok((header, end + 4))
    }
}

/// What a frame holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameKind {
    /// A signed note, after the entries of a batch; `index` is the size that it signs.
    Checkpoint,
    /// An entry of the log.
    Entry,
}

/// A frame whose checksum holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    /// What it holds.
    pub kind: FrameKind,
    /// The entry's index, or the checkpoint's size.
    pub index: u64,
    /// The entry's or the note's bytes with the kind's byte before them.
    kind_and_payload: &'a [u8],
}

impl<'a> Frame<'a> {
    /// The entry's or the signed note's bytes.
    #[must_use]
    pub fn payload(&self) -> &'a [u8] {
        self.kind_and_payload.get(1..).unwrap_or_default()
    }

    /// The RFC 6962 leaf hash of an entry.
    #[must_use]
    pub fn leaf_hash(&self) -> Hash {
        leaf_hash_prefixed(self.kind_and_payload)
    }

    /// Bytes of the whole frame.
    #[must_use]
    pub const fn len(&self) -> usize {
        FRAME_HEADER_BYTES - 1 + self.kind_and_payload.len()
    }

    /// Never: a frame has a header.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        false
    }
}

/// What stands at the beginning of some bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decoded<'a> {
    /// A sound frame.
    Frame(Frame<'a>),
    /// The frame goes on beyond these bytes.
    Incomplete,
    /// Nothing has been written here.
    Unwritten,
}

/// Reads the frame that stands at the beginning of `bytes`.
///
/// # Errors
/// [`FrameError`]: these bytes are not as they were written.
pub fn decode(bytes: &[u8]) -> Result<Decoded<'_>, FrameError> {
    let Some((header, _)) = bytes.split_first_chunk::<FRAME_HEADER_BYTES>() else {
        return Ok(Decoded::Incomplete);
    };
    if header.iter().all(|byte| *byte == 0) {
        return Ok(Decoded::Unwritten);
    }
    let (len, rest) = header.split_first_chunk::<4>().ok_or(FrameError::Length)?;
    let (crc, rest) = rest.split_first_chunk::<4>().ok_or(FrameError::Length)?;
    let (index, kind) = rest.split_first_chunk::<8>().ok_or(FrameError::Length)?;
    let payload_len = usize::try_from(u32::from_le_bytes(*len)).unwrap_or(usize::MAX);
    if payload_len == 0 || payload_len > ENTRY_BYTES_MAX {
        return Err(FrameError::Length);
    }
    let Some(covered) = bytes.get(8..FRAME_HEADER_BYTES + payload_len) else {
        return Ok(Decoded::Incomplete);
    };
    if crc32c::crc32c_append(crc32c::crc32c(len), covered) != u32::from_le_bytes(*crc) {
        return Err(FrameError::Checksum);
    }
    let kind = match kind {
        [KIND_ENTRY] => FrameKind::Entry,
        [KIND_CHECKPOINT] => FrameKind::Checkpoint,
        _ => return Err(FrameError::Kind),
    };
    Ok(Decoded::Frame(Frame {
        kind,
        index: u64::from_le_bytes(*index),
        kind_and_payload: covered.get(8..).unwrap_or_default(),
    }))
}

/// Appends an entry's frame; the payload is `prefix` and the time stamp. Returns the leaf hash.
///
/// # Errors
/// [`FrameError::Length`] beyond [`ENTRY_BYTES_MAX`]; nothing is appended then.
pub fn encode_entry(
    to: &mut Vec<u8>,
    index: u64,
    prefix: &[u8],
    time_unix_ms: u64,
) -> Result<Hash, FrameError> {
    let mut stamp = [0; STAMP_BYTES];
    let bytes = TIME_TAG.into_iter().chain(time_unix_ms.to_le_bytes());
    for (to, from) in stamp.iter_mut().zip(bytes) {
        *to = from;
    }
    let start = to.len();
    encode(to, index, KIND_ENTRY, &[prefix, &stamp])?;
    let prefixed = to.get(start + FRAME_HEADER_BYTES - 1..);
    Ok(leaf_hash_prefixed(prefixed.unwrap_or_default()))
}

/// Appends a checkpoint's frame: the signed note that ends a batch.
///
/// # Errors
/// [`FrameError::Length`] beyond [`ENTRY_BYTES_MAX`]; nothing is appended then.
pub fn encode_checkpoint(to: &mut Vec<u8>, size: u64, note: &str) -> Result<(), FrameError> {
    encode(to, size, KIND_CHECKPOINT, &[note.as_bytes()])
}

fn encode(to: &mut Vec<u8>, index: u64, kind: u8, payload: &[&[u8]]) -> Result<(), FrameError> {
    let payload_len: usize = payload.iter().map(|part| part.len()).sum();
    if payload_len == 0 || payload_len > ENTRY_BYTES_MAX {
        return Err(FrameError::Length);
    }
    let len = u32::try_from(payload_len)
        .map_err(|_| FrameError::Length)?
        .to_le_bytes();
    let start = to.len();
    to.extend_from_slice(&len);
    to.extend_from_slice(&[0; 4]);
    to.extend_from_slice(&index.to_le_bytes());
    to.push(kind);
    for part in payload {
        to.extend_from_slice(part);
    }
    let covered = to.get(start + 8..).unwrap_or_default();
    let crc = crc32c::crc32c_append(crc32c::crc32c(&len), covered);
    for (to, from) in to.iter_mut().skip(start + 4).zip(crc.to_le_bytes()) {
        *to = from;
    }
    Ok(())
}

/// The time stamp at an entry's end, in milliseconds since 1970; `None` if there is none.
#[must_use]
pub fn time_of(entry: &[u8]) -> Option<u64> {
    let (_, stamp) = entry.split_last_chunk::<STAMP_BYTES>()?;
    match stamp.split_first_chunk() {
        Some((&TIME_TAG, time)) => Some(u64::from_le_bytes(*time.first_chunk()?)),
        Some(_) | None => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::merkle::leaf_hash;

    fn header() -> SegmentHeader {
        SegmentHeader {
            origin: "accord-sandbox/2026-11".into(),
            first_index: 4711,
        }
    }

    fn entry_frame() -> Vec<u8> {
        let mut bytes = Vec::new();
        encode_entry(&mut bytes, 7, b"prefix", 1_700_000_000_123).unwrap();
        bytes
    }

    #[test]
    fn the_bytes_are_these() {
        let frame = entry_frame();
        assert_eq!(frame.len(), 17 + 6 + 10);
        assert_eq!(&frame[..4], [16, 0, 0, 0]);
        assert_eq!(&frame[8..17], [7, 0, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(&frame[17..25], b"prefix\xc1\x3e");
        let header = header().encode().unwrap();
        assert_eq!(&header[..12], b"ACCORDLG\x01\x00\x16\x00");
    }

    #[test]
    fn an_entry_comes_back_with_its_time_and_leaf_hash() {
        let mut bytes = Vec::new();
        let hash = encode_entry(&mut bytes, 7, b"prefix", 99).unwrap();
        encode_checkpoint(&mut bytes, 8, "note").unwrap();
        let Decoded::Frame(frame) = decode(&bytes).unwrap() else {
            panic!("a frame")
        };
        assert_eq!((frame.kind, frame.index), (FrameKind::Entry, 7));
        assert_eq!(time_of(frame.payload()), Some(99));
        assert_eq!(hash, leaf_hash(frame.payload()));
        assert_eq!(hash, frame.leaf_hash());
        let Decoded::Frame(next) = decode(&bytes[frame.len()..]).unwrap() else {
            panic!("a frame")
        };
        assert_eq!(next.kind, FrameKind::Checkpoint);
        assert_eq!((next.index, next.payload()), (8, &b"note"[..]));
    }

    #[test]
    fn a_stamped_entry_decodes_as_the_message() {
        use prost::Message as _;
        let entry = crate::v1::Entry {
            salt: vec![1; 32],
            ..Default::default()
        };
        let mut bytes = Vec::new();
        encode_entry(&mut bytes, 0, &entry.encode_to_vec(), 42).unwrap();
        let Decoded::Frame(frame) = decode(&bytes).unwrap() else {
            panic!("a frame")
        };
        let again = crate::v1::Entry::decode(frame.payload()).unwrap();
        assert_eq!(again.time_unix_ms, 42);
        assert_eq!(again.salt, entry.salt);
    }

    #[test]
    fn each_flipped_bit_of_a_frame_is_noticed() {
        let frame = entry_frame();
        for bit in 0..frame.len() * 8 {
            let mut flipped = frame.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(
                !matches!(decode(&flipped), Ok(Decoded::Frame(_))),
                "bit {bit}"
            );
        }
    }

    #[test]
    fn each_flipped_bit_of_a_header_is_noticed() {
        let bytes = header().encode().unwrap();
        assert_eq!(
            SegmentHeader::decode(&bytes).unwrap(),
            (header(), bytes.len())
        );
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(SegmentHeader::decode(&flipped).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn what_is_cut_off_is_incomplete_and_zeros_are_unwritten() {
        let frame = entry_frame();
        for len in 0..frame.len() {
            assert_eq!(decode(&frame[..len]), Ok(Decoded::Incomplete), "{len}");
        }
        assert_eq!(decode(&[0; 64]), Ok(Decoded::Unwritten));
        let header = header().encode().unwrap();
        for len in 0..header.len() {
            assert!(SegmentHeader::decode(&header[..len]).is_err(), "{len}");
        }
    }

    #[test]
    fn entries_have_a_longest_length() {
        let mut to = Vec::new();
        let longest = vec![1; ENTRY_BYTES_MAX - STAMP_BYTES];
        assert!(encode_entry(&mut to, 0, &longest, 0).is_ok());
        let before = to.len();
        let longer = vec![1; ENTRY_BYTES_MAX - STAMP_BYTES + 1];
        assert_eq!(
            encode_entry(&mut to, 0, &longer, 0),
            Err(FrameError::Length)
        );
        assert_eq!(to.len(), before);
    }
}
