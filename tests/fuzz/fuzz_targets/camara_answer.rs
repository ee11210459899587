//! What a CAMARA upstream answers: refused with a reason, or an observation that a broker believes and
//! that claims nothing of the time after the answer.

#![no_main]

#[path = "../shared/believed.rs"]
mod believed;

use std::sync::LazyLock;

use accord_adapters::camara_upstream::{CamaraConfig, read_answers};
use accord_proto::observation::Observed;
use accord_proto::reason::Reason;
use accord_proto::signal::Signal;
use jiff::{SignedDuration, Timestamp};
use libfuzzer_sys::fuzz_target;

fn config((swaps_by, knows_within_s): (&str, u32)) -> CamaraConfig {
    let config = format!(
        "roots_file = \"none\"\nsim_swap = \"https://api.example/sim-swap/v2\"\n\
         knows_within_s = {knows_within_s}\nswaps_by = \"{swaps_by}\"\ncheck_max_age_hours = [720, 72, 24]\n\
         since_days = [1000, 365, 30]\n[token]\nurl = \"https://api.example/token\"\n\
         client_id = \"c\"\nscope = \"s\"\n"
    );
    toml::from_str(&config).expect("it is a configuration")
}

/// Upstreams that know at once, and that read a nightly file.
static CONFIGS: LazyLock<[CamaraConfig; 4]> = LazyLock::new(|| {
    let manners = [
        ("retrieve_date", 0),
        ("check", 0),
        ("retrieve_date", 93_600),
        ("check", 93_600),
    ];
    manners.map(config)
});

fuzz_target!(|data: &[u8]| {
    let now = Timestamp::from_second(1_795_000_000).expect("it is a time");
    // One answer a line.
    let answers: Vec<&[u8]> = data.split(|byte| *byte == b'\n').collect();
    for (config, signal) in CONFIGS
        .iter()
        .flat_map(|config| Signal::ALL.iter().map(move |signal| (config, *signal)))
    {
        let told = read_answers(config, signal, now, &answers);
        if signal == Signal::SignallingAnomaly {
            assert_eq!(told, Err(Reason::NotAvailable), "no API tells of it");
        }
        let Ok(said) = told else { continue };
        let received = now + SignedDuration::from_secs(1);
        assert!(said.observed_at <= received);
        believed::believed(signal, &said, received);
        if let Observed::Change(change) = &said.what {
            // CAMARA does not tell that there never was a change.
            assert!(change.monitored_since.is_some());
        }
    }
});
