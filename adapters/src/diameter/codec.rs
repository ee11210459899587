//! Messages of Diameter on the wire (RFC 6733 sections 3 and 4).
//!
//! ```text
//!   version 1 │ length u24 │ flags R P E T │ command u24 │ application │ hop-by-hop │ end-to-end
//!   AVP: code u32 │ flags V M P │ length u24 │ [vendor u32] │ data │ padding to 4 bytes
//! ```
//!
//! Strict where a lenient reader could be made to see something else than its neighbour does:
//! lengths, padding, AVPs that stand twice. Lenient where the RFC says so: reserved bits, unknown
//! AVPs, their order.

use bytes::{Buf, BufMut, Bytes, BytesMut};

use super::avp::Key;

/// Length of a header.
pub const HEADER_LEN: usize = 20;
/// The most AVPs in one message or group.
pub const AVPS_MAX: usize = 512;
/// The deepest group. Sh has two levels; `Failed-AVP` may repeat one.
pub const DEPTH_MAX: u8 = 4;

const VERSION: u8 = 1;
const LENGTH_MAX: usize = 0x00ff_ffff;
const FLAG_VENDOR: u8 = 0x80;
const FLAG_MANDATORY: u8 = 0x40;

/// The R bit: a request.
pub const FLAG_REQUEST: u8 = 0x80;
/// The P bit: may be relayed.
pub const FLAG_PROXIABLE: u8 = 0x40;
/// The E bit: the answer is a protocol error.
pub const FLAG_ERROR: u8 = 0x20;
/// The T bit: may have been sent before.
pub const FLAG_RETRANSMIT: u8 = 0x10;

/// What is wrong with bytes that should be Diameter. It never repeats them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CodecError {
    /// Another protocol, or the stream was lost.
    #[error("the version of a message is not 1")]
    Version,
    /// Shorter than its header, or not a multiple of four.
    #[error("a message has an impossible length")]
    Length,
    /// Longer than `message_bytes_max`.
    #[error("a message is longer than `message_bytes_max`")]
    TooLong,
    /// An AVP that goes on behind the end, or is shorter than its own header.
    #[error("an AVP has an impossible length")]
    AvpLength,
    /// The V bit without a vendor.
    #[error("an AVP has the V bit and the vendor 0")]
    AvpVendor,
    /// More than [`AVPS_MAX`].
    #[error("a message has too many AVPs")]
    TooMany,
    /// Deeper than [`DEPTH_MAX`].
    #[error("groups are nested too deeply")]
    TooDeep,
    /// One that may stand once.
    #[error("{0} stands more than once")]
    Twice(&'static str),
    /// One that must be there.
    #[error("{0} is absent")]
    Absent(&'static str),
    /// Data of another form than its type has.
    #[error("an AVP's data is not of its type")]
    Data,
}

/// The header of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// R, P, E and T bits.
    pub flags: u8,
    /// Command code.
    pub command: u32,
    /// Application-Id.
    pub application: u32,
    /// Pairs an answer with its request on one connection.
    pub hop_by_hop: u32,
    /// Tells a repeated request from a new one.
    pub end_to_end: u32,
}

impl Header {
    /// Whether this is a request.
    #[must_use]
    pub const fn is_request(&self) -> bool {
        self.flags & FLAG_REQUEST != 0
    }

    /// Reads the header of a whole frame, as [`take_frame`] gives it.
    ///
    /// # Errors
    /// [`CodecError`] where version or length are not those of this frame.
    pub fn decode(frame: &[u8]) -> Result<Self, CodecError> {
        let mut rest = frame.get(..HEADER_LEN).ok_or(CodecError::Length)?;
        let (version, length) = split(rest.get_u32());
        if version != VERSION {
            return Err(CodecError::Version);
        }
        if length != frame.len() {
            return Err(CodecError::Length);
        }
        let (flags, command) = split(rest.get_u32());
        Ok(Self {
            flags,
            command: u32::try_from(command).unwrap_or(u32::MAX),
            application: rest.get_u32(),
            hop_by_hop: rest.get_u32(),
            end_to_end: rest.get_u32(),
        })
    }

