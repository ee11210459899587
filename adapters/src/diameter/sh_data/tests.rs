use super::*;

fn number() -> Msisdn {
    Msisdn::parse("+447700900001").unwrap()
}

fn parse(inside: &str) -> Result<ShData, ShDataError> {
    let text = format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?><Sh-Data>{inside}</Sh-Data>");
    ShData::parse(text.as_bytes(), &number())
}

#[test]
fn identities_are_found_at_any_level_of_extension_and_nowhere_else() {
    for inside in [
        "<IMSI>901700000000001</IMSI>",
        "<Extension><IMSI> 901700000000001 </IMSI></Extension>",
        "<Extension><Extension><Extension><IMSI>901700000000001</IMSI></Extension></Extension></Extension>",
    ] {
        assert_eq!(
            parse(inside).unwrap().imsi.as_deref(),
            Some("901700000000001")
        );
    }
    let elsewhere =
        "<RepositoryData><ServiceData><IMSI>901700000000009</IMSI></ServiceData></RepositoryData>";
    assert_eq!(parse(elsewhere).unwrap().imsi, None);
    assert_eq!(parse("<IMSI/>").unwrap().imsi, None);
}

#[test]
fn cards_that_share_a_number_are_one_identity_in_whatever_order() {
    let two = |a: u8, b: u8| {
        parse(&format!(
            "<IMSI>90170000000000{a}</IMSI><IMSI>90170000000000{b}</IMSI>"
        ))
        .unwrap()
    };
    assert_eq!(two(1, 2), two(2, 1));
    assert_eq!(two(1, 1).imsi.as_deref(), Some("901700000000001"));
    assert_ne!(two(1, 2), two(1, 3));
}

#[test]
fn identities_of_another_form_are_refused() {
    for bad in ["90170", "9017000000000012", "90170000000000a", "٩٠١٧٠٠"] {
        let imsi = parse(&format!("<IMSI>{bad}</IMSI>"));
        assert_eq!(imsi, Err(ShDataError::Imsi), "{bad}");
        let imei = parse(&format!("<IMEISV>{bad}</IMEISV>"));
        assert!(imei.is_err() || bad.len() == 16, "{bad}");
    }
    let many: String = (10..19)
        .map(|n| format!("<IMSI>9017000000000{n}</IMSI>"))
        .collect();
    assert_eq!(parse(&many), Err(ShDataError::Imsi));
}

#[test]
fn a_software_version_or_a_check_digit_is_no_other_phone() {
    let imei = |text: &str| parse(&format!("<IMEISV>{text}</IMEISV>")).unwrap().imei;
    assert_eq!(imei("3534900698733101"), imei("3534900698733102"));
    assert_eq!(imei("353490069873310"), imei("3534900698733107"));
    assert_ne!(imei("3534900698733101"), imei("3534900698733201"));
    assert_eq!(imei(""), None);
    let two = parse("<IMEISV>3534900698733101</IMEISV><IMEISV>3534900698733201</IMEISV>");
    assert_eq!(two, Err(ShDataError::Imei));
}

#[test]
fn an_imei_beside_an_imeisv_is_the_same_phone_or_the_document_is_not_believed() {
    let imeisv = "<IMEISV>3534900698733101</IMEISV>";
    let both = |imei: &str| {
        parse(&format!(
            "{imeisv}<Extension><IMEI>{imei}</IMEI></Extension>"
        ))
    };
    let phone = Some("35349006987331".to_owned());
    // With its check digit, and without.
    assert_eq!(both("353490069873310").unwrap().imei, phone);
    assert_eq!(both("35349006987331").unwrap().imei, phone);
    assert_eq!(both("353490069873320"), Err(ShDataError::Imei));
    assert_eq!(both("3534900698733"), Err(ShDataError::Imei));
    // Whichever comes first.
    let turned = parse(&format!("<IMEI>353490069873310</IMEI>{imeisv}"));
    assert_eq!(turned.unwrap().imei, phone);
}

#[test]
fn a_document_about_another_number_is_not_believed() {
    let about = |text: &str| {
        parse(&format!(
            "<PublicIdentifiers><MSISDN>{text}</MSISDN></PublicIdentifiers>"
        ))
        .map(drop)
    };
    assert_eq!(about("447700900001"), Ok(()));
    assert_eq!(about("+447700900001"), Ok(()));
    assert_eq!(about("kUR3AAkAEA=="), Ok(()), "an ISDN-AddressString");
    assert_eq!(about("447700900002"), Err(ShDataError::OtherNumber));
    let several = "<PublicIdentifiers><MSISDN>447700900002</MSISDN><MSISDN>447700900001</MSISDN>\
        <IMSPublicIdentity>sip:+447700900001@ims.example</IMSPublicIdentity></PublicIdentifiers>";
    assert!(parse(several).is_ok());
}

