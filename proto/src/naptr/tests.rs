use super::*;

fn number() -> Msisdn {
    Msisdn::parse("+447700900016").unwrap()
}

fn record(regexp: &str) -> Naptr<'_> {
    Naptr {
        order: 100,
        preference: 10,
        flags: b"u",
        services: b"E2U+pstn:tel",
        regexp: regexp.as_bytes(),
    }
}

fn read(dialect: Dialect, text: &str) -> Result<Told, ReplyError> {
    let regexp = format!("!^.*$!{text}!");
    dialect.read(&[record(&regexp)], &number())
}

const fn network(mcc: u16, mnc: u16) -> Result<Told, ReplyError> {
    Ok(Told::Network { mcc, mnc })
}

fn routing(digits: &str) -> Result<Told, ReplyError> {
    Ok(Told::RoutingNumber(digits.to_owned()))
}

#[test]
fn the_name_is_the_digits_in_reverse_before_the_zone() {
    let expected = "6.1.0.0.0.9.0.0.7.7.4.4.e164.example.";
    assert_eq!(domain(&number(), "e164.example"), expected);
    assert_eq!(domain(&number(), "e164.example."), expected);
}

#[test]
fn tel_uris_with_number_portability_are_read() {
    let unreadable = Err(ReplyError::Dialect("rfc4694"));
    for (text, told) in [
        ("tel:+447700900016;npdi;rn=+447700999", routing("447700999")),
        (
            "TEL:+447700900016;RN=+44-7700-999;NPDI",
            routing("447700999"),
        ),
        (
            "tel:+447700900016;npdi;rn=7700999;rn-context=+44",
            routing("447700999"),
        ),
        ("tel:+447700900016;npdi", Ok(Told::NotPorted)),
        // Nobody looked it up.
        ("tel:+447700900016", unreadable.clone()),
        ("tel:+447700900016;rn", unreadable.clone()),
        ("tel:+447700900016;npdi;rn=", unreadable.clone()),
        ("tel:+447700900016;npdi;rn=7700999", unreadable.clone()),
        ("tel:+447700900016;npdi;rn=+44D00", unreadable.clone()),
        (
            "tel:+447700900016;npdi;rn=+9991234567890123",
            unreadable.clone(),
        ),
        ("tel:+447700900016;npdi;npdi", unreadable.clone()),
        ("tel:+447700900016;npdi;;", unreadable.clone()),
        ("sip:+447700900016;npdi", unreadable),
        ("tel:+447700900017;npdi", Err(ReplyError::OtherNumber)),
        ("tel:447700900016;npdi", Err(ReplyError::OtherNumber)),
    ] {
        assert_eq!(read(Dialect::Rfc4694, text), told, "{text}");
    }
}

#[test]
fn pairs_of_key_and_value_are_read() {
    let unreadable = Err(ReplyError::Dialect("key_value"));
    for (text, told) in [
        (
            "country=MA;mcc=604;mnc=001;ported=false;err=0",
            network(604, 1),
        ),
        ("err=0;ported=true;mnc=02;mcc=234;", network(234, 2)),
        (
            "country=MA;mcc=604;mnc=001;ported=false;err=7",
            Err(ReplyError::Supplier),
        ),
        ("err=1", Err(ReplyError::Supplier)),
        ("mcc=604;mnc=001;ported=false", unreadable.clone()),
        ("mcc=604;mnc=001;ported=maybe;err=0", unreadable.clone()),
        ("mcc=604;mnc=001;err=0", unreadable.clone()),
        ("mcc=60;mnc=001;ported=false;err=0", unreadable.clone()),
        ("mcc=604;mnc=1;ported=false;err=0", unreadable.clone()),
        ("mcc=604;mnc=0x1;ported=false;err=0", unreadable.clone()),
        (
            "mcc=604;mcc=605;mnc=001;ported=false;err=0",
            unreadable.clone(),
        ),
        ("tel:+447700900016;npdi", unreadable.clone()),
        ("", unreadable),
    ] {
        assert_eq!(read(Dialect::KeyValue, text), told, "{text}");
    }
}

