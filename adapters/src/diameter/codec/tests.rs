use super::*;
use crate::diameter::avp;

fn watchdog() -> Bytes {
    let mut avps = Encoder::default();
    avps.octets(avp::ORIGIN_HOST, b"as.example").unwrap();
    avps.octets(avp::MSISDN, &[0x44, 0x77]).unwrap();
    header().encode(&avps.bytes()).unwrap()
}

fn header() -> Header {
    Header {
        flags: FLAG_REQUEST,
        command: avp::DEVICE_WATCHDOG,
        application: 0,
        hop_by_hop: 0x0102_0304,
        end_to_end: 0xfffe_fdfc,
    }
}

fn avps(frame: &Bytes) -> Result<Avps, CodecError> {
    Avps::decode(frame.slice(HEADER_LEN..))
}

#[test]
fn a_message_is_laid_out_as_the_rfc_draws_it() {
    let expected = [
        "01000038800001180000000001020304fffefdfc", // header: 56 bytes, R, 280
        "00000108400000126173",                     // Origin-Host, M, 18 bytes
        "2e6578616d706c650000",                     // and two of padding
        "000002bdc000000e000028af44770000",         // MSISDN, V and M, 14 bytes
    ];
    let text: String = watchdog()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    assert_eq!(text, expected.concat());
}

#[test]
fn what_was_written_is_read_back() {
    let frame = watchdog();
    assert_eq!(Header::decode(&frame), Ok(header()));
    let avps = avps(&frame).unwrap();
    assert_eq!(
        avps.required(avp::ORIGIN_HOST).unwrap().text(),
        Ok("as.example")
    );
    assert_eq!(
        avps.required(avp::MSISDN).unwrap().data().as_ref(),
        [0x44, 0x77]
    );
    let mut again = Encoder::default();
    for avp in avps.iter() {
        again.same(avp).unwrap();
    }
    assert_eq!(again.bytes(), frame.slice(HEADER_LEN..));
}

#[test]
fn an_avp_of_another_vendor_is_another_avp() {
    let mut encoder = Encoder::default();
    encoder
        .octets(
            Key {
                vendor: 1,
                ..avp::MSISDN
            },
            b"x",
        )
        .unwrap();
    let avps = Avps::decode(encoder.bytes()).unwrap();
    assert_eq!(avps.one(avp::MSISDN), Ok(None));
    assert_eq!(
        avps.required(avp::MSISDN),
        Err(CodecError::Absent("MSISDN"))
    );
}

#[test]
fn what_stands_twice_is_not_chosen_from() {
    let mut encoder = Encoder::default();
    encoder.u32(avp::RESULT_CODE, 2001).unwrap();
    encoder.u32(avp::RESULT_CODE, 5012).unwrap();
    let avps = Avps::decode(encoder.bytes()).unwrap();
    assert_eq!(
        avps.one(avp::RESULT_CODE),
        Err(CodecError::Twice("Result-Code"))
    );
}

#[test]
fn frames_are_taken_whole_one_after_another() {
    let frame = watchdog();
    let mut received = BytesMut::new();
    for byte in frame.iter().chain(frame.iter()) {
        received.put_u8(*byte);
        if received.len() < frame.len() {
            assert_eq!(take_frame(&mut received, 4096), Ok(None));
        } else {
            assert_eq!(take_frame(&mut received, 4096), Ok(Some(frame.clone())));
        }
    }
    assert!(received.is_empty());
}

#[test]
fn a_frame_that_lies_about_itself_ends_the_stream() {
    for (head, error) in [
        ([2, 0, 0, 56], CodecError::Version),
        ([0x16, 3, 1, 2], CodecError::Version), // a TLS record on a plain port
        ([1, 0, 0, 16], CodecError::Length),
        ([1, 0, 0, 57], CodecError::Length),
        ([1, 0, 16, 4], CodecError::TooLong),
        ([1, 0xff, 0xff, 0xfc], CodecError::TooLong),
    ] {
        let mut received = BytesMut::from(&head[..]);
        assert_eq!(take_frame(&mut received, 4096), Err(error), "{head:?}");
    }
}