/// An `ISDN-AddressString` in base64: its nature and plan, and its digits.
fn address(nature: u8, digits: &str) -> String {
    use base64::Engine as _;
    let bytes = [vec![nature], tbcd::encode(digits).unwrap()].concat();
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

/// International, of the E.164 plan; what else the first byte may say (TS 29.002, `AddressString`).
const INTERNATIONAL: u8 = 0x91;
const OTHERS: [u8; 5] = [0xa1, 0x81, 0x90, 0x96, 0x11];

#[test]
fn a_national_number_is_not_taken_for_the_one_asked_about() {
    let about = |numbers: &[&str]| {
        let inside: String = numbers
            .iter()
            .map(|text| format!("<MSISDN>{text}</MSISDN>"))
            .collect();
        let document = format!("<PublicIdentifiers>{inside}</PublicIdentifiers>");
        parse(&document).map(drop)
    };
    let own = address(INTERNATIONAL, "447700900001");
    assert_eq!(own, "kUR3AAkAEA==");
    assert_eq!(about(&[&own]), Ok(()));
    for nature in OTHERS {
        // Its digits as they are, and without the country's.
        for digits in ["447700900001", "7700900001"] {
            let national = address(nature, digits);
            let said = about(&[&national]);
            assert_eq!(said, Err(ShDataError::OtherNumber), "{nature:#x} {digits}");
            // Beside one that can be read it does no harm.
            assert_eq!(about(&[&national, &own]), Ok(()), "{nature:#x} {digits}");
        }
    }
    for unreadable in [
        "kUR3AAkAEA",
        "kUS3AAkAEA==",
        "kQ==",
        "7700900001 ext. 1",
        "?",
    ] {
        let said = about(&[unreadable]);
        assert_eq!(said, Err(ShDataError::OtherNumber), "{unreadable}");
    }
}

#[test]
fn a_node_with_a_national_number_is_in_no_network_of_the_table() {
    use crate::osmo_hlr::{Serving, ServingNetwork};
    let prefix = |digits: &str, home| ServingNetwork {
        name: None,
        prefix: Some(digits.to_owned()),
        home,
        mcc: None,
    };
    let table = [prefix("4477", true), prefix("77", true), prefix("0", true)];
    let table = Serving::new(&table).unwrap();
    let at = |text: &str| {
        let document =
            format!("<CSLocationInformation><VLRNumber>{text}</VLRNumber></CSLocationInformation>");
        let [node] = <[String; 1]>::try_from(parse(&document).unwrap().cs.unwrap().nodes).unwrap();
        table.network(&node).map(|network| network.roaming)
    };
    for digits in ["447700900001", "7700900001"] {
        assert_eq!(at(&address(INTERNATIONAL, digits)), Some(false), "{digits}");
        for nature in OTHERS {
            assert_eq!(at(&address(nature, digits)), None, "{nature:#x} {digits}");
        }
    }
}

#[test]
fn serving_nodes_and_networks_are_read_in_each_of_their_forms() {
    let cs = |inside: &str| {
        let text = format!("<CSLocationInformation>{inside}</CSLocationInformation>");
        parse(&text).unwrap().cs.unwrap()
    };
    assert_eq!(
        cs("<VLRNumber>447700000001</VLRNumber>").nodes,
        ["447700000001"]
    );
    assert_eq!(
        cs("<MSCNumber>kUR3AAkAEA==</MSCNumber>").nodes,
        ["447700900001"]
    );
    assert_eq!(cs(""), Location::default());
    let ps = |inside: &str| {
        let text = format!("<PSLocationInformation>{inside}</PSLocationInformation>");
        parse(&text).unwrap().ps.unwrap().plmn
    };
    let in_extension = |text: &str| {
        ps(&format!(
            "<Extension><VisitedPLMNID>{text}</VisitedPLMNID></Extension>"
        ))
    };
    assert_eq!(in_extension("90170").as_deref(), Some("901070"));
    // 901-70: 09 f1 07; 310-410: 13 00 14 (TS 24.008 section 10.5.1.13).
    assert_eq!(in_extension("CfEH").as_deref(), Some("901070"));
    assert_eq!(in_extension("EwAU").as_deref(), Some("310410"));
    assert_eq!(in_extension("////"), None);
    assert_eq!(in_extension("9017"), None);
    let mme = "<MMEName>mmec01.mmegi0001.mme.epc.mnc070.mcc901.3gppnetwork.org</MMEName>";
    assert_eq!(ps(mme).as_deref(), Some("901070"));
    assert_eq!(ps("<MMEName>mme1.example</MMEName>"), None);
}

#[test]
fn several_repositories_stay_apart() {
    let data = parse(
        "<RepositoryData><ServiceIndication>A</ServiceIndication><SequenceNumber>1</SequenceNumber>\
         <ServiceData><x/></ServiceData></RepositoryData><RepositoryData>\
         <ServiceIndication>B</ServiceIndication><SequenceNumber>0</SequenceNumber></RepositoryData>",
    )
    .unwrap();
    let names: Vec<&str> = data
        .repositories
        .iter()
        .map(|it| it.indication.as_str())
        .collect();
    assert_eq!(names, ["A", "B"]);
    assert!(data.repositories[0].service.is_some() && data.repositories[1].service.is_none());
}

#[test]
fn what_is_no_sh_data_is_refused_with_its_reason() {
    let parse = |bytes: &[u8]| ShData::parse(bytes, &number());
    assert_eq!(parse(b"<simservs/>"), Err(ShDataError::Root));
    assert_eq!(parse(b""), Err(ShDataError::Xml(XmlError::Malformed)));
    assert_eq!(
        parse(b"\0\x01\xff"),
        Err(ShDataError::Xml(XmlError::Encoding))
    );
}

#[test]
fn a_document_does_not_print_its_subscriber() {
    let data = parse("<IMSI>901700000000001</IMSI>").unwrap();
    assert!(!format!("{data:?}").contains("90170"));
}
