//! The codec beside python-diameter's: what one writes the other reads, to the byte.

use std::process::Command;

use accord_adapters::diameter::avp;
use accord_adapters::diameter::codec::{Avps, Encoder, HEADER_LEN, Header};
use accord_adapters::diameter::node::Node;
use accord_adapters::diameter::{tbcd, testing};
use accord_proto::hex;
use bytes::Bytes;

const SCRIPT: &str = r#"
import sys
from diameter.message import Message, Avp
from diameter.message.avp.grouped import ExperimentalResult, UserIdentity, VendorSpecificApplicationId
from diameter.message.commands import UserDataAnswer, UserDataRequest
from diameter.message.constants import *
read = Message.from_bytes(bytes.fromhex(sys.argv[1]))
assert isinstance(read, UserDataRequest), read
print(read.as_bytes().hex())
print(read.session_id, read.origin_host.decode(), read.user_identity.msisdn.hex(),
      [int(it) for it in read.data_reference], read.vendor_specific_application_id.auth_application_id)
answer = UserDataAnswer()
answer.header.hop_by_hop_identifier, answer.header.end_to_end_identifier = 7, 8
answer.header.application_id = APP_3GPP_SH
answer.session_id = "as.example;1;2"
answer.vendor_specific_application_id = VendorSpecificApplicationId(
    vendor_id=VENDOR_TGPP, auth_application_id=APP_3GPP_SH)
answer.auth_session_state = 1
answer.origin_host, answer.origin_realm = b"hss.example", b"example"
answer.experimental_result = ExperimentalResult(vendor_id=VENDOR_TGPP, experimental_result_code=5001)
answer.append_avp(Avp.new(AVP_TGPP_SH_USER_DATA, VENDOR_TGPP, value=b"<Sh-Data/>"))
print(answer.as_bytes().hex())
"#;

fn unhex(text: &str) -> Bytes {
    let byte = |pair: &[u8]| {
        let pair = std::str::from_utf8(pair).unwrap();
        u8::from_str_radix(pair, 16).unwrap()
    };
    text.as_bytes()
        .chunks(2)
        .map(byte)
        .collect::<Vec<_>>()
        .into()
}

fn request() -> Bytes {
    let node = Node {
        host: "as.example".to_owned(),
        realm: "example".to_owned(),
    };
    let mut identity = Encoder::default();
    let number = tbcd::encode("33639980001").unwrap();
    identity.octets(avp::MSISDN, &number).unwrap();
    let mut avps = node.begin_sh("as.example;1;2").unwrap();
    avps.octets(avp::DESTINATION_REALM, b"example").unwrap();
    avps.group(avp::USER_IDENTITY, &identity).unwrap();
    avps.u32(avp::DATA_REFERENCE, 32).unwrap();
    avps.u32(avp::DATA_REFERENCE, 34).unwrap();
    let header = Header {
        flags: 0xc0,
        command: avp::USER_DATA_COMMAND,
        application: avp::APPLICATION_SH,
        hop_by_hop: 7,
        end_to_end: 8,
    };
    header.encode(&avps.bytes()).unwrap()
}

#[tokio::test]
#[ignore = "needs python3 and python-diameter"]
async fn two_implementations_agree_to_the_byte() {
    let python = testing::python().await.unwrap();
    let ran = Command::new(python)
        .args(["-c", SCRIPT, &hex::encode(&request())])
        .output()
        .unwrap();
    let said = String::from_utf8(ran.stdout).unwrap();
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(lines.len(), 3, "{}", String::from_utf8_lossy(&ran.stderr));

    // What it read, it would write again; the order of its AVPs is its own.
    let sorted = |frame: &Bytes| {
        let avps = Avps::decode(frame.slice(HEADER_LEN..)).unwrap();
        let mut parts: Vec<String> = avps
            .iter()
            .map(|avp| {
                let mut one = Encoder::default();
                one.same(avp).unwrap();
                hex::encode(&one.bytes())
            })
            .collect();
        parts.sort();
        (Header::decode(frame).unwrap(), parts)
    };
    assert_eq!(sorted(&unhex(lines[0])), sorted(&request()));
    assert_eq!(
        lines[1],
        "as.example;1;2 as.example 3336990800f1 [32, 34] 16777217"
    );

    let answer = unhex(lines[2]);
    let header = Header::decode(&answer).unwrap();
    assert_eq!(
        (header.command, header.is_request()),
        (avp::USER_DATA_COMMAND, false)
    );
    assert_eq!((header.hop_by_hop, header.end_to_end), (7, 8));
    let avps = Avps::decode(answer.slice(HEADER_LEN..)).unwrap();
    assert_eq!(
        avps.required(avp::USER_DATA).unwrap().data().as_ref(),
        b"<Sh-Data/>"
    );
    let result = avps
        .required(avp::EXPERIMENTAL_RESULT)
        .unwrap()
        .group()
        .unwrap();
    let code = result
        .required(avp::EXPERIMENTAL_RESULT_CODE)
        .unwrap()
        .u32();
    assert_eq!(code, Ok(avp::USER_UNKNOWN_3GPP));
}