    /// The message of this header with AVPs that are encoded already.
    ///
    /// # Errors
    /// [`CodecError::TooLong`].
    pub fn encode(&self, avps: &[u8]) -> Result<Bytes, CodecError> {
        let length = HEADER_LEN + avps.len();
        let mut bytes = BytesMut::with_capacity(length);
        bytes.put_u32(join(VERSION, length)?);
        let command = usize::try_from(self.command).unwrap_or(usize::MAX);
        bytes.put_u32(join(self.flags, command)?);
        bytes.put_u32(self.application);
        bytes.put_u32(self.hop_by_hop);
        bytes.put_u32(self.end_to_end);
        bytes.put_slice(avps);
        Ok(bytes.freeze())
    }
}

/// Takes the next whole message off what was received; `None` until it is complete.
///
/// # Errors
/// [`CodecError`]: the stream can't be followed any more.
pub fn take_frame(received: &mut BytesMut, bytes_max: usize) -> Result<Option<Bytes>, CodecError> {
    let Some(head) = received.first_chunk::<4>() else {
        return Ok(None);
    };
    let (version, length) = split(u32::from_be_bytes(*head));
    if version != VERSION {
        return Err(CodecError::Version);
    }
    if length < HEADER_LEN || !length.is_multiple_of(4) {
        return Err(CodecError::Length);
    }
    if length > bytes_max {
        return Err(CodecError::TooLong);
    }
    Ok((received.len() >= length).then(|| received.split_to(length).freeze()))
}

/// One AVP. Its data may be personal: there is none of it in `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct Avp {
    /// AVP code.
    pub code: u32,
    /// Vendor-Id, or 0.
    pub vendor: u32,
    flags: u8,
    depth: u8,
    data: Bytes,
}

impl std::fmt::Debug for Avp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Avp({}:{})", self.vendor, self.code)
    }
}

impl Avp {
    /// The data of an `OctetString`.
    #[must_use]
    pub const fn data(&self) -> &Bytes {
        &self.data
    }

    /// The data of an `Unsigned32` or `Enumerated`.
    ///
    /// # Errors
    /// [`CodecError::Data`].
    pub fn u32(&self) -> Result<u32, CodecError> {
        let bytes = <[u8; 4]>::try_from(self.data.as_ref());
        bytes.map(u32::from_be_bytes).map_err(|_| CodecError::Data)
    }

    /// The data of a `UTF8String` or `DiameterIdentity`.
    ///
    /// # Errors
    /// [`CodecError::Data`].
    pub fn text(&self) -> Result<&str, CodecError> {
        std::str::from_utf8(&self.data).map_err(|_| CodecError::Data)
    }

    /// The AVPs of a `Grouped`.
    ///
    /// # Errors
    /// [`CodecError`].
    pub fn group(&self) -> Result<Avps, CodecError> {
        if self.depth >= DEPTH_MAX {
            return Err(CodecError::TooDeep);
        }
        Avps::decode_at(self.data.clone(), self.depth + 1)
    }
}

/// The AVPs of a message or a group, in their order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Avps(Vec<Avp>);

impl Avps {
    /// Reads the AVPs of a message: what follows its header.
    ///
    /// # Errors
    /// [`CodecError`].
    pub fn decode(bytes: Bytes) -> Result<Self, CodecError> {
        Self::decode_at(bytes, 0)
    }

    fn decode_at(mut bytes: Bytes, depth: u8) -> Result<Self, CodecError> {
        let mut avps = Vec::new();
        while !bytes.is_empty() {
            if avps.len() == AVPS_MAX {
                return Err(CodecError::TooMany);
            }
            avps.push(decode_avp(&mut bytes, depth)?);
        }
        Ok(Self(avps))
    }

    /// All, in their order.
    pub fn iter(&self) -> impl Iterator<Item = &Avp> {
        self.0.iter()
    }

    /// All of one code and vendor.
    pub fn all(&self, key: Key) -> impl Iterator<Item = &Avp> {
        let is = move |avp: &&Avp| avp.code == key.code && avp.vendor == key.vendor;
        self.0.iter().filter(is)
    }

    /// The only one of its kind, wherever it stands.
    ///
    /// # Errors
    /// [`CodecError::Twice`].
    pub fn one(&self, key: Key) -> Result<Option<&Avp>, CodecError> {
        let mut found = self.all(key);
        match (found.next(), found.next()) {
            (_, Some(_)) => Err(CodecError::Twice(key.name)),
            (first, None) => Ok(first),
        }
    }

