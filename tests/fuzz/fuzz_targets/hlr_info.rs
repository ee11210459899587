//! What osmo-hlr tells of a subscriber: what is read is what another reader finds, who counts the lines of
//! each field; and neither their order nor a field that nobody knows changes it.

#![no_main]

use accord_adapters::osmo_hlr::info::told;
use accord_proto::msisdn::Msisdn;
use libfuzzer_sys::fuzz_target;

const ASKED: &str = "447700900001";
const FIELDS: [&str; 6] = [
    "imsi",
    "msisdn",
    "vlr_number",
    "sgsn_number",
    "ms_purged_cs",
    "ms_purged_ps",
];

/// All values of a field, in the order of their lines.
fn values<'a>(text: &'a str, field: &str) -> Vec<&'a str> {
    let lines = text.split_inclusive('\n').map(|line| {
        let whole = line.strip_suffix('\n');
        whole.map_or(line, |line| line.strip_suffix('\r').unwrap_or(line))
    });
    lines
        .filter_map(|line| line.strip_prefix(field)?.strip_prefix('\t'))
        .collect()
}

/// IMSI, VLR and SGSN as the page of the control interface has them; `None` for what can't be believed.
fn expected(text: &str) -> Option<[Option<String>; 3]> {
    let one = |field| values(text, field).first().copied().unwrap_or_default();
    let once = FIELDS.iter().all(|field| values(text, field).len() <= 1);
    let imsi = one("imsi");
    let digits = imsi.chars().filter(char::is_ascii_digit).count();
    if !once
        || one("msisdn") != ASKED
        || digits != imsi.chars().count()
        || !(6..16).contains(&digits)
    {
        return None;
    }
    let node = |number, purged| {
        let number = one(number);
        let here = !number.is_empty() && one(purged) != "1";
        here.then(|| number.to_owned())
    };
    let vlr = node("vlr_number", "ms_purged_cs");
    let sgsn = node("sgsn_number", "ms_purged_ps");
    Some([Some(imsi.to_owned()), vlr, sgsn])
}

fuzz_target!(|data: &str| {
    let asked = Msisdn::parse(&format!("+{ASKED}")).expect("it is a number");
    let read = told(data, &asked).ok();
    assert!(read == expected(data), "two readers differ");
    // A bare return at the end is part of its line, and would not be any more.
    if !data.contains('\r') {
        let mut lines: Vec<&str> = data.lines().collect();
        lines.reverse();
        lines.push("a_field_of_tomorrow\timsi");
        let turned = told(&lines.join("\n"), &asked).ok();
        assert!(turned == read, "the order counts");
    }
    if read.is_none() {
        return;
    }
    let other = Msisdn::parse("+447700900002").expect("it is a number");
    assert!(
        told(data, &other).is_err(),
        "it is believed of another number"
    );
    for field in FIELDS {
        let twice = format!("{data}\n{field}\t1\n{field}\t1");
        assert!(told(&twice, &asked).is_err(), "`{field}` is believed twice");
    }
});