#[test]
fn avps_that_lie_about_their_length_are_refused() {
    let cut = |by: usize| {
        let frame = watchdog();
        Avps::decode(frame.slice(HEADER_LEN..frame.len() - by)).map(drop)
    };
    assert_eq!(cut(0), Ok(()));
    for by in 1..16 {
        assert_eq!(cut(by), Err(CodecError::AvpLength), "{by}");
    }
    for (bytes, error) in [
        // Shorter than its own header, without and with a vendor.
        (&[0, 0, 1, 8, 0, 0, 0, 7][..], CodecError::AvpLength),
        (
            &[0, 0, 1, 8, 0x80, 0, 0, 8, 0, 0, 0x28, 0xaf][..],
            CodecError::AvpLength,
        ),
        (
            &[0, 0, 1, 8, 0x80, 0, 0, 12, 0, 0, 0, 0][..],
            CodecError::AvpVendor,
        ),
        (
            &[0, 0, 1, 8, 0, 0xff, 0xff, 0xff][..],
            CodecError::AvpLength,
        ),
    ] {
        assert_eq!(Avps::decode(Bytes::copy_from_slice(bytes)), Err(error));
    }
}

#[test]
fn there_is_an_end_to_avps_and_to_depth() {
    let empty = [0, 0, 1, 8, 0, 0, 0, 8];
    assert!(Avps::decode(Bytes::from(empty.repeat(AVPS_MAX))).is_ok());
    let many = Avps::decode(Bytes::from(empty.repeat(AVPS_MAX + 1)));
    assert_eq!(many, Err(CodecError::TooMany));

    let mut nested = Encoder::default();
    for _ in 0..=DEPTH_MAX {
        let mut outer = Encoder::default();
        outer.group(avp::USER_IDENTITY, &nested).unwrap();
        nested = outer;
    }
    let mut level = Avps::decode(nested.bytes()).unwrap();
    for _ in 0..DEPTH_MAX {
        level = level.required(avp::USER_IDENTITY).unwrap().group().unwrap();
    }
    let deepest = level.required(avp::USER_IDENTITY).unwrap().group();
    assert_eq!(deepest, Err(CodecError::TooDeep));
}

#[test]
fn data_of_another_type_is_refused() {
    let mut encoder = Encoder::default();
    encoder.octets(avp::RESULT_CODE, &[0, 7, 0xd1]).unwrap();
    encoder.octets(avp::ORIGIN_HOST, &[0xff]).unwrap();
    let avps = Avps::decode(encoder.bytes()).unwrap();
    assert_eq!(
        avps.required(avp::RESULT_CODE).unwrap().u32(),
        Err(CodecError::Data)
    );
    assert_eq!(
        avps.required(avp::ORIGIN_HOST).unwrap().text(),
        Err(CodecError::Data)
    );
}

#[test]
fn an_avp_does_not_print_its_data() {
    let mut encoder = Encoder::default();
    encoder.octets(avp::SESSION_ID, b"+447700900001").unwrap();
    let avps = Avps::decode(encoder.bytes()).unwrap();
    assert_eq!(format!("{avps:?}"), "Avps([Avp(0:263)])");
}

#[test]
fn messages_of_a_real_server_are_read() {
    let captured = |bytes: &'static [u8]| {
        let frame = Bytes::from_static(bytes);
        (Header::decode(&frame).unwrap(), avps(&frame).unwrap())
    };
    let seed = include_bytes!("../../../../tests/fuzz/seeds/diameter/cea");
    let (header, cea) = captured(seed);
    assert_eq!(
        (header.command, header.is_request()),
        (avp::CAPABILITIES_EXCHANGE, false)
    );
    assert_eq!(
        cea.required(avp::RESULT_CODE).unwrap().u32(),
        Ok(avp::SUCCESS)
    );
    assert_eq!(
        cea.required(avp::ORIGIN_HOST).unwrap().text(),
        Ok("hss.example")
    );
    let seed = include_bytes!("../../../../tests/fuzz/seeds/diameter/uda-2");
    let (header, uda) = captured(seed);
    assert_eq!(header.application, avp::APPLICATION_SH);
    let document = uda.required(avp::USER_DATA).unwrap().data();
    assert!(document.starts_with(b"<?xml") && document.ends_with(b"</Sh-Data>"));
}
