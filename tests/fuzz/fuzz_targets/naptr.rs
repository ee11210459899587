//! What suppliers of portability data answer: never a panic, and never an answer about another number.

#![no_main]

use accord_proto::{
    msisdn::Msisdn,
    naptr::{Dialect, Naptr, Told},
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    // The substitution of each record, between lines.
    let records: Vec<Naptr<'_>> = data
        .split(|byte| *byte == b'\n')
        .map(|regexp| Naptr {
            order: 100,
            preference: 10,
            flags: b"u",
            services: b"E2U+pstn:tel",
            regexp,
        })
        .collect();
    let (Ok(asked), Ok(other)) = (
        Msisdn::parse("+447700900016"),
        Msisdn::parse("+447700900017"),
    ) else {
        return;
    };
    for dialect in [Dialect::Rfc4694, Dialect::KeyValue, Dialect::ImsSip] {
        let Ok(told) = dialect.read(&records, &asked) else {
            continue;
        };
        if let Told::Network { mcc, mnc } = &told {
            assert!(*mcc < 1_000 && *mnc < 1_000);
        }
        // What names the number it is about says nothing of another one.
        let names = [&b"!^.*$!tel:+447700900016"[..], b"!^.*$!sip:+447700900016"];
        if names.iter().any(|begin| data.starts_with(begin)) && dialect != Dialect::KeyValue {
            assert!(dialect.read(&records, &other).is_err());
        }
    }
});
