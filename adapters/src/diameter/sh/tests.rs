use accord_proto::clock::ManualClock;

use super::*;
use crate::diameter::avp::Key;
use crate::diameter::codec::{FLAG_PROXIABLE, Header};
use crate::diameter::node::Node;

const SESSION: &str = "as.example;1;2";

fn number() -> Msisdn {
    Msisdn::parse("+447700900001").unwrap()
}

fn manner(tolerate_606: bool) -> Manner {
    Manner {
        destination_realm: "example".to_owned(),
        destination_host: None,
        service_indications: vec!["MMTEL-Services".to_owned()],
        packet_nodes: vec![PacketNode::Mme, PacketNode::Sgsn],
        tolerate_606,
    }
}

fn message(build: impl FnOnce(&mut Encoder)) -> Message {
    let mut avps = Encoder::default();
    build(&mut avps);
    let header = Header {
        flags: FLAG_PROXIABLE,
        command: avp::USER_DATA_COMMAND,
        application: avp::APPLICATION_SH,
        hop_by_hop: 1,
        end_to_end: 2,
    };
    Message {
        header,
        avps: Avps::decode(avps.bytes()).unwrap(),
    }
}

fn read_as(message: &Message, tolerate_606: bool) -> Result<Option<ShData>, ShError> {
    read(message, &manner(tolerate_606), &number(), SESSION)
}

fn result(vendor: u32, code: u32) -> ShError {
    let answer = message(|avps| match vendor {
        0 => drop(avps.u32(avp::RESULT_CODE, code)),
        vendor => {
            let mut group = Encoder::default();
            group.u32(avp::VENDOR_ID, vendor).unwrap();
            group.u32(avp::EXPERIMENTAL_RESULT_CODE, code).unwrap();
            avps.group(avp::EXPERIMENTAL_RESULT, &group).unwrap();
        }
    });
    read_as(&answer, false).unwrap_err()
}

fn document(key: Key) -> Message {
    message(|avps| {
        // Route-Record of a relay, and an AVP of nobody's, come first.
        let route_record = Key {
            code: 282,
            vendor: 0,
            mandatory: true,
            name: "Route-Record",
        };
        let unknown = Key {
            code: 9,
            vendor: 99,
            mandatory: false,
            name: "unknown",
        };
        avps.octets(route_record, b"relay.example").unwrap();
        avps.octets(unknown, b"?").unwrap();
        avps.octets(key, b"<Sh-Data><IMSI>901700000000001</IMSI></Sh-Data>")
            .unwrap();
        avps.u32(avp::RESULT_CODE, 2001).unwrap();
        avps.octets(avp::SESSION_ID, SESSION.as_bytes()).unwrap();
    })
}

#[test]
fn each_result_has_its_reason() {
    use accord_proto::reason::Reason::{NotAvailable, Overloaded, SourceDown, UnknownNumber};
    for (vendor, code, reason) in [
        (10_415, 5_001, UnknownNumber),
        (10_415, 5_101, NotAvailable),
        (10_415, 5_102, NotAvailable),
        (10_415, 4_100, SourceDown),
        (10_415, 5_100, SourceDown),
        (0, 3_002, SourceDown),
        (0, 3_004, Overloaded),
        (0, 5_012, SourceDown),
        (0, 2_002, SourceDown),
    ] {
        assert_eq!(result(vendor, code).reason(), reason, "{vendor} {code}");
    }
}

#[test]
fn the_base_protocols_5001_is_an_avp_and_no_unknown_subscriber() {
    assert_eq!(result(0, 5_001), ShError::Refused(5_001));
    assert_eq!(result(99, 5_001), ShError::Refused(5_001));
    assert_eq!(result(10_415, 5_001), ShError::UserUnknown);
}

#[test]
fn a_document_is_found_by_its_code_wherever_it_stands() {
    let data = read_as(&document(avp::USER_DATA), false).unwrap().unwrap();
    assert_eq!(data.imsi.as_deref(), Some("901700000000001"));
}

#[test]
fn a_document_in_the_avp_of_cx_is_refused_or_tolerated_as_configured() {
    let answer = document(avp::USER_DATA_CX);
    assert_eq!(read_as(&answer, false), Err(ShError::WrongUserData));
    assert!(read_as(&answer, true).unwrap().is_some());
    let other_vendor = document(Key {
        vendor: 0,
        ..avp::USER_DATA
    });
    assert_eq!(read_as(&other_vendor, true), Ok(None));
}