#[test]
fn sip_uris_of_ims_domains_are_read_with_and_without_their_at_sign() {
    let host = "ims.mnc02.mcc234.3gppnetwork.org";
    let unreadable = Err(ReplyError::Dialect("ims_sip"));
    for (text, told) in [
        (
            format!("sip:+447700900016@{host};cost=0.01;ported=0"),
            network(234, 2),
        ),
        (
            format!("sip:+447700900016{host};cost=0.01;ported=1"),
            network(234, 2),
        ),
        (
            format!("SIP:+447700900016@{};ported=1", host.to_uppercase()),
            network(234, 2),
        ),
        (
            "sip:+447700900016@ims.mnc015.mcc234.3gppnetwork.org;ported=1".to_owned(),
            network(234, 15),
        ),
        (
            format!("sip:+447700900016@{host};cost=0.01"),
            unreadable.clone(),
        ),
        (
            format!("sip:+447700900016@{host}.evil.example;ported=0"),
            unreadable.clone(),
        ),
        (
            format!("sip:+447700900016@x{host};ported=0"),
            unreadable.clone(),
        ),
        (
            "sip:+447700900016@operator.example;ported=0".to_owned(),
            unreadable.clone(),
        ),
        (format!("tel:+447700900016@{host};ported=0"), unreadable),
        (
            format!("sip:+447700900017@{host};ported=0"),
            Err(ReplyError::OtherNumber),
        ),
        (
            format!("sip:@{host};ported=0"),
            Err(ReplyError::OtherNumber),
        ),
    ] {
        assert_eq!(read(Dialect::ImsSip, &text), told, "{text}");
    }
}

#[test]
fn substitutions_take_the_number_as_a_whole_or_are_refused() {
    let read = |regexp: &str| Dialect::Rfc4694.read(&[record(regexp)], &number());
    for regexp in [
        "!^.*$!tel:+447700900016;npdi!",
        "/^.*$/tel:+447700900016;npdi/i",
        r"!^(.*)$!tel:\1;npdi!",
        r"!^(\+.*)$!tel:\1;npdi!",
        r"!^\+(.*)$!tel:+\1;npdi!",
    ] {
        assert_eq!(read(regexp), Ok(Told::NotPorted), "{regexp}");
    }
    for regexp in [
        "",
        "!",
        "!!!",
        "!^.*$!tel:+447700900016;npdi",
        "!^.*$!tel:+447700900016;npdi!x",
        "!^.*$!tel:+447700900016;npdi!i!",
        r"!^.*$!tel:\1;npdi!",
        r"!^(.*)$!tel:\2;npdi!",
        r"!^(.*)$!tel:\1;npdi\!",
        r"!^\+44(.*)$!tel:+44\1;npdi!",
        "!^(a+)+$!tel:+447700900016;npdi!",
        "1^.*$1tel:+447700900016;npdi1",
    ] {
        assert_eq!(read(regexp), Err(ReplyError::Substitution), "{regexp}");
    }
    let long = format!("!^(.*)$!{}!", r"\1".repeat(100));
    assert_eq!(read(&long), Err(ReplyError::Substitution));
    let mut bytes = record("");
    bytes.regexp = b"!^.*$!tel:\xff!";
    let said = Dialect::Rfc4694.read(&[bytes], &number());
    assert_eq!(said, Err(ReplyError::Substitution));
}

#[test]
fn the_record_of_the_best_rank_counts_and_others_are_not_looked_at() {
    let ported = "!^.*$!tel:+447700900016;npdi;rn=+447700999!";
    let stayed = "!^.*$!tel:+447700900016;npdi!";
    let ranked = |order, preference, regexp| Naptr {
        order,
        preference,
        ..record(regexp)
    };
    let read = |records: &[Naptr<'_>]| Dialect::Rfc4694.read(records, &number());
    let better = [
        ranked(10, 20, stayed),
        ranked(10, 10, ported),
        ranked(20, 1, "!x!"),
    ];
    assert_eq!(read(&better), routing("447700999"));
    let worse = [ranked(10, 10, "!x!"), ranked(10, 20, ported)];
    assert_eq!(read(&worse), Err(ReplyError::Substitution));
    let both = [ranked(10, 10, stayed), ranked(10, 10, ported)];
    assert_eq!(read(&both), Err(ReplyError::Contradictory));
    let twice = [ranked(10, 10, ported), ranked(10, 10, ported)];
    assert_eq!(read(&twice), routing("447700999"));
    let mail = Naptr {
        services: b"EMAIL+E2U",
        ..ranked(1, 1, "!x!")
    };
    assert_eq!(read(&[mail, record(ported)]), routing("447700999"));
    let further = Naptr {
        flags: b"",
        ..record(ported)
    };
    assert_eq!(read(&[further]), Err(ReplyError::NoRecord));
    assert_eq!(read(&[]), Err(ReplyError::NoRecord));
    assert_eq!(read(&[record(ported); 17]), Err(ReplyError::TooMany));
}

#[test]
fn what_was_said_of_a_number_shows_no_number() {
    let record = record("!^.*$!tel:+447700900016;npdi!");
    let told = routing("447700999").unwrap();
    assert_eq!(format!("{record:?} {told:?}"), "[naptr] RoutingNumber");
}
