//! What an authority asks to be done with a month's key: what is read is written alike, its case is no
//! phone number, and no note is believed that neither authority signed.

#![no_main]

use accord_proto::msisdn::could_be_a_number;
use accord_proto::shares::KeyRequest;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let Ok(request) = KeyRequest::parse(text) else {
        return;
    };
    let written = request.to_string();
    assert_eq!(KeyRequest::parse(&written).as_ref(), Ok(&request));
    assert!(!could_be_a_number(&request.case));
    let words = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
    let (read, again) = (words(text), words(&written));
    assert_eq!(read.len(), again.len());
    // An instant has several ways to be written, and no other line has.
    let but_at = |lines: &[String]| lines.iter().take(5).cloned().collect::<Vec<_>>();
    assert_eq!(but_at(&read), but_at(&again));
    assert!(KeyRequest::parse(&format!("{written}more\n")).is_err());
});