    /// The only one of its kind, which must be there.
    ///
    /// # Errors
    /// [`CodecError::Absent`], [`CodecError::Twice`].
    pub fn required(&self, key: Key) -> Result<&Avp, CodecError> {
        self.one(key)?.ok_or(CodecError::Absent(key.name))
    }
}

fn decode_avp(bytes: &mut Bytes, depth: u8) -> Result<Avp, CodecError> {
    let short = |_| CodecError::AvpLength;
    let before = bytes.len();
    let code = bytes.try_get_u32().map_err(short)?;
    let (flags, length) = split(bytes.try_get_u32().map_err(short)?);
    let vendor = match flags & FLAG_VENDOR {
        0 => 0,
        _ => match bytes.try_get_u32().map_err(short)? {
            0 => return Err(CodecError::AvpVendor),
            vendor => vendor,
        },
    };
    let header = before - bytes.len();
    let data_len = length.checked_sub(header).ok_or(CodecError::AvpLength)?;
    // The padding is not part of the length, and must be there nevertheless.
    let padded = data_len.next_multiple_of(4);
    if padded > bytes.len() {
        return Err(CodecError::AvpLength);
    }
    let mut data = bytes.split_to(padded);
    data.truncate(data_len);
    Ok(Avp {
        code,
        vendor,
        flags,
        depth,
        data,
    })
}

/// Writes AVPs one after another.
#[derive(Debug, Default)]
pub struct Encoder(BytesMut);

impl Encoder {
    /// An `OctetString`, `UTF8String` or `DiameterIdentity`.
    ///
    /// # Errors
    /// [`CodecError::TooLong`].
    pub fn octets(&mut self, key: Key, data: &[u8]) -> Result<&mut Self, CodecError> {
        let mandatory = if key.mandatory { FLAG_MANDATORY } else { 0 };
        self.avp(key.code, key.vendor, mandatory, data)
    }

    fn avp(
        &mut self,
        code: u32,
        vendor: u32,
        flags: u8,
        data: &[u8],
    ) -> Result<&mut Self, CodecError> {
        let has_vendor = vendor != 0;
        let header = if has_vendor { 12 } else { 8 };
        let flags = (flags & !FLAG_VENDOR) | if has_vendor { FLAG_VENDOR } else { 0 };
        let length = join(flags, header + data.len())?;
        self.0.put_u32(code);
        self.0.put_u32(length);
        if has_vendor {
            self.0.put_u32(vendor);
        }
        self.0.put_slice(data);
        self.0
            .put_bytes(0, data.len().next_multiple_of(4) - data.len());
        Ok(self)
    }

    /// An AVP as it was read.
    ///
    /// # Errors
    /// [`CodecError::TooLong`].
    pub fn same(&mut self, avp: &Avp) -> Result<&mut Self, CodecError> {
        self.avp(avp.code, avp.vendor, avp.flags, &avp.data)
    }

    /// An `Unsigned32` or `Enumerated`.
    ///
    /// # Errors
    /// [`CodecError::TooLong`].
    pub fn u32(&mut self, key: Key, value: u32) -> Result<&mut Self, CodecError> {
        self.octets(key, &value.to_be_bytes())
    }

    /// A `Grouped` of what another encoder holds.
    ///
    /// # Errors
    /// [`CodecError::TooLong`].
    pub fn group(&mut self, key: Key, inner: &Self) -> Result<&mut Self, CodecError> {
        self.octets(key, &inner.0)
    }

    /// What was written.
    #[must_use]
    pub fn bytes(&self) -> Bytes {
        Bytes::copy_from_slice(&self.0)
    }
}

/// A word of 8 and 24 bits.
fn split(word: u32) -> (u8, usize) {
    let [high, a, b, c] = word.to_be_bytes();
    let low = u32::from_be_bytes([0, a, b, c]);
    (high, usize::try_from(low).unwrap_or(usize::MAX))
}

fn join(high: u8, low: usize) -> Result<u32, CodecError> {
    let low = u32::try_from(low).ok().filter(|_| low <= LENGTH_MAX);
    let low = low.ok_or(CodecError::TooLong)?;
    Ok(u32::from(high) << 24 | low)
}

#[cfg(test)]
mod tests;
