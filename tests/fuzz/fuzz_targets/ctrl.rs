//! Osmocom's control interface: in pieces or in one go the same replies, and none to another request or
//! about another variable.

#![no_main]

use accord_adapters::osmo_hlr::ctrl::{Reply, replies_in};
use libfuzzer_sys::fuzz_target;

const ID: u32 = 7;
const VARIABLE: &str = "subscriber.by-msisdn-447700900001.info";

fn framed(text: &str) -> Vec<u8> {
    let length = u16::try_from(text.len() + 1).expect("it is short");
    let mut bytes = length.to_be_bytes().to_vec();
    bytes.extend([0xEE, 0x00]);
    bytes.extend(text.as_bytes());
    bytes
}

fuzz_target!(|data: &[u8]| {
    let (replies, taken) = replies_in(data, ID, VARIABLE);
    assert!(taken <= data.len());
    // What was taken reads the same without the rest.
    let whole = data.get(..taken).expect("it is part of it");
    let again = replies_in(whole, ID, VARIABLE);
    assert!(again.0 == replies);
    for reply in &replies {
        let text = match reply {
            Reply::Value(value) => format!("GET_REPLY {ID} {VARIABLE} {value}"),
            Reply::Refused(why) => format!("ERROR {ID} {why}"),
        };
        let written = framed(&text);
        let (read, taken) = replies_in(&written, ID, VARIABLE);
        assert!(read == [reply.clone()] && taken == written.len());
        assert!(replies_in(&written, ID + 1, VARIABLE).0.is_empty());
        if matches!(reply, Reply::Value(_)) {
            assert!(replies_in(&written, ID, "subscriber.by-imsi").0.is_empty());
        }
        let shown = format!("{reply:?}");
        assert!(shown.contains("[subscriber]"), "a reply is shown");
    }
});
