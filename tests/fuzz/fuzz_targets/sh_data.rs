//! The document of an HSS and the diversion in it: each is read or refused with a reason, and what
//! names no active rule is never a forwarding.

#![no_main]

use std::sync::LazyLock;

use accord_adapters::diameter::diversion::{self, DiversionConfig, DiversionRules};
use accord_adapters::diameter::sh_data::ShData;
use accord_adapters::diameter::xml::Element;
use accord_proto::msisdn::Msisdn;
use libfuzzer_sys::fuzz_target;

fn rules(more: &str) -> DiversionRules {
    let config = format!(
        "service_indications = [\"MMTEL-Services\"]\ncountry_code = \"44\"\n\
         operator_elements = [\"operator\"]\nvoicemail = [\"tel:121\", \"sip:*@vm.example\"]\n{more}"
    );
    let config: DiversionConfig = toml::from_str(&config).expect("it is TOML");
    config.check().expect("it keeps the rules")
}

static ETSI: LazyLock<DiversionRules> = LazyLock::new(|| rules(""));
static FLAT: LazyLock<DiversionRules> = LazyLock::new(|| {
    rules(
        "dialect = \"flat\"\n[flat]\nCallForwardBusy = \"busy\"\nCallForwardUnconditional = \"unconditional\"",
    )
});

fn divert(service: &Element) {
    for rules in [&*ETSI, &*FLAT] {
        let Ok(active) = diversion::read(service, rules) else {
            continue;
        };
        for (place, one) in active.iter().enumerate() {
            let others = active.iter().skip(place + 1);
            assert!(others.clone().all(|other| other.condition != one.condition));
        }
    }
}

fuzz_target!(|data: &[u8]| {
    let number = Msisdn::parse("+447700900001").expect("it is a number");
    if let Ok(read) = ShData::parse(data, &number) {
        if let Some(imei) = &read.imei {
            assert_eq!(imei.len(), 14);
        }
        for location in [&read.cs, &read.ps].into_iter().flatten() {
            assert!(location.plmn.as_ref().is_none_or(|plmn| plmn.len() == 6));
        }
        for repository in &read.repositories {
            if let Some(service) = &repository.service {
                divert(service);
            }
        }
    }
    if let Ok(service) = Element::parse(data) {
        divert(&service);
    }
});
