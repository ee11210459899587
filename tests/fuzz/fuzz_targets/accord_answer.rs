//! What another Accord says beside the body of an answer: refused with a reason, or an observation that a
//! broker believes and that claims nothing of the time after the answer.

#![no_main]

#[path = "../shared/believed.rs"]
mod believed;

use std::sync::LazyLock;

use accord_adapters::camara_upstream::{CamaraConfig, read_accord_answer};
use accord_proto::signal::Signal;
use jiff::{SignedDuration, Timestamp};
use libfuzzer_sys::fuzz_target;

static CONFIGS: LazyLock<[CamaraConfig; 2]> = LazyLock::new(|| {
    ["retrieve_date", "check"].map(|swaps_by| {
        let config = format!(
            "roots_file = \"none\"\nsim_swap = \"https://api.example/sim-swap/v2\"\n\
             knows_within_s = 0\naccord_answer = true\nswaps_by = \"{swaps_by}\"\n\
             check_max_age_hours = 72\nsince_days = 365\n[token]\n\
             url = \"https://api.example/token\"\nclient_id = \"c\"\nscope = \"s\"\n"
        );
        toml::from_str(&config).expect("it is a configuration")
    })
});

fuzz_target!(|data: &[u8]| {
    let now = Timestamp::from_second(1_795_000_000).expect("it is a time");
    // The body in the first line, and then the answer.
    let mut parts = data.splitn(2, |byte| *byte == b'\n');
    let body = parts.next().unwrap_or_default();
    let answer = parts.next().unwrap_or_default();
    for config in CONFIGS.iter() {
        for signal in Signal::ALL {
            let told = read_accord_answer(config, *signal, now, (answer, body));
            let Ok(said) = told else { continue };
            let received = now + SignedDuration::from_secs(1);
            assert!(said.observed_at <= received);
            believed::believed(*signal, &said, received);
        }
    }
});
