use super::*;

#[test]
fn a_frame_has_length_protocol_and_extension() {
    let mut bytes = Vec::new();
    frame(format_args!("GET 1 x"), &mut bytes).unwrap();
    assert_eq!(bytes, b"\x00\x08\xee\x00GET 1 x");
    let long = "x".repeat(FRAME_BYTES_MAX);
    assert!(frame(format_args!("{long}"), &mut bytes).is_err());
}

#[test]
fn a_reply_must_be_to_this_request_and_about_this_variable() {
    let value = |text: &str| Ok(Reply::Value(text.to_owned()));
    assert_eq!(
        parse_reply("GET_REPLY 7 a.b v w", "GET", 7, "a.b"),
        value("v w")
    );
    assert_eq!(
        parse_reply("SET_REPLY 7 a.b OK", "SET", 7, "a.b 1"),
        value("OK")
    );
    assert_eq!(
        parse_reply("ERROR 7 No such subscriber.", "GET", 7, "a.b"),
        Ok(Reply::Refused("No such subscriber.".to_owned()))
    );
    for bad in [
        "GET_REPLY 8 a.b v",
        "GET_REPLY 7 a.c v",
        "GET_REPLY 7 a.bc v",
        "SET_REPLY 7 a.b v",
        "ERROR err Invalid message ID number",
        "ERROR",
        "",
    ] {
        assert!(parse_reply(bad, "GET", 7, "a.b").is_err(), "{bad}");
    }
}

#[test]
fn a_reply_is_redacted_in_debug() {
    let reply = Reply::Refused("by-msisdn-447700900001".to_owned());
    assert!(!format!("{reply:?}").contains("447700900001"));
}
