//! The records of the journal, all of one length.

use super::Digest;
use crate::events::line::{Line, Micros, Newest, REGISTERS};
use crate::events::producers::Id;
use crate::events::watch::{Place, Told};

pub(super) const RECORD_LEN: usize = 128;
const BODY_LEN: usize = RECORD_LEN - 4;

/// One record.
pub(super) enum Record {
    /// What is known of a number.
    Line(Digest, Line),
    /// Where in the stream the adapter is.
    Place(Place),
    /// How far a producer's word is known.
    Told(Id, Told),
}

const KIND_LINE: u8 = 1;
const KIND_PLACE: u8 = 2;
const KIND_TOLD: u8 = 3;

/// The beginning of a record; what it is about comes next.
fn begun(kind: u8) -> Vec<u8> {
    let mut body = Vec::with_capacity(RECORD_LEN);
    body.extend([kind, 0, 0, 0, 0, 0, 0, 0]);
    body
}

fn finished(mut body: Vec<u8>) -> Vec<u8> {
    body.resize(BODY_LEN, 0);
    let crc = crc32c::crc32c(&body);
    body.extend(crc.to_le_bytes());
    body
}

pub(super) fn line_record(digest: &Digest, line: &Line) -> Vec<u8> {
    let mut body = begun(KIND_LINE);
    body.extend(digest);
    for register in line.registers() {
        body.extend(register.at.to_le_bytes());
        body.push(register.code);
    }
    finished(body)
}

pub(super) fn told_record(id: &Id, told: &Told) -> Vec<u8> {
    let mut body = begun(KIND_TOLD);
    body.extend(id);
    for value in told.to_numbers() {
        body.extend(value.to_le_bytes());
    }
    finished(body)
}

pub(super) fn place_record(place: Place) -> Vec<u8> {
    let mut body = begun(KIND_PLACE);
    // Here stood one watch for all producers, which nobody may believe any more.
    body.extend([0; 16]);
    body.extend(place.stream_made.to_le_bytes());
    body.extend(place.sequence.to_le_bytes());
    finished(body)
}

/// `None`: unfinished or damaged.
pub(super) fn decode(record: &[u8]) -> Option<Record> {
    let (body, crc) = record.split_at_checked(BODY_LEN)?;
    if crc32c::crc32c(body) != u32::from_le_bytes(crc.try_into().ok()?) {
        return None;
    }
    let (head, rest) = body.split_first_chunk::<8>()?;
    match *head.first()? {
        KIND_LINE => {
            let (digest, mut rest) = rest.split_first_chunk::<16>()?;
            let mut registers = [Newest::default(); REGISTERS];
            for register in &mut registers {
                let (at, after) = rest.split_first_chunk::<8>()?;
                let (code, after) = after.split_first()?;
                *register = Newest {
                    at: Micros::from_le_bytes(*at),
                    code: *code,
                };
                rest = after;
            }
            Some(Record::Line(*digest, Line::from_registers(registers)))
        }
        KIND_PLACE => {
            let (_, rest) = rest.split_first_chunk::<16>()?;
            let (stream_made, rest) = rest.split_first_chunk::<8>()?;
            let sequence = rest.first_chunk::<8>()?;
            Some(Record::Place(Place {
                stream_made: Micros::from_le_bytes(*stream_made),
                sequence: u64::from_le_bytes(*sequence),
            }))
        }
        KIND_TOLD => {
            let (id, mut rest) = rest.split_first_chunk::<16>()?;
            let mut numbers = [0; Told::NUMBERS];
            for number in &mut numbers {
                let (value, after) = rest.split_first_chunk::<8>()?;
                *number = Micros::from_le_bytes(*value);
                rest = after;
            }
            Some(Record::Told(*id, Told::from_numbers(numbers)))
        }
        _ => None,
    }
}