#[test]
fn an_answer_of_another_session_is_not_believed() {
    let other = message(|avps| {
        avps.octets(avp::SESSION_ID, b"as.example;1;3").unwrap();
        avps.u32(avp::RESULT_CODE, 2001).unwrap();
    });
    assert_eq!(read_as(&other, false), Err(ShError::Session));
    let relays_own = message(|avps| drop(avps.u32(avp::RESULT_CODE, 3_002)));
    assert_eq!(read_as(&relays_own, false), Err(ShError::Refused(3_002)));
}

#[test]
fn an_answer_without_a_result_or_with_two_is_not_usable() {
    let none = message(|_| {});
    assert!(matches!(
        read_as(&none, false),
        Err(ShError::Answer(CodecError::Absent(_)))
    ));
    let two = message(|avps| {
        avps.u32(avp::RESULT_CODE, 2001).unwrap();
        avps.u32(avp::RESULT_CODE, 2001).unwrap();
    });
    assert!(matches!(
        read_as(&two, false),
        Err(ShError::Answer(CodecError::Twice(_)))
    ));
}

#[test]
fn a_request_has_what_the_specification_asks_for_and_no_paging() {
    let node = Node {
        host: "as.example".to_owned(),
        realm: "example".to_owned(),
    };
    let clock = ManualClock::at("2026-11-26T00:00:00Z".parse().unwrap());
    let peers = Peers::new(node, Vec::new(), &*clock);
    let build = |references: &[Reference], domain| {
        let question = Question {
            references: references.to_vec(),
            domain,
        };
        let avps = user_data_request(&peers, &manner(false), &number(), &question, SESSION);
        Avps::decode(avps.unwrap().bytes()).unwrap()
    };
    let avps = build(&[Reference::Imsi, Reference::Imeisv], None);
    assert_eq!(
        avps.iter().next().map(|avp| avp.code),
        Some(avp::SESSION_ID.code)
    );
    let identity = avps.required(avp::USER_IDENTITY).unwrap().group().unwrap();
    let msisdn = identity.required(avp::MSISDN).unwrap();
    assert_eq!(msisdn.data().as_ref(), [0x44, 0x77, 0x00, 0x09, 0x00, 0x10]);
    let asked: Vec<u32> = avps
        .all(avp::DATA_REFERENCE)
        .map(|avp| avp.u32().unwrap())
        .collect();
    assert_eq!(asked, [32, 34]);
    assert_eq!(avps.one(avp::SERVICE_INDICATION), Ok(None));

    let avps = build(&[Reference::RepositoryData], None);
    let indication = avps.required(avp::SERVICE_INDICATION).unwrap();
    assert_eq!(indication.data().as_ref(), b"MMTEL-Services");

    let avps = build(&[Reference::LocationInformation], Some(Domain::Ps));
    let number_of = |key| avps.required(key).unwrap().u32().unwrap();
    assert_eq!(number_of(avp::REQUESTED_DOMAIN), 1);
    assert_eq!(number_of(avp::CURRENT_LOCATION), 0);
    assert_eq!(number_of(avp::REQUESTED_NODES), 3);
    let avps = build(&[Reference::LocationInformation], Some(Domain::Cs));
    assert_eq!(avps.one(avp::REQUESTED_NODES), Ok(None));
}

#[test]
fn a_notification_names_its_subscriber_by_number_or_by_uri() {
    let about = |key: Key, data: &[u8]| {
        let mut identity = Encoder::default();
        identity.octets(key, data).unwrap();
        notified(&message(|avps| {
            drop(avps.group(avp::USER_IDENTITY, &identity))
        }))
    };
    let tbcd = [0x44, 0x77, 0x00, 0x09, 0x00, 0x10];
    assert!(about(avp::MSISDN, &tbcd) == Some(number()));
    assert!(about(avp::PUBLIC_IDENTITY, b"tel:+447700900001") == Some(number()));
    assert!(
        about(
            avp::PUBLIC_IDENTITY,
            b"sip:+447700900001@ims.example;user=phone"
        ) == Some(number())
    );
    assert!(about(avp::PUBLIC_IDENTITY, b"sip:alice@ims.example").is_none());
    assert!(about(avp::MSISDN, &[0xff]).is_none());
    assert!(notified(&message(|_| {})).is_none());
}

#[test]
fn no_error_tells_of_a_subscriber() {
    for error in [
        ShError::UserUnknown,
        ShError::Refused(5_012),
        ShError::WrongUserData,
    ] {
        assert!(!error.to_string().contains("4477"), "{error}");
    }
}
