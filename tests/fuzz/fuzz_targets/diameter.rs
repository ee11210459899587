//! Diameter on the wire: what is believed of a message is written back to the same bytes, in pieces
//! as in one go.

#![no_main]

use accord_adapters::diameter::codec::{Avps, Encoder, HEADER_LEN, Header, take_frame};
use accord_adapters::diameter::node::{Message, Node};
use accord_adapters::diameter::sh;
use accord_adapters::diameter::tbcd;
use bytes::{Bytes, BytesMut};
use libfuzzer_sys::fuzz_target;

const BYTES_MAX: usize = 65_536;

/// Reads groups in groups until they end or are refused.
fn descend(avps: &Avps) {
    for avp in avps.iter() {
        let _ = (avp.u32(), avp.text());
        if let Some(digits) = tbcd::decode(avp.data()) {
            assert_eq!(tbcd::encode(&digits).as_deref(), Some(avp.data().as_ref()));
        }
        if let Ok(inner) = avp.group() {
            descend(&inner);
        }
    }
}

fn look_at(frame: &Bytes) {
    let header = Header::decode(frame).expect("a frame was taken by the same header");
    assert!(frame.len() <= BYTES_MAX && frame.len().is_multiple_of(4));
    let Ok(avps) = Avps::decode(frame.slice(HEADER_LEN..)) else {
        return;
    };
    descend(&avps);
    let mut again = Encoder::default();
    for avp in avps.iter() {
        again.same(avp).expect("it was that long");
    }
    let again = header.encode(&again.bytes()).expect("it was that long");
    assert_eq!(again.len(), frame.len());
    let twice = Avps::decode(again.slice(HEADER_LEN..)).expect("it was just written");
    assert_eq!(twice.iter().count(), avps.iter().count());
    let node = Node {
        host: "as.example".to_owned(),
        realm: "example".to_owned(),
    };
    let _ = node.judge(&avps, Some("hss.example"));
    let _ = node.answer(&header, &avps, 2_001);
    let _ = sh::notified(&Message { header, avps });
}

fuzz_target!(|data: &[u8]| {
    let mut whole = BytesMut::from(data);
    let mut frames = Vec::new();
    while let Ok(Some(frame)) = take_frame(&mut whole, BYTES_MAX) {
        look_at(&frame);
        frames.push(frame);
    }
    let piece = usize::from(data.last().copied().unwrap_or(0)) + 1;
    let (mut pieces, mut streamed) = (BytesMut::new(), 0);
    'stream: for some in data.chunks(piece) {
        pieces.extend_from_slice(some);
        loop {
            match take_frame(&mut pieces, BYTES_MAX) {
                Ok(Some(frame)) => {
                    assert_eq!(frames.get(streamed), Some(&frame));
                    streamed += 1;
                }
                Ok(None) => break,
                Err(_) => break 'stream,
            }
        }
    }
    assert_eq!(streamed, frames.len());
});
